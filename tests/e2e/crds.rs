//! The committed definitions on a real API server: what it takes, what it refuses and in which words.

use crate::support::control_plane::ControlPlane;
use crate::support::process::Finished;
use crate::support::workspace;

const PLURALS: [&str; 3] = ["imagepolicies", "infrarepositories", "clusterimageregistries"];

/// The shared control plane with `crds/` applied as a user applies it.
async fn plane() -> &'static ControlPlane {
    let plane = ControlPlane::shared().await;
    let crds = workspace::checkout().join("crds");
    plane
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &crds.to_string_lossy()])
        .await
        .success();
    for plural in PLURALS {
        let crd = format!("crd/{plural}.tagtide.dev");
        plane.kubectl(&["wait", "--for=condition=Established", &crd, "--timeout=30s"]).await.success();
    }
    plane
}

/// What the API server says to an object, strictly read and not kept.
async fn try_out(plane: &ControlPlane, kind: &str, spec: &str) -> Finished {
    let namespace = if kind == "ClusterImageRegistry" { "" } else { ", namespace: default" };
    let object = format!(
        "apiVersion: tagtide.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: tried{namespace}}}\nspec: {spec}\n"
    );
    let folder = workspace::folder("object");
    let file = folder.path().join("object.yaml");
    std::fs::write(&file, object).expect("the object's file");
    let file = file.to_string_lossy();
    plane.kubectl(&["create", "--dry-run=server", "--validate=strict", "-o", "yaml", "-f", &file]).await
}

#[tokio::test]
async fn good_objects_are_taken() {
    let plane = plane().await;
    for (kind, spec) in [
        ("ImagePolicy", "{image: alpine, select: {semver: {range: '>=1.4.0 <2.0.0'}}}"),
        ("ImagePolicy", "{image: 'localhost:5000/acme/api', select: {numerical: {}}}"),
        (
            "ImagePolicy",
            "{image: ghcr.io/acme/api, select: {alphabetical: {order: Descending}}, interval: 1h30m}",
        ),
        (
            "ImagePolicy",
            "{image: ghcr.io/acme/api, select: {semver: {range: 1.x, prereleases: true, lenient: true}}, \
             credentials: {secretRef: {name: ghcr}}, tags: {include: '^v(?<version>.+)$', exclude: ['-debug$']}, \
             pin: TagAndDigest, avoid: ['1.4.2', '>=1.5.0-rc.0 <1.5.1'], downgrade: Allow, suspend: true}",
        ),
        (
            "ImagePolicy",
            "{image: alpine, select: {follow: {tag: stable}}, platforms: [linux/amd64, linux/arm/v7]}",
        ),
        ("ImagePolicy", "{image: alpine, select: {follow: {tag: stable}}, pin: Digest}"),
        ("ImagePolicy", "{image: alpine, select: {newestBuild: {}}, tags: {include: ^main-}, pin: Tag}"),
        ("ImagePolicy", "{image: alpine, select: {calver: {format: 'YYYY.0M.0D[.MICRO]'}}}"),
        ("InfraRepository", "{url: 'https://git.example.com/infra.git'}"),
        ("InfraRepository", "{url: 'file:///srv/git/infra.git', branch: release/1.x}"),
        (
            "InfraRepository",
            "{url: 'http://git.example.com/infra.git', insecureCredentials: true, secretRef: {name: git}, \
             policies: {matchLabels: {tier: front}}, paths: {include: ['apps/**'], exclude: ['**/testdata/**']}, \
             updates: {markers: true}, commit: {author: {name: Ada L., email: ada@acme.example}}, \
             branch: main, publish: {push: {branch: main}}}",
        ),
        ("ClusterImageRegistry", "{host: 'registry.acme.example:5000', insecure: true}"),
        (
            "ImagePolicy",
            "{image: gcr.io/acme/api, select: {numerical: {}}, credentials: {serviceAccountName: api, provider: Gcp}}",
        ),
        ("ImagePolicy", "{image: alpine, select: {numerical: {}}, credentials: {serviceAccountName: api}}"),
        (
            "ClusterImageRegistry",
            "{host: docker.io, mirrors: [{host: harbor.acme.example, prefix: proxy/docker-hub}, {host: 'cache:5000'}], fallback: Never}",
        ),
        ("ClusterImageRegistry", "{host: ghcr.io, caConfigMapRef: {name: ca}, fallback: Host}"),
        ("ClusterImageRegistry", "{host: acme.azurecr.io, credentials: {provider: Azure}}"),
        ("ClusterImageRegistry", "{host: docker.io, limits: {requestsPerSecond: 5, concurrency: 2}}"),
        (
            "ClusterImageRegistry",
            "{host: ghcr.io, caSecretRef: {name: ca}, clientCertificateSecretRef: {name: own}, credentials: {secretRef: {name: pull}}, allowedRealms: [auth.acme.example]}",
        ),
    ] {
        let done = try_out(plane, kind, spec).await;
        assert_eq!(done.code, Some(0), "{kind} {spec}: {done:?}");
    }
}

