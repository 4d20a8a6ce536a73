//! Writing: one ref moved from one commit to another, with the pack that makes it possible.

use bytes::{Buf, Bytes, BytesMut};

use super::pkt::{Chunks, Pkt, PktReader, text_of, write_data, write_flush};
use super::{AGENT, Service, Transport, WireError, WriteFeatures, cleaned};
use crate::git::{BranchName, CommitId};

/// The most bytes of a report that are read; a report on one ref has some hundred.
const MAX_REPORT: usize = 1 << 20;

/// What is to be pushed.
pub(in crate::git) struct PushRequest<'a> {
    /// The branch.
    pub(in crate::git) branch: &'a BranchName,
    /// Where the branch is; `None` makes it. The server moves the branch only if it is there: this is a commit in the
    /// history of `new`, never the tip that was listed last, or someone's commit between the two would be dropped and
    /// the server would agree.
    pub(in crate::git) old: Option<CommitId>,
    /// The commit that the branch shall point to.
    pub(in crate::git) new: CommitId,
    /// What the server's hooks shall be told, a line each.
    pub(in crate::git) options: &'a [String],
    /// The pack with all objects that are new.
    pub(in crate::git) pack: &'a [u8],
}

/// What the server made of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) enum PushReport {
    /// The branch points to the new commit.
    Taken,
    /// It does not; these are the server's words. A lost race reads the same as a hook's refusal on some servers, so
    /// the caller looks where the branch is before it believes either.
    Refused(String),
}

/// Pushes, and reads the report to its end (gitprotocol-pack, "Report Status").
///
/// # Errors
/// After any error it is not known whether the server took the push: the caller must look.
pub(in crate::git) async fn push_pack<T: Transport>(
    transport: &T,
    features: WriteFeatures,
    request: &PushRequest<'_>,
) -> Result<PushReport, WireError> {
    let PushRequest { branch, old, new, options, pack } = request;
    if !options.is_empty() && !features.push_options {
        return Err(WireError::Unsupported("push options, which spec.publish.push.options asks for"));
    }
    let side_band = if features.side_band { " side-band-64k" } else { "" };
    let with_options = if options.is_empty() { "" } else { " push-options" };
    let full_ref = branch.full_ref();
    let old = old.map_or_else(|| "0".repeat(40), |old| old.to_string());
    let mut body = Vec::with_capacity(pack.len() + 512);
    write_data(
        &mut body,
        format!("{old} {new} {full_ref}\0 report-status{side_band}{with_options} {AGENT}\n").as_bytes(),
    );
    write_flush(&mut body);
    if !options.is_empty() {
        options.iter().for_each(|option| write_data(&mut body, option.as_bytes()));
        write_flush(&mut body);
    }
    body.extend_from_slice(pack);
    let answer = transport.call(Service::ReceivePack, body.into()).await?;
    read_answer(answer, features.side_band, &full_ref).await
}

pub(super) async fn read_answer<S: Chunks>(
    answer: S,
    has_side_band: bool,
    full_ref: &str,
) -> Result<PushReport, WireError> {
    if has_side_band {
        let (report, words) = split_bands(answer).await?;
        read_report(Whole(Some(report)), full_ref, &words).await
    } else {
        read_report(answer, full_ref, "").await
    }
}

/// Reads the two bands of an answer: the report, and what hooks and the server said to people.
async fn split_bands<S: Chunks>(answer: S) -> Result<(Bytes, String), WireError> {
    let mut reader = PktReader::new(answer);
    let (mut report, mut words) = (BytesMut::new(), Vec::new());
    while let Some(pkt) = reader.next().await? {
        let mut line = match pkt {
            Pkt::Data(line) => line,
            Pkt::Flush => return Ok((report.freeze(), cleaned(&words))),
            Pkt::Delimiter | Pkt::ResponseEnd => return Err(WireError::NotPktLine),
        };
        let Some(&band) = line.first() else {
            return Err(WireError::NotPktLine);
        };
        line.advance(1);
        match band {
            1 => report.extend_from_slice(&line),
            2 => words.extend(line.iter().take(4096_usize.saturating_sub(words.len()))),
            3 => return Err(WireError::Server(cleaned(&line))),
            _ => return Err(WireError::NotPktLine),
        }
        if report.len() > MAX_REPORT {
            return Err(WireError::TooMany { most: MAX_REPORT as u64, what: "bytes of report" });
        }
    }
    Err(WireError::CutShort)
}

