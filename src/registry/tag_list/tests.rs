use proptest::prelude::*;

use super::*;

/// The tags in order, with `None` for a malformed one.
fn read_in(pieces: &[&[u8]]) -> Result<Vec<Option<String>>, TagListError> {
    let mut seen = Vec::new();
    let mut parser = TagListParser::default();
    for piece in pieces {
        parser.feed(piece, &mut |item| match item {
            Item::Tags(tags) => seen.extend(tags.iter().map(|tag| Some(tag.as_str().to_owned()))),
            Item::Malformed => seen.push(None),
        })?;
    }
    parser.finish()?;
    Ok(seen)
}

fn read(text: &str) -> Result<Vec<Option<String>>, TagListError> {
    read_in(&[text.as_bytes()])
}

fn tags(tags: &[&str]) -> Result<Vec<Option<String>>, TagListError> {
    Ok(tags.iter().map(|&tag| Some(tag.to_owned())).collect())
}

#[test]
fn reads_what_registries_send() {
    assert_eq!(read(r#"{"name":"acme/api","tags":["1.0","v2"]}"#), tags(&["1.0", "v2"]));
    assert_eq!(read(" {\n \"tags\" : [ \"1.0\" ,\t\"v2\" ] , \"name\" : \"x\" } \r\n"), tags(&["1.0", "v2"]));
    assert_eq!(read(r#"{"name":"x","tags":null}"#), tags(&[]));
    assert_eq!(read(r#"{"name":"x","tags":[]}"#), tags(&[]));
    assert_eq!(read(r#"{"\u0074ags":["\u0031.0"]}"#), tags(&["1.0"]));
}

#[test]
fn passes_over_what_it_does_not_know() {
    let gcr = r#"{"child":[],"manifest":{"sha256:aa":{"imageSizeBytes":"12","layerId":"","tag":["9.9"],"timeUploadedMs":1.5e9,
        "tags":["8.8"],"x":[null,true,false,-0.1,{"tags":"no"}]}},"name":"a/b","tags":["1.0"],"z":{}}"#;
    assert_eq!(read(gcr), tags(&["1.0"]));
    let long = format!(r#"{{"note":"{}","tags":["1.0"]}}"#, "é\\n".repeat(5000));
    assert_eq!(read(&long), tags(&["1.0"]));
}

#[test]
fn counts_names_that_break_the_grammar() {
    let long = "a".repeat(2000);
    let text =
        format!(r#"{{"tags":["a b","","\u001b[31m","é","a\"b","../x","{long}","1.0","\ud83d\ude00"]}}"#);
    let seen = read(&text).unwrap();
    assert_eq!(seen.iter().filter(|tag| tag.is_none()).count(), 8);
    assert_eq!(seen.into_iter().flatten().collect::<Vec<_>>(), ["1.0"]);
}

#[test]
fn a_list_that_is_cut_anywhere_is_an_error() {
    let text = r#"{"name":"acme/api","tags":["1.0","v\u0032"],"n":[1,{"a":null}]}"#;
    for end in 0..text.len() {
        let cut = &text.as_bytes()[..end];
        assert!(read_in(&[cut]).is_err(), "{}", String::from_utf8_lossy(cut));
    }
    assert!(read(text).is_ok());
}

#[test]
fn refuses_json_that_is_no_tag_list() {
    for text in [
        "[]",
        "null ",
        "\"tags\" ",
        "1 ",
        "{}",
        r#"{"errors":[{"code":"DENIED"}]}"#,
        r#"{"tags":"1.0"}"#,
        r#"{"tags":{"1.0":1}}"#,
        r#"{"tags":true}"#,
        r#"{"tags":["1.0",2]}"#,
        r#"{"tags":["1.0",null]}"#,
        r#"{"tags":[["1.0"]]}"#,
        r#"{"tags":[{"name":"1.0"}]}"#,
    ] {
        assert_eq!(read(text), Err(TagListError::Shape), "{text}");
    }
    assert_eq!(read(r#"{"tags":["1.0"],"tags":null}"#), Err(TagListError::Twice));
    assert_eq!(read(&format!(r#"{{"tags":[],"x":{}"#, "[".repeat(100))), Err(TagListError::TooDeep));
}

#[test]
fn refuses_what_is_no_json_and_says_where() {
    assert_eq!(read(r#"{"tags":["1.0" "2.0"]}"#), Err(TagListError::Syntax(15)));
    for text in [
        "<html>",
        r#"{"tags":["1.0",]}"#,
        r#"{"tags":["1.0"],}"#,
        r#"{"tags":["1.0"]]"#,
        r#"{"tags":["1.0"}}"#,
        r#"{"tags":[]} x"#,
        r#"{"tags":[]}{}"#,
        r#"{tags:[]}"#,
        r#"{"tags" []}"#,
        r#"{"tags":[],"n":01}"#,
        r#"{"tags":[],"n":tru}"#,
        r#"{"tags":[],"n":1.}"#,
        r#"{"tags":["\x"]}"#,
        r#"{"tags":["\ud800"]}"#,
        "{\"tags\":[\"a\nb\"]}",
        "{\"tags\":[],\"n\":\"a\nb\"}",
    ] {
        assert!(matches!(read(text), Err(TagListError::Syntax(_))), "{text}: {:?}", read(text));
    }
    assert!(matches!(read_in(&[b"{\"tags\":[\"\xff\"]}"]), Err(TagListError::Syntax(_))));
}

#[derive(serde::Deserialize)]
struct Whole {
    tags: Option<Vec<String>>,
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("tags|name|.*", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let tag = prop_oneof!["[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", ".{0,20}"];
    let fields = prop::collection::btree_map("[a-s].{0,5}", value(), 0..4);
    (prop::option::of(prop::collection::vec(tag, 0..20)), fields, any::<bool>()).prop_map(
        |(tags, fields, is_pretty)| {
            let mut document: serde_json::Map<_, _> = fields.into_iter().collect();
            document.insert("tags".into(), serde_json::to_value(tags).unwrap());
            let write = if is_pretty { serde_json::to_string_pretty } else { serde_json::to_string };
            write(&document).unwrap()
        },
    )
}

/// Cuts `bytes` at the given places, wherever they fall.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_cutting_gives_what_serde_json_reads_from_the_whole(
        text in document(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole: Whole = serde_json::from_str(&text).unwrap();
        let expected: Vec<_> =
            whole.tags.unwrap_or_default().into_iter().map(|tag| TagRef::parse(&tag).is_some().then_some(tag)).collect();
        prop_assert_eq!(read_in(&cut(text.as_bytes(), &places)), Ok(expected));
    }

    #[test]
    fn damage_never_panics_and_is_accepted_only_where_serde_json_accepts_it(
        text in document(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = text.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if read_in(&[&bytes]).is_ok() {
            let whole = serde_json::from_slice::<Whole>(&bytes);
            prop_assert!(whole.is_ok(), "{:?}: {:?}", String::from_utf8_lossy(&bytes), whole.err());
        }
    }
}
