//! Credentials of clouds, against a stand-in that is asked under the clouds' own names, over TLS, and that checks what it
//! is asked against the clouds' documentation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tagtide::api::{ObjectKey, Reason};
use tagtide::image::ImageName;
use tagtide::net::{AddressGuard, Connections, SecretText};
use tagtide::registry::{
    Access, Account, Client, Cloud, Credential, Identities, IdentityError, TokenSource, Variables,
};

use super::fault_server::{Asked, FaultServer, status, text};
use super::list;
use crate::support::registry::{Access as Kind, PASSWORD, Registry, USER};
use crate::support::tls::{Authority, Clients, in_tls};
use crate::support::workspace;

const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const STS: &str = "sts.eu-central-1.amazonaws.com";
const ECR_API: &str = "api.ecr.eu-central-1.amazonaws.com";
const PUBLIC_ECR_API: &str = "api.ecr-public.us-east-1.amazonaws.com";
const GOOGLE_STS: &str = "sts.googleapis.com";
const GOOGLE_IAM: &str = "iamcredentials.googleapis.com";
const ENTRA: &str = "login.microsoftonline.com";
const ACR: &str = "acme.azurecr.io";
const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

/// What nobody may see.
const WEB_IDENTITY: &str = "canary.web.identity";

/// The servers of a cloud, and connections that lead to them.
struct StandIn {
    server: FaultServer,
    connections: Connections,
}

impl StandIn {
    /// One that answers for all these names.
    async fn start(
        names: &[&str],
        answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let server = FaultServer::start(answer).await;
        let connections = connections(&[(names, server.host().parse().unwrap())]).await;
        Self { server, connections }
    }

    fn identities(&self, variables: &[(&str, &str)]) -> Identities {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Identities::new(&self.connections, Variables::read(|name| variables.get(name).cloned()))
    }
}

/// Connections to this machine that find servers behind TLS under these names.
async fn connections(servers: &[(&[&str], SocketAddr)]) -> Connections {
    let authority = Authority::new();
    let mut hosts = BTreeMap::new();
    for (names, server) in servers {
        let front = in_tls(&authority, names, Clients::Any, *server).await;
        hosts.extend(names.iter().map(|name| ((*name).to_owned(), front)));
    }
    let loopback = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    Connections::new(loopback).with_hosts(hosts, authority.pem().as_bytes()).unwrap()
}

/// Gives tokens of a ServiceAccount, and keeps for whom they were asked.
#[derive(Default)]
struct Tokens(Mutex<Vec<String>>);

impl TokenSource for Tokens {
    async fn token(&self, audience: &str) -> Result<SecretText, String> {
        self.0.lock().unwrap().push(audience.to_owned());
        Ok(SecretText::from(WEB_IDENTITY.to_owned()))
    }
}

const NOBODY: Option<&Account<'static, Tokens>> = None;

/// Asks as the ServiceAccount `shop/api` with these annotations; with what its tokens were asked for.
async fn as_account(
    identities: &Identities,
    cloud: Cloud,
    host: &str,
    annotations: &[(&str, &str)],
) -> (Result<Credential, IdentityError>, Vec<String>) {
    let key = ObjectKey::new("shop", "api");
    let annotations: BTreeMap<String, String> =
        annotations.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let tokens = Tokens::default();
    let account = Account { key: &key, annotations: &annotations, tokens: &tokens };
    let given = identities.credential(cloud, &image(host), Some(&account)).await;
    (given, tokens.0.into_inner().unwrap())
}

fn image(host: &str) -> ImageName {
    ImageName::parse(&format!("{host}/acme/api")).unwrap()
}

fn password(username: &str, password: &str) -> Credential {
    Credential::Password { username: username.to_owned(), password: SecretText::from(password.to_owned()) }
}

