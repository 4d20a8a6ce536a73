//! Signed commits, as `git verify-commit` judges them.

use std::collections::BTreeMap;

use tagtide::git::{InvalidGitSecret, Published, Signer};

use super::faulty_server::honest;
use super::{InfraRepo, Scene, draft};
use crate::support::ssh_server::keygen;
use crate::support::workspace;

fn signer(entries: &[(&str, &str)]) -> Result<Signer, InvalidGitSecret> {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
    Signer::read(&data.collect::<BTreeMap<_, _>>())
}

#[tokio::test]
async fn git_verifies_the_signatures_of_every_kind_of_key_and_of_no_other() {
    let repo = InfraRepo::new();
    repo.seed(&[("a.yaml", "0")]);
    let mut scene = Scene::over(repo, honest).await;
    let keys = workspace::folder("keys");
    let allowed = keys.path().join("allowed");
    for (number, (options, password)) in [
        (&["-t", "ed25519", "-f"][..], ""),
        (&["-t", "ed25519", "-a", "1", "-f"], "hunter2"),
        (&["-t", "ecdsa", "-b", "256", "-f"], ""),
        (&["-t", "ecdsa", "-b", "384", "-f"], ""),
        (&["-t", "ecdsa", "-b", "521", "-f"], ""),
        (&["-t", "rsa", "-b", "2048", "-f"], ""),
        (&["-t", "rsa", "-b", "3072", "-m", "PEM", "-f"], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let path = keys.path().join(format!("key-{number}"));
        keygen(options, &path, password);
        let identity = std::fs::read_to_string(&path).unwrap();
        let mut entries = vec![("identity", identity.as_str())];
        if !password.is_empty() {
            entries.push(("password", password));
        }
        let head = scene.head().await;
        let mut draft = draft(head, "a.yaml", &(number + 1).to_string());
        draft.signer = Some(signer(&entries).unwrap());
        let published = scene.branch.publish(draft).await.unwrap();
        let Published::Taken(commits) = published else { panic!("{published:?}") };

        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        std::fs::write(&allowed, format!("tagtide@localhost {public}")).unwrap();
        let file = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let commit = commits[0].to_string();
        let verify = ["-c", &file, "verify-commit", "-v", &commit];
        let done = scene.repo.git(&scene.repo.path(), &verify);
        assert_eq!(done.code, Some(0), "{options:?}: {}", done.stderr);
        assert!(done.stderr.contains("Good \"git\" signature for tagtide@localhost"), "{}", done.stderr);

        // The check can fail: nobody else's signature passes as this one's.
        let other = keys.path().join(format!("other-{number}"));
        keygen(&["-t", "ed25519", "-f"], &other, "");
        let public = std::fs::read_to_string(other.with_extension("pub")).unwrap();
        std::fs::write(&allowed, format!("tagtide@localhost {public}")).unwrap();
        assert_ne!(scene.repo.git(&scene.repo.path(), &verify).code, Some(0), "{options:?}");
    }
    super::git(&scene.repo, &["fsck", "--strict"]);
    scene.check();
}

#[test]
fn a_key_that_can_not_sign_is_told_so() {
    let keys = workspace::folder("keys");
    let path = keys.path().join("key");
    keygen(&["-t", "ed25519", "-a", "1", "-f"], &path, "hunter2");
    let identity = std::fs::read_to_string(&path).unwrap();
    assert_eq!(signer(&[]).unwrap_err(), InvalidGitSecret::NoSigningKey);
    assert_eq!(signer(&[("identity", "x")]).unwrap_err(), InvalidGitSecret::NoKey);
    assert_eq!(signer(&[("identity", &identity)]).unwrap_err(), InvalidGitSecret::KeyIsEncrypted);
    let wrong = signer(&[("identity", &identity), ("password", "wrong")]).unwrap_err();
    assert_eq!(wrong, InvalidGitSecret::KeyOrPassword);
    let right = signer(&[("identity", &identity), ("password", "hunter2\n")]).unwrap();
    assert!(format!("{right:?}").starts_with("Signer(SHA256:"), "{right:?}");
}
