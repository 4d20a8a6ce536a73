use std::collections::BTreeSet;

use super::*;
use crate::edit::{Targets, find_sites};

const API: &str = "---
apiVersion: tagtide.dev/v1alpha1
kind: ImagePolicy
metadata: {name: api, namespace: shop}
spec:
  image: ghcr.io/acme/api
  select: {semver: {range: 1.x}}
";

const INFRA: &str = "---
apiVersion: tagtide.dev/v1alpha1
kind: InfraRepository
metadata: {name: infra, namespace: shop}
spec:
  url: https://git.example.com/acme/infra.git
";

const GHCR: &str = "---
apiVersion: tagtide.dev/v1alpha1
kind: ClusterImageRegistry
metadata: {name: ghcr}
spec:
  host: ghcr.io
";

/// Findings as `file:line:column: severity rule: message; hint`, the folder's file without its path.
fn told(report: &Report) -> Vec<String> {
    let findings = report.findings.iter().map(|finding| {
        let Finding { severity, rule, line, message, hint, .. } = finding;
        let file = finding.file.rsplit('/').next().unwrap();
        let column = finding.column().map(|column| format!(":{column}")).unwrap_or_default();
        format!("{file}:{line}{column}: {severity} {rule}: {message}; {hint}")
    });
    findings.collect()
}

fn folder(objects: &str) -> (Folder, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("o.yaml"), objects).unwrap();
    (Folder::read(folder.path()).unwrap(), folder)
}

fn of_objects(objects: &str) -> Vec<String> {
    let (folder, _kept) = folder(objects);
    told(&lint(&folder, None))
}

/// What is found in one file of a repo, by the rules of the first InfraRepository of the objects.
fn of_file(objects: &str, path: &str, text: &str) -> Vec<String> {
    let (folder, _kept) = folder(objects);
    let repository = folder.repositories.values().next().map(|repository| &**repository);
    let updates = repository.map(|repository| repository.spec.updates.clone()).unwrap_or_default();
    let found = find_sites(path, text.as_bytes(), &Targets::compile(&updates, "shop").unwrap());
    let files = Files {
        marked: [(path, &found)].into(),
        read: &|_| Some(text.as_bytes().to_vec()),
        passed_over: &[],
        searched: 1,
        prefix: String::new(),
        repository,
    };
    told(&lint(&folder, Some(&files)))
}

#[test]
fn every_rule_has_an_id_of_its_own_and_is_told_in_the_docs() {
    let page = include_str!("../../docs/cli.md");
    let ids: BTreeSet<_> = Rule::all().map(Rule::id).collect();
    assert_eq!(ids.len(), Rule::all().count());
    for rule in Rule::all() {
        let row = format!("| `{}` | {} | {} |", rule.id(), rule.severity(), rule.summary());
        assert!(page.contains(&row), "docs/cli.md lacks {row}");
        assert!(!rule.remedy().is_empty() && !rule.remedy().ends_with('.'), "{rule}");
    }
}

