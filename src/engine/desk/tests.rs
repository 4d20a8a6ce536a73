//! The desk by itself: objects and results come in any order, and nothing is scanned or pushed.

mod ending;
mod start;

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::api::{ImagePolicy, InfraRepository, REQUESTED_AT};
use crate::engine::cycle::Committed;
use crate::engine::plan::Plan;
use crate::engine::scan::Verdict;
use crate::engine::schedule::Pace;
use crate::engine::world::{ConfigMapError, Kind, Notice, SecretData, SecretError, SecretSource, WorldError};
use crate::git::CommitId;
use crate::image::Tag;
use crate::net::{AddressGuard, Connections};
use crate::policy::{Choice, Winner};

/// A world in which nothing happens, and that counts the statuses which are shown.
#[derive(Default)]
struct Still(AtomicUsize);

impl SecretSource for Still {
    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        Err(ConfigMapError::Missing(key.clone()))
    }

    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        Err(SecretError::Missing(key.clone()))
    }

    fn operator_namespace(&self) -> &str {
        "tagtide"
    }
}

impl World for Still {
    async fn show(&self, _: &ObjectId, _: &Status) -> Result<(), WorldError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn tell(&self, _: &ObjectId, _: &Notice) {}

    fn may_write(&self) -> bool {
        true
    }
}

fn settings() -> Settings {
    Settings {
        cache_dir: "/nonexistent".into(),
        room: crate::git::Room::default(),
        gather: Duration::ZERO,
        connections: Connections::new(AddressGuard::new(Vec::new())),
        allow_http: false,
        allow_file: false,
        scans_at_once: 8,
        cycles_at_once: 4,
    }
}

