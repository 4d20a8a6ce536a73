//! Image versions in other text than YAML: TOML and HCL by their parsers, the formats of single lines by a look at the line.
//!
//! A marker stands behind its value, or on a line of its own right above, which is the only place where a format knows no
//! comment behind a value.

mod choice;
mod comment;
mod field;
mod hcl;
mod lines;
mod toml;
mod walk;

use std::cell::LazyCell;
use std::ops::Range;

use self::choice::Choice;
use self::comment::Placed;
use self::field::Fields;
use super::marker::Marker;
use super::splice::Splice;
use super::targets::FieldRule;
use super::yaml::{ENCRYPTED, SOPS_VALUE};
use super::{FileSites, Obstacle, Owner, Part, Problem, ProblemReason, Site, Style, Targets, kept};
use crate::image::Tag;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    /// Terraform, OpenTofu, Packer, Nomad and others.
    Hcl,
    /// `KEY=value` with comments behind it.
    Env,
    /// Java's, in which a comment has a line of its own.
    Properties,
    /// `key = value` with comments on lines of their own, and what is not quite that.
    Ini,
    /// Of GNU Make, in which a space before a comment belongs to the value.
    Makefile,
    /// A Dockerfile, in which a comment has a line of its own.
    Dockerfile,
    Shell,
}

/// A value that can be written, with the bytes that write it.
#[derive(Clone, Debug, PartialEq)]
struct Leaf {
    /// The keys and list places that lead to it; a single line has at most its key.
    path: Vec<Step>,
    value: String,
    /// Its bytes in the text, quotes included.
    span: Range<usize>,
    style: Style,
}

/// One step to a leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

/// Why a text has no leaves.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable {
    /// Where in the text, in bytes.
    at: usize,
    problem: String,
}

impl Format {
    /// The format that a file's name tells.
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let ends_in = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        match name {
            "Dockerfile" | "Containerfile" => Some(Self::Dockerfile),
            "Makefile" | "makefile" | "GNUmakefile" => Some(Self::Makefile),
            ".env" => Some(Self::Env),
            ".envrc" => Some(Self::Shell),
            _ if name.starts_with("Dockerfile.")
                || name.starts_with("Containerfile.")
                || ends_in(&[".Dockerfile", ".dockerfile"]) =>
            {
                Some(Self::Dockerfile)
            }
            _ if name.starts_with(".env.") || ends_in(&[".env"]) => Some(Self::Env),
            _ if ends_in(&[".toml"]) => Some(Self::Toml),
            _ if ends_in(&[".tf", ".tofu", ".tfvars", ".hcl", ".nomad"]) => Some(Self::Hcl),
            _ if ends_in(&[".properties"]) => Some(Self::Properties),
            _ if ends_in(&[".ini", ".conf", ".cfg"]) => Some(Self::Ini),
            _ if ends_in(&[".mk"]) => Some(Self::Makefile),
            _ if ends_in(&[".sh", ".bash"]) => Some(Self::Shell),
            _ => None,
        }
    }

    /// Whether fields can be named by their path.
    pub(super) const fn has_fields(self) -> bool {
        match self {
            Self::Toml | Self::Hcl => true,
            Self::Env | Self::Properties | Self::Ini | Self::Makefile | Self::Dockerfile | Self::Shell => {
                false
            }
        }
    }

    const fn has_comments_behind_values(self) -> bool {
        match self {
            Self::Toml | Self::Hcl | Self::Env | Self::Shell => true,
            Self::Properties | Self::Ini | Self::Makefile | Self::Dockerfile => false,
        }
    }

    fn comments(self) -> &'static [&'static str] {
        match self {
            Self::Hcl => &["#", "//"],
            Self::Properties => &["#", "!"],
            Self::Ini => &["#", ";"],
            Self::Toml | Self::Env | Self::Makefile | Self::Dockerfile | Self::Shell => &["#"],
        }
    }

    /// The values of a whole text, in its order.
    fn leaves(self, text: &str) -> Result<Vec<Leaf>, Unreadable> {
        match self {
            Self::Toml => toml::leaves(text),
            Self::Hcl => hcl::leaves(text),
            Self::Env | Self::Properties | Self::Ini | Self::Makefile | Self::Dockerfile | Self::Shell => {
                Ok(lines::leaves(self, text))
            }
        }
    }
}

/// Finds the values that a marker or a rule names.
pub(super) fn find_sites(path: &str, format: Format, text: &str, targets: &Targets) -> FileSites {
    let mut found = FileSites::default();
    let lines = Lines::of(text);
    let leaves = match format.leaves(text) {
        Ok(leaves) => leaves,
        Err(Unreadable { at, problem }) => {
            let message = format!("the file can not be read ({problem}), and is left alone");
            found.add_problem(lines.at(at), ProblemReason::InvalidSyntax, message);
            return found;
        }
    };
    if targets.updates.markers || targets.updates.renovate_comments {
        for placed in comment::placed(format, text, &leaves, &targets.updates) {
            if !found.has_room(placed.line) {
                break;
            }
            take(&lines, placed, &mut found);
        }
    }
    let marked = found.lines_behind((0, 0));
    let fields = LazyCell::new(|| Fields::of(&leaves));
    for rule in targets.fields_in(path).filter(|_| format.has_fields()) {
        match field::site(&lines, rule, &fields) {
            Ok(site) if marked.contains(&site.line) => {}
            Ok(site) if found.has_room(site.line) => found.sites.push(site),
            Err(problem) if found.has_room(problem.line) => found.problems.push(problem),
            Ok(_) | Err(_) => break,
        }
    }
    hinder_encrypted(&leaves, &mut found.sites);
    found.settle(text);
    found
}

