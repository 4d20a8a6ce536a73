//! What a server says of itself before anything is asked of it.

use super::pkt::{Pkt, PktReader, text_of};
use super::v0::Capabilities;
use super::{Chunks, Service, Transport, WireError};

/// The most lines of an advertisement that are read; an honest server has some ten.
const MAX_LINES: usize = 10_000;

/// How a server is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) enum ReadFeatures {
    /// By protocol v2, which lists one branch alone.
    V2 {
        /// Whether it leaves files out when it is asked to. Single files it always sends by their ids.
        filter: bool,
    },
    /// By protocol v0 or v1.
    V0(Capabilities),
}

impl ReadFeatures {
    /// Asks the server and reads its capabilities (gitprotocol-v2, "Capability Advertisement"; gitprotocol-pack,
    /// "Reference Discovery").
    ///
    /// # Errors
    /// `WireError::Unsupported` where it can not cut history at a depth, or has other object ids than SHA-1.
    pub(in crate::git) async fn ask<T: Transport>(transport: &T) -> Result<Self, WireError> {
        let answer = transport.advertisement(Service::UploadPack).await?;
        Self::read(answer).await
    }

    /// Whether the folders of a commit can be asked for without its files, and files by their ids.
    pub(in crate::git) const fn serves_parts(&self) -> bool {
        match self {
            Self::V2 { filter } => *filter,
            Self::V0(capabilities) => capabilities.serves_parts,
        }
    }

    pub(super) async fn read<S: Chunks>(answer: S) -> Result<Self, WireError> {
        let mut reader = PktReader::new(answer);
        let first = first_line(&mut reader).await?;
        if first.trim_ascii_end() == b"version 2" {
            return Self::read_v2(reader).await;
        }
        Ok(Self::V0(Capabilities::choose(&first)?))
    }

    async fn read_v2<S: Chunks>(mut reader: PktReader<S>) -> Result<Self, WireError> {
        let (mut lists_refs, mut is_shallow, mut filter) = (false, false, false);
        for _ in 0..MAX_LINES {
            match reader.next().await? {
                Some(Pkt::Data(line)) => {
                    let line = text_of(&line)?;
                    let (name, value) = line.split_once('=').unwrap_or((line, ""));
                    match name {
                        "ls-refs" => lists_refs = true,
                        "fetch" => {
                            let has = |wanted| value.split(' ').any(|feature| feature == wanted);
                            (is_shallow, filter) = (has("shallow"), has("filter"));
                        }
                        "object-format" if value != "sha1" => {
                            return Err(WireError::Unsupported("SHA-1 object ids"));
                        }
                        // Other capabilities are not asked for, so they do not matter.
                        _ => {}
                    }
                }
                Some(Pkt::Flush) if !lists_refs => {
                    return Err(WireError::Unsupported("the v2 command ls-refs"));
                }
                Some(Pkt::Flush) if !is_shallow => return Err(WireError::Unsupported("shallow fetches")),
                Some(Pkt::Flush) => return Ok(Self::V2 { filter }),
                Some(Pkt::Delimiter | Pkt::ResponseEnd) => return Err(WireError::NotPktLine),
                None => return Err(WireError::CutShort),
            }
        }
        Err(WireError::NotPktLine)
    }
}

/// What a server can do for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct WriteFeatures {
    /// It can send its report and its words in separate bands.
    pub(in crate::git) side_band: bool,
    /// It hands push options to its hooks.
    pub(in crate::git) push_options: bool,
}

impl WriteFeatures {
    /// Asks the server and reads its capabilities (gitprotocol-pack, "Reference Discovery").
    pub(in crate::git) async fn ask<T: Transport>(transport: &T) -> Result<Self, WireError> {
        let answer = transport.advertisement(Service::ReceivePack).await?;
        Self::read(answer).await
    }