#[tokio::test]
async fn bad_objects_are_refused_in_words_that_say_what_would_be_right() {
    let plane = plane().await;
    let policy = |rest: &str| {
        ("ImagePolicy", format!("{{image: ghcr.io/acme/api, select: {{numerical: {{}}}}, {rest}}}"))
    };
    let image = |image: &str| ("ImagePolicy", format!("{{image: '{image}', select: {{numerical: {{}}}}}}"));
    let select = |select: &str| ("ImagePolicy", format!("{{image: alpine, select: {{{select}}}}}"));
    let infra =
        |rest: &str| ("InfraRepository", format!("{{url: 'https://git.example.com/infra.git', {rest}}}"));
    let url = |url: &str| ("InfraRepository", format!("{{url: '{url}'}}"));
    let host = |host: &str| ("ClusterImageRegistry", format!("{{host: '{host}'}}"));
    let limits = |limits: &str| ("ClusterImageRegistry", format!("{{host: ghcr.io, limits: {limits}}}"));
    let mirrors = |mirrors: &str| ("ClusterImageRegistry", format!("{{host: ghcr.io, mirrors: {mirrors}}}"));
    let one_of =
        "select must have exactly one of semver, calver, numerical, alphabetical, newestBuild and follow";
    for ((kind, spec), wanted) in [
        (
            image("https://ghcr.io/acme/api"),
            "image must not have a scheme: write ghcr.io/acme/api, not https://ghcr.io/acme/api",
        ),
        (
            image("ghcr.io/acme/api:1.9.3"),
            "image must not have a tag: write the repository only, such as ghcr.io/acme/api",
        ),
        (
            image("ghcr.io/acme/api@sha256:00"),
            "image must not have a digest: write the repository only, such as ghcr.io/acme/api",
        ),
        (image(""), "spec.image"),
        (("ImagePolicy", "{select: {numerical: {}}}".to_owned()), "spec.image: Required value"),
        (("ImagePolicy", "{image: alpine}".to_owned()), "spec.select: Required value"),
        (select(""), one_of),
        (select("numerical: {}, alphabetical: {}"), one_of),
        (select("semver: {range: 1.x}, numerical: {}"), one_of),
        (select("semver: {}"), "spec.select.semver.range: Required value"),
        (select("semver: {range: 1.4}"), "spec.select.semver.range: Invalid value"),
        (select("numerical: {order: Upwards}"), "supported values: \"Ascending\", \"Descending\""),
        (select("newest: {}"), "unknown field \"spec.select.newest\""),
        (policy("pin: Both"), "supported values: \"Tag\", \"TagAndDigest\", \"Digest\""),
        (policy("downgrade: Maybe"), "supported values: \"Never\", \"Allow\""),
        (
            policy("interval: 5 minutes"),
            "interval must be a length of time: numbers with units ms, s, m or h, such as 30s or 1h30m",
        ),
        (policy("gates: {minimumAge: 2h}"), "unknown field \"spec.gates\""),
        (
            policy("credentials: {}"),
            "credentials must have exactly one of secretRef, serviceAccountName and a provider",
        ),
        (
            policy("credentials: {secretRef: {name: a}, serviceAccountName: b}"),
            "credentials must have exactly one of",
        ),
        (
            policy("credentials: {secretRef: {name: a}, provider: Gcp}"),
            "credentials must have exactly one of",
        ),
        (
            policy("credentials: {provider: Aws}"),
            "provider must have a serviceAccountName here: the operator's own",
        ),
        (
            policy("credentials: {provider: Oracle}"),
            "supported values: \"Generic\", \"Aws\", \"Gcp\", \"Azure\"",
        ),
        (policy("avoid: ['']"), "spec.avoid[0]"),
        (policy("platforms: ['']"), "spec.platforms[0]"),
        (select("calver: {}"), "spec.select.calver.format: Required value"),
        (select("follow: {tag: 'a b'}"), "tag must be one tag, such as stable"),
        (select("follow: {tag: stable}, newestBuild: {}"), one_of),
        (
            ("ImagePolicy", "{image: alpine, select: {follow: {tag: stable}}, pin: Tag}".to_owned()),
            "pin must be TagAndDigest or Digest with select.follow: the tag alone never changes",
        ),
        (
            ("ImagePolicy", "{image: alpine, select: {follow: {tag: stable}}, avoid: ['1']}".to_owned()),
            "select.follow names its tag: leave tags and avoid out",
        ),
        (url("git@git.example.com:infra.git"), "git@host:path is written as ssh://git@host/path"),
        (url("ssh://git:hunter2@git.example.com/infra.git"), "url must not hold"),
        (
            url("https://bot:hunter2@git.example.com/infra.git"),
            "url must not hold a user or a password: put them into the Secret of secretRef",
        ),
        (url("file://relative/infra.git"), "url must start with https://, ssh://, http:// or file:///"),
        (infra("publish: {push: {branch: ''}}"), "spec.publish.push.branch"),
        (
            (
                "InfraRepository",
                "{url: 'ssh://git@git.example.com/infra.git', proxySecretRef: {name: proxy}}".to_owned(),
            ),
            "proxySecretRef only has a meaning for a url that starts with https:// or http://",
        ),
        (infra("publish: {}"), "spec.publish.push: Required value"),
        (
            infra("insecureCredentials: true"),
            "insecureCredentials only has a meaning for a url that starts with http://",
        ),
        (infra("commit: {author: {name: 'A <b>'}}"), "spec.commit.author.name"),
        (infra("updates: {everything: true}"), "unknown field \"spec.updates.everything\""),
        (
            infra("updates: {fields: [{glob: '*', policy: web}]}"),
            "spec.updates.fields[0].path: Required value",
        ),
        (
            infra("updates: {fields: [{glob: '*', policy: web, path: a, write: All}]}"),
            "supported values: \"Image\", \"Name\", \"Tag\", \"Digest\"",
        ),
        (
            host("https://ghcr.io"),
            "host must be a host with an optional port, without scheme and path, such as ghcr.io or registry.acme.example:5000",
        ),
        (host(""), "spec.host"),
        (
            mirrors("[{host: ghcr.io}]"),
            "mirrors must be other hosts than host itself, which is asked last anyway",
        ),
        (mirrors("[{host: 'https://a.example'}]"), "what stands before the repository is the prefix"),
        (mirrors("[{host: a.example, prefix: /hub}]"), "prefix must be a path of lower-case names"),
        (mirrors("[{host: a.example, prefix: Hub}]"), "prefix must be a path of lower-case names"),
        (mirrors("[{prefix: hub}]"), "spec.mirrors[0].host: Required value"),
        (
            mirrors("[], fallback: Never"),
            "fallback must not be Never without mirrors: nothing would be asked",
        ),
        (mirrors("[], fallback: Always"), "supported values: \"Host\", \"Never\""),
        (
            mirrors("[], caSecretRef: {name: a}, caConfigMapRef: {name: b}"),
            "caSecretRef and caConfigMapRef exclude each other: put all certificates into one of them",
        ),
        (limits("{}"), "limits must have requestsPerSecond or concurrency, or both"),
        (limits("{requestsPerSecond: 0}"), "spec.limits.requestsPerSecond"),
    ] {
        let done = try_out(plane, kind, &spec).await;
        assert_eq!(done.code, Some(1), "{kind} {spec}: {done:?}");
        assert!(done.stderr.contains(wanted), "{kind} {spec}: {}", done.stderr);
    }
}

