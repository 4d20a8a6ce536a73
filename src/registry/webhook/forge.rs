//! What forges send, which have a registry beside their repositories.

use serde::Deserialize;

use super::{Delivery, PayloadError, Pushed};

/// GitHub ("Webhook events and payloads", `package` and `registry_package`, GitHub documentation). A version without a tag
/// is one platform of an image, or an attestation.
pub(super) fn github(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        #[serde(alias = "registry_package")]
        package: Option<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        namespace: String,
        package_type: String,
        package_version: Option<Version>,
    }
    #[derive(Deserialize)]
    struct Version {
        package_url: Option<String>,
        container_metadata: Option<Container>,
    }
    #[derive(Deserialize)]
    struct Container {
        tag: Option<Tag>,
    }
    #[derive(Deserialize)]
    struct Tag {
        #[serde(default)]
        name: String,
    }
    if !matches!(delivery.header("x-github-event"), "package" | "registry_package") {
        return Ok(Vec::new());
    }
    let payload: Payload = delivery.json()?;
    let package = payload.package.ok_or_else(|| delivery.malformed("it has no package"))?;
    if !package.package_type.eq_ignore_ascii_case("container") {
        return Ok(Vec::new());
    }
    let version = package.package_version;
    let tag = version.as_ref().and_then(|version| version.container_metadata.as_ref()?.tag.as_ref());
    let tag = tag.map(|tag| tag.name.as_str());
    if tag == Some("") {
        return Ok(Vec::new());
    }
    let url = version.as_ref().and_then(|version| version.package_url.as_deref()).unwrap_or_default();
    // The address says it as it is; the name of a package that belongs to a repository lacks the repository's.
    let image = match delivery.referred(url) {
        Some(referred) => referred.image,
        // Owners have capitals, images have not.
        None => delivery.image(&format!("{}/{}", package.namespace, package.name).to_ascii_lowercase())?,
    };
    Ok(vec![Pushed::of(image).tagged(tag)])
}

/// GitLab ("Webhook events", pipeline and job events, GitLab documentation). It has no event for a pushed image: what ends
/// well in a project may have pushed one, below the project's path.
pub(super) fn gitlab(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        object_kind: String,
        object_attributes: Option<Pipeline>,
        build_status: Option<String>,
        project: Option<Project>,
    }
    #[derive(Deserialize)]
    struct Pipeline {
        status: Option<String>,
    }
    #[derive(Deserialize)]
    struct Project {
        path_with_namespace: String,
    }
    let payload: Payload = delivery.json()?;
    let status = match payload.object_kind.as_str() {
        "pipeline" => payload.object_attributes.and_then(|pipeline| pipeline.status),
        "build" => payload.build_status,
        _ => None,
    };
    if status.as_deref() != Some("success") {
        return Ok(Vec::new());
    }
    let project = payload.project.ok_or_else(|| delivery.malformed("it has no project"))?;
    let image = delivery.image(&project.path_with_namespace.to_ascii_lowercase())?;
    Ok(vec![Pushed { and_below: true, ..Pushed::of(image) }])
}

/// Gitea and Forgejo ("Webhooks", event `package`, Gitea documentation).
pub(super) fn gitea(delivery: &Delivery<'_>) -> Result<Vec<Pushed>, PayloadError> {
    #[derive(Deserialize)]
    struct Payload {
        action: String,
        package: Option<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        owner: Owner,
        #[serde(rename = "type")]
        format: String,
        name: String,
        version: Option<String>,
    }
    #[derive(Deserialize)]
    struct Owner {
        login: String,
    }
    let event = ["x-gitea-event", "x-forgejo-event"].map(|name| delivery.header(name));
    if !event.contains(&"package") {
        return Ok(Vec::new());
    }
    let payload: Payload = delivery.json()?;
    let package = payload.package.ok_or_else(|| delivery.malformed("it has no package"))?;
    if payload.action != "created" || package.format != "container" {
        return Ok(Vec::new());
    }
    let repository = format!("{}/{}", package.owner.login, package.name);
    let image = delivery.image(&repository.to_ascii_lowercase())?;
    Ok(vec![Pushed::of(image).tagged(package.version.as_deref())])
}
