//! Mirrors: who is asked, in which order, who hears of which credentials, and what a mirror may not do.

mod lag;
mod trouble;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use serde_json::Value;
use tagtide::api::{ClusterImageRegistry, ImagePolicySpec, ObjectKey, Reason};
use tagtide::engine::{
    Asked, Asker, ConfigMapError, ScanError, SecretData, SecretError, SecretSource, Tools, ask, sources_of,
};
use tagtide::image::{Digest, ImageName};
use tagtide::net::{AddressGuard, Connections};
use tagtide::policy::compile;
use tagtide::registry::{Client, Identities, Variables};

use crate::registry::fault_server::{
    Asked as Request, FaultServer, late, page, page_before, status, text, with,
};
use crate::scanning::{Running, is_chosen, policy, registry};
use crate::support::process::free_address;
use crate::support::registry::{Access, PASSWORD, Registry, USER};
use crate::support::wait_until;

/// The Secrets of these tests, by name.
struct Secrets(BTreeMap<&'static str, SecretData>);

impl SecretSource for Secrets {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        self.0.get(key.name.as_str()).cloned().ok_or_else(|| SecretError::Missing(key.clone()))
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        Err(ConfigMapError::Missing(key.clone()))
    }

    fn operator_namespace(&self) -> &str {
        "tagtide"
    }
}

fn password(username: &str, password: &str) -> SecretData {
    [("username", username), ("password", password)].map(|(k, v)| (k.to_owned(), v.into())).into()
}

/// One process that asks for one image.
struct Asking {
    tools: Tools,
    secrets: Secrets,
    registries: Vec<Arc<ClusterImageRegistry>>,
    image: ImageName,
}

/// What was chosen, and who was asked.
type Answer = Result<(Option<String>, Option<Asked>), ScanError>;

impl Asking {
    /// Asks for `acme/api` of the first of these registries; each is `host, more fields`.
    fn new(registries: &[(&str, &str)]) -> Self {
        let loopback = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let connections = Connections::new(loopback);
        let identities = Identities::new(&connections, Variables::default());
        let objects = registries.iter().map(|(host, more)| {
            let spec = format!("{{host: '{host}', insecure: true{more}}}");
            Arc::new(ClusterImageRegistry::new("one", serde_saphyr::from_str(&spec).unwrap()))
        });
        Self {
            tools: Tools::new(Client::new(connections, true), identities),
            secrets: Secrets(BTreeMap::from([
                ("upstream", password(USER, PASSWORD)),
                ("mirror", password("mirror-reader", "mirror-s3cret")),
            ])),
            registries: objects.collect(),
            image: ImageName::parse(&format!("{}/acme/api", registries[0].0)).unwrap(),
        }
    }

    async fn choose(&self, rules: &str, asker: Option<&Asker>) -> Answer {
        let spec: ImagePolicySpec =
            serde_saphyr::from_str(&format!("{{image: {}, {rules}}}", self.image)).unwrap();
        let policies = [Arc::new(compile(&spec).unwrap())];
        let of = |host: &str| self.registries.iter().find(|one| one.spec.host == host).map(Arc::clone);
        let sources = sources_of(&self.image, of)?;
        let (mut looked, asked) = ask(&self.secrets, &self.tools, &sources, asker, &policies, 10).await?;
        let looked = looked.remove(0);
        looked.digest.unwrap();
        Ok((looked.choice.winner.map(|winner| winner.tag.to_string()), asked))
    }
}

const HIGHEST: &str = "select: {semver: {range: '*'}}";
const PINNED: &str = "select: {semver: {range: '*'}}, pin: Digest";

fn mirrored_by(host: &str) -> String {
    format!(", mirrors: [{{host: '{host}', prefix: hub}}]")
}

