//! The programs of a demo: some run to their end, some as long as the demo does.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a program that should end at once may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a program that should run to its end did not, or not well.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("run `{program}`; is it installed and on PATH?")]
    Start {
        /// The program's name or path.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// It says that it failed.
    #[error("run `{line}`: it ended with {status} and said {said:?}")]
    Failed {
        /// The command line.
        line: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error.
        said: String,
    },
    /// It took too long, and was killed.
    #[error("run `{line}` within {PATIENCE:?}")]
    Slow {
        /// The command line.
        line: String,
    },
}

/// A command that sees none of the user's own settings: no Git configuration, no cluster, no proxy.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a command to its end and gives what it printed.
pub(super) async fn finish(command: Command) -> Result<String, ProgramError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(PATIENCE, output).await {
        Ok(output) => output.map_err(|source| ProgramError::Start { program, source })?,
        Err(_) => return Err(ProgramError::Slow { line }),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ProgramError::Failed { line, status: output.status, said })
}

/// A program that runs beside the demo. It is killed, and gone, when this value is dropped: its folder can be removed
/// then.
pub(super) struct Part(Child);

impl Part {
    /// Starts a command; all that it prints goes to the file `log`.
    pub(super) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        command.spawn().map(Self)
    }

    /// How it ended; nothing while it runs.
    pub(super) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Both fail only where it has ended already and was waited for, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_command_sees_nothing_of_the_environment_but_the_path() {
        let printed = finish(shell("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=")).await.unwrap();
        let names: Vec<&str> = printed.lines().filter_map(|line| line.split('=').next()).collect();
        assert_eq!(names, ["PATH"]);
    }

    #[tokio::test]
    async fn a_failure_names_the_command_and_what_it_said() {
        let error = finish(shell("echo low tide >&2; exit 3")).await.unwrap_err().to_string();
        assert!(error.contains("echo low tide") && error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("\"low tide\""), "{error}");
        let missing = finish(command("tagtide-no-such-program")).await.unwrap_err();
        assert!(matches!(missing, ProgramError::Start { .. }), "{missing}");
    }

    #[test]
    fn a_dropped_part_is_gone_and_its_words_are_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("part.log");
        let mut part = Part::start(shell("echo $$; exec sleep 1000"), &log).unwrap();
        let id = loop {
            let printed = std::fs::read_to_string(&log).unwrap();
            match printed.trim().parse::<u32>() {
                Ok(id) => break id,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert_eq!(part.exit_status().unwrap(), None);
        drop(part);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}
