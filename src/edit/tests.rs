//! Whole files through [`find_sites`] and [`plan_file`].

mod caps;
mod documented;
mod fixtures;
mod inventory;
mod places;
mod properties;
mod traps;

use std::collections::BTreeMap;

use super::{FilePlan, FileSites, Policies as Writers, Resolution, Targets, Wanted, find_sites, plan_file};
use crate::api::{Downgrade, ObjectKey, Pin};
use crate::image::{Digest, ImageName, Tag};
use crate::policy::Standing;

/// The digest that the test policies know of their tag.
const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A digest that Git may hold from before.
const OLD_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// What a policy of the tests wants.
struct Policy {
    image: ImageName,
    tag: Tag,
    digest: Option<Digest>,
    pin: Option<Pin>,
    downgrade: Downgrade,
}

impl Policy {
    fn new(image: &str, tag: &str) -> Self {
        Self {
            image: ImageName::parse(image).unwrap(),
            tag: Tag::parse(tag).unwrap(),
            digest: None,
            pin: None,
            downgrade: Downgrade::Never,
        }
    }

    fn pinned(self, pin: Option<Pin>) -> Self {
        let digest = Some(Digest::parse(DIGEST).unwrap());
        Self { digest, pin, ..self }
    }
}

/// The policies of the namespace `shop`; `shop:waiting` has chosen nothing, and any other does not exist.
struct Policies {
    by_name: BTreeMap<&'static str, Policy>,
    by_image: BTreeMap<ImageName, Vec<ObjectKey>>,
}

impl Policies {
    fn new() -> Self {
        let api = |tag| Policy::new("ghcr.io/acme/api", tag);
        Self::all(BTreeMap::from([
            ("api", api("1.9.4")),
            ("reflected", api("1.9.4").pinned(None)),
            ("pinned", api("1.9.4").pinned(Some(Pin::TagAndDigest))),
            ("tagged", api("1.9.4").pinned(Some(Pin::Tag))),
            ("digest", api("1.9.4").pinned(Some(Pin::Digest))),
            ("float", api("1.10")),
            ("date", api("20240101")),
            ("hub", Policy::new("docker.io/library/alpine", "3.21.0")),
            ("web", Policy::new("ghcr.io/acme/web", "8.1.0")),
            ("worker", Policy::new("ghcr.io/acme/worker", "1.10")),
            ("db", Policy::new("quay.io/acme/db", "v2").pinned(Some(Pin::TagAndDigest))),
            ("nginx", Policy::new("docker.io/bitnami/nginx", "1.29.2")),
            ("chart", Policy::new("ghcr.io/acme/charts/shop", "2.1.0_7")),
            ("lowered", Policy { downgrade: Downgrade::Allow, ..api("1.0.0") }),
        ]))
    }

    fn of(name: &'static str, policy: Policy) -> Self {
        Self::all(BTreeMap::from([(name, policy)]))
    }

    fn all(by_name: BTreeMap<&'static str, Policy>) -> Self {
        let mut by_image: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, policy) in &by_name {
            by_image.entry(policy.image.clone()).or_default().push(ObjectKey::new("shop", *name));
        }
        Self { by_name, by_image }
    }

    fn plan(&self, path: &str, text: &[u8]) -> FilePlan {
        self.plan_for(&Targets::default(), path, text)
    }

    fn plan_for(&self, targets: &Targets, path: &str, text: &[u8]) -> FilePlan {
        plan_text(path, text, &find_sites(path, text, targets), self)
    }
}

impl Writers for Policies {
    fn named(&self, key: &ObjectKey) -> Resolution<'_> {
        if key.name == "waiting" {
            return Resolution::NotChosen { why: "no tag is in the range".to_owned() };
        }
        match self.by_name.get(key.name.as_str()) {
            Some(policy) if key.namespace == "shop" => Resolution::Wanted(Wanted {
                image: &policy.image,
                tag: &policy.tag,
                digest: policy.digest.as_ref(),
                pin: policy.pin,
                downgrade: policy.downgrade,
                standing: Box::new(standing),
                is_akin: Box::new(|tag| {
                    tag.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
                        && !tag.contains('-')
                }),
                withheld: None,
            }),
            Some(_) | None => Resolution::Unknown { nearest: Some(ObjectKey::new("shop", "api")) },
        }
    }

    fn of_image(&self, image: &ImageName) -> &[ObjectKey] {
        self.by_image.get(image).map(Vec::as_slice).unwrap_or_default()
    }

    fn held_back(&self, _: &ObjectKey) -> Option<&super::HeldBack> {
        None
    }
}

/// The plan for a text that is at hand.
fn plan_text(path: &str, text: &[u8], found: &FileSites, policies: &Policies) -> FilePlan {
    let read = || Ok::<_, std::convert::Infallible>(text.to_vec());
    plan_file(path, read, found, policies).unwrap()
}

/// Ranks dotted numbers.
fn standing(held: &str, wanted: &str) -> Standing {
    let version = |tag: &str| -> Option<Vec<u64>> {
        tag.trim_start_matches('v').split('.').map(|number| number.parse().ok()).collect()
    };
    match (version(held), version(wanted)) {
        (Some(held), Some(wanted)) if held == wanted => Standing::Alias,
        (Some(held), Some(wanted)) if held < wanted => Standing::Higher,
        (Some(_), Some(_)) => Standing::Lower,
        (None, _) | (_, None) => Standing::Unranked,
    }
}

/// The plan for a YAML file under the test policies.
fn plan(text: &str) -> FilePlan {
    Policies::new().plan("app.yaml", text.as_bytes())
}

/// The file after the plan: the new text, or the old one where nothing changes.
fn planned(text: &str) -> String {
    match plan(text).text {
        Some(new) => String::from_utf8(new).unwrap(),
        None => text.to_owned(),
    }
}

/// The problems of a plan as `line reason`.
fn problems(plan: &FilePlan) -> Vec<String> {
    plan.problems.iter().map(|problem| format!("{} {}", problem.line, problem.reason)).collect()
}