/// Asks a registry with two tags, whose mirror answers like this.
async fn ask_past(
    rules: &str,
    answer: impl Fn(&Request) -> Response<Body> + Send + Sync + 'static,
) -> (Answer, FaultServer, Registry) {
    let mirror = FaultServer::start(answer).await;
    let upstream = Registry::start(Access::Anonymous).await;
    upstream.push("acme/api", "1.0.0").await;
    upstream.push("acme/api", "1.1.0").await;
    let asking = Asking::new(&[(&upstream.host(), &mirrored_by(mirror.host())), (mirror.host(), "")]);
    (asking.choose(rules, None).await, mirror, upstream)
}

const LIST: &str = "GET /v2/acme/api/tags/list";

#[tokio::test]
async fn a_mirror_answers_and_the_host_hears_nothing() {
    let (upstream, mirror) =
        (Registry::start(Access::Password).await, Registry::start(Access::Anonymous).await);
    let built = serde_json::json!({ "created": "2026-11-20T09:30:00Z" });
    mirror.push_image("docker-hub/acme/api", "1.1.0", built).await;
    let mirrors = format!(", mirrors: [{{host: '{}', prefix: docker-hub}}]", mirror.host());
    let asking = Asking::new(&[(&upstream.host(), &mirrors), (&mirror.host(), "")]);
    for rules in [HIGHEST, PINNED, "select: {newestBuild: {}}", "select: {follow: {tag: '1.1.0'}}"] {
        let (tag, asked) = asking.choose(rules, None).await.unwrap();
        let asked = asked.unwrap();
        assert_eq!((tag.as_deref(), &*asked.host, asked.is_mirror), (Some("1.1.0"), &*mirror.host(), true));
        assert_eq!(asked.words(), format!("asked of {}", mirror.host()));
    }
    assert_eq!(upstream.requests("GET /v2/"), 0);
    assert!(mirror.requests("GET /v2/docker-hub/acme/api/tags/list") >= 2);
}

