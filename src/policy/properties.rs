//! What holds for every policy and every list of tags.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::api::{ImagePolicySpec, Order};
use crate::image::TagRef;

use super::explain::Refusal;
use super::fixture::{
    alphabetical, avoiding, calver, choose, filtered, lenient, numerical, policy, semver, with_prereleases,
};
use super::rank::Candidate;
use super::version::{Strictness, Version};
use super::{Facts, RefusedTag, Standing, compile};

const INCLUDE: &str = "^[v0-9]|-";
const EXCLUDE: &str = "rc[.]1$";

/// Few different versions under many spellings, so that ties and neighbours are common.
fn any_tag() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "v?[0-2]\\.0?[0-2](\\.[0-2])?(-(rc|rc\\.[0-2]|[0-2]|a\\.b))?(_[0-2])?",
        2 => "0?[0-9]{1,3}(\\.[0-9]{1,2})?",
        3 => "v?202[45]\\.0?[1-3](\\.0?[0-3])?(-(rc0?[1-3]|[a-c]))?",
        2 => "[0-9]{18,24}",
        1 => "[a-z]{1,3}(-[0-9a-f]{1,3})?",
        1 => "[ -~]{0,4}",
    ]
}

fn any_tags() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any_tag(), 0..30)
}

fn any_spec() -> impl Strategy<Value = ImagePolicySpec> {
    let ranges = select(vec!["*", "1.x", ">=1.0.0-0 <2", "~1.1 || 2.x", "!=1.1.1", "0 - 1.1", ">9"]);
    let orders = select(vec![Order::Ascending, Order::Descending]);
    let plain = prop_oneof![
        ranges.clone().prop_map(semver),
        ranges.clone().prop_map(lenient),
        ranges.prop_map(with_prereleases),
        select(vec!["YYYY.0M[.MICRO][-MODIFIER]", "YYYY.MM.0D", "YYYY.MM[.DD]", "MAJOR.0Y"]).prop_map(calver),
        orders.clone().prop_map(numerical),
        orders.prop_map(alphabetical),
    ];
    let includes = select(vec!["", INCLUDE, "^v?(?<version>[0-9.]+)"]);
    let excludes = select(vec![&[][..], &[EXCLUDE]]);
    (plain, includes, excludes).prop_map(|(spec, include, exclude)| filtered(spec, include, exclude))
}

/// A list, and the same list in another order.
fn shuffled_tags() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    any_tags().prop_flat_map(|tags| (Just(tags.clone()), Just(tags).prop_shuffle()))
}

/// A list, and the same list with some of its tags repeated in other places.
fn repeated_tags() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    any_tags().prop_flat_map(|tags| {
        let repeats = subsequence(tags.clone(), 0..=tags.len());
        let with_repeats = repeats.prop_map({
            let tags = tags.clone();
            move |repeats| [repeats, tags.clone()].concat()
        });
        (Just(tags), with_repeats.prop_shuffle())
    })
}

/// A list and up to three of its tags.
fn tags_and_some_of_them() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    any_tags().prop_flat_map(|tags| {
        let some = subsequence(tags.clone(), 0..=tags.len().min(3));
        (Just(tags), some)
    })
}

