//! `tagtide init`: what is proposed works as it is.

#![expect(clippy::panic, reason = "what is printed in another shape ends the test")]

mod existing;
mod shapes;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use self::shapes::{Numbers, app, postgres, real_shapes};
use super::Desk;

const NEW_DIGEST: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// File, line and policy of each value, in order.
type Written = Vec<(String, u64, String)>;

impl Desk {
    /// A desk with nothing but a repo of these files.
    fn of(files: &[(&str, &str)]) -> Self {
        let desk = Self::new();
        desk.write("repo/README.md", "ours\n");
        files.iter().for_each(|(path, text)| desk.write(&format!("repo/{path}"), text));
        desk
    }

    /// Proposes for `repo`, into the folder `out`.
    async fn propose(&self) -> Value {
        let args = ["init", "--repo", "repo", "--namespace", "apps", "--out", "out", "-o", "json"];
        let done = self.run(&args).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }

    /// Lints what was proposed, and gives what is wrong with it.
    async fn lint_proposal(&self) -> String {
        let repo = ["--repo", "repo", "--repository", "apps/infra"];
        let done = self.run(&[&["lint", "--policies", "out", "--strict"][..], &repo].concat()).await;
        done.stdout + &done.stderr
    }

    /// Plans with a newer tag for every policy, and gives what would be written.
    async fn plan_newer(&self, proposal: &Value, namespace: &str) -> Written {
        let mut args =
            ["plan", "--policies", "out", "--repo", "repo", "-o", "json"].map(str::to_owned).to_vec();
        args.extend(["--repository".to_owned(), format!("{namespace}/infra")]);
        for policy in active(proposal).filter(|policy| key(policy).starts_with(&format!("{namespace}/"))) {
            args.extend(["--select".to_owned(), format!("{}={}@{NEW_DIGEST}", key(policy), newer(policy))]);
        }
        let done = self.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(matches!(done.code, Some(0 | 10)), "{done:?}");
        let said: Value = serde_json::from_str(&done.stdout).unwrap();
        let changes = said["changes"].as_array().unwrap().iter();
        let place = |change: &Value| {
            (text(&change["file"]), change["line"].as_u64().unwrap(), text(&change["policy"]))
        };
        sorted(changes.map(place).collect())
    }
}

fn sorted(mut written: Written) -> Written {
    written.sort();
    written
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn policies(proposal: &Value) -> impl Iterator<Item = &Value> {
    proposal["policies"].as_array().unwrap().iter()
}

/// Those that are not suspended.
fn active(proposal: &Value) -> impl Iterator<Item = &Value> {
    policies(proposal).filter(|policy| policy["object"]["spec"]["suspend"] != true)
}

fn key(policy: &Value) -> String {
    let metadata = &policy["object"]["metadata"];
    format!("{}/{}", text(&metadata["namespace"]), text(&metadata["name"]))
}

/// The places that are proposed, each with its policy.
fn proposed(proposal: &Value) -> Written {
    let mut places = Written::new();
    for policy in active(proposal) {
        for place in policy["places"].as_array().unwrap() {
            places.push((text(&place["file"]), place["line"].as_u64().unwrap(), key(policy)));
        }
    }
    sorted(places)
}

fn spec_of<'p>(proposal: &'p Value, key_of_it: &str) -> &'p Value {
    let found = policies(proposal).find(|policy| key(policy) == key_of_it);
    &found.unwrap_or_else(|| panic!("no {key_of_it} in {proposal:#}"))["object"]["spec"]
}

/// What is passed over, as `file:line reason`.
fn passed(proposal: &Value) -> Vec<String> {
    let passed = proposal["passedOver"].as_array().unwrap().iter();
    passed.map(|one| format!("{}:{} {}", text(&one["file"]), one["line"], text(&one["reason"]))).collect()
}

/// A tag above all those in use: the first number, or of a build the last, is higher. A tag that moves stays.
fn newer(policy: &Value) -> String {
    let tag = text(&policy["tags"][0]);
    let is_digit = |c: char| c.is_ascii_digit();
    let Some(first) = tag.find(is_digit) else { return tag };
    let first = if tag.starts_with("main-") { tag.rfind('-').unwrap() + 1 } else { first };
    let (before, rest) = tag.split_at(first);
    let (digits, behind) = rest.split_at(rest.find(|c| !is_digit(c)).unwrap_or(rest.len()));
    match digits.len() {
        // A year, or a date of it.
        4 | 8 => format!("{before}9999{}{behind}", digits.split_at(4).1),
        _ => format!("{before}9{digits}{behind}"),
    }
}

