//! The lines that findings show.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;

use super::Finding;

/// Files that are read for their lines are read so far, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Longer lines are not shown, in bytes: nobody reads them.
const LONGEST_LINE: usize = 4096;

/// The texts of files, by the names that findings give them.
#[derive(Default)]
pub(super) struct Sources {
    texts: BTreeMap<String, String>,
}

impl Sources {
    /// Takes the text of a file that need not be read.
    pub(super) fn give(&mut self, file: &str, text: &[u8]) {
        self.texts.insert(file.to_owned(), String::from_utf8_lossy(text).into_owned());
    }

    /// A line of a file, without its end.
    pub(super) fn line(&mut self, file: &str, line: u64) -> Option<&str> {
        if !self.texts.contains_key(file) {
            self.texts.insert(file.to_owned(), read(file));
        }
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let text = self.texts.get(file)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line = text.split('\n').nth(index)?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        (line.len() <= LONGEST_LINE && !line.trim().is_empty()).then_some(line)
    }

    /// Gives a finding its line, and narrows its columns down to what is at fault.
    pub(super) fn show(&mut self, finding: &mut Finding) {
        let Some(line) = self.line(&finding.file, finding.line) else { return };
        finding.columns = columns(line, &finding.columns, finding.part.as_deref());
        finding.excerpt = Some(line.to_owned());
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
fn read(file: &str) -> String {
    let mut text = Vec::new();
    match File::open(file).map(|file| file.take(MOST_BYTES).read_to_end(&mut text)) {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut sources = Sources::default();
        sources.give("a", format!("\u{feff}a\r\n\r\nb\n{}", "x".repeat(5000)).as_bytes());
        let lines = [1, 2, 3, 4, 5, 0].map(|line| sources.line("a", line).map(str::to_owned));
        assert_eq!(lines, [Some("a".to_owned()), None, Some("b".to_owned()), None, None, None]);
        assert_eq!(sources.line("/nowhere/at/all", 1), None);
    }
}