fn desk() -> Engine<Still> {
    let (world, metrics) = (Arc::new(Still::default()), Metrics::register(&mut Registry::default()));
    let (board, work) = Board::open(Arc::clone(&world), metrics.clone());
    tokio::spawn(work);
    Engine::new(world, settings(), metrics, board, Hooks::default())
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

fn metadata(name: &str, uid: &str, request: &str) -> Value {
    let annotations = if request.is_empty() { json!({}) } else { json!({ REQUESTED_AT: request }) };
    json!({ "namespace": "shop", "name": name, "uid": uid, "generation": 1, "annotations": annotations })
}

/// The policy `api`, with these rules.
fn policy(uid: &str, request: &str, mut spec: Value) -> Update {
    spec["image"] = "registry.example/shop/api".into();
    let object = json!({ "metadata": metadata("api", uid, request), "spec": spec });
    Update::Policy(Arc::new(serde_json::from_value::<ImagePolicy>(object).unwrap()))
}

fn semver(range: &str) -> Value {
    json!({ "select": { "semver": { "range": range } } })
}

/// The repository `infra`, with these fields beside its URL.
fn repository(uid: &str, request: &str, mut spec: Value) -> Update {
    if spec["url"].is_null() {
        spec["url"] = "https://git.example/infra.git".into();
    }
    let object = json!({ "metadata": metadata("infra", uid, request), "spec": spec });
    Update::Repository(Arc::new(serde_json::from_value::<InfraRepository>(object).unwrap()))
}

/// The members of the one scan there is, as it would begin now.
fn begin_scan(desk: &mut Engine<Still>) -> (ScanKey, Vec<Member>) {
    let key = desk.scans.keys().next().unwrap().clone();
    let members = desk.members_of(&key, None);
    assert!(!members.is_empty());
    desk.scans.get_mut(&key).unwrap().start();
    (key, members)
}

/// Ends a scan in which every member chose this tag.
fn end_scan(desk: &mut Engine<Still>, (key, members): (ScanKey, Vec<Member>), tag: &str) {
    let verdict = |member: &Member| {
        let winner = Winner { tag: Tag::parse(tag).unwrap(), version: tag.to_owned(), built: None };
        let reason = "highest of 2 tags".to_owned();
        let refused = Vec::new();
        let choice = Choice { winner: Some(winner), reason, refused, tags: 2, matching: 2, malformed: 0 };
        Verdict { member: member.clone(), choice: Some(choice), digest: Ok(None) }
    };
    let scan = Scan {
        listing: None,
        version: None,
        verdicts: members.iter().map(verdict).collect(),
        shown: std::collections::BTreeSet::new(),
        lacking: std::collections::BTreeSet::new(),
        asked: None,
        doubt: None,
        unusable: None,
    };
    settle(desk, Job::Scan(key, members, "shop".to_owned()), Done::Scan(Box::new(Ok(scan)), Duration::ZERO));
}

/// What a cycle that would begin now begins for.
fn begin_cycle(desk: &mut Engine<Still>) -> (Begun, Arc<Wishes>) {
    let state = &desk.repositories[&key("infra")];
    let begun = Begun { revision: state.revision(), request: crate::api::requested_at(state.object()) };
    let wishes = Arc::new(desk.wishes_for(state));
    desk.cycles.get_mut(&key("infra")).unwrap().start();
    (begun, wishes)
}

fn commit_id() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

/// Ends a cycle that has pushed a commit, after which the branch holds all that was wished.
fn end_cycle(desk: &mut Engine<Still>, (begun, wishes): (Begun, Arc<Wishes>)) {
    let (message, at) = ("Bump".to_owned(), jiff::Timestamp::UNIX_EPOCH);
    let held = wishes.keys().map(|key| (key.clone(), 1)).collect();
    let report = Report {
        doubts: BTreeMap::new(),
        head: commit_id(),
        target: None,
        head_at: at,
        committed: vec![Committed { id: commit_id(), message, at, plan: Plan::default() }],
        plan: Plan { held, ..Plan::default() },
    };
    settle(desk, Job::Cycle(key("infra"), begun), Done::Cycle(Box::new(None), Box::new(Ok(report)), wishes));
}

/// Lets a task end that brings this back.
fn settle(desk: &mut Engine<Still>, job: Job, done: Done) {
    let id = task_id();
    desk.jobs.insert(id, job);
    desk.settle(Ok((id, done)));
}

fn task_id() -> Id {
    tokio::spawn(async {}).id()
}

fn status(desk: &Engine<Still>, kind: Kind) -> Value {
    let mut shown = desk.shown.iter().filter(|(id, _)| id.kind == kind);
    let (_, status) = shown.next().unwrap();
    assert!(shown.next().is_none(), "one object of a kind");
    match status {
        Status::Policy(status) => serde_json::to_value(status),
        Status::Repository(status) => serde_json::to_value(status),
        Status::Registry(status) => serde_json::to_value(status),
    }
    .unwrap()
}

fn reason(desk: &Engine<Still>, kind: Kind) -> String {
    status(desk, kind)["conditions"][0]["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_scan_for_a_policy_that_is_gone_decides_nothing_for_the_one_made_anew() {
    for is_told_of_the_end in [true, false] {
        let mut desk = desk();
        desk.take_in(policy("1", "", semver("*")));
        let scan = begin_scan(&mut desk);
        if is_told_of_the_end {
            desk.take_in(Update::Gone(Kind::Policy, key("api")));
        }
        desk.take_in(policy("2", "", semver("<2")));
        end_scan(&mut desk, scan, "2.0.0");
        assert_eq!(status(&desk, Kind::Policy)["selected"], Value::Null);
        assert!(desk.scans.slots().all(|slot| slot.due().unwrap() <= Instant::now()), "its own is due");
        let scan = begin_scan(&mut desk);
        end_scan(&mut desk, scan, "1.9.3");
        assert_eq!(status(&desk, Kind::Policy)["selected"]["tag"], "1.9.3");
    }
}

#[tokio::test]
async fn a_cycle_that_began_before_a_change_of_the_spec_says_nothing_of_the_spec_after_it() {
    for (spec, expected) in [
        (json!({ "suspend": true }), "Suspended"),
        (json!({ "commit": { "subject": "{{ nonsense" } }), "InvalidSpec"),
        (json!({ "interval": "7m" }), "Progressing"),
    ] {
        let mut desk = desk();
        desk.take_in(policy("1", "", semver("*")));
        desk.take_in(repository("1", "", json!({})));
        let scan = begin_scan(&mut desk);
        end_scan(&mut desk, scan, "1.9.3");
        let cycle = begin_cycle(&mut desk);
        desk.take_in(repository("1", "", spec.clone()));
        end_cycle(&mut desk, cycle);
        assert_eq!(reason(&desk, Kind::Repository), expected);
        assert_eq!(status(&desk, Kind::Repository)["lastCommit"]["id"], commit_id().to_string());
        assert_eq!(status(&desk, Kind::Policy)["written"], Value::Null);
        assert!(desk.cycles[&key("infra")].due().unwrap() <= Instant::now(), "its own cycle is due");

        let (begun, _) = begin_cycle(&mut desk);
        desk.take_in(repository("1", "", json!({})));
        desk.settle_broken(Job::Cycle(key("infra"), begun), "it panicked");
        assert_eq!(reason(&desk, Kind::Repository), "Progressing");
    }
}

#[tokio::test]
async fn a_policy_that_left_a_repository_during_its_cycle_is_not_written_there() {
    let mut desk = desk();
    let labelled = |labels: Value| {
        let Update::Policy(object) = policy("1", "", semver("*")) else { panic!("it is another kind") };
        let mut object = ImagePolicy::clone(&object);
        object.metadata.labels = serde_json::from_value(labels).unwrap();
        Update::Policy(Arc::new(object))
    };
    desk.take_in(labelled(json!({ "team": "a" })));
    desk.take_in(repository("1", "", json!({ "policies": { "matchLabels": { "team": "a" } } })));
    let scan = begin_scan(&mut desk);
    end_scan(&mut desk, scan, "1.9.3");
    let cycle = begin_cycle(&mut desk);
    end_cycle(&mut desk, cycle);
    assert_eq!(status(&desk, Kind::Policy)["written"][0]["tag"], "1.9.3");
    let cycle = begin_cycle(&mut desk);
    desk.take_in(labelled(json!({ "team": "b" })));
    end_cycle(&mut desk, cycle);
    assert_eq!(status(&desk, Kind::Policy)["written"], Value::Null);
}

#[tokio::test]
async fn a_request_is_handled_by_what_began_after_it() {
    let mut desk = desk();
    desk.take_in(policy("1", "", semver("*")));
    desk.take_in(repository("1", "", json!({})));
    let (scan, cycle) = (begin_scan(&mut desk), begin_cycle(&mut desk));
    desk.take_in(policy("1", "now", semver("*")));
    desk.take_in(repository("1", "now", json!({})));
    end_scan(&mut desk, scan, "1.9.3");
    end_cycle(&mut desk, cycle);
    for kind in [Kind::Policy, Kind::Repository] {
        assert_eq!(status(&desk, kind)["lastHandledRequest"], Value::Null);
    }
    assert!(desk.scans.slots().chain(desk.cycles.values()).all(|slot| slot.due().unwrap() <= Instant::now()));
    let (scan, cycle) = (begin_scan(&mut desk), begin_cycle(&mut desk));
    // As the writing of a status brings it.
    desk.take_in(policy("1", "now", semver("*")));
    desk.take_in(repository("1", "now", json!({})));
    end_scan(&mut desk, scan, "1.9.3");
    end_cycle(&mut desk, cycle);
    for kind in [Kind::Policy, Kind::Repository] {
        assert_eq!(status(&desk, kind)["lastHandledRequest"], "now");
    }
    assert!(desk.scans.slots().chain(desk.cycles.values()).all(|slot| slot.due().unwrap() > Instant::now()));
}

#[tokio::test]
async fn a_repository_that_is_elsewhere_now_says_nothing_of_where_it_was() {
    for elsewhere in [
        json!({ "url": "https://git.example/other.git" }),
        json!({ "branch": "live" }),
        json!({ "publish": { "push": { "branch": "updates" } } }),
    ] {
        let mut desk = desk();
        desk.take_in(policy("1", "", semver("*")));
        desk.take_in(repository("1", "", json!({})));
        let scan = begin_scan(&mut desk);
        end_scan(&mut desk, scan, "1.9.3");
        let cycle = begin_cycle(&mut desk);
        end_cycle(&mut desk, cycle);
        assert_eq!(status(&desk, Kind::Policy)["written"][0]["commit"], commit_id().to_string());
        let cycle = begin_cycle(&mut desk);
        desk.take_in(repository("1", "", json!({ "interval": "7m" })));
        assert_eq!(status(&desk, Kind::Repository)["head"], commit_id().to_string(), "it is the same place");
        desk.take_in(repository("1", "", elsewhere));
        end_cycle(&mut desk, cycle);
        let shown = status(&desk, Kind::Repository);
        for field in ["head", "lastCommit", "sites"] {
            assert_eq!(shown[field], Value::Null, "{field}");
        }
        assert_eq!(status(&desk, Kind::Policy)["written"], Value::Null);
    }
}

#[tokio::test]
async fn a_repository_that_is_gone_takes_no_place_among_those_that_wait() {
    let mut desk = desk();
    desk.take_in(repository("1", "", json!({})));
    let (begun, _) = begin_cycle(&mut desk);
    desk.take_in(Update::Gone(Kind::Repository, key("infra")));
    assert_eq!(desk.cycles.len(), 1, "one made anew waits for its end");
    desk.settle_broken(Job::Cycle(key("infra"), begun), "it panicked");
    assert_eq!(desk.cycles.len(), 0);
}

/// The object of an update, with a status.
fn with_status(update: Update, status: Value) -> Update {
    match update {
        Update::Policy(object) => {
            let mut object = ImagePolicy::clone(&object);
            object.status = serde_json::from_value(status).unwrap();
            Update::Policy(Arc::new(object))
        }
        Update::Repository(object) => {
            let mut object = InfraRepository::clone(&object);
            object.status = serde_json::from_value(status).unwrap();
            Update::Repository(Arc::new(object))
        }
        _ => panic!("it is another kind"),
    }
}

/// How many statuses were shown when the board is at rest.
async fn shown_by_now(desk: &Engine<Still>) -> usize {
    while desk.shown.keys().any(|object| desk.board.is_busy(object)) {
        tokio::task::yield_now().await;
    }
    desk.world.0.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_status_that_somebody_wrote_over_is_shown_again_and_ones_own_is_not() {
    let mut desk = desk();
    let updates = [policy("1", "", semver("*")), repository("1", "", json!({}))];
    updates.iter().cloned().for_each(|update| desk.take_in(update));
    let shown = shown_by_now(&desk).await;
    assert_eq!(shown, 2);
    let own = [status(&desk, Kind::Policy), status(&desk, Kind::Repository)];
    for (update, own) in updates.iter().cloned().zip(own.clone()) {
        desk.take_in(with_status(update, own));
    }
    assert_eq!(shown_by_now(&desk).await, 2, "its own");
    for (update, mut stale) in updates.into_iter().zip(own) {
        stale["lastHandledRequest"] = "long ago".into();
        desk.take_in(with_status(update, stale));
    }
    assert_eq!(shown_by_now(&desk).await, 4);
}

/// The status of a policy whose newest scan chose a tag.
fn chosen_before(tag: &str) -> Value {
    json!({
        "observedGeneration": 1,
        "selected": { "tag": tag, "version": tag, "reason": "highest of 2 tags" },
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Succeeded", "observedGeneration": 1,
            "message": "it is the highest", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    })
}

#[tokio::test]
async fn a_namespace_leaves_room_for_others_however_many_repositories_it_has() {
    let of = |namespace: &str, name: &str| {
        let Update::Repository(object) = repository("1", "", json!({})) else { panic!("it is another kind") };
        let mut object = InfraRepository::clone(&object);
        (object.metadata.namespace, object.metadata.name) = (Some(namespace.into()), Some(name.into()));
        object.spec.url = format!("https://git.example/{namespace}/{name}.git");
        Update::Repository(Arc::new(object))
    };
    let running = |desk: &Engine<Still>| -> Vec<String> {
        let running = desk.cycles.iter().filter(|(_, slot)| slot.is_running());
        running.map(|(key, _)| key.to_string()).collect()
    };
    let mut desk = desk();
    (0..9).for_each(|n| desk.take_in(of("hog", &format!("r{n}"))));
    desk.take_in(of("shop", "infra"));
    desk.is_complete = true;
    desk.start_what_is_due();
    assert_eq!(running(&desk), ["hog/r0", "hog/r1", "shop/infra"], "one of four places stays free");
    desk.take_in(of("zoo", "infra"));
    desk.start_what_is_due();
    assert_eq!(running(&desk), ["hog/r0", "hog/r1", "shop/infra", "zoo/infra"]);
    desk.tasks.abort_all();

    let mut alone = self::desk();
    (0..9).for_each(|n| alone.take_in(of("hog", &format!("r{n}"))));
    alone.is_complete = true;
    alone.start_what_is_due();
    assert_eq!(running(&alone).len(), 4, "nobody else is there");
    alone.tasks.abort_all();
}
