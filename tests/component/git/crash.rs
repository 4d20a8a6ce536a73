//! A process that is killed while a pack comes in, and one whose disk takes no more: what was here is still read, and the
//! next process goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::{FutureExt as _, StreamExt as _, stream};
use tagtide::git::{Branch, CommitId};

use super::faulty_server::{FaultyServer, Spoil, asks_for_pack};
use super::{InfraRepo, NAME, files_of, mirror_in, noise, open};
use crate::support::invariants::Invariants;
use crate::support::process::{Process, finish, tied};
use crate::support::{wait_until, workspace};

const URL: &str = "TAGTIDE_TEST_URL";
const MIRROR: &str = "TAGTIDE_TEST_MIRROR";

/// What the tests below run as a process of its own. Run as one of the tests it does nothing.
#[tokio::test]
async fn as_a_process_of_its_own() {
    let (Ok(url), Ok(mirror)) = (std::env::var(URL), std::env::var(MIRROR)) else { return };
    match open_patiently(&url, Path::new(&mirror)).await.bring_up_to_date().await {
        Ok(head) => println!("brought {head}"),
        Err(error) => println!("{:?}: {error}", error.reason()),
    }
}

/// Opens a branch. A process that another test is about to start holds on to the lock of a mirror, as to all open files,
/// until it runs its own program.
async fn open_patiently(url: &str, mirror: &Path) -> Branch {
    wait_until("the mirror", Duration::from_secs(30), async || open(url, mirror, None)).await
}

/// The arguments that make this program the process above.
fn as_a_process() -> [String; 4] {
    let program = std::env::current_exe().unwrap().display().to_string();
    [program, "--exact".into(), "git::crash::as_a_process_of_its_own".into(), "--nocapture".into()]
}

/// A server that stops in the middle of a pack, where it is told to.
struct Stage {
    repo: InfraRepo,
    server: FaultyServer,
    /// After how many bytes of a pack nothing more comes.
    stop_at: Arc<AtomicUsize>,
    /// Whether all came that will come.
    stopped: Arc<AtomicBool>,
    cache: tempfile::TempDir,
    seen: Invariants,
}

fn stopping(stop_at: Arc<AtomicUsize>, stopped: Arc<AtomicBool>) -> impl Spoil {
    move |request: Request, next: Next| {
        let (stop_at, stopped) = (stop_at.load(Ordering::SeqCst), Arc::clone(&stopped));
        async move {
            let (asks, request) = asks_for_pack(request).await;
            let answer = next.run(request).await;
            if !asks || stop_at == usize::MAX {
                return answer;
            }
            let (head, body) = answer.into_parts();
            let whole = to_bytes(body, 64 << 20).await.unwrap();
            let part = whole.slice(..stop_at.min(whole.len()));
            let silence = stream::once(async move {
                stopped.store(true, Ordering::SeqCst);
                std::future::pending::<()>().await;
                Ok::<_, std::io::Error>(Bytes::new())
            });
            Response::from_parts(head, Body::from_stream(stream::once(async { Ok(part) }).chain(silence)))
        }
        .boxed()
    }
}

