use super::*;
use crate::policy::fixture::{semver, winner};
use crate::policy::version::Strictness;

/// Made by `go run . > table.tsv` in tests/masterminds.
const TABLE: &str = include_str!("../../../tests/masterminds/table.tsv");

/// Undoes Go's `strconv.Quote` for the few escapes that the table has.
fn unquoted(field: &str) -> String {
    let Some(inner) = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return field.to_owned();
    };
    [("\\t", "\t"), ("\\n", "\n"), ("\\r", "\r"), ("\\f", "\u{c}"), ("\\v", "\u{b}"), ("\\\"", "\"")]
        .iter()
        .fold(inner.to_owned(), |text, (escape, byte)| text.replace(escape, byte))
}

#[test]
fn agrees_with_masterminds_on_every_row_of_the_table() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in TABLE.lines() {
        let [range, tags, expected] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let range = unquoted(range);
        let tags: Vec<&str> = tags.split(' ').collect();
        let spec = semver(&range);
        let found = match crate::policy::compile(&spec) {
            Ok(_) => winner(&spec, &tags).unwrap_or_else(|| "-".to_owned()),
            Err(_) => "!".to_owned(),
        };
        rows += 1;
        if found != expected {
            wrong.push(format!("{range:?} of {tags:?}: {found}, and Masterminds {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 800, "the table has only {rows} rows");
}

fn contains(range: &str, version: &str, prereleases: Prereleases) -> bool {
    let version = Version::parse(version, Strictness::TwoDots).unwrap();
    Range::parse(range).unwrap().contains(&version, prereleases)
}

#[test]
fn a_prerelease_in_one_comparator_admits_them_in_its_whole_alternative_only() {
    let range = ">=1.0.0-0 <2.0.0 || 3.x";
    for (version, is_in) in
        [("1.5.0-rc.1", true), ("2.0.0-rc.1", true), ("3.1.0-rc.1", false), ("3.1.0", true)]
    {
        assert_eq!(contains(range, version, Prereleases::WhereTheRangeHasOne), is_in, "{version}");
    }
}

#[test]
fn all_prereleases_are_those_between_the_bounds() {
    for (version, is_in) in
        [("1.0.0-rc.1", false), ("1.5.0-rc.1", true), ("2.0.0-rc.1", true), ("2.0.1-rc.1", false)]
    {
        assert_eq!(contains(">=1.0.0 <2.0.0", version, Prereleases::All), is_in, "{version}");
    }
}

#[test]
fn a_bad_range_says_what_is_wrong_and_what_would_be_right() {
    for (range, message) in [
        ("", "it is empty; write * for every release"),
        (">=1.0.0 <", "nothing stands behind <; write a version, such as <1.4.0"),
        ("> = 1", "no operator is spelled \"> =\""),
        ("==1.0", "no operator is spelled \"==\"; write one of"),
        ("1.x ||", "nothing stands on one side of a comma or of ||"),
        ("1.0 , ", "nothing stands on one side of a comma or of ||"),
        ("1.0 - 2.0 - 3.0", "a hyphen stands alone"),
        (">=1.2.3.4", "\">=1.2.3.4\" is no version"),
        ("latest", "\"latest\" is no version; write one such as 1.4.0"),
        ("1.2.3-01", "\"1.2.3-01\" is no version"),
        ("99999999999999999999.x", "is no version"),
        (&"1 ||".repeat(33), "more than 32 alternatives"),
        (&"1".repeat(513), "longer than 512 bytes"),
    ] {
        let error = Range::parse(range).unwrap_err().to_string();
        assert!(error.contains(message), "{range:?}: {error}");
    }
}

#[test]
fn is_shown_as_it_was_written_on_one_line() {
    let range = Range::parse("  >=1.4.0\n\t<2.0.0 ").unwrap();
    assert_eq!(range.to_string(), ">=1.4.0 <2.0.0");
}
