//! One thing that is wrong, and all of them.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::Rule;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and hardly as meant.
    Warning,
    /// Something can not be used, or will not be written.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that it goes against.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// The file, from the working directory or absolute, with `/`.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The columns in characters, from 1; empty where only the line is known.
    pub columns: Range<u64>,
    /// Kind, namespace and name of the object that it is about.
    pub object: Option<String>,
    /// What is wrong: one line.
    pub message: String,
    /// What would be right: one line.
    pub hint: String,
    /// The line itself, where it can be shown.
    pub excerpt: Option<String>,
    /// The part of the value that is at fault, which narrows the columns down.
    pub(super) part: Option<String>,
}

/// What was found. As JSON it is what scripts read: names and shape stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, by file and line.
    pub findings: Vec<Finding>,
    /// How many files were looked at.
    pub files: usize,
    /// How many policies there are.
    pub policies: usize,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Finding {
    /// A finding of a rule's own severity. Where a message says what would be right behind its last semicolon, as those
    /// of the whole program do, that is the hint; else the hint is the rule's.
    pub(super) fn new(rule: Rule, file: String, line: u64, columns: Range<u64>, message: &str) -> Self {
        let (message, hint) = message.rsplit_once("; ").unwrap_or((message, rule.remedy()));
        Self {
            rule,
            severity: rule.severity(),
            file,
            line,
            columns,
            object: None,
            message: message.to_owned(),
            hint: hint.to_owned(),
            excerpt: None,
            part: None,
        }
    }

    /// The first column, where it is known.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        (!self.columns.is_empty()).then_some(self.columns.start)
    }
}

impl Report {
    /// How many findings are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

#[derive(Serialize)]
struct ShownFinding<'a> {
    rule: &'a str,
    severity: Severity,
    file: &'a str,
    line: u64,
    column: Option<u64>,
    object: Option<&'a str>,
    message: &'a str,
    hint: &'a str,
}

#[derive(Serialize)]
struct Summary {
    errors: usize,
    warnings: usize,
    files: usize,
    policies: usize,
}

#[derive(Serialize)]
struct ShownReport<'a> {
    findings: Vec<ShownFinding<'a>>,
    summary: Summary,
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let findings = self.findings.iter().map(|finding| ShownFinding {
            rule: finding.rule.id(),
            severity: finding.severity,
            file: &finding.file,
            line: finding.line,
            column: finding.column(),
            object: finding.object.as_deref(),
            message: &finding.message,
            hint: &finding.hint,
        });
        let summary = Summary {
            errors: self.count(Severity::Error),
            warnings: self.count(Severity::Warning),
            files: self.files,
            policies: self.policies,
        };
        ShownReport { findings: findings.collect(), summary }.serialize(serializer)
    }
}
