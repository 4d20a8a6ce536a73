//! What an image is called: names, tags and digests as types that cannot hold a bad value.
//!
//! Parsed by hand after the reference grammar of the distribution project (`reference/regexp.go`) and the OCI
//! distribution specification, section "Pulling manifests".

mod digest;
mod facts;
mod name;
mod platform;
mod reference;
mod tag;

pub use digest::{Digest, InvalidDigest};
pub use facts::{BuildTime, ImageFacts};
pub use name::{ImageName, InvalidImageName};
pub use platform::{InvalidPlatform, Platform};
pub use reference::ImageReference;
pub use tag::{InvalidTag, MAX_TAG_LENGTH, Tag, TagRef};
