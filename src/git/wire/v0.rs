//! Reading from servers that know protocol v2 not at all, or were not told of it: Azure DevOps, old hosts, and SSH
//! servers that do not hand on `GIT_PROTOCOL` (gitprotocol-pack, "Reference Discovery" and "Packfile Negotiation").
//!
//! Version 1 differs by its first line alone.

use bytes::Bytes;

use super::fetch::NO_FILES;
use super::pkt::{Pkt, PktReader, write_flush, write_line};
use super::{Chunks, PackRequest, Service, Transport, WireError, checked_line};
use crate::git::{BranchName, CommitId};

/// What the server must be able to do, with the name that an error gives it.
const NEEDED: [&str; 2] = ["side-band-64k", "shallow"];

/// What is asked for wherever the server offers it. Azure DevOps turns clients away that do not ask for `multi_ack`.
const WELCOME: [&str; 4] = ["multi_ack_detailed", "thin-pack", "ofs-delta", "no-progress"];

/// The most refs that are read for one branch: this protocol lists all of them.
const MAX_REFS: usize = 2_000_000;

/// One of these lets a client ask for an object that no ref points to, such as a file.
const BY_ID: [&str; 2] = ["allow-reachable-sha1-in-want", "allow-any-sha1-in-want"];

/// What is asked of the server with each fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct Capabilities {
    chosen: String,
    /// Whether it leaves files out when it is asked to, and sends single files by their ids.
    pub(super) serves_parts: bool,
}

impl Capabilities {
    /// Chooses among what stands behind the NUL of the first ref.
    pub(super) fn choose(first: &[u8]) -> Result<Self, WireError> {
        let offered = first.split(|&byte| byte == 0).nth(1).ok_or(WireError::NotPktLine)?;
        let offered: Vec<&str> = super::pkt::text_of(offered)?.split(' ').collect();
        if let Some(format) = offered.iter().find_map(|one| one.strip_prefix("object-format="))
            && format != "sha1"
        {
            return Err(WireError::Unsupported("SHA-1 object ids"));
        }
        if let Some(missing) = NEEDED.into_iter().find(|needed| !offered.contains(needed)) {
            return Err(WireError::Unsupported(missing));
        }
        let mut chosen = NEEDED.to_vec();
        chosen.extend(WELCOME.into_iter().filter(|one| offered.contains(one)));
        if !offered.contains(&"multi_ack_detailed") && offered.contains(&"multi_ack") {
            chosen.push("multi_ack");
        }
        if offered.iter().any(|one| one.starts_with("agent=")) {
            chosen.push(super::AGENT);
        }
        let serves_parts = offered.contains(&"filter") && BY_ID.iter().any(|one| offered.contains(one));
        Ok(Self { chosen: chosen.join(" "), serves_parts })
    }
}

/// Asks where a branch is. The server answers with all its refs; none but the branch is kept.
pub(super) async fn list_branch<T: Transport>(
    transport: &T,
    branch: &BranchName,
) -> Result<Option<CommitId>, WireError> {
    find_branch(transport.advertisement(Service::UploadPack).await?, branch).await
}

pub(super) async fn find_branch<S: Chunks>(
    answer: S,
    branch: &BranchName,
) -> Result<Option<CommitId>, WireError> {
    let mut reader = PktReader::new(answer);
    let full_ref = branch.full_ref();
    let (mut found, mut has_begun) = (None, false);
    for _ in 0..MAX_REFS {
        match reader.next().await? {
            Some(Pkt::Data(line)) if line.starts_with(b"# service=") => {}
            // It lists no refs here any more, which says nothing of the branch.
            Some(Pkt::Data(line)) if line.trim_ascii_end() == b"version 2" => {
                return Err(WireError::Unsupported("the protocol that it spoke before; it is asked again"));
            }
            Some(Pkt::Data(line)) => {
                has_begun = true;
                let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
                // Other refs may have names that are no UTF-8; an id and the branch's name always are.
                if let Some((id, name)) = checked_line(line).ok().and_then(|line| line.split_once(' '))
                    && name == full_ref
                {
                    found = Some(CommitId::parse(id).ok_or(WireError::NotPktLine)?);
                }
            }
            // The one behind the line `# service=…`.
            Some(Pkt::Flush) if !has_begun => {}
            Some(Pkt::Flush) => return Ok(found),
            Some(Pkt::Delimiter | Pkt::ResponseEnd) => return Err(WireError::NotPktLine),
            // Half a list: the branch may be in the other half.
            None => return Err(WireError::CutShort),
        }
    }
    Err(WireError::TooMany { most: MAX_REFS as u64, what: "refs" })
}

/// The request for a pack.
pub(super) fn fetch_request(capabilities: &Capabilities, request: PackRequest<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    let chosen = &capabilities.chosen;
    match request {
        PackRequest::Commit { id, held, with_files } => {
            let filter = if with_files { "" } else { " filter" };
            write_line(&mut lines, &format!("want {id} {chosen}{filter}\n"));
            if let Some(held) = held {
                write_line(&mut lines, &format!("shallow {held}\n"));
            }
            write_line(&mut lines, "deepen 1\n");
            if !with_files {
                write_line(&mut lines, NO_FILES);
            }
            write_flush(&mut lines);
            if let Some(held) = held {
                write_line(&mut lines, &format!("have {held}\n"));
            }
        }
        PackRequest::Files(files) => {
            let chosen: Vec<&str> = chosen.split(' ').filter(|one| *one != "thin-pack").collect();
            let mut capabilities = format!(" {}", chosen.join(" "));
            for file in files {
                // They stand behind the first line alone.
                write_line(&mut lines, &format!("want {file}{}\n", std::mem::take(&mut capabilities)));
            }
            write_flush(&mut lines);
        }
    }
    write_line(&mut lines, "done\n");
    lines
}

