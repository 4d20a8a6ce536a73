//! The demo, step by step.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::account::{Account, is_coloured};
use super::cluster::{Cluster, OPERATOR_NAMESPACE};
use super::embedded_registry::EmbeddedRegistry;
use super::git_server::GitServer;
use super::image::Pusher;
use super::infra_repo::InfraRepo;
use super::process::{command, finish};
use super::registry::{PROGRAM, RegistryServer};
use super::site::Site;
use super::tagtide::{Running, Tagtide, readiness};
use super::wait::{Look, wait_for};
use super::{DemoError, RegistryChoice, example};
use crate::api::Written;
use crate::engine::Kind;

const FIRST: &str = "1.0.0";
const NEXT: &str = "1.1.0";
/// Newer than all, and still not to be chosen.
const PRE_RELEASE: &str = "2.0.0-rc.1";

/// Plays all steps. Every part ends with this, finished or dropped, but for what `running` has.
pub(super) async fn play(
    account: &mut Account,
    site: &Site,
    registry: RegistryChoice,
    kubernetes: Option<PathBuf>,
    running: &Running,
) -> Result<(), DemoError> {
    account.title("Tagtide demo: a new tag in a registry becomes a commit in an infra repo.");
    account.say(format_args!("Everything runs on 127.0.0.1, with its files in {}.", site.path().display()));
    let mut git = command("git");
    git.arg("--version");
    finish(git).await?;

    let registry = start_registry(account, site, registry).await?;
    let host = registry.host();
    let git = site.join("git");
    let (repo, server) = make_infra_repo(account, &git, &host).await?;
    let pusher = Pusher::new(host.clone());
    account.step(format_args!("Push the image that runs today, {}", pusher.name(FIRST)));
    push(account, &pusher, FIRST).await?;

    site.write("policies/policies.yaml", &example::policies(&host, &server.url()))?;
    let tagtide = match kubernetes {
        None => run_standalone(account, site, running).await?,
        Some(programs) => run_on_cluster(account, site, &programs).await?,
    };
    refuse_pre_release(account, &pusher, &tagtide).await?;
    let commit = commit_next(account, &pusher, &repo, &tagtide).await?;
    say_how_to_undo(account, &commit, &tagtide);
    Ok(())
}

/// One of the two registries, until it is dropped.
enum Registry {
    Real(RegistryServer),
    Embedded(EmbeddedRegistry),
}

impl Registry {
    fn host(&self) -> String {
        match self {
            Self::Real(registry) => registry.host(),
            Self::Embedded(registry) => registry.host(),
        }
    }
}

