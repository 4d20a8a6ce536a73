//! Where image versions live in text, and byte-exact replacement of them.
//!
//! ```text
//! marker ──► yaml ──► value ──► plan ──► splice
//! what a     which    what it   all of   the new
//! comment    bytes    becomes   a file   bytes
//! says       it marks
//! ```
//!
//! Two steps, so that the first can be cached by blob id: [`find_sites`] reads a file and knows no policies,
//! [`plan_file`] asks what each policy wants and gives the file's new bytes. Nothing but the bytes of the marked values
//! ever changes, and the result is read again before it is handed out.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod marker;
mod plan;
mod problem;
mod splice;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::api::ObjectKey;

pub use marker::{Marker, Part};
pub use plan::{Change, FilePlan, Held, Resolution, Wanted, plan_file};
pub use problem::{Problem, ProblemReason, unknown_policy};

/// The largest file that is read, in bytes. Kubernetes itself takes no object above 1.5 MiB.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The most markers that are read in one file, good and bad ones together.
pub const MAX_SITES: usize = 10_000;

/// What a file holds: the values that markers name, and the markers that name none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSites {
    /// The marked values, in the order of the file.
    pub sites: Vec<Site>,
    /// What could not be read, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One marked value.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The line of the value and its marker, from 1.
    pub line: u64,
    /// What the marker says.
    pub marker: Marker,
    /// What the value means, without its quotes.
    pub value: String,
    /// The bytes of the value in the file, its quotes included.
    span: Range<usize>,
    style: Style,
}

/// How a value is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
}

/// Whether files of this name are looked at, whatever they hold: others need not be read.
#[must_use]
pub fn is_searched(path: &str) -> bool {
    yaml::is_yaml(path)
}

/// Whether the file can hold a marker at all: by the end of its path and a search for the marker's key. Cheap enough
/// to be asked for every file of a large repo; `true` promises nothing.
fn may_hold_sites(path: &str, text: &[u8]) -> bool {
    is_searched(path) && marker::may_be_in(text)
}

/// Finds the marked values of a file. A pure function of path and bytes; a file of another format has none.
///
/// A file above [`MAX_FILE_BYTES`] or that is not UTF-8 gives one problem and no sites; markers beyond
/// [`MAX_SITES`] are not read, and a problem says so.
#[must_use]
pub fn find_sites(path: &str, text: &[u8]) -> FileSites {
    if !may_hold_sites(path, text) {
        return FileSites::default();
    }
    if text.len() > MAX_FILE_BYTES {
        return FileSites::of_problem(
            1,
            ProblemReason::TooLarge,
            format!(
                "the file has {} bytes and a marker; files of up to {MAX_FILE_BYTES} bytes are read, so split it",
                text.len()
            ),
        );
    }
    match std::str::from_utf8(text) {
        Ok(text) => yaml::find_sites(text),
        Err(error) => {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            FileSites::of_problem(
                line_of_end(before),
                ProblemReason::NotUtf8,
                "the file has a marker but this line is not UTF-8; save the file as UTF-8".to_owned(),
            )
        }
    }
}

impl FileSites {
    /// Whether the file holds neither a site nor a problem.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.problems.is_empty()
    }

    /// Line and policy of the only site, where a marker names the policy and nothing else is to be said of the file.
    #[must_use]
    pub fn sole_marker(&self) -> Option<(u64, &ObjectKey)> {
        match (self.sites.as_slice(), self.problems.as_slice()) {
            ([site], []) => Some((site.line, &site.marker.policy)),
            _ => None,
        }
    }

    fn of_problem(line: u64, reason: ProblemReason, message: String) -> Self {
        Self { sites: Vec::new(), problems: vec![Problem { line, reason, message, policy: None }] }
    }
}

/// The line, from 1, on which the text behind `before` begins.
fn line_of_end(before: &[u8]) -> u64 {
    before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}
