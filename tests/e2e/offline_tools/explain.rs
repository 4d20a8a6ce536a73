//! `tagtide explain`.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::Desk;
use crate::support::registry::{Access, PASSWORD, Registry, USER};
use crate::support::tagtide;

#[tokio::test]
async fn a_choice_is_explained_in_the_shape_that_scripts_read() {
    let desk = Desk::new();
    desk.write("tags", "# from the registry\r\n1.9.3\r\n1.9.4\r\n\r\n2.0.0\nlatest\n1.9.5-rc.1\n");
    let done = desk.explain(&["--policy", "shop/api", "--tags", "tags", "-o", "json"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    let refused =
        |tag: &str, reason: &str, message: &str| json!({ "tag": tag, "reason": reason, "message": message });
    let wanted = json!({
        "policy": "shop/api",
        "selected": { "tag": "1.9.4", "version": "1.9.4" },
        "reason": "highest of 2 tags in >=1.4.0 <2.0.0",
        "refused": [
            refused("2.0.0", "OutOfRange", "2.0.0 is not in >=1.4.0 <2.0.0"),
            refused("1.9.5-rc.1", "PreRelease", "1.9.5-rc.1 is a pre-release; `prereleases: true` would admit it"),
            refused("1.9.3", "Outranked", "lower than 1.9.4"),
            refused("latest", "NotAVersion", "is no version"),
        ],
    });
    assert_eq!(said, wanted);
    assert_eq!(done.stderr, "");
}

#[tokio::test]
async fn nothing_chosen_is_exit_code_3_and_null() {
    let desk = Desk::new();
    desk.write("tags.json", r#"{"name": "acme/api", "tags": ["2.0.0", "v3"]}"#);
    let done = desk.explain(&["--policy", "shop/api", "--tags", "tags.json", "-o", "json"]).await;
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &said["selected"]), (Some(3), &Value::Null), "{done:?}");
    assert_eq!(said["refused"].as_array().unwrap().len(), 2);
    desk.write("tags.json", r#"{"name": "acme/api", "tags": null}"#);
    let done = desk.explain(&["--policy", "shop/api", "--tags", "tags.json"]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
}

#[tokio::test]
async fn a_person_reads_the_winner_first_and_then_the_nearest_misses() {
    let desk = Desk::new();
    let many: String = (0..50).map(|patch| format!("1.4.{patch}\n")).collect();
    desk.write("tags", format!("{many}1.9.4\n2.0.0\n"));
    let done = desk.explain(&["--policy", "shop/api", "--tags", "tags"]).await;
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "shop/api  ghcr.io/acme/api",
            "  1.9.4   Selected    highest of 51 tags in >=1.4.0 <2.0.0",
            "  2.0.0   OutOfRange  2.0.0 is not in >=1.4.0 <2.0.0",
        ]
    );
    assert_eq!(lines.last(), Some(&"  and 31 more, which -o json lists"));
}

#[tokio::test]
async fn tags_come_from_a_pipe_too() {
    let desk = Desk::new();
    let args = ["explain", "--policies", "policies", "--policy", "shop/web", "--tags", "-", "-o", "json"];
    let mut command = tokio::process::Command::from(tagtide::command(&args));
    command.current_dir(desk.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program");
    child.stdin.take().expect("its input").write_all(b"7\n20251123093000123456\n").await.expect("a reader");
    let output = child.wait_with_output().await.expect("its end");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["selected"]["tag"], "20251123093000123456");
}

#[tokio::test]
async fn a_hostile_list_reaches_no_terminal() {
    let desk = Desk::new();
    let hostile = "1.9.4\n\u{1b}[2J\u{1b}]0;owned\u{7}\n1.9.5\u{202e}\n1.9.6\u{9b}0m\n../../etc\n-rf\n";
    desk.write("tags", hostile);
    for output in ["text", "json"] {
        let done = desk.explain(&["--policy", "shop/api", "--tags", "tags", "-o", output]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        let all = done.stdout + &done.stderr;
        assert!(all.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{all:?}");
        assert!(all.contains("dropped 5 of 6 names"), "{all}");
        assert!(!all.contains("etc") && !all.contains("-rf"), "{all}");
    }
}

#[tokio::test]
async fn bad_input_is_exit_code_2_and_says_where_and_what_would_be_right() {
    let desk = Desk::new();
    desk.write("tags", "1.9.4\n");
    desk.write("latin1", b"1.9.4\ncaf\xe9\n");
    desk.write("broken.json", "{\n\"tags\": [1]}\n");
    let range = super::POLICIES.replace(">=1.4.0 <2.0.0", ">=1.4.0 <2.0.x.y");
    desk.write("bad-range/shop.yaml", range);
    desk.write(
        "bad-field/shop.yaml",
        super::POLICIES.replace("  image: ghcr.io/acme/api", "  imgae: ghcr.io/acme/api"),
    );
    let explain = ["explain", "--policies"];
    for (args, wanted) in [
        (["nowhere", "shop/api", "tags"], vec!["error: --policies: nowhere can not be read: "]),
        (
            ["policies", "shop/apj", "tags"],
            vec!["error: the folder has no ImagePolicy shop/apj", "hint: it has shop/api, shop/web"],
        ),
        (["policies", "api", "tags"], vec!["NAMESPACE/NAME, such as shop/api"]),
        (["policies", "shop/api", "nowhere"], vec!["error: nowhere can not be read: "]),
        (["policies", "shop/api", "latin1"], vec!["error: latin1:2: the line is not UTF-8"]),
        (
            ["policies", "shop/api", "broken.json"],
            vec!["error: broken.json:2: it is neither the JSON of tags/list"],
        ),
        (
            ["bad-range", "shop/api", "tags"],
            vec!["error: bad-range/shop.yaml:7: ImagePolicy shop/api: spec.select.semver.range: "],
        ),
        (
            ["bad-field", "shop/api", "tags"],
            vec![
                "error: bad-field/shop.yaml:5: ImagePolicy shop/api: spec.imgae: unknown field `imgae`",
                "did you mean image?",
            ],
        ),
    ] {
        let [policies, policy, tags] = args;
        let done = desk.run(&[&explain[..], &[policies, "--policy", policy, "--tags", tags]].concat()).await;
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{args:?}: {done:?}");
        for part in wanted {
            assert!(done.stderr.contains(part), "{args:?}: {}", done.stderr);
        }
    }
}

#[tokio::test]
async fn a_bad_neighbour_is_told_and_stops_nothing() {
    let desk = Desk::new();
    desk.write("tags", "1.9.4\n");
    desk.write(
        "policies/other.yaml",
        "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: x}\n",
    );
    let done = desk.explain(&["--policy", "shop/api", "--tags", "tags"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stderr.contains("warning: policies/other.yaml:1: ImagePolicy default/x: missing field `spec`"),
        "{done:?}"
    );
}

#[tokio::test]
async fn without_a_list_the_registry_is_asked_with_the_folders_secret() {
    let registry = Registry::start(Access::Password).await;
    for tag in ["1.9.3", "1.9.4", "2.0.0"] {
        registry.push("acme/api", tag).await;
    }
    let (desk, host) = (Desk::new(), registry.host());
    let policy = super::POLICIES.replace("ghcr.io", &host).replacen(
        "spec:\n",
        "spec:\n  credentials: {secretRef: {name: pull}}\n",
        1,
    );
    desk.write("policies/shop.yaml", policy);
    desk.write(
        "policies/more.yaml",
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: pull, namespace: shop}}\n\
             stringData: {{username: {USER}, password: {PASSWORD}}}\n---\n\
             apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
             spec: {{host: '{host}', insecure: true}}\n"
        ),
    );
    let ask = ["--policy", "shop/api", "-o", "json"];
    let allowed = [&ask[..], &["--allow-http", "--allow-cidr", "127.0.0.0/8"]].concat();
    let done = desk.explain(&allowed).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&said["selected"]["tag"], &said["refused"][0]["tag"]), (&json!("1.9.4"), &json!("2.0.0")));
    assert!(!(done.stdout + &done.stderr).contains(PASSWORD));

    let done = desk.explain(&ask).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("--allow-http"), "{done:?}");
    let done = desk.explain(&[&ask[..], &["--allow-http"]].concat()).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("--allow-cidr"), "{done:?}");

    let other = desk.explain(&[&["--policy", "shop/web"], &allowed[2..]].concat()).await;
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("asks for credentials"), "{other:?}");
}

