//! The credentials that a host refused when it was asked last: a mirror that answers instead of it hides that.
//!
//! Nobody is asked to find this out. Where a mirror answers, each login that only tries a password would count against an
//! account that others may need, and go to a host that is perhaps meant to be left alone.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::ImageName;
use crate::registry::{Credential, Error};

/// The most that are kept; with one more, all are forgotten, and found out again when their hosts are asked again.
const MOST: usize = 1024;

/// The longest text that is kept of one, in characters.
const LONGEST: usize = 400;

/// What hosts refused. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// In its words, by a hash of image and credential: no password is kept for it.
    words: Mutex<HashMap<u64, Box<str>>>,
    hasher: RandomState,
}

impl Refusals {
    /// Notes how the host of an image answered who asked with this credential.
    pub(super) fn note(&self, image: &ImageName, credential: &Credential, answer: Result<(), &Error>) {
        let key = self.key(image, credential);
        let mut words = self.0.words.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => drop(words.remove(&key)),
            Err(error) if is_refusal(error) => {
                if words.len() >= MOST && !words.contains_key(&key) {
                    words.clear();
                }
                words.insert(key, error.to_string().chars().take(LONGEST).collect());
            }
            // It says nothing of the credential.
            Err(_) => {}
        }
    }

    /// What the host of an image said when it refused this credential, where that was its last word.
    pub(super) fn of(&self, image: &ImageName, credential: &Credential) -> Option<Box<str>> {
        let key = self.key(image, credential);
        self.0.words.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Whether nobody was refused.
    pub(super) fn is_empty(&self) -> bool {
        self.0.words.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn key(&self, image: &ImageName, credential: &Credential) -> u64 {
        self.0.hasher.hash_one((image, credential))
    }
}

/// Whether a registry says that who asks may not.
pub(super) const fn is_refusal(error: &Error) -> bool {
    match error {
        Error::CredentialsRefused { .. } | Error::TokenRefused { .. } | Error::Denied { .. } => true,
        Error::Net(_)
        | Error::PlainHttpNotAllowed { .. }
        | Error::NoUrl { .. }
        | Error::RealmRefused { .. }
        | Error::CredentialsMissing { .. }
        | Error::NoCommonScheme { .. }
        | Error::NotFound { .. }
        | Error::RateLimited { .. }
        | Error::Server { .. }
        | Error::Redirected { .. }
        | Error::Protocol { .. }
        | Error::TooLarge { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::SecretText;

    fn image(name: &str) -> ImageName {
        ImageName::parse(name).unwrap()
    }

    fn password(text: &str) -> Credential {
        Credential::Password { username: "bot".to_owned(), password: SecretText::from(text.to_owned()) }
    }

    fn denied() -> Error {
        Error::Denied { host: "ghcr.io".to_owned(), repository: "acme/api".to_owned(), said: String::new() }
    }

    #[test]
    fn a_refusal_is_known_of_one_image_and_one_credential_until_they_are_let_in() {
        let (refusals, api) = (Refusals::default(), image("ghcr.io/acme/api"));
        refusals.note(&api, &password("old"), Err(&denied()));
        assert_eq!(refusals.of(&api, &password("old")).as_deref(), Some(denied().to_string().as_str()));
        assert_eq!(refusals.of(&api, &password("new")), None, "it was replaced");
        assert_eq!(refusals.of(&image("ghcr.io/acme/web"), &password("old")), None);
        let late = Error::Server { host: "ghcr.io".to_owned(), status: 500, said: String::new() };
        refusals.note(&api, &password("old"), Err(&late));
        assert!(refusals.of(&api, &password("old")).is_some(), "a host that is ill takes nothing back");
        refusals.note(&api, &password("old"), Ok(()));
        assert_eq!(refusals.of(&api, &password("old")), None);
        assert!(refusals.is_empty());
    }

    #[test]
    fn refusals_do_not_pile_up_and_hold_no_password() {
        let refusals = Refusals::default();
        for number in 0..3 * MOST {
            refusals.note(&image("ghcr.io/acme/api"), &password(&format!("s3cret-{number}")), Err(&denied()));
        }
        assert!(refusals.0.words.lock().unwrap().len() <= MOST);
        assert!(!format!("{refusals:?}").contains("s3cret"));
    }
}