#[tokio::test]
async fn every_place_that_is_proposed_is_written_and_no_other() {
    let desk = real_shapes();
    let proposal = desk.propose().await;
    let mut written = desk.plan_newer(&proposal, "apps").await;
    written.extend(desk.plan_newer(&proposal, "flux-system").await);
    assert_eq!(sorted(written), proposed(&proposal), "{proposal:#}");
    let keys: Vec<String> = policies(&proposal).map(key).collect();
    assert_eq!(
        keys,
        [
            "apps/acme-shop",
            "apps/api",
            "apps/app-template",
            "apps/busybox",
            "apps/calendar",
            "apps/charts-shop",
            "apps/job",
            "apps/nginx",
            "apps/postgres-15",
            "apps/postgres-16",
            "apps/sonarr",
            "apps/split",
            "apps/tool",
            "apps/web",
            "flux-system/marked",
        ]
    );
    assert_eq!(
        passed(&proposal),
        [
            "apps/api/deployment.yaml:16 NoValue",
            "apps/api/deployment.yaml:18 NoTag",
            "apps/kustomization.yaml:7 NoOrder",
            "apps/media/release.yaml:15 NoValue",
            "templates/x.yaml:1 NoValue",
        ]
    );
    for (key, image, range) in [
        ("apps/api", "ghcr.io/acme/api", ">=1.4.2 <2.0.0"),
        ("apps/postgres-16", "postgres", ">=16.1.0 <17.0.0"),
        ("apps/tool", "ghcr.io/acme/tool", ">=0.4.2 <0.5.0"),
        ("apps/split", "ghcr.io/acme/split", ">=7.0.1 <8.0.0"),
        ("flux-system/marked", "ghcr.io/acme/marked", ">=1.2.3 <2.0.0"),
    ] {
        let spec = spec_of(&proposal, key);
        assert_eq!(
            (&spec["image"], &spec["select"]["semver"]["range"]),
            (&image.into(), &range.into()),
            "{key}"
        );
    }
    for (key, pin) in [
        ("apps/sonarr", "TagAndDigest"),
        ("apps/acme-shop", "TagAndDigest"),
        ("apps/calendar", "TagAndDigest"),
    ] {
        assert_eq!(spec_of(&proposal, key)["pin"], pin, "{key}");
    }
    assert_eq!(spec_of(&proposal, "apps/calendar")["select"]["calver"]["format"], "YYYY.MM.MICRO");
    assert_eq!(spec_of(&proposal, "apps/acme-shop")["select"]["follow"]["tag"], "latest");
}

#[tokio::test]
async fn only_the_switches_that_are_needed_are_on() {
    let desk = Desk::of(&[("a.yaml", &postgres("15.4")), ("b.yaml", &postgres("16.1"))]);
    let proposal = desk.propose().await;
    let updates = &proposal["repositories"][0]["spec"]["updates"];
    assert!(updates["workloads"].is_null() && updates["fields"].as_array().unwrap().len() == 2, "{updates}");
    assert_eq!(desk.plan_newer(&proposal, "apps").await, proposed(&proposal));
    let desk = Desk::of(&[("a.yaml", &postgres("15.4"))]);
    let proposal = desk.propose().await;
    assert_eq!(proposal["repositories"][0]["spec"]["updates"], serde_json::json!({ "workloads": true }));
    assert_eq!(spec_of(&proposal, "apps/postgres")["image"], "postgres");
}

#[tokio::test]
async fn folders_are_named_where_many_files_lie_elsewhere_and_ignored_files_are_passed_by() {
    let desk = Desk::of(&[("apps/a.yaml", &postgres("15.4")), ("build/b.yaml", &postgres("15.5"))]);
    desk.write("repo/.gitignore", "build/\n");
    desk.commit_repo();
    for (files, paths) in [(999, Value::Null), (1000, serde_json::json!({ "include": ["apps/**"] }))] {
        (0..files).for_each(|number| desk.write(&format!("repo/docs/{number}.yaml"), "a: b\n"));
        let _ = fs::remove_dir_all(desk.path("out"));
        let proposal = desk.propose().await;
        assert_eq!(proposal["repositories"][0]["spec"]["paths"], paths, "{files}");
        let place = ("apps/a.yaml".to_owned(), 3, "apps/postgres".to_owned());
        assert_eq!((proposed(&proposal), passed(&proposal)), (vec![place.clone()], vec![]));
        assert_eq!(desk.plan_newer(&proposal, "apps").await, [place]);
    }
}

