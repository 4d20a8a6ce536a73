use super::*;

const POLICY: &str = "apiVersion: tagtide.dev/v1alpha1
kind: ImagePolicy
metadata: {name: api, namespace: shop}
spec:
  image: ghcr.io/acme/api
  select:
    semver: {range: '>=1.4.0 <2.0.0'}
";

fn folder(files: &[(&str, &str)]) -> Folder {
    let mut folder = Folder::default();
    for (file, text) in files {
        folder.add(&Arc::from(*file), text.as_bytes());
    }
    folder
}

fn problems(text: &str) -> Vec<String> {
    folder(&[("x.yaml", text)]).problems.iter().map(ToString::to_string).collect()
}

fn keys<T>(map: &BTreeMap<ObjectKey, T>) -> Vec<String> {
    map.keys().map(ToString::to_string).collect()
}

#[test]
fn reads_every_kind_and_passes_over_the_rest() {
    let text = format!(
        "{POLICY}---
apiVersion: tagtide.dev/v1alpha1
kind: InfraRepository
metadata: {{name: infra}}
spec: {{url: 'https://git.example.com/infra.git'}}
---
apiVersion: tagtide.dev/v1alpha1
kind: ClusterImageRegistry
metadata: {{name: ghcr, namespace: ignored}}
spec: {{host: ghcr.io}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: tagtide.dev}}
"
    );
    let folder = folder(&[("a.yaml", &text)]);
    assert_eq!(folder.problems, []);
    assert_eq!(keys(&folder.policies), ["shop/api"]);
    assert_eq!(keys(&folder.repositories), ["default/infra"]);
    assert_eq!(keys(&folder.registries), ["ghcr"]);
    let repository = folder.repositories.values().next().unwrap();
    assert_eq!(repository.metadata.namespace.as_deref(), Some("default"));
}

#[test]
fn a_list_is_as_good_as_its_items() {
    let items: String = POLICY.lines().map(|line| format!("  {line}\n")).collect();
    let other = items.replace("name: api", "name: web").replace("image:", "imgae:");
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n-{}-{}",
        items.get(1..).unwrap(),
        other.get(1..).unwrap()
    );
    let folder = folder(&[("a.yaml", &text)]);
    assert_eq!(keys(&folder.policies), ["shop/api"]);
    let problem = &folder.problems[0];
    assert_eq!((folder.problems.len(), problem.line), (1, 15));
    assert_eq!(problem.object.as_ref().unwrap().to_string(), "ImagePolicy shop/web");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_would_be_right() {
    let with = |from: &str, to: &str| problems(&POLICY.replace(from, to));
    for (problems, wanted) in [
        (
            with("  image:", "  imgae:"),
            "x.yaml:5: ImagePolicy shop/api: spec.imgae: unknown field `imgae`, expected one of `image`, `interval`, `credentials`, `tags`, `select`, `pin`, `platforms`, `avoid`, `downgrade`, `suspend`; did you mean image?",
        ),
        (
            with("{range: '>=1.4.0 <2.0.0'}", "{range: 1.10}"),
            "x.yaml:7: ImagePolicy shop/api: spec.select.semver.range: invalid type: floating point `1.1`, expected a string; put it in quotes",
        ),
        (
            with("  image: ghcr.io/acme/api\n", ""),
            "x.yaml:4: ImagePolicy shop/api: spec: missing field `image`",
        ),
        (
            with("spec:", "spce:"),
            "x.yaml:4: ImagePolicy shop/api: spce: this field is not known; there are apiVersion, kind, metadata, spec and status; did you mean spec?",
        ),
        (
            with("kind: ImagePolicy", "kind: ImagePolcy"),
            "x.yaml:2: kind: \"ImagePolcy\" is not known; write ImagePolicy, InfraRepository or ClusterImageRegistry; did you mean ImagePolicy?",
        ),
        (
            with("v1alpha1", "v1"),
            "x.yaml:1: apiVersion: tagtide.dev/v1 is not known; write tagtide.dev/v1alpha1",
        ),
        (
            with("{name: api, namespace: shop}", "{namespace: shop}"),
            "x.yaml:3: ImagePolicy: metadata.name: it is missing; every object needs a name, such as api",
        ),
        (
            with("name: api,", "name: API,"),
            "x.yaml:3: ImagePolicy: metadata.name: it may hold only a-z 0-9 - and . and starts and ends with a letter or digit",
        ),
        (
            problems(&format!("{POLICY}  downgrade: Maybe\n")),
            "x.yaml:8: ImagePolicy shop/api: spec.downgrade: unknown variant `Maybe`, expected `Never` or `Allow`",
        ),
        (
            problems(&format!("{POLICY}  avoid: [1.4.2, 1]\n")),
            "x.yaml:8: ImagePolicy shop/api: spec.avoid[1]: invalid type: integer `1`, expected a string; put it in quotes",
        ),
    ] {
        assert_eq!(problems, [wanted]);
    }
}