    pub(super) async fn read<S: Chunks>(answer: S) -> Result<Self, WireError> {
        let mut reader = PktReader::new(answer);
        let first = first_line(&mut reader).await?;
        let capabilities = first.split(|&b| b == 0).nth(1).unwrap_or_default();
        let capabilities: Vec<&str> = text_of(capabilities)?.split(' ').collect();
        if !capabilities.contains(&"report-status") {
            return Err(WireError::Unsupported("report-status"));
        }
        if capabilities
            .iter()
            .any(|c| c.strip_prefix("object-format=").is_some_and(|format| format != "sha1"))
        {
            return Err(WireError::Unsupported("SHA-1 object ids"));
        }
        let has = |name| capabilities.contains(&name);
        Ok(Self { side_band: has("side-band-64k"), push_options: has("push-options") })
    }
}

/// The first line that counts: over HTTP a line `# service=…` and a flush may stand before it, but need not
/// (git http-backend leaves them out for v2); and v1 is v0 behind a line that says so.
async fn first_line<S: Chunks>(reader: &mut PktReader<S>) -> Result<bytes::Bytes, WireError> {
    loop {
        match reader.next().await? {
            Some(Pkt::Data(line)) if line.starts_with(b"# service=") => {}
            Some(Pkt::Data(line)) if line.trim_ascii_end() == b"version 1" => {}
            Some(Pkt::Data(line)) => {
                return match line.strip_prefix(b"ERR ") {
                    Some(words) => Err(WireError::Server(super::cleaned(words))),
                    None => Ok(line),
                };
            }
            Some(Pkt::Flush) => {}
            Some(Pkt::Delimiter | Pkt::ResponseEnd) => return Err(WireError::NotPktLine),
            None => return Err(WireError::CutShort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pkt::tests::Pieces;
    use super::super::pkt::{write_flush, write_line};
    use super::*;

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn lines(lines: &[&str]) -> Pieces {
        let mut bytes = Vec::new();
        for line in lines {
            if line.is_empty() { write_flush(&mut bytes) } else { write_line(&mut bytes, line) }
        }
        Pieces::of(&bytes, 7)
    }

    #[test]
    fn reads_v2_capabilities_with_and_without_the_service_line() {
        for head in [&["# service=git-upload-pack\n", ""][..], &[]] {
            let mut all = head.to_vec();
            all.extend([
                "version 2\n",
                "agent=git/2\n",
                "ls-refs=unborn\n",
                "fetch=shallow filter\n",
                "object-format=sha1\n",
                "",
            ]);
            let features = block(ReadFeatures::read(lines(&all))).unwrap();
            assert_eq!(features, ReadFeatures::V2 { filter: true });
        }
    }

    #[test]
    fn servers_of_the_older_protocols_are_told_apart() {
        let refs = "1111111111111111111111111111111111111111 HEAD\0multi_ack side-band-64k shallow\n";
        for old in [&[refs, ""][..], &["version 1\n", refs, ""]] {
            let features = block(ReadFeatures::read(lines(old))).unwrap();
            assert_eq!(features, ReadFeatures::V0(Capabilities::choose(refs.as_bytes()).unwrap()));
        }
        let deep = ["version 2\n", "ls-refs\n", "fetch\n", ""];
        assert!(matches!(block(ReadFeatures::read(lines(&deep))), Err(WireError::Unsupported(_))));
    }

    #[test]
    fn a_sha256_repository_is_refused() {
        let answer = ["version 2\n", "ls-refs\n", "fetch=shallow\n", "object-format=sha256\n", ""];
        assert!(block(ReadFeatures::read(lines(&answer))).is_err());
    }

    #[test]
    fn reads_the_capabilities_behind_the_first_ref() {
        let answer = [
            "# service=git-receive-pack\n",
            "",
            "1111111111111111111111111111111111111111 refs/heads/main\0report-status delete-refs side-band-64k quiet\n",
            "",
        ];
        assert_eq!(
            block(WriteFeatures::read(lines(&answer))).unwrap(),
            WriteFeatures { side_band: true, push_options: false }
        );
        let without = ["1111111111111111111111111111111111111111 refs/heads/main\0delete-refs\n", ""];
        assert!(matches!(block(WriteFeatures::read(lines(&without))), Err(WireError::Unsupported(_))));
    }
}