async fn start_registry(
    account: &mut Account,
    site: &Site,
    choice: RegistryChoice,
) -> Result<Registry, DemoError> {
    account.step("Start a container registry");
    let is_real = match choice {
        RegistryChoice::Real => true,
        RegistryChoice::Embedded => false,
        RegistryChoice::Auto => {
            let is_installed = is_on_path(PROGRAM);
            if !is_installed {
                account.say(format_args!("`{PROGRAM}` is not installed, so the embedded one is used"));
            }
            is_installed
        }
    };
    let registry = if is_real {
        Registry::Real(RegistryServer::start(&site.join("registry")).await?)
    } else {
        Registry::Embedded(EmbeddedRegistry::start().await.map_err(DemoError::EmbeddedRegistry)?)
    };
    let which = if is_real { format!("the program `{PROGRAM}`") } else { "embedded in Tagtide".to_owned() };
    account.say(format_args!("{which}, on {}", registry.host()));
    Ok(registry)
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

async fn make_infra_repo(
    account: &mut Account,
    folder: &Path,
    host: &str,
) -> Result<(InfraRepo, GitServer), DemoError> {
    account.step("Make an infra repo, and serve it over HTTP");
    let files = example::files(host);
    let repo = InfraRepo::create(folder, &files).await?;
    let server = GitServer::start(folder.to_owned(), None).await?;
    account.say(format_args!("{}/{}, branch {}", server.url(), example::REPOSITORY, example::BRANCH));
    for (path, text) in &files {
        let marked = text.lines().enumerate().filter(|(_, line)| line.contains("$imagepolicy"));
        for (index, line) in marked {
            account.say(format_args!("{path}:{}: {}", index + 1, line.trim()));
        }
    }
    Ok((repo, server))
}

async fn push(account: &Account, pusher: &Pusher, tag: &str) -> Result<(), DemoError> {
    pusher
        .push(tag)
        .await
        .map_err(|source| DemoError::Push { image: pusher.name(tag), source: Box::new(source) })?;
    account.say(format_args!("pushed {}", pusher.name(tag)));
    Ok(())
}

async fn run_standalone(account: &mut Account, site: &Site, running: &Running) -> Result<Tagtide, DemoError> {
    account.step("Run Tagtide on a folder with examples/quick-start");
    site.take_log()?;
    account.command(format_args!("tagtide standalone --policies {}", site.join("policies").display()));
    let tagtide = Tagtide::standalone(site, running)?;
    let (policy, repository) = wait_until_ready(&tagtide).await?;
    for (kind, key, message) in
        [(Kind::Policy, example::policy(), policy), (Kind::Repository, example::repository(), repository)]
    {
        account.say(format_args!("{:<15} {:<10}  {message}", kind.as_str(), key.to_string()));
    }
    Ok(tagtide)
}

async fn run_on_cluster(account: &mut Account, site: &Site, programs: &Path) -> Result<Tagtide, DemoError> {
    account.step("Start a Kubernetes API: etcd and kube-apiserver, without nodes");
    let mut cluster = Cluster::start(programs, site).await?;
    account.say(cluster.kubectl(&["version"]).await?);
    account.step("Install the custom resources, and run the operator");
    account.command("kubectl apply -f crds");
    account.say(cluster.install_kinds(&site.join("crds")).await?);
    for namespace in [OPERATOR_NAMESPACE, example::NAMESPACE] {
        cluster.kubectl(&["create", "namespace", namespace]).await?;
    }
    account.command("tagtide run --allow-http --allow-cidr=127.0.0.0/8");
    cluster.run_operator(site)?;
    account.step("Apply examples/quick-start");
    account.command("kubectl apply -f examples/quick-start/policies.yaml");
    let policies = site.join("policies/policies.yaml");
    account.say(cluster.kubectl(&["apply", "-f", &policies.to_string_lossy()]).await?);
    let tagtide = Tagtide::Cluster(cluster);
    wait_until_ready(&tagtide).await?;
    show_objects(account, &tagtide).await?;
    Ok(tagtide)
}

/// Waits until the policy has chosen and the repository has been read; what each says.
async fn wait_until_ready(tagtide: &Tagtide) -> Result<(String, String), DemoError> {
    let policy =
        wait_for("the ImagePolicy ready", async || Ok(look(readiness(&tagtide.policy().await?.conditions))));
    let policy = policy.await?;
    let repository = wait_for("the InfraRepository ready", async || {
        Ok(look(readiness(&tagtide.repository().await?.conditions)))
    });
    Ok((policy, repository.await?))
}

fn look((is_ready, message): (bool, &str)) -> Look<String> {
    if is_ready { Look::Done(message.to_owned()) } else { Look::Not(message.to_owned()) }
}

async fn refuse_pre_release(
    account: &mut Account,
    pusher: &Pusher,
    tagtide: &Tagtide,
) -> Result<(), DemoError> {
    account.step(format_args!("Push {PRE_RELEASE}, which is not for this app"));
    push(account, pusher, PRE_RELEASE).await?;
    let reason = wait_for("the pre-release in the status", async || {
        let status = tagtide.policy().await?;
        let refused = status.refused.into_iter().find(|refused| refused.tag == PRE_RELEASE);
        Ok(refused
            .map_or_else(|| Look::Not("no word of it".to_owned()), |refused| Look::Done(refused.reason)))
    });
    let reason = reason.await?;
    account.say(format_args!("not chosen; the policy's status says: refused {PRE_RELEASE}, {reason}"));
    Ok(())
}

/// Pushes the next release, waits for the commit and shows it; its id.
async fn commit_next(
    account: &mut Account,
    pusher: &Pusher,
    repo: &InfraRepo,
    tagtide: &Tagtide,
) -> Result<String, DemoError> {
    account.step(format_args!("Push {NEXT}, which is"));
    let before = repo.head().await?;
    push(account, pusher, NEXT).await?;
    let pushed = Instant::now();
    let commit = wait_for("a commit in the infra repo", async || {
        let head = repo.head().await?;
        Ok(if head == before { Look::Not(format!("still {head}")) } else { Look::Done(head) })
    });
    let commit = commit.await?;
    let milliseconds = pushed.elapsed().as_millis();
    account.step(format_args!("The commit is in the infra repo, {milliseconds} ms after the tag was pushed"));
    account.say("(the registry is asked once a second here)");
    account.command(format_args!("git show {}", short(&commit)));
    account.say(repo.show(&commit, is_coloured()).await?);
    show_written(account, &commit, tagtide).await?;
    Ok(commit)
}

/// Waits until the policy's status knows of the commit, and shows what is known of it.
async fn show_written(account: &Account, commit: &str, tagtide: &Tagtide) -> Result<(), DemoError> {
    let written = wait_for("the commit in the policy's status", async || {
        let status = tagtide.policy().await?;
        let written = status.written.into_iter().find(|written| written.commit == commit);
        Ok(written.map_or_else(|| Look::Not("no word of it".to_owned()), Look::Done))
    });
    let Written { repository, tag, .. } = written.await?;
    account
        .say(format_args!("\nThe policy's status says: {tag} written to {repository} in {}", short(commit)));
    show_objects(account, tagtide).await?;
    if let Tagtide::Cluster(cluster) = tagtide {
        account.command(format_args!("kubectl -n {} events", example::NAMESPACE));
        account.say(cluster.kubectl(&["-n", example::NAMESPACE, "events"]).await?);
    }
    Ok(())
}

/// On a cluster, the objects as `kubectl get` shows them.
async fn show_objects(account: &Account, tagtide: &Tagtide) -> Result<(), DemoError> {
    match tagtide {
        Tagtide::Standalone(_) => {}
        Tagtide::Cluster(cluster) => {
            for kind in ["imagepolicies", "infrarepositories"] {
                account.command(format_args!("kubectl -n {} get {kind}", example::NAMESPACE));
                account.say(cluster.kubectl(&["-n", example::NAMESPACE, "get", kind]).await?);
            }
        }
    }
    Ok(())
}

fn say_how_to_undo(account: &mut Account, commit: &str, tagtide: &Tagtide) {
    let policy = example::policy();
    account.step("How to undo it (the commit says so too)");
    account.command(format_args!("git revert {}", short(commit)));
    match tagtide {
        Tagtide::Standalone(_) => account.say(format_args!(
            "and put {NEXT} into the policy's spec, or it is chosen again:  avoid: [\"{NEXT}\"]"
        )),
        Tagtide::Cluster(_) => {
            account.command(format_args!(
                "kubectl -n {} patch imagepolicy {} --type=merge -p '{{\"spec\":{{\"avoid\":[\"{NEXT}\"]}}}}'",
                policy.namespace, policy.name
            ));
            account.say(format_args!("Without the second, {NEXT} is chosen again."));
        }
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
