//! For any file and any value, only the bytes of the value change, and it reads as what was wanted.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::edit::MAX_FILE_BYTES;

/// A tag of the OCI grammar; short ones and numbers more often than chance would have them.
fn tag() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,12}",
        "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
        "[0-9]{1,3}([._-][0-9]{1,4}){0,4}",
        "0[xobXOB_]?[0-9a-fA-F_]{0,6}",
        "[0-9]{1,2}[eE]-?[0-9]{1,2}",
        "[12][0-9]{3}-[0-9]{1,2}-[0-9]{1,2}([tT][0-9]{2})?",
        "[yY]|[nN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE|null|Null|NULL|nan|inf",
    ]
}

/// A piece of a file: text that must stay, or a marked value.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Value { quote: &'static str },
}

impl Piece {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// Some lines in which nothing changes, at the top of a document. `@` stands for a number that no other lines have.
fn noise() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n".to_owned()),
        Just("   \n# comment: 1.0 # x\n".to_owned()),
        Just("a@: 1.0\n".to_owned()),
        Just("a@: {b: [c, 'd # e', \"{}\"], f: }   # g\n".to_owned()),
        Just("a@: |\n  tag: 1.0 # {\"$imagepolicy\": \"shop:api:tag\"}\n\n  # x\n".to_owned()),
        Just("a@: >-\n    # {\"$tagtide\": \"shop:api\"}\n    1.0\n".to_owned()),
        Just("a@: 'x # {\"$imagepolicy\": \"shop:api\"}\n  1.0'\n".to_owned()),
        Just("# tag: 1.0 # {\"$imagepolicy\": \"shop:api:tag\"}\n".to_owned()),
        Just("a@: &a@ 1.0\nb@: *a@\n".to_owned()),
        Just("😀@: \"\\u00e9 漢\" # ß\n".to_owned()),
        Just("a@:\n- 1.0\n-   - 1.0\n    - b: c\n".to_owned()),
        Just("? [a@]\n: !!int 7\n".to_owned()),
        "[a-z]{1,8}@: [a-z0-9 ]{0,20}[a-z]( #[ -~é]{0,20}x)?\n"
            .prop_filter("no markers by chance", |line| !line.contains('$')),
    ]
}

/// A line with a marked value, as the pieces around and in it.
fn marked_line() -> impl Strategy<Value = Vec<Piece>> {
    let quote = prop_oneof![Just(""), Just("'"), Just("\"")];
    let around = prop_oneof![
        Just(("v@: ", "")),
        Just(("v@:   ", "")),
        Just(("v@:\t", "")),
        Just(("'v@': ", "")),
        Just(("v@: &v@ ", "")),
        Just(("v@: !!str ", "")),
        Just(("v@: !x &v@ ", "")),
        Just(("v@:\n- ", "")),
        Just(("v@:\n    - w: ", "")),
        Just(("v@: {w: ", "}")),
        Just(("v@: {\"w\":", " }")),
        Just(("v@: [w, ", " , ]")),
        Just(("v@: [{é😀: ", "}]")),
        Just(("? v@\n: ", "")),
    ];
    let space = prop_oneof![Just(" "), Just("   "), Just("\t"), Just(" \t ")];
    let marker = prop_oneof![
        Just(r#"# {"$imagepolicy": "shop:any:tag"}"#),
        Just(r#"#{"$tagtide":"shop:any:tag"}"#),
        Just("## \t{ \"$imagepolicy\" : \"shop:any:tag\" }  "),
    ];
    (quote, around, space, marker).prop_map(|(quote, (before, behind), space, marker)| {
        vec![Piece::text(before), Piece::Value { quote }, Piece::text(format!("{behind}{space}{marker}\n"))]
    })
}

/// A file as pieces: documents, some of them templates, under any line end, with and without its last one.
fn file() -> impl Strategy<Value = Vec<Piece>> {
    let lines = prop::collection::vec(
        prop_oneof![2 => noise().prop_map(|text| vec![Piece::Text(text)]), 1 => marked_line()],
        0..8,
    )
    .prop_map(|lines| lines.concat());
    let document = prop_oneof![
        6 => lines,
        1 => Just(vec![Piece::text("{{- if .x }}\na: {{ .b }}\n{{- end }}\n")]),
    ];
    let between = prop_oneof![
        Just("---\n"),
        Just("--- # next\n"),
        Just("...\n---\n"),
        Just("...\n# x\n%YAML 1.2\n---\n")
    ];
    let documents = prop::collection::vec((between, document), 1..4);
    let line_end = prop_oneof![2 => Just("\n"), 1 => Just("\r\n")];
    (documents, line_end, any::<[bool; 3]>()).prop_map(
        |(documents, line_end, [has_mark, has_start, ends_well])| {
            let mut pieces = vec![Piece::text(if has_mark { "\u{feff}" } else { "" })];
            for (number, (between, document)) in documents.into_iter().enumerate() {
                if number > 0 || has_start {
                    pieces.push(Piece::text(between));
                }
                pieces.extend(document);
            }
            finish(pieces, line_end, ends_well)
        },
    )
}

/// Numbers the keys, and puts the line ends in.
fn finish(mut pieces: Vec<Piece>, line_end: &str, ends_well: bool) -> Vec<Piece> {
    for (number, piece) in pieces.iter_mut().enumerate() {
        if let Piece::Text(text) = piece {
            // A key, a value and what stands behind it share a number, so that keys differ.
            *text = text.replace('@', &number.to_string()).replace('\n', line_end);
        }
    }
    if let (false, Some(Piece::Text(last))) = (ends_well, pieces.last_mut()) {
        let length = last.trim_end_matches(['\r', '\n']).len();
        last.truncate(length);
    }
    pieces
}

/// The file in which every value is `value`, written by `write`, and where the values are.
fn render(pieces: &[Piece], write: impl Fn(&str) -> String) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut spans = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Value { quote } => {
                let start = text.len();
                text.push_str(&write(quote));
                spans.push(start..text.len());
            }
        }
    }
    (text, spans)
}

