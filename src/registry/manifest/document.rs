//! What manifests, indexes and configurations say, as far as a choice needs it.
//!
//! OCI image specification 1.1, "Image Index", "Image Manifest" and "Image Configuration"; Docker's list and manifest v2
//! have the same fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::image::{BuildTime, Digest, Platform};

/// The key under which annotations and labels have the time of the build.
const CREATED: &str = "org.opencontainers.image.created";

/// The most entries of an index that are looked at.
const MOST_ENTRIES: usize = 1000;

const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// What stands behind a digest.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum Document {
    Index(Index),
    Manifest(Manifest),
    /// Something else: a manifest of schema 1, or what can not be told apart.
    Other,
}

/// An index of images, or Docker's list of manifests.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Index {
    pub(in crate::registry) platforms: Arc<[Platform]>,
    pub(in crate::registry) built: Option<BuildTime>,
    /// The first image that is for a platform, which tells the time where the index does not.
    pub(in crate::registry) first: Option<Digest>,
}

/// The manifest of one image.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Manifest {
    pub(in crate::registry) built: Option<BuildTime>,
    /// The configuration; `None` for an artifact that is no image.
    pub(in crate::registry) configuration: Option<Digest>,
}

/// The configuration of one image.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Configuration {
    pub(in crate::registry) platform: Option<Platform>,
    pub(in crate::registry) built: Option<BuildTime>,
}

#[derive(Deserialize)]
struct RawDocument {
    manifests: Option<Vec<RawEntry>>,
    config: Option<RawDescriptor>,
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
}

#[derive(Deserialize)]
struct RawEntry {
    #[serde(flatten)]
    descriptor: RawDescriptor,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct RawConfiguration {
    #[serde(flatten)]
    platform: RawPlatform,
    created: Option<String>,
    config: Option<RawRunSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRunSettings {
    labels: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a manifest or an index. A document that is both is neither: what it is would depend on the reader
    /// (CVE-2021-41190).
    pub(in crate::registry) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawDocument = serde_json::from_slice(json)?;
        let built = created(raw.annotations.as_ref());
        Ok(match (raw.manifests, raw.config, raw.layers) {
            (Some(entries), None, None) => Self::Index(Index::of(entries, built)),
            (None, Some(config), _) => {
                let is_image = CONFIGURATIONS.contains(&config.media_type.as_str());
                let configuration = Digest::parse(&config.digest).ok().filter(|_| is_image);
                Self::Manifest(Manifest { built, configuration })
            }
            _ => Self::Other,
        })
    }
}

impl Index {
    fn of(entries: Vec<RawEntry>, built: Option<BuildTime>) -> Self {
        let mut platforms = Vec::new();
        let mut first = None;
        for RawEntry { descriptor, platform } in entries.into_iter().take(MOST_ENTRIES) {
            let is_image = MANIFESTS.contains(&descriptor.media_type.as_str());
            // An attestation is listed beside its image as being for the platform unknown/unknown.
            let Some(platform) = platform.and_then(RawPlatform::known).filter(|_| is_image) else { continue };
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
            first = first.or_else(|| Digest::parse(&descriptor.digest).ok());
        }
        Self { platforms: platforms.into(), built, first }
    }
}

impl Configuration {
    pub(in crate::registry) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawConfiguration = serde_json::from_slice(json)?;
        let labels = raw.config.and_then(|config| config.labels);
        let built = raw.created.as_deref().and_then(BuildTime::parse).or_else(|| created(labels.as_ref()));
        Ok(Self { platform: raw.platform.known(), built })
    }
}

impl RawPlatform {
    fn known(self) -> Option<Platform> {
        let platform = Platform::new(&self.os, &self.architecture, self.variant.as_deref());
        platform.filter(|_| self.os != "unknown" && self.architecture != "unknown")
    }
}

