//! Objects that the repo holds already.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{Desk, key, passed, policies, postgres, real_shapes, text};

const POLICY: &str = "apiVersion: tagtide.dev/v1alpha1
kind: ImagePolicy
metadata: {name: api, namespace: apps}
spec:
  image: ghcr.io/acme/api
  select: {semver: {range: 1.x}}
";

const INFRA: &str = "apiVersion: tagtide.dev/v1alpha1
kind: InfraRepository
metadata: {name: infra, namespace: apps}
spec:
  url: https://git.example.com/acme/infra.git
";

/// A Pod with this image, in line 3.
fn pod(image: &str) -> String {
    postgres("1").replace("postgres:1", image)
}

fn keys(proposal: &Value) -> Vec<String> {
    policies(proposal).map(key).collect()
}

/// What is said of the values that are passed over, in order.
fn messages(proposal: &Value) -> Vec<String> {
    proposal["passedOver"].as_array().unwrap().iter().map(|one| text(&one["message"])).collect()
}

/// Where values are passed over, whatever the reason.
fn places(proposal: &Value) -> BTreeSet<String> {
    passed(proposal).iter().map(|passed| passed.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_was_proposed_and_taken_over_is_not_proposed_again() {
    let desk = real_shapes();
    let first = desk.propose().await;
    fs::rename(desk.path("out"), desk.path("repo/policies")).unwrap();
    let second = desk.propose().await;
    assert_eq!((keys(&second), &second["repositories"]), (vec![], &json!([])), "{second:#}");
    assert_eq!(places(&second), places(&first));
}

#[tokio::test]
async fn an_image_with_a_policy_in_the_repo_gets_no_other_and_markers_name_that_one() {
    let desk = Desk::of(&[
        ("a.yaml", &pod("ghcr.io/acme/api:1.4.2")),
        ("b.yaml", &pod("ghcr.io/acme/api:2.0.0")),
        (
            "c.yaml",
            "a: ghcr.io/acme/api:1.4.2 # {\"$imagepolicy\": \"apps:apj\"}\nb: ghcr.io/acme/api:1.5.0 # {\"$imagepolicy\": \"shop:api\"}\n",
        ),
        ("d.yaml", &pod("ghcr.io/other/api:3.0.0")),
        ("policies/p.yaml", &POLICY.replace("namespace: apps", "namespace: shop")),
    ]);
    let proposal = desk.propose().await;
    assert_eq!(keys(&proposal), ["apps/api"]);
    assert_eq!(passed(&proposal), ["a.yaml:3 HasPolicy", "b.yaml:3 HasPolicy", "c.yaml:1 HasPolicy"]);
    let said = messages(&proposal);
    let marker = "# {\"$imagepolicy\": \"shop:api\"}";
    for (said, wanted) in said.iter().zip([
        format!("the policy shop/api (policies/p.yaml:3) follows this image already, and nothing writes it here; put {marker} behind the value"),
        "the policy shop/api (policies/p.yaml:3) follows this image already, and takes no tag like this one; ".to_owned(),
        format!("the marker names the policy apps/apj, which the repo does not hold, and the policy shop/api (policies/p.yaml:3) follows this image; write {marker}"),
    ]) {
        assert!(said.starts_with(&wanted), "{said}\n  is not\n{wanted}");
    }
}

#[tokio::test]
async fn what_an_infrarepository_of_the_repo_writes_is_left_alone_and_what_it_lacks_is_told() {
    let files = |updates: &str| {
        let desk = Desk::of(&[
            ("a.yaml", &pod("ghcr.io/acme/api:1.4.2")),
            ("b.yaml", &pod("ghcr.io/other/api:3.0.0")),
            ("policies/p.yaml", POLICY),
        ]);
        desk.write("repo/policies/infra.yaml", format!("{INFRA}{updates}"));
        desk
    };
    let proposal = files("  updates: {workloads: true}\n").propose().await;
    assert_eq!((keys(&proposal), &proposal["repositories"]), (vec!["apps/api-2".to_owned()], &json!([])));
    assert_eq!(passed(&proposal), [""; 0]);

    let lacking = "  paths: {include: [a.yaml]}\n  policies: {matchLabels: {a: b}}\n";
    let proposal = files(lacking).propose().await;
    assert_eq!(passed(&proposal), ["a.yaml:3 HasPolicy", "policies/infra.yaml:4 Lacking"]);
    assert_eq!(
        messages(&proposal)[1],
        "the InfraRepository apps/infra is there already; add {\"workloads\":true} to its spec.updates, and give the \
         policies the labels of its spec.policies, and let its spec.paths admit b.yaml"
    );
}

#[tokio::test]
async fn a_policy_of_the_repo_is_written_by_the_infrarepository_that_is_proposed() {
    let desk = Desk::of(&[
        ("a.yaml", &pod("ghcr.io/acme/api:1.4.2")),
        ("b.yaml", &pod("ghcr.io/other/api:3.0.0")),
        ("policies/p.yaml", POLICY),
    ]);
    let proposal = desk.propose().await;
    assert_eq!((keys(&proposal), passed(&proposal)), (vec!["apps/api-2".to_owned()], vec![]));
    assert_eq!(proposal["repositories"][0]["spec"]["updates"], json!({ "workloads": true }));
    let unreadable = POLICY.replace("range: 1.x", "rnage: 1.x");
    desk.write("repo/policies/p.yaml", unreadable);
    fs::remove_dir_all(desk.path("out")).unwrap();
    let proposal = desk.propose().await;
    assert_eq!(keys(&proposal), ["apps/acme-api", "apps/other-api"], "nobody knows its image");
}
