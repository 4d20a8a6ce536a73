//! `tagtide apply`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};

use super::{APP, Desk};

const BOTH: [&str; 4] = ["--select", "shop/api=1.9.4", "--select", "shop/web=8"];

fn lifted() -> String {
    APP.replace("1.9.3", "1.9.4").replace("web:7", "web:8")
}

#[tokio::test]
async fn the_files_of_a_folder_are_changed_in_place() {
    let desk = Desk::with_repo();
    let file = desk.path("repo/apps/app.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let done = desk.apply(&[&BOTH[..], &["-o", "json"]].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (said["changes"].as_array().unwrap().len(), &said["problems"], &said["commit"]),
        (2, &json!([]), &Value::Null)
    );
    assert_eq!(desk.read("repo/apps/app.yaml"), lifted());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    let done = desk.apply(&BOTH).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "nothing to write\n"), "{done:?}");
}

#[tokio::test]
async fn no_link_is_written_through() {
    let desk = Desk::with_repo();
    desk.write("outside/app.yaml", APP);
    symlink(desk.path("outside/app.yaml"), desk.path("repo/link.yaml")).unwrap();
    symlink(desk.path("outside"), desk.path("repo/linked")).unwrap();
    desk.apply(&BOTH).await.success();
    assert_eq!((desk.read("outside/app.yaml"), desk.read("repo/apps/app.yaml")), (APP.to_owned(), lifted()));
}

#[tokio::test]
async fn a_bare_repository_gets_exactly_one_commit() {
    let desk = Desk::with_repo();
    desk.commit_repo();
    desk.clone_bare();
    let bare = ["apply", "--policies", "policies", "--repo", "bare", "--author", "Ada <ada@acme.example>"];
    let done = desk.run(&[&bare[..], &BOTH, &["-o", "json"]].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    let log = desk.git("bare", &["log", "--format=%H %an <%ae> %cn", "main"]);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!(lines[0], format!("{} Ada <ada@acme.example> Ada", said["commit"].as_str().unwrap()));
    let message = desk.git("bare", &["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("Tagtide-Update: shop/api 1.9.3 1.9.4\n"), "{message}");
    assert!(
        message.starts_with("Bump ghcr.io/acme/api to 1.9.4 and ghcr.io/acme/web to 8 in shop\n"),
        "{message}"
    );
    assert_eq!(desk.git("bare", &["show", "main:apps/app.yaml"]), lifted());
    assert_eq!(desk.git("bare", &["fsck", "--strict"]), "");

    let done = desk.run(&[&bare[..], &BOTH].concat()).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "nothing to write\n"), "{done:?}");
    assert_eq!(desk.git("bare", &["rev-list", "--count", "main"]).trim(), "2");
}

#[tokio::test]
async fn another_branch_of_a_bare_repository_can_be_named() {
    let desk = Desk::with_repo();
    desk.commit_repo();
    desk.git("repo", &["branch", "next"]);
    desk.clone_bare();
    let bare = ["apply", "--policies", "policies", "--repo", "bare", "--branch"];
    desk.run(&[&bare[..], &["next"], &BOTH].concat()).await.success();
    assert_eq!(desk.git("bare", &["rev-list", "--count", "main..next"]).trim(), "1");
    let done = desk.run(&[&bare[..], &["nowhere"], &BOTH].concat()).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("no branch nowhere"), "{done:?}");
}

#[tokio::test]
async fn a_work_tree_gets_one_commit_of_its_files_and_of_nothing_else() {
    let desk = Desk::with_repo();
    desk.write("repo/mine.yaml", "a: 1\n");
    desk.write("repo/staged.yaml", "a: 1\n");
    desk.commit_repo();
    desk.write("repo/mine.yaml", "a: 2\n");
    desk.write("repo/staged.yaml", "a: 2\n");
    desk.git("repo", &["add", "staged.yaml"]);
    let done = desk.apply(&BOTH).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        desk.git("repo", &["show", "--format=%an <%ae>", "--name-only"]),
        "tagtide <tagtide@localhost>\n\napps/app.yaml\n"
    );
    assert_eq!(desk.git("repo", &["status", "--porcelain"]), " M mine.yaml\nM  staged.yaml\n");
    assert_eq!(desk.read("repo/apps/app.yaml"), lifted());
    assert_eq!(desk.git("repo", &["rev-list", "--count", "main"]).trim(), "2");
}

#[tokio::test]
async fn a_file_that_someone_is_editing_stops_the_commit_before_anything_is_written() {
    let desk = Desk::with_repo();
    desk.write("repo/a.yaml", APP);
    desk.commit_repo();
    desk.write("repo/apps/app.yaml", format!("# mine\n{APP}"));
    let done = desk.apply(&BOTH).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("error: apps/app.yaml differs from the last commit"), "{done:?}");
    assert_eq!(desk.read("repo/a.yaml"), APP);
    assert_eq!(desk.git("repo", &["rev-list", "--count", "main"]).trim(), "1");

    desk.git("repo", &["checkout", "--quiet", "--detach", "--force"]);
    let done = desk.apply(&BOTH).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("HEAD is on no branch"), "{done:?}");
}
