//! Amazon: an authorization token of ECR, for the keys of a role.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::exchange::{Answer, Exchange, METADATA, element, url};
use super::signature::{self, Keys, Request};
use super::{Account, Cloud, Given, IdentityError, TokenSource, Variables};
use crate::net::SecretText;
use crate::registry::Credential;
use crate::registry::form::{FORM, form};

/// The annotation of a ServiceAccount that names its role ("IAM roles for service accounts", EKS User Guide).
pub(super) const ROLE: &str = "eks.amazonaws.com/role-arn";

const AUDIENCE: &str = "sts.amazonaws.com";
const JSON: &str = "application/x-amz-json-1.1";

/// ECR as one region has it, or the public one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Ecr {
    region: String,
    /// The domain of the partition.
    domain: &'static str,
    api: String,
    service: &'static str,
    target: &'static str,
}

impl Ecr {
    pub(super) fn of(host: &str) -> Option<Self> {
        const DOMAIN: &str = "amazonaws.com";
        if host == "public.ecr.aws" {
            // The public one has one place ("Registry authentication", ECR Public User Guide).
            return Some(Self {
                region: "us-east-1".to_owned(),
                domain: DOMAIN,
                api: format!("api.ecr-public.us-east-1.{DOMAIN}"),
                service: "ecr-public",
                target: "SpencerFrontendService.GetAuthorizationToken",
            });
        }
        let labels: Vec<&str> = host.split('.').collect();
        let (account, prefix, region, domain) = match *labels.as_slice() {
            [account, "dkr", "ecr", region, "amazonaws", "com"] => (account, "api.ecr", region, DOMAIN),
            [account, "dkr", "ecr-fips", region, "amazonaws", "com"] => (account, "ecr-fips", region, DOMAIN),
            [account, "dkr", "ecr", region, "amazonaws", "com", "cn"] => {
                (account, "api.ecr", region, "amazonaws.com.cn")
            }
            [account, "dkr-ecr", region, "on", "aws"] => (account, "api.ecr", region, DOMAIN),
            _ => return None,
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_region = region.starts_with(|c: char| c.is_ascii_lowercase()) && region.bytes().all(is_part);
        (is_account && is_region).then(|| Self {
            region: region.to_owned(),
            domain,
            api: format!("{prefix}.{region}.{domain}"),
            service: "ecr",
            target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        })
    }
}

pub(super) async fn credential<T: TokenSource>(
    exchange: &Exchange,
    variables: &Variables,
    ecr: &Ecr,
    account: Option<&Account<'_, T>>,
) -> Result<Given, IdentityError> {
    let keys = match account {
        Some(account) => {
            let role = account.annotation(ROLE)?;
            let token = account.token(AUDIENCE).await?;
            assume_role(exchange, ecr, &ecr.region, role, &token).await?
        }
        None => own_keys(exchange, variables, ecr).await?,
    };
    authorization_token(exchange, ecr, &keys).await
}

/// The operator's own keys, in the order of AWS's tools: a role for its ServiceAccount, Pod Identity, the instance's role.
async fn own_keys(exchange: &Exchange, variables: &Variables, ecr: &Ecr) -> Result<Keys, IdentityError> {
    if let Some(role) = variables.get("AWS_ROLE_ARN")
        && let Some(token) = variables.file("AWS_WEB_IDENTITY_TOKEN_FILE").await?
    {
        let region = variables.get("AWS_REGION").unwrap_or(&ecr.region);
        return assume_role(exchange, ecr, region, role, &token).await;
    }
    let named = variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let answer = match named {
        Some(uri) => pod_identity(exchange, variables, uri).await?,
        None => instance_role(exchange, variables)
            .await
            .map_err(|error| IdentityError::NoIdentity { cloud: Cloud::Aws, problem: error.to_string() })?,
    };
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Handed {
        access_key_id: String,
        secret_access_key: String,
        token: String,
    }
    let handed: Handed = answer.json()?;
    Ok(Keys {
        id: handed.access_key_id,
        secret: SecretText::from(handed.secret_access_key),
        session: SecretText::from(handed.token),
    })
}

/// `AssumeRoleWithWebIdentity` of the "AWS STS API Reference". It is not signed: the token says who asks.
async fn assume_role(
    exchange: &Exchange,
    ecr: &Ecr,
    region: &str,
    role: &str,
    token: &SecretText,
) -> Result<Keys, IdentityError> {
    let sts = url(&format!("https://sts.{region}.{}/", ecr.domain), "AWS_REGION")?;
    let body = form(
        &sts,
        &[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role),
            ("RoleSessionName", "tagtide"),
            ("WebIdentityToken", token.expose()),
        ],
    );
    let answer = exchange.cloud(|http| http.post(sts).header(CONTENT_TYPE, FORM).body(body)).await?;
    let xml = std::str::from_utf8(&answer.body).unwrap_or_default();
    let value = |name| {
        element(xml, name).map(|text| text.trim().to_owned()).ok_or_else(|| answer.bad("has no credentials"))
    };
    Ok(Keys {
        id: value("AccessKeyId")?,
        secret: SecretText::from(value("SecretAccessKey")?),
        session: SecretText::from(value("SessionToken")?),
    })
}

