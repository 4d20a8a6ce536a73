//! `tagtide plan`.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{APP, Desk, copy};
use crate::support::process::{finish, tied};
use crate::support::registry::{Access, Registry};
use crate::support::tagtide;

const BOTH: [&str; 4] = ["--select", "shop/api=1.9.4", "--select", "shop/web=8"];

#[tokio::test]
async fn git_applies_the_diff_and_then_nothing_is_left_to_plan() {
    let desk = Desk::with_repo();
    desk.write("repo/with space/ä \"q\".yaml", APP.replace("\r\n", "\n"));
    desk.write("repo/apps/other.yaml", "image: ghcr.io/acme/api:1.9.3\n");
    desk.write("repo/.github/ci.yml", "image: ghcr.io/acme/web:7 # {\"$imagepolicy\": \"shop:web\"}\n");
    copy(&desk.path("repo"), &desk.path("applied"));
    let done = desk.plan(&BOTH).await;
    assert_eq!(done.code, Some(10), "{done:?}");
    assert!(done.stdout.contains("\n\\ No newline at end of file\n"), "{}", done.stdout);
    desk.write("change.diff", &done.stdout);
    desk.git("repo", &["apply", "--whitespace=error-all", "-p1", "../change.diff"]);
    assert_eq!(desk.read("repo/apps/app.yaml"), APP.replace("1.9.3", "1.9.4").replace("web:7", "web:8"));
    assert_eq!(desk.plan(&BOTH).await.code, Some(0));

    let args = ["apply", "--policies", "policies", "--repo", "applied"];
    desk.run(&[&args[..], &BOTH].concat()).await.success();
    desk.git(".", &["diff", "--no-index", "--exit-code", "repo", "applied"]);
}

