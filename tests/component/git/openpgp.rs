//! Commits signed with keys that GnuPG made, as `git verify-commit` and GnuPG judge them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tagtide::git::{InvalidGitSecret, InvalidOpenPgpKey, Published, Signer};
use tempfile::TempDir;

use super::faulty_server::honest;
use super::{InfraRepo, Scene, draft, git};

/// A home of GnuPG with keys of its own.
struct Gnupg(TempDir);

impl Gnupg {
    fn new() -> Self {
        // Short, for the path of the agent's socket; and with a key derivation that a test has the time for.
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::write(home.path().join("gpg-agent.conf"), "s2k-count 1024\n").unwrap();
        Self(home)
    }

    fn run(&self, password: &str, args: &[&str]) -> String {
        let output = Command::new("gpg")
            .env("GNUPGHOME", self.0.path())
            .args(["--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", password])
            .args(args)
            .output()
            .expect("gpg");
        assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes a key of this kind, as `gpg --quick-gen-key` takes it.
    fn key(&self, password: &str, kind: &[&str]) {
        self.run(password, &[&["--quick-gen-key", "Tagtide <tagtide@localhost>"], kind].concat());
    }

    fn export(&self, password: &str) -> String {
        self.run(password, &["--armor", "--export-secret-keys"])
    }

    fn fingerprint(&self) -> String {
        let keys = self.run("", &["--list-keys", "--with-colons"]);
        let line = keys.lines().find(|line| line.starts_with("fpr:")).expect("a key");
        line.split(':').nth(9).expect("its fingerprint").to_owned()
    }

    /// A program that is gpg with this home.
    fn program(&self) -> PathBuf {
        let path = self.0.path().join("gpg.sh");
        std::fs::write(&path, format!("#!/bin/sh\nGNUPGHOME={} exec gpg \"$@\"\n", self.0.path().display()))
            .unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        drop(command.env("GNUPGHOME", self.0.path()).args(["--kill", "gpg-agent"]).output());
    }
}

fn signer(key: &str, password: &str) -> Result<Signer, InvalidGitSecret> {
    let mut data = BTreeMap::from([("openpgp".to_owned(), key.as_bytes().to_vec())]);
    if !password.is_empty() {
        data.insert("password".to_owned(), password.as_bytes().to_vec());
    }
    Signer::read(&data)
}

fn refused(key: &str, password: &str) -> InvalidOpenPgpKey {
    match signer(key, password) {
        Err(InvalidGitSecret::OpenPgp(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn git_and_gnupg_verify_the_signatures_of_every_kind_of_key() {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "0")]);
    let mut scene = Scene::over(repo, honest).await;
    for (number, (kind, password)) in [
        (&["ed25519", "sign"][..], ""),
        (&["ed25519", "sign", "1d"], "hunter2"),
        (&["rsa2048", "sign"], ""),
        (&["nistp256", "sign"], ""),
        (&["nistp384", "sign"], ""),
        (&["nistp521", "sign"], ""),
        (&["default", "default"], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let gnupg = Gnupg::new();
        gnupg.key(password, kind);
        verified(&mut scene, &gnupg, &gnupg.export(password), password, number + 1).await;
    }
    // A subkey that signs, without the primary key's private half.
    let gnupg = Gnupg::new();
    gnupg.key("", &["ed25519", "cert"]);
    gnupg.run("", &["--quick-add-key", &gnupg.fingerprint(), "ed25519", "sign"]);
    let subkey = gnupg.run("", &["--armor", "--export-secret-subkeys"]);
    verified(&mut scene, &gnupg, &subkey, "", 100).await;
    git(&scene.repo, &["fsck", "--strict"]);
    scene.check();
}

/// Signs a commit with the key, and has it checked: by who knows the key, and by who knows another one.
async fn verified(scene: &mut Scene, gnupg: &Gnupg, key: &str, password: &str, number: usize) {
    let head = scene.head().await;
    let mut draft = draft(head, "a.yaml", &number.to_string());
    draft.signer = Some(signer(key, password).unwrap());
    let published = scene.branch.publish(draft).await.unwrap();
    let Published::Taken(commits) = published else { panic!("{published:?}") };
    let commit = commits[0].to_string();
    let verify = |gnupg: &Gnupg| {
        let program = format!("gpg.program={}", gnupg.program().display());
        scene.repo.git(&scene.repo.path(), &["-c", &program, "verify-commit", "-v", &commit])
    };
    let done = verify(gnupg);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("Good signature from \"Tagtide <tagtide@localhost>\""), "{}", done.stderr);
    assert_ne!(verify(&Gnupg::new()).code, Some(0));
}

#[test]
fn a_key_that_can_not_sign_is_told_so() {
    let gnupg = Gnupg::new();
    gnupg.key("hunter2", &["ed25519", "sign"]);
    let encrypted = gnupg.export("hunter2");
    assert_eq!(refused(&encrypted, ""), InvalidOpenPgpKey::Encrypted);
    assert_eq!(refused(&encrypted, "wrong"), InvalidOpenPgpKey::Password);
    assert!(signer(&encrypted, "hunter2\n").is_ok());
    let public = gnupg.run("", &["--armor", "--export"]);
    assert_eq!(refused(&public, ""), InvalidOpenPgpKey::Unreadable);
    for nonsense in
        ["x", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n"]
    {
        assert_eq!(refused(nonsense, ""), InvalidOpenPgpKey::Unreadable);
    }

    let certifies = Gnupg::new();
    certifies.key("", &["ed25519", "cert"]);
    assert_eq!(refused(&certifies.export(""), ""), InvalidOpenPgpKey::NoSigningPart);

    let expired = Gnupg::new();
    expired.run(
        "",
        &[
            "--faked-system-time",
            "20200101T000000!",
            "--quick-gen-key",
            "Old <o@localhost>",
            "ed25519",
            "sign",
            "1d",
        ],
    );
    let why = refused(&expired.export(""), "");
    assert_eq!(why, InvalidOpenPgpKey::Expired("2020-01-02T00:00:00Z".parse().unwrap()));

    let revoked = Gnupg::new();
    revoked.key("", &["ed25519", "sign"]);
    let path = revoked.0.path().join(format!("openpgp-revocs.d/{}.rev", revoked.fingerprint()));
    let certificate = std::fs::read_to_string(&path).unwrap().replace(":-----BEGIN", "-----BEGIN");
    std::fs::write(&path, certificate).unwrap();
    revoked.run("", &["--import", &path.to_string_lossy()]);
    assert_eq!(refused(&revoked.export(""), ""), InvalidOpenPgpKey::Revoked);

    let both =
        BTreeMap::from([("openpgp".to_owned(), b"x".to_vec()), ("identity".to_owned(), b"x".to_vec())]);
    assert_eq!(Signer::read(&both).unwrap_err(), InvalidGitSecret::TwoSigningKeys);
}
