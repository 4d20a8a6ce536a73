//! What the environment of the operator says of its identity in a cloud.

use std::collections::BTreeMap;

use super::IdentityError;
use crate::net::SecretText;

/// The variables that are looked at: those that EKS, GKE and AKS set, and that their own tools read.
const NAMES: [&str; 11] = [
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "GCE_METADATA_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
];

/// What the environment of the operator says of its identity in a cloud. No secret is in it; it may name files with one.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Those that `value` gives; the empty ones count as unset.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let set = NAMES.into_iter().filter_map(|name| Some((name, value(name)?)));
        Self(set.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The token in the file that a variable names, read anew each time: Kubernetes replaces it.
    pub(super) async fn file(&self, variable: &'static str) -> Result<Option<SecretText>, IdentityError> {
        let Some(path) = self.get(variable) else { return Ok(None) };
        let failed = |problem: String| IdentityError::File { variable, problem };
        let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))?;
        match text.trim() {
            "" => Err(failed("it is empty".to_owned())),
            token => Ok(Some(SecretText::from(token.to_owned()))),
        }
    }
}
