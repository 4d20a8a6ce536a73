//! Reads the answer of `tags/list` while it comes in: `{"name": "acme/api", "tags": ["1.0", …]}`.
//!
//! A list can be tens of megabytes, so nothing is kept but the piece of text that is being read. `serde_json` reads from
//! blocking sources only; here it still judges and decodes every string and number that is not plain.

use serde::de::IgnoredAny;

use crate::image::TagRef;

/// The most of one string or number that is kept, in bytes. Six bytes of JSON may stand for one of a tag.
const MAX_TEXT: usize = 1024;

/// How deep the parts that are passed over may nest. GCR's map of manifests needs four levels.
const MAX_DEPTH: usize = 64;

/// The most tags that are given out at once.
const MOST_AT_ONCE: usize = 1024;

/// Of a list, hardly any tag takes fewer bytes, quotes and comma included.
const LEAST_USUAL: usize = 8;

/// What the list holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// Tags that obey the grammar, as many as were read at once.
    Tags(&'a [TagRef<'a>]),
    /// A string that does not.
    Malformed,
}

/// Why bytes are no tag list. None of them quotes the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TagListError {
    #[error("the tag list is no JSON, at byte {0}")]
    Syntax(u64),
    #[error("the tag list nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the tag list ends in the middle")]
    Truncated,
    #[error("the tag list is no JSON object with an array of strings as `tags`")]
    Shape,
    #[error("the tag list has `tags` twice")]
    Twice,
}

