//! What users read first holds: the pages name every field and flag, and the examples are taken as they are.

#![expect(clippy::panic, reason = "a file that is not there ends the test")]

use std::path::{Path, PathBuf};

use ::tagtide::api::{ClusterImageRegistry, ImagePolicy, InfraRepository};
use ::tagtide::edit::{Owner, Targets, find_sites};
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use crate::cluster::install_crds;
use crate::support::control_plane::ControlPlane;
use crate::support::infra_repo::hermetic_git;
use crate::support::{tagtide, workspace};

#[test]
fn the_page_on_each_kind_names_every_field() {
    for (page, crd) in [
        ("image-policy.md", ImagePolicy::crd()),
        ("infra-repository.md", InfraRepository::crd()),
        ("cluster-image-registry.md", ClusterImageRegistry::crd()),
    ] {
        let text = read(&docs().join(page));
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let mut fields = Vec::new();
        for part in ["spec", "status"] {
            collect_fields(&schema[part], &mut fields);
        }
        assert!(fields.contains(&"observedGeneration".to_owned()), "{fields:?}");
        let is_named = |field: &&String| names(&text, field);
        let missing: Vec<&String> = fields.iter().filter(|field| !is_named(field)).collect();
        assert!(missing.is_empty(), "docs/{page} does not name {missing:?}");
    }
}

#[tokio::test]
async fn the_page_on_operating_names_every_flag_and_its_variable() {
    let text = read(&docs().join("operating.md"));
    let help = tagtide::run(&["run", "--help"]).await.success();
    let words = help.split(|c: char| c.is_whitespace() || "[],=".contains(c));
    let mut wanted: Vec<&str> =
        words.filter(|word| word.starts_with("--") || word.starts_with("TAGTIDE_")).collect();
    wanted.retain(|word| !matches!(*word, "--help" | "--version"));
    assert!(wanted.contains(&"--gather") && wanted.contains(&"TAGTIDE_GATHER"), "{help}");
    let missing: Vec<&&str> = wanted.iter().filter(|word| !names(&text, word)).collect();
    assert!(missing.is_empty(), "docs/operating.md does not name {missing:?}");
}

#[tokio::test]
async fn the_page_on_the_command_line_names_every_command_and_flag() {
    let text = read(&docs().join("cli.md"));
    let help = tagtide::run(&["--help"]).await.success();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"plan") && commands.contains(&"man"), "{commands:?}");
    let of_all = text.split("\n## ").next().unwrap();
    for command in commands.into_iter().filter(|command| *command != "help") {
        let (_, part) = text
            .split_once(&format!("\n## tagtide {command}\n"))
            .unwrap_or_else(|| panic!("docs/cli.md has no part on {command}"));
        let part = part.split("\n## ").next().unwrap();
        let help = tagtide::run(&[command, "--help"]).await.success();
        // Those of the operator have a page of their own.
        let flags = help.lines().filter(|_| command != "run").map(str::trim_start);
        let flags = flags
            .filter(|line| line.starts_with('-'))
            .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--") && word.len() > 2));
        let missing: Vec<&str> = flags
            .filter(|flag| !matches!(*flag, "--help" | "--version"))
            .filter(|flag| !names(part, flag) && !names(of_all, flag))
            .collect();
        assert!(missing.is_empty(), "docs/cli.md does not name {missing:?} of {command}");
        let (_, codes) = help.split_once("Exit codes: ").unwrap();
        let codes = codes.split("\n\n").next().unwrap().split(|c: char| !c.is_ascii_digit());
        for code in codes.filter(|code| !code.is_empty()) {
            assert!(
                part.contains(&format!("`{code}`")),
                "docs/cli.md does not name exit code {code} of {command}"
            );
        }
    }
}

#[tokio::test]
async fn the_api_server_takes_every_example() {
    let plane = ControlPlane::shared().await;
    install_crds(plane).await;
    for name in ["shop", "tagtide"] {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        plane.apply(&namespace.to_string()).await;
    }
    let files: Vec<PathBuf> = examples().into_iter().filter(|file| !is_of_a_repo(file)).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let file = file.display().to_string();
        let take =
            ["create", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", file.as_str()];
        plane.kubectl(&take).await.success();
    }
}

