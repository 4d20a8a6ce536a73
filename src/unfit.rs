//! The characters that text from elsewhere loses, or has replaced, before it is shown.

/// Whether a character has no place in a line that is shown: control characters, line ends, and those that turn text around
/// in a terminal (Unicode's bidirectional controls).
pub(crate) fn is_unfit(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
