//! A tag that was chosen for a policy.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Selected;
use crate::image::{Digest, Tag};
use crate::policy::{Policy, Standing};

/// A tag that was chosen for a policy, over a whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The tag.
    pub tag: Tag,
    /// What was ranked.
    pub version: String,
    /// The tag's digest, where the policy pins it.
    pub digest: Option<Digest>,
    /// When the image was built, where that is what was ranked.
    pub created: Option<Timestamp>,
    /// Why this tag, in words.
    pub reason: String,
}

impl Selection {
    /// The selection as the status shows it.
    #[must_use]
    pub fn shown(&self) -> Selected {
        Selected {
            tag: self.tag.to_string(),
            version: self.version.clone(),
            digest: self.digest.as_ref().map(ToString::to_string),
            created: self.created.map(Time),
            reason: self.reason.clone(),
        }
    }

    /// The selection that a status shows; `None` where the status was tampered with.
    #[must_use]
    pub fn read(shown: &Selected) -> Option<Self> {
        let digest = shown.digest.as_deref().map(Digest::parse).transpose().ok()?;
        let tag = Tag::parse(&shown.tag).ok()?;
        let created = shown.created.as_ref().map(|created| created.0);
        Some(Self { tag, version: shown.version.clone(), digest, created, reason: shown.reason.clone() })
    }

    /// Whether another choice lies below this one, by its tag or by the time of its build, or is none at all.
    #[must_use]
    pub(super) fn is_above(&self, policy: &Policy, chosen: Option<(&Tag, Option<Timestamp>)>) -> bool {
        chosen.is_none_or(|(tag, created)| match (self.created, created) {
            (Some(standing), Some(chosen)) => chosen < standing,
            _ => policy.standing(self.tag.as_str(), tag.as_str()) == Standing::Lower,
        })
    }

    /// Whether a choice lies below this one, or is the same tag with another digest than before.
    #[must_use]
    pub(super) fn is_lowered_by(
        &self,
        policy: &Policy,
        chosen: Option<(&Tag, Option<Timestamp>)>,
        digest: Option<&Digest>,
    ) -> bool {
        let is_same_tag = chosen.is_some_and(|(tag, _)| *tag == self.tag);
        let has_moved = is_same_tag && self.digest.is_some() && self.digest.as_ref() != digest;
        has_moved || self.is_above(policy, chosen)
    }

    /// Whether the same image is meant, whatever the words.
    #[must_use]
    pub fn is_same_image(&self, other: &Self) -> bool {
        (&self.tag, &self.digest) == (&other.tag, &other.digest)
    }
}