fn form(asked: &Asked) -> BTreeMap<String, String> {
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    let url = reqwest::Url::parse(&format!("http://x/?{}", asked.body)).unwrap();
    url.query_pairs().into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The answer of STS, as its API reference shows it.
fn sts_answer() -> Response<Body> {
    text(
        200,
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>s3ssion/+=</SessionToken>\
         <SecretAccessKey>s3cret+key</SecretAccessKey><Expiration>2100-01-01T00:00:00Z</Expiration>\
         <AccessKeyId>ASIAEXAMPLE</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>",
    )
}

fn ecr_answer(username: &str, password: &str) -> Response<Body> {
    let token = STANDARD.encode(format!("{username}:{password}"));
    let data =
        json!([{ "authorizationToken": token, "expiresAt": 4.102_444_8e9, "proxyEndpoint": "https://x" }]);
    text(200, json!({ "authorizationData": data }).to_string())
}

/// Whether a request to ECR is signed with the keys that were handed out.
fn assert_signed(asked: &Asked, region: &str, service: &str, target: &str) {
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.as_str()), ("POST", "/", "{}"));
    assert_eq!(asked.header("x-amz-target"), target);
    assert_eq!(asked.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(asked.header("x-amz-security-token"), "s3ssion/+=");
    let date = asked.header("x-amz-date");
    let day = date.split_once('T').unwrap().0;
    let scope = format!("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/{day}/{region}/{service}/aws4_request, ");
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=";
    let rest = asked.header("authorization").strip_prefix(&format!("{scope}{signed}")).unwrap();
    assert!(rest.len() == 64 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{rest}");
}

/// The three ways to the operator's own keys, to the same token of ECR, and with it to a real registry.
#[tokio::test]
async fn the_operators_role_opens_ecr_in_every_way_it_can_be_had() {
    let registry = Registry::start(Kind::Password).await;
    registry.push("acme/api", "1.0.0").await;
    let answer = |asked: &Asked| match (asked.host(), asked.target.as_str()) {
        (STS, "/") => sts_answer(),
        (ECR_API, "/") => ecr_answer(USER, PASSWORD),
        (_, "/latest/api/token") => text(200, "m3tadata"),
        (_, "/latest/meta-data/iam/security-credentials/") => text(200, "reader-of-nodes\n"),
        (_, "/v1/credentials" | "/latest/meta-data/iam/security-credentials/reader-of-nodes") => text(
            200,
            json!({
                "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAEXAMPLE",
                "SecretAccessKey": "s3cret+key", "Token": "s3ssion/+=", "Expiration": "2100-01-01T00:00:00Z",
            })
            .to_string(),
        ),
        _ => status(404),
    };
    let folder = workspace::folder("clouds");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{WEB_IDENTITY}\n")).unwrap();
    let file = file.to_str().unwrap();

    for way in ["role", "pod", "instance"] {
        let server = FaultServer::start(answer).await;
        let near = format!("http://{}", server.host());
        let agent = format!("{near}/v1/credentials");
        let variables = match way {
            "role" => vec![("AWS_ROLE_ARN", ROLE), ("AWS_WEB_IDENTITY_TOKEN_FILE", file)],
            "pod" => vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
            ],
            _ => vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", near.as_str())],
        };
        let names: &[&str] = &[STS, ECR_API];
        let connections = connections(&[
            (names, server.host().parse().unwrap()),
            (&[ECR], registry.host().parse().unwrap()),
        ])
        .await;
        let cloud = StandIn { server, connections };
        let identities = cloud.identities(&variables);
        let credential = identities.credential(Cloud::Aws, &image(ECR), NOBODY).await.unwrap();
        assert_eq!(credential, password(USER, PASSWORD), "{way}");

        let asked = cloud.server.asked();
        let first = &asked[0];
        match way {
            "role" => {
                assert_eq!((first.method.as_str(), first.host(), asked.len()), ("POST", STS, 2));
                assert_eq!(
                    form(first),
                    pairs(&[
                        ("Action", "AssumeRoleWithWebIdentity"),
                        ("Version", "2011-06-15"),
                        ("RoleArn", ROLE),
                        ("RoleSessionName", "tagtide"),
                        ("WebIdentityToken", WEB_IDENTITY),
                    ])
                );
                assert_eq!(first.authorization, None);
            }
            "pod" => {
                assert_eq!((first.method.as_str(), asked.len()), ("GET", 2));
                assert_eq!(first.authorization.as_deref(), Some(WEB_IDENTITY));
            }
            _ => {
                assert_eq!((first.method.as_str(), asked.len()), ("PUT", 4));
                assert_eq!(first.header("x-aws-ec2-metadata-token-ttl-seconds"), "60");
                for next in &asked[1..3] {
                    assert_eq!(next.header("x-aws-ec2-metadata-token"), "m3tadata");
                }
            }
        }
        let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        assert_signed(asked.last().unwrap(), "eu-central-1", "ecr", target);

        let access = Access { credential: Some(credential), ..Access::default() };
        let client = Client::new(cloud.connections.clone(), false);
        let (tags, _) = list(&client, &image(ECR), &access).await.unwrap();
        assert_eq!(tags, ["1.0.0"], "{way}: the registry takes it");

        identities.credential(Cloud::Aws, &image(ECR), NOBODY).await.unwrap();
        assert_eq!(cloud.server.asked().len(), asked.len(), "{way}: kept");
    }
}

