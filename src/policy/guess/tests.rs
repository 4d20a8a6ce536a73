use proptest::prelude::*;

use super::*;

fn tags(text: &str) -> Vec<Tag> {
    text.split_whitespace().map(|tag| Tag::parse(tag).unwrap()).collect()
}

/// A series in one line: its tags, what is written into the spec, and what names it.
fn told(series: &Series) -> String {
    let tags: Vec<_> = series.tags.iter().map(Tag::as_str).collect();
    let include = series.filter.as_ref().and_then(|filter| filter.include.clone());
    let include = include.map(|include| format!(" include {include}")).unwrap_or_default();
    let rule = match &series.select {
        Select { semver: Some(semver), .. } => {
            format!("{}{}", semver.range, if semver.lenient { " lenient" } else { "" })
        }
        Select { calver: Some(calver), .. } => calver.format.clone(),
        Select { numerical: Some(_), .. } => "numerical".to_owned(),
        Select { alphabetical: Some(_), .. } => "alphabetical".to_owned(),
        Select { newest_build: Some(_), .. } => "newestBuild".to_owned(),
        Select { follow: Some(follow), .. } => format!("follow {}", follow.tag),
        select => format!("{select:?}"),
    };
    let kind = match series.kind {
        Kind::Ordered => "",
        Kind::Moving => "moving ",
        Kind::Unordered => "unordered ",
    };
    format!("{}: {kind}{rule}{include} [{}/{}]", tags.join(" "), series.variant, series.major)
}

fn all(text: &str) -> Vec<String> {
    guess(&tags(text), Majors::Apart).iter().map(told).collect()
}

#[test]
fn the_tags_of_one_image_become_the_rules_that_lift_them() {
    for (tags, series) in [
        ("1.4.2 1.5.0", vec!["1.4.2 1.5.0: >=1.4.2 <2.0.0 [/1]"]),
        ("v1.10.0 1.9.0", vec!["1.9.0 v1.10.0: >=1.9.0 <2.0.0 [/1]"]),
        ("0.4.2", vec!["0.4.2: >=0.4.2 <0.5.0 [/0-4]"]),
        ("0.0.3", vec!["0.0.3: >=0.0.3 <0.1.0 [/0-0]"]),
        ("15.4 16.1", vec!["15.4: >=15.4.0 <16.0.0 lenient [/15]", "16.1: >=16.1.0 <17.0.0 lenient [/16]"]),
        ("16 16.2", vec!["16 16.2: >=16.0.0 <17.0.0 lenient [/16]"]),
        ("v1", vec!["v1: >=1.0.0 <2.0.0 lenient [/1]"]),
        ("1.0.1_3", vec!["1.0.1_3: >=1.0.1 <2.0.0 [/1]"]),
        (
            "1.27.3-alpine 1.27.3",
            vec![
                "1.27.3: >=1.27.3 <2.0.0 [/1]",
                r"1.27.3-alpine: >=1.27.3 <2.0.0 include ^(?<version>\d+\.\d+\.\d+)-alpine$ [alpine/1]",
            ],
        ),
        (
            "16-alpine3.20",
            vec![
                r"16-alpine3.20: >=16.0.0 <17.0.0 lenient include ^(?<version>\d+(?:\.\d+){0,2})-alpine3\.\d+$ [alpine3/16]",
            ],
        ),
        (
            "16.4.0-debian-12-r3 16.3.0-debian-12-r11",
            vec![
                r"16.3.0-debian-12-r11 16.4.0-debian-12-r3: >=16.3.0 <17.0.0 include ^(?<version>\d+\.\d+\.\d+)-debian-12-r\d+$ [debian-12-r/16]",
            ],
        ),
        (
            "v5.11.0.9244",
            vec![r"v5.11.0.9244: >=5.11.0 <6.0.0 include ^(?<version>v?\d+\.\d+\.\d+)(?:\.\d+)+$ [/5]"],
        ),
        (
            "release-1.2.3",
            vec![r"release-1.2.3: >=1.2.3 <2.0.0 include ^release-(?<version>\d+\.\d+\.\d+)$ [release/1]"],
        ),
        ("1.5.0-rc.1 1.4.0", vec!["1.4.0: >=1.4.0 <2.0.0 [/1]", "1.5.0-rc.1: >=1.5.0-rc.1 <2.0.0-0 [rc/1]"]),
        (
            "1.4.2-3f2a91c 1.4.3-aa2a91c",
            vec![
                r"1.4.2-3f2a91c 1.4.3-aa2a91c: >=1.4.2 <2.0.0 include ^(?<version>\d+\.\d+\.\d+)-[0-9a-f]+$ [/1]",
            ],
        ),
        ("2024.10.1 2025.2.0", vec!["2024.10.1 2025.2.0: YYYY.MM.MICRO [/]"]),
        ("2025.02.03", vec!["2025.02.03: YYYY.0M.0D [/]"]),
        ("2025.02 2025.11.1", vec!["2025.02 2025.11.1: YYYY.0M[.MICRO] [/]"]),
        ("2024.10", vec!["2024.10: YYYY.MINOR [/]"]),
        ("v2024.1.2.3", vec!["v2024.1.2.3: YYYY.MM.DD.MICRO [/]"]),
        ("24.04 22.04", vec!["22.04 24.04: YY.0M [/]"]),
        ("20250203", vec!["20250203: YYYY0M0D [/]"]),
        ("2025-02-03", vec!["2025-02-03: YYYY-0M-0D [/]"]),
        (
            "nightly-20250203",
            vec![r"nightly-20250203: YYYY0M0D include ^nightly-(?<version>\d{8})$ [nightly/]"],
        ),
        (
            "RELEASE.2024-10-13T13-34-11Z",
            vec![
                r"RELEASE.2024-10-13T13-34-11Z: alphabetical include ^RELEASE\.\d\d\d\d-\d\d-\d\dT\d\d-\d\d-\d\dZ$ [release-t-z/]",
            ],
        ),
        ("142 143", vec!["142 143: numerical [/]"]),
        ("20251123093000", vec!["20251123093000: numerical [/]"]),
        (
            "main-3f2a91c-1700000000 main-3f2a91d-1700000001",
            vec![
                r"main-3f2a91c-1700000000 main-3f2a91d-1700000001: numerical include ^main-[0-9a-f]+-(?<version>\d+)$ [main/]",
            ],
        ),
        (
            "latest stable",
            vec!["latest: moving follow latest [latest/]", "stable: moving follow stable [stable/]"],
        ),
        ("lts-alpine", vec!["lts-alpine: moving follow lts-alpine [lts-alpine/]"]),
        ("2022-latest", vec!["2022-latest: moving follow 2022-latest [2022-latest/]"]),
        (
            "main-3f2a91c main-aa2a91c",
            vec!["main-3f2a91c main-aa2a91c: unordered newestBuild include ^main-[0-9a-f]+$ [main/]"],
        ),
        ("3f2a91c", vec!["3f2a91c: unordered newestBuild include ^[0-9a-f]+$ [/]"]),
        (
            "pr-12",
            vec![r"pr-12: >=12.0.0 <13.0.0 lenient include ^pr-(?<version>\d+(?:\.\d+){0,2})$ [pr/12]"],
        ),
        ("alpine3.20", vec![r"alpine3.20: unordered newestBuild include ^alpine3\.\d+$ [alpine3/]"]),
        (
            "18446744073709551615.0.0",
            vec!["18446744073709551615.0.0: unordered newestBuild [/18446744073709551615]"],
        ),
        // No calendar has the one.
        ("2025.02.30 2025.02.03", vec!["2025.02.03 2025.02.30: unordered newestBuild [/]"]),
        (
            "99999999999999999999.1.2",
            vec![
                r"99999999999999999999.1.2: unordered newestBuild include ^99999999999999999999\.1\.\d+$ [99999999999999999999-1/]",
            ],
        ),
    ] {
        assert_eq!(all(tags), series, "{tags}");
    }
}