#[test]
fn one_broken_document_does_not_stop_its_neighbours() {
    let broken = POLICY.replace("{name: api", "{name: [api");
    let folder = folder(&[("a.yaml", &format!("{broken}---\n{POLICY}"))]);
    assert_eq!(keys(&folder.policies), ["shop/api"]);
    assert_eq!(folder.problems.len(), 1);
    assert!(folder.problems[0].message.starts_with("the document is no YAML: "), "{:?}", folder.problems);
}

#[test]
fn a_template_without_an_object_of_ours_is_passed_over() {
    assert_eq!(problems("kind: Secret\ndata: {{ .Values.x | }}\n"), [""; 0]);
    assert_eq!(problems("apiVersion: tagtide.dev/v1alpha1\nkind: {{ .Values.x | }}\n").len(), 1);
}

#[test]
fn an_object_that_is_there_twice_is_a_problem_that_names_both_places() {
    let folder = folder(&[("a.yaml", POLICY), ("b.yaml", &POLICY.replace(">=1.4.0", ">=1.5.0"))]);
    let range = &folder.policies.values().next().unwrap().spec.select.semver.as_ref().unwrap().range;
    assert_eq!(range, ">=1.4.0 <2.0.0");
    let wanted = "b.yaml:1: ImagePolicy shop/api: a.yaml:1 defines it too; keep one of them";
    assert_eq!(folder.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
}

#[test]
fn secrets_are_decoded_and_a_bad_one_matters_only_when_used() {
    let folder = folder(&[(
        "s.yaml",
        "apiVersion: v1
kind: Secret
metadata: {name: good, namespace: shop}
data: {username: Ym90}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: bad}
data:
  username: ENC[AES256_GCM,data:hunter2]
",
    )]);
    assert_eq!(folder.problems, []);
    let good = folder.secret(&ObjectKey::new("shop", "good")).unwrap();
    assert_eq!((good["username"].as_slice(), good["password"].as_slice()), (&b"bot"[..], &b"hunter2"[..]));
    let bad = folder.secret(&ObjectKey::new("default", "bad")).unwrap_err().to_string();
    let wanted = "the Secret default/bad can not be read: s.yaml:11: data.username: it is not base64; plain text goes under stringData";
    assert_eq!(bad, wanted);
    let missing = folder.secret(&ObjectKey::new("shop", "other")).unwrap_err().to_string();
    assert_eq!(missing, "there is no Secret shop/other");
}

#[test]
fn an_exported_object_is_read_without_its_status() {
    let text = POLICY.replace("namespace: shop}", "namespace: shop, uid: x, resourceVersion: '7'}");
    let folder = folder(&[("a.yaml", &format!("{text}status: {{selected: whatever}}\n"))]);
    assert_eq!(folder.problems, []);
    assert_eq!(folder.policies.values().next().unwrap().status, None);
}