impl Stage {
    async fn new() -> Self {
        let repo = InfraRepo::new();
        let stage = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicBool::new(false)));
        let (stop_at, stopped) = stage;
        let spoil = stopping(Arc::clone(&stop_at), Arc::clone(&stopped));
        let server = FaultyServer::start(repo.root(), spoil).await;
        Self {
            repo,
            server,
            stop_at,
            stopped,
            cache: workspace::folder("cache"),
            seen: Invariants::default(),
        }
    }

    /// Commits 400 files whose content is noise, another one for each `seed`.
    fn seed(&mut self, seed: u64) {
        let files: Vec<(String, String)> =
            (0..400).map(|n| (format!("d{}/f{n}.yaml", n / 50), noise(seed * 1000 + n))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        self.repo.seed(&files);
        self.seen.see(&self.repo);
    }

    fn mirror(&self) -> PathBuf {
        mirror_in(&self.cache)
    }

    async fn branch(&self) -> Branch {
        open_patiently(&self.server.url(NAME), &self.mirror()).await
    }

    /// Runs a process until its server stops after so many bytes, and kills it a little later.
    async fn kill_after(&self, bytes: usize, later: Duration) {
        self.stop_at.store(bytes, Ordering::SeqCst);
        self.stopped.store(false, Ordering::SeqCst);
        let [program, arguments @ ..] = as_a_process();
        let mut command = tied(program);
        command.args(arguments).env(URL, self.server.url(NAME)).env(MIRROR, self.mirror());
        let process = Process::spawn("tagtide", command, self.cache.path());
        wait_until("the server to stop", Duration::from_secs(60), async || {
            // One that has the whole pack may be done before the server gets to the end of it.
            let is_over = self.stopped.load(Ordering::SeqCst) || process.exit_status().is_some();
            if is_over { Ok(()) } else { Err(process.log()) }
        })
        .await;
        tokio::time::sleep(later).await;
        process.kill();
        self.stop_at.store(usize::MAX, Ordering::SeqCst);
    }

    /// What is in the mirror beside whole packs.
    fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.mirror().join("objects/pack")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| !path.with_extension("pack").exists() || !path.with_extension("idx").exists())
            .collect()
    }

    fn check(&self, branch: &Branch, head: CommitId, seed: u64) {
        let files = files_of(branch, head).unwrap();
        assert_eq!(files.len(), 400);
        assert_eq!(files["d7/f399.yaml"], noise(seed * 1000 + 399));
        assert_eq!(self.leftovers(), [""; 0].map(PathBuf::from));
        self.seen.hold(&self.repo);
    }
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_byte_leaves_a_mirror_that_is_read_as_before() {
    let mut stage = Stage::new().await;
    stage.seed(1);
    for bytes in [5, 4_000, 150_000] {
        stage.kill_after(bytes, Duration::from_millis(20)).await;
        drop(stage.branch().await);
        assert_eq!(stage.leftovers().len(), 0, "{bytes}");
    }
    let branch = stage.branch().await;
    let first = branch.bring_up_to_date().await.unwrap();
    stage.check(&branch, first, 1);
    drop(branch);

    stage.seed(2);
    let whole = usize::MAX - 1;
    for (bytes, later) in
        [(70, 20), (9_000, 20), (120_000, 20), (whole, 0), (whole, 5), (whole, 15), (whole, 60)]
    {
        stage.kill_after(bytes, Duration::from_millis(later)).await;
        let branch = stage.branch().await;
        stage.check(&branch, first, 1);
    }
    let branch = stage.branch().await;
    let second = branch.bring_up_to_date().await.unwrap();
    stage.check(&branch, second, 2);
    stage.check(&branch, first, 1);
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_told_and_what_is_here_stays() {
    let mut stage = Stage::new().await;
    stage.seed(1);
    let limited = async |stage: &Stage| {
        // Files of at most 50 KiB; without the signal the program is told by an error, as by a full disk.
        let mut command = tied("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"]).args(as_a_process());
        command.env(URL, stage.server.url(NAME)).env(MIRROR, stage.mirror());
        let said = finish(command).await.success();
        assert!(said.contains("MirrorFailed: the cache ") && said.contains("File too large"), "{said}");
        assert_eq!(stage.leftovers(), [""; 0].map(PathBuf::from));
    };
    limited(&stage).await;
    let branch = stage.branch().await;
    let first = branch.bring_up_to_date().await.unwrap();
    drop(branch);

    stage.seed(2);
    limited(&stage).await;
    let branch = stage.branch().await;
    stage.check(&branch, first, 1);
    let second = branch.bring_up_to_date().await.unwrap();
    stage.check(&branch, second, 2);
}
