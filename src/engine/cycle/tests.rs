//! Whole cycles over a bare repository of this machine.

mod bounds;
mod target;
mod words;

use git2::{Commit, FileMode, Oid, Repository, Signature, Time, build::TreeUpdateBuilder};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::api::InfraRepository;
use crate::engine::inquiry::Tools;
use crate::engine::plan::Wish;
use crate::engine::selection::Selection;
use crate::engine::world::{
    ConfigMapError, Notice, ObjectId, SecretData, SecretError, SecretSource, Status, WorldError,
};
use crate::net::{AddressGuard, Connections};
use crate::policy::compile;
use crate::registry::{Client, Identities, Variables};

/// The Secret that never comes.
const SILENT: &str = "silent";

/// A world with some Secrets, in which everything may be written.
#[derive(Default)]
pub(in crate::engine) struct Calm(SecretData);

impl SecretSource for Calm {
    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        Err(ConfigMapError::Missing(key.clone()))
    }

    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        if key.name == SILENT {
            std::future::pending::<()>().await;
        }
        Ok(self.0.clone())
    }

    fn operator_namespace(&self) -> &str {
        "tagtide"
    }
}

impl World for Calm {
    async fn show(&self, _: &ObjectId, _: &Status) -> Result<(), WorldError> {
        Ok(())
    }

    async fn tell(&self, _: &ObjectId, _: &Notice) {}

    fn may_write(&self) -> bool {
        true
    }
}

/// What the operator decides, with its mirrors in this folder.
pub(in crate::engine) fn settings(cache: &std::path::Path) -> Settings {
    Settings {
        cache_dir: cache.to_owned(),
        room: crate::git::Room::default(),
        gather: Duration::ZERO,
        connections: Connections::new(AddressGuard::new(Vec::new())),
        allow_http: false,
        allow_file: true,
        scans_at_once: 1,
        cycles_at_once: 1,
    }
}

fn tools(settings: &Settings) -> Tools {
    let variables = Variables::of_this_process();
    let identities = Identities::new(&settings.connections, variables);
    Tools::new(Client::new(settings.connections.clone(), settings.allow_http), identities)
}

/// A repository, what the policies want of it, and the bench of the last cycle.
struct Scene {
    folder: tempfile::TempDir,
    repository: Repository,
    spec: Value,
    wishes: Wishes,
    bench: Option<Workbench>,
}

impl Scene {
    /// With these files on `main`, and these fields of the spec.
    fn new(files: &[(&str, &str)], spec: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path().join("infra.git")).unwrap();
        let scene = Self { folder, repository, spec, wishes: Wishes::new(), bench: None };
        scene.commit("main", "Jane", files);
        scene
    }

    /// Lets the policy `shop/{name}` want this tag.
    fn want(&mut self, name: &str, tag: &str) {
        let spec =
            json!({ "image": format!("ghcr.io/acme/{name}"), "select": { "semver": { "range": "*" } } });
        let policy = Arc::new(compile(&serde_json::from_value(spec).unwrap()).unwrap());
        let selected = json!({ "tag": tag, "version": tag, "reason": "highest of 2 tags in *" });
        let selection = Selection::read(&serde_json::from_value(selected).unwrap()).unwrap();
        self.wishes.insert(ObjectKey::new("shop", name), Ok(Wish { policy, selection, withheld: None }));
    }

    async fn try_cycle(&mut self, world: &Calm) -> Result<Report, RepositoryError> {
        let mut spec = self.spec.clone();
        spec["url"] = format!("file://{}", self.repository.path().display()).into();
        let object = json!({ "metadata": { "name": "infra", "namespace": "shop" }, "spec": spec });
        let object: InfraRepository = serde_json::from_value(object).unwrap();
        let settings = settings(&self.folder.path().join("cache"));
        let order = Order {
            key: ObjectKey::of(&object),
            settings: RepositorySettings::check(&object, &settings)?,
            author: object.spec.commit.author.clone(),
            wishes: Arc::new(self.wishes.clone()),
            recheck: Recheck { tools: tools(&settings), authorities: BTreeMap::new() },
        };
        let metrics = Metrics::register(&mut Registry::default());
        let (bench, report) = run(world, &settings, self.bench.take(), &order, &metrics).await;
        self.bench = bench;
        report
    }

    async fn cycle(&mut self) -> Report {
        self.try_cycle(&Calm::default()).await.unwrap()
    }

    /// Commits these files to a branch, as a person would.
    fn commit(&self, branch: &str, person: &str, files: &[(&str, &str)]) -> Oid {
        let tip = self.tip(branch);
        let base = match &tip {
            Some(tip) => tip.tree().unwrap(),
            None => self
                .repository
                .find_tree(self.repository.treebuilder(None).unwrap().write().unwrap())
                .unwrap(),
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, text) in files {
            update.upsert(*path, self.repository.blob(text.as_bytes()).unwrap(), FileMode::Blob);
        }
        let tree = update.create_updated(&self.repository, &base).unwrap();
        self.record(branch, person, tree, &tip.iter().collect::<Vec<_>>())
    }

    /// Merges one branch into another, whose files become those of the first one.
    fn merge(&self, from: &str, into: &str) -> Oid {
        let (from, onto) = (self.tip(from).unwrap(), self.tip(into).unwrap());
        self.record(into, "Jane", from.tree_id(), &[&onto, &from])
    }

    fn record(&self, branch: &str, person: &str, tree: Oid, parents: &[&Commit<'_>]) -> Oid {
        let author = Signature::new(person, "person@example.com", &Time::new(1_000, 0)).unwrap();
        let tree = self.repository.find_tree(tree).unwrap();
        let branch = format!("refs/heads/{branch}");
        self.repository.commit(Some(&branch), &author, &author, "by hand", &tree, parents).unwrap()
    }

    fn tip(&self, branch: &str) -> Option<Commit<'_>> {
        self.repository.find_reference(&format!("refs/heads/{branch}")).ok()?.peel_to_commit().ok()
    }

    fn read(&self, branch: &str, path: &str) -> String {
        let tree = self.tip(branch).unwrap().tree().unwrap();
        let blob = tree.get_path(std::path::Path::new(path)).unwrap().to_object(&self.repository).unwrap();
        String::from_utf8(blob.as_blob().unwrap().content().to_vec()).unwrap()
    }

    /// The subjects of a branch's commits, the newest first.
    fn log(&self, branch: &str) -> Vec<String> {
        let mut walk = self.repository.revwalk().unwrap();
        walk.set_sorting(git2::Sort::TOPOLOGICAL).unwrap();
        walk.push(self.tip(branch).unwrap().id()).unwrap();
        walk.map(|id| {
            self.repository.find_commit(id.unwrap()).unwrap().summary().unwrap().unwrap().to_owned()
        })
        .collect()
    }

    fn is_in_history(&self, commit: Oid, branch: &str) -> bool {
        let tip = self.tip(branch).unwrap().id();
        tip == commit || self.repository.graph_descendant_of(tip, commit).unwrap()
    }
}

/// A file that holds this tag of an image, marked for the policy of its name.
fn app(name: &str, tag: &str) -> String {
    format!("image: ghcr.io/acme/{name}:{tag} # {{\"$imagepolicy\": \"shop:{name}\"}}\n")
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_comes_to_no_end_is_given_up() {
    let mut scene = Scene::new(&[("a.yaml", "a: 1\n")], json!({ "secretRef": { "name": SILENT } }));
    let error = scene.try_cycle(&Calm::default()).await.unwrap_err();
    assert!(error.to_string().contains("more than 60 minutes"), "{error}");
}