#[tokio::test]
async fn what_images_are_is_asked_of_the_registry_and_shown() {
    let registry = Registry::start(Access::Anonymous).await;
    let old = registry.push_image("acme/api", "main-2", json!({ "created": "2026-11-20T09:30:00Z" })).await;
    let newest = json!({ "created": "2026-11-21T09:30:00Z", "architecture": "arm64" });
    registry.push_image("acme/api", "main-1", newest).await;
    registry.push_image("acme/api", "main-3", json!({ "created": "1970-01-01T00:00:00Z" })).await;
    let (desk, host) = (Desk::new(), registry.host());
    desk.write(
        "policies/shop.yaml",
        format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: shop}}\n\
             spec: {{image: '{host}/acme/api', select: {{newestBuild: {{}}}}, platforms: [linux/amd64], pin: Digest}}\n---\n\
             apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
             spec: {{host: '{host}', insecure: true}}\n"
        ),
    );
    let ask = ["--policy", "shop/api", "--allow-http", "--allow-cidr", "127.0.0.0/8"];
    let done = desk.explain(&[&ask[..], &["-o", "json"]].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        said,
        json!({
            "policy": "shop/api",
            "selected": {
                "tag": "main-2", "version": "2026-11-20T09:30:00Z", "digest": old, "created": "2026-11-20T09:30:00Z",
            },
            "reason": "newest build of 3 tags, but for 1 not for linux/amd64",
            "refused": [
                {
                    "tag": "main-1", "reason": "PlatformMissing",
                    "message": "does not exist for linux/amd64, only for linux/arm64",
                },
                {
                    "tag": "main-3", "reason": "Undated",
                    "message": "does not say when it was built; times up to 1980 say nothing",
                },
            ],
        })
    );
    let table = desk.explain(&ask).await.success();
    assert!(table.contains(&format!("\n  {old}\n")) && table.contains("PlatformMissing"), "{table}");

    desk.write("tags", "main-1\n");
    let offline = desk.explain(&["--policy", "shop/api", "--tags", "tags"]).await;
    assert_eq!(offline.code, Some(2), "{offline:?}");
    let problem = "shop/api: a list of tags does not tell what select.newestBuild asks for";
    assert!(offline.stderr.contains(problem) && offline.stderr.contains("leave --tags out"), "{offline:?}");
}
