//! `tagtide lint`.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::{APP, Desk, POLICIES};
use crate::support::workspace;

const INFRA: &str = "---
apiVersion: tagtide.dev/v1alpha1
kind: InfraRepository
metadata: {name: infra, namespace: shop}
spec:
  url: https://git.example.com/acme/infra.git
  paths: {include: ['apps/**']}
";

/// A desk with a mistake of each kind that matters here, and one file among many that is no YAML.
fn faulty() -> Desk {
    let desk = Desk::with_repo();
    let faulty = POLICIES.replace(">=1.4.0 <2.0.0", ">=1.4.0-0 <2.0.0").replace("acme/web", "acme/wéb:7");
    desk.write("policies/shop.yaml", format!("{faulty}{INFRA}"));
    desk.write("policies/broken.yaml", "apiVersion: tagtide.dev/v1alpha1\nkind: [\n");
    desk.write(
        "repo/apps/z.yaml",
        "a: b\nimage: x:1 # {\"$imagepolicy\": \"shop:apj\"}\nb: \"ü\"  # {\"$imagepolicy\": 1}\n",
    );
    (0..20).for_each(|n| desk.write(&format!("repo/apps/fine{n}.yaml"), "a: 1\n"));
    desk
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| Value::String(format!("{error}: {text}")))
}

/// Runs `lint` with its JSON, and gives exit code and report.
async fn report(desk: &Desk, args: &[&str]) -> (Option<i32>, Value) {
    let done = desk.lint(&[args, &["-o", "json"]].concat()).await;
    (done.code, parsed(&done.stdout))
}

fn rules(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    findings.iter().filter_map(|finding| finding["rule"].as_str()).collect()
}

#[tokio::test]
async fn each_finding_is_shown_with_its_line_as_a_compiler_would() {
    let desk = faulty();
    let done = desk.lint(&["--repo", "repo"]).await;
    assert_eq!(done.code, Some(10), "{done:?}");
    for shown in [
        "\
warning[range-admits-prereleases]: spec.select.semver.range: it lets 2.0.0-rc.1 in, since a pre-release lies before its version
 --> policies/shop.yaml:7:32
  |
7 |     semver: {range: '>=1.4.0-0 <2.0.0'}
  |                                ^^^^^^
  = object: ImagePolicy shop/api
  = help: write <2.0.0-0 to keep the pre-releases of its end out
",
        "\
  --> policies/shop.yaml:13:10
   |
13 |   image: ghcr.io/acme/wéb:7
   |          ^^^^^^^^^^^^^^^^^^
   = object: ImagePolicy shop/web
",
        "\
error[unknown-policy]: the marker names the policy shop/apj, which does not exist
 --> repo/apps/z.yaml:2:32
  |
2 | image: x:1 # {\"$imagepolicy\": \"shop:apj\"}
  |                                ^^^^^^^^
  = help: did you mean shop/api?
",
        "\
error[invalid-marker]: the marker's value is not a string
 --> repo/apps/z.yaml:3:11
  |
3 | b: \"ü\"  # {\"$imagepolicy\": 1}
  |           ^^^^^^^^^^^^^^^^^^^
  = help: write \"namespace:name\"
",
    ] {
        assert!(done.stdout.contains(shown), "{shown}\nis not in\n{}", done.stdout);
    }
    assert!(done.stdout.contains("error[invalid-yaml]: the document is no YAML: "), "{}", done.stdout);
    assert_eq!(done.stderr, "4 errors and 1 warning in 24 files with 2 policies\n");
}

#[tokio::test]
async fn findings_are_told_in_the_shape_that_scripts_read() {
    let (code, said) = report(&faulty(), &["--repo", "repo"]).await;
    assert_eq!(code, Some(10), "{said}");
    assert_eq!(said["summary"], json!({ "errors": 4, "warnings": 1, "files": 24, "policies": 2 }));
    assert_eq!(
        rules(&said),
        ["invalid-yaml", "range-admits-prereleases", "invalid-object", "unknown-policy", "invalid-marker"]
    );
    assert_eq!(
        said["findings"][3],
        json!({
            "rule": "unknown-policy", "severity": "error", "file": "repo/apps/z.yaml", "line": 2, "column": 32,
            "object": null, "message": "the marker names the policy shop/apj, which does not exist",
            "hint": "did you mean shop/api?",
        })
    );
    assert_eq!(said.as_object().map(serde_json::Map::len), Some(2));
}

