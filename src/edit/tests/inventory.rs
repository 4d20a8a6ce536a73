//! What a file holds, whoever's it is.

use super::*;
use crate::api::{FieldPart, Updates};
use crate::edit::{FoundBy, PassedOver, Place, ProblemReason, fields, inventory};

/// `line part image tag` of every place, with what finds it.
fn told(places: &[Place]) -> Vec<String> {
    let told = |place: &Place| {
        let found_by = match &place.found_by {
            FoundBy::Marker(policy) => policy.to_string(),
            FoundBy::Switch(switch) => switch.name().to_owned(),
        };
        let image = place.image.as_ref().map(ToString::to_string).unwrap_or_default();
        let tag = place.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let digest = if place.has_digest { " pinned" } else { "" };
        format!("{} {found_by} {} {image} {tag}{digest}", place.line, place.part)
    };
    places.iter().map(told).collect()
}

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn every_kind_of_place_is_told_with_the_switch_that_finds_it() {
    for (path, text, places) in [
        (
            "a.yaml",
            "kind: Pod\napiVersion: v1\nspec: {containers: [{image: a:1}, {image: 'b@DIGEST'}, {image: c}]}\n",
            vec!["3 workloads image a 1", "3 workloads image b  pinned", "3 workloads image c "],
        ),
        (
            "kustomization.yaml",
            "images:\n- {name: a, newTag: '1', digest: 'DIGEST'}\n- name: b\n",
            vec!["2 kustomize tag a 1 pinned", "2 kustomize digest a  pinned", "3 kustomize tag b "],
        ),
        (
            "values.yaml",
            "a: {repository: a, tag: 1@DIGEST}\n# renovate: datasource=docker depName=b\nb: {image: b:2}\n# renovate: datasource=docker depName=c\nc: 3\n",
            vec!["1 helmValues tag a 1 pinned", "3 helmValues image b 2", "5 renovateComments tag c 3"],
        ),
        (
            "oci.yaml",
            "kind: OCIRepository\nspec: {url: 'oci://x.io/a', ref: {tag: 1.0.0}}\n---\nkind: Application\nspec: {source: {repoURL: x.io, chart: b, targetRevision: 1.0.0+4}}\n",
            vec!["2 ociArtifacts tag x.io/a 1.0.0", "5 ociArtifacts version x.io/b 1.0.0_4"],
        ),
        (
            "marked.yaml",
            "a:\n  repository: a\n  tag: 1 # {\"$tagtide\": \"x:a:tag\"}\nb: b:2 # {\"$tagtide\": \"x:b\"}\nc: 3 # {\"$tagtide\": \"x:c:tag\"}\n",
            vec!["3 x/a tag a 1", "4 x/b image b 2", "5 x/c tag  3"],
        ),
        (
            "argo.yaml",
            "kind: Application\nspec:\n  source:\n    helm:\n      values: |\n        a: {repository: a, tag: 1}\n        b: 2 # {\"$tagtide\": \"x:b:tag\"}\n        # renovate: datasource=docker depName=c\n        c: 3\n    kustomize: {images: [d=e:4, 'f:5']}\n",
            vec![
                "6 helmValues tag a 1",
                "7 x/b tag  2",
                "9 renovateComments tag c 3",
                "10 kustomize image e 4",
                "10 kustomize image f 5",
            ],
        ),
        ("main.tf", "image = \"a:1\" # {\"$tagtide\": \"x:a\"}\n", vec!["1 x/a image a 1"]),
        ("a.txt", "image: a:1\n", vec![]),
    ] {
        let found = inventory(path, text.replace("DIGEST", DIGEST).as_bytes());
        assert_eq!((told(&found.places), found.passed_over), (owned(&places), vec![]), "{text}");
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_can_not_be_written_is_told_here_and_templates_nowhere_else() {
    let pod = |image: &str| format!("kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - image: {image}\n");
    for (text, line, reason, is_silent) in [
        (pod("'{{ .Values.image }}'"), 5, ProblemReason::NoValue, true),
        (pod("ghcr.io/acme/api:${TAG}"), 5, ProblemReason::NoValue, true),
        (pod("ENC[AES256_GCM,data:x]"), 5, ProblemReason::NoValue, true),
        ("a: {repository: a, tag: '{{ x }}'}\n".to_owned(), 1, ProblemReason::NoValue, true),
        (format!("{{{{ if x }}}}\n{}", pod("a:1")), 1, ProblemReason::NoValue, true),
        (pod("no image"), 5, ProblemReason::NotAnImage, false),
        (format!("{}sops: {{mac: x}}\n", pod("a:1")), 5, ProblemReason::Encrypted, false),
        ("image: {repository: a, tag: ''}\n".to_owned(), 1, ProblemReason::NoValue, false),
        ("kind: ConfigMap\ndata: {a.yaml: 'image: a:1'}\n".to_owned(), 2, ProblemReason::NoValue, false),
    ] {
        let found = inventory("a.yaml", text.as_bytes());
        let passed: Vec<_> = found.passed_over.iter().map(|passed| (passed.line, passed.reason)).collect();
        assert_eq!((passed.as_slice(), found.places.len()), ([(line, reason)].as_slice(), 0), "{text}");
        let updates = Updates { workloads: true, helm_values: true, ..Updates::default() };
        let sites = find_sites("a.yaml", text.as_bytes(), &Targets::compile(&updates, "shop").unwrap());
        assert_eq!(sites.is_empty(), is_silent, "{text}");
    }
}

#[test]
fn a_value_that_a_plan_writes_over_is_a_place_whatever_it_holds() {
    let marked = |value: &str, part: &str| format!("a: {value} # {{\"$tagtide\": \"shop:api{part}\"}}\n");
    for (text, place) in [
        (marked("no image", ""), "1 shop/api image  "),
        (marked("no tag", ":tag"), "1 shop/api tag  "),
        ("{repository: ghcr.io/acme/web, tag: 'no tag'}\n".to_owned(), "1 helmValues tag ghcr.io/acme/web "),
        ("{repository: ghcr.io/acme/web, tag: 1@x}\n".to_owned(), "1 helmValues tag ghcr.io/acme/web 1"),
    ] {
        let found = inventory("a.yaml", text.as_bytes());
        assert_eq!((told(&found.places), found.passed_over), (vec![place.to_owned()], vec![]), "{text}");
        let targets = Targets::compile(&crate::edit::targets::every_switch(), "shop").unwrap();
        let policies = Policies::all(BTreeMap::from([
            ("api", Policy::new("ghcr.io/acme/api", "2")),
            ("web", Policy::new("ghcr.io/acme/web", "2")),
        ]));
        let plan = policies.plan_for(&targets, "a.yaml", text.as_bytes());
        assert_eq!((plan.changes.len(), plan.problems), (1, vec![]), "{text}");
    }
    for text in [marked("--tag=no tag", ":tag"), marked("--pull=always", ""), marked("run --user=me:me", "")]
    {
        let found = inventory("a.yaml", text.as_bytes());
        assert_eq!(
            (found.places.len(), found.passed_over.len()),
            (0, 1),
            "one that it leaves alone is none: {text}"
        );
    }
}

#[test]
fn every_value_in_text_that_can_not_be_written_is_told() {
    let text = "kind: ConfigMap\ndata:\n  a.yaml: \"{x: {image: 'a:1'}, y: {image: 'b:2'}}\"\n";
    let told = |passed: &PassedOver| passed.image.as_ref().map(ToString::to_string);
    let passed: Vec<_> = inventory("a.yaml", text.as_bytes()).passed_over.iter().map(told).collect();
    assert_eq!(passed, [Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn a_field_names_one_value_or_there_is_none() {
    let field = |path: &str, text: &str, at: usize| {
        let text = text.replace("DIGEST", DIGEST);
        let found = inventory(path, text.as_bytes());
        let mut fields = fields(path, text.as_bytes(), &found.places);
        fields.remove(&found.places[at].start()).map(|field| (field.path, field.write))
    };
    let pod =
        "kind: Pod\napiVersion: v1\nspec: {containers: [{name: a, image: a:1}, {name: b, image: 'a:2'}]}\n";
    let named = |path: &str, write| Some((path.to_owned(), write));
    assert_eq!(field("[a].yaml", pod, 1), named("spec.containers[name=b].image", FieldPart::Image));
    let values = "a.b: {repository: a, tag: '1'}\nc: {repository: a, tag: '1', digest: 'DIGEST'}\n";
    assert_eq!(field("a.yaml", values, 0), named("[\"a.b\"].tag", FieldPart::Tag));
    assert_eq!(field("a.yaml", values, 1), None, "a digest stands beside it");
    assert_eq!(field("a.yaml", &format!("{pod}---\n{pod}"), 1), None, "two documents have the field");
    assert_eq!(field("kustomization.yaml", "images: [{name: a}]\n", 0), None, "there is nothing yet");
    let env = "# renovate: datasource=docker depName=a\nA=1\n";
    assert_eq!(field("a.env", env, 0), None, "no path leads there");
}

#[test]
fn the_fields_of_a_long_list_are_found_in_time() {
    let item = |at: usize| format!("- {{name: n{at}, image: 'a:{}'}}\n", at % 2);
    let text = format!("images:\n{}", (0..1_000).map(item).collect::<String>());
    let places = inventory("values.yaml", text.as_bytes()).places;
    let begin = std::time::Instant::now();
    let fields = fields("values.yaml", text.as_bytes(), &places);
    assert_eq!((places.len(), fields.len()), (1_000, 1_000));
    assert_eq!(fields[&places[7].start()].path, "images[name=n7].image");
    assert!(begin.elapsed().as_secs() < 30, "it took {:?}", begin.elapsed());
}

#[test]
fn a_chart_of_another_file_has_its_image_or_is_passed_over() {
    let release =
        "kind: HelmRelease\nspec: {chart: {spec: {chart: api, version: 1.0.0, sourceRef: {name: acme}}}}\n";
    let source = |url: &str| {
        let text = format!("kind: HelmRepository\nmetadata: {{name: acme}}\nspec: {{url: '{url}'}}\n");
        inventory("b.yaml", text.as_bytes()).chart_sources
    };
    let found = |sources: &[crate::edit::ChartSource]| {
        let mut found = inventory("a.yaml", release.as_bytes());
        found.resolve(&crate::edit::ChartSources::of(sources));
        let reasons: Vec<_> = found.passed_over.iter().map(|passed| passed.reason).collect();
        (told(&found.places), reasons)
    };
    assert_eq!(found(&source("oci://x.io/c")), (owned(&["2 ociArtifacts version x.io/c/api 1.0.0"]), vec![]));
    assert_eq!(found(&source("https://x.io/c")), (vec![], vec![]));
    assert_eq!(found(&[]), (vec![], vec![ProblemReason::NoValue]));
    let git = release.replace("{name: acme}", "{kind: GitRepository, name: acme}");
    assert_eq!(inventory("a.yaml", git.as_bytes()).places, []);
}
