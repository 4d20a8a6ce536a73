//! The first minute of a process: what statuses remember of the one before.

use super::*;

#[tokio::test]
async fn what_a_status_remembers_is_written_only_once_a_scan_agrees() {
    let wish = |desk: &Engine<Still>| {
        let wishes = desk.wishes_for(&desk.repositories[&key("infra")]);
        wishes[&key("api")].as_ref().map(|wish| wish.selection.tag.to_string()).map_err(|no| no.why.clone())
    };
    let start = || {
        let mut desk = desk();
        desk.take_in(repository("1", "", json!({})));
        desk.take_in(with_status(policy("1", "", semver("*")), chosen_before("1.9.3")));
        desk
    };
    for (tag, expected) in [("1.9.3", "1.9.3"), ("1.9.4", "1.9.4")] {
        let mut desk = start();
        assert!(wish(&desk).unwrap_err().contains("no scan confirms"), "{:?}", wish(&desk));
        let _ = begin_cycle(&mut desk);
        let scan = begin_scan(&mut desk);
        end_scan(&mut desk, scan, tag);
        assert_eq!(wish(&desk).unwrap(), expected);
        let slot = desk.cycles.get_mut(&key("infra")).unwrap();
        slot.finish(Duration::from_secs(60), Pace::Steady);
        assert!(slot.due().unwrap() <= Instant::now(), "the repository hears of it");
    }
    let mut desk = start();
    let scan = begin_scan(&mut desk);
    end_scan(&mut desk, scan, "1.9.2");
    assert!(wish(&desk).is_err(), "a lower one is no agreement");
    assert_eq!(status(&desk, Kind::Policy)["selected"]["tag"], "1.9.3", "and takes nothing back");
    let scan = begin_scan(&mut desk);
    end_scan(&mut desk, scan, "1.9.2");
    assert_eq!(wish(&desk).unwrap(), "1.9.2");
}

#[tokio::test]
async fn a_start_writes_no_status_over_one_that_is_current() {
    let mut desk = desk();
    let mut repository_status = chosen_before("1.9.3");
    repository_status.as_object_mut().unwrap().remove("selected");
    desk.take_in(with_status(repository("1", "", json!({})), repository_status));
    desk.take_in(with_status(policy("1", "", semver("*")), chosen_before("1.9.3")));
    assert_eq!(shown_by_now(&desk).await, 0);
    let mut stale = chosen_before("1.9.3");
    stale["observedGeneration"] = 0.into();
    desk.take_in(with_status(policy("2", "", semver("*")), stale));
    assert_eq!(reason(&desk, Kind::Policy), "Progressing");
}

/// How many cycles run.
fn running(desk: &Engine<Still>) -> usize {
    desk.cycles.values().filter(|slot| slot.is_running()).count()
}

#[tokio::test(start_paused = true)]
async fn the_first_cycle_waits_for_the_first_scans_of_its_policies_and_the_next_ones_for_none() {
    let mut desk = desk();
    desk.take_in(with_status(policy("1", "", semver("*")), chosen_before("1.9.3")));
    desk.take_in(repository("1", "", json!({})));
    desk.is_complete = true;
    let scan = begin_scan(&mut desk);
    let next = desk.start_what_is_due();
    assert_eq!(running(&desk), 0);
    assert!(next <= Instant::now() + Duration::from_secs(10), "it does not wait for ever");
    end_scan(&mut desk, scan, "1.9.3");
    desk.start_what_is_due();
    assert_eq!(running(&desk), 1);
    desk.tasks.abort_all();

    // Another spec is another scan; a repository that is known goes on meanwhile.
    let slot = desk.cycles.get_mut(&key("infra")).unwrap();
    slot.finish(Duration::ZERO, Pace::Steady);
    desk.take_in(policy("1", "", semver("<2")));
    begin_scan(&mut desk);
    desk.start_what_is_due();
    assert_eq!(running(&desk), 1);
    desk.tasks.abort_all();
}

#[tokio::test(start_paused = true)]
async fn the_first_cycle_waits_neither_for_a_scan_that_failed_nor_for_one_that_takes_long() {
    let start = |spec: Value| {
        let mut desk = desk();
        desk.take_in(policy("1", "", semver("*")));
        desk.take_in(repository("1", "", spec));
        desk.is_complete = true;
        let (scan, members) = begin_scan(&mut desk);
        desk.start_what_is_due();
        (desk, scan, members)
    };
    let (mut failed, scan, members) = start(json!({}));
    assert_eq!(running(&failed), 0);
    failed.settle_broken(Job::Scan(scan, members, "shop".to_owned()), "it panicked");
    failed.start_what_is_due();
    assert_eq!(running(&failed), 1);
    failed.tasks.abort_all();

    let (mut late, ..) = start(json!({}));
    tokio::time::advance(Duration::from_secs(11)).await;
    late.start_what_is_due();
    assert_eq!(running(&late), 1);
    late.tasks.abort_all();

    let (mut others, ..) = start(json!({ "policies": { "matchLabels": { "team": "b" } } }));
    assert_eq!(running(&others), 1, "it takes none of them");
    others.tasks.abort_all();
}