/// Whether an independent reader takes the plain scalar for the string that it is.
fn reads_as_string(plain: &str) -> bool {
    let value: Result<BTreeMap<String, serde_json::Value>, _> =
        serde_saphyr::from_str(&format!("a: {plain}\n"));
    value.is_ok_and(|value| value.get("a").and_then(|value| value.as_str()) == Some(plain))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_marked_values_change(pieces in file(), wanted in "v[0-9]\\.[0-9]{1,3}\\.[0-9]") {
        let (before, spans) = render(&pieces, |quote| format!("{quote}old{quote}"));
        let (after, _) = render(&pieces, |quote| format!("{quote}{wanted}{quote}"));
        let policies = Policies::of("any", Policy::new("ghcr.io/acme/api", &wanted));
        let plan = policies.plan("a.yaml", before.as_bytes());
        prop_assert_eq!(&plan.problems, &[], "{}", before);
        prop_assert_eq!(plan.changes.len(), spans.len(), "{}", before);
        let planned = plan.text.map_or_else(|| before.clone(), |text| String::from_utf8(text).unwrap());
        prop_assert_eq!(&planned, &after);
        let again = policies.plan("a.yaml", after.as_bytes());
        prop_assert_eq!((again.text, again.held.len()), (None, spans.len()));
    }

    #[test]
    fn any_tag_reads_back_as_that_string(pieces in file(), wanted in tag()) {
        let (before, spans) = render(&pieces, |quote| format!("{quote}old_old{quote}"));
        let policies = Policies::of("any", Policy::new("ghcr.io/acme/api", &wanted));
        let plan = policies.plan("a.yaml", before.as_bytes());
        prop_assert_eq!(&plan.problems, &[], "{}", before);
        let after = plan.text.map_or_else(|| before.clone(), |text| String::from_utf8(text).unwrap());
        let found = find_sites("a.yaml", after.as_bytes(), &Targets::default());
        prop_assert_eq!(found.sites.len(), spans.len());
        for site in &found.sites {
            prop_assert_eq!(&site.value, &wanted);
        }
        // Plain values became either plain or double-quoted ones; all else is as it was.
        let plain = if after == render(&pieces, |quote| format!("{quote}{wanted}{quote}")).0 {
            !before.contains(" old_old") || reads_as_string(&wanted)
        } else {
            let quoted = |quote: &str| if quote == "'" { format!("'{wanted}'") } else { format!("\"{wanted}\"") };
            after == render(&pieces, quoted).0
        };
        prop_assert!(plain, "{}", after);
    }

    #[test]
    fn a_plain_value_is_a_string_to_another_reader_too(wanted in tag()) {
        let before = "tag: old+old # {\"$imagepolicy\": \"shop:any:tag\"}\n";
        let plan = Policies::of("any", Policy::new("ghcr.io/acme/api", &wanted)).plan("a.yaml", before.as_bytes());
        let after = String::from_utf8(plan.text.unwrap()).unwrap();
        let value: BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(&after).unwrap();
        prop_assert_eq!(value.get("tag").and_then(|value| value.as_str()), Some(wanted.as_str()), "{}", after);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..200) {
        let marker = b" # {\"$imagepolicy\": \"shop:any\"}";
        let mut text = bytes;
        let at = at.min(text.len());
        text.splice(at..at, marker.iter().copied());
        Policies::new().plan("a.yaml", &text);
    }

    #[test]
    fn any_yaml_like_text_is_read_without_a_panic(
        text in "([a-c:{}\\[\\],?|>'\"#&*!%~ \t\r\n\u{feff}é-]|\\.\\.\\.\n|---\n|x:1| # \\{\"\\$tagtide\": \"shop:api(:tag)?\"\\}\n){0,60}",
    ) {
        let plan = Policies::new().plan("a.yaml", text.as_bytes());
        prop_assert!(plan.text.is_none_or(|new| new != text.as_bytes()));
        prop_assert!(plan.problems.iter().all(|problem| problem.reason.as_str() != "NotVerified"), "{:?}", plan.problems);
    }

    #[test]
    fn a_damaged_file_is_read_without_a_panic(
        pieces in file(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3), 1..6),
    ) {
        let (text, _) = render(&pieces, |quote| format!("{quote}old{quote}"));
        let mut text = text.into_bytes();
        for (at, byte, kind) in damage {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => text.truncate(at),
            }
        }
        let plan = Policies::new().plan("a.yaml", &text);
        prop_assert!(plan.problems.iter().all(|problem| problem.reason.as_str() != "NotVerified"), "{:?}", plan.problems);
    }
}

#[test]
fn a_file_of_the_largest_size_changes_in_its_last_line_only() {
    let last = "tag: old # {\"$imagepolicy\": \"shop:api:tag\"}\n";
    let line = "- {name: \"é\", value: 'x'} # comment\n";
    let lines = (MAX_FILE_BYTES - last.len() - 6) / line.len();
    let before = format!("list:\n{}{last}", line.repeat(lines));
    assert!(before.len() > MAX_FILE_BYTES - 100);
    assert_eq!(planned(&before), before.replace("tag: old", "tag: 1.9.4"));
}
