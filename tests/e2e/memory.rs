//! What repositories can make the process hold, all of them together.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::git_server::GitServer;
use crate::support::infra_repo::{InfraRepo, NAME};
use crate::support::{tagtide, wait_until, workspace};

/// The limit of the chart, in kB.
const LIMIT: u64 = 256 << 10;

/// One namespace each.
const REPOSITORIES: usize = 8;

/// Text that no compression makes small.
fn noise(bytes: u64) -> String {
    let mut random = Vec::new();
    fs::File::open("/dev/urandom").and_then(|file| file.take(bytes).read_to_end(&mut random)).expect("noise");
    STANDARD.encode(random)
}

#[tokio::test]
async fn files_that_are_differences_to_large_ones_do_not_unfold_all_at_once() {
    let (repo, folder) = (InfraRepo::new(), workspace::folder("memory"));
    let large = noise(42 << 20);
    let part = large.get(..15 << 20).expect("a part");
    repo.seed(&[("apps/large.yaml", &large), ("apps/part.yaml", part)]);
    drop(large);
    // The smaller one becomes the difference to the larger one.
    repo.git(&repo.path(), &["repack", "-q", "-a", "-d", "-f"]).success();
    let server = GitServer::start(repo.root()).await;
    let mut objects = String::new();
    for number in 0..REPOSITORIES {
        let here = format!("file://{}", repo.path().display());
        let url = if number % 2 == 0 { here } else { server.url(NAME) };
        let _ = write!(
            objects,
            "---\napiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\n\
             metadata: {{name: infra, namespace: n{number}}}\nspec: {{url: '{url}', interval: 1h}}\n"
        );
    }
    fs::write(folder.path().join("infra.yaml"), objects).expect("the objects");
    let command = tagtide::command(&[
        "standalone",
        "--policies",
        &folder.path().to_string_lossy(),
        "--allow-file",
        "--allow-http",
        "--allow-cidr=127.0.0.0/8",
    ]);
    let process = tagtide::start(command, folder.path());
    wait_until("all to be read", Duration::from_secs(120), async || {
        let log = process.log();
        let read =
            |number| log.contains(&format!("InfraRepository n{number}/infra  Succeeded")).then_some(());
        (0..REPOSITORIES).try_for_each(read).ok_or(log)
    })
    .await;
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("the process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < LIMIT, "{peak} kB");
}
