//! Files that a hostile author may write, for the fuzzer.

use std::convert::Infallible;

use super::{FilePlan, FileSites, Resolution, Wanted, find_sites, plan_file};
use crate::api::{Downgrade, ObjectKey, Pin};
use crate::fuzzing::Target;
use crate::image::{Digest, ImageName, Tag};
use crate::policy::Standing;

pub(crate) const TARGETS: &[Target] = &[Target { name: "yaml", run: yaml }];

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn yaml(input: &[u8]) {
    for (tag, pin) in [("1.9.4", None), ("1.10", Some(Pin::TagAndDigest)), ("null", Some(Pin::Digest))] {
        plan("a.yaml", input, tag, pin);
    }
}

/// Only the bytes of marked values change, and those read as what was wanted; a second plan changes nothing.
fn plan(path: &str, input: &[u8], tag: &str, pin: Option<Pin>) {
    let found = find_sites(path, input);
    let Some(FilePlan { text: Some(text), changes, .. }) = planned(path, input, &found, tag, pin) else {
        return;
    };
    let after = find_sites(path, &text);
    assert_eq!(found.sites.len(), after.sites.len(), "as many values as before");
    assert_eq!(around(input, &found), around(&text, &after), "nothing else changed");
    for (old, new) in found.sites.iter().zip(&after.sites) {
        assert_eq!((old.line, &old.marker), (new.line, &new.marker));
        let is_change = changes.iter().any(|change| change.line == new.line && change.to == new.value);
        assert!(old.value == new.value || is_change, "{old:?} became {new:?}");
    }
    let again = planned(path, &text, &after, tag, pin);
    assert!(again.is_some_and(|again| again.text.is_none()), "a second plan changes it again");
}

/// What is planned for a policy that wants this tag; `None` only where the names here are none.
fn planned(path: &str, text: &[u8], found: &FileSites, tag: &str, pin: Option<Pin>) -> Option<FilePlan> {
    let image = ImageName::parse("ghcr.io/acme/api").ok()?;
    let (tag, digest) = (Tag::parse(tag).ok()?, Digest::parse(DIGEST).ok()?);
    let resolve = |key: &ObjectKey| {
        if key.name == "unknown" {
            return Resolution::Unknown { nearest: None };
        }
        Resolution::Wanted(Wanted {
            image: &image,
            tag: &tag,
            digest: Some(&digest),
            pin,
            downgrade: Downgrade::Allow,
            standing: Box::new(
                |held, wanted| if held == wanted { Standing::Alias } else { Standing::Higher },
            ),
        })
    };
    plan_file(path, || Ok::<_, Infallible>(text.to_vec()), found, &resolve).ok()
}

/// The bytes around the values.
fn around(text: &[u8], found: &FileSites) -> Vec<Vec<u8>> {
    let mut spans: Vec<_> = found.sites.iter().map(|site| site.span.clone()).collect();
    spans.sort_by_key(|span| span.start);
    let starts = std::iter::once(0).chain(spans.iter().map(|span| span.end));
    let ends = spans.iter().map(|span| span.start).chain([text.len()]);
    starts.zip(ends).map(|(start, end)| text.get(start..end).unwrap_or_default().to_vec()).collect()
}