/// Bytes that are all there, as a source.
struct Whole(Option<Bytes>);

impl Chunks for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        Ok(self.0.take())
    }
}

/// Reads `unpack ok` and `ok <ref>`. Only both together mean that the push was taken.
async fn read_report<S: Chunks>(report: S, full_ref: &str, words: &str) -> Result<PushReport, WireError> {
    let mut reader = PktReader::new(report);
    let (mut verdict, mut is_unpacked) = (None, false);
    while let Some(pkt) = reader.next().await? {
        let line = match pkt {
            Pkt::Data(line) => line,
            Pkt::Flush => break,
            Pkt::Delimiter | Pkt::ResponseEnd => return Err(WireError::NotPktLine),
        };
        let line = text_of(&line)?;
        let refused = |why: &str| {
            let both = if words.is_empty() { why.to_owned() } else { format!("{why}: {words}") };
            Some(PushReport::Refused(cleaned(both.as_bytes())))
        };
        match line.split_once(' ') {
            Some(("unpack", "ok")) => is_unpacked = true,
            Some(("unpack", why)) => verdict = refused(why),
            Some(("ok", name)) if name == full_ref => verdict = verdict.or(Some(PushReport::Taken)),
            Some(("ng", rest)) => {
                let why = rest.strip_prefix(full_ref).map_or(rest, str::trim_start);
                verdict = refused(why);
            }
            Some(_) | None => {}
        }
    }
    verdict.filter(|verdict| is_unpacked || *verdict != PushReport::Taken).ok_or(WireError::CutShort)
}

#[cfg(test)]
mod tests {
    use super::super::pkt::tests::Pieces;
    use super::super::pkt::write_line;
    use super::*;

    const MAIN: &str = "refs/heads/main";

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn report(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| write_line(&mut bytes, line));
        write_flush(&mut bytes);
        bytes
    }

    fn read(lines: &[&str]) -> Result<PushReport, WireError> {
        block(read_report(Pieces::of(&report(lines), 6), MAIN, "a hook's words"))
    }

    #[test]
    fn only_the_ok_of_our_ref_means_taken() {
        assert_eq!(read(&["unpack ok\n", "ok refs/heads/main\n"]).unwrap(), PushReport::Taken);
        assert!(matches!(read(&["unpack ok\n"]), Err(WireError::CutShort)));
        assert!(matches!(read(&["ok refs/heads/main\n"]), Err(WireError::CutShort)));
        assert!(matches!(read(&["unpack ok\n", "ok refs/heads/other\n"]), Err(WireError::CutShort)));
    }

    #[test]
    fn a_refusal_carries_the_servers_words() {
        let hook = read(&["unpack ok\n", "ng refs/heads/main pre-receive hook declined\n"]).unwrap();
        assert_eq!(hook, PushReport::Refused("pre-receive hook declined: a hook's words".into()));
        let unpack = read(&["unpack index-pack abnormal exit\n", "ok refs/heads/main\n"]).unwrap();
        assert!(matches!(unpack, PushReport::Refused(_)), "a pack that was not unpacked is never taken");
    }

    #[test]
    fn splits_the_report_from_what_is_said_to_people() {
        let inner = report(&["unpack ok\n", "ok refs/heads/main\n"]);
        let mut bytes = Vec::new();
        write_data(&mut bytes, b"\x02hello\x1b[1m\n");
        let (first, second) = inner.split_at(9);
        write_data(&mut bytes, &[b"\x01", first].concat());
        write_data(&mut bytes, &[b"\x01", second].concat());
        write_flush(&mut bytes);
        let (found, words) = block(split_bands(Pieces::of(&bytes, 4))).unwrap();
        assert_eq!((found.as_ref(), words.as_str()), (inner.as_slice(), "hello [1m"));
    }

    #[test]
    fn an_answer_that_stops_half_way_is_not_an_answer() {
        let mut bytes = Vec::new();
        write_data(
            &mut bytes,
            &[b"\x01", report(&["unpack ok\n", "ok refs/heads/main\n"]).as_slice()].concat(),
        );
        assert!(matches!(block(split_bands(Pieces::of(&bytes, 4))), Err(WireError::CutShort)));
    }
}
