//! Child processes that never outlive the test, and whose last words are shown when it fails.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How many lines of a log are shown when a test fails.
const TAIL_LINES: usize = 40;

/// A command for `program` that dies when this process does, however that ends. Add arguments, then [`Process::spawn`].
pub fn tied(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running child, with all its own children in one process group. Killed on drop.
pub struct Process {
    name: String,
    log: PathBuf,
    group: Pid,
    child: Mutex<Child>,
}

impl Process {
    /// Starts a command made by [`tied`]; what it prints goes to `{folder}/{name}.log`, after what is there already.
    pub fn spawn(name: &str, mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("a log file");
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle to the log"))
            .stderr(output);
        let child =
            spawn_from_lasting_thread(command).unwrap_or_else(|error| panic!("start {name}: {error}"));
        Self { name: name.to_owned(), log, group: Pid::from_child(&child), child: Mutex::new(child) }
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Sends a signal to the process and to all it started.
    pub fn signal(&self, signal: Signal) {
        // The group may be gone already, which is what most signals are for.
        kill_process_group(self.group, signal).ok();
    }

    /// How it ended, or nothing while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().expect("a child to wait for")
    }

    /// Waits for it to end by itself.
    pub async fn exited(&self, timeout: Duration) -> ExitStatus {
        super::wait_until(&format!("{} to end", self.name), timeout, async || {
            self.exit_status().ok_or("it still runs")
        })
        .await
    }

    /// Ends it at once, as a lost machine would, and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.child.lock().unwrap_or_else(PoisonError::into_inner).wait().expect("a child to wait for");
    }

    /// All that it printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log")).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- the end of {}'s log\n{}\n---", self.name, tail.join("\n"));
        }
    }
}

/// Linux sends the parent-death signal when the *thread* that spawned the child ends (prctl(2)), and a test's thread
/// ends with that test. A part shared by several tests must outlive the first, so one lasting thread spawns them all.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                answer.send(command.spawn()).ok();
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    spawner.send((command, answer)).expect("the spawning thread runs");
    child.recv().expect("the spawning thread answers")
}

/// What a command left behind when it ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it printed.
    ///
    /// # Panics
    /// With its error output, where it failed.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

impl From<std::process::Output> for Finished {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command to its end without blocking the test's other tasks, such as a server that the command talks to.
pub async fn finish(command: Command) -> Finished {
    let name = format!("{:?}", command.get_program());
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output().await;
    output.unwrap_or_else(|error| panic!("run {name}: {error}")).into()
}

/// An address on which nothing listens. It lies below the range from which Linux serves port 0 and outgoing
/// connections, and no two calls give the same, so nobody takes it before its user does.
pub fn free_address() -> SocketAddr {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run side by side start far from each other.
    let start = (std::process::id() % 200) as u16 * 100;
    (0..COUNT)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}
