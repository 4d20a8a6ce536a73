//! Answers of a hostile server, for the fuzzer.

use std::fmt::Debug;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::sync::mpsc;

use super::fetch::{find_branch, read_pack, skip_to_pack};
use super::pkt::{self, Pkt, PktReader};
use super::push::{PushReport, read_answer};
use super::{Chunks, ReadFeatures, WireError, WriteFeatures, v0};
use crate::fuzzing::Target;
use crate::git::BranchName;

pub(in crate::git) const TARGETS: &[Target] = &[
    Target { name: "pkt-line", run: lines },
    Target { name: "git-advertisement", run: advertisement },
    Target { name: "git-refs", run: refs },
    Target { name: "git-fetch", run: fetch },
    Target { name: "git-report", run: report },
];

/// An answer that comes in pieces of one size.
struct Pieces {
    rest: Bytes,
    size: usize,
}

impl Chunks for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        let size = self.size.min(self.rest.len());
        Ok((size > 0).then(|| self.rest.split_to(size)))
    }
}

/// An input that begins with `=` is lines of text that become pkt-lines, with an empty one for a flush and a dot for a
/// delimiter, so that what is in the lines is reached; `>` stands for band 1. Any other is the bytes themselves.
fn answer_of(input: &[u8]) -> Vec<u8> {
    let Some(text) = input.strip_prefix(b"=") else { return input.to_vec() };
    let mut bytes = Vec::new();
    for line in text.split(|&byte| byte == b'\n').filter(|line| line.len() < pkt::MAX_PAYLOAD) {
        match line {
            b"" => pkt::write_flush(&mut bytes),
            b"." => pkt::write_delimiter(&mut bytes),
            [b'>', payload @ ..] => pkt::write_data(&mut bytes, &[b"\x01", payload].concat()),
            line => pkt::write_data(&mut bytes, &[line, b"\n"].concat()),
        }
    }
    bytes
}

/// What comes of reading an answer, which may not depend on how it is cut.
fn read<T: Debug>(answer: &[u8], reader: impl AsyncFn(Pieces) -> Result<T, WireError>) -> Option<T> {
    let mut outcomes = [usize::MAX, 7, 1].map(|size| {
        let pieces = Pieces { rest: Bytes::copy_from_slice(answer), size };
        reader(pieces).now_or_never()
    });
    let shown = outcomes.each_ref().map(|outcome| format!("{outcome:?}"));
    assert!(shown.iter().all(|one| *one == shown[0]), "the cut of the bytes matters: {shown:?}");
    let outcome = outcomes[0].take();
    assert!(outcome.is_some(), "a reader waits for more than its bytes");
    outcome?.ok()
}

fn main_branch() -> Option<BranchName> {
    BranchName::parse("main").ok()
}

fn lines(input: &[u8]) {
    let all = read(input, async |answer| {
        let mut reader = PktReader::new(answer);
        let mut all = Vec::new();
        while let Some(pkt) = reader.next().await? {
            all.push(pkt);
        }
        Ok(all)
    });
    let Some(all) = all else { return };
    let mut written = Vec::new();
    for pkt in &all {
        match pkt {
            Pkt::Data(payload) => pkt::write_data(&mut written, payload),
            Pkt::Flush => pkt::write_flush(&mut written),
            Pkt::Delimiter => pkt::write_delimiter(&mut written),
            Pkt::ResponseEnd => written.extend_from_slice(b"0002"),
        }
    }
    // Lengths may be written in capitals.
    assert!(written.eq_ignore_ascii_case(input), "what was read is not what was there");
}

fn advertisement(input: &[u8]) {
    let answer = answer_of(input);
    read(&answer, async |answer| ReadFeatures::read(answer).await);
    if read(&answer, async |answer| WriteFeatures::read(answer).await).is_some() {
        assert!(holds(&answer, b"report-status"), "a push would have no report");
    }
}

fn refs(input: &[u8]) {
    let answer = answer_of(input);
    let Some(branch) = main_branch() else { return };
    let found = [
        read(&answer, async |answer| find_branch(answer, &branch).await),
        read(&answer, async |answer| v0::find_branch(answer, &branch).await),
    ];
    for id in found.into_iter().flatten().flatten() {
        let line = format!("{id} refs/heads/main");
        assert!(holds(&answer.to_ascii_lowercase(), line.as_bytes()), "{line} is nowhere");
    }
}

fn fetch(input: &[u8]) {
    let answer = answer_of(input);
    let pack_of = async |pieces: Pieces, is_v0: bool| {
        let (sender, mut pack) = mpsc::channel(1 << 16);
        let mut reader = PktReader::new(pieces);
        let first =
            if is_v0 { v0::skip_to_pack(&mut reader).await? } else { skip_to_pack(&mut reader).await? };
        read_pack(first, reader, sender).await?;
        let mut whole = Vec::new();
        while let Ok(piece) = pack.try_recv() {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    };
    for is_v0 in [false, true] {
        let pack = read(&answer, async |pieces| pack_of(pieces, is_v0).await);
        assert!(pack.is_none_or(|pack| pack.len() < answer.len()), "more came out than went in");
    }
}

/// The first byte tells whether the report comes in a side band.
fn report(input: &[u8]) {
    let Some((&first, input)) = input.split_first() else { return };
    let answer = answer_of(input);
    match read(&answer, async |answer| read_answer(answer, first == b'1', "refs/heads/main").await) {
        Some(PushReport::Taken) => {
            // In bands the words may be cut anywhere.
            let is_said = |words: &[u8]| first == b'1' || holds(&answer, words);
            assert!(is_said(b"unpack ok") && is_said(b"ok refs/heads/main"), "nobody said so");
        }
        Some(PushReport::Refused(words)) => {
            assert!(!words.contains(crate::unfit::is_unfit) && words.chars().count() <= 300, "{words:?}");
        }
        None => {}
    }
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}