#[test]
fn every_marker_of_the_examples_names_a_policy_beside_it() {
    for file in examples().into_iter().filter(|file| is_of_a_repo(file)) {
        let folder = file.ancestors().find(|above| above.ends_with("repo")).and_then(Path::parent).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&read(&folder.join("policies.yaml"))).unwrap();
        let found = find_sites(&file.to_string_lossy(), read(&file).as_bytes(), &Targets::default());
        assert!(found.problems.is_empty(), "{}: {:?}", file.display(), found.problems);
        for site in found.sites {
            let Owner::Policy(policy) = &site.owner else { panic!("{site:?}") };
            let is_meant = |object: &Value| {
                let metadata = &object["metadata"];
                (&object["kind"], &metadata["namespace"], &metadata["name"])
                    == (
                        &"ImagePolicy".into(),
                        &policy.namespace.as_str().into(),
                        &policy.name.as_str().into(),
                    )
            };
            assert!(objects.iter().any(is_meant), "{}:{}: {policy}", file.display(), site.line);
        }
    }
}

/// Whether a name stands in the text as a whole word: `tag` is not named by `tags`.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let around: Vec<&str> = text.split(name).collect();
    around
        .iter()
        .zip(around.iter().skip(1))
        .any(|(before, after)| !before.ends_with(is_part) && !after.starts_with(is_part))
}

/// The names of all fields of a schema, but for those of Kubernetes' own conditions.
fn collect_fields(schema: &Value, fields: &mut Vec<String>) {
    let schema = if schema["items"].is_object() { &schema["items"] } else { schema };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        fields.push(name.clone());
        if name != "conditions" {
            collect_fields(field, fields);
        }
    }
}

fn docs() -> PathBuf {
    workspace::checkout().join("docs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

fn is_of_a_repo(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "repo")
}

/// The YAML files of the examples.
fn examples() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![workspace::checkout().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "yaml" => files.push(path),
                Some(_) | None => {}
            }
        }
    }
    files
}

#[tokio::test]
async fn every_example_is_planned_without_a_problem() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let gateway = format!("shop/gateway=1.2.3@{digest}");
    let private = format!("shop/api=2.9.0@{digest}");
    for (example, choices, changes) in [
        ("argo-cd", &["shop/api=1.9.4", "shop/web=8.1.0"][..], 3),
        ("quick-start", &["shop/api=1.9.4"], 1),
        ("many-apps", &["shop/api=1.9.9", "shop/worker=main-1001", "shop/web=2026-11-20", &gateway], 4),
        ("private", &[private.as_str()], 1),
        ("commits", &["shop/api=1.9.4", "shop/web=3.1.0"], 2),
        ("mirrors", &["shop/web=1.29.3"], 1),
        ("webhooks", &["shop/api=1.5.0"], 1),
    ] {
        let folder = workspace::checkout().join("examples").join(example);
        let (policies, repo) = (folder.display().to_string(), folder.join("repo").display().to_string());
        let mut args = vec!["plan", "--policies", &policies, "--repo", &repo, "-o", "json"];
        args.extend(["--repository", "shop/infra"]);
        choices.iter().for_each(|choice| args.extend(["--select", choice]));
        let planned = tagtide::run(&args).await;
        assert_eq!(planned.code, Some(10), "{example}: {}", planned.stderr);
        let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
        assert_eq!(plan["problems"], json!([]), "{example}");
        assert_eq!(plan["changes"].as_array().unwrap().len(), changes, "{example}: {plan}");
    }
}

#[tokio::test]
async fn the_example_of_commits_is_worded_as_its_page_says() {
    let folder = workspace::checkout().join("examples/commits");
    let repo = workspace::folder("commits");
    let file = "apps/shop/values.yaml";
    std::fs::create_dir_all(repo.path().join("apps/shop")).unwrap();
    std::fs::copy(folder.join("repo").join(file), repo.path().join(file)).unwrap();
    let git = |args: &[&str]| {
        let output = hermetic_git(repo.path()).args(args).output().expect("git");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "Begin"]);
    let (policies, repo) = (folder.display().to_string(), repo.path().display().to_string());
    let from = ["apply", "--policies", &policies, "--repository", "shop/infra", "--repo", &repo];
    tagtide::run(&[&from[..], &["--select", "shop/api=1.9.4", "--select", "shop/web=3.0.1"]].concat())
        .await
        .success();
    let wanted = "chore(prod): api to 1.9.4\n\nghcr.io/acme/api 1.9.3 -> 1.9.4 (patch)\n\ngiven on the command line\n\
        - apps/shop/values.yaml:3\n\nTagtide-Update: shop/api 1.9.3 1.9.4\n\n";
    assert_eq!(git(&["log", "-1", "--format=%B"]), wanted);
    assert_eq!(git(&["log", "-1", "--format=%an <%ae>"]), "Tagtide <tagtide@acme.example>\n");
}
