//! New bytes in place of old ones.

use std::ops::Range;

/// Bytes of a text, and what takes their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    /// The bytes to replace.
    pub(super) span: Range<usize>,
    /// The new text, quotes included.
    pub(super) text: String,
}

/// Puts all splices into the text. `None` where they are out of order, overlap, or leave the text or its characters.
pub(super) fn splice(text: &str, splices: &[Splice]) -> Option<String> {
    let mut out =
        String::with_capacity(text.len() + splices.iter().map(|splice| splice.text.len()).sum::<usize>());
    let mut end = 0;
    for splice in splices {
        out.push_str(text.get(end..splice.span.start)?);
        out.push_str(&splice.text);
        end = splice.span.end;
    }
    out.push_str(text.get(end..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(span: Range<usize>, text: &str) -> Splice {
        Splice { span, text: text.to_owned() }
    }

    #[test]
    fn replaces_all_in_one_pass() {
        let splices = [at(0..1, "xx"), at(2..4, ""), at(4..4, "y")];
        assert_eq!(splice("abcde", &splices).as_deref(), Some("xxbye"));
        assert_eq!(splice("abcde", &[]).as_deref(), Some("abcde"));
    }

    #[test]
    fn refuses_what_does_not_fit_the_text() {
        assert_eq!(splice("abc", &[at(2..3, "x"), at(0..1, "y")]), None);
        assert_eq!(splice("abc", &[at(0..2, "x"), at(1..3, "y")]), None);
        assert_eq!(splice("abc", &[at(2..4, "x")]), None);
        assert_eq!(splice("aé", &[at(1..2, "x")]), None);
    }
}