#[tokio::test]
async fn a_cache_of_the_registrys_own_kind_is_a_mirror_as_it_is() {
    let upstream = Registry::start(Access::Anonymous).await;
    upstream.push("acme/api", "1.0.0").await;
    let digest = upstream.push("acme/api", "1.1.0").await;
    let cache = Registry::cache_of(&upstream).await;
    let mirrors = format!(", mirrors: [{{host: '{}'}}]", cache.host());
    let asking = Asking::new(&[(&upstream.host(), &mirrors), (&cache.host(), "")]);
    let (tag, asked) = asking.choose(PINNED, None).await.unwrap();
    assert_eq!((tag.as_deref(), asked.unwrap().is_mirror), (Some("1.1.0"), true));
    assert!(digest.starts_with("sha256:") && cache.requests("HEAD /v2/acme/api/manifests/1.1.0") == 1);

    upstream.kill();
    // What it kept is less than what there was. It may say so, or that it has nothing: the choice is not made from it.
    match asking.choose(PINNED, None).await {
        Ok((tag, _)) => assert_eq!(tag.as_deref(), Some("1.1.0"), "the image was looked at, so it is kept"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&upstream.host()) && text.contains(&cache.host()), "{text}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_asked_of_the_host_from_the_start() {
    let digest = Digest::sha256_of(b"something else").to_string();
    let five_pages = |asked: &Request| match asked.target.rsplit_once("page=") {
        None => page_before(&["7.0.0"], "/v2/hub/acme/api/tags/list?page=2"),
        Some((_, "2")) => page_before(&["8.0.0"], "/v2/hub/acme/api/tags/list?page=3"),
        Some(_) => status(502),
    };
    let cut = |_: &Request| {
        let pieces = [Ok(Bytes::from_static(br#"{"tags":["7.0.0""#)), Err(std::io::Error::other("reset"))];
        Response::new(Body::from_stream(futures::stream::iter(pieces)))
    };
    let lost_manifest = move |asked: &Request| match asked.method.as_str() {
        "GET" if asked.target.contains("/tags/") => page(&["7.0.0"]),
        _ => status(404),
    };
    let lying = move |asked: &Request| match asked.method.as_str() {
        "GET" if asked.target.contains("/tags/") => page(&["7.0.0"]),
        "HEAD" => status(405),
        _ => with(text(200, "{}"), "docker-content-digest", &digest),
    };
    type Fault = Box<dyn Fn(&Request) -> Response<Body> + Send + Sync>;
    let faults: Vec<(&str, Reason, Fault)> = vec![
        ("404", Reason::ImageNotFound, Box::new(|_| status(404))),
        ("500", Reason::ServerError, Box::new(|_| status(500))),
        ("429", Reason::RateLimited, Box::new(|_| with(status(429), "retry-after", "30"))),
        ("503", Reason::RateLimited, Box::new(|_| with(status(503), "retry-after", "30"))),
        ("a page of login", Reason::ServerError, Box::new(|_| text(200, "<html>log in</html>"))),
        ("a redirect", Reason::ServerError, Box::new(|_| with(status(302), "location", "http://other/"))),
        ("a cut list", Reason::Unreachable, Box::new(cut)),
        ("page 3 of 5", Reason::ServerError, Box::new(five_pages)),
        ("no manifest", Reason::ImageNotFound, Box::new(lost_manifest)),
        ("another manifest", Reason::ServerError, Box::new(lying)),
    ];
    for (name, reason, fault) in faults {
        let (answer, mirror, upstream) = ask_past(PINNED, fault).await;
        let (tag, asked) = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        let asked = asked.unwrap();
        assert_eq!(tag.as_deref(), Some("1.1.0"), "{name}: nothing of the mirror's list is left");
        assert_eq!((&*asked.host, asked.is_mirror), (&*upstream.host(), false), "{name}");
        assert_eq!(asked.passed_over.len(), 1, "{name}");
        assert_eq!(asked.passed_over[0].reason, reason, "{name}: {asked:?}");
        let words = format!("asked of {}, not of {} ({})", upstream.host(), mirror.host(), reason.as_str());
        assert_eq!(asked.words(), words);
    }
}

#[tokio::test]
async fn a_mirror_that_does_not_answer_is_passed_over_and_not_waited_for_again_at_once() {
    let (upstream, nobody) = (Registry::start(Access::Anonymous).await, free_address().to_string());
    upstream.push("acme/api", "1.1.0").await;
    let asking = Asking::new(&[(&upstream.host(), &mirrored_by(&nobody)), (&nobody, "")]);
    for problem in ["refused", "a moment ago"] {
        let (tag, asked) = asking.choose(HIGHEST, None).await.unwrap();
        let over = &asked.as_ref().unwrap().passed_over[0];
        assert_eq!((tag.as_deref(), over.reason), (Some("1.1.0"), Reason::Unreachable));
        assert!(over.problem.contains(problem) && over.problem.contains(&nobody), "{over:?}");
    }
    upstream.kill();
    let error = asking.choose(HIGHEST, None).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{} cannot be reached", upstream.host())), "{error}");
    assert!(error.contains(&format!("asked before: {nobody} cannot be reached")), "{error}");
}

#[tokio::test]
async fn who_is_refused_by_a_mirror_is_not_let_in_by_the_host() {
    type Fault = fn(&Request) -> Response<Body>;
    for (name, reason, fault) in [
        (
            "401",
            Reason::AuthenticationFailed,
            (|_| with(status(401), "www-authenticate", "Basic realm=\"x\"")) as Fault,
        ),
        ("403", Reason::AccessDenied, |_| status(403)),
        ("a rogue realm", Reason::AuthenticationFailed, |_| {
            with(status(401), "www-authenticate", "Bearer realm=\"http://127.0.0.1:1/token\"")
        }),
    ] {
        let (answer, mirror, upstream) = ask_past(HIGHEST, fault).await;
        let error = answer.unwrap_err();
        assert_eq!(error.reason(), reason, "{name}: {error}");
        let text = error.to_string();
        assert!(text.contains(mirror.host()), "{name}: {text}");
        assert!(
            text.ends_with(&format!("(it is asked as a mirror of {})", upstream.host())),
            "{name}: {text}"
        );
        assert_eq!(upstream.requests(LIST), 0, "{name}");
    }
}

#[tokio::test]
async fn each_host_hears_of_its_own_credentials_alone() {
    let challenge = |asked: &Request| match asked.authorization {
        None => with(status(401), "www-authenticate", "Basic realm=\"x\""),
        Some(_) => status(404),
    };
    let (mirror, upstream) = (
        FaultServer::start(challenge).await,
        FaultServer::start(|asked| match asked.authorization {
            None => with(status(401), "www-authenticate", "Basic realm=\"x\""),
            Some(_) => page(&["1.0.0"]),
        })
        .await,
    );
    let basic = |user: &str, password: &str| {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("Basic {pair}")
    };
    let of_policy: ImagePolicySpec = serde_saphyr::from_str(&format!(
        "{{image: x.example/a, {HIGHEST}, credentials: {{secretRef: {{name: upstream}}}}}}"
    ))
    .unwrap();
    let asker = Asker::of_policy(&tagtide::api::ImagePolicy::new("api", of_policy));
    let own = ", credentials: {secretRef: {name: mirror}}";
    let of_host = format!("{}, credentials: {{secretRef: {{name: upstream}}}}", mirrored_by(mirror.host()));
    let bare = mirrored_by(mirror.host());
    // The credentials of a policy, and those of the host's own object.
    for (host, asker) in [(&bare, asker.as_ref()), (&of_host, None)] {
        let asking = Asking::new(&[(upstream.host(), host), (mirror.host(), own)]);
        let (tag, _) = asking.choose(HIGHEST, asker).await.unwrap();
        assert_eq!(tag.as_deref(), Some("1.0.0"));
        // Without credentials of its own, a mirror is asked with none.
        let asking = Asking::new(&[(upstream.host(), host), (mirror.host(), "")]);
        let refused = asking.choose(HIGHEST, asker).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::AuthenticationFailed, "{refused}");
    }
    let shown = |server: &FaultServer| {
        let all = server.asked().into_iter().filter_map(|asked| asked.authorization);
        all.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(shown(&mirror), [basic("mirror-reader", "mirror-s3cret")].into());
    assert_eq!(shown(&upstream), [basic(USER, PASSWORD)].into());
}

#[tokio::test]
async fn mirrors_are_asked_in_their_order_and_the_host_only_where_it_may_be() {
    let empty = FaultServer::start(|_| status(404)).await;
    let full = Registry::start(Access::Anonymous).await;
    full.push("acme/api", "1.1.0").await;
    let upstream = FaultServer::bystander().await;
    let mirrors = |fallback: &str| {
        format!(", mirrors: [{{host: '{}'}}, {{host: '{}'}}]{fallback}", empty.host(), full.host())
    };
    for fallback in ["", ", fallback: Host", ", fallback: Never"] {
        let asking =
            Asking::new(&[(upstream.host(), &mirrors(fallback)), (empty.host(), ""), (&full.host(), "")]);
        let (tag, asked) = asking.choose(HIGHEST, None).await.unwrap();
        assert_eq!((tag.as_deref(), &*asked.unwrap().host), (Some("1.1.0"), &*full.host()));
    }
    full.kill();
    let asking = Asking::new(&[
        (upstream.host(), &mirrors(", fallback: Never")),
        (empty.host(), ""),
        (&full.host(), ""),
    ]);
    let error = asking.choose(HIGHEST, None).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    assert!(upstream.asked().is_empty(), "{:?}", upstream.targets());
}

#[tokio::test]
async fn the_settings_of_a_mirror_are_its_own_and_a_mistake_in_them_is_told() {
    let upstream = Registry::start(Access::Anonymous).await;
    let mirror = Registry::start(Access::Anonymous).await;
    for (settings, words) in [
        (", credentials: {secretRef: {name: gone}}", "there is no Secret tagtide/gone"),
        (", caConfigMapRef: {name: gone}", "spec.caConfigMapRef: there is no ConfigMap tagtide/gone"),
        (
            ", caSecretRef: {name: upstream}",
            "spec.caSecretRef: the Secret tagtide/upstream has no key ca.crt",
        ),
    ] {
        let asking =
            Asking::new(&[(&upstream.host(), &mirrored_by(&mirror.host())), (&mirror.host(), settings)]);
        let error = asking.choose(HIGHEST, None).await.unwrap_err();
        assert_eq!(error.reason(), Reason::SecretInvalid, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(upstream.requests("GET"), 0);
}

/// How many requests were answered at once at most, where each takes `time`.
fn at_once(server: &FaultServer, time: Duration) -> usize {
    let times: Vec<_> = server.asked().iter().map(|asked| asked.at).collect();
    times
        .iter()
        .map(|at| times.iter().filter(|other| **other >= *at && **other < *at + time).count())
        .max()
        .unwrap()
}

#[tokio::test]
async fn the_limits_of_a_host_hold_for_those_whom_its_mirror_sends() {
    let time = Duration::from_millis(200);
    let upstream = FaultServer::start(move |_| late(page(&["1.0.0"]), time)).await;
    let mirror = FaultServer::start(|_| status(404)).await;
    let limits = format!("{}, limits: {{concurrency: 2}}", mirrored_by(mirror.host()));
    let mut objects = registry("upstream", upstream.host(), &limits) + &registry("mirror", mirror.host(), "");
    for number in 0..6 {
        let _ = write!(objects, "{}", policy(&format!("app-{number}"), upstream.host(), "1h"));
    }
    let running = Running::start(&objects);
    for number in 0..6 {
        running.status_where(&format!("app-{number}"), is_chosen).await;
    }
    assert_eq!((at_once(&upstream, time - Duration::from_millis(20)), upstream.asked().len()), (2, 6));
    assert!(at_once(&mirror, time) > 2, "the mirror has limits of its own");
}

const TEN_MINUTES: fn(&Request) -> Response<Body> = |_| with(status(429), "retry-after", "600");

/// Waits until a server was asked so often.
async fn asked_so_often(server: &FaultServer, times: usize) {
    wait_until("more scans", Duration::from_secs(20), async || {
        let scans = server.asked().len();
        if scans >= times { Ok(()) } else { Err(scans) }
    })
    .await;
}

fn message(status: &Value) -> &str {
    status["conditions"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_mirror_that_asks_for_a_pause_gets_it_and_the_host_is_asked() {
    let mirror = FaultServer::start(TEN_MINUTES).await;
    let upstream = FaultServer::start(|_| page(&["1.0.0"])).await;
    let running = Running::start(
        &(registry("upstream", upstream.host(), &mirrored_by(mirror.host()))
            + &registry("mirror", mirror.host(), "")
            + &policy("app", upstream.host(), "1s")),
    );
    let chosen = running.status_where("app", is_chosen).await;
    let words = format!("; asked of {}, not of {} (RateLimited)", upstream.host(), mirror.host());
    assert!(message(&chosen).ends_with(&words), "{chosen}");
    asked_so_often(&upstream, 3).await;
    assert_eq!(mirror.asked().len(), 1);
}

#[tokio::test]
async fn a_host_that_asks_for_a_pause_gets_it_and_a_mirror_that_is_new_is_asked_at_once() {
    let mirror = FaultServer::start(|_| page(&["1.0.0"])).await;
    let upstream = FaultServer::start(TEN_MINUTES).await;
    let app = policy("app", upstream.host(), "1s");
    let running = Running::start(&(registry("upstream", upstream.host(), "") + &app));
    running.status_where("app", |status| status["conditions"][0]["reason"] == "RateLimited").await;
    running.write(
        &(registry("upstream", upstream.host(), &mirrored_by(mirror.host()))
            + &registry("mirror", mirror.host(), "")
            + &app),
    );
    let chosen = running.status_where("app", is_chosen).await;
    assert!(message(&chosen).ends_with(&format!("; asked of {}", mirror.host())), "{chosen}");
    asked_so_often(&mirror, 3).await;
    assert_eq!(upstream.asked().len(), 1);
}
