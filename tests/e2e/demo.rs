//! `tagtide demo`: it shows the flow, and leaves nothing behind, however it ends.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::control_plane::tools;
use crate::support::process::finish;
use crate::support::{tagtide, wait_until, workspace};

const PATIENCE: Duration = Duration::from_secs(30);

/// A demo whose temporary folder is in `home`.
fn demo(home: &TempDir, args: &[&str]) -> Command {
    let mut command = tagtide::command(&[&["demo"], args].concat());
    // Neither a proxy nor the user's Git may come into it.
    let proxy = "http://127.0.0.1:9";
    command.env("TMPDIR", home.path()).env("HTTP_PROXY", proxy).env("http_proxy", proxy);
    command.env("GIT_DIR", "/nowhere").env("TAGTIDE_GATHER", "1h");
    command
}

/// A PATH with these programs and no others.
fn path_of(programs: &[&str]) -> TempDir {
    let folder = workspace::folder("path");
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in programs {
        let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
        symlink(found.expect("the program on PATH"), folder.path().join(program)).expect("a link");
    }
    folder
}

/// No file of the demo is left in `home`, and no process that knows of it.
async fn assert_nothing_is_left(home: &TempDir) {
    let left: Vec<_> = fs::read_dir(home.path()).expect("the folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let needle = home.path().as_os_str().as_encoded_bytes();
    // The last process of Git may still be on its way out.
    wait_until("all processes to end", Duration::from_secs(5), async || match processes_with(needle) {
        left if left.is_empty() => Ok(()),
        left => Err(left.join(", ")),
    })
    .await;
}

fn processes_with(needle: &[u8]) -> Vec<String> {
    let mentions = |file: &Path| {
        // A process may end while it is looked at.
        fs::read(file).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    let processes = fs::read_dir("/proc").expect("the processes").flatten().map(|entry| entry.path());
    processes
        .filter(|process| mentions(&process.join("cmdline")) || mentions(&process.join("environ")))
        .map(|process| process.display().to_string())
        .collect()
}

fn assert_is_the_whole_account(account: &str) {
    for wanted in [
        "shop/api    1.0.0 is the highest of 1 tag in >=1.0.0 <2.0.0\n",
        "refused 2.0.0-rc.1, PreRelease\n",
        " ms after the tag was pushed\n",
        "/acme/api to 1.1.0 in shop\n",
        "   +          image: 127.0.0.1:",
        "1.1.0 written to infra in ",
        "$ git revert ",
        "its folder is removed\n",
        "\nDone in ",
    ] {
        assert!(account.contains(wanted), "{wanted:?} is not in\n{account}");
    }
    let subjects = account.lines().filter(|line| line.trim_start().starts_with("Bump 127.0.0.1:")).count();
    assert!(subjects >= 1, "{account}");
    assert!(!account.contains('\u{1b}'), "colour where nobody sees it:\n{account}");
}

#[tokio::test]
async fn shows_the_flow_with_either_registry_and_leaves_nothing() {
    for (registry, words) in [("real", "the program `docker-registry`"), ("embedded", "embedded in Tagtide")]
    {
        let home = workspace::folder("demo");
        let started = Instant::now();
        let account = finish(demo(&home, &["--registry", registry])).await.success();
        assert!(started.elapsed() < PATIENCE, "it took {:?}", started.elapsed());
        assert!(account.contains(words), "{account}");
        assert_is_the_whole_account(&account);
        assert_nothing_is_left(&home).await;
    }
}

#[tokio::test]
async fn shows_the_flow_on_a_kubernetes_api() {
    let home = workspace::folder("demo");
    let mut command = demo(&home, &["--cluster"]);
    command.env("KUBEBUILDER_ASSETS", tools());
    let account = finish(command).await.success();
    for wanted in [
        "customresourcedefinition.apiextensions.k8s.io/imagepolicies.tagtide.dev created",
        "$ kubectl -n shop get imagepolicies",
        "refused 2.0.0-rc.1, PreRelease\n",
        "/acme/api to 1.1.0 in shop",
        "Committed",
        "its folder is removed\n",
    ] {
        assert!(account.contains(wanted), "{wanted:?} is not in\n{account}");
    }
    let rows: Vec<Vec<&str>> = account
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|row: &Vec<&str>| row.first() == Some(&"api"))
        .collect();
    let chosen: Vec<_> = rows.iter().map(|row| &row[2..5]).collect();
    assert_eq!(chosen, [["1.0.0", "1.0.0", "True"], ["1.1.0", "1.1.0", "True"]], "{account}");
    assert_nothing_is_left(&home).await;
}

#[tokio::test]
async fn without_a_registry_program_it_says_so_and_uses_its_own() {
    let home = workspace::folder("demo");
    let path = path_of(&["setpriv", "git"]);
    let mut command = demo(&home, &[]);
    command.env("PATH", path.path());
    let account = finish(command).await.success();
    assert!(account.contains("`docker-registry` is not installed, so the embedded one is used"), "{account}");
    assert_is_the_whole_account(&account);
}

#[tokio::test]
async fn a_missing_program_is_named_and_nothing_is_left() {
    for (programs, args, wanted) in [
        (&["setpriv"][..], &[][..], "failed to run `git`; is it installed and on PATH?"),
        (&["setpriv", "git"], &["--registry", "real"], "the Debian package docker-registry has it"),
        (&["setpriv", "git"], &["--cluster", "--assets", "/nowhere"], "failed to start `/nowhere/etcd`"),
    ] {
        let home = workspace::folder("demo");
        let path = path_of(programs);
        let mut command = demo(&home, args);
        command.env("PATH", path.path());
        let finished = finish(command).await;
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.starts_with("error: ") && finished.stderr.contains(wanted), "{finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
        assert_nothing_is_left(&home).await;
    }
}

#[tokio::test]
async fn stopped_at_any_step_it_still_cleans_up() {
    for (step, signal) in [
        ("1  Start a container registry", Signal::INT),
        ("4  Run Tagtide", Signal::TERM),
        ("6  Push 1.1.0", Signal::INT),
    ] {
        let (home, logs) = (workspace::folder("demo"), workspace::folder("demo-log"));
        let log = logs.path().join("account");
        let mut command = tokio::process::Command::from(demo(&home, &[]));
        let output = fs::File::create(&log).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        wait_until(step, PATIENCE, async || {
            let account = fs::read_to_string(&log).unwrap();
            if account.contains(step) { Ok(()) } else { Err(account) }
        })
        .await;
        // To the demo alone: what it started is for itself to end.
        let id = i32::try_from(process.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
        let account = fs::read_to_string(&log).unwrap();
        assert_eq!(status.code(), Some(1), "{account}");
        assert!(account.contains("error: failed to finish the demo: it was asked to stop"), "{account}");
        assert_nothing_is_left(&home).await;
    }
}

#[tokio::test]
async fn a_kept_demo_can_be_looked_at() {
    let home = workspace::folder("demo");
    let kept = home.path().join("kept");
    let args = ["--registry", "embedded", "--keep", kept.to_str().unwrap()];
    let account = finish(demo(&home, &args)).await.success();
    assert!(account.contains(&format!("{} is kept", kept.display())), "{account}");
    let mut log = Command::new("git");
    log.arg("--git-dir").arg(kept.join("git/infra.git")).args(["log", "--format=%an: %s", "main"]);
    let log = finish(log).await.success();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("tagtide: Bump ") && lines[1..] == ["You: Run the API at 1.0.0"], "{log}");
    let again = finish(demo(&home, &args)).await;
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("it is not empty; name a folder that is"), "{}", again.stderr);
}
