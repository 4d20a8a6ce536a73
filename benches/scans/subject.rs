//! The programs that are measured, each run once for a task.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::RANGE;
use crate::process_cost::{cpu_seconds, peak_mib};
use crate::scanner::{Outcome, TASK, Task};
use crate::support::process::Process;
use crate::support::{tagtide as program, workspace};
use crate::table::Cost;

/// Tagtide's client and policies, in a process of their own.
pub async fn tagtide(task: &Task) -> Cost {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(TASK, serde_json::to_string(task).expect("JSON"));
    measured(command).await
}

/// The same with the libraries of Flux.
pub async fn reference(task: &Task) -> Cost {
    let script = workspace::checkout().join("scripts/bench-reference");
    let output = Command::new(&script)
        .arg("reference-scans")
        .stderr(Stdio::inherit())
        .output()
        .expect("bench-reference");
    assert!(output.status.success(), "{} failed: its own words are above", script.display());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut command = Command::new(printed.lines().last().expect("the path of the reference"));
    let (images, rounds) = (task.images.to_string(), task.rounds.to_string());
    command.args(["-host", &task.host, "-range", RANGE, "-images", &images, "-rounds", &rounds]);
    measured(command).await
}

async fn measured(mut command: Command) -> Cost {
    command.stderr(Stdio::inherit());
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("a program");
    assert!(output.status.success(), "the measured program failed: its own words are above");
    let outcome: Outcome = serde_json::from_slice(&output.stdout).expect("its JSON");
    assert!(outcome.winner.starts_with("v1."), "{outcome:?}");
    Cost {
        seconds: outcome.wall_seconds,
        cpu_seconds: outcome.cpu_seconds,
        peak_mib: outcome.peak_kib as f64 / 1024.0,
        allocations: outcome.allocations as f64,
    }
}

/// The whole program over a folder with a policy for each image, from its start until each has chosen. It reads the
/// objects, and shows and writes a status for each.
pub async fn standalone(task: &Task) -> Cost {
    let folder = workspace::folder("bench");
    let host = &task.host;
    let mut objects = format!(
        "apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
         spec: {{host: '{host}', insecure: true, limits: {{concurrency: 64}}}}\n"
    );
    for number in 0..task.images {
        let image = task.image(number);
        let _ = write!(
            objects,
            "---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: app-{number}, namespace: shop}}\n\
             spec: {{image: '{image}', interval: 1h, select: {{semver: {{range: '{RANGE}'}}}}}}\n"
        );
    }
    std::fs::write(folder.path().join("objects.yaml"), objects).expect("the objects");
    let path = folder.path().to_string_lossy().into_owned();
    let command =
        program::command(&["standalone", "--allow-http", "--allow-cidr=127.0.0.0/8", "--policies", &path]);
    let began = Instant::now();
    let process = program::start(command, folder.path());
    let seconds = until_all_chose(&process, folder.path(), task.images, began).await;
    Cost { seconds, cpu_seconds: cpu_seconds(&process), peak_mib: peak_mib(&process), ..Cost::default() }
}

async fn until_all_chose(process: &Process, folder: &Path, images: usize, began: Instant) -> f64 {
    let log = folder.join("tagtide.log");
    loop {
        let chosen = std::fs::read_to_string(&log).unwrap_or_default().matches(" Succeeded: v1.").count();
        if chosen >= images {
            return began.elapsed().as_secs_f64();
        }
        assert!(process.exit_status().is_none(), "it ended: {}", process.log());
        assert!(began.elapsed() < Duration::from_secs(180), "waited three minutes; {chosen} have chosen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