#[tokio::test]
async fn a_service_account_asks_ecr_by_its_own_role_and_shares_nothing() {
    const PUBLIC_STS: &str = "sts.us-east-1.amazonaws.com";
    let cloud = StandIn::start(&[STS, ECR_API, PUBLIC_STS, PUBLIC_ECR_API], |asked| match asked.host() {
        STS | PUBLIC_STS => sts_answer(),
        ECR_API => ecr_answer("AWS", &format!("pw-{}", asked.nth)),
        _ => {
            let token = STANDARD.encode("AWS:public");
            let data = json!({ "authorizationToken": token, "expiresAt": 4.102_444_8e9 });
            text(200, json!({ "authorizationData": data }).to_string())
        }
    })
    .await;
    let identities = cloud.identities(&[]);
    let role = [("eks.amazonaws.com/role-arn", ROLE)];
    let (given, audiences) = as_account(&identities, Cloud::Aws, ECR, &role).await;
    assert_eq!((given.unwrap(), audiences), (password("AWS", "pw-1"), vec!["sts.amazonaws.com".to_owned()]));
    let other = [("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/other")];
    let (given, _) = as_account(&identities, Cloud::Aws, ECR, &other).await;
    assert_eq!(given.unwrap(), password("AWS", "pw-3"), "another role is another caller");
    let (again, audiences) = as_account(&identities, Cloud::Aws, ECR, &role).await;
    assert_eq!((again.unwrap(), audiences.len()), (password("AWS", "pw-1"), 0), "kept");

    let (given, _) = as_account(&identities, Cloud::Aws, "public.ecr.aws", &role).await;
    assert_eq!(given.unwrap(), password("AWS", "public"));
    let target = "SpencerFrontendService.GetAuthorizationToken";
    assert_signed(cloud.server.asked().last().unwrap(), "us-east-1", "ecr-public", target);
}

