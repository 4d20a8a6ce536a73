use super::*;
use crate::policy::fixture::*;

fn refused(choice: &Choice) -> Vec<(&str, Refusal)> {
    choice.refused.iter().map(|refused| (refused.tag.as_str(), refused.rule)).collect()
}

fn message_for(spec: &crate::api::ImagePolicySpec, tags: &[&str], tag: &str) -> String {
    let choice = choose(&policy(spec), tags, usize::MAX);
    let refused = choice.refused.into_iter().find(|refused| refused.tag.as_str() == tag);
    refused.unwrap_or_else(|| panic!("{tag} is not among the refused")).message
}

#[test]
fn the_highest_version_in_range_wins_as_the_registry_spells_it() {
    let choice = choose(
        &policy(&semver(">=1.4.0 <2.0.0")),
        &["1.4.0", "v1.10.0", "1.9.0", "2.0.0", "latest", "1.11.0-rc.1"],
        10,
    );
    let winner = choice.winner.unwrap();
    assert_eq!((winner.tag.as_str(), winner.version.as_str()), ("v1.10.0", "1.10.0"));
    assert_eq!(choice.reason, "highest of 3 tags in >=1.4.0 <2.0.0");
    assert_eq!((choice.tags, choice.matching, choice.malformed), (6, 3, 0));
}

#[test]
fn of_one_version_the_higher_build_wins_then_the_precise_spelling_then_the_last_in_byte_order() {
    for (tags, expected) in [
        (["1.0.1", "1.0.1_3"], "1.0.1_3"),
        (["1.0.1_9", "1.0.1_10"], "1.0.1_10"),
        (["1.20.0", "v1.20"], "1.20.0"),
        (["1", "1.0"], "1.0"),
        (["v1.2.3", "1.2.3"], "v1.2.3"),
        (["2025.02.03", "2025.2.3"], "2025.2.3"),
    ] {
        assert_eq!(winner(&lenient("*"), &tags).as_deref(), Some(expected), "{tags:?}");
        let [one, other] = tags;
        assert_eq!(winner(&lenient("*"), &[other, one]).as_deref(), Some(expected), "{tags:?}");
    }
}

#[test]
fn numbers_are_compared_by_value_and_other_tags_are_passed_over() {
    let tags = ["20251123093000123456", "20251123093000123457", "9", "latest", "1.2.3"];
    for (order, expected, reason) in [
        (Order::Ascending, "20251123093000123457", "highest number of 3 tags"),
        (Order::Descending, "9", "lowest number of 3 tags"),
    ] {
        let choice = choose(&policy(&numerical(order)), &tags, usize::MAX);
        assert_eq!(choice.winner.as_ref().unwrap().version, expected);
        assert_eq!(choice.reason, reason);
        let unread = [("1.2.3", Refusal::NotANumber), ("latest", Refusal::NotANumber)];
        assert_eq!(refused(&choice)[2..], unread);
    }
}

#[test]
fn text_is_compared_byte_by_byte() {
    let tags = ["main-b", "main-B", "main-a", "main-10", "main-9"];
    assert_eq!(winner(&alphabetical(Order::Ascending), &tags).as_deref(), Some("main-b"));
    assert_eq!(winner(&alphabetical(Order::Descending), &tags).as_deref(), Some("main-10"));
}

#[test]
fn the_group_version_is_what_is_ranked_and_the_whole_tag_is_what_wins() {
    let tags = ["main-ffff-100", "main-0000-99", "dev-0000-101", "main-0000"];
    for include in ["^main-[a-f0-9]+-(?<version>[0-9]+)$", "^main-[a-f0-9]+-(?P<version>[0-9]+)$"] {
        let choice = choose(&policy(&filtered(numerical(Order::Ascending), include, &[])), &tags, 0);
        let winner = choice.winner.unwrap();
        assert_eq!((winner.tag.as_str(), winner.version.as_str()), ("main-ffff-100", "100"));
    }
}

