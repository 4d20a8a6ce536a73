//! Who signs the commits: a key that is unlocked once, and then as long as its Secret stays the same.

use std::time::Duration;

use tokio::time::Instant;

use super::repository_settings::RepositoryError;
use super::world::SecretData;
use crate::git::{InvalidGitSecret, Signer};

/// For so long a key is used without another look at it: it may run out.
const KEEP: Duration = Duration::from_secs(10 * 60);

/// A signer, and what its Secret held.
pub(super) struct KeptSigner {
    data: SecretData,
    signer: Signer,
    since: Instant,
}

impl KeptSigner {
    /// The signer of this Secret: the kept one, or one made anew. To unlock an encrypted key takes its time on purpose.
    ///
    /// # Errors
    /// `RepositoryError::Interrupted`; and within, why the Secret holds no key that signs. None is kept then.
    pub(super) async fn of(
        kept: &mut Option<Self>,
        data: SecretData,
    ) -> Result<Result<Signer, InvalidGitSecret>, RepositoryError> {
        let now = match kept.take() {
            Some(kept) if kept.data == data && kept.since.elapsed() < KEEP => kept,
            _ => {
                let work = tokio::task::spawn_blocking(move || {
                    let signer = Signer::read(&data)?;
                    Ok(Self { data, signer, since: Instant::now() })
                });
                match work.await.map_err(|error| RepositoryError::Interrupted(error.to_string()))? {
                    Ok(fresh) => fresh,
                    Err(problem) => return Ok(Err(problem)),
                }
            }
        };
        Ok(Ok(kept.insert(now).signer.clone()))
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    fn secret() -> SecretData {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let text = key.to_openssh(LineEnding::LF).unwrap();
        SecretData::from([("identity".to_owned(), text.as_bytes().to_vec())])
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_unlocked_again_when_its_secret_changes_or_some_time_went_by() {
        let (mut kept, one, two) = (None, secret(), secret());
        let mut unlocked = async |data: &SecretData| {
            let before = kept.as_ref().map(|kept: &KeptSigner| kept.since);
            tokio::time::advance(Duration::from_secs(1)).await;
            let result = KeptSigner::of(&mut kept, data.clone()).await.unwrap();
            result.map(|_| kept.as_ref().map(|kept| kept.since) != before)
        };
        assert!(unlocked(&one).await.unwrap());
        assert!(!unlocked(&one).await.unwrap());
        assert!(unlocked(&two).await.unwrap(), "another Secret");
        tokio::time::advance(KEEP).await;
        assert!(unlocked(&two).await.unwrap(), "it may have run out meanwhile");
        assert!(unlocked(&SecretData::new()).await.is_err());
        assert!(unlocked(&two).await.unwrap(), "nothing was kept of the one before");
    }
}
