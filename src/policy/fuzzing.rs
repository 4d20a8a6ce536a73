//! What a tenant writes and a registry lists, for the fuzzer.

use super::calver::Format;
use super::range::{Prereleases, Range};
use super::version::{Strictness, Version};
use crate::fuzzing::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "range", run: range },
    Target { name: "version", run: version },
    Target { name: "calver", run: calver },
];

/// The first line is a range, the others are versions.
fn range(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.lines();
    let Some(Ok(range)) = lines.next().map(Range::parse) else { return };
    let again = Range::parse(&range.to_string());
    assert!(again.is_ok(), "{range} is no range any more");
    let versions: Vec<_> = lines.filter_map(|line| Version::parse(line, Strictness::Lenient)).collect();
    for version in &versions {
        for prereleases in [Prereleases::All, Prereleases::WhereTheRangeHasOne] {
            let is_in = range.contains(version, prereleases);
            assert!(again.as_ref().is_ok_and(|again| again.contains(version, prereleases) == is_in));
            assert!(!is_in || range.contains(version, Prereleases::All), "{version} in {range}");
        }
    }
}

/// Each line is a version; their order is total.
fn version(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut versions: Vec<_> =
        text.lines().filter_map(|line| Version::parse(line, Strictness::Lenient)).take(16).collect();
    versions.sort();
    for (place, low) in versions.iter().enumerate() {
        for high in versions.iter().skip(place) {
            assert!(low <= high && high.cmp(low) == low.cmp(high).reverse(), "{low} and {high}");
        }
    }
}

/// The first line is a format of calendar versions, the others are versions; their order is total.
fn calver(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.lines();
    let Some(Ok(format)) = lines.next().map(Format::parse) else { return };
    let mut versions = Vec::new();
    for line in lines.take(16) {
        match format.read(line) {
            Ok(version) => versions.push(version),
            Err(misfit) => assert!(!misfit.to_string().is_empty()),
        }
    }
    versions.sort();
    for (place, low) in versions.iter().enumerate() {
        for high in versions.iter().skip(place) {
            assert!(low <= high && high.cmp(low) == low.cmp(high).reverse(), "{low} and {high}");
        }
    }
}
