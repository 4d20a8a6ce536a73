//! A unified diff that `git apply` takes.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use similar::{Algorithm, ChangeTag, TextDiff};

use super::output::{BAD, GOOD, STRONG, printable};

const HUNK: Style = AnsiColor::Cyan.on_default();

/// How a diff is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Byte by byte, for `git apply`.
    Exact,
    /// For people: nothing that a terminal would act on.
    Screen {
        /// In colour.
        colour: bool,
    },
}

/// The diff of one file.
pub(super) fn unified(path: &str, old: &str, new: &str, look: Look) -> String {
    let mut text = String::new();
    let (before, after) = (quoted("a/", path), quoted("b/", path));
    // Git ends a name that has a space with a tab, so that no time stamp is read from it.
    let end = if path.contains(' ') { "\t" } else { "" };
    put(&mut text, look, STRONG, &format!("diff --git {before} {after}"));
    put(&mut text, look, STRONG, &format!("--- {before}{end}"));
    put(&mut text, look, STRONG, &format!("+++ {after}{end}"));
    // Lines end at \n alone, as Git has it: a bare \r is part of its line.
    let (old, new): (Vec<_>, Vec<_>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let diff = TextDiff::configure().algorithm(Algorithm::Patience).diff_slices(&old, &new);
    for hunk in diff.unified_diff().iter_hunks() {
        put(&mut text, look, HUNK, &hunk.header().to_string());
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (' ', Style::new()),
                ChangeTag::Delete => ('-', BAD),
                ChangeTag::Insert => ('+', GOOD),
            };
            let line = change.value();
            put(&mut text, look, style, &format!("{sign}{}", line.strip_suffix('\n').unwrap_or(line)));
            if !line.ends_with('\n') {
                put(&mut text, look, Style::new(), "\\ No newline at end of file");
            }
        }
    }
    text
}

fn put(text: &mut String, look: Look, style: Style, line: &str) {
    let _ = match look {
        Look::Exact => writeln!(text, "{line}"),
        Look::Screen { colour } => {
            // What Windows ends its lines with would show as a stain on each.
            let line = line.strip_suffix('\r').unwrap_or(line);
            let line: Vec<_> = line.split('\t').map(printable).collect();
            let line = line.join("\t");
            if colour { writeln!(text, "{style}{line}{style:#}") } else { writeln!(text, "{line}") }
        }
    };
}

/// A name as Git quotes it (git-config, `core.quotePath`); letters beyond ASCII stay readable.
fn quoted(side: &str, path: &str) -> String {
    if !path.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        return format!("{side}{path}");
    }
    let mut text = format!("\"{side}");
    for c in path.chars() {
        let _ = match c {
            '"' | '\\' => write!(text, "\\{c}"),
            _ if c.is_ascii_control() => write!(text, "\\{:03o}", u32::from(c)),
            _ => write!(text, "{c}"),
        };
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_line_ends_and_tells_of_a_missing_last_one() {
        let diff = unified("a b.yaml", "x: 1\r\ny: 2\rz\nend: 1", "x: 2\r\ny: 2\rz\nend: 2", Look::Exact);
        let wanted = "diff --git a/a b.yaml b/a b.yaml
--- a/a b.yaml\t
+++ b/a b.yaml\t
@@ -1,3 +1,3 @@
-x: 1\r
+x: 2\r
 y: 2\rz
-end: 1
\\ No newline at end of file
+end: 2
\\ No newline at end of file
";
        assert_eq!(diff, wanted);
    }

    #[test]
    fn a_name_that_could_break_out_of_its_line_is_quoted() {
        assert_eq!(quoted("a/", "x\"y\\z\n"), r#""a/x\"y\\z\012""#);
        assert_eq!(quoted("b/", "äpp/x y.yaml"), "b/äpp/x y.yaml");
    }

    #[test]
    fn nothing_reaches_a_screen_that_it_would_act_on() {
        let diff =
            unified("x.yaml", "a: \u{1b}[2J1\tb\r\n", "a: \u{1b}[2J2\tb\r\n", Look::Screen { colour: false });
        assert!(diff.ends_with("-a: �[2J1\tb\n+a: �[2J2\tb\n"), "{diff:?}");
        let coloured = unified("x.yaml", "a\n", "b\n", Look::Screen { colour: true });
        assert!(coloured.contains("\u{1b}[32m+b\u{1b}[0m\n"), "{coloured:?}");
    }
}
