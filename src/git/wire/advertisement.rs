//! What a server says of itself before anything is asked of it.

use super::pkt::{Pkt, PktReader, text_of};
use super::{Chunks, Service, Transport, WireError};

/// The most lines of an advertisement that are read; a server with a million refs stays below.
const MAX_LINES: usize = 2_000_000;

/// What a server can do for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct ReadFeatures {
    /// It can cut history at a depth.
    pub(in crate::git) shallow: bool,
}

impl ReadFeatures {
    /// Asks the server and reads its v2 capabilities (gitprotocol-v2, "Capability Advertisement").
    pub(in crate::git) async fn ask<T: Transport>(transport: &T) -> Result<Self, WireError> {
        let answer = transport.advertisement(Service::UploadPack).await?;
        Self::read(answer).await
    }

    async fn read<S: Chunks>(answer: S) -> Result<Self, WireError> {
        let mut reader = PktReader::new(answer);
        let Some(first) = first_line(&mut reader).await? else {
            return Err(WireError::CutShort);
        };
        if text_of(&first)? != "version 2" {
            return Err(WireError::Unsupported("Git protocol v2"));
        }
        let mut features = Self::default();
        let mut lists_refs = false;
        for _ in 0..MAX_LINES {
            match reader.next().await? {
                Some(Pkt::Data(line)) => {
                    let line = text_of(&line)?;
                    let (name, value) = line.split_once('=').unwrap_or((line, ""));
                    match name {
                        "ls-refs" => lists_refs = true,
                        "fetch" => features.shallow = value.split(' ').any(|feature| feature == "shallow"),
                        "object-format" if value != "sha1" => {
                            return Err(WireError::Unsupported("SHA-1 object ids"));
                        }
                        // Other capabilities are not asked for, so they do not matter.
                        _ => {}
                    }
                }
                Some(Pkt::Flush) if lists_refs => return Ok(features),
                Some(Pkt::Flush) => return Err(WireError::Unsupported("the v2 command ls-refs")),
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
}

impl WriteFeatures {
    /// Asks the server and reads its capabilities (gitprotocol-pack, "Reference Discovery").
    pub(in crate::git) async fn ask<T: Transport>(transport: &T) -> Result<Self, WireError> {
        let answer = transport.advertisement(Service::ReceivePack).await?;
        Self::read(answer).await
    }

    async fn read<S: Chunks>(answer: S) -> Result<Self, WireError> {
        let mut reader = PktReader::new(answer);
        let Some(first) = first_line(&mut reader).await? else {
            return Err(WireError::CutShort);
        };
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
        Ok(Self { side_band: capabilities.contains(&"side-band-64k") })
    }
}

/// The first line that counts: over HTTP a line `# service=…` and a flush may stand before it, but need not
/// (git http-backend leaves them out for v2).
async fn first_line<S: Chunks>(reader: &mut PktReader<S>) -> Result<Option<bytes::Bytes>, WireError> {
    loop {
        match reader.next().await? {
            Some(Pkt::Data(line)) if line.starts_with(b"# service=") => {}
            Some(Pkt::Data(line)) => {
                return match line.strip_prefix(b"ERR ") {
                    Some(words) => Err(WireError::Server(super::cleaned(words))),
                    None => Ok(Some(line)),
                };
            }
            Some(Pkt::Flush) => {}
            Some(Pkt::Delimiter | Pkt::ResponseEnd) => return Err(WireError::NotPktLine),
            None => return Ok(None),
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
            assert_eq!(block(ReadFeatures::read(lines(&all))).unwrap(), ReadFeatures { shallow: true });
        }
    }

    #[test]
    fn a_server_of_the_old_protocol_is_named_as_such() {
        let old = ["1111111111111111111111111111111111111111 HEAD\0multi_ack\n", ""];
        let error = block(ReadFeatures::read(lines(&old))).unwrap_err();
        assert!(matches!(error, WireError::Unsupported("Git protocol v2")), "{error}");
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
        assert_eq!(block(WriteFeatures::read(lines(&answer))).unwrap(), WriteFeatures { side_band: true });
        let without = ["1111111111111111111111111111111111111111 refs/heads/main\0delete-refs\n", ""];
        assert!(matches!(block(WriteFeatures::read(lines(&without))), Err(WireError::Unsupported(_))));
    }
}