#[tokio::test]
async fn google_gives_the_operators_token_from_the_metadata_server() {
    let cloud = StandIn::start(&[], |_| {
        text(200, r#"{"access_token":"ya29.own","expires_in":3599,"token_type":"Bearer"}"#)
    })
    .await;
    let identities = cloud.identities(&[("GCE_METADATA_HOST", cloud.server.host())]);
    for host in ["europe-west1-docker.pkg.dev", "gcr.io"] {
        let given = identities.credential(Cloud::Gcp, &image(host), NOBODY).await.unwrap();
        assert_eq!(given, password("oauth2accesstoken", "ya29.own"));
    }
    let asked = cloud.server.asked();
    assert_eq!(asked.len(), 1, "one token for all registries");
    assert_eq!(asked[0].target, "/computeMetadata/v1/instance/service-accounts/default/token");
    assert_eq!(asked[0].header("metadata-flavor"), "Google");
}

#[tokio::test]
async fn a_service_account_of_gke_asks_google_as_itself_or_as_whom_it_names() {
    let cloud = StandIn::start(&[GOOGLE_STS, GOOGLE_IAM], |asked| {
        match (asked.host(), asked.target.trim_start_matches("/computeMetadata/v1/")) {
            (GOOGLE_STS, _) => text(200, r#"{"access_token":"ya29.federated","expires_in":3600}"#),
            (GOOGLE_IAM, _) => {
                text(200, r#"{"accessToken":"ya29.impersonated","expireTime":"2100-01-01T00:00:00Z"}"#)
            }
            (_, "project/project-id") => text(200, "acme-prod"),
            (_, "instance/attributes/cluster-location") => text(200, "europe-west1"),
            (_, "instance/attributes/cluster-name") => text(200, "main"),
            _ => status(404),
        }
    })
    .await;
    let identities = cloud.identities(&[("GCE_METADATA_HOST", cloud.server.host())]);
    let (given, audiences) = as_account(&identities, Cloud::Gcp, "gcr.io", &[]).await;
    assert_eq!(given.unwrap(), password("oauth2accesstoken", "ya29.federated"));
    assert_eq!(audiences, ["acme-prod.svc.id.goog"]);
    let asked = cloud.server.asked();
    assert_eq!((asked[3].method.as_str(), asked[3].target.as_str()), ("POST", "/v1/token"));
    assert_eq!(
        form(&asked[3]),
        pairs(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            (
                "audience",
                "identitynamespace:acme-prod.svc.id.goog:https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters/main"
            ),
            ("scope", "https://www.googleapis.com/auth/cloud-platform"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", WEB_IDENTITY),
        ])
    );

    let email = [("iam.gke.io/gcp-service-account", "reader@acme-prod.iam.gserviceaccount.com")];
    let (given, _) = as_account(&identities, Cloud::Gcp, "gcr.io", &email).await;
    assert_eq!(given.unwrap(), password("oauth2accesstoken", "ya29.impersonated"));
    let asked = cloud.server.asked();
    let last = asked.last().unwrap();
    assert_eq!(
        last.target,
        "/v1/projects/-/serviceAccounts/reader@acme-prod.iam.gserviceaccount.com:generateAccessToken"
    );
    assert_eq!(last.authorization.as_deref(), Some("Bearer ya29.federated"));
    assert_eq!(last.body, r#"{"scope":["https://www.googleapis.com/auth/cloud-platform"]}"#);

    let bad = [("iam.gke.io/gcp-service-account", "x/../../y@z")];
    let (refused, _) = as_account(&identities, Cloud::Gcp, "gcr.io", &bad).await;
    assert!(matches!(refused, Err(IdentityError::Malformed { .. })), "{refused:?}");
}

#[tokio::test]
async fn azure_exchanges_a_token_for_one_of_the_registry_itself() {
    let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"exp":4102444800}"#));
    let refresh = token.clone();
    let cloud = StandIn::start(&[ENTRA, ACR], move |asked| match asked.host() {
        ACR => text(200, json!({ "refresh_token": refresh }).to_string()),
        // The machine's identity gives numbers as text.
        _ => text(200, r#"{"access_token":"entra","expires_in":"86399","token_type":"Bearer"}"#),
    })
    .await;
    let refresh_token = Credential::IdentityToken(SecretText::from(token));
    let folder = workspace::folder("clouds");
    let file = folder.path().join("token");
    std::fs::write(&file, WEB_IDENTITY).unwrap();
    let assertion = |client: &str| {
        pairs(&[
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", "https://management.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", WEB_IDENTITY),
        ])
    };

    let own = cloud.identities(&[
        ("AZURE_CLIENT_ID", "client-1"),
        ("AZURE_TENANT_ID", "tenant-1"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ]);
    assert_eq!(own.credential(Cloud::Azure, &image(ACR), NOBODY).await.unwrap(), refresh_token);
    let asked = cloud.server.asked();
    assert_eq!((asked[0].host(), asked[0].target.as_str()), (ENTRA, "/tenant-1/oauth2/v2.0/token"));
    assert_eq!(form(&asked[0]), assertion("client-1"));
    assert_eq!((asked[1].host(), asked[1].target.as_str()), (ACR, "/oauth2/exchange"));
    let exchange = [("grant_type", "access_token"), ("service", ACR), ("access_token", "entra")];
    assert_eq!(form(&asked[1]), pairs(&exchange));

    let machine = format!("http://{}", cloud.server.host());
    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.as_str()), ("AZURE_CLIENT_ID", "client-2")];
    let machine = cloud.identities(&machine);
    assert_eq!(machine.credential(Cloud::Azure, &image(ACR), NOBODY).await.unwrap(), refresh_token);
    let asked = cloud.server.asked();
    assert_eq!(
        asked[2].target,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com&client_id=client-2"
    );
    assert_eq!((asked[2].method.as_str(), asked[2].header("metadata")), ("GET", "true"));

    let annotations = [
        ("azure.workload.identity/client-id", "client-3"),
        ("azure.workload.identity/tenant-id", "tenant-3"),
    ];
    let (given, audiences) = as_account(&machine, Cloud::Azure, ACR, &annotations).await;
    assert_eq!((given.unwrap(), audiences), (refresh_token, vec!["api://AzureADTokenExchange".to_owned()]));
    let asked = cloud.server.asked();
    assert_eq!(
        (asked[4].target.as_str(), form(&asked[4])),
        ("/tenant-3/oauth2/v2.0/token", assertion("client-3"))
    );
}

#[tokio::test]
async fn a_refusal_shows_what_the_cloud_says_and_no_secret() {
    let cloud = StandIn::start(&[STS, ENTRA], |asked| match asked.host() {
        STS => text(
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>",
        ),
        _ => text(401, r#"{"error":"invalid_client","error_description":"AADSTS70021: No matching record"}"#),
    })
    .await;
    let identities = cloud.identities(&[("AZURE_TENANT_ID", "tenant-1")]);
    let role: &[_] = &[("eks.amazonaws.com/role-arn", ROLE)];
    let client: &[_] = &[("azure.workload.identity/client-id", "client-1")];
    for (provider, host, annotations, words, reason) in [
        (Cloud::Aws, ECR, role, "Not authorized to perform", Reason::AuthenticationFailed),
        (Cloud::Azure, ACR, client, "AADSTS70021", Reason::AuthenticationFailed),
        (Cloud::Aws, ECR, &[][..], "eks.amazonaws.com/role-arn", Reason::AuthenticationFailed),
        (Cloud::Aws, "evil.example", role, "sent nowhere else", Reason::InvalidSpec),
        (Cloud::Gcp, ECR, &[], "sent nowhere else", Reason::InvalidSpec),
    ] {
        let (refused, _) = as_account(&identities, provider, host, annotations).await;
        let error = refused.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(words) && !shown.contains(WEB_IDENTITY), "{shown}");
        assert_eq!(error.reason(), reason, "{shown}");
    }
    let hosts: Vec<String> = cloud.server.asked().iter().map(|asked| asked.host().to_owned()).collect();
    assert_eq!(hosts, [STS, ENTRA], "a registry elsewhere hears nothing, and no token is asked for it");
}

#[tokio::test]
async fn without_an_identity_the_error_says_where_it_was_looked_for() {
    let nowhere = FaultServer::start(|_| status(404)).await;
    let near = format!("http://{}", nowhere.host());
    let loopback = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", near.as_str()),
        ("GCE_METADATA_HOST", nowhere.host()),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", near.as_str()),
    ];
    let read =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let identities = Identities::new(&Connections::new(loopback), Variables::read(read));
    for (cloud, host, name) in
        [(Cloud::Aws, ECR, "AWS"), (Cloud::Gcp, "gcr.io", "Google Cloud"), (Cloud::Azure, ACR, "Azure")]
    {
        let error = identities.credential(cloud, &image(host), NOBODY).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("no identity in {name}")) && text.contains("404"), "{text}");
    }
}
