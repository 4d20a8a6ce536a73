//! What every command has in common.

use std::collections::BTreeMap;
use std::fs;

use super::Desk;
use crate::support::tagtide;

#[tokio::test]
async fn every_command_tells_its_exit_codes_and_an_example() {
    let help = tagtide::run(&["--help"]).await.success();
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> =
        listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.contains(&"run") && commands.contains(&"explain"), "{help}");
    for command in commands {
        let help = tagtide::run(&[command, "--help"]).await.success();
        assert!(help.contains("\nExit codes: 0 "), "{command}: {help}");
        assert!(
            help.contains("\nExample: ") && help.contains(&format!("tagtide {command}")),
            "{command}: {help}"
        );
    }
}

#[tokio::test]
async fn an_unknown_flag_or_command_is_bad_input() {
    for args in [&["plam"][..], &["plan", "--polices", "x"], &[]] {
        assert_eq!(tagtide::run(args).await.code, Some(2), "{args:?}");
    }
    assert!(tagtide::run(&["--version"]).await.success().starts_with("tagtide "));
}

#[tokio::test]
async fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tagtide::run(&["completions", shell]).await.success();
        assert!(["explain", "plan", "apply", "crds"].iter().all(|name| script.contains(name)), "{shell}");
    }
    assert_eq!(tagtide::run(&["completions", "tcsh"]).await.code, Some(2));
}

#[tokio::test]
async fn a_reader_that_leaves_early_is_no_failure() {
    let script = format!("{} crds | head -n 1; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_tagtide"));
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]);
    let done = crate::support::process::finish(command).await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
}

#[tokio::test]
async fn definitions_are_written_as_they_are_committed() {
    let desk = Desk::new();
    desk.run(&["crds", "--out", "one", "--out", "two/deep"]).await.success();
    let files = |folder: std::path::PathBuf| -> BTreeMap<String, String> {
        let entries = fs::read_dir(folder).expect("the folder").filter_map(Result::ok);
        let read = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(entry.path()).expect("the file"))
        };
        entries.map(read).collect()
    };
    let committed = files(crate::support::workspace::checkout().join("crds"));
    assert_eq!(committed.len(), 3);
    for folder in ["one", "two/deep"] {
        assert!(files(desk.path(folder)) == committed, "{folder} differs from crds/; run `make crds`");
    }
}