#[test]
fn majors_go_together_where_one_policy_is_named_for_them() {
    let of = |text: &str| guess(&tags(text), Majors::Together).iter().map(told).collect::<Vec<_>>();
    assert_eq!(of("1.4.2 3.0.0"), ["1.4.2 3.0.0: >=1.4.2 <4.0.0 [/1]"]);
    assert_eq!(of("0.4.2 0.9.0"), ["0.4.2 0.9.0: >=0.4.2 <0.10.0 [/0-4]"]);
}

#[test]
fn a_person_is_told_where_tags_have_two_readings() {
    let note = |text: &str| guess(&tags(text), Majors::Apart).first().unwrap().note;
    assert!(note("16").unwrap().contains("build numbers"));
    assert!(note("2024.10").unwrap().contains("two digits"));
    assert!(note("4.0.10.2544").unwrap().contains("first three"));
    assert_eq!((note("1.2.3"), note("latest"), note("16 16.1")), (None, None, None));
}

proptest! {
    #[test]
    fn every_tag_is_in_one_series_whose_rule_takes_it(
        texts in prop::collection::btree_set("(v|main-|r_|)([0-9]{1,5}[.-]){0,5}[0-9a-fA-Z_.-]{1,12}", 1..6),
    ) {
        let tags: Vec<Tag> = texts.iter().filter_map(|text| Tag::parse(text).ok()).collect();
        for majors in [Majors::Apart, Majors::Together] {
            let series = guess(&tags, majors);
            let mut all: Vec<&Tag> = series.iter().flat_map(|one| &one.tags).collect();
            all.sort();
            prop_assert_eq!(all, tags.iter().collect::<Vec<_>>());
            for one in &series {
                prop_assert!(one.kind == Kind::Unordered || one.takes_its_tags(), "{:?}", one);
                prop_assert!(one.variant.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            }
        }
    }
}
