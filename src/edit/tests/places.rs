//! For every kind of place: whatever stands around a value and however it is written, only its bytes change.

use proptest::prelude::*;

use super::*;
use crate::api::{FieldPart, FieldUpdate, Updates};
use crate::edit::targets::every_switch;
use crate::edit::{MAX_FILE_BYTES, MAX_SITES};

/// Files with a value of each kind, between `<` and `>`.
const SHAPES: [(&str, &str); 13] = [
    (
        "a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      initContainers:\n      - name: a\n        image: <ghcr.io/acme/api:OLD>\n      containers:\n        - image: &x <ghcr.io/acme/api:OLD>\n          name: b\n        - image: *x\n      volumes:\n      - image: {reference: <ghcr.io/acme/api:OLD>, pullPolicy: Always}\n",
    ),
    (
        "a.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- kind: CronJob\n  spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: <ghcr.io/acme/api:OLD>}]}}}}}\n",
    ),
    (
        "k/kustomization.yaml",
        "images:\n- name: x\n  newName: ghcr.io/acme/api\n  newTag: <OLD>\n- {name: ghcr.io/acme/api, newTag: <OLD>}\n",
    ),
    (
        "values.yaml",
        "image:\n  repository: ghcr.io/acme/api\n  tag: <OLD>\nb:\n  - {registry: ghcr.io, repository: acme/api, version: <OLD>}\n  - image: <ghcr.io/acme/api:OLD>\n",
    ),
    (
        "a.yaml",
        "kind: HelmRelease\nspec:\n  values:\n    x:\n      repository: ghcr.io/acme/api\n      tag: <OLD>\n",
    ),
    ("a.yaml", "kind: OCIRepository\nspec:\n  url: oci://ghcr.io/acme/api\n  ref:\n    tag: <OLD>\n"),
    ("field.yaml", "a:\n- name: x\n  b: <OLD>\n- name: y\n  b: 1\n"),
    ("a.yaml", "# renovate: datasource=docker depName=ghcr.io/acme/api\na: <OLD>\n"),
    ("a.yaml", "a: <OLD> # {\"$imagepolicy\": \"shop:any:tag\"}\n"),
    (
        "a.yaml",
        "kind: Application\nspec:\n  source:\n    helm:\n      values: |\n        x:\n          repository: ghcr.io/acme/api\n          tag: <OLD>\n        y: {image: <ghcr.io/acme/api:OLD>}\n      valuesObject: {image: <ghcr.io/acme/api:OLD>}\n",
    ),
    (
        "a.yaml",
        "kind: ConfigMap\ndata:\n  a.yaml: |2+\n      image: <ghcr.io/acme/api:OLD>\n  b.yml: |-\n    - c: <OLD> # {\"$imagepolicy\": \"shop:any:tag\"}\n  c.txt: |\n    image: ghcr.io/acme/api:v0\n",
    ),
    (
        "a.yaml",
        "kind: ApplicationSet\nspec:\n  template:\n    spec:\n      sources:\n      - kustomize:\n          images:\n          - <x=ghcr.io/acme/api:OLD>\n          - <ghcr.io/acme/api:OLD>\n      - helm:\n          parameters:\n          - {name: x.repository, value: ghcr.io/acme/api}\n          - {name: x.tag, value: <OLD>}\n",
    ),
    ("a.yaml", "kind: HelmChart\nspec:\n  valuesContent: |\n    image: <ghcr.io/acme/api:OLD>\n"),
];

fn every_target() -> Targets {
    let field = FieldUpdate {
        glob: "field.*".to_owned(),
        policy: "any".to_owned(),
        path: "a[name=x].b".to_owned(),
        write: FieldPart::Tag,
    };
    let updates = Updates { fields: vec![field], ..every_switch() };
    Targets::compile(&updates, "shop").unwrap()
}

/// Lines that mean nothing, to be put between others.
fn noise() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just("\n"),
        Just("# é 😀 ghcr.io/acme/api:old\n"),
        Just("   # x: [\n"),
        Just("  \t\n")
    ]
}

