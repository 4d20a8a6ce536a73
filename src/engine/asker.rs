//! Who asks a registry: a Secret, the pull secrets of a ServiceAccount, or an identity in a cloud.

use super::access::AccessError;
use super::world::{SecretError, SecretSource};
use crate::api::{Credentials, ImagePolicy, ObjectKey, Provider};
use crate::image::ImageName;
use crate::net::SecretText;
use crate::registry::{Account, Cloud, Credential, Identities, TokenSource, credential_from_secret};

/// The key of a pull secret. The kubelet looks at no other, and neither is done here: a user and a password in a Secret
/// say nothing of the registry that they are for.
const PULL_SECRET_KEY: &str = ".dockerconfigjson";

/// The credentials that an object names, with the namespace in which their Secret or ServiceAccount is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asker {
    namespace: String,
    credentials: Credentials,
    /// Whether the operator's own identity in a cloud may be used.
    may_be_operator: bool,
}

impl Asker {
    /// Who asks for a policy, where it says so. A tenant can not lend itself the operator's own identity: where a
    /// provider stands without a ServiceAccount, it must be a ClusterImageRegistry's.
    #[must_use]
    pub fn of_policy(policy: &ImagePolicy) -> Option<Self> {
        let namespace = policy.metadata.namespace.clone().unwrap_or_default();
        let credentials = policy.spec.credentials.clone()?;
        Some(Self { namespace, credentials, may_be_operator: false })
    }

    /// Who asks where a policy does not say it: what a ClusterImageRegistry names in the operator's namespace.
    #[must_use]
    pub fn of_operator(namespace: &str, credentials: Credentials) -> Self {
        Self { namespace: namespace.to_owned(), credentials, may_be_operator: true }
    }

    pub(super) async fn credential<S: SecretSource>(
        &self,
        source: &S,
        identities: &Identities,
        image: &ImageName,
    ) -> Result<Credential, AccessError> {
        let key = |name: &str| ObjectKey::new(&self.namespace, name);
        match self.way()? {
            Way::Secret(name) => from_secret(source, key(name), image).await,
            Way::PullSecrets(account) => from_pull_secrets(source, key(account), image).await,
            Way::Account(cloud, account) => {
                from_account(source, identities, cloud, key(account), image).await
            }
            Way::Operator(cloud) => {
                let own: Option<&Account<'_, AccountTokens<'_, S>>> = None;
                Ok(identities.credential(cloud, image, own).await?)
            }
        }
    }

    /// What the Secrets that are named here have for `image`, for when nobody asks by it. `None` where a cloud would have to
    /// be asked.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) async fn kept_credential<S: SecretSource>(
        &self,
        source: &S,
        image: &ImageName,
    ) -> Result<Option<Credential>, AccessError> {
        let key = |name: &str| ObjectKey::new(&self.namespace, name);
        match self.way()? {
            Way::Secret(name) => from_secret(source, key(name), image).await.map(Some),
            Way::PullSecrets(account) => from_pull_secrets(source, key(account), image).await.map(Some),
            Way::Account(..) | Way::Operator(_) => Ok(None),
        }
    }

    /// Checks that the credentials say one thing, and one that they may say.
    ///
    /// # Errors
    /// `AccessError::Ambiguous` and `AccessError::OperatorIdentity`.
    pub fn check(&self) -> Result<(), AccessError> {
        self.way().map(|_| ())
    }

    fn way(&self) -> Result<Way<'_>, AccessError> {
        let Credentials { secret_ref, service_account_name, provider } = &self.credentials;
        match (cloud_of(*provider), secret_ref, service_account_name) {
            (None, Some(secret), None) => Ok(Way::Secret(&secret.name)),
            (None, None, Some(account)) => Ok(Way::PullSecrets(account)),
            (Some(cloud), None, Some(account)) => Ok(Way::Account(cloud, account)),
            (Some(cloud), None, None) if self.may_be_operator => Ok(Way::Operator(cloud)),
            (Some(_), None, None) => Err(AccessError::OperatorIdentity),
            (None, None, None) | (None, Some(_), Some(_)) | (Some(_), Some(_), _) => {
                Err(AccessError::Ambiguous)
            }
        }
    }
}

