//! Git over SSH, against OpenSSH's own server.

use std::path::Path;
use std::process::Command;

use tagtide::api::Reason;
use tagtide::git::{
    Branch, BranchName, Coverage, Error, FileChange, FileFilter, GitSecret, InvalidGitSecret, Published,
    RemoteAccess, RepositoryUrl, Start,
};
use tagtide::net::{AddressGuard, Connections};
use tempfile::TempDir;

use super::target::{on, target};
use super::{
    draft, files_of, foreign_commits_in_between, git, hook, mirror_in, open_covering, open_with, secret, set,
};
use crate::support::infra_repo::{InfraRepo, fleet_file, fleet_path};
use crate::support::invariants::Invariants;
use crate::support::process::Finished;
use crate::support::ssh_server::{SshServer, keygen};
use crate::support::workspace;

/// A repository, a server that lets a key in, and that key.
struct Scene {
    repo: InfraRepo,
    server: SshServer,
    keys: TempDir,
    cache: TempDir,
    seen: Invariants,
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With lines of sshd_config(5).
    async fn with(settings: &str) -> Self {
        let repo = InfraRepo::new();
        repo.seed(&[("a.yaml", "1"), ("b.yaml", "1")]);
        let server = SshServer::start(settings).await;
        let (keys, cache) = (workspace::folder("keys"), workspace::folder("cache"));
        let scene = Self { repo, server, keys, cache, seen: Invariants::default() };
        scene.make_key("id", &["-t", "ed25519", "-f"], "");
        scene
    }

    /// Makes a key that the server lets in; its text.
    fn make_key(&self, name: &str, options: &[&str], password: &str) -> String {
        let path = self.keys.path().join(name);
        keygen(options, &path, password);
        self.server.authorize(&path);
        self.key(name)
    }

    fn key(&self, name: &str) -> String {
        std::fs::read_to_string(self.keys.path().join(name)).unwrap()
    }

    fn secret(&self, known_hosts: &str) -> GitSecret {
        secret(&[("identity", &self.key("id")), ("known_hosts", known_hosts)])
    }

    fn open(&self, secret: GitSecret) -> Result<Branch, Error> {
        open_with(&self.server.url(&self.repo.path()), &mirror_in(&self.cache), secret)
    }

    fn branch(&self) -> Branch {
        self.open(self.secret(&self.server.known("ed25519"))).unwrap()
    }

    async fn look(&self, secret: GitSecret) -> Result<(), Error> {
        self.open(secret)?.bring_up_to_date().await.map(|_| ())
    }

    async fn refused(&self, secret: GitSecret) -> (Reason, String) {
        let error = self.look(secret).await.unwrap_err();
        (error.reason(), error.to_string())
    }
}

fn ssh_keygen(args: &[&str]) {
    Finished::from(Command::new("ssh-keygen").args(args).output().unwrap()).success();
}

#[tokio::test]
async fn a_branch_is_read_and_written() {
    let mut scene = Scene::new().await;
    let branch = scene.branch();
    scene.seen.see(&scene.repo);
    let head = branch.bring_up_to_date().await.unwrap();
    assert_eq!(files_of(&branch, head).unwrap()["a.yaml"], "1");
    let (commit, races) = set(&branch, "a.yaml", "2").await;
    assert_eq!((scene.repo.read("main", "a.yaml").as_str(), races), ("2", 0));

    scene.repo.push_as("Jane", &[("b.yaml", "hers")]);
    scene.seen.see(&scene.repo);
    let published = branch.publish(draft(commit, "a.yaml", "3")).await.unwrap();
    assert_eq!(published, Published::Raced);
    foreign_commits_in_between(&scene.repo, 2);
    assert_eq!(set(&branch, "a.yaml", "4").await.1, 2);
    assert_eq!(scene.repo.read("main", "b.yaml"), "hers");
    git(&scene.repo, &["fsck", "--strict"]);
    scene.seen.hold(&scene.repo);
}