/// The shape with noise between its lines, before and behind other documents. A comment of Renovate's must stay above
/// its value; and in text, which the first line below `|` indents, noise is indented as what stands there.
fn file() -> impl Strategy<Value = (&'static str, String)> {
    let before = prop_oneof![
        Just(""),
        Just("\u{feff}"),
        Just("\u{feff}---\n"),
        Just("image: ghcr.io/acme/other:old\n---\n"),
        Just("{{- if .x }}\nimage: {{ .b }}\n{{- end }}\n---\n"),
        Just("data: |\n  image: ghcr.io/acme/api:old\n  repository: ghcr.io/acme/api\n...\n---\n"),
    ];
    let behind = prop_oneof![Just(""), Just("---\n"), Just("---\n{{ x }}: {\n"), Just("# end")];
    let noises = prop::collection::vec(noise(), 24);
    (prop::sample::select(SHAPES.to_vec()), before, behind, noises).prop_map(
        |((path, shape), before, behind, noises)| {
            let mut text = before.to_owned();
            let has_text = shape.contains('|');
            for (line, noise) in shape.split_inclusive('\n').zip(noises) {
                let above = text.lines().next_back().unwrap_or_default();
                if !above.ends_with("depName=ghcr.io/acme/api") && !above.contains('|') && !noise.is_empty() {
                    let indent = if has_text { line.len() - line.trim_start().len() } else { 0 };
                    text.extend([&" ".repeat(indent), noise]);
                }
                text.push_str(line);
            }
            (path, text + behind)
        },
    )
}

fn rendered(text: &str, quote: &str, tag: &str, line_end: &str) -> String {
    text.replace(['<', '>'], quote).replace("OLD", tag).replace('\n', line_end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_values_change_wherever_they_stand(
        (path, text) in file(),
        quote in prop_oneof![Just(""), Just("'"), Just("\"")],
        line_end in prop_oneof![Just("\n"), Just("\r\n")],
        ends_well in any::<bool>(),
        wanted in "v[0-9]\\.[0-9]{1,3}\\.[0-9]",
    ) {
        let cut = |text: String| if ends_well { text } else { text.trim_end_matches(['\r', '\n']).to_owned() };
        let before = cut(rendered(&text, quote, "v0", line_end));
        let after = cut(rendered(&text, quote, &wanted, line_end));
        let policies = Policies::of("any", Policy::new("ghcr.io/acme/api", &wanted));
        let plan = policies.plan_for(&every_target(), path, before.as_bytes());
        prop_assert_eq!(&plan.problems, &[], "{}", before);
        let planned = plan.text.map_or_else(|| before.clone(), |text| String::from_utf8(text).unwrap());
        prop_assert_eq!(planned, after);
    }

    #[test]
    fn a_damaged_file_of_any_format_is_read_without_a_panic(
        (path, text) in file(),
        path_of in prop_oneof![Just(None), Just(Some("field.json")), Just(Some("field.toml")), Just(Some("field.tf")),
            Just(Some(".env")), Just(Some("a.properties")), Just(Some("Dockerfile")), Just(Some("a.sh")),
            Just(Some("Makefile")), Just(Some("a.ini"))],
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3), 0..6),
    ) {
        let mut text = rendered(&text, "\"", "v0", "\n").into_bytes();
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
        let policies = Policies::of("any", Policy::new("ghcr.io/acme/api", "v1"));
        let plan = policies.plan_for(&every_target(), path_of.unwrap_or(path), &text);
        prop_assert!(plan.problems.iter().all(|problem| problem.reason.as_str() != "NotVerified"), "{:?}", plan.problems);
    }

    #[test]
    fn only_the_values_change_in_lines_and_in_toml_and_hcl(
        path in prop_oneof![Just(".env"), Just("a.sh"), Just("a.toml"), Just("a.tf"), Just("a.properties"), Just("Dockerfile")],
        noises in prop::collection::vec("(# [ -~é]{0,12}|)", 4),
        is_above in any::<bool>(),
        line_end in prop_oneof![Just("\n"), Just("\r\n")],
        has_mark in any::<bool>(),
        wanted in "v[0-9]\\.[0-9]{1,3}\\.[0-9]",
    ) {
        prop_assume!(noises.iter().all(|noise| !noise.contains('$')));
        let quote = if path.ends_with(".toml") || path.ends_with(".tf") { "\"" } else { "" };
        let key = if path == "Dockerfile" { "ARG A=" } else { "A=" };
        let is_above = is_above || path == "Dockerfile" || path.ends_with("properties");
        let marker = r#"# {"$imagepolicy": "shop:any:tag"}"#;
        let text = |tag: &str| {
            let value = format!("{key}{quote}{tag}{quote}");
            let marked = if is_above { format!("{marker}\n{value}") } else { format!("{value} {marker}") };
            let lines = [noises[0].as_str(), "B=\"v0\"", &noises[1], &marked, &noises[2], "C=\"v0\"", &noises[3], ""];
            let lines = if path == "Dockerfile" { lines.map(|line| line.replace("B=", "ARG B=")).join("\n") } else { lines.join("\n") };
            format!("{}{lines}", if has_mark { "\u{feff}" } else { "" }).replace('\n', line_end)
        };
        let policies = Policies::of("any", Policy::new("ghcr.io/acme/api", &wanted));
        let before = text("v0");
        let plan = policies.plan_for(&every_target(), path, before.as_bytes());
        prop_assert_eq!(&plan.problems, &[], "{}", before);
        let planned = plan.text.map_or_else(|| before.clone(), |text| String::from_utf8(text).unwrap());
        prop_assert_eq!(planned, text(&wanted));
    }
}

