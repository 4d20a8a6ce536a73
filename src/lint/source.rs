//! The lines that findings show.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;

use super::{Files, Finding};

/// Files that are read for their lines are read so far, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Longer lines are not shown, in bytes: nobody reads them.
const LONGEST_LINE: usize = 4096;

/// The texts of files, by the names that findings give them. Only those that findings are about are kept.
pub(super) struct Sources<'a> {
    files: Option<&'a Files<'a>>,
    texts: BTreeMap<String, Text>,
}

/// A text and where its lines begin.
struct Text {
    text: String,
    lines: Vec<usize>,
}

impl<'a> Sources<'a> {
    /// Texts of these files, and for others those of the disk.
    pub(super) const fn new(files: Option<&'a Files<'a>>) -> Self {
        Self { files, texts: BTreeMap::new() }
    }

    /// A line of a file, without its end and without a byte order mark.
    pub(super) fn line(&mut self, file: &str, line: u64) -> Option<&str> {
        let text = self.text(file);
        let (start, end) = text.bounds(line)?;
        let line = text.text.get(start..end)?.trim_end_matches(['\n', '\r']);
        (line.len() <= LONGEST_LINE && !line.trim().is_empty()).then_some(line)
    }

    /// The columns of some bytes of a file that begin on a line.
    pub(super) fn columns(&mut self, file: &str, line: u64, bytes: &Range<usize>) -> Option<Range<u64>> {
        let text = self.text(file);
        let (start, _) = text.bounds(line)?;
        let column = |at: usize| Some(count(text.text.get(start..at)?) + 1);
        Some(column(bytes.start)?..column(bytes.end)?)
    }

    /// Gives a finding its line, and narrows its columns down to what is at fault.
    pub(super) fn show(&mut self, finding: &mut Finding) {
        let Some(line) = self.line(&finding.file, finding.line) else { return };
        finding.columns = columns(line, &finding.columns, finding.part.as_deref());
        finding.excerpt = Some(line.to_owned());
    }

    fn text(&mut self, file: &str) -> &Text {
        let files = self.files;
        self.texts.entry(file.to_owned()).or_insert_with(|| {
            let text = files.and_then(|files| files.text(file)).or_else(|| read(file)).unwrap_or_default();
            Text::of(String::from_utf8_lossy(&text).into_owned())
        })
    }
}

impl Text {
    fn of(text: String) -> Self {
        let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = [mark].into_iter().chain(ends).collect();
        Self { text, lines }
    }

    /// The first byte of a line and the one behind its end.
    fn bounds(&self, line: u64) -> Option<(usize, usize)> {
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let start = *self.lines.get(index)?;
        Some((start, self.lines.get(index + 1).copied().unwrap_or(self.text.len())))
    }
}

/// The columns within a line: of the part, else those that are given, else of all but the spaces around.
fn columns(line: &str, given: &Range<u64>, part: Option<&str>) -> Range<u64> {
    let end = count(line) + 1;
    let start = given.start.clamp(1, end);
    let whole = if given.is_empty() || start == end {
        let indent = count(line) - count(line.trim_start());
        indent + 1..count(line.trim_end()) + 1
    } else {
        start..given.end.min(end)
    };
    let Some(part) = part else { return whole };
    let skipped: usize = line.chars().zip(1..whole.start).map(|(c, _)| c.len_utf8()).sum();
    let found = line.get(skipped..).and_then(|behind| behind.split_once(part));
    match found {
        Some((before, _)) => {
            let start = whole.start + count(before);
            start..start + count(part)
        }
        None => whole,
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// What can not be read is not shown.
fn read(file: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::FileSites;
    use crate::engine::{NotRead, Unread};

    #[test]
    fn columns_are_those_of_what_is_at_fault() {
        let line = "  range: 'é >=1 <2' # x";
        for (given, part, wanted) in [
            (10..20, None, 10..20),
            (10..99, None, 10..24),
            (0..0, None, 3..24),
            (99..100, None, 3..24),
            (10..20, Some("<2"), 17..19),
            (10..20, Some("range"), 10..20),
        ] {
            assert_eq!(columns(line, &given, part), wanted, "{given:?} {part:?}");
        }
    }

    #[test]
    fn a_line_is_found_whatever_its_end_and_a_long_or_empty_one_is_not_shown() {
        let text = format!("\u{feff}ä b\r\n\r\nb\n{}", "x".repeat(5000));
        let found = FileSites::default();
        let files = Files {
            marked: [("a", &found)].into(),
            read: &|_| Some(text.clone().into_bytes()),
            unread: &[],
            idle_globs: &[],
            searched: 1,
            prefix: "repo/".to_owned(),
            repository: None,
        };
        let mut sources = Sources::new(Some(&files));
        let lines = [1, 2, 3, 4, 5, 0].map(|line| sources.line("repo/a", line).map(str::to_owned));
        assert_eq!(lines, [Some("ä b".to_owned()), None, Some("b".to_owned()), None, None, None]);
        assert_eq!(sources.columns("repo/a", 1, &(6..7)), Some(3..4));
        assert_eq!(sources.columns("repo/a", 9, &(6..7)), None);
        assert_eq!(sources.line("/nowhere/at/all", 1), None);
    }

    #[test]
    fn a_file_that_was_unread_is_not_read_for_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.yaml"), "secret\n").unwrap();
        let link = NotRead::Link { to: "y".to_owned() };
        let unread = [Unread { path: "x.yaml".to_owned(), why: link }];
        let prefix = format!("{}/", folder.path().display());
        let file = format!("{prefix}x.yaml");
        assert_eq!(Sources::new(None).line(&file, 1), Some("secret"));
        let files = Files {
            marked: BTreeMap::new(),
            read: &|_| None,
            unread: &unread,
            idle_globs: &[],
            searched: 0,
            prefix,
            repository: None,
        };
        assert_eq!(Sources::new(Some(&files)).line(&file, 1), None);
    }
}
