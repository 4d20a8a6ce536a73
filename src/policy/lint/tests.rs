use super::*;
use crate::api::{ImagePolicySpec, Order};
use crate::policy::fixture::{
    alphabetical, avoiding, calver, filtered, follow, lenient, newest_build, numerical, policy, semver,
    with_prereleases,
};

fn told(spec: &ImagePolicySpec) -> Vec<String> {
    let told = policy(spec).advice().into_iter().map(|advice| {
        let fatal = if advice.is_fatal { "!" } else { "" };
        let part = advice.part.map(|part| format!(" ({part})")).unwrap_or_default();
        format!("{:?}{fatal} {}{part}: {}; {}", advice.rule, advice.field, advice.message, advice.hint)
    });
    told.collect()
}

#[test]
fn each_rule_says_what_is_wrong_and_what_would_be_right() {
    for (spec, wanted) in [
        (
            semver(">2 <1"),
            "RangeMatchesNothing! spec.select.semver.range: no version can lie in this range; its conditions must all \
             hold at once; write || between those of which one is enough",
        ),
        (
            semver("1.x || >2 <1"),
            "RangeMatchesNothing spec.select.semver.range (>2 <1): no version can lie in this range; its conditions \
             must all hold at once; write || between those of which one is enough",
        ),
        (
            semver(">=1.0.0-0 <2.0.0"),
            "RangeAdmitsPrereleases spec.select.semver.range (<2.0.0): it lets 2.0.0-rc.1 in, since a pre-release lies \
             before its version; write <2.0.0-0 to keep the pre-releases of its end out",
        ),
        (
            with_prereleases("1.x <1.5.0"),
            "RangeAdmitsPrereleases spec.select.semver.range (<1.5.0): it lets 1.5.0-rc.1 in, since a pre-release lies \
             before its version; write <1.5.0-0 to keep the pre-releases of its end out",
        ),
        (
            semver("^1.4.0-rc.1"),
            "RangeAdmitsPrereleases spec.select.semver.range: the pre-release 1.4.0-rc.1 in it lets those of every \
             version compete, such as 1.5.0-alpha; write ^1.4.0 || 1.4.0-rc.1 for this one alone, or -0 where all are \
             meant",
        ),
        (
            semver(">=1.0.0"),
            "RangeWithoutEnd spec.select.semver.range: it has no end: 2.0.0 and every later major version would be \
             chosen; write the first version that is not meant behind it, such as <2.0.0",
        ),
        (
            filtered(semver("1.x"), "^-v", &[]),
            "PatternMatchesNothing! spec.tags.include: no tag can match this pattern; a tag has 1 to 128 characters of \
             A-Z a-z 0-9 _ . - and starts with none of . -",
        ),
        (
            filtered(semver("1.x"), "", &["a b"]),
            "PatternMatchesNothing spec.tags.exclude[0]: no tag can match this pattern; a tag has 1 to 128 characters \
             of A-Z a-z 0-9 _ . - and starts with none of . -",
        ),
        (
            filtered(alphabetical(Order::Ascending), r"1\.2", &[]),
            "PatternWithoutAnchor spec.tags.include: it matches 21.2 as well as 1.2, since it may match anywhere in a \
             tag; write ^ before it",
        ),
        (
            filtered(semver("1.x"), r"^1\.2", &[]),
            "PatternWithoutAnchor spec.tags.include: it matches 1.20 as well as 1.2, since it may match anywhere in a \
             tag; write what follows behind it, such as $ or \\.",
        ),
        (
            filtered(alphabetical(Order::Ascending), r"^1\.2$|3\.4", &[]),
            "PatternWithoutAnchor spec.tags.include (3\\.4): it matches 23.4 as well as 3.4, since it may match anywhere \
             in a tag; write ^ before it",
        ),
        (
            filtered(semver("1.x"), r"^\d+.\d+\.\d+$", &[]),
            "PatternWithBareDot spec.tags.include (\\d+.\\d+): a dot between two numbers stands for any character here; write \\. \
             where a dot is meant",
        ),
        (
            filtered(semver("1.x"), r"^main-", &[]),
            "PatternHidesVersion! spec.tags.include: no tag that it matches, such as main-, is a version such as 1.2.3; \
             put what is to be ranked into a group, as in ^v(?<version>.+)$, or choose by another way of select",
        ),
        (
            filtered(numerical(Order::Ascending), r"^main-(?<version>[a-f]+)$", &[]),
            "PatternHidesVersion! spec.tags.include: its group version, [a-f]+, never holds a number; let the group \
             match what is to be ranked, and all of it",
        ),
        (
            avoiding(semver("1.x"), &["1.4.2", "2.0.0"]),
            "AvoidWithoutEffect spec.avoid[1]: nothing that 2.0.0 names is in 1.x, so it is never chosen anyway; take \
             it out, or correct it",
        ),
    ] {
        assert_eq!(told(&spec), [wanted]);
    }
}

