//! A tag that was chosen for a policy.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Selected;
use crate::image::{Digest, Tag};

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

    /// Whether the same image is meant, whatever the words.
    #[must_use]
    pub fn is_same_image(&self, other: &Self) -> bool {
        (&self.tag, &self.digest) == (&other.tag, &other.digest)
    }
}