#[tokio::test]
async fn a_plan_is_told_in_the_shape_that_scripts_read() {
    let desk = Desk::with_repo();
    desk.write(
        "repo/z.yaml",
        "a: b\nimage: x:1 # {\"$imagepolicy\": \"shop:apj\"}\nb: y # {\"$imagepolicy\": 1}\n",
    );
    let done = desk.plan(&[&BOTH[..], &["-o", "json"]].concat()).await;
    assert_eq!(done.code, Some(10), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    let change = |line: u64, policy: &str, from: &str, to: &str| {
        let (from, to) = (format!("ghcr.io/acme/{from}"), format!("ghcr.io/acme/{to}"));
        json!({ "file": "apps/app.yaml", "line": line, "policy": policy, "from": from, "to": to })
    };
    let changes = [change(4, "shop/api", "api:1.9.3", "api:1.9.4"), change(5, "shop/web", "web:7", "web:8")];
    assert_eq!(said["changes"], json!(changes));
    let why = "given on the command line";
    assert_eq!(
        said["policies"][0],
        json!({ "policy": "shop/api", "from": ["1.9.3"], "to": "1.9.4", "why": why, "places": 1 })
    );
    assert!(done.stderr.contains(&format!("shop/web  7 → 8  in 1 place: {why}")), "{done:?}");
    let unknown = "the marker names the policy shop/apj, which does not exist; did you mean shop/api?";
    let problems = &said["problems"];
    assert_eq!(
        problems[0],
        json!({ "file": "z.yaml", "line": 2, "reason": "UnknownPolicy", "message": unknown })
    );
    assert_eq!((&problems[1]["line"], &problems[1]["reason"]), (&json!(3), &json!("InvalidMarker")));
    assert_eq!((problems.as_array().unwrap().len(), said.as_object().unwrap().len()), (2, 3));
    assert!(done.stderr.contains(&format!("warning: z.yaml:2: UnknownPolicy: {unknown}")), "{done:?}");
}

#[tokio::test]
async fn the_yaml_of_a_plan_says_what_its_json_says() {
    let desk = Desk::with_repo();
    let json = desk.plan(&[&BOTH[..], &["-o", "json"]].concat()).await;
    let yaml = desk.plan(&[&BOTH[..], &["-o", "yaml"]].concat()).await;
    assert_eq!((json.code, yaml.code), (Some(10), Some(10)), "{yaml:?}");
    let read: Value = serde_saphyr::from_str(&yaml.stdout).unwrap();
    assert_eq!(read, serde_json::from_str::<Value>(&json.stdout).unwrap());
}

#[tokio::test]
async fn colour_and_progress_are_for_terminals_only() {
    let registry = Registry::start(Access::Anonymous).await;
    registry.push("acme/api", "1.0.0").await;
    registry.push("acme/api", "1.1.0").await;
    let desk = Desk::new();
    let host = registry.host();
    desk.write(
        "policies/local.yaml",
        format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
         spec: {{host: '{host}', insecure: true}}\n---\napiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\n\
         metadata: {{name: live, namespace: shop}}\n\
         spec: {{image: '{host}/acme/api', select: {{semver: {{range: '*'}}}}}}\n"
        ),
    );
    desk.write(
        "repo/app.yaml",
        format!("image: {host}/acme/api:1.0.0 # {{\"$imagepolicy\": \"shop:live\"}}\n"),
    );
    let plan =
        ["plan", "--policies", "policies", "--repo", "repo", "--allow-http", "--allow-cidr=127.0.0.0/8"];
    let piped = async || {
        let mut command = tagtide::command(&plan);
        command.env_remove("NO_COLOR").current_dir(desk.path("."));
        finish(command).await
    };
    let on_terminal = async || {
        let mut command = tied("script");
        let words = format!("{} {}", env!("CARGO_BIN_EXE_tagtide"), plan.join(" "));
        command.args(["-qec", &words, "/dev/null"]).current_dir(desk.path(".")).env("TERM", "xterm");
        command.env_remove("NO_COLOR").env_remove("KUBECONFIG");
        finish(command).await
    };
    // The registry stands still for longer than nobody would ask about.
    let slowly = async {
        registry.pause();
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        registry.resume();
    };
    let (seen, ()) = tokio::join!(on_terminal(), slowly);
    assert_eq!(seen.code, Some(10), "{seen:?}");
    assert!(seen.stdout.contains("0 of 1 images asked for"), "{seen:?}");
    assert!(seen.stdout.contains("\u{1b}[32m+image"), "the diff is coloured: {seen:?}");
    let slowly = async {
        registry.pause();
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        registry.resume();
    };
    let (piped, ()) = tokio::join!(piped(), slowly);
    assert_eq!(piped.code, Some(10), "{piped:?}");
    assert!(!piped.stdout.contains('\u{1b}') && !piped.stderr.contains('\u{1b}'), "{piped:?}");
    assert!(!piped.stderr.contains("asked for"), "{piped:?}");
}

#[tokio::test]
async fn a_bare_repository_is_planned_as_its_files_are() {
    let desk = Desk::with_repo();
    desk.commit_repo();
    desk.clone_bare();
    desk.git("repo", &["branch", "next"]);
    let of_files = desk.plan(&BOTH).await;
    let of_bare =
        desk.run(&[&["plan", "--policies", "policies", "--repo", "bare"], &BOTH[..]].concat()).await;
    assert_eq!((of_bare.code, of_bare.stdout), (Some(10), of_files.stdout));
}

#[tokio::test]
async fn a_link_to_what_is_not_looked_at_is_told_on_disk_and_in_a_bare_repository() {
    let desk = Desk::with_repo();
    for (to, link) in [
        ("app.yaml", "seen.yaml"),
        ("../../app.yaml", "outside.yaml"),
        ("seen.yaml", "chain.yaml"),
        ("notes.txt", "notes.yaml"),
        ("gone.yaml", "notes.txt"),
    ] {
        symlink(to, desk.path(&format!("repo/apps/{link}"))).unwrap();
    }
    desk.commit_repo();
    desk.clone_bare();
    for repo in ["repo", "bare"] {
        let args = ["plan", "--policies", "policies", "--repo", repo, "-o", "json"];
        let done = desk.run(&[&args[..], &BOTH].concat()).await;
        let said: Value = serde_json::from_str(&done.stdout).unwrap();
        let problems = said["problems"].as_array().unwrap().iter();
        let mut told: Vec<_> =
            problems.map(|one| format!("{}: {}: {}", one["file"], one["reason"], one["message"])).collect();
        told.sort();
        let wanted = [("chain", "seen.yaml"), ("notes", "notes.txt"), ("outside", "../../app.yaml")];
        let wanted = wanted.map(|(link, to)| {
            format!(
                "\"apps/{link}.yaml\": \"Symlink\": \"the file is a link to {to}, which is not followed and not looked at by itself\""
            )
        });
        assert_eq!((done.code, told.as_slice()), (Some(10), wanted.as_slice()), "{repo}");
    }
}

