//! What goes to the terminal: never a control character that came from outside, colour only where it can be seen.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;

use crate::unfit::is_unfit;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Effects, Style};
use serde::Serialize;

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const FAINT: Style = Style::new().effects(Effects::DIMMED);
pub(super) const STRONG: Style = Style::new().effects(Effects::BOLD);
const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const WARNING: Style = AnsiColor::Yellow.on_default().effects(Effects::BOLD);
const HINT: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);

/// How much of many lines is written at once, in bytes.
const MANY_LINES: usize = 64 * 1024;

/// Tells on standard error why the command failed.
pub(super) fn error(message: &dyn Display) {
    tell(ERROR, "error", message);
}

/// Tells on standard error what would help.
pub(super) fn hint(message: &dyn Display) {
    tell(HINT, "hint", message);
}

/// Tells on standard error of something that did not stop the command.
pub(super) fn warning(message: &dyn Display) {
    tell(WARNING, "warning", message);
}

/// The same of many things, in as few writes as there may be. Where no style shows, none is written: to take them out again
/// would be most of the work.
pub(super) fn warnings(messages: impl Iterator<Item = impl Display>) {
    let style = match AutoStream::choice(&io::stderr()) {
        ColorChoice::Never => Style::new(),
        _ => WARNING,
    };
    let mut stderr = BufWriter::with_capacity(MANY_LINES, io::stderr().lock());
    let mut texts = messages.map(|message| told(style, "warning", &message));
    // Nobody may be reading any more.
    let _ = texts.try_for_each(|text| writeln!(stderr, "{text}")).and_then(|()| stderr.flush());
}

/// Tells something on standard error, in a style where that shows. Every `text` from outside must be `printable`.
pub(super) fn note(text: &str) {
    // Nobody may be reading any more.
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn tell(style: Style, word: &str, message: &dyn Display) {
    note(&told(style, word, message));
}

fn told(style: Style, word: &str, message: &dyn Display) -> String {
    format!("{style}{word}{style:#}: {}", printable(&message.to_string()))
}

/// Writes to standard output, with the styles in the text only where they show.
pub(super) fn print(text: &str) -> io::Result<()> {
    or_nobody_reads(anstream::stdout().write_all(text.as_bytes()))
}

/// Writes bytes to standard output as they are.
pub(super) fn print_raw(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    or_nobody_reads(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes a file, and the folders above it where they are not there.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|error| anyhow::anyhow!("{} can not be written: {error}", path.display()))
}

/// Writes a value as indented JSON to standard output.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(print_raw(&text)?)
}

/// Writes a value as YAML to standard output.
pub(super) fn print_yaml(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print_raw(serde_saphyr::to_string(value)?.as_bytes())?)
}

/// Whether standard output is a screen, to which no foreign control character may go.
pub(super) fn is_on_screen() -> bool {
    io::stdout().is_terminal()
}

/// Whether styles show on standard output.
pub(super) fn shows_colour() -> bool {
    !matches!(anstream::AutoStream::choice(&io::stdout()), anstream::ColorChoice::Never)
}

/// A reader that has seen enough, such as `head`, is no failure.
fn or_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Foreign text without what a terminal would act on: control characters, and those that turn text around (Unicode's
/// bidirectional controls). Each becomes `�`, so that its place can be seen.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unfit) { text.replace(is_unfit, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_printable() {
        let hostile = "a\u{1b}[31mb\rc\nd\u{9b}0me\u{202e}f\u{7}é";
        assert_eq!(printable(hostile), "a�[31mb�c�d�0me�f�é");
        assert!(matches!(printable("plain – text"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert!(or_nobody_reads(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(or_nobody_reads(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
