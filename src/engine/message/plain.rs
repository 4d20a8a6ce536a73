//! Text from elsewhere, made fit for a message: one line that can neither hide, nor mention, nor close anything.

use crate::unfit::is_unfit;

/// A character that is not seen. Behind `@`, or between a word and a number, it takes from a forge what it looks for.
const JOINER: char = '\u{2060}';

/// The longest text from elsewhere, in characters.
const MAX_CHARS: usize = 300;

/// What GitHub and GitLab take for the order to close an issue.
const CLOSING: [&str; 16] = [
    "close",
    "closes",
    "closed",
    "closing",
    "fix",
    "fixes",
    "fixed",
    "fixing",
    "resolve",
    "resolves",
    "resolved",
    "resolving",
    "implement",
    "implements",
    "implemented",
    "implementing",
];

/// Text in one line, without control characters and without those that turn text around in a terminal (Unicode's
/// bidirectional controls), that names no person and no issue to a forge.
pub(super) fn plain(text: &str) -> String {
    let is_fit = |c: &char| !is_unfit(*c);
    defused(&text.chars().filter(is_fit).take(MAX_CHARS).collect::<String>())
}

/// The longest text from elsewhere in a status, in characters. Of each kind a status holds some twenty, and the API server
/// takes no object above 1.5 MiB.
const MAX_SHOWN: usize = 256;

/// Text from elsewhere as a status shows it: in one line, not long, and without what turns it around in a terminal. `…`
/// stands for what is cut.
pub(in crate::engine) fn shown(text: &str) -> String {
    let mut fit = text.chars().filter(|c| !is_unfit(*c));
    let mut line: String = fit.by_ref().take(MAX_SHOWN).collect();
    if fit.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// The same without spaces; `-` for nothing.
pub(super) fn one_word(text: &str) -> String {
    let word: String = plain(text).split_whitespace().collect::<Vec<_>>().join("_");
    if word.is_empty() { "-".to_owned() } else { word }
}

fn defused(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let (mut word, mut before) = (String::new(), None::<char>);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if (c.is_whitespace() || c == ':') && CLOSING.contains(&word.to_ascii_lowercase().as_str()) {
            safe.push(JOINER);
        }
        if c.is_alphanumeric() {
            word.push(c)
        } else {
            word.clear()
        }
        safe.push(c);
        let next = rest.peek().copied();
        let mentions = c == '@' && !before.is_some_and(char::is_alphanumeric);
        let refers = matches!(c, '#' | '!') && next.is_some_and(|next| next.is_ascii_digit());
        if refers || (mentions && next.is_some_and(|next| next.is_alphanumeric() || next == '_')) {
            safe.push(JOINER);
        }
        before = Some(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_forge_looks_for_is_taken_apart() {
        for (text, wanted) in [
            ("@jane", "@\u{2060}jane"),
            ("apps/@team/x.yaml", "apps/@\u{2060}team/x.yaml"),
            ("api:1.0@sha256:00", "api:1.0@sha256:00"),
            ("acme/infra#12", "acme/infra#\u{2060}12"),
            ("fixes GH-1", "fixes\u{2060} GH-1"),
            ("Closes: https://github.com/a/b/issues/1", "Closes\u{2060}: https://github.com/a/b/issues/1"),
            ("apps/fix/x.yaml", "apps/fix/x.yaml"),
            ("prefixes x", "prefixes x"),
            (">=1.4.0 <2.0.0 !=1.5", ">=1.4.0 <2.0.0 !=1.5"),
            ("a\r\nb\u{1b}[31m\u{202e}", "ab[31m"),
        ] {
            assert_eq!(plain(text), wanted, "{text:?}");
        }
        assert_eq!((one_word(" a  b "), one_word("\n")), ("a_b".to_owned(), "-".to_owned()));
    }

    proptest! {
        #[test]
        fn it_is_one_line_that_mentions_and_closes_nothing(text in "([@#!]|fixes|closes| |:|\n|\u{202e}|[a-z0-9]){0,30}") {
            let safe = plain(&text);
            prop_assert!(!safe.chars().any(is_unfit), "{safe:?}");
            prop_assert_eq!(safe.replace(JOINER, ""), text.chars().filter(|c| !is_unfit(*c)).collect::<String>());
            let pattern = regex::Regex::new(r"(?i)(^|[^a-z0-9])@[a-z0-9]|[#!][0-9]|(^|[^a-z0-9])(fixes|closes)[ :]").unwrap();
            prop_assert!(!pattern.is_match(&safe), "{safe:?}");
        }
    }
}