/// The parser; feed it all bytes in pieces of any size, then `finish`.
#[derive(Default)]
pub(super) struct TagListParser {
    text: Text,
    /// What was read of the current text, without quotes, up to [`MAX_TEXT`].
    raw: Vec<u8>,
    is_overlong: bool,
    expected: Expected,
    open: Vec<Container>,
    /// Whether the current field of the top object is `tags`.
    in_tags: bool,
    has_tags: bool,
    bytes_before: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Text {
    #[default]
    None,
    String,
    /// In a string, right after a backslash.
    Escape,
    /// A number, `true`, `false` or `null`.
    Bare,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// Why a byte does not fit: it is no JSON, or JSON that is no tag list.
enum Misfit {
    Byte,
    List(TagListError),
}

type Each<'a> = &'a mut dyn FnMut(Item<'_>);

impl TagListParser {
    /// Reads the next piece.
    ///
    /// # Errors
    /// After one, the parser must not be used again.
    pub(super) fn feed(&mut self, piece: &[u8], each: Each<'_>) -> Result<(), TagListError> {
        let mut rest = piece;
        // What of the piece can be given out as it stands.
        let text = std::str::from_utf8(piece).unwrap_or_default();
        while let Some((&byte, after)) = rest.split_first() {
            let step = match self.text {
                Text::None => self.structure(byte, rest, text, each),
                Text::String => self.string(rest, each),
                Text::Escape => {
                    self.keep(&[byte]);
                    self.text = Text::String;
                    Ok(after)
                }
                Text::Bare => self.bare(rest),
            };
            rest = step.map_err(|misfit| match misfit {
                Misfit::Byte => TagListError::Syntax(self.bytes_before + (piece.len() - rest.len()) as u64),
                Misfit::List(error) => error,
            })?;
        }
        self.bytes_before += piece.len() as u64;
        Ok(())
    }

    /// Says whether the list was whole.
    pub(super) fn finish(self) -> Result<(), TagListError> {
        if self.expected != Expected::Nothing {
            return Err(TagListError::Truncated);
        }
        if self.has_tags { Ok(()) } else { Err(TagListError::Shape) }
    }

    /// Outside of texts; `text` is the piece, where all of it is UTF-8. Gives what is left to read.
    fn structure<'p>(
        &mut self,
        byte: u8,
        rest: &'p [u8],
        text: &'p str,
        each: Each<'_>,
    ) -> Result<&'p [u8], Misfit> {
        let after = rest.get(1..).unwrap_or_default();
        let container = self.open.last().copied();
        match (byte, self.expected) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'"', Expected::Value | Expected::ValueOrEnd)
                if self.in_tags
                    && self.open.len() == 2
                    && let Some(after) = whole_tags(text, after.len(), each) =>
            {
                self.expected = Expected::CommaOrEnd;
                return Ok(after.as_bytes());
            }
            (b'"', Expected::Value | Expected::ValueOrEnd | Expected::Key | Expected::KeyOrEnd) => {
                self.begin(Text::String);
            }
            (b'{', Expected::Value | Expected::ValueOrEnd) => self.open(Container::Object)?,
            (b'[', Expected::Value | Expected::ValueOrEnd) => self.open(Container::Array)?,
            (b'}', Expected::KeyOrEnd | Expected::CommaOrEnd) if container == Some(Container::Object) => {
                self.close()
            }
            (b']', Expected::ValueOrEnd | Expected::CommaOrEnd) if container == Some(Container::Array) => {
                self.close()
            }
            (b':', Expected::Colon) => self.expected = Expected::Value,
            (b',', Expected::CommaOrEnd) => {
                self.expected = match container {
                    Some(Container::Object) => Expected::Key,
                    Some(Container::Array) | None => Expected::Value,
                };
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Expected::Value | Expected::ValueOrEnd) => {
                self.begin(Text::Bare);
                return Ok(rest);
            }
            _ => return Err(Misfit::Byte),
        }
        Ok(after)
    }

    fn string<'p>(&mut self, rest: &'p [u8], each: Each<'_>) -> Result<&'p [u8], Misfit> {
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
        let (text, rest) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        self.keep(text);
        let Some((&end, after)) = rest.split_first() else {
            return Ok(rest);
        };
        if end == b'\\' {
            self.keep(b"\\");
            self.text = Text::Escape;
        } else {
            self.end_string(each)?;
        }
        Ok(after)
    }

    fn end_string(&mut self, each: Each<'_>) -> Result<(), Misfit> {
        self.text = Text::None;
        let is_key = matches!(self.expected, Expected::Key | Expected::KeyOrEnd);
        match (is_key, self.open.len()) {
            (true, 1) => self.name_field()?,
            (false, 2) if self.in_tags => self.give(each)?,
            (false, 0) => return Err(Misfit::List(TagListError::Shape)),
            (false, 1) if self.in_tags => return Err(Misfit::List(TagListError::Shape)),
            // Passed over, but it must be JSON.
            _ if self.is_overlong || is_plain(&self.raw) => {}
            _ => drop(self.decoded()?),
        }
        self.expected = if is_key { Expected::Colon } else { Expected::CommaOrEnd };
        Ok(())
    }

    fn name_field(&mut self) -> Result<(), Misfit> {
        self.in_tags = !self.is_overlong && self.decoded()? == "tags";
        if self.in_tags && std::mem::replace(&mut self.has_tags, true) {
            return Err(Misfit::List(TagListError::Twice));
        }
        Ok(())
    }

    fn give(&self, each: Each<'_>) -> Result<(), Misfit> {
        match std::str::from_utf8(&self.raw) {
            _ if self.is_overlong => each(Item::Malformed),
            Ok(text) if let Some(tag) = TagRef::parse(text) => each(Item::Tags(&[tag])),
            Ok(_) | Err(_) => match TagRef::parse(&self.decoded()?) {
                Some(tag) => each(Item::Tags(&[tag])),
                None => each(Item::Malformed),
            },
        }
        Ok(())
    }

    fn bare<'p>(&mut self, rest: &'p [u8]) -> Result<&'p [u8], Misfit> {
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b'a'..=b'z' | b'E' | b'0'..=b'9' | b'+' | b'-' | b'.'));
        let (text, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
        self.keep(text);
        if end.is_none() {
            return Ok(after);
        }
        if self.is_overlong || serde_json::from_slice::<IgnoredAny>(&self.raw).is_err() {
            return Err(Misfit::Byte);
        }
        // Some registries send null for an empty list; beyond that, only an array is a list.
        let fits = match self.open.len() {
            0 => false,
            1 => !self.in_tags || self.raw == b"null",
            2 => !self.in_tags,
            _ => true,
        };
        if !fits {
            return Err(Misfit::List(TagListError::Shape));
        }
        self.text = Text::None;
        self.expected = Expected::CommaOrEnd;
        Ok(after)
    }

    fn open(&mut self, container: Container) -> Result<(), Misfit> {
        let fits = match (self.open.len(), container) {
            (0, Container::Object) => true,
            (0, Container::Array) => false,
            (1, Container::Object) => !self.in_tags,
            (1, Container::Array) => true,
            (2, _) => !self.in_tags,
            _ => true,
        };
        if !fits {
            return Err(Misfit::List(TagListError::Shape));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Misfit::List(TagListError::TooDeep));
        }
        self.open.push(container);
        self.expected = match container {
            Container::Object => Expected::KeyOrEnd,
            Container::Array => Expected::ValueOrEnd,
        };
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
        self.expected = if self.open.is_empty() { Expected::Nothing } else { Expected::CommaOrEnd };
    }

    fn begin(&mut self, text: Text) {
        self.text = text;
        self.raw.clear();
        self.is_overlong = false;
    }

    fn keep(&mut self, text: &[u8]) {
        if self.raw.len() + text.len() <= MAX_TEXT {
            self.raw.extend_from_slice(text);
        } else {
            self.is_overlong = true;
        }
    }

    fn decoded(&self) -> Result<String, Misfit> {
        let quoted = [b"\"", self.raw.as_slice(), b"\""].concat();
        serde_json::from_slice(&quoted).map_err(|_| Misfit::Byte)
    }
}

/// Gives the tags that a piece goes on with behind the quote, so many bytes from its end, as long as each ends in it and
/// nothing but a comma is between them: the way of nearly all, on which nothing is copied. A tag has neither quotes nor
/// escapes. What follows the last one's other quote; `None` where there is none.
fn whole_tags<'p>(piece: &'p str, left: usize, each: Each<'_>) -> Option<&'p str> {
    let mut rest = piece.get(piece.len().checked_sub(left)?..)?;
    let mut behind = None;
    let mut tags = Vec::with_capacity(MOST_AT_ONCE.min(rest.len() / LEAST_USUAL));
    while let Some((tag, after)) = TagRef::leading(rest)
        && let Some(after) = after.strip_prefix('"')
    {
        tags.push(tag);
        if tags.len() == MOST_AT_ONCE {
            each(Item::Tags(&tags));
            tags.clear();
        }
        behind = Some(after);
        match after.strip_prefix(",\"") {
            Some(next) => rest = next,
            None => break,
        }
    }
    each(Item::Tags(&tags));
    behind
}

fn is_plain(raw: &[u8]) -> bool {
    raw.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
}

#[cfg(test)]
mod tests;