/// What SOPS has encrypted is no version, and where it keeps a checksum of a file's values none may change.
fn hinder_encrypted(leaves: &[Leaf], sites: &mut [Site]) {
    let is_checksum = |leaf: &Leaf| {
        let is_key = matches!(leaf.path.as_slice(), [Step::Key(key)] if key == "sops_mac" || key == "mac");
        is_key && leaf.value.starts_with(SOPS_VALUE)
    };
    let is_covered = leaves.iter().any(is_checksum);
    for site in sites.iter_mut().filter(|site| is_covered || site.value.starts_with(SOPS_VALUE)) {
        let (reason, message) = (ProblemReason::Encrypted, ENCRYPTED.to_owned());
        site.obstacle = Some(Box::new(Obstacle { reason, message }));
    }
}

fn take(lines: &Lines, Placed { line, says, leaves }: Placed<'_>, found: &mut FileSites) {
    let (owner, part, choice) = match says {
        comment::Says::Marker(Ok(Marker { policy, part })) => {
            (Owner::Policy(policy), part, choice::meant(part, leaves))
        }
        comment::Says::Marker(Err(error)) => {
            return found.add_problem(line, ProblemReason::InvalidMarker, error.to_string());
        }
        comment::Says::Image(image) => match choice::version_of(&image, leaves) {
            Some((part, choice)) => (Owner::Image(image), part, choice),
            None => return,
        },
    };
    let nothing = "there is no value for the marker; put it behind a value, or on the line above one";
    let site = |leaf: &Leaf| leaf.site(lines, owner.clone(), part);
    found.sites.push(match choice {
        Choice::Nothing => return found.add_problem(line, ProblemReason::NoValue, nothing.to_owned()),
        Choice::One(leaf) => site(leaf),
        Choice::OfImage(leaf, others) => {
            let rivals = others.into_iter().map(site).collect();
            Site { rivals: Some(rivals), ..site(leaf) }
        }
        Choice::Unclear(leaf, obstacle) => Site { obstacle: Some(Box::new(obstacle)), ..site(leaf) },
    });
}

impl Leaf {
    fn site(&self, lines: &Lines, owner: Owner, part: Part) -> Site {
        let message = if self.value.trim().is_empty() {
            Some("the value is empty; write a first version, which is lifted from then on")
        } else if self.value.contains("${") || self.value.contains("{{") || self.value.contains("$(") {
            Some("the value is a template; write it out")
        } else if !is_plain(&self.value) && kept::before(&self.value).is_none() {
            Some(
                "the value is none of an image, a tag and a digest; write a first version, which is lifted from then on",
            )
        } else {
            None
        };
        let reason = ProblemReason::NoValue;
        Site {
            line: lines.at(self.span.start),
            owner,
            part,
            value: self.value.clone(),
            obstacle: message.map(|message| Box::new(Obstacle { reason, message: message.to_owned() })),
            rivals: None,
            span: self.span.clone(),
            style: self.style,
        }
    }
}

/// Whether the value has only characters of references, which no format here escapes.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte))
        || Tag::is_valid(value)
}

/// The bytes that make a value what it is to be; `None` where the text is not the one it was found in.
pub(super) fn spliced(text: &str, span: &Range<usize>, style: Style, value: &str) -> Option<Splice> {
    kept::spliced(text, span, style, value, written)
}

/// The bytes that write a value. All strings here are written as they were: in quotes of their kind, or bare.
fn written(value: &str, style: Style) -> String {
    match style {
        Style::Plain | Style::AddedToBlock | Style::AddedToFlow => value.to_owned(),
        Style::SingleQuoted => format!("'{value}'"),
        Style::DoubleQuoted => format!("\"{value}\""),
    }
}

/// Reads the new text: all its values must be those of the old one but for the edited ones, which must be what was
/// wanted, and a comment or a rule must still find each of them.
pub(super) fn verify(
    format: Format,
    before: &str,
    after: &str,
    edits: &[(&Range<usize>, &str)],
) -> Result<(), String> {
    let leaves = |text| {
        format.leaves(text).map_err(|error| format!("the new text is no longer readable: {}", error.problem))
    };
    let (old, new) = (leaves(before)?, leaves(after)?);
    if old.len() != new.len() {
        return Err("the new text has another number of values".to_owned());
    }
    let mut left = edits.iter().peekable();
    let mut moved = 0;
    for (old, new) in old.iter().zip(&new) {
        let edit = left.next_if(|(span, _)| **span == old.span);
        let wanted = edit.map_or(old.value.as_str(), |(_, value)| value);
        let is_in_place = old.span.start.checked_add_signed(moved) == Some(new.span.start);
        if (&old.path, wanted, old.style) != (&new.path, new.value.as_str(), new.style) || !is_in_place {
            return Err(format!(
                "the value in line {} does not read as {wanted:?}",
                Lines::of(before).at(old.span.start)
            ));
        }
        moved += new.span.len() as isize - old.span.len() as isize;
    }
    match left.count() {
        0 => Ok(()),
        count => Err(format!("{count} of the values to change were not found")),
    }
}

/// Where the lines of a text begin, in bytes.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(
            text.split_inclusive('\n')
                .scan(0, |end, line| {
                    *end += line.len();
                    Some(*end)
                })
                .collect(),
        )
    }

    /// The line, from 1, of a place in the text.
    fn at(&self, place: usize) -> u64 {
        self.0.partition_point(|end| *end <= place) as u64 + 1
    }
}

fn problem(line: u64, rule: &FieldRule, reason: ProblemReason, message: String) -> Problem {
    Problem { line, reason, message, policy: Some(rule.policy.clone()) }
}
