//! Packs, addresses and names, for the fuzzer.

use bytes::Bytes;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::sync::mpsc;

use super::mirror::{IncomingPack, Intake, Mirror, Piece};
use super::{BranchName, RepositoryUrl, ssh, wire};
use crate::fuzzing::Target;

const OWN: &[Target] = &[
    Target { name: "git-pack", run: pack },
    Target { name: "git-url", run: url },
    Target { name: "git-branch", run: branch },
];

/// Those of the wire and of SSH, and what is here.
pub(crate) fn targets() -> Vec<Target> {
    [wire::fuzzing::TARGETS, ssh::fuzzing::TARGETS, OWN].concat()
}

/// Takes a pack in. An input that begins with `=` gets the right checksum at its end, without which nothing is looked at.
fn pack(input: &[u8]) {
    let mut bytes = input.strip_prefix(b"=").unwrap_or(input).to_vec();
    if input.starts_with(b"=") {
        bytes.extend_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, &bytes).as_ref());
    }
    let Ok(folder) = tempfile::tempdir() else { return };
    let Ok(mirror) = Mirror::open(folder.path().join("mirror")) else { return };
    let (sender, receiver) = mpsc::channel(1024);
    for piece in bytes.chunks(bytes.len() / 3 + 1) {
        assert!(sender.try_send(Piece::Bytes(Bytes::copy_from_slice(piece))).is_ok());
    }
    assert!(sender.try_send(Piece::End).is_ok());
    drop(sender);
    let intake = mirror.take_in(IncomingPack { bytes: receiver, max_objects: 1000 });
    let packs = std::fs::read_dir(folder.path().join("mirror/objects/pack")).into_iter().flatten().count();
    match intake {
        Ok(Intake::Taken) => assert!(packs == 2, "a pack and its index: {packs}"),
        Ok(Intake::TooManyObjects(_) | Intake::TooManyBytes(_)) | Err(_) => {
            assert!(packs == 0, "{packs} files of a pack that is none")
        }
    }
}

fn url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(url) = RepositoryUrl::parse(text) else { return };
    let shown = url.to_string();
    assert_eq!(RepositoryUrl::parse(&shown).as_ref(), Ok(&url), "{shown}");
    match &url {
        RepositoryUrl::Http(url) => {
            assert!(url.username().is_empty() && url.password().is_none() && url.query().is_none(), "{url}");
        }
        RepositoryUrl::Ssh(url) => {
            for part in [&url.user, &url.host, &url.path] {
                assert!(!part.starts_with('-') && !part.contains(char::is_control), "{url}");
            }
        }
        RepositoryUrl::Local(path) => {
            assert!(path.is_absolute() && path.components().all(|part| part.as_os_str() != ".."), "{shown}");
        }
    }
}

/// Whatever is a branch to Tagtide is one to libgit2, whose rules are Git's.
fn branch(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match BranchName::parse(text) {
        Ok(branch) => {
            assert!(git2::Reference::is_valid_name(&branch.full_ref()), "{}", branch.full_ref());
            assert!(!text.starts_with('-'), "{text} would be read as an option");
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}
