//! A list of tags from a file: one tag a line, or JSON as a registry answers to `tags/list`, or as tools print it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::BadInput;

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 256 << 20;

/// What a registry answers to `tags/list` (OCI distribution specification, "Listing Tags"), and what
/// `skopeo list-tags` prints.
#[derive(Deserialize)]
struct Answer {
    /// Null stands for an empty list; a list must be there.
    #[serde(alias = "Tags", deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

/// Reads a list; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<String>, BadInput> {
    let name = path.display();
    let bytes = if path.as_os_str() == "-" {
        content(io::stdin().lock())
    } else {
        File::open(path).and_then(content)
    };
    let bytes = bytes.map_err(|error| BadInput::new(format!("{name} can not be read: {error}")))?;
    parse(&bytes).map_err(|(line, problem)| BadInput::new(format!("{name}:{line}: {problem}")))
}

fn content(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_LIST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LIST {
        return Err(io::Error::other(format!("it has more than {MAX_LIST} bytes")));
    }
    Ok(bytes)
}

/// The names in a list; whether they are tags is not judged here. An error has its line.
fn parse(bytes: &[u8]) -> Result<Vec<String>, (usize, String)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let misread = |error: serde_json::Error| {
        let problem = format!(
            "it is neither the JSON of tags/list, {{\"name\": …, \"tags\": […]}}, nor an array of tags: {error}"
        );
        (error.line(), problem)
    };
    match bytes.trim_ascii_start() {
        [b'{', ..] => {
            let answer: Answer = serde_json::from_slice(bytes).map_err(misread)?;
            return Ok(answer.tags.unwrap_or_default());
        }
        [b'[', ..] => return serde_json::from_slice(bytes).map_err(misread),
        _ => {}
    }
    let mut names = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = str::from_utf8(line).map_err(|_| (index + 1, "the line is not UTF-8".to_owned()))?.trim();
        if !line.is_empty() && !line.starts_with('#') {
            names.push(line.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_tag_a_line_without_comments_and_blanks() {
        let text = "\u{feff}1.0.0\r\n\r\n# old ones\n  1.1.0  \n\n2.0.0";
        assert_eq!(parse(text.as_bytes()).unwrap(), ["1.0.0", "1.1.0", "2.0.0"]);
        assert!(parse(b"").unwrap().is_empty());
    }

    #[test]
    fn reads_what_a_registry_answers() {
        assert_eq!(parse(b"\n {\"name\":\"a\",\"tags\":[\"1\",\"2\"]}").unwrap(), ["1", "2"]);
        assert!(parse(b"{\"name\":\"a\",\"tags\":null}").unwrap().is_empty());
        assert_eq!(parse(b"{\"Repository\":\"a\",\"Tags\":[\"1\"]}").unwrap(), ["1"]);
        assert_eq!(parse(b" [\"1\"]\n").unwrap(), ["1"]);
    }

    #[test]
    fn what_is_no_list_is_told_with_its_line() {
        assert_eq!(parse(b"{\"tags\":\n[1]}").unwrap_err().0, 2);
        assert_eq!(parse(b"{\"name\":\"a\"}").unwrap_err().0, 1);
        assert_eq!(parse(b"[\"1\",\n2]").unwrap_err().0, 2);
        assert_eq!(parse(b"1.0\n\xff\n").unwrap_err(), (2, "the line is not UTF-8".to_owned()));
    }
}
