//! Where a status lands that the operator writes, on a real API server.

use std::time::Duration;

use ::tagtide::api::ObjectKey;
use ::tagtide::controller::KubeWorld;
use ::tagtide::engine::{Kind, ObjectId, Status, World as _, WorldError};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::{Plane, install_crds};
use crate::operator_process::forget_the_schema;
use crate::support::control_plane::ControlPlane;

/// A policy of a namespace, and the world in which it is.
struct Scene<'p> {
    plane: &'p ControlPlane,
    namespace: String,
    world: KubeWorld,
}

impl<'p> Scene<'p> {
    async fn on(plane: &'p ControlPlane, interval: &str) -> Self {
        let namespace = plane.namespace("status").await;
        let (_, term) = watch::channel(Instant::now() + Duration::from_secs(600));
        let world = KubeWorld::new(plane.client().await, namespace.clone(), "test".to_owned(), term);
        let scene = Self { plane, namespace, world };
        scene.make(interval).await;
        scene
    }

    async fn make(&self, interval: &str) {
        let policy = format!(
            "apiVersion: tagtide.dev/v1alpha1\nkind: ImagePolicy\n\
             metadata: {{name: api, namespace: {}}}\n\
             spec: {{image: registry.example/api, interval: {interval}, select: {{semver: {{range: '*'}}}}}}\n",
            self.namespace
        );
        self.plane.apply(&policy).await;
    }

    async fn get(&self, field: &str) -> String {
        let path = format!("-o=jsonpath={{{field}}}");
        let args = ["get", "imgpol/api", "-n", &self.namespace, &path];
        self.plane.kubectl(&args).await.success().trim().to_owned()
    }

    async fn object(&self) -> ObjectId {
        let uid = Some(self.get(".metadata.uid").await);
        ObjectId { kind: Kind::Policy, key: ObjectKey::new(&self.namespace, "api"), uid }
    }

    async fn show(&self, object: &ObjectId, request: &str) {
        self.try_show(object, json!({ "lastHandledRequest": request })).await.unwrap();
    }

    async fn try_show(&self, object: &ObjectId, status: Value) -> Result<(), WorldError> {
        self.world.show(object, &Status::Policy(serde_json::from_value(status).unwrap())).await
    }
}

#[tokio::test]
async fn a_status_never_lands_on_an_object_that_was_made_anew_under_the_name() {
    let plane = ControlPlane::shared().await;
    install_crds(plane).await;
    let scene = Scene::on(plane, "1h").await;
    let old = scene.object().await;
    plane.kubectl(&["delete", "imgpol/api", "-n", &scene.namespace]).await.success();
    scene.show(&old, "of nobody").await;
    scene.make("1h").await;
    scene.show(&old, "of the old one").await;
    assert_eq!(scene.get(".status.lastHandledRequest").await, "");
    let new = scene.object().await;
    assert_ne!(new, old);
    scene.show(&new, "of the new one").await;
    assert_eq!(scene.get(".status.lastHandledRequest").await, "of the new one");

    // The next one takes its place as a whole.
    let next = json!({ "refused": [{ "tag": "1.0.0", "reason": "avoid" }] });
    scene.try_show(&new, next).await.unwrap();
    assert_eq!(scene.get(".status.lastHandledRequest").await, "");
    assert_eq!(scene.get(".status.refused[0].tag").await, "1.0.0");
    // One that the API server does not take is not passed over.
    let scanned = json!({ "tags": u64::MAX, "matching": 0, "changedAt": "2026-01-01T00:00:00Z" });
    let error = scene.try_show(&new, json!({ "scanned": scanned })).await.unwrap_err();
    assert!(error.to_string().contains("tags"), "{error}");
}

#[tokio::test]
async fn the_status_of_an_object_that_can_not_be_read_is_written_once() {
    let plane = Plane::own(forget_the_schema).await;
    let scene = Scene::on(&plane, "5").await;
    let object = scene.object().await;
    // It is not tried again, as it has not failed.
    scene.show(&object, "one").await;
    let version = scene.get(".metadata.resourceVersion").await;
    assert_eq!(scene.get(".status.lastHandledRequest").await, "one");
    scene.show(&object, "one").await;
    assert_eq!(scene.get(".metadata.resourceVersion").await, version);
}
