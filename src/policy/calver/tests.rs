use super::*;
use crate::policy::explain::Refusal;
use crate::policy::fixture::{avoiding, calver, choose, filtered, policy, winner};
use crate::policy::{Standing, compile};

fn format(text: &str) -> Format {
    Format::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn reads_each_part_as_calver_org_writes_it() {
    for (text, good, bad) in [
        ("YYYY", &["2006", "2106", "v2025"][..], &["206", "20255", "0206", "", "v", "vv2025"][..]),
        ("YY", &["6", "16", "106", "0"], &["06", "016", "2025", "1000"]),
        ("0Y", &["06", "16", "106"], &["6", "006", "1006"]),
        ("YYYY.MM", &["2025.1", "2025.12"], &["2025.01", "2025.0", "2025.13", "2025-1", "2025."]),
        ("YYYY.0M", &["2025.01", "2025.12"], &["2025.1", "2025.00", "2025.13", "2025.001"]),
        ("YYYY.WW", &["2025.1", "2025.53"], &["2025.01", "2025.0", "2025.54"]),
        ("YYYY.0W", &["2025.01", "2025.53"], &["2025.1", "2025.00", "2025.54"]),
        ("YYYY.MM.DD", &["2025.2.28", "2024.2.29"], &["2025.2.03", "2025.2.29", "2025.4.31", "2025.1.0"]),
        ("YYYY.0M.0D", &["2025.02.03"], &["2025.02.3", "2025.02.30", "2025.02.32", "2025.02.00"]),
        ("YYYY0M0D", &["20250203", "v20250203"], &["20250230", "2025023", "202502030", "2025.02.03"]),
        ("0Y0M", &["2504", "9912"], &["25004", "1062", "25.04"]),
        ("YYYY.MINOR.MICRO", &["2025.0.0", "2025.007.10"], &["2025.1", "2025.1.x", "2025.1.1.1"]),
        ("MAJOR.0Y", &["3.25"], &["3.25.1", "x.25"]),
        ("YYYY.0M-MODIFIER", &["2025.01-rc.1", "2025.01-0f3c"], &["2025.01", "2025.01-", "2025.01rc"]),
        ("YYYY.0MMODIFIER", &["2025.01rc1", "2025.01-rc1"], &["2025.01", "2025.011"]),
        (
            "YYYY.0M.0D[.MICRO][-MODIFIER]",
            &["2025.02.03", "2025.02.03.1", "2025.02.03-rc1", "2025.02.03.1-rc1"],
            &["2025.02", "2025.02.03.", "2025.02.03.x", "2025.02.03-rc1+x", "2025.02.30-rc1"],
        ),
        ("YYYY.0M[-MICRO][-MODIFIER]", &["2025.01-9", "2025.01-9f-a", "2025.01-9-a"], &["2025.01-"]),
        ("YYYY[.0M[.0D]]", &["2025", "2025.01", "2025.01.31"], &["2025.", "2025.1", "2025.02.31"]),
    ] {
        for good in good {
            assert!(format(text).read(good).is_ok(), "{good} by {text}: {:?}", format(text).read(good));
        }
        for bad in bad {
            assert!(format(text).read(bad).is_err(), "{bad} by {text}");
        }
    }
}

#[test]
fn says_why_a_tag_is_no_version() {
    for (text, tag, problem) in [
        ("YYYY.MM.DD", "2025.02.1", "MM is not padded, so it is not 02; 0M is"),
        ("YYYY.0M.0D", "2025.2.01", "0M has two digits, and 2 one; MM is not padded"),
        ("YYYY.0M.0D", "2025.02.30", "2025-02 has no day 30"),
        ("YY.0M.0D", "25.02.29", "2025-02 has no day 29"),
        (
            "YY.0M.0D",
            "2025.02.28",
            "YY counts from the year 2000, so it has three digits at most, unlike 2025; YYYY has",
        ),
        ("0Y.0M", "2025.02", "0Y counts from the year 2000"),
        ("YYYY.0M", "2025.13", "0M can not be 13"),
        ("YYYY.0M", "2025", ". should stand at the end"),
        ("YYYY.0M", "2025.01-rc1", "nothing is to stand behind its last part, as -rc1 does"),
        ("YYYY.0M", "latest", "YYYY should stand at latest"),
        ("YYYY.MICRO", "2025.18446744073709551615", "MICRO can not be 18446744073709551615, which is above"),
        ("YYYY.0M[.0D]", "2025.01.32", "0D can not be 32"),
        ("MAJOR.0D.YYYY[.0M]", "1.05.2025", "it has a day and no month"),
    ] {
        let misfit = format(text).read(tag).unwrap_err().to_string();
        assert!(misfit.starts_with(problem), "{misfit}\n  is not\n{problem}");
    }
}

#[test]
fn orders_by_date_then_numbers_then_modifier() {
    for (text, ascending) in [
        (
            "YYYY.0M.0D[.MICRO][-MODIFIER]",
            &[
                "2024.12.31.99",
                "2025.01.01-9",
                "2025.01.01-10",
                "2025.01.01-alpha",
                "2025.01.01-rc",
                "2025.01.01-rc9",
                "2025.01.01-rc10",
                "2025.01.01-rc10.1",
                "2025.01.01",
                "2025.01.01.0",
                "2025.01.01.9-rc1",
                "2025.01.01.9",
                "2025.01.01.10",
                "2025.01.02",
            ][..],
        ),
        ("YY.MM.MICRO", &["9.12.1", "24.9.3", "24.10.0", "100.1.0"]),
        ("MAJOR.YYYY", &["1.2026", "2.2025", "10.2024"]),
        ("0D.0M.YYYY", &["31.12.2024", "02.01.2025", "01.02.2025"]),
        ("MAJOR.0D.0M.YYYY.MICRO", &["1.31.12.2024.9", "1.02.01.2025.1", "1.02.01.2025.2", "2.01.01.2000.0"]),
        ("YYYY.WW", &["2025.2", "2025.10", "2026.1"]),
    ] {
        let format = format(text);
        for pair in ascending.windows(2) {
            let [low, high] = [pair[0], pair[1]].map(|tag| format.read(tag).unwrap());
            assert_eq!(low.cmp(&high), Ordering::Less, "{pair:?}");
            assert_eq!(high.cmp(&low), Ordering::Greater, "{pair:?}");
        }
    }
}

#[test]
fn a_bad_format_is_refused_with_what_would_be_right() {
    for (text, problem) in [
        ("", "it must have 1 to 64 bytes"),
        ("yyyy.mm", "nothing is called \"yyyy\"; the parts are YYYY YY 0Y MM 0M WW 0W DD 0D MAJOR MINOR"),
        ("YYYY/MM", "nothing is called \"/MM\""),
        ("YYYY.M\u{e9}", "nothing is called \"M\u{e9}\""),
        ("YYYY.MM.0M", "MM and 0M say the same"),
        ("YYYY.MICRO.MICRO", "MICRO and MICRO say the same"),
        ("0M.MICRO", "it has no year"),
        ("MAJOR.MINOR", "it has no year"),
        ("MAJOR[.YYYY]", "the year may not be missing"),
        ("YYYY.0M.0W", "weeks and months do not go together"),
        ("YYYY.DD", "DD needs a month"),
        (
            "YYYYMMDD",
            "MM takes any number of digits, so it can not stand right before DD; put a separator between them, or write 0M",
        ),
        (
            "YYYY.0M.MICRO0D",
            "MICRO takes any number of digits, so it can not stand right before 0D; put a separator between them",
        ),
        ("YYYY.0M.MINOR[MICRO]", "MINOR takes any number of digits"),
        ("YYYY-MODIFIER.MICRO", "MODIFIER takes the rest of a tag"),
        ("YYYY-MODIFIER[.MICRO]", "MODIFIER takes the rest of a tag"),
        ("YYYY[.0M", "a [ is not closed"),
        ("YYYY.0M]", "a ] closes nothing"),
        ("YYYY[.]", "[ ] must hold one of the parts"),
        ("YYYY[.0M].0D", "behind ] only more in [ ] may stand"),
    ] {
        let error = Format::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{error}\n  is not\n{problem}");
        let refused = compile(&calver(text)).unwrap_err();
        assert_eq!(refused.field, "spec.select.calver.format");
    }
}

#[test]
fn the_latest_version_wins_and_every_loser_is_explained() {
    let tags = ["2025.02.3", "2025.10.0", "2025.9.0", "2025.13.0", "latest", "v2025.10.0"];
    let choice = choose(&policy(&calver("YYYY.0M.MICRO")), &tags, usize::MAX);
    let winner = choice.winner.unwrap();
    assert_eq!((winner.tag.as_str(), winner.version.as_str()), ("v2025.10.0", "2025.10.0"));
    assert_eq!(choice.reason, "latest of 3 tags in YYYY.0M.MICRO");
    let refused: Vec<_> =
        choice.refused.iter().map(|r| (r.tag.as_str(), r.rule, r.message.as_str())).collect();
    assert_eq!(
        refused,
        [
            ("2025.10.0", Refusal::Outranked, "equal to v2025.10.0, whose spelling is preferred"),
            ("2025.02.3", Refusal::Outranked, "earlier than 2025.10.0"),
            ("2025.13.0", Refusal::NotAVersion, "does not read YYYY.0M.MICRO: 0M can not be 13"),
            (
                "2025.9.0",
                Refusal::NotAVersion,
                "does not read YYYY.0M.MICRO: 0M has two digits, and 9 one; MM is not padded"
            ),
            ("latest", Refusal::NotAVersion, "does not read YYYY.0M.MICRO: YYYY should stand at latest"),
        ]
    );
}

#[test]
fn calver_works_with_include_avoid_and_what_git_holds() {
    let nightly = filtered(calver("YYYY0M0D"), "^nightly-(?<version>[0-9]+)$", &[]);
    let tags = ["nightly-20250131", "nightly-20250201", "20260101", "nightly-20250230"];
    assert_eq!(winner(&nightly, &tags).as_deref(), Some("nightly-20250201"));
    let avoided = avoiding(nightly, &["20250201"]);
    assert_eq!(winner(&avoided, &tags).as_deref(), Some("nightly-20250131"));
    let policy = policy(&avoided);
    for (held, standing) in [
        ("nightly-20250101", Standing::Higher),
        ("20250131", Standing::Alias),
        ("nightly-20250201", Standing::Lower),
        ("latest", Standing::Unranked),
    ] {
        assert_eq!(policy.standing(held, "nightly-20250131"), standing, "{held}");
    }
}