#[tokio::test]
async fn sarif_has_what_code_hosts_ask_for() {
    let desk = faulty();
    desk.write("repo/apps/a b#ü.yaml", "image: x:1 # {\"$imagepolicy\": \"shop:apj\"}\n");
    let done = desk.lint(&["--repo", "repo", "-o", "sarif"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(10), ""), "{done:?}");
    let log = parsed(&done.stdout);
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let runs = log["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["columnKind"]), (1, &json!("unicodeCodePoints")));
    let driver = &runs[0]["tool"]["driver"];
    assert_eq!((&driver["name"], &driver["version"]), (&json!("tagtide"), &json!(env!("CARGO_PKG_VERSION"))));
    let rules = driver["rules"].as_array().unwrap();
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len(), "each id is there once");
    for rule in rules {
        let id = rule["id"].as_str().unwrap();
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
        assert!(
            ["error", "warning"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()),
            "{rule}"
        );
        for text in ["shortDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty(), "{rule}");
        }
    }
    let results = runs[0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    let mut prints = BTreeSet::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()), "{result}");
        assert!(result["message"]["text"].as_str().unwrap().ends_with(['.', '?']), "{result}");
        assert_eq!(result["locations"].as_array().unwrap().len(), 1);
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
        assert!(
            uri.bytes().all(|b| b.is_ascii_graphic() && !b"#?\\ :".contains(&b))
                && !uri.starts_with(['/', '.']),
            "{uri}"
        );
        let region = |name: &str| place["region"][name].as_u64().unwrap();
        assert!(region("startLine") >= 1 && region("startColumn") >= 1, "{result}");
        assert!(region("endColumn") > region("startColumn"), "{result}");
        assert!(prints.insert(result["partialFingerprints"]["tagtideLint/v1"].as_str().unwrap()), "{result}");
    }
    let unknown = results.iter().find(|result| result["ruleId"] == "unknown-policy").unwrap();
    let place = &unknown["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "repo/apps/a%20b%23%C3%BC.yaml");
    assert_eq!(place["region"], json!({ "startLine": 1, "startColumn": 32, "endColumn": 40 }));

    let print = |log: &Value| {
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        let marker = results.into_iter().find(|result| result["ruleId"] == "invalid-marker").unwrap();
        marker["partialFingerprints"]["tagtideLint/v1"].clone()
    };
    desk.write("repo/apps/z.yaml", format!("# one more line\n{}", desk.read("repo/apps/z.yaml")));
    let moved = desk.lint(&["--repo", "repo", "-o", "sarif"]).await;
    assert_eq!(print(&parsed(&moved.stdout)), print(&log), "a finding that only moves stays the same one");
}

