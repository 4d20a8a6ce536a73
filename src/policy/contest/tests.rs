use proptest::prelude::*;

use super::*;
use crate::api::{ImagePolicySpec, Pin};
use crate::policy::fixture::{
    avoiding, facts, filtered, follow, for_platforms, newest_build, pinned, policy, semver,
};

const AMD: &str = "linux/amd64";
const ARM: &str = "linux/arm64";

/// Decides as one who looks at images does: at those that are asked for, and at no others.
fn contest(
    spec: &ImagePolicySpec,
    tags: &[&str],
    known: &Facts,
    most_refused: usize,
) -> (Choice, Vec<String>) {
    let policy = policy(spec);
    let mut chooser = policy.chooser(most_refused);
    tags.iter().for_each(|tag| chooser.offer_text(tag));
    let contest = chooser.finish();
    let (mut seen, mut looks) = (Facts::new(), Vec::new());
    loop {
        let unknown = contest.unknown(&seen);
        if unknown.is_empty() {
            return (contest.decide(&seen), looks);
        }
        for tag in unknown {
            looks.push(tag.to_string());
            seen.insert(tag.clone(), known[&tag].clone());
        }
    }
}

fn winner_of(choice: &Choice) -> &str {
    choice.winner.as_ref().map_or("none", |winner| winner.tag.as_str())
}

fn refused(choice: &Choice) -> Vec<(&str, &str, &str)> {
    choice.refused.iter().map(|r| (r.tag.as_str(), r.rule.as_str(), r.message.as_str())).collect()
}

#[test]
fn the_best_that_exists_for_all_platforms_wins_and_no_more_is_looked_at() {
    let known = facts(&[
        ("1.3.0", "", &[AMD, ARM]),
        ("1.4.0", "", &[AMD, ARM]),
        ("1.5.0", "", &[AMD]),
        ("1.6.0", "", &[]),
        ("2.0.0", "", &[AMD, ARM]),
    ]);
    let spec = for_platforms(semver("1.x"), &[AMD, "linux/arm64/v8"]);
    let (choice, looks) = contest(&spec, &["1.3.0", "1.5.0", "1.6.0", "1.4.0", "2.0.0"], &known, usize::MAX);
    assert_eq!(looks, ["1.6.0", "1.5.0", "1.4.0"]);
    let winner = choice.winner.as_ref().unwrap();
    assert_eq!(winner.tag.as_str(), "1.4.0");
    assert_eq!(choice.reason, "highest of 4 tags in 1.x, but for 2 not for linux/amd64 and linux/arm64/v8");
    assert_eq!(
        refused(&choice),
        [
            ("2.0.0", "OutOfRange", "2.0.0 is not in 1.x"),
            ("1.6.0", "PlatformMissing", "does not exist for linux/amd64, or does not say so"),
            ("1.5.0", "PlatformMissing", "does not exist for linux/arm64/v8, only for linux/amd64"),
            ("1.3.0", "Outranked", "lower than 1.4.0"),
        ]
    );
    assert_eq!((choice.tags, choice.matching), (5, 4));
}

#[test]
fn an_image_that_is_not_known_is_never_passed_over() {
    let known = facts(&[("1.4.0", "2026-01-01T00:00:00Z", &[AMD])]);
    for spec in [for_platforms(semver("1.x"), &[AMD]), newest_build()] {
        let policy = policy(&spec);
        let mut chooser = policy.chooser(10);
        ["1.4.0", "1.5.0"].iter().for_each(|tag| chooser.offer_text(tag));
        let contest = chooser.finish();
        assert_eq!(contest.unknown(&known), [Tag::parse("1.5.0").unwrap()]);
        let choice = contest.decide(&known);
        assert_eq!(winner_of(&choice), "none", "{choice:?}");
    }
}

