use std::fs;
use std::path::Path;

use super::*;

const DIGEST: &str = "sha256:80f0d5c8786bb9e621a45ece0db56d11cdc624ad20da9fe62e9d25490f331d7d";

/// The samples are what the fuzzer starts from, too.
fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/webhook").join(format!("{name}.json"));
    fs::read(path).unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn read(kind: WebhookKind, host: &str, event: &str, body: &[u8]) -> Result<Vec<String>, PayloadError> {
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = event.split_once(": ") {
        headers.insert(reqwest::header::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    let pushed = pushed(kind, host, &headers, body)?;
    Ok(pushed
        .iter()
        .map(|Pushed { image, and_below, tag }| {
            let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            format!("{image}{}{tag}", if *and_below { "/…" } else { "" })
        })
        .collect())
}

#[test]
fn what_each_sender_documents_is_understood() {
    use WebhookKind::*;
    const GOOGLE: &str = "europe-west3-docker.pkg.dev";
    const AMAZON: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    const OWN: &str = "registry.acme.example:5000";
    let rows: [(WebhookKind, &str, &str, &str, &[&str]); 43] = [
        (AzureContainerRegistry, "acme.azurecr.io", "", "azure-push", &["acme.azurecr.io/shop/api:1.9.4"]),
        (AzureContainerRegistry, "acme.azurecr.io", "", "azure-ping", &[]),
        (
            AzureContainerRegistry,
            "acme.azurecr.io",
            "",
            "event-grid-push",
            &["acme.azurecr.io/shop/api:1.9.4"],
        ),
        (AzureContainerRegistry, "other.azurecr.io", "", "event-grid-push", &[]),
        (
            AzureContainerRegistry,
            "acme.azurecr.io",
            "",
            "event-grid-cloud-event",
            &["acme.azurecr.io/shop/api:1.9.4"],
        ),
        (AzureContainerRegistry, "other.azurecr.io", "", "event-grid-cloud-event", &[]),
        (
            AzureContainerRegistry,
            "acme.azurecr.io",
            "",
            "event-grid-batch",
            &["acme.azurecr.io/shop/web:2.0.0"],
        ),
        (AzureContainerRegistry, "acme.azurecr.io", "", "event-grid-deleted", &[]),
        (AzureContainerRegistry, "acme.azurecr.io", "", "event-grid-validation", &[]),
        (
            ArtifactRegistry,
            GOOGLE,
            "",
            "artifact-registry-insert",
            &["europe-west3-docker.pkg.dev/acme/shop/api:1.9.4"],
        ),
        (ArtifactRegistry, GOOGLE, "", "artifact-registry-delete", &[]),
        (ArtifactRegistry, "us-docker.pkg.dev", "", "artifact-registry-insert", &[]),
        (Ecr, AMAZON, "", "ecr-push", &["123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/api:1.9.4"]),
        (
            Ecr,
            AMAZON,
            "",
            "ecr-cloud-event",
            &["123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/api:1.9.4"],
        ),
        (Ecr, AMAZON, "", "ecr-delete", &[]),
        (Ecr, "123456789012.dkr.ecr.us-east-1.amazonaws.com", "", "ecr-push", &[]),
        (Ecr, "999999999999.dkr.ecr.eu-central-1.amazonaws.com", "", "ecr-push", &[]),
        (Distribution, OWN, "", "distribution-push", &["registry.acme.example:5000/shop/api:1.9.4"]),
        (DockerHub, "docker.io", "", "docker-hub-push", &["docker.io/acme/api:1.9.4"]),
        (Quay, "quay.io", "", "quay-push", &["quay.io/acme/api:1.9", "quay.io/acme/api:1.9.4"]),
        (Quay, "quay.io", "", "quay-build", &[]),
        (Harbor, "harbor.acme.example", "", "harbor-push", &["harbor.acme.example/shop/api:1.9.4"]),
        (Harbor, "harbor.acme.example", "", "harbor-cloud-event", &["harbor.acme.example/shop/api:1.9.4"]),
        (Harbor, "harbor.acme.example", "", "harbor-scan", &[]),
        (
            Zot,
            OWN,
            "ce-type: zotregistry.image.updated",
            "zot-updated",
            &["registry.acme.example:5000/shop/api:1.9.4"],
        ),
        (
            Zot,
            OWN,
            "ce-type: com.acme.image.updated",
            "zot-updated",
            &["registry.acme.example:5000/shop/api:1.9.4"],
        ),
        (Zot, OWN, "ce-type: zotregistry.image.deleted", "zot-updated", &[]),
        (Zot, OWN, "", "zot-structured", &["registry.acme.example:5000/shop/api:1.9.4"]),
        (GitHub, "ghcr.io", "x-github-event: package", "github-package", &["ghcr.io/acme/shop/api:1.9.4"]),
        (
            GitHub,
            "ghcr.io",
            "x-github-event: registry_package",
            "github-registry-package",
            &["ghcr.io/acme/api:1.9.4"],
        ),
        (GitHub, "ghcr.io", "x-github-event: registry_package", "github-untagged", &[]),
        (GitHub, "ghcr.io", "x-github-event: package", "github-npm", &[]),
        (GitHub, "ghcr.io", "x-github-event: ping", "github-ping", &[]),
        (GitHub, "ghcr.io", "x-github-event: push", "github-package", &[]),
        (GitLab, "registry.acme.example", "", "gitlab-pipeline", &["registry.acme.example/shop/api/…"]),
        (GitLab, "registry.acme.example", "", "gitlab-job", &["registry.acme.example/shop/api/…"]),
        (GitLab, "registry.acme.example", "", "gitlab-running", &[]),
        (
            Gitea,
            "gitea.acme.example",
            "x-gitea-event: package",
            "gitea-package",
            &["gitea.acme.example/acme/shop/api:1.9.4"],
        ),
        (
            Gitea,
            "gitea.acme.example",
            "x-forgejo-event: package",
            "gitea-package",
            &["gitea.acme.example/acme/shop/api:1.9.4"],
        ),
        (Gitea, "gitea.acme.example", "x-gitea-event: package", "gitea-deleted", &[]),
        (Gitea, "gitea.acme.example", "x-gitea-event: push", "gitea-package", &[]),
        (Generic, OWN, "", "generic-one", &["registry.acme.example:5000/shop/api:1.9.4"]),
        (
            Generic,
            OWN,
            "",
            "generic-many",
            &["registry.acme.example:5000/shop/api", "registry.acme.example:5000/shop/web"],
        ),
    ];
    for (kind, host, event, name, expected) in rows {
        assert_eq!(read(kind, host, event, &sample(name)).unwrap(), expected, "{kind:?} {event} {name}");
    }
}

#[test]
fn a_code_to_be_sent_back_is_read_of_its_own_event_and_kind_and_of_bounded_length() {
    let validation = headers(&[("aeg-event-type", "SubscriptionValidation")]);
    let code = |kind, headers: &HeaderMap, body: &[u8]| {
        validation_code(kind, headers, body).map_err(|error| error.to_string())
    };
    let azure = WebhookKind::AzureContainerRegistry;
    let sample = sample("event-grid-validation");
    let wanted = Some("5f0a1c9e-3b7d-4c55-9f1e-2a6b8d7c4e31".to_owned());
    assert_eq!(code(azure, &validation, &sample), Ok(wanted));
    assert_eq!(code(azure, &headers(&[("aeg-event-type", "Notification")]), &sample), Ok(None));
    assert_eq!(code(azure, &headers(&[]), &sample), Ok(None));
    assert_eq!(code(WebhookKind::Generic, &validation, &sample), Ok(None));
    let long = format!(r#"[{{"data":{{"validationCode":"{}"}}}}]"#, "x".repeat(257));
    for (body, words) in [
        ("[]", "without a code of 1 to 256 characters"),
        (r#"[{"data":{"validationCode":""}}]"#, "without a code of 1 to 256 characters"),
        (&long, "without a code of 1 to 256 characters"),
        (r#"[{"data":{}}]"#, "at [0].data"),
        ("hunter2", "it is not JSON"),
    ] {
        let error = code(azure, &validation, body.as_bytes()).unwrap_err();
        assert!(error.contains(words) && !error.contains("hunter2"), "{body}: {error}");
    }
}

#[test]
fn only_who_names_its_origin_may_ask_whether_it_may_deliver() {
    let azure = WebhookKind::AzureContainerRegistry;
    let asks = |kind, origin| asking_origin(kind, &headers(&[("webhook-request-origin", origin)])).is_some();
    assert!(asks(azure, "eventgrid.azure.net"));
    assert!(!asks(WebhookKind::Generic, "eventgrid.azure.net"));
    for origin in ["", "a b", "a, b", "<script>", "a/b"] {
        assert!(!asks(azure, origin), "{origin}");
    }
    assert_eq!(asking_origin(azure, &headers(&[])), None);
    let long = "a".repeat(256).parse().unwrap();
    let long = HeaderMap::from_iter([("webhook-request-origin".parse().unwrap(), long)]);
    assert_eq!(asking_origin(azure, &long), None);
}

#[test]
fn what_is_malformed_is_told_without_quoting_it() {
    use WebhookKind::*;
    let secret = "hunter2";
    for (kind, event, body, expected) in [
        (DockerHub, "", "", "the body is not what DockerHub documents: it ends too early"),
        (DockerHub, "", "hunter2", "the body is not what DockerHub documents: it is not JSON"),
        (
            DockerHub,
            "",
            r#"{"repository": {"repo_name": ["hunter2"]}}"#,
            "the body is not what DockerHub documents: a field is missing or of another type, at repository.repo_name",
        ),
        (
            ArtifactRegistry,
            "",
            r#"{"message": {"data": "hunter2!"}}"#,
            "the body is not what ArtifactRegistry documents: message.data is not Base64",
        ),
        (
            Zot,
            "",
            r#"{"type": "zotregistry.image.updated", "data": {}}"#,
            "the body is not what Zot documents: a field is missing or of another type, at data",
        ),
        (GitHub, "x-github-event: package", "{}", "the body is not what GitHub documents: it has no package"),
        (
            Generic,
            "",
            r#"{"images": []}"#,
            "the body is not what Generic documents: it has neither image nor images",
        ),
        (
            Generic,
            "",
            r#"{"images": ["docker.io/acme/api", "x/"]}"#,
            "the body names no image: docker.io/acme/api is not on ghcr.io, for which this webhook is",
        ),
        (Generic, "", r#"{"image": "ghcr.io/"}"#, "the body names no image: \"ghcr.io/\" is none"),
    ] {
        let error = read(kind, "ghcr.io", event, body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, expected);
        assert!(!error.contains(secret));
    }
}

#[test]
fn a_repository_that_would_leave_its_host_is_no_image() {
    for name in ["../evil/x", "evil.example/../x", "A/B", "a//b", "a/b:1", "a@b", "", "\u{7}"] {
        let body = serde_json::json!({ "repository": { "repo_name": name } }).to_string();
        let error = read(WebhookKind::DockerHub, "ghcr.io", "", body.as_bytes()).unwrap_err();
        assert!(matches!(error, PayloadError::Image(_)), "{name:?}: {error}");
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }
}

#[test]
fn a_push_whose_tag_is_missing_or_none_still_names_its_image() {
    use WebhookKind::*;
    const ALONE: &[&str] = &["r.example/a/b"];
    for (kind, event, body) in [
        (AzureContainerRegistry, "", r#"{"action": "push", "target": {"repository": "a/b"}}"#),
        (AzureContainerRegistry, "", r#"{"action": "push", "target": {"repository": "a/b", "tag": null}}"#),
        (DockerHub, "", r#"{"repository": {"repo_name": "a/b"}}"#),
        (DockerHub, "", r#"{"repository": {"repo_name": "a/b"}, "push_data": {"tag": null}}"#),
        (DockerHub, "", r#"{"repository": {"repo_name": "a/b"}, "push_data": {"tag": "../x"}}"#),
        (Quay, "", r#"{"repository": "a/b", "updated_tags": ["\u001b[2J"]}"#),
        (
            Harbor,
            "",
            r#"{"type": "PUSH_ARTIFACT", "event_data": {"repository": {"repo_full_name": "a/b"}, "resources": null}}"#,
        ),
        (
            Harbor,
            "",
            r#"{"type": "PUSH_ARTIFACT", "event_data": {"repository": {"repo_full_name": "a/b"}, "resources": [{"tag": "sha256:00"}]}}"#,
        ),
        (Zot, "ce-type: zotregistry.image.updated", r#"{"name": "a/b", "reference": "sha256:00"}"#),
        (
            Gitea,
            "x-gitea-event: package",
            r#"{"action": "created", "package": {"owner": {"login": "a"}, "type": "container", "name": "b"}}"#,
        ),
        (
            GitHub,
            "x-github-event: package",
            r#"{"package": {"namespace": "a", "package_type": "CONTAINER", "name": "b"}}"#,
        ),
        (Generic, "", r#"{"image": "r.example/a/b"}"#),
    ] {
        assert_eq!(read(kind, "r.example", event, body.as_bytes()).unwrap(), ALONE, "{kind:?} {body}");
    }
}

#[test]
fn a_project_means_what_is_below_it_and_no_neighbour() {
    let image = |name: &str| ImageName::parse(name).unwrap();
    let project = Pushed { image: image("r.example/shop/api"), and_below: true, tag: None };
    let alone = Pushed { image: image("r.example/shop/api"), and_below: false, tag: None };
    for (name, below, itself) in [
        ("r.example/shop/api", true, true),
        ("r.example/shop/api/worker", true, false),
        ("r.example/shop/api-v2", false, false),
        ("r.example/shop", false, false),
        ("other.example/shop/api", false, false),
        ("other.example/shop/api/worker", false, false),
    ] {
        assert_eq!(project.is_of(&image(name)), below, "{name}");
        assert_eq!(alone.is_of(&image(name)), itself, "{name}");
    }
}

#[test]
fn a_delivery_that_names_a_whole_registry_is_cut() {
    let names: Vec<String> = (0..5000).map(|n| format!("ghcr.io/acme/app{n}@{DIGEST}")).collect();
    let body = serde_json::json!({ "images": names }).to_string();
    let pushed = pushed(WebhookKind::Generic, "ghcr.io", &headers(&[]), body.as_bytes()).unwrap();
    assert_eq!(pushed.len(), MOST_PUSHES);
}

#[test]
fn no_reader_makes_more_of_a_delivery_than_counts() {
    use WebhookKind::*;
    let headers = headers(&[]);
    let read = |kind, body: serde_json::Value| {
        let body = body.to_string();
        let delivery = Delivery { kind, host: "r.example", headers: &headers, body: body.as_bytes() };
        let pushed = match kind {
            AzureContainerRegistry => cloud::azure(&delivery),
            Quay => server::quay(&delivery),
            Harbor => server::harbor(&delivery),
            Distribution => server::distribution(&delivery),
            _ => generic::generic(&delivery),
        };
        pushed.unwrap().len()
    };
    let tags: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    let images: Vec<String> = tags.iter().map(|tag| format!("r.example/a/b:{tag}")).collect();
    let resources: Vec<_> = tags.iter().map(|tag| serde_json::json!({ "tag": tag })).collect();
    let event = |tag| serde_json::json!({ "action": "push", "target": { "repository": "a/b", "tag": tag } });
    let events: Vec<_> = tags.iter().map(event).collect();
    let of_event_grid: Vec<_> =
        events.iter().map(|event| serde_json::json!({ "type": "ImagePushed", "data": event })).collect();
    let repository = serde_json::json!({ "repo_full_name": "a/b" });
    let pushed = serde_json::json!({ "repository": repository, "resources": resources });
    for (kind, body) in [
        (Quay, serde_json::json!({ "repository": "a/b", "updated_tags": tags })),
        (Harbor, serde_json::json!({ "type": "PUSH_ARTIFACT", "event_data": pushed })),
        (Distribution, serde_json::json!({ "events": events })),
        (AzureContainerRegistry, serde_json::json!(of_event_grid)),
        (Generic, serde_json::json!({ "images": images })),
    ] {
        assert_eq!(read(kind, body), MOST_PUSHES, "{kind:?}");
    }
}

#[test]
fn a_name_that_fills_a_body_is_refused_once_and_not_for_each_of_its_tags() {
    let name = "a".repeat(500_000);
    let (headers, tags) = (headers(&[]), vec!["\"\""; 175_000].join(","));
    let quay = format!(r#"{{"repository":"{name}","updated_tags":[{tags}]}}"#);
    let resources = tags.replace("\"\"", "{}");
    let event = format!(r#"{{"repository":{{"repo_full_name":"{name}"}},"resources":[{resources}]}}"#);
    let harbor = format!(r#"{{"type":"PUSH_ARTIFACT","event_data":{event}}}"#);
    for (kind, body, reader) in [
        (WebhookKind::Quay, quay, server::quay as fn(&Delivery<'_>) -> _),
        (WebhookKind::Harbor, harbor, server::harbor),
    ] {
        assert!((1_000_000..1024 * 1024).contains(&body.len()));
        let error = reader(&Delivery { kind, host: "r.example", headers: &headers, body: body.as_bytes() });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("longer than 255") && error.len() < 300, "{error}");
    }
}
