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
        unread: &[],
        idle_globs: &[],
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
            "o.yaml:8:27: error invalid-object: spec.credentials.provider must have a serviceAccountName here: the \
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
fn what_the_operator_would_say_of_a_registry_is_told_at_its_field() {
    let oidc = "{kind: ArtifactRegistry, oidc: {audience: a, email: b, issuer: ISSUER}}";
    for (spec, wanted) in [
        (
            "mirrors: [{host: ghcr.io}]",
            "13: error invalid-object: spec.mirrors[0]: \"ghcr.io\" can not be asked: ",
        ),
        (
            "mirrors: [{host: a.example}, {host: x}]",
            "32: error invalid-object: spec.mirrors[1]: \"x\" can not be asked: ",
        ),
        (
            "fallback: Never",
            "13: error invalid-object: spec.fallback is Never, and there are no spec.mirrors",
        ),
        (
            "webhook: {kind: Harbor}",
            "3: error invalid-object: spec.webhook must have secretRef, or oidc where its kind is ArtifactRegistry, and \
             not both",
        ),
        (
            "webhook: {kind: ArtifactRegistry, secretRef: {name: x}}",
            "3: error invalid-object: spec.webhook must have ",
        ),
        (
            &oidc.replace("ISSUER", "accounts.google.com").replacen('{', "webhook: {", 1),
            "75: error invalid-object: spec.webhook.oidc.issuer: the keys of accounts.google.com",
        ),
        (
            "caSecretRef: {name: x}\n  caConfigMapRef: {name: x}",
            "3: error invalid-object: spec.caSecretRef and spec.caConfigMapRef exclude each other",
        ),
        ("credentials: {}", "3: error invalid-object: spec.credentials must have exactly one of "),
        (
            "allowedRealms: [auth.acme.example, 'https://auth.acme.example']",
            "38: error invalid-object: spec.allowedRealms[1]: \"https://auth.acme.example\" is not a host",
        ),
    ] {
        let told = of_objects(&format!("{GHCR}  {spec}\n"));
        let told: Vec<&str> = told.iter().map(|told| told.split_once(':').unwrap().1).collect();
        assert!(
            matches!(told.as_slice(), [one] if one.starts_with(&format!("7:{wanted}"))),
            "{spec}: {told:?}"
        );
    }
    let told = of_objects(&GHCR.replace("ghcr.io", "ghcr.io/acme"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("o.yaml:6:9: error invalid-object: spec.host: \"ghcr.io/acme\" is not a host "),
        "{told:?}"
    );
}

/// A Secret of these keys, with the namespace and name that all objects here mean.
fn secret(namespace: &str, keys: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: {namespace}}}\nstringData: {{{keys}}}\n"
    )
}

#[test]
fn a_secret_among_the_objects_that_lacks_a_key_is_told_where_it_is_named() {
    for (object, namespace, keys, right, wanted) in [
        (
            format!("{GHCR}  webhook: {{kind: Harbor, secretRef: {{name: s}}}}\n"),
            "tagtide",
            "tokn: x",
            "token: 0123456789abcdef",
            "error invalid-object: spec.webhook.secretRef: the Secret tagtide/s has no key token",
        ),
        (
            format!("{GHCR}  caSecretRef: {{name: s}}\n"),
            "tagtide",
            "ca.pem: x",
            "ca.crt: x",
            "error invalid-object: spec.caSecretRef: the Secret tagtide/s has no key ca.crt",
        ),
        (
            format!("{GHCR}  clientCertificateSecretRef: {{name: s}}\n"),
            "tagtide",
            "tls.crt: x",
            "tls.crt: x, tls.key: x",
            "error invalid-object: spec.clientCertificateSecretRef: the Secret tagtide/s has no key tls.key",
        ),
        (
            format!("{GHCR}  credentials: {{secretRef: {{name: s}}}}\n"),
            "tagtide",
            "username: x",
            "username: x, password: x",
            "error invalid-object: the Secret tagtide/s holds no credentials: it has the key username without",
        ),
        (
            format!("{API}  credentials: {{secretRef: {{name: s}}}}\n"),
            "shop",
            "user: x",
            ".dockerconfigjson: ENC[AES256_GCM]",
            "error invalid-object: the Secret shop/s holds no credentials: it has neither",
        ),
        (
            format!("{INFRA}  secretRef: {{name: s}}\n"),
            "shop",
            "password: x",
            "password: x, username: y",
            "error invalid-object: spec.secretRef: the Secret has the key password but not username",
        ),
        (
            format!("{INFRA}  proxySecretRef: {{name: s}}\n"),
            "shop",
            "url: x",
            "address: 'http://proxy.acme.example:3128'",
            "error invalid-object: spec.proxySecretRef: the Secret has no key address",
        ),
        (
            format!("{INFRA}  commit: {{signing: {{secretRef: {{name: s}}}}}}\n"),
            "shop",
            "key: x",
            "identity: ENC[AES256_GCM]",
            "error invalid-object: spec.commit.signing: the Secret has neither",
        ),
    ] {
        let told = of_objects(&format!("{object}{}", secret(namespace, keys)));
        assert!(matches!(told.as_slice(), [one] if one.contains(wanted)), "{told:?}\n is not\n{wanted}");
        for others in [secret(namespace, right), secret("elsewhere", keys)] {
            assert_eq!(of_objects(&format!("{object}{others}")), [""; 0], "{object}{others}");
        }
    }
}

#[test]
fn what_is_in_order_is_left_alone() {
    for objects in [
        API.to_owned(),
        format!("{API}{INFRA}"),
        format!("{API}{INFRA}  proxySecretRef: {{name: proxy}}\n  secretRef: {{name: nowhere}}\n"),
        format!("{API}{GHCR}  credentials: {{provider: Aws}}\n  limits: {{concurrency: 3}}\n"),
        format!(
            "{API}{GHCR}  mirrors: [{{host: a.example, prefix: hub}}]\n  fallback: Never\n  allowedRealms: [a.b:1]\n"
        ),
        format!("{API}{GHCR}  insecure: true\n  webhook: {{kind: Quay, secretRef: {{name: nowhere}}}}\n"),
        format!("{API}{GHCR}  webhook: {{kind: ArtifactRegistry, oidc: {{audience: a, email: b}}}}\n"),
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
fn a_link_out_of_the_folder_is_not_opened_for_its_lines() {
    let [folder, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    std::fs::write(elsewhere.path().join("x.yaml"), "TOKEN=hunter2\n").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("x.yaml"), folder.path().join("x.yaml")).unwrap();
    let report = lint(&Folder::read(folder.path()).unwrap(), None);
    let found: Vec<_> = report.findings.iter().map(|one| (one.rule, one.excerpt.as_deref())).collect();
    assert_eq!(found, [(Rule::UnreadableFile, None)]);
}

#[test]
fn what_stands_in_the_way_of_a_value_is_told_with_its_columns() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let with_digest = format!("digest: {digest} # {{\"$imagepolicy\": \"shop:api:digest\"}}\n");
    let pinned = format!("tag: 1.0.0@{digest} # {{\"$imagepolicy\": \"shop:api:tag\"}}\n");
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
            "run: a b=busybox:1 # {\"$imagepolicy\": \"shop:api\"}\n",
            &[
                "a.yaml:1:6: error not-an-image: what stands behind the last = of \"a b=busybox:1\" is not surely the image \
               that is meant; write that one last, such as ghcr.io/acme/api:1.9.3",
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
        (
            API,
            &pinned,
            &[
                "a.yaml:1:6: error no-digest: the value holds a digest, and the policy shop/api writes tags alone; set \
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
