//! Names for policies: short, unique, and such as Kubernetes takes.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::ImageName;
use crate::policy::Series;

/// The longest name of an object, in bytes (RFC 1123).
const MOST_NAME_BYTES: usize = 253;

/// The longest label, in bytes (RFC 1123).
const MOST_LABEL_BYTES: usize = 63;

/// The longest name that is made up here, with room for a number behind it.
const MOST_BYTES: usize = 58;

/// Whether a text is a DNS label.
pub(super) fn is_label(text: &str) -> bool {
    let is_edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=MOST_LABEL_BYTES).contains(&text.len())
        && text.bytes().all(|b| is_edge(b) || b == b'-')
        && text.bytes().next().is_some_and(is_edge)
        && text.bytes().next_back().is_some_and(is_edge)
}

/// Whether a text can name an object.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= MOST_NAME_BYTES && text.split('.').all(is_label)
}

/// The beginning of the name of each image's policies: the last part of its path, and as many before it as tell it from
/// the other images.
pub(super) fn bases<'i>(images: impl IntoIterator<Item = &'i ImageName>) -> BTreeMap<&'i ImageName, String> {
    let mut left: Vec<&ImageName> = images.into_iter().collect();
    let mut bases = BTreeMap::new();
    for depth in 1.. {
        let names: Vec<(&ImageName, String, bool)> = left.iter().map(|image| base(image, depth)).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        names.iter().for_each(|(_, name, _)| *counts.entry(name).or_default() += 1);
        left = Vec::new();
        for (image, name, is_whole) in &names {
            if *is_whole || counts.get(name.as_str()) == Some(&1) {
                bases.insert(*image, name.clone());
            } else {
                left.push(image);
            }
        }
        if left.is_empty() {
            break;
        }
    }
    bases
}

/// The last parts of an image's name, so many of them, and whether these are all.
fn base(image: &ImageName, depth: usize) -> (&ImageName, String, bool) {
    let parts: Vec<&str> = std::iter::once(image.host()).chain(image.repository().split('/')).collect();
    let from = parts.len().saturating_sub(depth);
    (image, label(&parts.get(from..).unwrap_or_default().join("-")), from == 0)
}

/// A text as a label: what no label may hold becomes `-`.
fn label(text: &str) -> String {
    let lower = text.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let parts: Vec<&str> = lower.split('-').filter(|part| !part.is_empty()).collect();
    let label: String = parts.join("-").chars().take(MOST_BYTES).collect();
    label.trim_end_matches('-').to_owned()
}

/// The name of the policy of a series among those of its image: only what differs is in it.
pub(super) fn of_series(base: &str, series: &Series, all: &[&Series]) -> String {
    let is_only_variant = all.iter().all(|other| other.variant == series.variant);
    let is_only_major =
        all.iter().filter(|other| other.variant == series.variant).all(|other| other.major == series.major);
    let variant = if is_only_variant { "" } else { &series.variant };
    let major = if is_only_major { "" } else { &series.major };
    label(&format!("{base}-{variant}-{major}"))
}

/// The name, or with a number behind it where it is taken.
pub(super) fn unique(name: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: u64| format!("{name}-{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
    let name = free.unwrap_or(name);
    taken.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Tag;
    use crate::policy::{Majors, guess};

    #[test]
    fn an_image_is_named_by_as_few_parts_as_tell_it_from_others() {
        let images =
            ["nginx", "ghcr.io/acme/api", "ghcr.io/other/api", "quay.io/x/web", "ghcr.io/x/web", "a/b_c.d"];
        let images: Vec<ImageName> = images.iter().map(|image| ImageName::parse(image).unwrap()).collect();
        let bases = bases(&images);
        let names: Vec<&str> = images.iter().map(|image| bases[image].as_str()).collect();
        assert_eq!(names, ["nginx", "acme-api", "other-api", "quay-io-x-web", "ghcr-io-x-web", "b-c-d"]);
    }

    #[test]
    fn a_series_is_named_by_what_tells_it_from_the_others() {
        for (tags, names) in [
            (vec!["1.2.3"], vec!["x"]),
            (vec!["1.2.3-alpine"], vec!["x"]),
            (vec!["15.1", "16.1"], vec!["x-15", "x-16"]),
            (vec!["1.2.3", "1.2.3-alpine"], vec!["x", "x-alpine"]),
            (vec!["1.2.3", "2.2.3", "2.2.3-alpine"], vec!["x-1", "x-2", "x-alpine"]),
            (vec!["0.4.1", "0.5.1"], vec!["x-0-4", "x-0-5"]),
            (vec!["1.2.3", "latest"], vec!["x", "x-latest"]),
        ] {
            let tags: Vec<Tag> = tags.into_iter().map(|tag| Tag::parse(tag).unwrap()).collect();
            let series = guess(&tags, Majors::Apart);
            let all: Vec<&Series> = series.iter().collect();
            let named: Vec<String> = all.iter().map(|one| of_series("x", one, &all)).collect();
            assert_eq!(named, names);
        }
    }

    #[test]
    fn names_are_unique_and_labels() {
        let mut taken = BTreeSet::new();
        let names: Vec<_> = (0..3).map(|_| unique("api".to_owned(), &mut taken)).collect();
        assert_eq!(names, ["api", "api-2", "api-3"]);
        for text in ["A_b..c", &"x-".repeat(99), "[::1]:5000"] {
            assert!(is_label(&label(text)), "{text}: {}", label(text));
        }
        assert!(!is_label("-a") && !is_label("") && !is_label("a.b") && !is_label("A"));
    }
}
