//! Image versions in YAML, by the parser's spans.

mod addition;
mod below_comment;
mod block;
mod document;
mod embedded;
mod immutable;
mod path;
mod place;
mod quote;
mod reader;
mod shortcut;
mod target;
mod tree;
mod verify;

use std::ops::Range;

use granit_parser::ScanError;
use serde::de::IgnoredAny;

use self::document::Document;
use self::place::{Holds, Search};
use self::reader::{Comment, Reading};
use super::marker::{self, InvalidMarker, Marker};
use super::renovate;
use super::splice::Splice;
use super::{FileSites, Owner, Problem, ProblemReason, Site, Style, Targets, kept};
use crate::api::Updates;

pub(super) use self::path::paths_to;
pub(super) use self::target::{ENCRYPTED, SOPS_VALUE};
pub(super) use self::verify::{Edit, verify};

/// Whether a file is read as YAML: by its extension, or because Kustomize reads it under this very name.
pub(super) fn is_yaml(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml"].iter().any(|known| extension.eq_ignore_ascii_case(known)) || name == "Kustomization"
}

/// Whether a file is read as JSON: it may hold all that YAML may, but for comments.
pub(super) fn is_json(path: &str) -> bool {
    path.ends_with(".json")
}

/// What is wrong with a file of JSON, and in which line, from 1. JSON is read as the YAML that it is, but not all YAML is
/// JSON.
pub(super) fn json_problem(path: &str, text: &str) -> Option<(u64, String)> {
    let text = is_json(path).then(|| text.trim_start_matches('\u{feff}'))?;
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    Some((error.line().max(1) as u64, error.to_string()))
}

/// Finds the values that hold image versions. Only the documents that may hold one have to parse.
pub(super) fn find_sites(path: &str, text: &str, targets: &Targets) -> FileSites {
    find_in(path, Holds::Anything, text, targets)
}

fn find_in(path: &str, holds: Holds, text: &str, targets: &Targets) -> FileSites {
    let mut found = FileSites::default();
    let documents = document::split(text);
    let mut search = Search::of(path, holds, &documents, targets);
    for document in &documents {
        let has_marker = is_yaml(path) && has_comment(document.text, targets);
        let has_places =
            search.is_worth_reading(document) || (has_marker && embedded::may_be_in(document.text));
        if !has_marker && !has_places {
            continue;
        }
        if !found.has_room(document.first_line) {
            break;
        }
        let before = (found.sites.len(), found.problems.len());
        if has_marker {
            find_marked_in(document, targets, &mut found);
        }
        if has_places {
            let marked = has_marker.then(|| found.lines_behind(before));
            place::find_in_document(&mut search, document, marked.as_ref(), &mut found);
        }
        immutable::hinder(document, found.sites.get_mut(before.0..).unwrap_or_default());
    }
    search.finish(&mut found);
    found.settle(text);
    found
}

/// The bytes that make a value what it is to be; `None` where the text is not the one it was found in.
pub(super) fn spliced(text: &str, span: &Range<usize>, style: Style, value: &str) -> Option<Splice> {
    match style {
        Style::AddedToBlock => addition::to_block(text, span, value),
        Style::AddedToFlow => Some(addition::to_flow(span, value)),
        Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => {
            kept::spliced(text, span, style, value, quote::written)
        }
    }
}

/// Whether the document may have a comment that names a policy or an image.
fn has_comment(text: &str, targets: &Targets) -> bool {
    let Updates { markers, renovate_comments, .. } = &targets.updates;
    (*markers && marker::may_be_in_a_comment(text))
        || (*renovate_comments && renovate::may_be_in(text.as_bytes()))
}

fn find_marked_in(document: &Document<'_>, targets: &Targets, found: &mut FileSites) {
    match shortcut::read(document.text).map_or_else(|| reader::read(document.text), Ok) {
        Ok(reading) => {
            let before = (found.sites.len(), found.problems.len());
            if targets.updates.markers {
                find_in_document(document, &reading, found);
            }
            if targets.updates.renovate_comments {
                let marked = found.lines_behind(before);
                below_comment::find(document, &reading, &marked, found);
            }
        }
        Err(error) => found.problems.push(invalid_yaml(document, &error)),
    }
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
        if !found.has_room(line) {
            return;
        }
        match read {
            Ok(marker) => find_marked(document, reading, comment, marker, found),
            Err(error) => found.problems.push(invalid_marker(line, &error)),
        }
    }
    for node in reading.nodes.iter().filter(|node| target::swallows_marker(node)) {
        let line = document.file_line(node.lines.1);
        if !found.has_room(line) {
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
            owner: Owner::Policy(marker.policy),
            part: marker.part,
            value: target.value.to_owned(),
            obstacle: None,
            rivals: None,
            span: document.start + target.span.start..document.start + target.span.end,
            style: target.style,
        }),
        Err(error) => found.problems.push(Problem {
            line,
            reason: error.reason(),
            message: error.to_string(),
            policy: Some(marker.policy),
        }),
    }
}
