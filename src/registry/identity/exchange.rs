//! Requests to a cloud, and to the metadata service of the machine in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::IdentityError;
use crate::net::{Cidr, ClientSettings, Connections, Limits, read_capped};
use crate::registry::realm::origin;
use crate::registry::refusal::quoted;

/// The most that is read of an answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// How long a cloud may take.
const CLOUD_TIME: Duration = Duration::from_secs(30);

/// How long the metadata service may take. It is near; where there is none, packets to it are often lost without a word.
const METADATA_TIME: Duration = Duration::from_secs(5);

/// The address of the metadata service in all three clouds.
pub(super) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Where the agent of EKS Pod Identity listens.
const POD_IDENTITY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Sends requests to a cloud.
pub(super) struct Exchange {
    connections: Connections,
    /// These reach the metadata services too. No URL that they are given comes from a registry or an object.
    near: Connections,
}

/// What a server answered with success.
pub(super) struct Answer {
    pub(super) server: String,
    pub(super) body: Vec<u8>,
}

impl Exchange {
    pub(super) fn new(connections: &Connections) -> Self {
        let metadata = [IpAddr::V4(METADATA)].into_iter().chain(POD_IDENTITY).map(Cidr::from);
        Self { near: connections.admitting(metadata), connections: connections.clone() }
    }

    /// Asks a cloud over the network.
    pub(super) async fn cloud(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, IdentityError> {
        send(&self.connections, request, CLOUD_TIME).await
    }

    /// Asks the metadata service of the machine.
    pub(super) async fn metadata(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, IdentityError> {
        send(&self.near, request, METADATA_TIME).await
    }
}

async fn send(
    connections: &Connections,
    request: impl FnOnce(&Client) -> RequestBuilder,
    time: Duration,
) -> Result<Answer, IdentityError> {
    let client = connections.client(&ClientSettings::default())?;
    let limits = Limits::new(MAX_ANSWER, time, time);
    let response = connections.send(&client, request(&client), &limits).await?;
    let (server, status) = (origin(response.url()), response.status());
    let body = read_capped(response, limits).await?;
    if status.is_success() {
        return Ok(Answer { server, body });
    }
    Err(IdentityError::Refused { server, status: status.as_u16(), said: said(&body) })
}

impl Answer {
    /// The answer as JSON of this form. What is wrong with it is not quoted: it may hold a secret.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, IdentityError> {
        serde_json::from_slice(&self.body).map_err(|_| self.bad("is not of the documented form"))
    }

    /// The answer as one line of text.
    pub(super) fn line(&self) -> Result<&str, IdentityError> {
        let text = std::str::from_utf8(&self.body).map(str::trim).unwrap_or_default();
        match text.is_empty() || text.contains(char::is_control) {
            true => Err(self.bad("is not one line of text")),
            false => Ok(text),
        }
    }

    pub(super) fn bad(&self, problem: &'static str) -> IdentityError {
        IdentityError::Answer { server: self.server.clone(), problem }
    }
}

/// A URL that is put together here.
pub(super) fn url(text: &str, name: &'static str) -> Result<Url, IdentityError> {
    Url::parse(text).map_err(|_| IdentityError::Malformed { name, wanted: "a part of a URL" })
}

/// The message in an error's body: JSON as ECR, Google, Microsoft and registries write it, or XML as STS does.
fn said(body: &[u8]) -> String {
    const PLACES: [&str; 5] =
        ["/error_description", "/message", "/Message", "/error/message", "/errors/0/message"];
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let in_json = PLACES.iter().find_map(|place| json.pointer(place)?.as_str());
    let text = std::str::from_utf8(body).unwrap_or_default();
    in_json.or_else(|| element(text, "Message")).map(quoted).unwrap_or_default()
}

/// The text of the first element of that name, which holds no other element.
pub(super) fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::AddressGuard;

    #[test]
    fn only_the_metadata_services_are_let_in_and_only_for_their_own_requests() {
        let connections = Connections::new(AddressGuard::default());
        let exchange = Exchange::new(&connections);
        let permits = |connections: &Connections, host: &str| {
            connections.check_url(&format!("http://{host}/").parse().unwrap()).is_ok()
        };
        for host in ["169.254.169.254", "169.254.170.23", "[fd00:ec2::23]"] {
            assert!(permits(&exchange.near, host), "{host}");
            assert!(!permits(&exchange.connections, host) || host == "[fd00:ec2::23]", "{host}");
        }
        for host in ["127.0.0.1", "169.254.169.253", "169.254.170.2", "[fe80::1]", "[fd00:ec2::254]"] {
            assert!(!permits(&exchange.near, host), "{host}");
        }
    }

    #[test]
    fn shows_the_message_of_each_cloud() {
        for (body, expected) in [
            (
                r#"{"error":"invalid_client","error_description":"AADSTS700016: no such app"}"#,
                "AADSTS700016: no such app",
            ),
            (r#"{"__type":"AccessDeniedException","Message":"not authorized"}"#, "not authorized"),
            (r#"{"error":{"code":403,"message":"denied"}}"#, "denied"),
            (r#"{"errors":[{"code":"UNAUTHORIZED","message":"no pull"}]}"#, "no pull"),
            (
                "<ErrorResponse><Error><Message>Not authorized</Message></Error></ErrorResponse>",
                "Not authorized",
            ),
        ] {
            assert_eq!(said(body.as_bytes()), format!(": {expected:?}"));
        }
        for body in ["", "<html>", "{}", "<Message>cut"] {
            assert_eq!(said(body.as_bytes()), "", "{body}");
        }
        assert!(!said(b"<Message>\x1b[2J\n</Message>").contains(['\u{1b}', '\n']));
    }
}