#[test]
fn a_problem_that_shows_in_use_has_the_line_of_its_field() {
    let folder = folder(&[("a.yaml", &format!("---\n{POLICY}"))]);
    let key = ObjectKey::new("shop", "api");
    let problem = folder.problem_with(Kind::Policy, &key, "spec.select.semver.range", "no range".into());
    assert_eq!(problem.to_string(), "a.yaml:8: ImagePolicy shop/api: no range");
}

#[test]
fn a_file_that_is_not_utf8_is_a_problem_where_it_concerns_us() {
    let mut folder = Folder::default();
    folder.add(&Arc::from("a.yaml"), b"# caf\xe9\n");
    folder.add(&Arc::from("b.yaml"), b"# tagtide.dev caf\xe9\n");
    assert_eq!(folder.problems.len(), 1);
    assert_eq!(folder.problems[0].to_string(), "b.yaml:1: the file is not UTF-8; save it as UTF-8");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = Folder::read(Path::new("/nowhere/at/all")).err().unwrap();
    assert!(error.to_string().starts_with("/nowhere/at/all can not be read: "), "{error}");
}

#[test]
fn config_maps_hold_text_and_bytes_and_a_bad_one_matters_only_when_used() {
    let text = "apiVersion: v1
kind: ConfigMap
metadata: {name: good, namespace: tagtide}
data: {ca.crt: \"-----BEGIN\\n\"}
binaryData: {ca.der: /wA=}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bad, namespace: tagtide}
binaryData:
  ca.crt: 'plain text'
";
    let folder = folder(&[("ca.yaml", text)]);
    assert_eq!(folder.problems, []);
    let get = |name| folder.config_map(&ObjectKey::new("tagtide", name));
    let good = get("good").unwrap();
    assert_eq!(
        (good["ca.crt"].as_slice(), good["ca.der"].as_slice()),
        (&b"-----BEGIN\n"[..], &[0xff, 0][..])
    );
    let bad = get("bad").unwrap_err().to_string();
    assert_eq!(
        bad,
        "the ConfigMap tagtide/bad can not be read: ca.yaml:11: binaryData.ca.crt: it is not base64; plain text goes under data"
    );
    assert_eq!(get("other").unwrap_err().to_string(), "there is no ConfigMap tagtide/other");
    let secret = folder.secret(&ObjectKey::new("tagtide", "good")).unwrap_err().to_string();
    assert_eq!(secret, "there is no Secret tagtide/good", "a ConfigMap is no Secret");
}

#[test]
fn all_that_is_wrong_with_an_object_is_told() {
    let text = POLICY
        .replace("  image: ghcr.io/acme/api", "  image: 1\n  imgae: x\n  suspend: maybe")
        .replace("spec:", "spce: {}\nspec:")
        .replace("range:", "rnage:");
    let found = problems(&text);
    let fields = ["spce", "spec.image", "spec.imgae", "spec.suspend", "spec.select.semver.rnage"];
    for field in fields {
        let told = format!("ImagePolicy shop/api: {field}: ");
        assert_eq!(found.iter().filter(|problem| problem.contains(&told)).count(), 1, "{field}: {found:?}");
    }
    // The range is missing, but not the image, which is only wrong.
    assert!(!found.iter().any(|problem| problem.contains("missing field `image`")), "{found:?}");
}

#[test]
fn json_files_are_read_as_the_yaml_that_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let policy = |name: &str| {
        format!(
            "{{\"apiVersion\": \"tagtide.dev/v1alpha1\", \"kind\": \"ImagePolicy\",\n\t\"metadata\": {{\"name\": \"{name}\"}},\n\t\
             \"spec\": {{\"image\": \"a.io/x\", \"select\": {{\"numerical\": {{}}}}}}}}"
        )
    };
    let list = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}, {}]}}",
        policy("one"),
        policy("two")
    );
    std::fs::write(folder.path().join("list.json"), list).unwrap();
    std::fs::write(folder.path().join("three.json"), policy("three")).unwrap();
    let folder = Folder::read(folder.path()).unwrap();
    assert_eq!(folder.problems, []);
    assert_eq!(keys(&folder.policies), ["default/one", "default/three", "default/two"]);
}
