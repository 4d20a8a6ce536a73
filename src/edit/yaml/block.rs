//! The text of a literal block scalar, and where its bytes stand in the document around it.

use std::ops::Range;

/// Where the lines of the text lie.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where each line begins from the first on that is not blank: in the text, and in the document.
    starts: Vec<(usize, usize)>,
    /// The document's line of the first that is not blank, from 1.
    first_line: usize,
}

impl Block {
    /// Lays the text of a scalar over its bytes in the document, which begin in `first_line`. `None` where the two are not the
    /// same but for indentation, line ends and blank lines around them: within quotes, behind `>`, or where all is blank.
    pub(super) fn of(document: &str, text: &str, span: &Range<usize>, first_line: usize) -> Option<Self> {
        let before = document.get(..span.start)?;
        let indent = before.get(before.rfind(['\n', '\r']).map_or(0, |end| end + 1)..)?;
        if !indent.bytes().all(|byte| byte == b' ') {
            return None;
        }
        // The bytes begin with the first line that is not blank.
        let mut at = text.len() - text.trim_start_matches('\n').len();
        let mut starts = Vec::new();
        let mut rest = document.get(span.clone())?;
        for line in text.get(at..)?.split_inclusive('\n') {
            let indented = rest.get(..rest.find(['\n', '\r']).unwrap_or(rest.len()))?;
            let skipped = if starts.is_empty() { 0 } else { indent.len().min(spaces_before(indented)) };
            if indented.get(skipped..)? != line.trim_end_matches('\n') {
                return None;
            }
            starts.push((at, span.end - rest.len() + skipped));
            at += line.len();
            rest = rest.get(indented.len()..)?;
            rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\n', '\r'])).unwrap_or(rest);
        }
        (!starts.is_empty()).then_some(Self { starts, first_line })
    }

    /// The place in the document of a place in the text, both in bytes.
    pub(super) fn outward(&self, place: usize) -> Option<usize> {
        let before = self.starts.partition_point(|(inner, _)| *inner <= place);
        let (inner, outer) = self.starts.get(before.checked_sub(1)?)?;
        Some(outer + (place - inner))
    }

    /// The place in the text of a place in the document, both in bytes.
    pub(super) fn inward(&self, place: usize) -> Option<usize> {
        let before = self.starts.partition_point(|(_, outer)| *outer <= place);
        let (inner, outer) = self.starts.get(before.checked_sub(1)?)?;
        Some(inner + (place - outer))
    }

    /// The document's line of a line of the text, both from 1.
    pub(super) fn line_outward(&self, line: usize) -> usize {
        // The text begins with as many line ends as it has blank lines there.
        let blank_lines = self.starts.first().map_or(0, |(inner, _)| *inner);
        (self.first_line + line).saturating_sub(1 + blank_lines)
    }
}

fn spaces_before(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    /// The block that is the value of `a`, with its text.
    fn block(document: &str) -> (String, Option<Block>) {
        let tree = tree::read(document).unwrap();
        let scalar = tree.root().get("a").unwrap().scalar().unwrap();
        let text = scalar.text().unwrap();
        (text.to_owned(), Block::of(document, text, &scalar.span, scalar.lines.0))
    }

    #[test]
    fn every_character_of_the_text_is_found_in_the_document_and_back() {
        for document in [
            "a: |\n  x: 1\n\n  y: 2\n\n\n# c\nb: 1\n",
            "a: |2-\n   x: 1\n  y: 2\nb: 1\n",
            "a: |+ # c\r\n    x: 1\r\n      y: 2\r\n\r\nb: 1\r\n",
            "a: &x !!str |-\n\n \n  x: é😀\n\n   y: \u{feff}z",
            "a: |\r  x\r  y\rb: 1",
            "a: |\n  x: 1\n # less\n\nb: 1\n",
        ] {
            let (text, block) = block(document);
            let block = block.unwrap_or_else(|| panic!("{document:?} is a block"));
            for (at, c) in text.char_indices().filter(|(_, c)| *c != '\n') {
                let outer = block.outward(at).unwrap();
                assert_eq!(document.get(outer..).unwrap().chars().next(), Some(c), "{document:?} at {at}");
                assert_eq!(block.inward(outer), Some(at), "{document:?}");
                let line = |text: &str, at: usize| text.get(..at).unwrap().split(['\n', '\r']).count();
                let outer_line = line(&document.replace("\r\n", " \n"), outer);
                assert_eq!(block.line_outward(line(&text, at)), outer_line, "{document:?} at {at}");
            }
        }
    }

    #[test]
    fn what_is_written_in_another_way_is_no_block() {
        for document in [
            "a: >\n  x\n  y\n",
            "a: 'x'\n",
            "a: \"x\\n\"\n",
            "a: x\n  y\n",
            "a: |\n\n",
            "a: |+\n\n\n",
            "a: ''\n",
        ] {
            assert_eq!(block(document).1, None, "{document:?}");
        }
    }
}
