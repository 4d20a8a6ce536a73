//! Marked values in YAML, by the parser's spans.

mod document;
mod quote;
mod reader;
mod shortcut;
mod target;
mod verify;

use granit_parser::ScanError;

use self::document::Document;
use self::reader::{Comment, Reading};
use self::target::NoTarget;
use super::marker::{self, InvalidMarker, Marker};
use super::{FileSites, MAX_SITES, Problem, ProblemReason, Site};

pub(super) use self::quote::written;
pub(super) use self::verify::{Replaced, verify};

/// Whether a file is read as YAML: by its extension, or because Kustomize reads it under this very name.
pub(super) fn is_yaml(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.ends_with(".yaml") || name.ends_with(".yml") || name == "Kustomization"
}

/// Finds the marked values. Only the documents with a marker have to parse.
pub(super) fn find_sites(text: &str) -> FileSites {
    let mut found = FileSites::default();
    for document in document::split(text) {
        if !marker::may_be_in_a_comment(document.text) {
            continue;
        }
        if !has_room(&mut found, document.first_line) {
            break;
        }
        match shortcut::read(document.text).map_or_else(|| reader::read(document.text), Ok) {
            Ok(reading) => find_in_document(&document, &reading, &mut found),
            Err(error) => found.problems.push(invalid_yaml(&document, &error)),
        }
    }
    found.problems.sort_by_key(|problem| problem.line);
    found
}

/// Whether one more site or problem is taken. The first that is not leaves a problem of its own.
fn has_room(found: &mut FileSites, line: u64) -> bool {
    let taken = found.sites.len() + found.problems.len();
    if taken == MAX_SITES {
        found.problems.push(Problem {
            line,
            reason: ProblemReason::TooLarge,
            message: format!("the file has more than {MAX_SITES} markers; the rest is not read, so split it"),
            policy: None,
        });
    }
    taken < MAX_SITES
}

fn invalid_yaml(document: &Document<'_>, error: &ScanError) -> Problem {
    Problem {
        line: document.file_line(error.marker().line()),
        reason: ProblemReason::InvalidYaml,
        message: format!(
            "the document has a marker but is no YAML ({}); mend it, or move the marked value to a file that is not a template",
            error.info()
        ),
        policy: None,
    }
}

fn find_in_document(document: &Document<'_>, reading: &Reading<'_>, found: &mut FileSites) {
    for comment in &reading.comments {
        let line = document.file_line(comment.line);
        let is_behind_something = !target::line_before(document.text, comment).trim().is_empty();
        let Some(read) = marker::read(comment.text, is_behind_something) else {
            continue;
        };
        if !has_room(found, line) {
            return;
        }
        match read {
            Ok(marker) => find_marked(document, reading, comment, marker, found),
            Err(error) => found.problems.push(invalid_marker(line, &error)),
        }
    }
    for node in reading.nodes.iter().filter(|node| target::swallows_marker(node)) {
        let line = document.file_line(node.lines.1);
        if !has_room(found, line) {
            return;
        }
        found.problems.push(invalid_marker(line, &InvalidMarker::Swallowed));
    }
}

fn invalid_marker(line: u64, error: &InvalidMarker) -> Problem {
    Problem { line, reason: ProblemReason::InvalidMarker, message: error.to_string(), policy: None }
}

fn find_marked(
    document: &Document<'_>,
    reading: &Reading<'_>,
    comment: &Comment<'_>,
    marker: Marker,
    found: &mut FileSites,
) {
    let line = document.file_line(comment.line);
    match target::marked(document.text, reading, comment, marker.part) {
        Ok(target) => found.sites.push(Site {
            line,
            marker,
            value: target.value.to_owned(),
            span: document.start + target.span.start..document.start + target.span.end,
            style: target.style,
        }),
        Err(error) => found.problems.push(Problem {
            line,
            reason: match error {
                NoTarget::Encrypted => ProblemReason::Encrypted,
                NoTarget::Unfit { .. } => ProblemReason::Ambiguous,
                NoTarget::Nothing
                | NoTarget::OwnLine
                | NoTarget::Alias
                | NoTarget::Block
                | NoTarget::SeveralLines
                | NoTarget::Empty
                | NoTarget::Template
                | NoTarget::Typed => ProblemReason::NoValue,
            },
            message: error.to_string(),
            policy: Some(marker.policy),
        }),
    }
}