fn created(notes: Option<&BTreeMap<String, String>>) -> Option<BuildTime> {
    BuildTime::parse(notes?.get(CREATED)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MANIFEST: &str = MANIFESTS[0];
    const CONFIGURATION: &str = CONFIGURATIONS[0];

    fn digest(of: &str) -> Digest {
        Digest::sha256_of(of.as_bytes())
    }

    fn document(json: &Value) -> Document {
        Document::read(json.to_string().as_bytes()).unwrap()
    }

    fn shown(platforms: &[Platform]) -> Vec<String> {
        platforms.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_index_has_the_platforms_of_its_images_and_not_of_attestations() {
        let entry = |of: &str, media: &str, platform: Value| json!({ "mediaType": media, "digest": digest(of).as_str(), "size": 1, "platform": platform });
        let index = document(&json!({
            "schemaVersion": 2,
            "manifests": [
                entry("attestation", MANIFEST, json!({ "os": "unknown", "architecture": "unknown" })),
                entry("bare", MANIFEST, Value::Null),
                entry("nested", "application/vnd.oci.image.index.v1+json", json!({ "os": "linux", "architecture": "s390x" })),
                entry("hostile", MANIFEST, json!({ "os": "linux\n", "architecture": "amd64" })),
                entry("first", MANIFEST, json!({ "os": "linux", "architecture": "amd64" })),
                entry("again", MANIFESTS[1], json!({ "os": "linux", "architecture": "amd64" })),
                entry("arm", MANIFESTS[1], json!({ "os": "linux", "architecture": "arm", "variant": "v7" })),
            ],
            "annotations": { CREATED: "2026-11-20T09:30:00Z" },
        }));
        let Document::Index(index) = index else { panic!("{index:?} is an index") };
        assert_eq!(shown(&index.platforms), ["linux/amd64", "linux/arm/v7"]);
        assert_eq!(index.first, Some(digest("first")));
        assert_eq!(index.built, BuildTime::parse("2026-11-20T09:30:00Z"));
    }

    #[test]
    fn a_manifest_has_a_configuration_where_it_is_an_image() {
        let manifest = |media: &str| json!({ "schemaVersion": 2, "layers": [], "config": { "mediaType": media, "digest": digest("c").as_str(), "size": 1 } });
        for (media, expected) in [
            (CONFIGURATION, Some(digest("c"))),
            (CONFIGURATIONS[1], Some(digest("c"))),
            ("application/vnd.cncf.helm.config.v1+json", None),
        ] {
            let expected = Manifest { built: None, configuration: expected };
            assert_eq!(document(&manifest(media)), Document::Manifest(expected), "{media}");
        }
    }

    #[test]
    fn what_is_both_or_neither_is_something_else() {
        let config = json!({ "mediaType": CONFIGURATION, "digest": digest("c").as_str() });
        for other in [
            json!({ "manifests": [], "config": config }),
            json!({ "manifests": [], "layers": [] }),
            json!({ "schemaVersion": 1, "fsLayers": [], "history": [] }),
            json!({}),
        ] {
            assert_eq!(document(&other), Document::Other, "{other}");
        }
        for broken in ["", "[]", "null", "{\"manifests\": 1}", "{\"config\": {}}"] {
            assert!(Document::read(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_configuration_tells_platform_and_time_or_leaves_the_time_to_a_label() {
        let read = |json: Value| Configuration::read(json.to_string().as_bytes()).unwrap();
        let labelled = json!({ "Labels": { CREATED: "2026-11-21T09:30:00Z" } });
        for (created, config, expected) in [
            ("2026-11-20T09:30:00Z", &labelled, Some("2026-11-20T09:30:00Z")),
            ("1970-01-01T00:00:00Z", &labelled, Some("2026-11-21T09:30:00Z")),
            ("0001-01-01T00:00:00Z", &json!({ "Labels": null }), None),
            ("soon", &Value::Null, None),
        ] {
            let json = json!({ "created": created, "config": config, "os": "linux", "architecture": "arm64", "variant": "v8" });
            let configuration = read(json);
            assert_eq!(configuration.built, expected.and_then(BuildTime::parse), "{created}");
            assert_eq!(configuration.platform.unwrap().to_string(), "linux/arm64/v8");
        }
        assert_eq!(read(json!({})), Configuration { platform: None, built: None });
    }
}
