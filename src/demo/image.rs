//! Tiny images, pushed as `docker push` would.

use oci_distribution::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_distribution::errors::OciDistributionError;
use oci_distribution::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE};
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, Reference};
use serde_json::json;

use super::example::IMAGE;

/// A tar archive ends in two empty blocks; this one has nothing before them.
const EMPTY_ARCHIVE: [u8; 1024] = [0; 1024];

/// A layer and a configuration that make an image; its content differs from tag to tag.
#[must_use]
pub fn tiny_image(tag: &str) -> (ImageLayer, Config) {
    let layer = ImageLayer::new(EMPTY_ARCHIVE.to_vec(), IMAGE_LAYER_MEDIA_TYPE.to_owned(), None);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Labels": { "org.opencontainers.image.version": tag } },
        "rootfs": { "type": "layers", "diff_ids": [layer.sha256_digest()] },
    });
    (layer, Config::new(config.to_string(), IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None))
}

/// Pushes images of one name to one registry.
pub(super) struct Pusher {
    client: Client,
    host: String,
}

impl Pusher {
    pub(super) fn new(host: String) -> Self {
        // The client takes its cryptography from the process; where that is chosen already, it stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::Http,
            // A proxy that is named here, and used for nothing on this machine, keeps that of the environment out.
            http_proxy: Some("http://127.0.0.1:9".to_owned()),
            no_proxy: Some("127.0.0.1".to_owned()),
            ..ClientConfig::default()
        });
        Self { client, host }
    }

    /// The image with a tag, as manifests write it.
    pub(super) fn name(&self, tag: &str) -> String {
        format!("{}/{IMAGE}:{tag}", self.host)
    }

    /// Pushes an image whose content differs from tag to tag.
    pub(super) async fn push(&self, tag: &str) -> Result<(), OciDistributionError> {
        let (layer, config) = tiny_image(tag);
        let image = Reference::with_tag(self.host.clone(), IMAGE.to_owned(), tag.to_owned());
        self.client.push(&image, &[layer], config, &RegistryAuth::Anonymous, None).await?;
        Ok(())
    }
}
