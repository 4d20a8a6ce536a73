//! Answers that a broken or hostile server could give: honest ones, cut and spoilt at random. Nothing panics, nothing
//! reads for ever, and nothing that was cut short passes as whole.

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::fetch::{find_branch, read_pack, skip_to_pack};
use super::pkt::tests::Pieces;
use super::pkt::{PktReader, write_data, write_delimiter, write_flush, write_line};
use super::push::{PushReport, read_answer};
use super::{ReadFeatures, WireError, WriteFeatures, v0};
use crate::git::BranchName;

const ONE: &str = "1111111111111111111111111111111111111111";
const MAIN: &str = "refs/heads/main";

/// Every reader of answers, with an honest answer for it.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Reads,
    ReadsV0,
    Writes,
    Refs,
    RefsV0,
    Pack,
    PackV0,
    Report,
}

const READERS: [Reader; 8] = [
    Reader::Reads,
    Reader::ReadsV0,
    Reader::Writes,
    Reader::Refs,
    Reader::RefsV0,
    Reader::Pack,
    Reader::PackV0,
    Reader::Report,
];

impl Reader {
    fn honest(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut lines = |lines: &[&str]| lines.iter().for_each(|line| write_line(&mut bytes, line));
        let capabilities = "multi_ack_detailed side-band-64k thin-pack ofs-delta shallow agent=git/2";
        match self {
            Self::Reads => {
                lines(&["version 2\n", "ls-refs=unborn\n", "fetch=shallow\n", "object-format=sha1\n"])
            }
            Self::ReadsV0 | Self::RefsV0 => {
                lines(&[&format!("{ONE} HEAD\0{capabilities}\n"), &format!("{ONE} {MAIN}\n")]);
            }
            Self::Writes => lines(&[&format!("{ONE} {MAIN}\0report-status side-band-64k\n")]),
            Self::Refs => lines(&[&format!("{ONE} {MAIN}\n"), &format!("{ONE} {MAIN}-2\n")]),
            Self::Pack => {
                lines(&["shallow-info\n", &format!("shallow {ONE}\n")]);
                write_delimiter(&mut bytes);
                write_line(&mut bytes, "packfile\n");
                write_data(&mut bytes, b"\x01PACK the objects");
                write_data(&mut bytes, b"\x02words");
            }
            Self::PackV0 => {
                lines(&[&format!("shallow {ONE}\n")]);
                write_flush(&mut bytes);
                write_line(&mut bytes, "NAK\n");
                write_data(&mut bytes, b"\x01PACK the objects");
            }
            Self::Report => {
                let mut report = Vec::new();
                write_line(&mut report, "unpack ok\n");
                write_line(&mut report, &format!("ok {MAIN}\n"));
                write_flush(&mut report);
                write_data(&mut bytes, &[&b"\x01"[..], &report].concat());
            }
        }
        write_flush(&mut bytes);
        bytes
    }

    /// Reads an answer to its end; `Ok` is what passes as whole.
    async fn read(self, bytes: &[u8], size: usize) -> Result<(), WireError> {
        let answer = Pieces::of(bytes, size);
        let branch = BranchName::parse("main").unwrap();
        match self {
            Self::Reads | Self::ReadsV0 => ReadFeatures::read(answer).await.map(|_| ()),
            Self::Writes => WriteFeatures::read(answer).await.map(|_| ()),
            Self::Refs => find_branch(answer, &branch).await.map(|_| ()),
            Self::RefsV0 => v0::find_branch(answer, &branch).await.map(|_| ()),
            Self::Pack | Self::PackV0 => {
                let (sender, mut pack) = mpsc::channel::<Bytes>(1);
                tokio::spawn(async move { while pack.recv().await.is_some() {} });
                let mut reader = PktReader::new(answer);
                let first = match self {
                    Self::Pack => skip_to_pack(&mut reader).await?,
                    _ => v0::skip_to_pack(&mut reader).await?,
                };
                read_pack(first, reader, sender).await
            }
            Self::Report => match read_answer(answer, true, MAIN).await? {
                PushReport::Taken => Ok(()),
                PushReport::Refused(words) => Err(WireError::Server(words)),
            },
        }
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn honest_answers_pass_and_none_of_their_beginnings_does() {
    for reader in READERS {
        let whole = reader.honest();
        block(reader.read(&whole, 7)).unwrap_or_else(|error| panic!("{reader:?}: {error}"));
        // What can be done stands in the first line of the older protocols; the list of refs is read on its own.
        if matches!(reader, Reader::ReadsV0 | Reader::Writes) {
            continue;
        }
        for length in 0..whole.len() {
            let part = whole.get(..length).unwrap();
            assert!(block(reader.read(part, 7)).is_err(), "{reader:?}: {length} of {} bytes", whole.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn spoilt_answers_are_read_to_an_end(
        reader in prop::sample::select(&READERS[..]),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
        size in 1_usize..64,
    ) {
        let mut bytes = reader.honest();
        for (at, byte, how) in spoils {
            let at = at.index(bytes.len().max(1));
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ => if let Some(old) = bytes.get_mut(at) { *old = byte },
            }
        }
        let _ = block(reader.read(&bytes, size));
    }

    #[test]
    fn noise_passes_as_nothing_whole(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..64) {
        for reader in READERS {
            prop_assert!(block(reader.read(&bytes, size)).is_err(), "{:?}", reader);
        }
    }
}