#[test]
fn patterns_match_anywhere_in_a_tag_and_exclusion_is_stronger() {
    let spec = filtered(semver("*"), "1\\.", &["debug", "-alpine$"]);
    let choice =
        choose(&policy(&spec), &["1.4.0", "1.5.0-debug", "2.0.0", "3.1.0", "4.1.0-alpine"], usize::MAX);
    assert_eq!(choice.winner.as_ref().unwrap().tag.as_str(), "3.1.0");
    assert_eq!(
        refused(&choice),
        [
            ("4.1.0-alpine", Refusal::Excluded),
            ("2.0.0", Refusal::NotIncluded),
            ("1.5.0-debug", Refusal::Excluded),
            ("1.4.0", Refusal::Outranked),
        ]
    );
}

#[test]
fn the_refused_are_in_the_order_of_preference_and_the_unranked_last() {
    let tags = ["latest", "1.4.2", "1.4.3", "3.0.0", "1.5.0-rc.1", "edge", "1.4.0", "1.2.0", "1.4.1"];
    let spec = avoiding(semver("~1.4"), &["1.4.3"]);
    let everything = [
        ("3.0.0", Refusal::OutOfRange),
        ("1.5.0-rc.1", Refusal::OutOfRange),
        ("1.4.3", Refusal::Avoided),
        ("1.4.1", Refusal::Outranked),
        ("1.4.0", Refusal::Outranked),
        ("1.2.0", Refusal::OutOfRange),
        ("edge", Refusal::NotAVersion),
        ("latest", Refusal::NotAVersion),
    ];
    assert_eq!(refused(&choose(&policy(&spec), &tags, usize::MAX)), everything);
    let rules_only: Vec<_> = everything.into_iter().filter(|(_, rule)| *rule != Refusal::Outranked).collect();
    for most in 0..=rules_only.len() {
        assert_eq!(refused(&choose(&policy(&spec), &tags, most)), rules_only[..most]);
    }
}

#[test]
fn prereleases_compete_when_the_policy_says_so() {
    let tags = ["1.4.0", "1.5.0-rc.1"];
    assert_eq!(winner(&semver(">=1.0.0"), &tags).as_deref(), Some("1.4.0"));
    assert_eq!(winner(&with_prereleases(">=1.0.0"), &tags).as_deref(), Some("1.5.0-rc.1"));
    assert_eq!(
        message_for(&semver(">=1.0.0"), &tags, "1.5.0-rc.1"),
        "1.5.0-rc.1 is a pre-release; `prereleases: true` would admit it"
    );
}

#[test]
fn every_refusal_says_what_is_wrong() {
    let spec = filtered(avoiding(semver("<2"), &["1.8.0"]), "^v(?<version>.+)|^x", &["-debug$"]);
    let tags =
        ["v1.9.0", "v1.8.0", "v1.7.0-debug", "v1.6", "v2.4.1", "1.5.0", "v1.4.0", "x", "vlatest", "v1.9"];
    for (tag, message) in [
        ("1.5.0", "does not match tags.include, ^v(?<version>.+)|^x"),
        ("x", "matches tags.include, ^v(?<version>.+)|^x, without its group `version`"),
        ("v1.7.0-debug", "matches tags.exclude[0], -debug$"),
        ("vlatest", "is no version"),
        ("v1.6", "has fewer than three numbers; `lenient: true` would read it as 1.6.0"),
        ("v2.4.1", "2.4.1 is not in <2"),
        ("v1.8.0", "falls under avoid[0], 1.8.0"),
        ("v1.4.0", "lower than 1.9.0"),
    ] {
        assert_eq!(message_for(&spec, &tags, tag), message);
    }
    for (spec, tags, tag, message) in [
        (semver("*"), ["1.2.3", "v1.2.3"], "1.2.3", "equal to v1.2.3, whose spelling is preferred"),
        (numerical(Order::Ascending), ["1", "2"], "1", "lower than 2"),
        (numerical(Order::Descending), ["1", "2"], "2", "higher than 1"),
        (alphabetical(Order::Ascending), ["a", "b"], "a", "before b in byte order"),
        (alphabetical(Order::Descending), ["a", "b"], "b", "after a in byte order"),
        (numerical(Order::Ascending), ["1", "x"], "x", "is no number"),
    ] {
        assert_eq!(message_for(&spec, &tags, tag), message);
    }
}

