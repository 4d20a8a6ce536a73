//! pkt-line: the framing of Git's wire protocols (gitprotocol-common, "pkt-line Format").

use bytes::{Buf, Bytes, BytesMut};

use super::WireError;

/// The longest payload of one pkt-line, in bytes.
pub(super) const MAX_PAYLOAD: usize = 65_516;

/// The most lines of a message that is dropped: more than any server has refs.
const MAX_LINES: u64 = 2_000_000;

/// One pkt-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pkt {
    /// A line with a payload, its line feed kept.
    Data(Bytes),
    /// `0000`, the end of a message.
    Flush,
    /// `0001`, the end of a section (gitprotocol-v2).
    Delimiter,
    /// `0002`, the end of a response (gitprotocol-v2).
    ResponseEnd,
}

/// A source of bytes in pieces of any size: the body of an HTTP answer, say.
pub(in crate::git) trait Chunks {
    /// The next piece, or `None` at the end.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, WireError>> + Send;
}

/// Reads pkt-lines from a source of bytes.
pub(in crate::git) struct PktReader<S> {
    source: S,
    buffer: BytesMut,
}

impl<S: Chunks> PktReader<S> {
    pub(in crate::git) fn new(source: S) -> Self {
        Self { source, buffer: BytesMut::new() }
    }

    /// The next pkt-line, or `None` where the source ends between two of them.
    pub(super) async fn next(&mut self) -> Result<Option<Pkt>, WireError> {
        if !self.fill(4).await? {
            return if self.buffer.is_empty() { Ok(None) } else { Err(WireError::CutShort) };
        }
        let length = self.buffer.get(..4).and_then(parse_length).ok_or(WireError::NotPktLine)?;
        match length {
            0 => self.control(Pkt::Flush),
            1 => self.control(Pkt::Delimiter),
            2 => self.control(Pkt::ResponseEnd),
            3 => Err(WireError::NotPktLine),
            _ if length > MAX_PAYLOAD + 4 => Err(WireError::NotPktLine),
            _ => {
                if !self.fill(length).await? {
                    return Err(WireError::CutShort);
                }
                self.buffer.advance(4);
                Ok(Some(Pkt::Data(self.buffer.split_to(length - 4).freeze())))
            }
        }
    }

    /// Reads to the end of a message and drops it.
    pub(in crate::git) async fn skip_message(&mut self) -> Result<(), WireError> {
        for _ in 0..MAX_LINES {
            match self.next().await? {
                Some(Pkt::Flush) => return Ok(()),
                Some(_) => {}
                None => return Err(WireError::CutShort),
            }
        }
        Err(WireError::TooMany { most: MAX_LINES, what: "lines" })
    }

    fn control(&mut self, pkt: Pkt) -> Result<Option<Pkt>, WireError> {
        self.buffer.advance(4);
        Ok(Some(pkt))
    }

    /// Reads until the buffer holds `wanted` bytes; `false` where the source ends before.
    async fn fill(&mut self, wanted: usize) -> Result<bool, WireError> {
        while self.buffer.len() < wanted {
            match self.source.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// What was not read as pkt-lines, byte for byte.
impl<S: Chunks + Send> Chunks for PktReader<S> {
    async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        if self.buffer.is_empty() {
            self.source.chunk().await
        } else {
            Ok(Some(self.buffer.split().freeze()))
        }
    }
}

fn parse_length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| usize::from_str_radix(text, 16).ok()).flatten()
}

/// Appends one pkt-line. Payloads here are our own short lines, far below the limit.
pub(super) fn write_line(out: &mut Vec<u8>, payload: &str) {
    write_data(out, payload.as_bytes());
}

/// Appends one pkt-line with any bytes.
pub(super) fn write_data(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(format!("{:04x}", payload.len() + 4).as_bytes());
    out.extend_from_slice(payload);
}

/// Appends a flush.
pub(super) fn write_flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends a delimiter.
pub(super) fn write_delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// A payload as text without its line feed.
pub(super) fn text_of(payload: &[u8]) -> Result<&str, WireError> {
    let text = std::str::from_utf8(payload).map_err(|_| WireError::NotPktLine)?;
    Ok(text.strip_suffix('\n').unwrap_or(text))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A source that gives its bytes in pieces of one size.
    pub(in crate::git::wire) struct Pieces {
        rest: Bytes,
        size: usize,
    }

    impl Pieces {
        pub(in crate::git::wire) fn of(bytes: &[u8], size: usize) -> Self {
            Self { rest: Bytes::copy_from_slice(bytes), size }
        }
    }

    impl Chunks for Pieces {
        async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
            let size = self.size.min(self.rest.len());
            Ok((size > 0).then(|| self.rest.split_to(size)))
        }
    }

    async fn read_all(bytes: &[u8], size: usize) -> Result<Vec<Pkt>, WireError> {
        let mut reader = PktReader::new(Pieces::of(bytes, size));
        let mut all = Vec::new();
        while let Some(pkt) = reader.next().await? {
            all.push(pkt);
        }
        Ok(all)
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn reads_data_and_the_three_marks() {
        let all = block(read_all(b"0006a\n0001000500000002", 3)).unwrap_err();
        assert!(matches!(all, WireError::CutShort), "{all:?}");
        let all = block(read_all(b"0006a\n0001000000020004", 3)).unwrap();
        let data = |text: &'static str| Pkt::Data(Bytes::from_static(text.as_bytes()));
        assert_eq!(all, [data("a\n"), Pkt::Delimiter, Pkt::Flush, Pkt::ResponseEnd, data("")]);
    }

    #[test]
    fn rejects_lengths_that_are_none() {
        for bytes in [&b"0003"[..], b"zzzz", b"+005x", b"ffffx", b"<htm"] {
            assert!(matches!(block(read_all(bytes, 9)), Err(WireError::NotPktLine)), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_reads_the_same(payloads in prop::collection::vec(".{0,40}", 0..20), size in 1_usize..50) {
            let mut bytes = Vec::new();
            payloads.iter().for_each(|payload| write_line(&mut bytes, payload));
            let wanted: Vec<Pkt> = payloads.iter().map(|p| Pkt::Data(Bytes::copy_from_slice(p.as_bytes()))).collect();
            prop_assert_eq!(block(read_all(&bytes, size)).unwrap(), wanted);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..9) {
            let _ = block(read_all(&bytes, size));
        }
    }
}
