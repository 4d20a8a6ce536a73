//! What shares a commit, and what it says.

use super::*;

/// Two apps at 1.0.0, in one file and in files of their own, with these settings of `spec.commit`.
fn scene(commit: Value) -> Scene {
    let both = format!("{}---\n{}", app("api", "1.0.0"), app("web", "1.0.0"));
    let files = [("api.yaml", app("api", "1.0.0")), ("both.yaml", both), ("web.yaml", app("web", "1.0.0"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let mut scene = Scene::new(&files, json!({ "commit": commit }));
    scene.want("api", "1.1.0");
    scene.want("web", "1.2.0");
    scene
}

#[tokio::test]
async fn each_policy_gets_a_commit_of_its_own_in_one_push() {
    for grouping in ["PerPolicy", "PerImage"] {
        let mut scene = scene(json!({ "grouping": grouping }));
        let report = scene.cycle().await;
        let subjects =
            ["Bump ghcr.io/acme/web to 1.2.0 in shop", "Bump ghcr.io/acme/api to 1.1.0 in shop", "by hand"];
        assert_eq!(scene.log("main"), subjects);
        let ids: Vec<String> = report.committed.iter().map(|commit| commit.id.to_string()).collect();
        let find = |name: &str| scene.repository.revparse_single(name).unwrap();
        assert_eq!(ids, ["main~1", "main"].map(|name| find(name).id().to_string()));
        let between = find("main~1:both.yaml").peel_to_blob().unwrap().content().to_vec();
        let wanted = format!("{}---\n{}", app("api", "1.1.0"), app("web", "1.0.0"));
        assert_eq!(String::from_utf8(between).unwrap(), wanted);
        assert_eq!(
            scene.read("main", "both.yaml"),
            format!("{}---\n{}", app("api", "1.1.0"), app("web", "1.2.0"))
        );
        assert!(scene.cycle().await.committed.is_empty());
    }
}

#[tokio::test]
async fn by_default_a_cycle_is_one_commit() {
    let mut scene = scene(json!({}));
    assert_eq!(scene.cycle().await.committed.len(), 1);
    assert_eq!(scene.log("main").len(), 2);
}

#[tokio::test]
async fn the_templates_word_each_commit() {
    let mut scene = scene(json!({
        "grouping": "PerPolicy",
        "subject": "chore({{ values.cluster }}): {{ moves[0].name }} {{ moves[0].to }}",
        "body": "{{ moves|length }} of {{ namespace }}",
        "values": { "cluster": "prod" },
    }));
    scene.cycle().await;
    assert_eq!(scene.log("main")[..2], ["chore(prod): web 1.2.0", "chore(prod): api 1.1.0"]);
    let tip = scene.tip("main").unwrap();
    let wanted = "chore(prod): web 1.2.0\n\n1 of shop\n\nTagtide-Update: shop/web 1.0.0 1.2.0\n";
    assert_eq!(tip.message().unwrap(), wanted);
}

#[tokio::test]
async fn a_template_that_fails_only_on_what_moves_writes_nothing() {
    // The example that a spec is tried on has two moves.
    let mut scene = scene(json!({ "subject": "{{ moves[1].name }}", "grouping": "PerPolicy" }));
    let error = scene.try_cycle(&Calm::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("spec.commit.subject, line 1: "), "{error}");
    assert_eq!(error.reason(), crate::api::Reason::InvalidSpec);
    assert_eq!(scene.log("main"), ["by hand"]);
}