#[tokio::test]
async fn a_tag_that_can_not_be_compared_is_kept_from_the_policy_of_its_image() {
    let pod = |tag: &str| postgres(tag).replace("postgres", "ghcr.io/acme/api");
    let desk = Desk::of(&[
        ("prod.yaml", &pod("1.4.2")),
        ("dev.yaml", &pod("main-3f2a91c")),
        ("other.yaml", &postgres("15.4")),
    ]);
    let proposal = desk.propose().await;
    let suspended: Vec<String> =
        policies(&proposal).filter(|policy| policy["object"]["spec"]["suspend"] == true).map(key).collect();
    assert_eq!(suspended, ["apps/api-main"]);
    let written = desk.plan_newer(&proposal, "apps").await;
    assert_eq!(written, proposed(&proposal));
    assert!(written.iter().all(|(file, ..)| file != "dev.yaml"), "{written:?}");
}

#[tokio::test]
async fn two_hundred_apps_are_on_board_at_once() {
    for seed in [1, 2] {
        let (mut numbers, desk, mut places) = (Numbers(seed), Desk::of(&[]), 0);
        for number in 0..200 {
            let (path, text, count) = app(&mut numbers, number);
            desk.write(&format!("repo/{path}"), text);
            places += count;
        }
        let proposal = desk.propose().await;
        let (listed, passed) = (proposed(&proposal), passed(&proposal));
        assert_eq!((listed.len(), passed.as_slice()), (places, [].as_slice()));
        assert_eq!(desk.plan_newer(&proposal, "apps").await, listed);
        let linted = desk.lint_proposal().await;
        assert!(linted.starts_with("0 errors and 0 warnings in "), "{linted}");
    }
}

#[tokio::test]
async fn places_beyond_the_fields_that_a_repository_takes_are_left_to_markers() {
    let desk = Desk::of(&[]);
    for number in 0..150 {
        for major in [1, 2] {
            let text =
                postgres(&format!("{major}.0.0")).replace("postgres", &format!("ghcr.io/acme/app-{number}"));
            desk.write(&format!("repo/{number}/{major}.yaml"), text);
        }
    }
    let proposal = desk.propose().await;
    let updates = &proposal["repositories"][0]["spec"]["updates"];
    let (listed, passed) = (proposed(&proposal), passed(&proposal));
    assert_eq!((updates["fields"].as_array().unwrap().len(), listed.len(), passed.len()), (256, 256, 44));
    assert!(passed.iter().all(|passed| passed.ends_with(":3 Ambiguous")), "{passed:?}");
    assert_eq!(desk.plan_newer(&proposal, "apps").await, listed);
}

#[tokio::test]
async fn a_proposal_for_any_file_is_written_as_it_is_told() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/edit");
    let mut seen = 0;
    for case in fs::read_dir(fixtures).unwrap().map(|case| case.unwrap().path()).filter(|case| case.is_dir())
    {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let desk = Desk::of(&[]);
        for file in fs::read_dir(&case).unwrap().map(|file| file.unwrap()) {
            if let Some(rest) = file.file_name().to_str().unwrap().strip_prefix("in.") {
                let is_whole = rest.contains('.') || rest.starts_with(|c: char| c.is_ascii_uppercase());
                let path = if is_whole { rest.to_owned() } else { format!("in.{rest}") };
                desk.write(&format!("repo/{path}"), fs::read(file.path()).unwrap());
            }
        }
        let proposal = desk.propose().await;
        let mut written = Written::new();
        for repository in proposal["repositories"].as_array().unwrap() {
            written.extend(desk.plan_newer(&proposal, &text(&repository["metadata"]["namespace"])).await);
        }
        assert_eq!(sorted(written), proposed(&proposal), "{name}: {proposal:#}");
        seen += policies(&proposal).count();
    }
    assert!(seen > 30, "only {seen} policies were proposed");
}

