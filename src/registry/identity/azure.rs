//! Microsoft: a token of Entra ID, exchanged for a refresh token of one container registry.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::exchange::{Exchange, METADATA, url};
use super::{Account, Cloud, Given, IdentityError, TokenSource, Variables};
use crate::net::SecretText;
use crate::registry::Credential;
use crate::registry::form::{FORM, form, with_query};

/// The annotations of a ServiceAccount that name its identity ("Microsoft Entra Workload ID", azure-workload-identity).
pub(super) const CLIENT: &str = "azure.workload.identity/client-id";
pub(super) const TENANT: &str = "azure.workload.identity/tenant-id";

const AUDIENCE: &str = "api://AzureADTokenExchange";

/// How long a refresh token is kept whose end can not be read; they last for three hours.
const USUAL_LIFE: Duration = Duration::from_secs(30 * 60);

/// One container registry, and the servers of its cloud.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Acr {
    host: String,
    authority: &'static str,
    /// What a token must be for; a registry takes those of the resource manager.
    resource: &'static str,
}

impl Acr {
    pub(super) fn of(host: &str) -> Option<Self> {
        let (name, domain) = host.split_once('.')?;
        let (authority, resource) = match domain.rsplit_once("azurecr.") {
            Some(("", "io")) => ("login.microsoftonline.com", "https://management.azure.com"),
            Some(("", "cn")) => ("login.chinacloudapi.cn", "https://management.chinacloudapi.cn"),
            Some(("", "us")) => ("login.microsoftonline.us", "https://management.usgovcloudapi.net"),
            Some(_) | None => return None,
        };
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_name.then(|| Self { host: host.to_owned(), authority, resource })
    }
}

#[derive(Deserialize)]
struct Handed {
    access_token: String,
}

pub(super) async fn credential<T: TokenSource>(
    exchange: &Exchange,
    variables: &Variables,
    acr: &Acr,
    account: Option<&Account<'_, T>>,
) -> Result<Given, IdentityError> {
    let entra = match account {
        Some(account) => {
            let client = account.annotation(CLIENT)?;
            let tenant = account.annotation(TENANT);
            let tenant = tenant.or_else(|error| variables.get("AZURE_TENANT_ID").ok_or(error))?;
            let token = account.token(AUDIENCE).await?;
            federated(exchange, acr, tenant, client, &token).await?
        }
        None => own_token(exchange, variables, acr).await?,
    };
    refresh_token(exchange, acr, &entra).await
}

/// The operator's own token: of its workload identity where it has one, else of the machine's managed identity.
async fn own_token(exchange: &Exchange, variables: &Variables, acr: &Acr) -> Result<Handed, IdentityError> {
    let client = variables.get("AZURE_CLIENT_ID");
    if let (Some(client), Some(tenant)) = (client, variables.get("AZURE_TENANT_ID"))
        && let Some(token) = variables.file("AZURE_FEDERATED_TOKEN_FILE").await?
    {
        return federated(exchange, acr, tenant, client, &token).await;
    }
    const NAME: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    let usual = format!("http://{METADATA}");
    let base = variables.get(NAME).unwrap_or(&usual).trim_end_matches('/');
    let place = url(&format!("{base}/metadata/identity/oauth2/token"), NAME)?;
    let mut asked = vec![("api-version", "2018-02-01"), ("resource", acr.resource)];
    asked.extend(client.map(|client| ("client_id", client)));
    let place = with_query(&place, &asked);
    // "How to use managed identities for Azure resources on an Azure VM to acquire an access token".
    let answer = exchange.metadata(|http| http.get(place).header("metadata", "true")).await;
    let no_identity =
        |error: IdentityError| IdentityError::NoIdentity { cloud: Cloud::Azure, problem: error.to_string() };
    answer.map_err(no_identity)?.json()
}

/// "Access token request with a federated credential" of the "Microsoft identity platform".
async fn federated(
    exchange: &Exchange,
    acr: &Acr,
    tenant: &str,
    client: &str,
    token: &SecretText,
) -> Result<Handed, IdentityError> {
    if !tenant.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) {
        return Err(IdentityError::Malformed { name: TENANT, wanted: "the id of a tenant" });
    }
    let server = url(&format!("https://{}/{tenant}/oauth2/v2.0/token", acr.authority), TENANT)?;
    let scope = format!("{}/.default", acr.resource);
    let body = form(
        &server,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", &scope),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", token.expose()),
        ],
    );
    let answer = exchange.cloud(|http| http.post(server).header(CONTENT_TYPE, FORM).body(body)).await?;
    answer.json()
}

/// `POST /oauth2/exchange` of the registry itself ("AAD-OAuth", Azure/acr).
async fn refresh_token(exchange: &Exchange, acr: &Acr, entra: &Handed) -> Result<Given, IdentityError> {
    let registry = url(&format!("https://{}/oauth2/exchange", acr.host), "the registry's host")?;
    let body = form(
        &registry,
        &[("grant_type", "access_token"), ("service", &acr.host), ("access_token", &entra.access_token)],
    );
    let answer = exchange.cloud(|http| http.post(registry).header(CONTENT_TYPE, FORM).body(body)).await?;
    #[derive(Deserialize)]
    struct Exchanged {
        refresh_token: String,
    }
    let token = answer.json::<Exchanged>()?.refresh_token;
    let lifetime = end_of(&token).map_or(USUAL_LIFE, |end| {
        Duration::from_secs(u64::try_from(end - Timestamp::now().as_second()).unwrap_or_default())
    });
    Ok(Given { credential: Credential::IdentityToken(SecretText::from(token)), lifetime })
}

/// When a JSON Web Token ends (RFC 7519, 4.1.4), in seconds since 1970. It is not checked: only the registry could.
fn end_of(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_registries_and_their_clouds() {
        for (host, authority) in [
            ("acme.azurecr.io", Some("login.microsoftonline.com")),
            ("acme.azurecr.cn", Some("login.chinacloudapi.cn")),
            ("acme.azurecr.us", Some("login.microsoftonline.us")),
            ("azurecr.io", None),
            ("acme.azurecr.io.evil.example", None),
            ("acme.evilazurecr.io", None),
            ("acme.azurecr.io:5000", None),
            ("a.b.azurecr.io", None),
            ("ghcr.io", None),
        ] {
            assert_eq!(Acr::of(host).map(|acr| acr.authority), authority, "{host}");
        }
    }

    #[test]
    fn reads_when_a_token_ends() {
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"exp":1764090000,"iat":1}"#));
        assert_eq!(end_of(&token), Some(1_764_090_000));
        for token in ["", "a.b", "a.!!.c", "e30.e30.x"] {
            assert_eq!(end_of(token), None, "{token}");
        }
    }
}
