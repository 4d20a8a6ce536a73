//! Reading: where a branch is, and the pack of a commit.

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::pkt::{Pkt, PktReader, write_delimiter, write_flush, write_line};
use super::{AGENT, Chunks, ReadFeatures, Service, Transport, WireError, checked_line, cleaned, v0};
use crate::git::{BlobId, BranchName, CommitId};

/// The most refs that are read for one branch: a prefix also matches `main-2`, `main-3` and so on.
const MAX_REFS: usize = 100_000;

/// The line that leaves files out of a pack (git-rev-list, `--filter`).
pub(super) const NO_FILES: &str = "filter blob:none\n";

/// What a pack is asked to hold.
#[derive(Clone, Copy, Debug)]
pub(in crate::git) enum PackRequest<'a> {
    /// A commit without its history.
    Commit {
        /// The commit.
        id: CommitId,
        /// The commit that is held already, with all its folders and none of its history: what it has too does not
        /// come, and what comes may be written down as a difference to it.
        held: Option<CommitId>,
        /// Whether its files come too.
        with_files: bool,
    },
    /// Files by their ids, none of them as a difference to anything outside of the pack.
    Files(&'a [BlobId]),
}

/// Asks where a branch is; `None` where the server has no such branch.
pub(in crate::git) async fn list_branch<T: Transport>(
    transport: &T,
    features: &ReadFeatures,
    branch: &BranchName,
) -> Result<Option<CommitId>, WireError> {
    if let ReadFeatures::V0(_) = features {
        return v0::list_branch(transport, branch).await;
    }
    let mut request = Vec::new();
    write_line(&mut request, "command=ls-refs\n");
    write_line(&mut request, &format!("{AGENT}\n"));
    write_line(&mut request, "object-format=sha1\n");
    write_delimiter(&mut request);
    write_line(&mut request, &format!("ref-prefix {}\n", branch.full_ref()));
    write_flush(&mut request);
    let answer = transport.call(Service::UploadPack, request.into()).await?;
    find_branch(answer, branch).await
}

pub(super) async fn find_branch<S: Chunks>(
    answer: S,
    branch: &BranchName,
) -> Result<Option<CommitId>, WireError> {
    let mut reader = PktReader::new(answer);
    let full_ref = branch.full_ref();
    let mut found = None;
    for _ in 0..MAX_REFS {
        match reader.next().await? {
            Some(Pkt::Data(line)) => {
                // Other refs may have names that are no UTF-8; an id and the branch's name always are.
                let line = match checked_line(&line) {
                    Ok(line) => line,
                    Err(WireError::NotPktLine) => continue,
                    Err(error) => return Err(error),
                };
                let mut words = line.split(' ');
                if let (Some(id), Some(name)) = (words.next(), words.next())
                    && name == full_ref
                {
                    found = Some(CommitId::parse(id).ok_or(WireError::NotPktLine)?);
                }
            }
            Some(Pkt::Flush) => return Ok(found),
            Some(Pkt::Delimiter | Pkt::ResponseEnd) => return Err(WireError::NotPktLine),
            // An answer without its flush is half an answer: the branch may be in the other half.
            None => return Err(WireError::CutShort),
        }
    }
    Err(WireError::TooMany { most: MAX_REFS as u64, what: "refs" })
}

/// Asks for a pack, and sends its bytes to `pack` as they come.
///
/// With a commit held already, `shallow`, `have`, `deepen 1` and `thin-pack` are all needed: without `thin-pack` the
/// whole tree comes again, without `shallow` a branch that was forced back to an ancestor gives an empty pack, and
/// without `deepen 1` the whole history comes.
///
/// # Errors
/// Where it ends with an error, what was sent is no whole pack and must be dropped.
pub(in crate::git) async fn fetch_pack<T: Transport>(
    transport: &T,
    features: &ReadFeatures,
    request: PackRequest<'_>,
    pack: mpsc::Sender<Bytes>,
) -> Result<(), WireError> {
    let request = match features {
        ReadFeatures::V2 { .. } => fetch_request(request),
        ReadFeatures::V0(capabilities) => v0::fetch_request(capabilities, request),
    };
    let mut reader = PktReader::new(transport.call(Service::UploadPack, request.into()).await?);
    let first = match features {
        ReadFeatures::V2 { .. } => skip_to_pack(&mut reader).await?,
        ReadFeatures::V0(_) => v0::skip_to_pack(&mut reader).await?,
    };
    read_pack(first, reader, pack).await
}

fn fetch_request(request: PackRequest<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    write_line(&mut lines, "command=fetch\n");
    write_line(&mut lines, &format!("{AGENT}\n"));
    write_line(&mut lines, "object-format=sha1\n");
    write_delimiter(&mut lines);
    write_line(&mut lines, "no-progress\n");
    write_line(&mut lines, "ofs-delta\n");
    match request {
        PackRequest::Commit { id, held, with_files } => {
            write_line(&mut lines, "thin-pack\n");
            write_line(&mut lines, "deepen 1\n");
            if !with_files {
                write_line(&mut lines, NO_FILES);
            }
            write_line(&mut lines, &format!("want {id}\n"));
            if let Some(held) = held {
                write_line(&mut lines, &format!("shallow {held}\n"));
                write_line(&mut lines, &format!("have {held}\n"));
            }
        }
        PackRequest::Files(files) => {
            files.iter().for_each(|file| write_line(&mut lines, &format!("want {file}\n")));
        }
    }
    write_line(&mut lines, "done\n");
    write_flush(&mut lines);
    lines
}

