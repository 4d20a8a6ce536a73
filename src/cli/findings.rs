//! What `lint` found, as a compiler would tell it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};

use super::output::{STRONG, printable};
use crate::lint::{Finding, Report, Severity};

const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const WARNING: Style = AnsiColor::Yellow.on_default().effects(Effects::BOLD);
const RULER: Style = AnsiColor::Blue.on_default().effects(Effects::BOLD);

/// The most characters of a line that are shown.
const MOST_SHOWN: usize = 140;

/// How many characters before what is at fault are shown of a longer line.
const BEFORE: usize = 60;

/// A finding, with styles and an empty line behind it.
///
/// ```text
/// error[unknown-policy]: the marker names the policy shop/apj, which does not exist
///  --> apps/app.yaml:4:37
///   |
/// 4 |     - image: ghcr.io/acme/api:1.9.3 # {"$imagepolicy": "shop:apj"}
///   |                                                        ^^^^^^^^
///   = help: did you mean shop/api?
/// ```
pub(super) fn shown(finding: &Finding) -> String {
    let style = style(finding.severity);
    let mut text = String::new();
    let (severity, rule, message) = (finding.severity, finding.rule, printable(&finding.message));
    let _ = writeln!(text, "{style}{severity}[{rule}]{style:#}{STRONG}: {message}{STRONG:#}");
    let line = finding.line.to_string();
    let margin = " ".repeat(line.len());
    let column = finding.column().map(|column| format!(":{column}")).unwrap_or_default();
    let file = printable(&finding.file);
    let _ = writeln!(text, "{margin}{RULER}-->{RULER:#} {file}:{line}{column}");
    if let Some(excerpt) = &finding.excerpt {
        let (excerpt, before, marked) = window(excerpt, finding);
        let carets = format!("{style}{}{style:#}", "^".repeat(marked));
        let _ = writeln!(text, "{margin} {RULER}|{RULER:#}");
        let _ = writeln!(text, "{RULER}{line} |{RULER:#} {excerpt}");
        let _ = writeln!(text, "{margin} {RULER}|{RULER:#} {}{carets}", " ".repeat(before));
    }
    if let Some(object) = &finding.object {
        let _ = writeln!(text, "{margin} {RULER}={RULER:#} {STRONG}object{STRONG:#}: {}", printable(object));
    }
    let _ =
        writeln!(text, "{margin} {RULER}={RULER:#} {STRONG}help{STRONG:#}: {}\n", printable(&finding.hint));
    text
}

/// How much there is of each, in one line with styles.
pub(super) fn summary(report: &Report) -> String {
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let count = |count: usize, severity, one: &str| {
        let style = if count == 0 { Style::new() } else { style(severity) };
        format!("{style}{count} {one}{}{style:#}", plural(count))
    };
    format!(
        "{} and {} in {} file{} with {} {}",
        count(errors, Severity::Error, "error"),
        count(warnings, Severity::Warning, "warning"),
        report.files,
        plural(report.files),
        report.policies,
        if report.policies == 1 { "policy" } else { "policies" },
    )
}

const fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
    }
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The part of a line around what is at fault, how many characters of it come before that, and how many are at fault.
/// Nothing in it is acted on by a terminal, and each character keeps its column: a tab becomes a space.
fn window(line: &str, finding: &Finding) -> (String, usize, usize) {
    let column = |column: u64| usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let (start, end) = (column(finding.columns.start), column(finding.columns.end));
    let length = line.chars().count();
    let first = if length <= MOST_SHOWN { 0 } else { start.saturating_sub(BEFORE) };
    let last = length.min(first + MOST_SHOWN);
    let shown: String =
        line.chars().skip(first).take(last - first).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let (front, back) = (if first > 0 { "…" } else { "" }, if last < length { "…" } else { "" });
    let before = start - first.min(start) + front.chars().count();
    let marked = end.min(last).saturating_sub(start).max(1);
    (format!("{front}{}{back}", printable(&shown)), before, marked)
}