#[tokio::test]
async fn another_branch_than_is_read_is_made_and_written() {
    let mut scene = Scene::new().await;
    let branch = scene.branch().publishing_to(target());
    scene.seen.see(&scene.repo);
    let base = branch.bring_up_to_date().await.unwrap();
    assert_eq!(branch.bring_target(base).await.unwrap(), None);
    let made = branch.publish(on(Start::New(base), "2")).await.unwrap();
    assert!(matches!(made, Published::Taken(_)), "{made:?}");
    let tip = branch.bring_target(base).await.unwrap().unwrap();
    assert_eq!(git(&scene.repo, &["rev-parse", "tagtide/updates", "main"]), format!("{tip}\n{base}"));

    scene.repo.push_as("Jane", &[("b.yaml", "hers")]);
    let base = branch.bring_up_to_date().await.unwrap();
    let over = Start::Over { tip, base, message: "Merge main\n\n".into() };
    let merged = branch.publish(on(over, "3")).await.unwrap();
    assert!(matches!(merged, Published::Taken(_)), "{merged:?}");
    let read = |branch: &str| ["a.yaml", "b.yaml"].map(|path| scene.repo.read(branch, path));
    assert_eq!(
        (read("tagtide/updates"), read("main")),
        (["3", "hers"].map(str::to_owned), ["1", "hers"].map(str::to_owned))
    );
    assert_eq!(branch.publish(on(Start::Tip(tip), "4")).await.unwrap(), Published::Raced, "it is not forced");
    git(&scene.repo, &["fsck", "--strict"]);
    scene.seen.hold(&scene.repo);
}

#[tokio::test]
async fn a_server_that_hands_no_protocol_on_is_read_by_v0() {
    let mut scene = Scene::with("AcceptEnv NOTHING").await;
    scene.repo = InfraRepo::new();
    scene.repo.seed_large(200, "registry.example.com");
    let branch = scene.branch();
    let head = branch.bring_up_to_date().await.unwrap();
    assert_eq!(files_of(&branch, head).unwrap().len(), 200);
    scene.repo.push_as("Jane", &[("b.yaml", "hers")]);
    let head = branch.bring_up_to_date().await.unwrap();
    assert_eq!(files_of(&branch, head).unwrap().len(), 201);
    set(&branch, "b.yaml", "2").await;
}

#[tokio::test]
async fn only_the_files_that_are_read_are_brought() {
    let mut scene = Scene::new().await;
    scene.repo = InfraRepo::new();
    scene.repo.seed_large(200, "registry.example.com");
    git(&scene.repo, &["config", "uploadpack.allowFilter", "true"]);
    let filter = FileFilter::new("one".to_owned(), |path| path == fleet_path(7));
    let coverage = Coverage::Files(filter);
    let secret = scene.secret(&scene.server.known("ed25519"));
    let url = scene.server.url(&scene.repo.path());
    let branch = open_covering(&url, &mirror_in(&scene.cache), secret, coverage).unwrap();
    for tag in ["1.0.0", "2.0.0"] {
        let head = branch.bring_up_to_date().await.unwrap();
        let snapshot = branch.snapshot(head).unwrap();
        let mut here = Vec::new();
        let mut look = |change: FileChange<'_>| {
            if let FileChange::Present { path, blob } = change
                && let Ok(text) = snapshot.read(blob, 1 << 20)
            {
                here.push((path.to_owned(), String::from_utf8(text.unwrap()).unwrap()));
            }
            Ok(())
        };
        snapshot.changed_files(None, &|_| true, &mut look).unwrap();
        assert_eq!(here, [(fleet_path(7), fleet_file(7, "registry.example.com", tag))]);
        let next = fleet_file(7, "registry.example.com", "2.0.0");
        scene.repo.push_as("Jane", &[(&fleet_path(7), &next), (&fleet_path(8), tag)]);
    }
    set(&branch, &fleet_path(7), "3").await;
    assert_eq!(scene.repo.read("main", &fleet_path(8)), "2.0.0");
}

#[tokio::test]
async fn every_kind_and_format_of_key_is_let_in() {
    let scene = Scene::new().await;
    let known = scene.server.known("ed25519");
    for (name, options, password) in [
        ("ed25519-encrypted", &["-t", "ed25519", "-a", "1", "-f"][..], "hunter2"),
        ("ecdsa-256", &["-t", "ecdsa", "-b", "256", "-f"], ""),
        ("ecdsa-384", &["-t", "ecdsa", "-b", "384", "-f"], ""),
        ("ecdsa-521", &["-t", "ecdsa", "-b", "521", "-f"], ""),
        ("ecdsa-pem", &["-t", "ecdsa", "-m", "PEM", "-f"], ""),
        ("ecdsa-pkcs8", &["-t", "ecdsa", "-m", "PKCS8", "-f"], ""),
        ("rsa", &["-t", "rsa", "-b", "2048", "-f"], ""),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-f"], ""),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-f"], ""),
        ("rsa-pkcs8-encrypted", &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-f"], "hunter2"),
    ] {
        let identity = scene.make_key(name, options, password);
        let mut entries = vec![("identity", identity.as_str()), ("known_hosts", &known)];
        if !password.is_empty() {
            entries.push(("password", password));
        }
        let outcome = scene.look(secret(&entries)).await;
        assert!(outcome.is_ok(), "{name}: {}", outcome.unwrap_err());
    }
}