/// Reads past the shallow lines and the acknowledgements; gives the first line of the pack's side band.
pub(super) async fn skip_to_pack<S: Chunks>(reader: &mut PktReader<S>) -> Result<Bytes, WireError> {
    loop {
        match reader.next().await? {
            // A band is a number below four; every other line here is text.
            Some(Pkt::Data(line)) if line.first().is_some_and(|&band| band < 4) => return Ok(line),
            Some(Pkt::Data(line)) => {
                let line = checked_line(&line)?;
                if !["shallow ", "unshallow ", "ACK ", "NAK"].iter().any(|known| line.starts_with(known)) {
                    return Err(WireError::NotPktLine);
                }
            }
            // The end of the shallow lines.
            Some(Pkt::Flush) => {}
            Some(Pkt::Delimiter | Pkt::ResponseEnd) => return Err(WireError::NotPktLine),
            None => return Err(WireError::CutShort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pkt::tests::Pieces;
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn bytes(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            if line.is_empty() { write_flush(&mut bytes) } else { write_line(&mut bytes, line) }
        }
        bytes
    }

    fn find(lines: &[&str]) -> Result<Option<CommitId>, WireError> {
        block(find_branch(Pieces::of(&bytes(lines), 9), &BranchName::parse("main").unwrap()))
    }

    #[test]
    fn asks_for_what_is_offered_and_for_nothing_else() {
        let offer = |text: &str| Capabilities::choose(format!("{ONE} HEAD\0{text}\n").as_bytes());
        let chosen = offer("multi_ack thin-pack side-band-64k shallow filter agent=git/1").unwrap();
        let wanted = format!("side-band-64k shallow thin-pack multi_ack {}", super::super::AGENT);
        assert_eq!((chosen.chosen, chosen.serves_parts), (wanted, false), "no file by its id");
        let chosen =
            offer("multi_ack multi_ack_detailed ofs-delta side-band-64k shallow no-progress").unwrap();
        assert_eq!(chosen.chosen, "side-band-64k shallow multi_ack_detailed ofs-delta no-progress");
        let chosen =
            offer("side-band-64k shallow filter allow-tip-sha1-in-want allow-reachable-sha1-in-want");
        assert!(chosen.unwrap().serves_parts);
        assert!(matches!(offer("shallow"), Err(WireError::Unsupported("side-band-64k"))));
        assert!(matches!(offer("side-band-64k"), Err(WireError::Unsupported("shallow"))));
        assert!(matches!(
            offer("side-band-64k shallow object-format=sha256"),
            Err(WireError::Unsupported("SHA-1 object ids"))
        ));
    }

    #[test]
    fn finds_the_branch_among_all_refs() {
        let main = format!("{ONE} refs/heads/main\n");
        let other = format!("{} refs/heads/main-2\n", ONE.replace('1', "2"));
        let head = format!("{ONE} HEAD\0shallow\n");
        let found = CommitId::parse(ONE);
        assert_eq!(find(&["# service=git-upload-pack\n", "", &head, &main, &other, ""]).unwrap(), found);
        assert_eq!(find(&["version 1\n", &head, &main, ""]).unwrap(), found);
        assert_eq!(
            find(&[&format!("{ONE} refs/heads/main\0shallow\n"), ""]).unwrap(),
            found,
            "the first ref"
        );
        assert!(
            matches!(find(&["version 2\n", "ls-refs\n", ""]), Err(WireError::Unsupported(_))),
            "upgraded"
        );
        let empty = format!("{} capabilities^{{}}\0shallow\n", ONE.replace('1', "0"));
        assert_eq!(find(&[&empty, ""]).unwrap(), None, "an empty repository");
        assert!(matches!(find(&[&head, &main]), Err(WireError::CutShort)), "half a list");
    }

    #[test]
    fn the_pack_begins_behind_acknowledgements_and_shallow_lines() {
        let skip = |lines: &[&str]| {
            let bytes = bytes(lines);
            block(async { skip_to_pack(&mut PktReader::new(Pieces::of(&bytes, 5))).await })
        };
        let shallow = format!("shallow {ONE}\n");
        let ack = format!("ACK {ONE} common\n");
        assert_eq!(skip(&[&shallow, "", &ack, &format!("ACK {ONE}\n"), "\u{1}PACK"]).unwrap(), "\u{1}PACK");
        assert_eq!(skip(&[&shallow, "", "NAK\n", "\u{2}words"]).unwrap(), "\u{2}words");
        assert!(
            matches!(skip(&["ERR not our ref\n"]), Err(WireError::Server(words)) if words == "not our ref")
        );
        assert!(matches!(skip(&["<html>"]), Err(WireError::NotPktLine)));
        assert!(matches!(skip(&[&shallow, ""]), Err(WireError::CutShort)));
    }
}