#[test]
fn what_the_api_server_would_refuse_is_an_error_at_its_field() {
    for (objects, wanted) in [
        (
            API.replace("{range: 1.x}", "{range: '>=1.0 <'}"),
            "o.yaml:7:28: error invalid-range: spec.select.semver.range: \">=1.0 <\" is no range: nothing stands behind \
             <; write a version, such as <1.4.0",
        ),
        (
            format!("{API}  tags: {{include: 'v('}}\n"),
            "o.yaml:8:19: error invalid-pattern: spec.tags.include: it is no regular expression: unclosed group; write \
             one such as ^v(?<version>.+)$",
        ),
        (
            format!("{API}  credentials: {{}}\n"),
            "o.yaml:8:3: error invalid-object: spec.credentials must have exactly one of secretRef, serviceAccountName \
             and a provider other than Generic; docs/image-policy.md tells every field",
        ),
        (
            format!("{API}  credentials: {{provider: Aws}}\n"),
            "o.yaml:8:3: error invalid-object: spec.credentials.provider must have a serviceAccountName here: the \
             operator's own identity asks only where a ClusterImageRegistry says so; docs/image-policy.md tells every \
             field",
        ),
        (
            format!("{GHCR}  limits: {{}}\n"),
            "o.yaml:7:3: error invalid-object: spec.limits: it limits nothing; write requestsPerSecond or concurrency, \
             or both",
        ),
        (
            INFRA.replace("https://", "https://bot@"),
            "o.yaml:6:8: error invalid-object: spec.url: it holds a user or a password; put them into the Secret of \
             spec.secretRef",
        ),
        (
            format!("{INFRA}  branch: a..b\n"),
            "o.yaml:7:11: error invalid-object: spec.branch: \"a..b\" is no branch name: it may not hold .., @{ or // \
             and may not be @ or HEAD; docs/infra-repository.md tells every field",
        ),
        (
            format!("{INFRA}  insecureCredentials: true\n"),
            "o.yaml:7:24: error invalid-object: spec.insecureCredentials: it only has a meaning for a url that starts \
             with http://; leave it out",
        ),
        (
            format!("{INFRA}  commit: {{subject: '{{{{ nothing }}}}'}}\n"),
            "o.yaml:7:21: error invalid-object: spec.commit.subject: line 1: there is no \"nothing\"; write one of ",
        ),
    ] {
        let told = of_objects(&objects);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(wanted), "{}\n  is not\n{wanted}", told[0]);
    }
}

#[test]
fn what_is_in_order_is_left_alone() {
    for objects in [
        API.to_owned(),
        format!("{API}{INFRA}"),
        format!("{API}{INFRA}  proxySecretRef: {{name: proxy}}\n  secretRef: {{name: nowhere}}\n"),
        format!("{API}{GHCR}  credentials: {{provider: Aws}}\n  limits: {{concurrency: 3}}\n"),
        format!("{API}{}  insecureCredentials: true\n", INFRA.replace("https", "http")),
        format!("{API}{}", INFRA.replace("https://git.example.com", "file:///srv")),
        format!("{API}{INFRA}  updates: {{workloads: true, fields: [{{glob: a, policy: api, path: b}}]}}\n"),
        format!("{INFRA}  updates: {{fields: [{{glob: a, policy: api, path: b}}]}}\n"),
    ] {
        assert_eq!(of_objects(&objects), [""; 0], "{objects}");
    }
}

#[test]
fn two_policies_of_one_image_compete_unless_rules_name_their_places() {
    let [two, three] = ["two", "three"].map(|name| API.replace("name: api", &format!("name: {name}")));
    let rule = |policy: &str| format!("{{glob: a, policy: {policy}, path: b}}");
    for (updates, wanted) in [
        ("workloads: true".to_owned(), &[("api", "three"), ("api", "two")][..]),
        (format!("helmValues: true, fields: [{}]", rule("two")), &[("two", "api"), ("two", "three")]),
        (format!("kustomize: true, fields: [{}, {}, {}]", rule("two"), rule("api"), rule("three")), &[]),
        ("markers: true".to_owned(), &[]),
    ] {
        let told = of_objects(&format!("{API}{two}{three}{INFRA}  updates: {{{updates}}}\n"));
        let wanted: BTreeSet<_> =
            wanted.iter().map(|(one, other)| format!("both shop/{one} and shop/{other} follow")).collect();
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        assert!(wanted.iter().all(|wanted| told.iter().any(|told| told.contains(wanted))), "{told:?}");
    }
}

