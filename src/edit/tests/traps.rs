//! What breaks other tools. In the tables, `# M` is the marker `{"$imagepolicy": "shop:api"}`, `# T` the same with `:tag`, and
//! `# F` the tag of a policy that wants `1.10`.

use super::*;
use crate::api::Updates;
use crate::edit::{FileSites, Part};

fn with_markers(text: &str) -> String {
    text.replace("# M", r#"# {"$imagepolicy": "shop:api"}"#)
        .replace("# T", r#"# {"$imagepolicy": "shop:api:tag"}"#)
        .replace("# F", r#"# {"$imagepolicy": "shop:float:tag"}"#)
}

/// Each text changes only from `1.0` to `1.9.4` (or to `"1.10"` where marked `F`).
#[test]
fn only_the_bytes_of_the_value_change() {
    for text in [
        "image: ghcr.io/acme/api:1.0 # M\n",
        "image: ghcr.io/acme/api:1.0 # M",
        "image: ghcr.io/acme/api:1.0   \t # M  \t\n",
        "image: ghcr.io/acme/api:1.0 # M\r\nb: c\r\n",
        "image: ghcr.io/acme/api:1.0 # M\rb: c\r",
        "\u{feff}image: ghcr.io/acme/api:1.0 # M\n",
        "\u{feff}---\nimage: ghcr.io/acme/api:1.0 # M\n",
        "image:\tghcr.io/acme/api:1.0\t# M\n",
        "image: 'ghcr.io/acme/api:1.0' # M\n",
        "image: \"ghcr.io/acme/api:1.0\" # M\n",
        "\"image\": ghcr.io/acme/api:1.0 # M\n",
        "'image': \"ghcr.io/acme/api:1.0\" # M\n",
        "image: &img ghcr.io/acme/api:1.0 # M\nother: *img\n",
        "image: !!str ghcr.io/acme/api:1.0 # M\n",
        "image: &img !!str 'ghcr.io/acme/api:1.0' # M\n",
        "image: !Ref &img ghcr.io/acme/api:1.0 # M\n",
        "- ghcr.io/acme/api:1.0 # M\n",
        "- - ghcr.io/acme/api:1.0 # M\n-\n - x\n",
        "- image: ghcr.io/acme/api:1.0 # M\n",
        "ghcr.io/acme/api:1.0 # M\n",
        "--- ghcr.io/acme/api:1.0 # M\n",
        "? key\n: ghcr.io/acme/api:1.0 # M\n",
        "{image: ghcr.io/acme/api:1.0} # M\n",
        "{name: x, image: ghcr.io/acme/api:1.0 } # M\n",
        "{\"image\":\"ghcr.io/acme/api:1.0\"} # M\n",
        "args: [--image, ghcr.io/acme/api:1.0, ] # M\n",
        "a: [{image: ghcr.io/acme/api:1.0}] # M\n",
        "a: {\n  image: ghcr.io/acme/api:1.0, # M\n  b: c }\n",
        "a: [\nghcr.io/acme/api:1.0 # M\n]\n",
        "😀é: {漢: 'ü😀', image: ghcr.io/acme/api:1.0} # M\n",
        "a: \"x # y\" # x\nimage: ghcr.io/acme/api:1.0 # M\n",
        "a: '# M'\nb: |\n  image: x:1 # M\n\n  # M\nimage: ghcr.io/acme/api:1.0 # M\n",
        "a: >-\n  x # M\n  image: ghcr.io/acme/api:1.1 # M\nimage: ghcr.io/acme/api:1.0 # M\n# like so: # M\n",
        "a: 'x\n  y # M\n  z'\nimage: ghcr.io/acme/api:1.0 # M\n",
        "# image: x:1 # M\nimage: ghcr.io/acme/api:1.0 # M\n",
        "%YAML 1.2\n---\nimage: ghcr.io/acme/api:1.0 # M\n...\n# end\n",
        "%TAG ! tag:x,2000:\n---\na: !y z\nimage: ghcr.io/acme/api:1.0 # M\n",
        "{{- if .x }}\na: {{ .b }}\n{{- end }}\n---\nimage: ghcr.io/acme/api:1.0 # M\n---\n{{ x }\n",
        "a: b\na: b\nimage: ghcr.io/acme/api:1.0 # M\n",
        "<<: {a: b}\nimage: ghcr.io/acme/api:1.0 # M\n",
        "apiVersion: v1\nkind: List\nitems:\n    - a: b\n      image: ghcr.io/acme/api:1.0 # M\n    - {}\n",
        "tag: 1.0 # T\n",
        "tag: v1.0 # T\n",
        "{repository: ghcr.io/acme/api, tag: 1.0} # T\n",
        "tag: '1.0' # F\n",
        "tag: \"1.0\" # F\n",
    ] {
        let text = with_markers(text);
        let expected = text.replacen("v1.0", "1.0", 1);
        let expected = if text.contains("shop:float") {
            expected.replacen("1.0", "1.10", 1)
        } else {
            expected.replacen("1.0", "1.9.4", 1)
        };
        let plan = plan(&text);
        assert_eq!(problems(&plan), [""; 0], "{text}");
        assert_eq!(plan.changes.len(), 1, "{text}");
        assert_eq!(String::from_utf8(plan.text.unwrap()).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_long_run_of_comments_is_no_trouble() {
    for text in [
        "a:\nC    [b, 1.0] # T\n",
        "a:\nC- 1.0 # T\n",
        "a:\n- b\nC- 1.0 # T\n",
        "- -\nC  - 1.0 # T\n",
        "-\nC  a: 1.0 # T\n",
        "a: [\nC1.0 # T\n]\n",
        "a: {b:\nC1.0 # T\n}\n",
        "? a\nC: 1.0 # T\n",
    ] {
        let text = with_markers(&text.replace('C', &"# x\n".repeat(500)));
        assert!(planned(&text) == text.replace("1.0", "1.9.4"), "{:?}", plan(&text).problems);
    }
}

#[test]
fn a_version_that_would_be_a_number_is_quoted() {
    for (text, expected) in [
        ("tag: 1.9 # F\n", "tag: \"1.10\" # F\n"),
        ("tag: v1.9 # F\n", "tag: \"1.10\" # F\n"),
        ("tag: !!str 1.9 # F\n", "tag: !!str \"1.10\" # F\n"),
        ("[a, 1.9] # F\n", "[a, \"1.10\"] # F\n"),
        ("{\"tag\":1.9} # F\n", "{\"tag\":\"1.10\"} # F\n"),
        ("tag: '1.9' # F\n", "tag: '1.10' # F\n"),
        ("tag: 1.9 # T\n", "tag: 1.9.4 # T\n"),
    ] {
        assert_eq!(planned(&with_markers(text)), with_markers(expected));
    }
}

#[test]
fn a_marker_without_a_value_is_a_problem_that_says_why() {
    for (text, line, message) in [
        ("# M\nimage: a:1.0\n", 1, "line of its own"),
        ("\u{feff}# M\nimage: a:1.0\n", 1, "line of its own"),
        ("a:\n  # M\n  image: a:1.0\n", 2, "line of its own"),
        ("image: # M\n", 1, "no value"),
        ("image: # M\n  a:1.0\n", 1, "no value"),
        ("- # M\n- a:1.0\n", 1, "no value"),
        ("--- # M\na: b\n", 1, "no value"),
        ("a: b\n... # M\n", 2, "no value"),
        ("image: !x # M\n", 1, "no value"),
        ("{a: b, c} # M\n", 1, "no value"),
        ("{a: b, c: # M\n d}\n", 1, "no value"),
        ("? a:1.0 # M\n: b\n", 1, "no value"),
        ("{\n a: a:1.0\n} # M\n", 3, "no value"),
        ("a: [] # M\n", 1, "no value"),
        ("a: &x a:1.0\nb: *x # M\n", 2, "alias"),
        ("a: | # M\n  a:1.0\n", 1, "block scalar"),
        ("a: >-2 # M\n  a:1.0\n", 1, "block scalar"),
        ("- |+ # M\n  a:1.0\n", 1, "block scalar"),
        ("a: b\n  a:1.0 # M\n", 2, "several lines"),
        ("a: \"b\n  a:1.0\" # M\n", 2, "several lines"),
        ("a: \"\" # M\n", 1, "empty"),
        ("a: ' ' # M\n", 1, "empty"),
        ("a: ~ # M\n", 1, "empty"),
        ("a: null # M\n", 1, "empty"),
        ("a: \"{{ .Values.image }}\" # M\n", 1, "template"),
        ("a: {{ image }} # M\n", 1, "template"),
        ("a: x:${TAG} # M\n", 1, "template"),
        ("a: !!int 1 # M\n", 1, "tag"),
        ("a: !!binary aGk= # M\n", 1, "tag"),
    ] {
        let text = with_markers(text);
        let plan = plan(&text);
        assert_eq!(problems(&plan), [format!("{line} NoValue")], "{text}");
        let problem = plan.problems.first().unwrap();
        assert!(problem.message.contains(message), "{text}: {}", problem.message);
        assert_eq!(problem.policy, Some(ObjectKey::new("shop", "api")), "{text}");
        assert_eq!((plan.text, plan.changes.len()), (None, 0), "{text}");
    }
}

#[test]
fn a_marker_behind_several_values_takes_the_last_one_unless_another_fits_better() {
    let ambiguous = plan(&with_markers("{image: ghcr.io/acme/api:1.0, pullPolicy: Always} # M\n"));
    assert_eq!(problems(&ambiguous), ["1 Ambiguous"]);
    assert_eq!(ambiguous.text, None);
    for text in ["{tag: 1.0, pullPolicy: Always} # T\n", "- {version: '1.0', replicas: 3} # T\n"] {
        let plan = plan(&with_markers(text));
        assert_eq!((problems(&plan), plan.text), (vec!["1 Ambiguous".to_owned()], None), "{text}");
    }
    assert_eq!(planned(&with_markers("[a:1, b] # T\n")), with_markers("[a:1, 1.9.4] # T\n"));
}

#[test]
fn an_invalid_marker_is_reported_with_its_line_and_does_not_stop_the_others() {
    let text =
        with_markers("a: x:1 # {\"$imagepolicy\": \"shop\"}\r\n---\r\nb: ghcr.io/acme/api:1.0 # M\r\n");
    let plan = plan(&text);
    assert_eq!(problems(&plan), ["1 InvalidMarker"]);
    assert_eq!(plan.text.unwrap(), text.replace("1.0", "1.9.4").into_bytes());
}

#[test]
fn a_marker_that_yaml_takes_for_a_part_of_the_value_is_reported() {
    let plan = plan("a: b\nimage: x:1# {\"$imagepolicy\":\"shop:api\"}\n");
    assert_eq!(problems(&plan), ["2 InvalidMarker"]);
    assert!(plan.problems.first().unwrap().message.contains("put a space there"));
}

#[test]
fn problems_are_in_the_order_of_the_file() {
    let marker = |policy: &str| format!("x:1 # {{\"$imagepolicy\": \"{policy}\"}}");
    let values = [marker("shop:apii"), marker("api"), marker("shop:waiting")];
    let text = format!("- x:1# {{\"$tagtide\":\"shop:api\"}}\n- {}\n", values.join("\n- "));
    let found = find_sites("a.yaml", text.as_bytes(), &Targets::default()).problems;
    assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        problems(&plan(&text)),
        ["1 InvalidMarker", "2 UnknownPolicy", "3 InvalidMarker", "4 NotChosen"]
    );
}

#[test]
fn a_document_with_a_marker_that_does_not_parse_is_reported_with_its_line() {
    let text = with_markers(
        "a: ghcr.io/acme/api:1.0 # M\n---\nb: c # M\n{{- if }}\n---\nd: ghcr.io/acme/api:1.0 # M\n",
    );
    let plan = plan(&text);
    assert_eq!(problems(&plan), ["4 InvalidYaml"]);
    assert_eq!(plan.changes.iter().map(|change| change.line).collect::<Vec<_>>(), [1, 6]);
}

#[test]
fn an_unknown_policy_is_reported_with_the_nearest_name() {
    let plan = plan("a: x:1 # {\"$imagepolicy\": \"shop:apii\"}\n");
    assert_eq!(problems(&plan), ["1 UnknownPolicy"]);
    let problem = plan.problems.first().unwrap();
    assert_eq!(
        problem.message,
        "the marker names the policy shop/apii, which does not exist; did you mean shop/api?"
    );
    assert_eq!(problem.policy, Some(ObjectKey::new("shop", "apii")));
}

#[test]
fn a_policy_that_has_chosen_nothing_changes_nothing() {
    let plan = plan("a: x:1 # {\"$tagtide\": \"shop:waiting\"}\n");
    assert_eq!(problems(&plan), ["1 NotChosen"]);
    assert!(plan.problems.first().unwrap().message.ends_with("no tag is in the range"));
    assert_eq!(plan.text, None);
}

#[test]
fn what_git_holds_already_is_held() {
    let text = with_markers("a: ghcr.io/acme/api:1.9.4 # M\nb: v1.9.4 # T\nc: 1.9.3 # T\n");
    let plan = plan(&text);
    assert_eq!(plan.held.iter().map(|held| held.line).collect::<Vec<_>>(), [1, 2]);
    let change = plan.changes.first().unwrap();
    assert_eq!((change.line, change.part), (3, Part::Tag));
    assert_eq!((change.from.as_str(), change.to.as_str()), ("1.9.3", "1.9.4"));
    assert_eq!(change.policy, ObjectKey::new("shop", "api"));
}

#[test]
fn a_higher_version_in_git_is_a_problem_and_its_neighbours_move() {
    let text = with_markers("a: 2.1.0 # T\nb: 1.0 # T\n");
    let plan = plan(&text);
    assert_eq!(problems(&plan), ["1 Downgrade"]);
    assert_eq!(
        plan.problems.first().unwrap().message,
        "Git holds 2.1.0, which is above 1.9.4; set spec.downgrade to Allow to go down"
    );
    assert_eq!(plan.text.unwrap(), text.replace("b: 1.0", "b: 1.9.4").into_bytes());
}

#[test]
fn a_digest_never_moves_without_its_tag() {
    let tag = r#"# {"$imagepolicy": "shop:pinned:tag"}"#;
    let digest = r#"# {"$imagepolicy": "shop:pinned:digest"}"#;
    let other = r#"# {"$imagepolicy": "shop:reflected:digest"}"#;
    let text = format!("a: 2.1.0 {tag}\nb: {OLD_DIGEST} {digest}\nc: 1.0 {tag}\nd: {OLD_DIGEST} {other}\n");
    let plan = plan(&text);
    assert_eq!(problems(&plan), ["1 Downgrade", "2 Downgrade", "3 Downgrade"]);
    assert!(plan.problems[1].message.starts_with("line 1 holds 2.1.0"), "{:?}", plan.problems);
    assert_eq!(
        plan.text.unwrap(),
        text.replace(&format!("d: {OLD_DIGEST}"), &format!("d: {DIGEST}")).into_bytes()
    );
}

#[test]
fn a_digest_that_is_not_known_is_a_problem_that_names_the_remedy() {
    let plan = plan(&format!("a: {OLD_DIGEST} # {{\"$imagepolicy\": \"shop:api:digest\"}}\n"));
    assert_eq!(problems(&plan), ["1 NoDigest"]);
    assert!(plan.problems.first().unwrap().message.ends_with("set spec.pin to TagAndDigest or Digest"));
    assert_eq!(plan.text, None);
}

#[test]
fn what_sops_vouches_for_is_left_alone() {
    for text in [
        "image: ghcr.io/acme/api:1.0 # M\nsops:\n  mac: ENC[AES256_GCM,data:x]\n",
        "image: ENC[AES256_GCM,data:x,iv:y] # M\n",
        "image: \"ENC[AES256_GCM,data:x]\" # M\n",
    ] {
        let plan = plan(&with_markers(text));
        assert_eq!((problems(&plan), plan.text), (vec!["1 Encrypted".to_owned()], None), "{text}");
    }
    let text = with_markers("image: ghcr.io/acme/api:1.0 # M\n---\nsops:\n  mac: x\n");
    assert_eq!(problems(&plan(&text)), [""; 0]);
}

#[test]
fn other_encodings_are_reported_only_where_there_is_a_marker() {
    let mut text = with_markers("image: ghcr.io/acme/api:1.0 # M\n# gr").into_bytes();
    text.extend(b"\xfc\xdfe\n");
    let plan = Policies::new().plan("a.yaml", &text);
    assert_eq!((problems(&plan), plan.text), (vec!["2 NotUtf8".to_owned()], None));
    assert_eq!(find_sites("a.yaml", b"a: b # gr\xfc\xdfe\n", &Targets::default()), FileSites::default());
}

#[test]
fn only_yaml_files_are_read() {
    let text = with_markers("image: a:1 # M\n").into_bytes();
    for path in ["a.yaml", "x/y.yml", "Kustomization", "x/Kustomization"] {
        assert!(Targets::default().may_be_in(path, &text), "{path}");
        assert!(!Targets::default().may_be_in(path, b"image: a:1 # {\"$image\": 1}\n"), "{path}");
    }
    for path in ["a.json", "yaml", "a.yaml/b", "a.yaml.bak", "Kustomization.md", ""] {
        assert!(!Targets::default().may_be_in(path, &text), "{path}");
        assert!(find_sites(path, &text, &Targets::default()).sites.is_empty(), "{path}");
    }
}

#[test]
fn sites_of_another_text_change_nothing() {
    let text = with_markers("image: ghcr.io/acme/api:1.0 # M\n");
    let policies = Policies::new();
    let found = find_sites("a.yaml", text.as_bytes(), &Targets::default());
    for other in ["", "image: x", "# a longer text\nimage: ghcr.io/acme/api:1.0 # {}\n"] {
        let plan = plan_text("a.yaml", other.as_bytes(), &found, &policies);
        assert_eq!(problems(&plan), ["1 NotVerified"], "{other}");
        assert_eq!((plan.text, plan.changes.len()), (None, 0), "{other}");
    }
}

#[test]
fn what_can_not_be_proven_for_one_policy_does_not_stop_another() {
    let text = |version: &str| {
        with_markers(&format!(
            "image: ghcr.io/acme/api:1.0 # M\nweb: {version} # {{\"$imagepolicy\": \"shop:web\"}}\n"
        ))
    };
    let (before, meanwhile) = (text("ghcr.io/acme/web:8.0"), text("'ghcr.io/acme/web:8.0'"));
    let found = find_sites("a.yaml", before.as_bytes(), &Targets::default());
    let plan = plan_text("a.yaml", meanwhile.as_bytes(), &found, &Policies::new());
    assert_eq!(problems(&plan), ["2 NotVerified"]);
    assert_eq!(plan.text, Some(meanwhile.replace("api:1.0", "api:1.9.4").into_bytes()));
    assert_eq!(plan.changes.len(), 1);
}

#[test]
fn hostile_files_end_in_time() {
    let site = with_markers("image: ghcr.io/acme/api:1.0 # M\n");
    for unit in [
        "#\n",
        "# {\"$imagepolicy\"\n",
        "- ",
        "a: ",
        "[",
        "{a: ",
        "? ",
        "&a ",
        "!a ",
        "- x # {\"$tagtide\":1}\n",
        "---\n",
        "...\n",
        "\r",
        "\u{feff}",
        "\"",
        "'",
        "|\n",
        "%a\n",
        "*a ",
        ", ",
        "a: [b, c, d, \n",
        "# $tagtide\r",
        "- {a: b, c: d} # {\"$imagepolicy\": \"shop:api\"}\n",
        "$",
        "$tagtide",
    ] {
        let text = format!("{site}{}", unit.repeat(300_000 / unit.len()));
        let found = find_sites("a.yaml", text.as_bytes(), &Targets::default());
        assert!(!(found.sites.is_empty() && found.problems.is_empty()), "{unit:?}");
    }
}

#[test]
fn a_text_is_read_once_however_many_aliases_lead_to_it() {
    let aliases: String = (0..2_000).map(|number| format!("  f{number}.yaml: *x\n")).collect();
    let text = format!(
        "kind: ConfigMap\ndata:\n  a.yaml: &x |\n{}    image: ghcr.io/acme/api:1.0\n{aliases}",
        "    a: [b, c]\n".repeat(2_000)
    );
    let updates = Updates { helm_values: true, ..Updates::default() };
    let targets = Targets::compile(&updates, "shop").unwrap();
    let started = std::time::Instant::now();
    let found = find_sites("a.yaml", text.as_bytes(), &targets);
    assert_eq!((found.sites.len(), found.problems.len()), (1, 0));
    assert!(started.elapsed().as_secs() < 20);
}