proptest! {
    #[test]
    fn the_order_of_the_list_changes_nothing(spec in any_spec(), (tags, shuffled) in shuffled_tags()) {
        let policy = policy(&spec);
        for most_refused in [0, 3, usize::MAX] {
            prop_assert_eq!(choose(&policy, &tags, most_refused), choose(&policy, &shuffled, most_refused));
        }
    }

    #[test]
    fn tags_may_come_one_by_one_or_many_at_once(spec in any_spec(), tags in any_tags(), at_once in 2_usize..12) {
        let policy = policy(&spec);
        let tags: Vec<TagRef<'_>> = tags.iter().filter_map(|tag| TagRef::parse(tag)).collect();
        for most_refused in [0, 3, usize::MAX] {
            let [mut one_by_one, mut many] = [(); 2].map(|()| policy.chooser(most_refused));
            tags.iter().for_each(|tag| one_by_one.offer(*tag));
            tags.chunks(at_once).for_each(|tags| many.offer_all(tags));
            let [one_by_one, many] = [one_by_one, many].map(|chooser| chooser.finish().decide(&Facts::new()));
            prop_assert_eq!(one_by_one, many);
        }
    }

    #[test]
    fn a_repeated_tag_changes_nothing_but_the_counts(spec in any_spec(), (tags, repeated) in repeated_tags()) {
        let policy = policy(&spec);
        let once = choose(&policy, &tags, usize::MAX);
        let again = choose(&policy, &repeated, usize::MAX);
        prop_assert_eq!(once.winner, again.winner);
        prop_assert_eq!(once.refused, again.refused);
        prop_assert_eq!(again.tags, repeated.len() as u64);
    }

    #[test]
    fn the_winner_is_one_of_the_list_and_no_tag_that_could_win_is_above_it(spec in any_spec(), tags in any_tags()) {
        let policy = policy(&spec);
        let could_win: Vec<_> = tags
            .iter()
            .filter(|tag| choose(&policy, &[tag], 0).winner.is_some())
            .collect();
        match choose(&policy, &tags, 0).winner {
            None => prop_assert!(could_win.is_empty(), "{could_win:?} could win"),
            Some(winner) => {
                prop_assert!(could_win.iter().any(|tag| *tag == winner.tag.as_str()));
                for tag in could_win {
                    let standing = policy.standing(tag, winner.tag.as_str());
                    prop_assert!(matches!(standing, Standing::Higher | Standing::Alias), "{tag}: {standing:?}");
                }
            }
        }
    }

    #[test]
    fn the_winner_is_included_and_not_excluded(range in select(vec!["*", "1.x"]), tags in any_tags()) {
        let spec = filtered(semver(range), INCLUDE, &[EXCLUDE]);
        let matches = |pattern, tag| regex::Regex::new(pattern).unwrap().is_match(tag);
        if let Some(winner) = choose(&policy(&spec), &tags, 0).winner {
            prop_assert!(matches(INCLUDE, winner.tag.as_str()));
            prop_assert!(!matches(EXCLUDE, winner.tag.as_str()));
        }
    }

    #[test]
    fn the_winner_is_never_in_avoid(spec in any_spec(), (tags, avoid) in tags_and_some_of_them()) {
        let avoid: Vec<&str> = avoid.iter().map(String::as_str).collect();
        if let Ok(policy) = compile(&avoiding(spec, &avoid))
            && let Some(winner) = choose(&policy, &tags, 0).winner
        {
            for entry in avoid {
                prop_assert_ne!(policy.standing(entry, winner.tag.as_str()), Standing::Alias);
            }
        }
    }

    #[test]
    fn a_bounded_choice_reports_the_first_of_the_refusals_by_rule(
        spec in any_spec(),
        tags in any_tags(),
        most_refused in 0_usize..12,
    ) {
        let policy = policy(&spec);
        let by_rule: Vec<RefusedTag> = choose(&policy, &tags, usize::MAX)
            .refused
            .into_iter()
            .filter(|refused| refused.rule != Refusal::Outranked)
            .take(most_refused)
            .collect();
        prop_assert_eq!(choose(&policy, &tags, most_refused).refused, by_rule);
    }

    #[test]
    fn every_other_tag_is_reported_once_without_a_bound(spec in any_spec(), tags in any_tags()) {
        let choice = choose(&policy(&spec), &tags, usize::MAX);
        let mut reported: Vec<_> = choice.refused.iter().map(|refused| refused.tag.as_str()).collect();
        reported.extend(choice.winner.iter().map(|winner| winner.tag.as_str()));
        reported.sort_unstable();
        let mut expected: Vec<_> = tags
            .iter()
            .map(String::as_str)
            .filter(|tag| TagRef::parse(tag).is_some())
            .collect();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(reported, expected);
    }

    #[test]
    fn the_order_of_tags_is_total(spec in any_spec(), tags in [any_tag(), any_tag(), any_tag()]) {
        let policy = policy(&spec);
        prop_assume!(tags.iter().all(|tag| TagRef::parse(tag).is_some()));
        let [a, b, c] = tags.each_ref().map(|tag| Candidate::new(TagRef::parse(tag).unwrap(), policy.scale.read(tag)));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a.tag() == b.tag());
        if a <= b && b <= c {
            prop_assert!(a <= c, "{:?}", tags);
        }
    }

    #[test]
    fn versions_are_ordered_as_the_semver_crate_orders_them(
        texts in ["[0-2]\\.[0-2]\\.[0-1](-([0-9]|1[0-9]{20,22}|[a-cA-C-]|[0-9][a-c])(\\.([0-9]|[a-c]|x-1)){0,2})?(\\+[1-9a-c](\\.[1-9]{1,2})?)?"; 2],
    ) {
        let [ours, other] = texts.each_ref().map(|text| Version::parse(text, Strictness::TwoDots).unwrap());
        let [theirs, their_other] = texts.each_ref().map(|text| semver::Version::parse(text).unwrap());
        prop_assert_eq!(ours.cmp(&other), theirs.cmp(&their_other));
        prop_assert_eq!(ours.to_string(), theirs.to_string());
    }

    #[test]
    fn no_text_makes_compile_panic(range in "\\PC{0,20}", avoid in "[-0-9.xv<>=~^|, ]{0,20}", include in "\\PC{0,12}") {
        let _ = compile(&avoiding(semver(&range), &[&avoid]));
        let _ = compile(&avoiding(semver(&avoid), &[&range]));
        let _ = compile(&filtered(semver("*"), &include, &[&include]));
        let _ = compile(&calver(&include));
    }

    #[test]
    fn no_format_and_no_tag_make_reading_panic(
        format in "YYYY((\\.|-|_|\\[|\\])?(0M|MM|0W|DD|0D|MAJOR|MICRO|MODIFIER)){0,4}\\]?",
        tag in "v?20[0-9]{0,6}([-._][a-z0-9.]{0,4}){0,4}",
    ) {
        if let Ok(policy) = compile(&calver(&format)) {
            let _ = choose(&policy, &[&tag], usize::MAX);
        }
    }
}