#[test]
fn the_reason_for_no_winner_tells_how_near_the_list_came() {
    let included = |spec| filtered(spec, "^v", &["-debug$"]);
    for (spec, tags, reason) in [
        (semver("*"), &[][..], "the list has no tags"),
        (semver("*"), &["-x", "a b"], "none of 2 tags obeys the tag grammar"),
        (
            semver(">=3.0.0"),
            &["2.4.1", "1.0.0", "latest"],
            "none of 3 tags is in >=3.0.0; the highest version is 2.4.1",
        ),
        (
            semver(">=1.0.0"),
            &["1.5.0-rc.1", "1.5.0-rc.2", "0.9.0"],
            "none of 3 tags is in >=1.0.0 but 2 pre-releases, the highest 1.5.0-rc.2; `prereleases: true` would admit such",
        ),
        (
            avoiding(semver("*"), &["1.x"]),
            &["1.5.0", "1.4.0", "2.0.0-rc.1"],
            "avoid leaves none of 2 tags that would do, the first choice being 1.5.0",
        ),
        (
            semver("*"),
            &["latest"],
            "none of 1 tag is a version such as 1.2.3; `lenient: true` would also read 1.2 and v1",
        ),
        (lenient("*"), &["latest"], "none of 1 tag is a version"),
        (numerical(Order::Ascending), &["latest"], "none of 1 tag is a number"),
        (included(semver("*")), &["1.2.3"], "none of 1 tag matches tags.include"),
        (filtered(semver("*"), "", &["^v"]), &["v1.2.3"], "none of 1 tag gets past tags.exclude"),
        (
            included(semver("*")),
            &["1.2.3", "v1.2.3-debug"],
            "none of 2 tags gets past tags.include and tags.exclude",
        ),
        (
            included(semver("2.x")),
            &["2.2.3", "v1.2.3"],
            "none of 1 competing tag, of 2 in all, is in 2.x; the highest version is 1.2.3",
        ),
    ] {
        let choice = choose(&policy(&spec), tags, 0);
        assert_eq!((choice.winner, choice.reason.as_str()), (None, reason));
    }
}

#[test]
fn malformed_tags_are_counted_and_never_kept() {
    let long = "1".repeat(129);
    let tags = ["1.0.0", "", "../../etc", "1.0.0\n", "1.0.0+1", &long, "\u{1b}[0m"];
    let choice = choose(&policy(&alphabetical(Order::Ascending)), &tags, usize::MAX);
    assert_eq!((choice.tags, choice.malformed, choice.matching), (7, 6, 1));
    assert!(choice.refused.is_empty(), "{:?}", choice.refused);
}

#[test]
fn repeated_tags_are_counted_and_reported_once() {
    let tags = ["1.0.0", "2.0.0", "1.0.0", "2.0.0", "x", "x", "3.0.0-rc.1", "3.0.0-rc.1"];
    let choice = choose(&policy(&semver("*")), &tags, usize::MAX);
    assert_eq!((choice.tags, choice.matching), (8, 4));
    assert_eq!(
        refused(&choice),
        [("3.0.0-rc.1", Refusal::PreRelease), ("1.0.0", Refusal::Outranked), ("x", Refusal::NotAVersion),]
    );
}

#[test]
fn a_choice_can_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    moves(policy(&semver("*")).chooser(1));
}