#[tokio::test]
async fn a_key_that_can_not_be_used_is_told_so_before_anything_is_connected() {
    let scene = Scene::new().await;
    let known = scene.server.known("ed25519");
    let encrypted = scene.make_key("encrypted", &["-t", "ed25519", "-a", "1", "-f"], "hunter2");
    let short = scene.make_key("short", &["-t", "rsa", "-b", "1024", "-f"], "");
    let cases = [
        (vec![("identity", encrypted.as_str())], "add the key password"),
        (vec![("identity", &encrypted), ("password", "wrong-hunter")], "can not be decrypted"),
        (vec![("identity", "no key")], "no private key"),
        (vec![("identity", &short)], "fewer than 2048 bits"),
    ];
    for (mut entries, words) in cases {
        entries.push(("known_hosts", &known));
        let (reason, text) = scene.refused(secret(&entries)).await;
        assert_eq!(reason, Reason::SecretInvalid, "{text}");
        assert!(text.contains(words) && !text.contains("hunter"), "{text}");
    }
    let error = scene.look(GitSecret::default()).await.unwrap_err();
    assert!(matches!(error, Error::Secret(InvalidGitSecret::NotForSsh)), "{error}");
}

#[tokio::test]
async fn a_stranger_is_told_that_the_server_refuses_the_key() {
    let scene = Scene::new().await;
    keygen(&["-t", "ed25519", "-f"], &scene.keys.path().join("other"), "");
    let entries = [("identity", &*scene.key("other")), ("known_hosts", &scene.server.known("ed25519"))];
    let (reason, text) = scene.refused(secret(&entries)).await;
    assert_eq!(reason, Reason::AuthenticationFailed);
    assert!(text.contains("does not let the user") && text.contains("SHA256:"), "{text}");
}

#[tokio::test]
async fn every_kind_of_host_key_and_entry_is_understood() {
    let scene = Scene::new().await;
    let hashed = scene.keys.path().join("hashed");
    std::fs::write(&hashed, scene.server.known("ecdsa")).unwrap();
    ssh_keygen(&["-q", "-H", "-f", hashed.to_str().unwrap()]);
    let hashed = std::fs::read_to_string(hashed).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    for known in [
        scene.server.known("ed25519"),
        scene.server.known("ecdsa"),
        scene.server.known("rsa"),
        format!("# all\n{}{}", scene.server.known("rsa"), scene.server.known("ed25519")),
        hashed,
    ] {
        let outcome = scene.look(scene.secret(&known)).await;
        assert!(outcome.is_ok(), "{known}: {}", outcome.unwrap_err());
    }
}

#[tokio::test]
async fn a_host_is_trusted_by_its_own_key_alone() {
    let scene = Scene::new().await;
    keygen(&["-t", "ed25519", "-f"], &scene.keys.path().join("foreign"), "");
    let foreign = std::fs::read_to_string(scene.keys.path().join("foreign.pub")).unwrap();
    let own = scene.server.known("ed25519");
    let cases = [
        (format!("{} {foreign}", scene.server.host()), "is not the known one"),
        (format!("other.example.com {foreign}"), "no entry for"),
        (format!("127.0.0.1 {}", scene.server.public_key("ed25519")), "no entry for"),
        (format!("{own}@revoked * {}", scene.server.public_key("ed25519")), "revoked"),
    ];
    for (known, words) in cases {
        let (reason, text) = scene.refused(scene.secret(&known)).await;
        assert_eq!(reason, Reason::HostKeyRejected, "{text}");
        assert!(text.contains(words) && text.contains("SHA256:"), "{text}");
    }
    let (reason, text) = scene.refused(scene.secret("nonsense\n")).await;
    assert_eq!(reason, Reason::SecretInvalid);
    assert!(text.contains("line 1 of the Secret's known_hosts"), "{text}");
}

#[tokio::test]
async fn a_server_that_was_set_up_anew_is_not_talked_to() {
    let mut scene = Scene::new().await;
    let secret = scene.secret(&scene.server.known("ed25519"));
    scene.look(secret.clone()).await.unwrap();
    scene.seen.see(&scene.repo);
    scene.server.set_up_anew().await;
    let (reason, text) = scene.refused(secret).await;
    assert_eq!(reason, Reason::HostKeyRejected, "{text}");
    assert_eq!(text.matches("SHA256:").count(), 2, "{text}");
    set(&scene.branch(), "a.yaml", "2").await;
    scene.seen.hold(&scene.repo);
}