#[tokio::test]
async fn what_is_printed_is_what_is_written_and_nothing_is_overwritten() {
    let desk = real_shapes();
    desk.commit_repo();
    desk.git("repo", &["remote", "add", "origin", "https://bot:s3cret@git.example.com/acme/infra.git"]);
    let args = ["init", "--repo", "repo", "--namespace", "apps"];
    let printed = desk.run(&args).await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(
        printed.stdout.contains("  url: https://git.example.com/acme/infra.git\n  branch: main\n"),
        "{printed:?}"
    );
    assert!(!format!("{printed:?}").contains("s3cret"));
    assert!(
        printed.stdout.contains(
            "# In 3 places: 1.4.2 (1), 1.5.0 (2)\n#   apps/api/deployment.yaml:12  ghcr.io/acme/api:1.4.2\n"
        ),
        "{printed:?}"
    );
    assert!(
        printed.stderr.contains("16 images, 15 policies, 19 places; 5 values passed over"),
        "{printed:?}"
    );
    assert_eq!(desk.run(&args).await.stdout, printed.stdout, "the same twice");

    let done = desk.run(&[&args[..], &["--out", "out"]].concat()).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{done:?}");
    assert!(
        done.stderr.contains("next: tagtide plan --policies out --repo repo --repository apps/infra"),
        "{done:?}"
    );
    let mut files = String::new();
    for document in printed.stdout.split("---\n") {
        let of = |field: &str| {
            let (_, rest) = document.split_once(&format!("\n  {field}: ")).unwrap();
            rest.split_once('\n').unwrap().0.to_owned()
        };
        let folder = if of("namespace") == "apps" { String::new() } else { format!("{}/", of("namespace")) };
        let path = format!("{folder}{}.yaml", of("name"));
        assert_eq!(desk.read(&format!("out/{path}")), document, "{path}");
        let _ = writeln!(files, "{path}");
    }
    assert_eq!(files.lines().count(), 17, "{files}");

    desk.write("out/api.yaml", "mine\n");
    fs::remove_file(desk.path("out/busybox.yaml")).unwrap();
    let done = desk.run(&[&args[..], &["--out", "out"]].concat()).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("error: --out: out/"), "{done:?}");
    assert!(!desk.path("out/busybox.yaml").exists(), "nothing is written where a file is in the way");
    assert_eq!(desk.read("out/api.yaml"), "mine\n");
}

#[tokio::test]
async fn an_empty_repo_is_no_failure_and_none_is_bad_input() {
    let desk = Desk::of(&[]);
    let done = desk.run(&["init", "--repo", "repo"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{done:?}");
    assert!(done.stderr.contains("no image version was found"), "{done:?}");
    for (args, problem) in [
        (vec!["--repo", "nowhere"], "--repo nowhere: "),
        (vec!["--repo", "repo", "--namespace", "A b"], "a namespace has"),
        (vec!["--repo", "repo", "--name", ".."], "a name has"),
        (vec!["--repo", "repo", "--url", "https://bot:s3cret@git.example.com/x"], "user or a password"),
    ] {
        let done = desk.run(&[&["init"], &args[..]].concat()).await;
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains(problem), "{done:?}");
    }
}

#[tokio::test]
async fn hostile_content_neither_ends_a_comment_nor_stops_the_others() {
    let deep = format!(
        "kind: HelmRelease\nspec: {{values: {}{{image: 'a:1.0.0'}}{}}}\n",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let desk = Desk::of(&[
        ("evil\nspec: {url: x}\u{85}\u{2028}kind: Evil.yaml", &postgres("15.4")),
        ("a\u{2028}kind: Evil\u{202e}.yaml", &postgres("15.6")),
        ("deep.yaml", &deep),
        ("large.yaml", &format!("{}{}", postgres("15.4"), "# x\n".repeat(300_000))),
        (
            "bad.yaml",
            "a: b # {\"$imagepolicy\": \"..:x\"}\nc: ghcr.io/acme/x:1.0.0 # {\"$imagepolicy\": \"..:y\"}\n",
        ),
        ("good.yaml", &postgres("15.5")),
    ]);
    std::os::unix::fs::symlink("good.yaml", desk.path("repo/link.yaml")).unwrap();
    desk.commit_repo();
    desk.clone_bare();
    for repo in ["repo", "bare"] {
        let done = desk.run(&["init", "--repo", repo, "--namespace", "apps"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        let objects: Vec<Value> = serde_saphyr::from_multiple(&done.stdout).unwrap();
        let kinds: Vec<String> = objects.iter().map(|object| text(&object["kind"])).collect();
        assert_eq!(kinds, ["InfraRepository", "ImagePolicy"], "{}", done.stdout);
        assert_eq!(objects[1]["spec"]["image"], "postgres");
        assert!(!done.stdout.contains(['\u{85}', '\u{2028}', '\u{202e}']), "{done:?}");
        for told in ["large.yaml:1: TooLarge", "deep.yaml:2: InvalidYaml", "bad.yaml:2: UnknownImage"] {
            assert!(done.stderr.contains(told), "{told}: {done:?}");
        }
    }
}
