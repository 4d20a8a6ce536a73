use super::*;
use crate::api::ObjectKey;
use crate::image::Digest;
use crate::policy::Winner;

fn state(rules: &str) -> PolicyState {
    let spec = serde_saphyr::from_str(&format!("{{image: ghcr.io/acme/api, {rules}}}")).unwrap();
    PolicyState::new(Arc::new(ImagePolicy::new("api", spec)))
}

fn digest(of: &str) -> Digest {
    Digest::sha256_of(of.as_bytes())
}

/// What a scan makes of a state whose winner is this.
fn scan(
    state: &mut PolicyState,
    winner: Option<(&str, Option<&str>)>,
    digest: Result<Option<Digest>, LookError>,
) -> Moved {
    let policy = Arc::clone(state.active_policy().unwrap());
    let winner = winner.map(|(tag, built)| Winner {
        tag: Tag::parse(tag).unwrap(),
        version: tag.to_owned(),
        built: built.and_then(BuildTime::parse),
    });
    let reason = "newest build of 2 tags".to_owned();
    let choice = Choice { winner, reason, refused: Vec::new(), tags: 2, matching: 2, malformed: 0 };
    let key = ObjectKey::new("shop", "api");
    let verdict = Verdict {
        member: Member {
            key,
            revision: state.revision(),
            policy,
            chosen: None,
            standing: None,
            request: None,
        },
        choice: Some(choice),
        digest,
    };
    state.take(verdict, &List { fingerprint: Some(1), ..List::default() }, Timestamp::UNIX_EPOCH)
}

fn ready(state: &PolicyState) -> (String, String) {
    let conditions = state.status(Timestamp::UNIX_EPOCH, &[]).conditions;
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
    (ready.reason, ready.message)
}

fn selected(state: &PolicyState) -> String {
    state.status(Timestamp::UNIX_EPOCH, &[]).selected.map(|selected| selected.tag).unwrap_or_default()
}

const MONDAY: &str = "2026-11-23T00:00:00Z";
const TUESDAY: &str = "2026-11-24T00:00:00Z";

#[test]
fn an_older_build_must_be_seen_twice_and_is_taken_only_where_that_is_allowed() {
    for (downgrade, then) in [("Never", "b"), ("Allow", "a")] {
        let mut state = state(&format!("select: {{newestBuild: {{}}}}, downgrade: {downgrade}"));
        assert_eq!(scan(&mut state, Some(("b", Some(TUESDAY))), Ok(None)), Moved::Yes);
        let created = state.status(Timestamp::UNIX_EPOCH, &[]).selected.unwrap().created.unwrap();
        assert_eq!(created.0.to_string(), TUESDAY);
        assert_eq!(scan(&mut state, Some(("a", Some(MONDAY))), Ok(None)), Moved::AskAgain);
        assert_eq!((selected(&state).as_str(), ready(&state).0.as_str()), ("b", "ListShrank"));
        let moved = scan(&mut state, Some(("a", Some(MONDAY))), Ok(None));
        assert_eq!((moved == Moved::Yes, selected(&state).as_str()), (then == "a", then));
        assert_eq!(ready(&state).0, "Succeeded");
        assert_eq!(ready(&state).1.contains("`downgrade` is Never"), then == "b");
        assert_eq!(scan(&mut state, Some(("c", Some("2026-11-25T00:00:00Z"))), Ok(None)), Moved::Yes);
    }
}

#[test]
fn the_time_of_a_build_outlives_the_process() {
    let mut before = state("select: {newestBuild: {}}");
    scan(&mut before, Some(("b", Some(TUESDAY))), Ok(None));
    let mut object = ImagePolicy::clone(before.object());
    object.status = Some(before.status(Timestamp::UNIX_EPOCH, &[]));
    let mut after = PolicyState::new(Arc::new(object));
    assert_eq!(scan(&mut after, Some(("a", Some(MONDAY))), Ok(None)), Moved::AskAgain);
}

#[test]
fn a_followed_tag_tells_from_which_digest_to_which_it_moved() {
    let mut state = state("select: {follow: {tag: stable}}");
    let winner = Some(("stable", None));
    assert_eq!(scan(&mut state, winner, Ok(Some(digest("1")))), Moved::Yes);
    assert_eq!(scan(&mut state, winner, Ok(Some(digest("1")))), Moved::No);
    assert!(!ready(&state).1.contains("moved"), "{:?}", ready(&state));
    assert_eq!(scan(&mut state, winner, Ok(Some(digest("2")))), Moved::Yes);
    let story =
        format!("stable is the tag that is followed; it moved from {} to {}", digest("1"), digest("2"));
    for _ in 0..2 {
        assert_eq!(ready(&state).1, story, "and the status stays as it is");
        assert_eq!(scan(&mut state, winner, Ok(Some(digest("2")))), Moved::No);
    }
    assert_eq!(state.status(Timestamp::UNIX_EPOCH, &[]).scanned, None, "no list was read");
}

#[test]
fn what_can_not_be_looked_at_changes_nothing() {
    let mut state = state("select: {newestBuild: {}}");
    scan(&mut state, Some(("b", Some(TUESDAY))), Ok(None));
    let unfinished = LookError::Unfinished { known: 512, candidates: 600 };
    assert_eq!(scan(&mut state, None, Err(unfinished)), Moved::AskAgain);
    assert_eq!(ready(&state).0, "Progressing");
    assert_eq!(scan(&mut state, None, Err(LookError::TooMany)), Moved::No);
    assert_eq!((ready(&state).0.as_str(), selected(&state).as_str()), ("TooLarge", "b"));
}

#[test]
fn a_digest_is_written_only_while_the_registry_answers_for_it() {
    let unread = || LookError::TooMany;
    let member = |state: &PolicyState| Member {
        key: ObjectKey::new("shop", "api"),
        revision: state.revision(),
        policy: Arc::clone(state.active_policy().unwrap()),
        chosen: None,
        standing: None,
        request: None,
    };
    let mut followed = state("select: {follow: {tag: stable}}");
    let winner = Some(("stable", None));
    for _ in 0..2 {
        scan(&mut followed, winner, Ok(Some(digest("1"))));
        assert!(followed.wish().is_ok());
        let member = member(&followed);
        followed.fail(&member, Reason::Unreachable, "no answer".to_owned());
        assert!(followed.wish().unwrap_err().why.contains("no scan confirms now"));
        assert_eq!(selected(&followed), "stable");
        assert_eq!(scan(&mut followed, winner, Ok(Some(digest("1")))), Moved::Agreed);
        scan(&mut followed, winner, Err(unread()));
        assert!(followed.wish().is_err());
    }
    assert_eq!(scan(&mut followed, winner, Ok(Some(digest("2")))), Moved::Yes);
    assert!(followed.wish().is_ok());

    // A tag alone is compared with the one that Git holds.
    let mut tagged = state("select: {semver: {range: '*'}}");
    scan(&mut tagged, Some(("1.9.4", None)), Ok(None));
    let member = member(&tagged);
    tagged.fail(&member, Reason::Unreachable, "no answer".to_owned());
    assert!(tagged.wish().is_ok());
}
