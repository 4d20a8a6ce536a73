//! Files that a hostile author may write, for the fuzzer.

use std::convert::Infallible;

use super::targets::every_switch;
use super::{
    FilePlan, FileSites, Policies, Resolution, Site, Targets, Wanted, fields, find_sites, inventory,
    plan_file,
};
use crate::api::{Downgrade, FieldPart, FieldUpdate, ObjectKey, Pin, Updates};
use crate::fuzzing::Target;
use crate::image::{Digest, ImageName, Tag};
use crate::policy::Standing;

pub(crate) const TARGETS: &[Target] =
    &[Target { name: "yaml", run: yaml }, Target { name: "places", run: places }];

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn yaml(input: &[u8]) {
    for (tag, pin) in [("1.9.4", None), ("1.10", Some(Pin::TagAndDigest)), ("null", Some(Pin::Digest))] {
        plan("a.yaml", input, tag, pin);
    }
}

/// The same text under the name of each format, with every kind of place looked for.
fn places(input: &[u8]) {
    let names = [
        "a.yaml",
        "kustomization.yaml",
        "Chart.yaml",
        "a.json",
        "a.toml",
        "a.tf",
        ".env",
        "a.sh",
        "Dockerfile",
    ];
    for path in names.into_iter().chain(["a.properties", "a.ini", "Makefile"]) {
        plan(path, input, "1.10", Some(Pin::TagAndDigest));
        let places = inventory(path, input).places;
        let fields = fields(path, input, &places);
        assert!(fields.keys().all(|start| places.iter().any(|place| place.start() == *start)), "{fields:?}");
    }
}

/// Every kind of place.
fn targets() -> Targets {
    let field = FieldUpdate {
        glob: "a.*".to_owned(),
        policy: "api".to_owned(),
        path: "a[name=x].b".to_owned(),
        write: FieldPart::Tag,
    };
    let updates = Updates { fields: vec![field], ..every_switch() };
    Targets::compile(&updates, "shop").unwrap_or_default()
}

/// Only the bytes of marked values change, and those read as what was wanted; a second plan changes nothing.
fn plan(path: &str, input: &[u8], tag: &str, pin: Option<Pin>) {
    let targets = targets();
    let found = find_sites(path, input, &targets);
    let has_added = found.sites.iter().any(|site| site.style.is_added());
    let Some(FilePlan { text: Some(text), changes, .. }) = planned(path, input, &found, tag, pin) else {
        return;
    };
    let after = find_sites(path, &text, &targets);
    assert_eq!(found.sites.len(), after.sites.len(), "as many values as before");
    if has_added {
        return;
    }
    assert_eq!(around(input, &found), around(&text, &after), "nothing else changed");
    for (old, new) in values(&found).into_iter().zip(values(&after)) {
        assert_eq!(&old.owner, &new.owner);
        let is_change = changes.iter().any(|change| change.line == new.line && change.to == new.value);
        assert!(old.value == new.value || is_change, "{old:?} became {new:?}");
    }
    let again = planned(path, &text, &after, tag, pin);
    assert!(again.is_some_and(|again| again.text.is_none()), "a second plan changes it again");
}

/// What is planned for a policy that wants this tag; `None` only where the names here are none.
fn planned(path: &str, text: &[u8], found: &FileSites, tag: &str, pin: Option<Pin>) -> Option<FilePlan> {
    let policy = Policy {
        key: [ObjectKey::new("shop", "api")],
        image: ImageName::parse("ghcr.io/acme/api").ok()?,
        tag: Tag::parse(tag).ok()?,
        digest: Digest::parse(DIGEST).ok()?,
        pin,
    };
    plan_file(path, || Ok::<_, Infallible>(text.to_vec()), found, &policy).ok()
}

/// The one policy, under every name but one.
struct Policy {
    key: [ObjectKey; 1],
    image: ImageName,
    tag: Tag,
    digest: Digest,
    pin: Option<Pin>,
}

impl Policies for Policy {
    fn named(&self, key: &ObjectKey) -> Resolution<'_> {
        if key.name == "unknown" {
            return Resolution::Unknown { nearest: None };
        }
        Resolution::Wanted(Wanted {
            image: &self.image,
            tag: &self.tag,
            digest: Some(&self.digest),
            pin: self.pin,
            downgrade: Downgrade::Allow,
            standing: Box::new(
                |held, wanted| if held == wanted { Standing::Alias } else { Standing::Higher },
            ),
            is_akin: Box::new(|_| true),
            withheld: None,
        })
    }

    fn of_image(&self, image: &ImageName) -> &[ObjectKey] {
        if *image == self.image { &self.key } else { &[] }
    }

    fn held_back(&self, _: &ObjectKey) -> Option<&crate::edit::HeldBack> {
        None
    }
}

/// All values that a comment or a rule may mean, in the order of the file.
fn values(found: &FileSites) -> Vec<&Site> {
    let rivals = found.sites.iter().filter_map(|site| site.rivals.as_deref()).flatten();
    let mut values: Vec<_> = found.sites.iter().chain(rivals).collect();
    values.sort_by_key(|site| site.span.start);
    values
}

/// The bytes around the values.
fn around(text: &[u8], found: &FileSites) -> Vec<Vec<u8>> {
    let spans: Vec<_> = values(found).iter().map(|site| site.span.clone()).collect();
    let starts = std::iter::once(0).chain(spans.iter().map(|span| span.end));
    let ends = spans.iter().map(|span| span.start).chain([text.len()]);
    starts.zip(ends).map(|(start, end)| text.get(start..end).unwrap_or_default().to_vec()).collect()
}