#[test]
fn an_object_that_can_not_be_read_is_not_missed_too() {
    let unreadable = API.replace("image:", "imgae:");
    let fields = "  updates: {fields: [{glob: a, policy: api, path: b}]}\n";
    let other = API.replace("name: api", "name: web");
    let told = of_objects(&format!("{unreadable}{other}{INFRA}{fields}"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("error invalid-object: spec.imgae: unknown field"), "{told:?}");
    let marker = "image: ghcr.io/acme/api:1.0.0 # {\"$imagepolicy\": \"shop:api\"}\n";
    assert_eq!(of_file(&format!("{unreadable}{other}"), "a.yaml", marker).len(), 1);
}

#[test]
fn what_stands_in_the_way_of_a_value_is_told_with_its_columns() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let with_digest = format!("digest: {digest} # {{\"$imagepolicy\": \"shop:api:digest\"}}\n");
    let encrypted = "image: ENC[AES256_GCM,data:x] # {\"$imagepolicy\": \"shop:api\"}\nsops: {mac: x}\n";
    let workload = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: ghcr.io/acme/api:1.0.0\n";
    let twin =
        format!("{API}{}{INFRA}  updates: {{workloads: true}}\n", API.replace("name: api", "name: twin"));
    for (objects, text, wanted) in [
        (API, "image: ghcr.io/acme/api:1.0.0 # {\"$imagepolicy\": \"shop:api\"}\n", &[][..]),
        (
            API,
            "image: ghcr.io/acme/web:1.0.0 # {\"$imagepolicy\": \"shop:api\"}\n",
            &[
                "a.yaml:1:8: warning other-image: the value holds ghcr.io/acme/web, and the policy shop/api follows \
               ghcr.io/acme/api; name the policy of this image",
            ],
        ),
        (
            API,
            "é: ü\nimage: \"no image\" # {\"$imagepolicy\": \"shop:api\"}\n",
            &[
                "a.yaml:2:8: warning not-an-image: the value \"no image\" is no image, and ghcr.io/acme/api is written \
               over it; write an image, such as ghcr.io/acme/api:1.9.3",
            ],
        ),
        (
            API,
            "image: a=no image # {\"$imagepolicy\": \"shop:api\"}\n",
            &[
                "a.yaml:1:8: error not-an-image: \"a=no image\" has no image at its end, behind the last =; write one \
               there, such as ghcr.io/acme/api:1.9.3",
            ],
        ),
        (
            API,
            &with_digest,
            &[
                "a.yaml:1:9: error no-digest: a digest stands here, and the policy shop/api writes tags alone; set \
               spec.pin to TagAndDigest or Digest",
            ],
        ),
        (API, encrypted, &["a.yaml:1:1: error encrypted: "]),
        (
            API,
            "kind: ConfigMap\nimmutable: true\ndata:\n  TAG: 1.0.0 # {\"$imagepolicy\": \"shop:api:tag\"}\n",
            &[
                "a.yaml:4:8: error immutable: the value is in a ConfigMap with immutable: true, which the API server lets \
               nobody change; let a generator of kustomize make it under a new name each time, or remove immutable",
            ],
        ),
        (API, "- a: # {\"$imagepolicy\": \"shop:api\"}\n", &["a.yaml:1:8: error no-value: "]),
        (API, "a: [\nb: c # {\"$imagepolicy\": \"shop:api\"}\n", &["a.yaml:"]),
        (
            &twin,
            workload,
            &[
                "o.yaml:13:10: warning competing-policies: ",
                "a.yaml:5:12: error ambiguous: both shop/api and shop/twin follow this image; write a marker behind the \
               value that names the one it follows",
            ],
        ),
    ] {
        let told = of_file(objects, "a.yaml", text);
        assert_eq!(told.len(), wanted.len(), "{text}{told:?}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.starts_with(wanted), "{told}\n  is not\n{wanted}");
        }
    }
    let pinned = format!("{API}  pin: TagAndDigest\n");
    assert_eq!(of_file(&pinned, "a.yaml", &with_digest), [""; 0]);
}

#[test]
fn a_file_with_many_mistakes_is_read_in_reasonable_time() {
    let line = "image: ghcr.io/acme/web:1.0.0 # {\"$imagepolicy\": \"shop:api\"}\n";
    let started = std::time::Instant::now();
    let told = of_file(API, "a.yaml", &line.replacen("image", "- image", 1).repeat(9_000));
    assert_eq!(told.len(), 9_000);
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}
