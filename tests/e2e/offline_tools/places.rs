//! `plan` and `apply` as an InfraRepository that looks for more than markers.

use super::{Desk, POLICIES};

const INFRA: &str = "---
apiVersion: tagtide.dev/v1alpha1
kind: InfraRepository
metadata: {name: infra, namespace: shop}
spec:
  url: https://git.example.com/acme/infra.git
  updates:
    markers: false
    workloads: true
    kustomize: true
    helmValues: true
    ociArtifacts: true
    fields: [{glob: '*.json', policy: web, path: 'containers[name=web].image', write: Image}]
";

const FILES: [(&str, &str); 6] = [
    (
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - image: ghcr.io/acme/api:1.9.3\n",
    ),
    (
        "k/kustomization.yaml",
        "images:\n- name: ghcr.io/acme/api\n  newTag: 1.9.3\n- name: x\n  newName: ghcr.io/acme/web\n",
    ),
    ("values.yaml", "api:\n  repository: ghcr.io/acme/api\n  tag: 1.9.3\n"),
    ("oci.yaml", "kind: OCIRepository\nspec: {url: 'oci://ghcr.io/acme/api', ref: {tag: 1.9.3}}\n"),
    ("task.json", "{\"containers\": [{\"name\": \"web\", \"image\": \"ghcr.io/acme/web:7\"}]}\n"),
    ("marked.yaml", "tag: 1.9.3 # {\"$imagepolicy\": \"shop:api:tag\"}\n"),
];

const ARGS: [&str; 6] =
    ["--repository", "shop/infra", "--select", "shop/api=1.9.4", "--select", "shop/web=8"];

#[tokio::test]
async fn every_place_is_written_that_the_repository_asks_for() {
    let desk = Desk::new();
    desk.write("policies/shop.yaml", format!("{POLICIES}{INFRA}"));
    FILES.iter().for_each(|(path, text)| desk.write(&format!("repo/{path}"), text));
    let planned = desk.plan(&ARGS).await;
    assert_eq!(planned.code, Some(10), "{planned:?}");
    desk.apply(&ARGS).await.success();
    for (path, text) in FILES {
        let wanted = match path {
            "marked.yaml" => text.to_owned(),
            "k/kustomization.yaml" => format!("{}  newTag: \"8\"\n", text.replace("1.9.3", "1.9.4")),
            _ => text.replace("1.9.3", "1.9.4").replace("web:7", "web:8"),
        };
        assert_eq!(desk.read(&format!("repo/{path}")), wanted, "{path}");
    }
    assert_eq!(desk.plan(&ARGS).await.code, Some(0));
}

#[tokio::test]
async fn a_rule_that_can_not_be_read_is_bad_input_with_its_place() {
    let desk = Desk::with_repo();
    desk.write("policies/shop.yaml", format!("{POLICIES}{}", INFRA.replace("[name=web]", "[web]")));
    let done = desk.plan(&ARGS).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.stderr.contains("spec.updates.fields[0].path: \"containers[web].image\" is no path"),
        "{done:?}"
    );
}

#[tokio::test]
async fn two_policies_of_one_image_write_nothing_without_a_marker() {
    let desk = Desk::new();
    let twin = POLICIES.replace("ghcr.io/acme/web", "ghcr.io/acme/api");
    desk.write("policies/shop.yaml", format!("{twin}{INFRA}"));
    FILES.iter().for_each(|(path, text)| desk.write(&format!("repo/{path}"), text));
    let done = desk.plan(&ARGS).await;
    assert!(
        done.stderr.contains("pod.yaml:6: Ambiguous: both shop/api and shop/web follow this image"),
        "{done:?}"
    );
    assert!(!done.stdout.contains("1.9.4"), "{done:?}");
}
