//! What a repository and a Secret may cost.

use futures::FutureExt as _;

use super::*;

/// `marked` and so many bytes more.
fn long(marked: &str, bytes: usize) -> String {
    format!("{marked}# {}\n", "x".repeat(bytes))
}

#[tokio::test]
async fn files_to_change_are_held_up_to_a_bound() {
    let text = long(&app("api", "1.0.0"), 60 << 10);
    let mut scene = Scene::new(&[("one.yaml", &text)], json!({}));
    scene.want("api", "1.1.0");
    assert_eq!(scene.cycle().await.committed.len(), 1);
    scene.commit("main", "Jane", &[("one.yaml", &text), ("two.yaml", &text)]);
    let error = scene.try_cycle(&Calm::default()).await.unwrap_err();
    assert_eq!(error.reason(), crate::api::Reason::TooLarge);
    assert!(error.to_string().contains("files that are to be changed"), "{error}");
}

#[tokio::test]
async fn a_look_that_fails_does_not_make_the_next_one_read_the_files_again() {
    let mut scene = Scene::new(&[("one.yaml", &app("api", "1.0.0"))], json!({}));
    scene.want("api", "1.0.0");
    scene.cycle().await;
    let tip = scene.tip("main").unwrap().id();
    scene.repository.find_reference("refs/heads/main").unwrap().delete().unwrap();
    let error = scene.try_cycle(&Calm::default()).await.unwrap_err();
    assert_eq!(error.reason(), crate::api::Reason::BranchNotFound);
    scene.repository.reference("refs/heads/main", tip, false, "").unwrap();
    // Who reads it again finds that it is gone.
    let blob = scene.repository.blob(app("api", "1.0.0").as_bytes()).unwrap().to_string();
    let (folder, file) = blob.split_at(2);
    std::fs::remove_file(scene.repository.path().join("objects").join(folder).join(file)).unwrap();
    assert_eq!(scene.cycle().await.plan.files.len(), 0);
}

#[tokio::test]
async fn a_commit_that_was_pushed_is_told_of_though_it_can_not_be_read() {
    // 10,000 bytes of values are read, and the commit makes them more.
    let text: String = (0..99).map(|_| app("api", &format!("1.0.0-{}", "a".repeat(76)))).collect();
    let mut scene = Scene::new(&[("one.yaml", &text)], json!({}));
    scene.want("api", &format!("1.0.0-{}", "b".repeat(96)));
    let report = scene.cycle().await;
    let tip = scene.tip("main").unwrap().id().to_string();
    assert_eq!((report.committed.len(), report.head.to_string()), (1, tip));
    let held = report.plan.held.get(&ObjectKey::new("shop", "api")).copied();
    assert_eq!((report.plan.files.len(), held), (0, Some(99)));
    assert_eq!(report.head_at, report.committed[0].at);
}

#[tokio::test]
async fn a_message_of_megabytes_stops_nothing() {
    let mut scene = Scene::new(&[("one.yaml", &app("api", "1.0.0"))], json!({}));
    scene.want("api", "1.1.0");
    let tip = scene.tip("main").unwrap();
    let (author, tree) = (tip.author().to_owned(), tip.tree().unwrap());
    let words = "word ".repeat(500_000);
    scene.repository.commit(Some("refs/heads/main"), &author, &author, &words, &tree, &[&tip]).unwrap();
    drop((tip, tree));
    assert_eq!(scene.cycle().await.committed.len(), 1);
    assert_eq!(scene.read("main", "one.yaml"), app("api", "1.1.0"));
    assert!(scene.cycle().await.committed.is_empty());
}

#[tokio::test]
async fn a_repository_is_opened_beside_all_other_work_and_its_secret_named_where_it_is_unfit() {
    let cache = tempfile::tempdir().unwrap();
    let object = json!({
        "metadata": { "name": "infra", "namespace": "shop" },
        "spec": { "url": "ssh://git@git.example.com/infra.git", "secretRef": { "name": "infra-git" } },
    });
    let object: InfraRepository = serde_json::from_value(object).unwrap();
    let settings = settings(cache.path());
    let repository = RepositorySettings::check(&object, &settings).unwrap();
    let secret = [
        ("identity", "no key"),
        (
            "known_hosts",
            "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJUJhKhsUBCJxfRTSqnBa8jqDH7lFGh6mVeyGxj6bxAl",
        ),
    ];
    let secret = secret.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    let secrets = repository.read_secrets(&Calm(secret.into())).await.unwrap();
    let key = ObjectKey::of(&object);
    let opened = repository.open(&settings, &key, &secrets);
    assert!(opened.now_or_never().is_none(), "it does not hold up who waits for it");
    let error = repository.open(&settings, &key, &secrets).await.err().unwrap().to_string();
    assert!(error.starts_with("spec.secretRef: shop/infra-git: the Secret's identity "), "{error}");
}