#[test]
fn no_more_than_32_candidates_are_looked_at() {
    let tags: Vec<String> = (0..40).map(|n| format!("1.0.{n}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let known = facts(&tags.iter().map(|tag| (*tag, "", &[AMD][..])).collect::<Vec<_>>());
    let spec = for_platforms(semver("1.x"), &[ARM]);
    for most_refused in [3, usize::MAX] {
        let (choice, looks) = contest(&spec, &tags, &known, most_refused);
        assert_eq!((looks.len(), looks[0].as_str(), looks[31].as_str()), (32, "1.0.39", "1.0.8"));
        assert_eq!(winner_of(&choice), "none");
        assert_eq!(refused(&choice)[0].1, "PlatformMissing");
        if most_refused == usize::MAX {
            assert_eq!(choice.refused.len(), 40);
            assert_eq!(refused(&choice)[39].2, "is not among the first 32, which alone are looked at");
            assert_eq!(
                choice.reason,
                "none of the first 32 of 40 tags that would do exists for linux/arm64; \
                 1.0.39 does not exist for linux/arm64, only for linux/amd64"
            );
        }
    }
}

#[test]
fn the_newest_build_wins_and_one_that_tells_no_time_never_does() {
    let known = facts(&[
        ("a", "2026-01-02T00:00:00Z", &[]),
        ("b", "2026-01-03T00:00:00Z", &[]),
        ("c", "2026-01-03T01:00:00+01:00", &[]),
        ("y", "1970-01-01T00:00:00Z", &[]),
        ("z", "", &[]),
    ]);
    let (choice, looks) = contest(&newest_build(), &["b", "z", "a", "y", "c"], &known, usize::MAX);
    assert_eq!(looks.len(), 5);
    let winner = choice.winner.as_ref().unwrap();
    assert_eq!((winner.tag.as_str(), winner.version.as_str()), ("c", "2026-01-03T00:00:00Z"));
    assert_eq!(winner.built, known[&winner.tag].built);
    assert_eq!(choice.reason, "newest build of 5 tags");
    let undated = "does not say when it was built; times up to 1980 say nothing";
    assert_eq!(
        refused(&choice),
        [
            ("b", "Outranked", "equal to c, whose spelling is preferred"),
            ("a", "Outranked", "built 2026-01-02T00:00:00Z, before 2026-01-03T00:00:00Z"),
            ("z", "Undated", undated),
            ("y", "Undated", undated),
        ]
    );
    let (choice, _) = contest(&newest_build(), &["y", "z"], &known, 10);
    assert_eq!(winner_of(&choice), "none");
    assert_eq!(choice.reason, "none of 2 tags says when it was built; times up to 1980 say nothing");
}

#[test]
fn the_newest_build_obeys_include_avoid_and_platforms() {
    let known = facts(&[
        ("main-1", "2026-01-01T00:00:00Z", &[AMD]),
        ("main-2", "2026-01-02T00:00:00Z", &[AMD]),
        ("main-3", "2026-01-03T00:00:00Z", &[ARM]),
        ("main-4", "2026-01-04T00:00:00Z", &[AMD]),
        ("dev-5", "2026-01-05T00:00:00Z", &[AMD]),
    ]);
    let spec = filtered(newest_build(), "^main-", &[]);
    let spec = avoiding(for_platforms(spec, &[AMD]), &["main-4"]);
    let (choice, looks) = contest(&spec, &["main-4", "main-3", "dev-5", "main-1", "main-2"], &known, 10);
    assert_eq!(winner_of(&choice), "main-2");
    assert_eq!(looks, ["main-3", "main-2", "main-1"], "what tags alone put out is not looked at");
    assert_eq!(choice.reason, "newest build of 3 tags, but for 1 not for linux/amd64");
}

#[test]
fn a_followed_tag_is_chosen_alone_and_pinned() {
    let spec = follow("stable");
    let (choice, looks) = contest(&spec, &["stable", "1.0.0"], &Facts::new(), 10);
    assert_eq!((winner_of(&choice), looks.len()), ("stable", 0));
    assert_eq!(choice.reason, "tag that is followed");
    assert_eq!(refused(&choice), [("1.0.0", "NotFollowed", "is not stable")]);
    let compiled = policy(&spec);
    assert_eq!((compiled.pin(), compiled.followed().unwrap().as_str()), (Some(Pin::TagAndDigest), "stable"));
    assert_eq!(policy(&pinned(spec.clone(), Pin::Digest)).pin(), Some(Pin::Digest));
    let (choice, _) = contest(&spec, &["1.0.0"], &Facts::new(), 10);
    assert_eq!(choice.reason, "none of 1 tag is stable");
    let known = facts(&[("stable", "", &[ARM])]);
    let (choice, _) = contest(&for_platforms(spec, &[AMD]), &["stable"], &known, 10);
    assert_eq!(refused(&choice)[0].1, "PlatformMissing");
}

/// Images with few different times and platforms, so that ties are common.
fn any_images() -> impl Strategy<Value = Vec<(String, Option<u8>, bool)>> {
    let image = ("[0-2]\\.[0-2]\\.[0-3]", prop::option::of(0_u8..4), any::<bool>());
    prop::collection::btree_map(image.0, (image.1, image.2), 0..24)
        .prop_map(|images| images.into_iter().map(|(tag, (time, arm))| (tag, time, arm)).collect())
}

fn known_of(images: &[(String, Option<u8>, bool)]) -> Facts {
    let of: Vec<(String, String, &[&str])> = images
        .iter()
        .map(|(tag, time, arm)| {
            let time = time.map_or(String::new(), |day| format!("2026-01-0{}T00:00:00Z", day + 1));
            (tag.clone(), time, if *arm { &[AMD, ARM][..] } else { &[AMD][..] })
        })
        .collect();
    facts(
        &of.iter()
            .map(|(tag, time, platforms)| (tag.as_str(), time.as_str(), *platforms))
            .collect::<Vec<_>>(),
    )
}

proptest! {
    #[test]
    fn the_order_of_the_list_changes_nothing(
        (images, shuffled) in any_images().prop_flat_map(|images| (Just(images.clone()), Just(images).prop_shuffle())),
    ) {
        let known = known_of(&images);
        for spec in [
            newest_build(),
            for_platforms(newest_build(), &[ARM]),
            for_platforms(semver("*"), &[ARM]),
            for_platforms(semver("1.x"), &[AMD, ARM]),
        ] {
            let choose = |images: &[(String, Option<u8>, bool)]| {
                let tags: Vec<&str> = images.iter().map(|(tag, _, _)| tag.as_str()).collect();
                contest(&spec, &tags, &known, usize::MAX).0
            };
            prop_assert_eq!(choose(&images), choose(&shuffled));
        }
    }

    #[test]
    fn the_newest_build_is_the_greatest_by_time_and_then_by_bytes(images in any_images()) {
        let tags: Vec<&str> = images.iter().map(|(tag, _, _)| tag.as_str()).collect();
        let spec = for_platforms(newest_build(), &[ARM]);
        let (choice, _) = contest(&spec, &tags, &known_of(&images), usize::MAX);
        let fit = images.iter().filter(|(_, time, arm)| time.is_some() && *arm);
        let best = fit.max_by_key(|(tag, time, _)| (*time, tag.clone()));
        prop_assert_eq!(winner_of(&choice), best.map_or("none", |(tag, _, _)| tag.as_str()));
        prop_assert_eq!(choice.refused.len() + usize::from(choice.winner.is_some()), images.len());
    }
}