/// One way to ask.
enum Way<'a> {
    /// With what this Secret holds.
    Secret(&'a str),
    /// With the pull secrets of this ServiceAccount.
    PullSecrets(&'a str),
    /// As this ServiceAccount in the cloud.
    Account(Cloud, &'a str),
    /// As the operator in the cloud.
    Operator(Cloud),
}

const fn cloud_of(provider: Provider) -> Option<Cloud> {
    match provider {
        Provider::Generic => None,
        Provider::Aws => Some(Cloud::Aws),
        Provider::Gcp => Some(Cloud::Gcp),
        Provider::Azure => Some(Cloud::Azure),
    }
}

async fn from_secret<S: SecretSource>(
    source: &S,
    key: ObjectKey,
    image: &ImageName,
) -> Result<Credential, AccessError> {
    let data = source.secret(&key).await?;
    match credential_from_secret(&data, image) {
        Ok(Some(credential)) => Ok(credential),
        Ok(None) => Err(AccessError::NoEntry { key, image: image.to_string() }),
        Err(source) => Err(AccessError::Credentials { key, source }),
    }
}

/// The first pull secret of the ServiceAccount that has an entry for the image. One that is missing is passed over, as
/// the kubelet does; one that can not be read is an error.
async fn from_pull_secrets<S: SecretSource>(
    source: &S,
    account: ObjectKey,
    image: &ImageName,
) -> Result<Credential, AccessError> {
    for name in source.service_account(&account).await?.pull_secrets {
        let key = ObjectKey::new(&account.namespace, name);
        let data = match source.secret(&key).await {
            Ok(data) if data.contains_key(PULL_SECRET_KEY) => data,
            Ok(_) | Err(SecretError::Missing(_)) => continue,
            Err(error @ (SecretError::NoAnswer { .. } | SecretError::Unreadable { .. })) => {
                return Err(error.into());
            }
        };
        match credential_from_secret(&data, image) {
            Ok(Some(credential)) => return Ok(credential),
            Ok(None) => {}
            Err(source) => return Err(AccessError::Credentials { key, source }),
        }
    }
    Err(AccessError::NoPullSecret { account, image: image.to_string() })
}

async fn from_account<S: SecretSource>(
    source: &S,
    identities: &Identities,
    cloud: Cloud,
    key: ObjectKey,
    image: &ImageName,
) -> Result<Credential, AccessError> {
    let account = source.service_account(&key).await?;
    let tokens = AccountTokens { source, key: &key };
    let account = Account { key: &key, annotations: &account.annotations, tokens: &tokens };
    Ok(identities.credential(cloud, image, Some(&account)).await?)
}

struct AccountTokens<'a, S> {
    source: &'a S,
    key: &'a ObjectKey,
}

impl<S: SecretSource> TokenSource for AccountTokens<'_, S> {
    async fn token(&self, audience: &str) -> Result<SecretText, String> {
        self.source.account_token(self.key, audience).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::world::{AccountData, AccountError, ConfigMapError, SecretData};
    use super::*;
    use crate::api::SecretRef;
    use crate::net::{AddressGuard, Connections};
    use crate::registry::Variables;

    /// A namespace with one ServiceAccount, `api`.
    struct Namespace(BTreeMap<&'static str, Kept>, Vec<&'static str>);

    /// A Secret, or a problem, which is one of the Secret or of who has it.
    type Kept = Result<SecretData, Problem>;

    #[derive(Clone, Copy)]
    enum Problem {
        Forbidden,
        NoAnswer,
    }

    impl SecretSource for Namespace {
        async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
            match self.0.get(key.name.as_str()).filter(|_| key.namespace == "shop") {
                Some(Ok(data)) => Ok(data.clone()),
                Some(Err(Problem::Forbidden)) => {
                    Err(SecretError::Unreadable { key: key.clone(), problem: "forbidden".to_owned() })
                }
                Some(Err(Problem::NoAnswer)) => {
                    Err(SecretError::NoAnswer { key: key.clone(), problem: "too late".to_owned() })
                }
                None => Err(SecretError::Missing(key.clone())),
            }
        }

        async fn service_account(&self, key: &ObjectKey) -> Result<AccountData, AccountError> {
            if *key != ObjectKey::new("shop", "api") {
                return Err(AccountError::Missing(key.clone()));
            }
            let pull_secrets = self.1.iter().map(|&name| name.to_owned()).collect();
            Ok(AccountData { annotations: BTreeMap::new(), pull_secrets })
        }

        async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
            Err(ConfigMapError::Missing(key.clone()))
        }

        fn operator_namespace(&self) -> &str {
            "tagtide"
        }
    }

    fn pull_secret(host: &str, username: &str) -> Kept {
        let config = format!(r#"{{"auths":{{"{host}":{{"username":"{username}","password":"x"}}}}}}"#);
        Ok(BTreeMap::from([(PULL_SECRET_KEY.to_owned(), config.into_bytes())]))
    }

    fn asker(secret: Option<&str>, account: Option<&str>, provider: Provider) -> Asker {
        let secret_ref = secret.map(|name| SecretRef { name: name.to_owned() });
        let service_account_name = account.map(str::to_owned);
        let credentials = Credentials { secret_ref, service_account_name, provider };
        Asker { namespace: "shop".to_owned(), credentials, may_be_operator: false }
    }

    async fn ask(namespace: &Namespace, asker: &Asker) -> Result<Credential, AccessError> {
        let identities = Identities::new(&Connections::new(AddressGuard::default()), Variables::default());
        asker.credential(namespace, &identities, &ImageName::parse("ghcr.io/acme/api").unwrap()).await
    }

    #[tokio::test]
    async fn the_first_pull_secret_with_an_entry_is_used() {
        let opaque = ["username", "password"].map(|key| (key.to_owned(), b"opaque".to_vec()));
        let secrets = BTreeMap::from([
            ("other", pull_secret("quay.io", "other")),
            ("opaque", Ok(BTreeMap::from(opaque))),
            ("right", pull_secret("ghcr.io", "right")),
            ("later", pull_secret("ghcr.io", "later")),
        ]);
        let namespace = Namespace(secrets, vec!["missing", "other", "opaque", "right", "later"]);
        let found = ask(&namespace, &asker(None, Some("api"), Provider::Generic)).await.unwrap();
        assert!(matches!(&found, Credential::Password { username, .. } if username == "right"), "{found:?}");
    }

    #[tokio::test]
    async fn nothing_is_asked_anonymously_where_an_account_is_named() {
        let secrets =
            BTreeMap::from([("other", pull_secret("quay.io", "other")), ("locked", Err(Problem::Forbidden))]);
        for (names, account, words) in [
            (
                vec!["other"],
                "api",
                "the ServiceAccount shop/api has no pull secret with an entry for ghcr.io/acme/api",
            ),
            (vec![], "api", "has no pull secret"),
            (vec!["locked"], "api", "forbidden"),
            (vec![], "web", "there is no ServiceAccount shop/web"),
        ] {
            let namespace = Namespace(secrets.clone(), names);
            let error = ask(&namespace, &asker(None, Some(account), Provider::Generic)).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn what_says_two_things_or_lends_the_operators_identity_is_refused() {
        let namespace = Namespace(BTreeMap::new(), vec![]);
        for (secret, account, provider, words) in [
            (None, None, Provider::Generic, "exactly one"),
            (Some("pull"), Some("api"), Provider::Generic, "exactly one"),
            (Some("pull"), None, Provider::Aws, "exactly one"),
            (None, None, Provider::Gcp, "serviceAccountName"),
            (None, Some("api"), Provider::Aws, "is not at a registry of AWS"),
        ] {
            let error = ask(&namespace, &asker(secret, account, provider)).await.unwrap_err();
            assert!(error.to_string().contains(words), "{words}: {error}");
            assert_eq!(error.reason(), crate::api::Reason::InvalidSpec, "{error}");
        }
    }

    #[tokio::test]
    async fn credentials_that_can_not_be_had_just_now_are_told_from_those_at_fault() {
        let secrets = BTreeMap::from([
            ("right", pull_secret("ghcr.io", "right")),
            ("other", pull_secret("quay.io", "other")),
            ("locked", Err(Problem::Forbidden)),
            ("late", Err(Problem::NoAnswer)),
        ]);
        let image = ImageName::parse("ghcr.io/acme/api").unwrap();
        for (secret, words, is_no_answer) in [
            ("right", None, false),
            ("late", Some("too late"), true),
            ("other", Some("no entry for"), false),
            ("locked", Some("forbidden"), false),
            ("missing", Some("there is no Secret"), false),
        ] {
            let namespace = Namespace(secrets.clone(), vec![secret]);
            let own = asker(Some(secret), None, Provider::Generic);
            let wrong = own.kept_credential(&namespace, &image).await.err();
            assert_eq!(wrong.as_ref().is_some_and(AccessError::is_no_answer), is_no_answer, "{secret}");
            let shown = wrong.map(|error| error.to_string());
            assert_eq!(shown.is_some(), words.is_some(), "{secret}: {shown:?}");
            assert!(shown.unwrap_or_default().contains(words.unwrap_or_default()), "{secret}");
            let by_account = asker(None, Some("api"), Provider::Generic);
            let wrong = by_account.kept_credential(&namespace, &image).await.err();
            assert_eq!(wrong.is_some(), words.is_some(), "{secret}: {wrong:?}");
        }
    }
}