#[test]
fn what_is_meant_is_left_alone() {
    for spec in [
        semver(">=1.4.0 <2.0.0"),
        lenient("1"),
        with_prereleases(">=1.0.0 <2.0.0-0"),
        filtered(semver("*"), r"^v1\.", &[]),
        filtered(semver("1.x"), "^v(?<version>.+)$", &["-debug$", "^sha-", r"\.dev\d*$"]),
        filtered(semver("1.x"), r"(?<version>\d+\.\d+\.\d+)", &[]),
        filtered(alphabetical(Order::Ascending), r"^1\.2$|^3\.4$|^(5|6)$|^main-|^1$|^21$", &[]),
        filtered(semver("1.x"), r"(?i)V(?<version>X)", &[]),
        filtered(lenient("1.x"), r"^\d+$", &[]),
        filtered(numerical(Order::Ascending), "^main-(?<version>[0-9]+)", &[]),
        filtered(numerical(Order::Ascending), "^(?<version>-?[0-9]+)-", &[]),
        filtered(alphabetical(Order::Ascending), r"^\d{4}-\d{2}-\d{2}$", &["^2024"]),
        filtered(newest_build(), "^[0-9a-f]{7}$", &[]),
        filtered(calver("YYYY.0M"), "^2026", &[]),
        avoiding(semver("1.x"), &["1.4.2", "1.5.x", ">=1.8.0-rc.1 <1.8.1"]),
        avoiding(with_prereleases("1.x"), &["1.4.2-rc.1"]),
        avoiding(numerical(Order::Ascending), &["12"]),
        avoiding(alphabetical(Order::Ascending), &["b"]),
        follow("stable"),
    ] {
        assert_eq!(told(&spec), [""; 0], "{spec:?}");
    }
}

#[test]
fn an_entry_of_avoid_is_idle_where_nothing_of_it_could_be_chosen() {
    for (spec, idle) in [
        (avoiding(semver("1.x"), &["latest", "1.4.2-rc.1", ">=2", "<=1.0.0"]), &[0, 1, 2][..]),
        (avoiding(semver("1.x"), &["2.0.0 - 3.0.0", "0.9 - 1.1"]), &[0]),
        (avoiding(calver("YYYY.0M"), &["2025.01", "latest"]), &[1]),
        (avoiding(numerical(Order::Ascending), &["1.2.3"]), &[0]),
    ] {
        let wanted: Vec<_> = idle.iter().map(|index| format!("spec.avoid[{index}]")).collect();
        let found: Vec<_> = policy(&spec).advice().into_iter().map(|advice| advice.field).collect();
        assert_eq!(found, wanted, "{spec:?}");
    }
}

#[test]
fn several_faults_are_told_in_the_order_of_the_fields() {
    let spec = avoiding(filtered(semver(">=1.0.0-0"), "1.2", &["é"]), &["latest"]);
    let rules: Vec<_> = policy(&spec).advice().into_iter().map(|advice| advice.rule).collect();
    assert_eq!(
        rules,
        [
            PolicyRule::PatternWithoutAnchor,
            PolicyRule::PatternWithBareDot,
            PolicyRule::PatternMatchesNothing,
            PolicyRule::RangeWithoutEnd,
            PolicyRule::AvoidWithoutEffect,
        ]
    );
}
