//! The reference program: built once, then run for one commit at a time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::support::workspace;

/// What the program prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    pub commit: String,
    pub files: usize,
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    #[serde(rename = "peakKiB")]
    pub peak_kib: u64,
}

/// Runs it on the branch `main` of a repository. `images` is a file with a policy and its image a line; where `observed`
/// is the head, nothing is done.
pub async fn run(url: &str, images: &Path, observed: Option<&str>) -> Outcome {
    let mut command = Command::new(program());
    command.args(["-url", url, "-images"]).arg(images).stderr(Stdio::inherit());
    if let Some(commit) = observed {
        command.args(["-observed", &format!("main@sha1:{commit}")]);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
    let output = output.expect("the reference program");
    assert!(output.status.success(), "the reference failed: its own words are above");
    serde_json::from_slice(&output.stdout).expect("the reference's JSON")
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = workspace::checkout().join("scripts/bench-reference");
        let output = Command::new(&script).stderr(Stdio::inherit()).output().expect("bench-reference");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{} failed: its own words are above", script.display());
        PathBuf::from(printed.lines().last().expect("the path of the reference"))
    })
}