#[tokio::test]
async fn problems_of_markers_do_not_change_the_exit_code() {
    let desk = Desk::new();
    desk.write("repo/z.yaml", "image: x:1 # {\"$imagepolicy\": \"shop:apj\"}\n");
    let done = desk.plan(&[]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{done:?}");
    assert!(done.stderr.contains("UnknownPolicy"), "{done:?}");
}

#[tokio::test]
async fn a_bad_object_is_exit_code_2_and_the_others_are_planned() {
    let desk = Desk::with_repo();
    desk.write("policies/shop.yaml", super::POLICIES.replace("numerical: {}", "numerical: {order: Upwards}"));
    let done = desk.plan(&["--select", "shop/api=1.9.4"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stdout.contains("+    - image: ghcr.io/acme/api:1.9.4"), "{}", done.stdout);
    assert!(done.stderr.contains("error: policies/shop.yaml:15: ImagePolicy shop/web: spec.select.numerical.order: unknown variant `Upwards`, expected `Ascending` or `Descending`"), "{done:?}");
    assert!(done.stderr.contains("NotChosen: the policy shop/web has chosen no tag: its object can not be read: policies/shop.yaml:15"), "{done:?}");

    desk.write("policies/shop.yaml", super::POLICIES.replace("<2.0.0", "<two"));
    let done = desk.plan(&["--select", "shop/web=8"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stdout.contains("ghcr.io/acme/web:8"), "{}", done.stdout);
    assert!(
        done.stderr.contains("error: policies/shop.yaml:7: ImagePolicy shop/api: spec.select.semver.range: "),
        "{done:?}"
    );
}

#[tokio::test]
async fn bad_input_is_exit_code_2_and_says_what_would_be_right() {
    let desk = Desk::with_repo();
    desk.write("repo.txt", "");
    let infra = "apiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\nmetadata: {name: infra, namespace: shop}\n\
        spec: {url: 'https://git.example.com/infra.git', paths: {include: ['a[']}}\n";
    desk.write("bad-glob/all.yaml", format!("{}---\n{infra}", super::POLICIES));
    for (args, wanted) in [
        (vec!["policies", "nowhere"], "error: --repo nowhere: "),
        (vec!["policies", "repo.txt"], "error: --repo repo.txt: it is no folder"),
        (vec!["nowhere", "repo"], "error: --policies: nowhere can not be read: "),
        (vec!["policies", "repo", "--select", "shop/apj=1"], "error: the folder has no ImagePolicy shop/apj"),
        (
            vec!["policies", "repo", "--select", "shop/api"],
            "it should read NAMESPACE/NAME=TAG, such as shop/api=1.9.4",
        ),
        (vec!["policies", "repo", "--select", "shop/api=1 2"], "is not a tag"),
        (vec!["policies", "repo", "--select", "shop/api=1@sha256:0"], "is not a digest"),
        (vec!["policies", "repo", "--select", "shop/api=1.9.4", "--select", "shop/api=1.9.5"], "given twice"),
        (
            vec!["policies", "repo", "--repository", "shop/infra"],
            "error: the folder has no InfraRepository shop/infra",
        ),
        (vec!["policies", "repo", "--branch", "main"], "it is no bare repository"),
        (vec!["policies", "repo", "--branch", "a..b"], "is no branch name"),
        (
            vec!["bad-glob", "repo", "--repository", "shop/infra"],
            "error: bad-glob/all.yaml:20: InfraRepository shop/infra: spec.paths.include[0]: ",
        ),
    ] {
        let (paths, more) = args.split_at(2);
        let done = desk.run(&[&["plan", "--policies", paths[0], "--repo", paths[1]], more].concat()).await;
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{args:?}: {done:?}");
        assert!(done.stderr.contains(wanted), "{args:?}: {}", done.stderr);
    }
}

#[tokio::test]
async fn a_given_tag_never_goes_below_what_git_holds() {
    let desk = Desk::with_repo();
    let done = desk.plan(&["--select", "shop/api=1.9.2", "--select", "shop/web=7"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{done:?}");
    assert!(
        done.stderr.contains("apps/app.yaml:4: Downgrade: Git holds 1.9.3, which is above 1.9.2"),
        "{done:?}"
    );
    let done = desk.plan(&["--select", "shop/api=2.0.0", "--select", "shop/web=7"]).await;
    assert_eq!(done.code, Some(10), "a tag out of range is taken where it is given: {done:?}");
}

#[tokio::test]
async fn a_repository_says_which_policies_write_and_where() {
    let desk = Desk::with_repo();
    desk.write("repo/other/app.yaml", APP);
    desk.write(
        "policies/infra.yaml",
        "apiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\nmetadata: {name: infra, namespace: shop}\n\
         spec:\n  url: https://git.example.com/infra.git\n  paths: {include: ['apps/**']}\n  \
         policies: {matchLabels: {tier: front}}\n",
    );
    let labelled = super::POLICIES.replace("{name: web, ", "{name: web, labels: {tier: front}, ");
    desk.write("policies/shop.yaml", labelled);
    let done = desk.plan(&["--repository", "shop/infra", "--select", "shop/web=8", "-o", "json"]).await;
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    let changes = said["changes"].as_array().unwrap();
    assert_eq!(
        (changes.len(), &changes[0]["policy"], &changes[0]["file"]),
        (1, &json!("shop/web"), &json!("apps/app.yaml"))
    );
    assert_eq!(said["problems"][0]["reason"], "UnknownPolicy", "a policy that is not taken: {said}");
    let done = desk.plan(&["--repository", "shop/infra", "--select", "shop/api=1.9.4"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
}

#[tokio::test]
async fn policies_without_a_given_tag_are_asked_for_at_the_registry_once_for_each_image() {
    let registry = Registry::start(Access::Anonymous).await;
    let (desk, host) = (Desk::new(), registry.host());
    let mut digest = String::new();
    for tag in ["1.9.4", "2.0.0"] {
        let pushed = registry.push("acme/api", tag).await;
        if tag == "1.9.4" {
            digest = pushed;
        }
    }
    let pinned = super::POLICIES
        .replace("spec:\n  image: ghcr.io/acme/web", "spec:\n  pin: Digest\n  image: ghcr.io/acme/api");
    let pinned = pinned.replace("numerical: {}", "semver: {range: 1.x}").replace("ghcr.io", &host);
    let registry_object = format!(
        "---\napiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {{name: local}}\n\
         spec: {{host: '{host}', insecure: true}}\n"
    );
    desk.write("policies/shop.yaml", pinned.clone() + &registry_object);
    let unasked = pinned
        .replace("name: api", "name: unmarked")
        .replace("name: web", "name: other")
        .replace("acme/", "nothing/");
    desk.write("policies/unmarked.yaml", unasked);
    desk.write("repo/app.yaml", APP.replace("ghcr.io", &host).replace("acme/web:7", "acme/api:1.0.0"));
    let done = desk.plan(&["--allow-http", "--allow-cidr=127.0.0.0/8", "-o", "json"]).await;
    assert_eq!(done.code, Some(10), "{done:?}");
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(said["changes"][0]["to"], json!(format!("{host}/acme/api:1.9.4")));
    assert_eq!(said["changes"][1]["to"], json!(format!("{host}/acme/api@{digest}")));
    assert_eq!(registry.requests("GET /v2/acme/api/tags/list"), 1);
    assert_eq!(registry.requests("GET /v2/nothing"), 0);

    registry.kill();
    let done = desk.plan(&["--allow-http", "--allow-cidr=127.0.0.0/8", "--select", "shop/api=1.9.4"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stdout.contains("acme/api:1.9.4") && done.stderr.contains("error: shop/web: "), "{done:?}");
    let both = ["--select", "shop/api=1.9.4", "--select", "shop/web=1.9.4"];
    let done = desk.plan(&both).await;
    assert_eq!(done.code, Some(10), "no network is needed: {done:?}");
    assert!(done.stderr.contains("NoDigest"), "{done:?}");
}