/// Reads past the sections before the pack; gives the first line of its side band.
pub(super) async fn skip_to_pack<S: Chunks>(reader: &mut PktReader<S>) -> Result<Bytes, WireError> {
    // What sections such as shallow-info say is known: the commit is the only boundary.
    let mut is_pack = false;
    loop {
        match reader.next().await? {
            Some(Pkt::Data(line)) if is_pack => return Ok(line),
            Some(Pkt::Data(line)) => is_pack = checked_line(&line)? == "packfile",
            Some(Pkt::Delimiter) if !is_pack => {}
            Some(Pkt::Delimiter | Pkt::Flush | Pkt::ResponseEnd) | None => return Err(WireError::CutShort),
        }
    }
}

/// Reads the side band to its end, from its first line on.
pub(super) async fn read_pack<S: Chunks>(
    first: Bytes,
    mut reader: PktReader<S>,
    pack: mpsc::Sender<Bytes>,
) -> Result<(), WireError> {
    let mut next = Some(Pkt::Data(first));
    loop {
        match next {
            Some(Pkt::Data(mut line)) => {
                let Some(&band) = line.first() else {
                    return Err(WireError::NotPktLine);
                };
                line.advance(1);
                match band {
                    1 => {
                        if pack.send(line).await.is_err() {
                            // The reader of the pack gave up, and its own error says why.
                            return Ok(());
                        }
                    }
                    2 => {}
                    3 => return Err(WireError::Server(cleaned(&line))),
                    _ => return Err(WireError::NotPktLine),
                }
            }
            Some(Pkt::Flush | Pkt::ResponseEnd) => return Ok(()),
            Some(Pkt::Delimiter) => return Err(WireError::NotPktLine),
            None => return Err(WireError::CutShort),
        }
        next = reader.next().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::pkt::tests::Pieces;
    use super::super::pkt::write_data;
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn find(lines: &[&str], flush: bool) -> Result<Option<CommitId>, WireError> {
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| write_line(&mut bytes, line));
        if flush {
            write_flush(&mut bytes);
        }
        block(find_branch(Pieces::of(&bytes, 11), &BranchName::parse("main").unwrap()))
    }

    #[test]
    fn finds_the_branch_itself_and_not_one_that_begins_alike() {
        let other = format!("{} refs/heads/main-2\n", ONE.replace('1', "2"));
        assert_eq!(find(&[&other, &format!("{ONE} refs/heads/main\n")], true).unwrap(), CommitId::parse(ONE));
        assert_eq!(find(&[&other], true).unwrap(), None);
    }

    #[test]
    fn half_a_list_of_refs_says_nothing_about_the_branch() {
        assert!(matches!(find(&[], false), Err(WireError::CutShort)));
        assert!(
            matches!(find(&["ERR access denied\n"], true), Err(WireError::Server(words)) if words == "access denied")
        );
    }

    fn read(bands: &[(u8, &[u8])], flush: bool) -> (Result<(), WireError>, Vec<u8>) {
        let mut bytes = Vec::new();
        write_line(&mut bytes, "shallow-info\n");
        write_line(&mut bytes, &format!("shallow {ONE}\n"));
        write_delimiter(&mut bytes);
        write_line(&mut bytes, "packfile\n");
        for (band, payload) in bands {
            write_data(&mut bytes, &[&[*band], *payload].concat());
        }
        if flush {
            write_flush(&mut bytes);
        }
        let (sender, mut receiver) = mpsc::channel(64);
        let mut reader = PktReader::new(Pieces::of(&bytes, 5));
        let result = block(async {
            let first = skip_to_pack(&mut reader).await?;
            read_pack(first, reader, sender).await
        });
        let mut pack = Vec::new();
        while let Ok(piece) = receiver.try_recv() {
            pack.extend_from_slice(&piece);
        }
        (result, pack)
    }

    #[test]
    fn takes_the_pack_out_of_the_side_band() {
        let (result, pack) = read(&[(1, b"PA"), (2, b"counting"), (1, b"CK")], true);
        assert!(result.is_ok());
        assert_eq!(pack, b"PACK");
    }

    #[test]
    fn a_pack_without_its_end_is_an_error_however_whole_it_looks() {
        assert!(matches!(read(&[(1, b"PACK")], false).0, Err(WireError::CutShort)));
        assert!(
            matches!(read(&[(3, b"out of memory\n\x1b[31m")], true).0, Err(WireError::Server(w)) if w == "out of memory [31m")
        );
    }
}
