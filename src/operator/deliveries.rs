//! Deliveries at any replica: the leader takes them in, a follower hands them on to it. A follower knows no webhook and
//! reads no Secret.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::controller::{FIELD_MANAGER, KubeWorld};
use crate::receiver::{Answer, Destination, Door, Envelope, Metrics, Reply};

/// The annotation of the Lease by which the leader says where it takes deliveries: its identity, a space, its address.
const ANNOTATION: &str = "tagtide.dev/deliveries";

/// On a delivery that was handed on, so that it is never handed on again.
const HANDED_ON: HeaderName = HeaderName::from_static("x-tagtide-handed-on");

/// How long the leader's address is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// How long the API server, and how long the leader, may take.
const READING: Duration = Duration::from_secs(5);
const HANDING_ON: Duration = Duration::from_secs(15);

/// The most that is read of the leader's answer, in bytes; its own are shorter.
const MAX_ANSWER: usize = 4096;

/// Takes deliveries in where this process leads, and hands them on where it does not.
pub(super) struct Deliveries {
    door: OnceLock<Door<KubeWorld>>,
    leader: Leader,
    client: reqwest::Client,
    metrics: Metrics,
}

/// The Lease, as who looks for the leader reads it.
pub(super) struct Leader {
    leases: Api<Lease>,
    name: String,
    known: Mutex<Option<(Option<SocketAddr>, Instant)>>,
}

impl Deliveries {
    /// Deliveries of a process that follows.
    ///
    /// # Errors
    /// Where no HTTP client can be made, in words.
    pub(super) fn of_follower(leader: Leader, metrics: Metrics) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(READING)
            .timeout(HANDING_ON)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { door: OnceLock::new(), leader, client, metrics })
    }

    /// This process leads from now on, until it ends.
    pub(super) fn lead(&self, door: Door<KubeWorld>) {
        let _ = self.door.set(door);
    }

    async fn hand_on(&self, envelope: Envelope) -> Answer {
        if envelope.headers.contains_key(&HANDED_ON) {
            return Answer::Busy;
        }
        let Some(address) = self.leader.address().await else { return Answer::Busy };
        let Some(url) = address_of(address, &envelope) else { return Answer::Unknown };
        let method = if envelope.asks_first { Method::OPTIONS } else { Method::POST };
        let request = self.client.request(method, url);
        let request = request.headers(headers_to_hand_on(envelope.headers)).body(envelope.body);
        let answered = async { reply_of(request.send().await?).await };
        match answered.await {
            Ok(Some(reply)) => Answer::OfLeader(reply),
            Ok(None) => Answer::Busy,
            Err(error) => {
                tracing::warn!(%address, error = %error.without_url(), "a delivery could not be handed on to the leader");
                Answer::Busy
            }
        }
    }
}

impl Destination for Deliveries {
    async fn take(&self, envelope: Envelope) -> Answer {
        match self.door.get() {
            Some(door) => door.take(envelope).await,
            None => {
                let answer = self.hand_on(envelope).await;
                self.metrics.count(None, &answer);
                answer
            }
        }
    }
}

impl Leader {
    pub(super) fn new(leases: Api<Lease>, name: String) -> Self {
        Self { leases, name, known: Mutex::default() }
    }

    /// Says in the Lease, which this process holds, where it takes deliveries.
    pub(super) async fn announce(&self, identity: &str, address: SocketAddr) {
        let patch = json!({"metadata": {"annotations": {ANNOTATION: format!("{identity} {address}")}}});
        let (params, patch) = (
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() },
            Patch::Merge(patch),
        );
        let announced = timeout(READING, self.leases.patch_metadata(&self.name, &params, &patch)).await;
        let problem = match announced {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the API server did not answer in time".to_owned(),
        };
        tracing::warn!(problem, "other replicas are not told where deliveries are taken");
    }

    /// Where the leader takes deliveries, where it can be known. One reading at a time, however many deliveries wait.
    async fn address(&self) -> Option<SocketAddr> {
        let mut known = self.known.lock().await;
        if let Some((address, _)) = known.as_ref().filter(|(_, at)| at.elapsed() < BELIEVED) {
            return *address;
        }
        let lease = timeout(READING, self.leases.get(&self.name)).await.ok().and_then(Result::ok);
        let address = lease.and_then(|lease| announced_in(&lease));
        *known = Some((address, Instant::now()));
        address
    }
}

/// The address in a Lease, if it is that of the holder: an earlier one's says nothing.
fn announced_in(lease: &Lease) -> Option<SocketAddr> {
    let (identity, address) = lease.metadata.annotations.as_ref()?.get(ANNOTATION)?.rsplit_once(' ')?;
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    if holder == identity { address.parse().ok() } else { None }
}

/// The address at which other replicas reach a listener of this process; `None` where it can not be known.
pub(super) fn reachable(listening: SocketAddr, own: Option<IpAddr>) -> Option<SocketAddr> {
    let ip = own.or_else(|| Some(listening.ip()).filter(|ip| !ip.is_unspecified()))?;
    Some(SocketAddr::new(ip, listening.port()))
}

fn address_of(address: SocketAddr, envelope: &Envelope) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(&format!("http://{address}/")).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().push("hooks").push(&envelope.name).extend(&envelope.in_path);
    // A name such as `..` would change the path instead of being part of it.
    let parts = 2 + usize::from(envelope.in_path.is_some());
    (url.path_segments()?.count() == parts).then_some(url)
}