#[tokio::test]
async fn the_exit_code_tells_errors_from_warnings_and_both_from_wrong_use() {
    let desk = Desk::with_repo();
    let fine = desk.lint(&["--repo", "repo", "--strict"]).await;
    assert_eq!((fine.code, fine.stdout.as_str()), (Some(0), ""), "{fine:?}");
    desk.write("policies/shop.yaml", POLICIES.replace("<2.0.0", ""));
    assert_eq!(desk.lint(&[]).await.code, Some(0), "a warning is none");
    assert_eq!(desk.lint(&["--strict"]).await.code, Some(10));
    desk.write("policies/shop.yaml", POLICIES.replace("<2.0.0", "<1.0.0"));
    assert_eq!(desk.lint(&[]).await.code, Some(10));
    for (args, wanted) in [
        (&["--repo", "nowhere"][..], "error: --repo nowhere: "),
        (
            &["--repo", "repo", "--repository", "shop/infra"],
            "error: the folder has no InfraRepository shop/infra",
        ),
        (&["--repository", "shop/infra"], "--repo"),
        (&["-o", "xml"], "xml"),
    ] {
        let done = desk.lint(args).await;
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{args:?}: {done:?}");
        assert!(done.stderr.contains(wanted), "{args:?}: {}", done.stderr);
    }
    let done = desk.run(&["lint", "--policies", "nowhere"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
}

#[tokio::test]
async fn an_infra_repository_says_which_policies_and_files_count() {
    let desk = Desk::with_repo();
    let infra = INFRA.replace("paths:", "policies: {matchLabels: {tier: front}}\n  paths:");
    let labelled = POLICIES.replace("{name: web, ", "{name: web, labels: {tier: front}, ");
    desk.write("policies/shop.yaml", format!("{labelled}{infra}"));
    desk.write("repo/other/app.yaml", "image: x:1 # {\"$imagepolicy\": \"shop:none\"}\n");
    symlink("../other/app.yaml", desk.path("repo/apps/link.yaml")).unwrap();
    let (code, said) = report(&desk, &["--repo", "repo", "--repository", "shop/infra"]).await;
    assert_eq!(code, Some(10), "{said}");
    assert_eq!(rules(&said), ["policy-without-repository", "policy-not-taken", "symlink"], "{said}");
    assert_eq!(said["findings"][1]["file"], "repo/apps/app.yaml");

    let idle = infra.replace("'apps/**'", "'apps/**', 'app/**'");
    let fields = "  updates: {fields: [{glob: apps/value.yaml, policy: web, path: a}]}\n";
    desk.write("policies/shop.yaml", format!("{labelled}{idle}{fields}"));
    let (_, said) = report(&desk, &["--repo", "repo", "--repository", "shop/infra"]).await;
    let told = ["idle-glob", "idle-glob", "policy-without-repository"];
    assert_eq!(rules(&said).iter().filter(|rule| told.contains(rule)).count(), 3, "{said}");
    let done = desk.plan(&["--repository", "shop/infra", "--select", "shop/web=8"]).await;
    let told = "InfraRepository shop/infra: spec.updates.fields[0].glob: no file";
    assert!(done.stderr.contains(told) && done.stderr.contains("spec.paths.include[1]: no file"), "{done:?}");

    desk.write("policies/shop.yaml", format!("{labelled}{}", infra.replace("apps/**", "a[")));
    let done = desk.lint(&["--repo", "repo", "--repository", "shop/infra"]).await;
    assert_eq!(done.code, Some(10), "{done:?}");
    assert!(done.stdout.contains("error[invalid-object]: spec.paths.include[0]: "), "{}", done.stdout);
    assert!(done.stderr.contains("warning: the files of the repo are not looked at"), "{}", done.stderr);
}

#[tokio::test]
async fn names_that_lead_nowhere_are_told_between_objects() {
    let desk = Desk::new();
    let fields =
        "  updates:\n    workloads: true\n    fields:\n    - {glob: '*.yaml', policy: wbe, path: a.b}\n";
    let twin = POLICIES.replace("ghcr.io/acme/web", "ghcr.io/acme/api");
    let lonely = INFRA.replace("namespace: shop", "namespace: lonely");
    let hosts = "---\napiVersion: tagtide.dev/v1alpha1\nkind: ClusterImageRegistry\nmetadata: {name: NAME}\nspec: {host: ghcr.io}\n";
    let hosts = format!("{}{}", hosts.replace("NAME", "one"), hosts.replace("NAME", "two"));
    desk.write("policies/shop.yaml", format!("{twin}{INFRA}{fields}{lonely}{hosts}"));
    let (_, said) = report(&desk, &[]).await;
    assert_eq!(
        rules(&said),
        ["competing-policies", "unknown-policy", "repository-without-policies", "duplicate-host"],
        "{said}"
    );
    assert_eq!(said["findings"][1]["hint"], "did you mean web?");
}

#[tokio::test]
async fn no_control_character_of_a_name_or_a_text_reaches_the_terminal() {
    let desk = Desk::new();
    desk.write("policies/\u{1b}[2J\n.yaml", "apiVersion: tagtide.dev/v1alpha1\nkind: \"\u{1b}[31mX\"\n");
    desk.write("repo/a\u{7}.yaml", "image: x:1 # {\"$imagepolicy\": \"shop:apj\"}\n");
    desk.write("repo/b.yaml", "image: \u{1b}]0;x:1\u{9b} # {\"$imagepolicy\": \"shop:apj\"}\n");
    let done = desk.lint(&["--repo", "repo"]).await;
    assert_eq!(done.code, Some(10), "{done:?}");
    let text = format!("{}{}", done.stdout, done.stderr);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("policies/�[2J�.yaml:2"), "{text}");
    assert!(text.contains("warning[file-name]"), "{text}");

    let sarif = parsed(&desk.lint(&["--repo", "repo", "-o", "sarif"]).await.stdout);
    let uri = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "policies/%1B%5B2J%0A.yaml");
}

#[tokio::test]
async fn a_bare_repository_is_linted_as_its_files_are() {
    let desk = faulty();
    desk.commit_repo();
    desk.clone_bare();
    let (_, of_files) = report(&desk, &["--repo", "repo"]).await;
    let (code, of_bare) = report(&desk, &["--repo", "bare", "--branch", "main"]).await;
    let (mut bare, mut files) = (rules(&of_bare), rules(&of_files));
    [&mut bare, &mut files].into_iter().for_each(|rules| rules.sort_unstable());
    assert_eq!((code, bare), (Some(10), files));
    assert_eq!(of_bare["findings"][0]["file"], "apps/z.yaml");
}

#[tokio::test]
async fn what_is_right_is_left_alone() {
    let desk = Desk::with_repo();
    let done = desk.lint(&["--repo", "repo", "--strict"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{APP}: {done:?}");
    for example in ["quick-start", "many-apps", "argo-cd", "private", "commits"] {
        let folder = workspace::checkout().join("examples").join(example);
        let (policies, repo) = (folder.display().to_string(), folder.join("repo").display().to_string());
        let done = desk.run(&["lint", "--policies", &policies, "--repo", &repo, "--strict"]).await;
        assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{example}: {done:?}");
    }
    for page in [
        "README.md",
        "docs/image-policy.md",
        "docs/infra-repository.md",
        "docs/choosing.md",
        "docs/updating.md",
    ] {
        let text = std::fs::read_to_string(workspace::checkout().join(page)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let objects: Vec<_> = blocks.filter(|block| block.contains("apiVersion: tagtide.dev/")).collect();
        for (index, block) in objects.into_iter().enumerate() {
            desk.write("page/page.yaml", block);
            let done = desk.run(&["lint", "--policies", "page", "--strict"]).await;
            assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{page}, block {index}: {done:?}");
        }
    }
}