#[test]
fn the_largest_file_of_each_kind_changes_in_its_last_line_only() {
    let filler = "- {name: \"é\", value: 'x'} # comment\n";
    for (path, head, last) in [
        ("a.yaml", "apiVersion: v1\nkind: Pod\nlist:\n", "containers: [{image: ghcr.io/acme/api:v0}]\n"),
        ("values.yaml", "list:\n", "api: {repository: ghcr.io/acme/api, tag: v0}\n"),
    ] {
        let lines = (MAX_FILE_BYTES - head.len() - last.len()) / filler.len();
        let before = format!("{head}{}{last}", filler.repeat(lines));
        let policies = Policies::of("any", Policy::new("ghcr.io/acme/api", "v1"));
        let plan = policies.plan_for(&every_target(), path, before.as_bytes());
        let after = String::from_utf8(plan.text.unwrap()).unwrap();
        assert!(after == before.replace("v0", "v1"), "{path}");
    }
}

#[test]
fn hostile_files_of_other_formats_end_in_time() {
    for (path, unit) in [
        ("field.toml", "a = [[[["),
        ("field.toml", "[[a]]\nname = \"x\"\nb = \"1\"\n"),
        ("field.toml", "a.b.c = 1\n"),
        ("field.tf", "a = (("),
        ("field.tf", "a { b = \"x\" # {\"$tagtide\": 1}\n}\n"),
        ("field.tf", "${"),
        (".env", "A='"),
        (".env", "# {\"$imagepolicy\": \"shop:any\"}\n"),
        ("a.sh", "a:1 # {\"$tagtide\": \"shop:any\"}\n"),
        ("a.properties", "# $tagtide\r"),
        ("Dockerfile", "A=\"b\" "),
        ("Makefile", "A := b # "),
        ("a.ini", "; {\"$imagepolicy\": \"shop:any\"}\n"),
        ("field.json", "[{\"a\":"),
    ] {
        let text = format!("{}\n# {{\"$imagepolicy\": \"shop:any\"}}\n", unit.repeat(300_000 / unit.len()));
        let found = find_sites(path, text.as_bytes(), &every_target());
        assert!(found.sites.len() + found.problems.len() <= MAX_SITES + 1, "{path}");
    }
}

#[test]
fn a_document_without_an_image_that_is_looked_for_is_not_parsed() {
    let image = |name: &str| ImageName::parse(name).unwrap();
    let pod = |image: &str| format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {image}\n");
    let sites = |text: &str, images: &[ImageName]| {
        find_sites("a.yaml", text.as_bytes(), &every_target().of_images(images)).sites.len()
    };
    let images = [image("ghcr.io/acme/api"), image("nginx"), image("ghcr.io/acme/a.b")];
    for (text, wanted) in [
        (pod("ghcr.io/acme/api:1"), 1),
        (pod("docker.io/library/nginx"), 1),
        (pod("\"ghcr.io/acme/\\x61pi:1\""), 1),
        (pod("ghcr.io/acme/a.b:1"), 1),
        (pod("ghcr.io/acme/a-b:1"), 0),
        (pod("ghcr.io/acme/web:1"), 0),
        (format!("{}---\n{}", pod("ghcr.io/acme/web:1"), pod("ghcr.io/acme/api:1")), 1),
        ("a: x # {\"$imagepolicy\": \"shop:web\"}\n".to_owned(), 1),
        ("# renovate: datasource=docker depName=ghcr.io/acme/web\na: 1\n".to_owned(), 1),
    ] {
        assert_eq!(sites(&text, &images), wanted, "{text}");
    }
    assert_eq!((sites(&pod("x/api:1"), &[]), sites(&pod("\"\\x61\""), &[])), (0, 1));
}