#[tokio::test]
async fn an_authority_vouches_for_the_hosts_that_it_signed() {
    let certified = |kind: &'static str, principals: &'static str, validity: &'static str| async move {
        let scene = Scene::new().await;
        let authority = scene.keys.path().join("authority");
        let key_type = if kind == "ed25519" { kind } else { "rsa" };
        keygen(&["-t", key_type, "-f"], &authority, "");
        let key = scene.server.host_key("ed25519");
        let (ca, public) = (authority.to_str().unwrap(), key.with_extension("pub"));
        // For an authority with an RSA key this is the hash of its signature.
        let hash = if kind == "ed25519" { &[][..] } else { &["-t", kind] };
        let sign = ["-q", "-s", ca, "-I", "host", "-h", "-n", principals, "-V", validity];
        ssh_keygen(&[&sign[..], hash, &[public.to_str().unwrap()]].concat());
        let server =
            SshServer::start(&format!("HostKey {0}\nHostCertificate {0}-cert.pub", key.display())).await;
        server.authorize(&scene.keys.path().join("id"));
        let authority = std::fs::read_to_string(authority.with_extension("pub")).unwrap();
        let known = format!("@cert-authority {} {authority}", server.host());
        let url = server.url(&scene.repo.path());
        let branch = open_with(&url, &mirror_in(&scene.cache), scene.secret(&known)).unwrap();
        branch.bring_up_to_date().await.map_err(|error| (error.reason(), error.to_string()))
    };
    certified("ed25519", "127.0.0.1", "+1d").await.unwrap();
    certified("rsa-sha2-512", "127.0.0.1", "+1d").await.unwrap();
    let (reason, text) = certified("ssh-rsa", "127.0.0.1", "+1d").await.unwrap_err();
    assert!(reason == Reason::HostKeyRejected && text.contains("with SHA-1"), "{text}");
    let (reason, text) = certified("ed25519", "other.example.com", "+1d").await.unwrap_err();
    assert!(reason == Reason::HostKeyRejected && text.contains("for other hosts"), "{text}");
    let (reason, text) = certified("ed25519", "127.0.0.1", "20200101:20200102").await.unwrap_err();
    assert!(reason == Reason::HostKeyRejected && text.contains("not valid now"), "{text}");
}

#[tokio::test]
async fn an_address_that_may_not_be_reached_is_not_dialled() {
    let scene = Scene::new().await;
    let access = RemoteAccess {
        connections: Connections::new(AddressGuard::default()),
        secret: scene.secret(&scene.server.known("ed25519")),
        proxy: None,
        push_options: Vec::new(),
        mirror: mirror_in(&scene.cache),
        room: tagtide::git::Room::default(),
        coverage: Coverage::Whole,
    };
    let url = RepositoryUrl::parse(&scene.server.url(&scene.repo.path())).unwrap();
    let branch = Branch::open(&url, BranchName::parse("main").unwrap(), access).unwrap();
    let error = branch.bring_up_to_date().await.unwrap_err();
    assert!(error.reason() == Reason::NotAllowed && error.to_string().contains("--allow-cidr"), "{error}");
}

#[tokio::test]
async fn the_servers_words_are_passed_on() {
    let scene = Scene::new().await;
    let missing = open_with(
        &scene.server.url(Path::new("/nowhere/infra.git")),
        &mirror_in(&scene.cache),
        scene.secret(&scene.server.known("ed25519")),
    );
    let error = missing.unwrap().bring_up_to_date().await.unwrap_err();
    assert!(error.to_string().contains("does not appear to be a git repository"), "{error}");

    hook(&scene.repo, "pre-receive", "echo 'only Jane may push' >&2; exit 1\n");
    let branch = scene.branch();
    let head = branch.bring_up_to_date().await.unwrap();
    let published = branch.publish(draft(head, "a.yaml", "2")).await.unwrap();
    let words = "pre-receive hook declined: only Jane may push".to_owned();
    assert_eq!(published, Published::Refused(words));
}

#[tokio::test]
async fn a_push_that_was_taken_counts_although_its_answer_is_lost() {
    let mut scene = Scene::new().await;
    let branch = scene.branch();
    scene.seen.see(&scene.repo);
    branch.bring_up_to_date().await.unwrap();
    // The hook runs after the branch moved and before that is reported; it kills the program that would report it.
    hook(&scene.repo, "post-receive", "[ -e once ] && exit 0; touch once; kill -KILL $PPID\n");
    let (commit, races) = set(&branch, "a.yaml", "2").await;
    assert_eq!(races, 0);
    assert_eq!(git(&scene.repo, &["rev-parse", "main"]), commit.to_string());
    assert!(scene.repo.path().join("once").exists());
    set(&branch, "a.yaml", "3").await;
    scene.seen.hold(&scene.repo);
}
