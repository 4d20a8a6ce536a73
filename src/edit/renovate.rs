//! Renovate's comments: `# renovate: datasource=docker depName=ghcr.io/acme/api` on the line above a value.

use super::choice::only;
use super::fit::{Fit, fit, is_name_of, is_version};
use super::{Obstacle, Part, kept};
use crate::image::{Digest, ImageName, ImageReference};

/// Keys that stand before a name or an address, whatever it looks like.
const NAMES: [&str; 7] = ["name", "repository", "repo", "registry", "host", "url", "port"];

/// The image that a comment names, given without its `#`; `None` for other comments, and for those about other things
/// than images. `packageName` is where Renovate looks, `depName` what it shows, and the same unless both are there;
/// `registryUrl` is the host, where the name has none.
pub(super) fn image(comment: &str) -> Option<ImageName> {
    let entries = comment.trim_start().strip_prefix("renovate:")?;
    let value_of = |key: &str| {
        let values = entries.split_whitespace().filter_map(|entry| entry.split_once('='));
        values.filter(|(name, _)| *name == key).map(|(_, value)| value).next_back()
    };
    (value_of("datasource")? == "docker").then_some(())?;
    let name = value_of("packageName").or_else(|| value_of("depName"))?;
    let Some(url) = value_of("registryUrl") else { return ImageName::parse(name).ok() };
    let host = url.split_once("://").map_or(url, |(_, host)| host).trim_end_matches('/');
    match name.strip_prefix(host).is_some_and(|rest| rest.starts_with('/')) {
        true => ImageName::parse(name).ok(),
        false => ImageName::parse(&format!("{host}/{name}")).ok(),
    }
}

/// A value on the line below a comment, with the key that it stands behind.
#[derive(Clone, Copy)]
pub(super) struct Value<'v> {
    pub(super) key: Option<&'v str>,
    pub(super) text: &'v str,
}

/// Which of the values of a line is the version of an image, and which part of its reference. The comment was written for
/// another program: where none surely is, nothing is written. `None` where the line only names the image.
///
/// `has_companions` says that a digest on the line moves with the tag beside it.
pub(super) fn meant(
    image: &ImageName,
    values: &[Value<'_>],
    has_companions: bool,
) -> Option<Result<(usize, Part), Obstacle>> {
    let parts = || values.iter().enumerate().filter_map(|(at, value)| Some((at, part(image, *value)?)));
    let is_tagged = parts().any(|(_, (part, _))| part == Part::Tag);
    let parts = || parts().filter(|(_, (part, _))| !(has_companions && is_tagged && *part == Part::Digest));
    let sure: Vec<_> = parts().filter(|(_, (_, fit))| *fit == Fit::Sure).collect();
    let all: Vec<_> = parts().collect();
    if all.is_empty() && values.iter().any(|value| names(image, value.text)) {
        return None;
    }
    Some(only(&sure, &all, Part::Version).map(|(at, (part, _))| (at, part)))
}

/// The part of the reference of this image that a value may be, and how surely it is.
fn part(image: &ImageName, Value { key, text }: Value<'_>) -> Option<(Part, Fit)> {
    let (before, end) = ImageReference::split_end(text);
    let name = kept::last_name(before).or(key).unwrap_or_default();
    if Digest::parse(end).is_ok() || (Digest::is_hex(end) && is_name_of(Part::Digest, name)) {
        return Some((Part::Digest, Fit::Sure));
    }
    if ImageReference::parse(end).is_some_and(|held| held.name == *image && is_version(end)) {
        return Some((Part::Image, Fit::Sure));
    }
    // A tag with its digest reads as a name with one, too.
    let last_word = name.rsplit(['.', '_', '-']).next().unwrap_or_default();
    let is_other = names(image, text) || NAMES.iter().any(|name| name.eq_ignore_ascii_case(last_word));
    let tag = end.split_once('@').map_or(end, |(tag, _)| tag);
    let has_digit = tag.bytes().any(|byte| byte.is_ascii_digit());
    match fit(Part::Tag, key, text) {
        Fit::No => None,
        fit @ (Fit::Maybe | Fit::Sure) => (has_digit && !is_other).then_some((Part::Tag, fit)),
    }
}

/// Whether a value is the bare name of the image.
fn names(image: &ImageName, text: &str) -> bool {
    ImageName::parse(ImageReference::split_end(text).1).is_ok_and(|name| name == *image)
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
        for (name, url, wanted) in [
            ("acme/api", "https://ghcr.io", "ghcr.io/acme/api"),
            ("acme/api", "https://proxy.local/hub/", "proxy.local/hub/acme/api"),
            ("ghcr.io/acme/api", "https://ghcr.io/", "ghcr.io/acme/api"),
        ] {
            let comment = format!("renovate: datasource=docker depName={name} registryUrl={url}");
            assert_eq!(image(&comment).unwrap().to_string(), wanted, "{comment}");
        }
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

    #[test]
    fn a_value_is_a_version_of_the_image_or_nothing() {
        let image = ImageName::parse("ghcr.io/acme/api").unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let hex = "0".repeat(64);
        for (key, text, wanted) in [
            ("a", "ghcr.io/acme/api:1.9.3", Some((Part::Image, Fit::Sure))),
            ("a", "--image=ghcr.io/acme/api:1.9.3", Some((Part::Image, Fit::Sure))),
            ("image", "mirror.local/api:1.9.3", None),
            ("repository", "ghcr.io/acme/api", None),
            ("a", "1.9.3", Some((Part::Tag, Fit::Maybe))),
            ("apiVersion", "1.9.3", Some((Part::Tag, Fit::Sure))),
            ("name", "api2", None),
            ("CONTAINER_NAME", "api2", None),
            ("tag", "latest", None),
            ("tag", &format!("latest@{digest}"), None),
            ("a", &format!("1.9.3@{digest}"), Some((Part::Tag, Fit::Maybe))),
            ("a", &format!("ghcr.io/acme/api@{digest}"), Some((Part::Image, Fit::Sure))),
            ("a", &format!("ghcr.io/acme/web@{digest}"), None),
            ("useVersion", "true", None),
            ("a", &digest, Some((Part::Digest, Fit::Sure))),
            ("sha", &hex, Some((Part::Digest, Fit::Sure))),
        ] {
            assert_eq!(part(&image, Value { key: Some(key), text }), wanted, "{key} {text}");
        }
    }
}