/// What the leader answered; `None` where it is longer than any of its answers.
async fn reply_of(mut response: reqwest::Response) -> reqwest::Result<Option<Reply>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Reply::handed_on(response.status(), response.headers(), text)))
}

/// All but what concerns the one connection (RFC 9110, 7.6.1).
fn headers_to_hand_on(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
    headers.insert(HANDED_ON, HeaderValue::from_static("1"));
    headers
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::api::ObjectMeta;

    use super::*;

    fn lease(annotation: Option<&str>, holder: Option<&str>) -> Lease {
        Lease {
            metadata: ObjectMeta {
                annotations: annotation.map(|text| [(ANNOTATION.to_owned(), text.to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec { holder_identity: holder.map(str::to_owned), ..LeaseSpec::default() }),
        }
    }

    #[test]
    fn the_address_of_an_earlier_leader_is_not_believed() {
        let of =
            |annotation, holder| announced_in(&lease(annotation, holder)).map(|address| address.to_string());
        assert_eq!(of(Some("a 10.0.0.7:8081"), Some("a")).as_deref(), Some("10.0.0.7:8081"));
        assert_eq!(of(Some("a [fd00::7]:8081"), Some("a")).as_deref(), Some("[fd00::7]:8081"));
        assert_eq!(of(Some("a 10.0.0.7:8081"), Some("b")), None);
        assert_eq!(of(Some("a 10.0.0.7:8081"), None), None);
        assert_eq!(of(Some("a example.com:8081"), Some("a")), None);
        assert_eq!(of(None, Some("a")), None);
    }

    #[test]
    fn a_delivery_is_handed_on_to_the_same_path_and_to_no_other() {
        let url = |name: &str, in_path: Option<&str>| {
            let envelope = Envelope {
                name: name.to_owned(),
                in_path: in_path.map(str::to_owned),
                asks_first: false,
                headers: HeaderMap::new(),
                body: bytes::Bytes::new(),
            };
            address_of("10.0.0.7:8081".parse().unwrap(), &envelope).map(String::from)
        };
        assert_eq!(url("ghcr", None).as_deref(), Some("http://10.0.0.7:8081/hooks/ghcr"));
        assert_eq!(
            url("hub", Some("to/ken?")).as_deref(),
            Some("http://10.0.0.7:8081/hooks/hub/to%2Fken%3F")
        );
        assert_eq!(url("..", None), None);
        assert_eq!(url("hub", Some("..")), None);
        assert_eq!(url("hub", Some("%2e%2e")).as_deref(), Some("http://10.0.0.7:8081/hooks/hub/%252e%252e"));
    }

    async fn serve(router: axum::Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        address
    }

    /// A follower of a leader that answers so.
    async fn follower_of(leader: axum::Router) -> Deliveries {
        rustls::crypto::ring::default_provider().install_default().ok();
        let announced = format!("a {}", serve(leader).await);
        let lease = serde_json::to_string(&lease(Some(&announced), Some("a"))).unwrap();
        let api_server = serve(axum::Router::new().fallback(async move || lease)).await;
        let config = kube::Config::new(format!("http://{api_server}").parse().unwrap());
        let leases = Api::namespaced(kube::Client::try_from(config).unwrap(), "tagtide");
        Deliveries::of_follower(Leader::new(leases, "tagtide".to_owned()), Metrics::default()).unwrap()
    }

    fn asking(asks_first: bool) -> Envelope {
        Envelope {
            name: "azure".to_owned(),
            in_path: None,
            asks_first,
            headers: HeaderMap::new(),
            body: bytes::Bytes::from_static(b"x"),
        }
    }

    #[tokio::test]
    async fn who_asks_a_follower_before_it_delivers_hears_what_the_leader_says() {
        let leader = async |method: Method| {
            let headers = [("webhook-allowed-origin", "eventgrid.azure.net"), ("x-of-the-connection", "y")];
            (axum::http::StatusCode::OK, headers, method.to_string())
        };
        let follower = follower_of(axum::Router::new().fallback(leader)).await;
        for (asks_first, method) in [(true, "OPTIONS"), (false, "POST")] {
            let reply = follower.take(asking(asks_first)).await.into_reply();
            assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, method));
            assert_eq!(reply.headers["webhook-allowed-origin"], "eventgrid.azure.net");
            assert!(!reply.headers.contains_key("x-of-the-connection"), "{:?}", reply.headers);
        }
    }

    #[tokio::test]
    async fn an_answer_that_no_leader_gives_is_not_handed_on() {
        let leader = async || "x".repeat(MAX_ANSWER + 1);
        let follower = follower_of(axum::Router::new().fallback(leader)).await;
        assert_eq!(follower.take(asking(false)).await, Answer::Busy);
    }

    #[test]
    fn other_replicas_reach_a_listener_by_the_address_of_its_pod() {
        let of = |listening: &str, own: Option<&str>| {
            reachable(listening.parse().unwrap(), own.map(|own| own.parse().unwrap()))
                .map(|address| address.to_string())
        };
        assert_eq!(of("0.0.0.0:8081", Some("10.0.0.7")).as_deref(), Some("10.0.0.7:8081"));
        assert_eq!(of("127.0.0.1:8081", None).as_deref(), Some("127.0.0.1:8081"));
        assert_eq!(of("0.0.0.0:8081", None), None);
    }
}
