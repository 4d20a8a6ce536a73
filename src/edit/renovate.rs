//! Renovate's comments: `# renovate: datasource=docker depName=ghcr.io/acme/api` on the line above a value.

use crate::image::ImageName;

/// The image that a comment names, given without its `#`; `None` for other comments, and for those about other things
/// than images. `packageName` is where Renovate looks, `depName` what it shows, and the same unless both are there.
pub(super) fn image(comment: &str) -> Option<ImageName> {
    let entries = comment.trim_start().strip_prefix("renovate:")?;
    let value_of = |key: &str| {
        let values = entries.split_whitespace().filter_map(|entry| entry.split_once('='));
        values.filter(|(name, _)| *name == key).map(|(_, value)| value).next_back()
    };
    (value_of("datasource")? == "docker").then_some(())?;
    ImageName::parse(value_of("packageName").or_else(|| value_of("depName"))?).ok()
}

/// Whether the bytes hold such a comment anywhere.
pub(super) fn may_be_in(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"renovate:").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_image_and_nothing_else() {
        let name = |comment| image(comment).map(|image| image.to_string());
        assert_eq!(
            name(" renovate: datasource=docker depName=alpine versioning=docker").as_deref(),
            Some("alpine")
        );
        assert_eq!(
            name("renovate: depName=api packageName=ghcr.io/acme/api datasource=docker").as_deref(),
            Some("ghcr.io/acme/api")
        );
        for other in [
            "renovate: datasource=github-releases depName=acme/api",
            "renovate: depName=ghcr.io/acme/api",
            "renovate: datasource=docker depName=ghcr.io/acme/api:1.0",
            "about renovate: datasource=docker depName=alpine",
            "renovate datasource=docker depName=alpine",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