#[tokio::test]
async fn what_is_left_out_has_the_documented_defaults() {
    let plane = plane().await;
    let policy = try_out(plane, "ImagePolicy", "{image: alpine, select: {numerical: {}}}").await.success();
    for line in ["interval: 5m", "downgrade: Never", "order: Ascending"] {
        assert!(policy.contains(line), "{line}: {policy}");
    }
    let infra =
        try_out(plane, "InfraRepository", "{url: 'https://git.example.com/infra.git'}").await.success();
    for line in
        ["interval: 10m", "branch: main", "markers: true", "name: tagtide", "email: tagtide@localhost"]
    {
        assert!(infra.contains(line), "{line}: {infra}");
    }
}

#[tokio::test]
async fn kubectl_knows_short_names_category_columns_and_every_field() {
    let plane = plane().await;
    let namespace = plane.namespace("columns").await;
    plane
        .apply(&format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: api, namespace: {namespace}}}\n\
             spec: {{image: ghcr.io/acme/api, select: {{numerical: {{}}}}}}\n---\n\
             apiVersion: tagtide.dev/v1alpha1\nkind: InfraRepository\nmetadata: {{name: infra, namespace: {namespace}}}\n\
             spec: {{url: 'https://git.example.com/infra.git'}}\n"
        ))
        .await;
    let get = async |what: &str| plane.kubectl(&["-n", &namespace, "get", what]).await.success();
    let words = |text: String, line: usize| -> Vec<String> {
        text.lines().nth(line).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words(get("imgpol").await, 0), ["NAME", "IMAGE", "SELECTED", "WRITTEN", "READY", "AGE"]);
    assert_eq!(words(get("imgpol").await, 1)[..2], ["api", "ghcr.io/acme/api"]);
    assert_eq!(words(get("infra").await, 0), ["NAME", "URL", "BRANCH", "LAST", "COMMIT", "READY", "AGE"]);
    assert_eq!(words(get("infra").await, 1)[..3], ["infra", "https://git.example.com/infra.git", "main"]);
    plane.kubectl(&["get", "imgreg"]).await.success();
    let all = get("tagtide").await;
    assert!(
        all.contains("imagepolicy.tagtide.dev/api") && all.contains("infrarepository.tagtide.dev/infra"),
        "{all}"
    );
    for (field, words) in [
        ("imagepolicies.spec.select.semver.range", "A range in the language of Flux and Helm"),
        ("imagepolicies.spec.pin", "What is written where a marker stands"),
        ("infrarepositories.spec.publish.push.branch", "The branch that is pushed"),
        ("clusterimageregistries.spec.allowedRealms", "Further hosts that may hand out tokens"),
        ("imagepolicies.status.refused", "The nearest misses"),
    ] {
        let text = plane.kubectl(&["explain", field]).await.success();
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(words), "{field}: {text}");
    }
}