/// The "Container credential provider" of the "AWS SDKs and Tools Reference Guide", which EKS Pod Identity uses.
async fn pod_identity(
    exchange: &Exchange,
    variables: &Variables,
    uri: &str,
) -> Result<Answer, IdentityError> {
    const NAME: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let agent = url(uri, NAME)?;
    let is_address = agent.host_str().is_some_and(|host| {
        host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok()
    });
    if agent.scheme() != "https" && !is_address {
        return Err(IdentityError::Malformed { name: NAME, wanted: "an https URL, or one with an address" });
    }
    let token = variables.file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").await?;
    let request = |http: &reqwest::Client| match &token {
        Some(token) => http.get(agent).header("authorization", token.expose()),
        None => http.get(agent),
    };
    exchange.metadata(request).await
}

/// "Instance metadata service version 2" of the "Amazon EC2 User Guide".
async fn instance_role(exchange: &Exchange, variables: &Variables) -> Result<Answer, IdentityError> {
    const NAME: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let usual = format!("http://{METADATA}");
    let base = variables.get(NAME).unwrap_or(&usual).trim_end_matches('/');
    let place = |path: &str| url(&format!("{base}/latest/{path}"), NAME);
    let token_url = place("api/token")?;
    let token = exchange
        .metadata(|http| http.put(token_url).header("x-aws-ec2-metadata-token-ttl-seconds", "60"))
        .await?;
    let token = token.line()?;
    let get = async |path: String| {
        let url = place(&path)?;
        exchange.metadata(|http| http.get(url).header("x-aws-ec2-metadata-token", token)).await
    };
    const ROLES: &str = "meta-data/iam/security-credentials/";
    let role = get(ROLES.to_owned()).await?;
    get(format!("{ROLES}{}", role.line()?)).await
}

/// `GetAuthorizationToken` of the API references of ECR and of ECR Public.
async fn authorization_token(exchange: &Exchange, ecr: &Ecr, keys: &Keys) -> Result<Given, IdentityError> {
    const BODY: &str = "{}";
    let now = Timestamp::now();
    let date = signature::date(now);
    let headers = [
        ("content-type", JSON),
        ("host", &ecr.api),
        ("x-amz-date", &date),
        ("x-amz-security-token", keys.session.expose()),
        ("x-amz-target", ecr.target),
    ];
    let request = Request {
        method: "POST",
        headers: &headers,
        body: BODY.as_bytes(),
        region: &ecr.region,
        service: ecr.service,
    };
    let authorization = signature::authorization(&request, &keys.id, &keys.secret, &date);
    let api = url(&format!("https://{}/", ecr.api), "the registry's region")?;
    let answer = exchange
        .cloud(|http| {
            let signed = headers.iter().filter(|(name, _)| *name != "host");
            let request = http.post(api).header("authorization", authorization);
            signed.fold(request, |request, (name, value)| request.header(*name, *value)).body(BODY)
        })
        .await?;
    let json: Value = answer.json()?;
    // A list in the one API, a single one in the other.
    let data = json.pointer("/authorizationData/0").or_else(|| json.get("authorizationData"));
    let encoded = data.and_then(|data| data.get("authorizationToken")?.as_str());
    let decoded = encoded.and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let (username, password) =
        decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(|| answer.bad("has no token"))?;
    let until = data.and_then(|data| data.get("expiresAt")?.as_f64()).unwrap_or_default();
    let lifetime = Duration::try_from_secs_f64(until - now.as_second() as f64).unwrap_or_default();
    let password = SecretText::from(password.to_owned());
    Ok(Given { credential: Credential::Password { username: username.to_owned(), password }, lifetime })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_registries_and_where_each_is_asked() {
        for (host, api) in [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", Some("api.ecr.eu-central-1.amazonaws.com")),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some("ecr-fips.us-gov-west-1.amazonaws.com"),
            ),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("api.ecr.cn-north-1.amazonaws.com.cn")),
            ("123456789012.dkr-ecr.eu-central-1.on.aws", Some("api.ecr.eu-central-1.amazonaws.com")),
            ("public.ecr.aws", Some("api.ecr-public.us-east-1.amazonaws.com")),
            ("12345.dkr.ecr.eu-central-1.amazonaws.com", None),
            ("123456789012.dkr.ecr..amazonaws.com", None),
            ("123456789012.dkr.ecr.evil:1.amazonaws.com", None),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example", None),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com:5000", None),
            ("public.ecr.aws.evil.example", None),
            ("ghcr.io", None),
        ] {
            assert_eq!(Ecr::of(host).map(|ecr| ecr.api).as_deref(), api, "{host}");
        }
    }
}
