//! Google: an OAuth 2.0 access token, which its registries take as a password.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;

use super::exchange::{Answer, Exchange, METADATA, url};
use super::{Account, Cloud, Given, IdentityError, TokenSource, Variables};
use crate::net::SecretText;
use crate::registry::Credential;
use crate::registry::form::{FORM, form};

/// The annotation of a ServiceAccount that names the IAM service account it acts as; without it, it acts as itself.
pub(super) const EMAIL: &str = "iam.gke.io/gcp-service-account";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(super) fn is_registry(host: &str) -> bool {
    host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with("-docker.pkg.dev")
}

/// An access token as OAuth 2.0 hands it out (RFC 6749, 5.1).
#[derive(Deserialize)]
struct Handed {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

pub(super) async fn credential<T: TokenSource>(
    exchange: &Exchange,
    variables: &Variables,
    account: Option<&Account<'_, T>>,
) -> Result<Given, IdentityError> {
    let metadata = Metadata { exchange, variables };
    let handed = match account {
        None => {
            let answer = metadata.get("instance/service-accounts/default/token").await?;
            answer.json()?
        }
        Some(account) => as_account(exchange, &metadata, account).await?,
    };
    // "Configure authentication to Artifact Registry for Docker": this user name stands for an access token.
    let username = "oauth2accesstoken".to_owned();
    let password = SecretText::from(handed.access_token);
    Ok(Given {
        credential: Credential::Password { username, password },
        lifetime: Duration::from_secs(handed.expires_in),
    })
}

/// The metadata server ("View and query VM metadata", Compute Engine); on GKE the one of the node.
struct Metadata<'a> {
    exchange: &'a Exchange,
    variables: &'a Variables,
}

impl Metadata<'_> {
    async fn get(&self, path: &str) -> Result<Answer, IdentityError> {
        const NAME: &str = "GCE_METADATA_HOST";
        let usual = METADATA.to_string();
        let host = self.variables.get(NAME).unwrap_or(&usual);
        let url = url(&format!("http://{host}/computeMetadata/v1/{path}"), NAME)?;
        let answer = self.exchange.metadata(|http| http.get(url).header("metadata-flavor", "Google")).await;
        answer.map_err(|error| IdentityError::NoIdentity { cloud: Cloud::Gcp, problem: error.to_string() })
    }
}

/// Exchanges a token of the ServiceAccount for one of its own in the cluster's workload identity pool ("About Workload
/// Identity Federation for GKE"; RFC 8693), and that for one of an IAM service account where it names one.
async fn as_account<T: TokenSource>(
    exchange: &Exchange,
    metadata: &Metadata<'_>,
    account: &Account<'_, T>,
) -> Result<Handed, IdentityError> {
    let project = metadata.get("project/project-id").await?;
    let location = metadata.get("instance/attributes/cluster-location").await?;
    let cluster = metadata.get("instance/attributes/cluster-name").await?;
    let (project, location, cluster) = (project.line()?, location.line()?, cluster.line()?);
    let pool = format!("{project}.svc.id.goog");
    let audience = format!(
        "identitynamespace:{pool}:https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{cluster}"
    );
    let token = account.token(&pool).await?;
    let sts = url("https://sts.googleapis.com/v1/token", "the token server")?;
    let body = form(
        &sts,
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &audience),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", token.expose()),
        ],
    );
    let answer = exchange.cloud(|http| http.post(sts).header(CONTENT_TYPE, FORM).body(body)).await?;
    let own: Handed = answer.json()?;
    match account.annotation(EMAIL) {
        Ok(email) => impersonate(exchange, email, &own).await,
        Err(_) => Ok(own),
    }
}

/// `generateAccessToken` of the "Service Account Credentials API".
async fn impersonate(exchange: &Exchange, email: &str, own: &Handed) -> Result<Handed, IdentityError> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if !email.contains('@') || !email.chars().all(is_part) {
        return Err(IdentityError::Malformed {
            name: EMAIL,
            wanted: "the e-mail address of a service account",
        });
    }
    let api = format!(
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    );
    let api = url(&api, EMAIL)?;
    let body = json!({ "scope": [SCOPE] }).to_string();
    let answer = exchange
        .cloud(|http| {
            let request = http.post(api).bearer_auth(&own.access_token);
            request.header(CONTENT_TYPE, "application/json").body(body)
        })
        .await?;
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Generated {
        access_token: String,
        expire_time: Timestamp,
    }
    let generated: Generated = answer.json()?;
    let left = generated.expire_time.as_second() - Timestamp::now().as_second();
    Ok(Handed { access_token: generated.access_token, expires_in: u64::try_from(left).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_registries() {
        for (host, expected) in [
            ("gcr.io", true),
            ("eu.gcr.io", true),
            ("europe-west1-docker.pkg.dev", true),
            ("docker.pkg.dev.evil.example", false),
            ("evilgcr.io", false),
            ("gcr.io:5000", false),
            ("ghcr.io", false),
        ] {
            assert_eq!(is_registry(host), expected, "{host}");
        }
    }
}
