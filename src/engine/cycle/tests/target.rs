//! Another branch is written than read.

use super::*;

const TARGET: &str = "tagtide/updates";

/// Two apps at 1.0.0 on `main`, and their choices written to another branch.
fn scene() -> Scene {
    let spec = json!({ "publish": { "push": { "branch": TARGET } } });
    Scene::new(&[("api.yaml", &app("api", "1.0.0")), ("web.yaml", &app("web", "1.0.0")), ("x", "1")], spec)
}

#[tokio::test]
async fn the_branch_begins_with_the_first_commit_and_the_one_that_is_read_stays() {
    let mut scene = scene();
    scene.want("api", "1.0.0");
    let report = scene.cycle().await;
    assert!(scene.tip(TARGET).is_none() && report.committed.is_empty() && report.target.is_none());
    let main = scene.tip("main").unwrap().id();
    scene.want("api", "1.1.0");
    let report = scene.cycle().await;
    assert_eq!(scene.read(TARGET, "api.yaml"), app("api", "1.1.0"));
    assert_eq!(scene.log(TARGET), ["Bump ghcr.io/acme/api to 1.1.0 in shop", "by hand"]);
    assert_eq!(scene.tip("main").unwrap().id(), main);
    assert_eq!(report.target.unwrap().as_str(), TARGET);
    assert!(scene.cycle().await.committed.is_empty());
}

#[tokio::test]
async fn it_grows_while_it_waits_and_is_left_alone_while_there_is_nothing_new() {
    let mut scene = scene();
    scene.want("api", "1.1.0");
    scene.cycle().await;
    scene.commit("main", "Jane", &[("x", "2")]);
    assert!(scene.cycle().await.committed.is_empty(), "what main does is no reason");
    scene.want("web", "1.1.0");
    scene.cycle().await;
    let subjects =
        ["Bump ghcr.io/acme/web to 1.1.0 in shop", "Bump ghcr.io/acme/api to 1.1.0 in shop", "by hand"];
    assert_eq!(scene.log(TARGET), subjects);
    assert_eq!((scene.read(TARGET, "x").as_str(), scene.read("main", "x").as_str()), ("1", "2"));
}

#[tokio::test]
async fn after_a_merge_it_goes_on_from_the_branch_that_is_read() {
    let mut scene = scene();
    scene.want("api", "1.1.0");
    scene.cycle().await;
    let merged = scene.merge(TARGET, "main");
    assert!(scene.cycle().await.committed.is_empty());
    scene.want("api", "1.2.0");
    scene.cycle().await;
    let parents: Vec<Oid> = scene.tip(TARGET).unwrap().parent_ids().collect();
    assert_eq!(parents, [merged], "nothing to be joined");

    // Merged again, and then main moved on, so that the merge is out of sight.
    scene.merge(TARGET, "main");
    let newest = scene.commit("main", "Jane", &[("x", "2")]);
    let before = scene.tip(TARGET).unwrap().id();
    scene.want("api", "1.3.0");
    scene.cycle().await;
    assert_eq!(
        scene.log(TARGET)[..2],
        ["Bump ghcr.io/acme/api to 1.3.0 in shop", "Merge main into tagtide/updates"]
    );
    assert_eq!(
        (scene.read(TARGET, "x").as_str(), scene.read(TARGET, "api.yaml")),
        ("2", app("api", "1.3.0"))
    );
    assert!(scene.is_in_history(newest, TARGET) && scene.is_in_history(before, TARGET));
}

#[tokio::test]
async fn after_a_squash_it_goes_on_from_the_branch_that_is_read() {
    let mut scene = scene();
    scene.want("api", "1.1.0");
    scene.cycle().await;
    let before = scene.tip(TARGET).unwrap().id();
    scene.commit("main", "Jane", &[("api.yaml", &app("api", "1.1.0"))]);
    assert!(scene.cycle().await.committed.is_empty());
    scene.want("api", "1.2.0");
    scene.cycle().await;
    assert_eq!(
        scene.log(TARGET)[..2],
        ["Bump ghcr.io/acme/api to 1.2.0 in shop", "Merge main into tagtide/updates"]
    );
    assert!(scene.is_in_history(before, TARGET));
    // It vouches again: the next commit goes on top, and after the next squash it starts over once more.
    scene.want("web", "1.1.0");
    scene.cycle().await;
    scene.commit("main", "Jane", &[("api.yaml", &app("api", "1.2.0")), ("web.yaml", &app("web", "1.1.0"))]);
    scene.want("web", "1.2.0");
    scene.cycle().await;
    assert_eq!(
        scene.log(TARGET)[..2],
        ["Bump ghcr.io/acme/web to 1.2.0 in shop", "Merge main into tagtide/updates"]
    );
}

#[tokio::test]
async fn what_people_put_on_it_stays_in_its_history_and_in_its_files() {
    let mut scene = scene();
    scene.want("api", "1.1.0");
    scene.cycle().await;
    let hers = scene.commit(TARGET, "Jane", &[("hers", "1")]);
    scene.want("api", "1.2.0");
    scene.cycle().await;
    scene.commit("main", "Jane", &[("api.yaml", &app("api", "1.2.0")), ("x", "2")]);
    scene.want("api", "1.3.0");
    scene.cycle().await;
    assert!(scene.is_in_history(hers, TARGET));
    assert_eq!(
        (scene.read(TARGET, "hers").as_str(), scene.read(TARGET, "api.yaml")),
        ("1", app("api", "1.3.0"))
    );
    let merges = scene.log(TARGET).iter().filter(|subject| subject.starts_with("Merge")).count();
    assert_eq!(merges, 0, "her file would be gone from the merge");
}

#[tokio::test]
async fn a_branch_that_is_gone_is_made_anew_and_a_choice_that_the_read_branch_holds_is_not_written() {
    let mut scene = scene();
    scene.want("api", "1.1.0");
    scene.cycle().await;
    scene.repository.find_reference(&format!("refs/heads/{TARGET}")).unwrap().delete().unwrap();
    scene.commit("main", "Jane", &[("api.yaml", &app("api", "1.1.0"))]);
    assert!(scene.cycle().await.committed.is_empty() && scene.tip(TARGET).is_none());
    scene.want("web", "1.1.0");
    scene.cycle().await;
    assert_eq!(scene.log(TARGET), ["Bump ghcr.io/acme/web to 1.1.0 in shop", "by hand", "by hand"]);
}

#[tokio::test]
async fn what_a_person_took_back_after_a_merge_is_not_written_again() {
    let mut scene = scene();
    scene.want("api", "1.1.0");
    scene.cycle().await;
    scene.merge(TARGET, "main");
    scene.commit("main", "Jane", &[("api.yaml", &app("api", "1.0.0"))]);
    assert!(scene.cycle().await.committed.is_empty());
}

#[tokio::test]
async fn a_name_that_is_none_is_told() {
    let mut scene = scene();
    scene.spec["publish"]["push"]["branch"] = "a..b".into();
    let error = scene.try_cycle(&Calm::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("spec.publish.push.branch: \"a..b\" is no branch name"), "{error}");
}
