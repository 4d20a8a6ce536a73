//! Where image versions live in text, and byte-exact replacement of them.
//!
//! ```text
//! targets ──► marker ──► yaml ──► value ──► plan ──► splice
//! what is     what a     which    what it   all of   the new
//! looked      comment    bytes    becomes   a file   bytes
//! for         says       they are
//! ```
//!
//! Two steps, so that the first can be cached by blob id: [`find_sites`] reads a file and knows no policies,
//! [`plan_file`] asks what each policy wants and gives the file's new bytes; [`held_back`] looks at all files first, for
//! what belongs together in different ones. Nothing but the bytes of the marked values
//! ever changes, and the result is read again before it is handed out. [`inventory`] lists what there is in a file before
//! any policy or marker says so.

mod apart;
mod chart;
mod choice;
mod field_path;
mod fit;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod glob;
mod inventory;
mod kept;
mod marker;
mod plan;
mod problem;
mod proof;
mod renovate;
mod shared;
mod splice;
mod stray;
mod stuck;
mod targets;
mod text;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use self::text::Format;
use crate::api::ObjectKey;
use crate::image::ImageName;

pub use apart::{HeldBack, held_back};
pub use chart::{Chart, ChartSource, ChartSources};
pub use glob::file_glob;
pub use inventory::{Field, FoundBy, Inventory, PassedOver, Place, Switch, fields, inventory};
pub use marker::{Marker, Part};
pub use plan::{Change, FilePlan, Held, Policies, Resolution, Wanted, plan_file};
pub use problem::{Problem, ProblemReason, unknown_policy};
pub use targets::{InvalidFieldUpdate, Targets, exact_glob};

/// The largest file that is read, in bytes. Kubernetes itself takes no object above 1.5 MiB.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The most values that are read in one file, good and bad ones together.
pub const MAX_SITES: usize = 10_000;

/// What a file holds: the values that follow a policy, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSites {
    /// The values, in the order of the file.
    pub sites: Vec<Site>,
    /// What could not be read, in the order of the file.
    pub problems: Vec<Problem>,
    /// The sources of charts of other files.
    sources: Vec<ChartSource>,
}

/// One value that holds an image version.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The line of the value, from 1.
    pub line: u64,
    /// Whom it follows.
    pub owner: Owner,
    /// The part of the reference that it is.
    pub part: Part,
    /// What the value means, without its quotes.
    pub value: String,
    /// Why it can not be written; of interest only where a policy would.
    obstacle: Option<Box<Obstacle>>,
    /// Other values of its line of which the image of the policy tells whether they are meant; `None` where this one is,
    /// whatever it holds.
    rivals: Option<Box<[Site]>>,
    /// The bytes of the value in the file, its quotes included.
    span: Range<usize>,
    style: Style,
}

/// Whom a value follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// This policy: a marker says so.
    Policy(ObjectKey),
    /// This policy: a rule of `spec.updates.fields` says so.
    Rule(ObjectKey),
    /// The policy of this image, if there is one.
    Image(ImageName),
    /// The policy of this chart, whose source is in another file.
    Chart(Chart),
}

/// Why a value can not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Obstacle {
    reason: ProblemReason,
    message: String,
}

/// How a value is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// Not at all: a line is added behind the one that the span names.
    AddedToBlock,
    /// Not at all: an entry of a flow mapping is added behind the one that the span names.
    AddedToFlow,
}

/// Finds the values of a file that hold image versions. A pure function of path, bytes and targets; a file of another
/// format has none, but its comments that would name one are problems.
///
/// A file above [`MAX_FILE_BYTES`] or that is not UTF-8 gives one problem and no sites; values beyond
/// [`MAX_SITES`] are not read, and a problem says so.
#[must_use]
pub fn find_sites(path: &str, text: &[u8], targets: &Targets) -> FileSites {
    if targets.search_for_strays(path) {
        return stray::find(text, targets);
    }
    if !targets.may_be_in(path, text) {
        return FileSites::default();
    }
    if text.len() > MAX_FILE_BYTES {
        return FileSites::of_problem(
            1,
            ProblemReason::TooLarge,
            format!(
                "the file has {} bytes and may hold an image version; files of up to {MAX_FILE_BYTES} bytes are read, so split it",
                text.len()
            ),
        );
    }
    match std::str::from_utf8(text) {
        Ok(text) => match Format::of(path) {
            Some(format) => text::find_sites(path, format, text, targets),
            None => match yaml::json_problem(path, text) {
                Some((line, problem)) => {
                    let message = format!("the file can not be read ({problem}), and is left alone");
                    FileSites::of_problem(line, ProblemReason::InvalidSyntax, message)
                }
                None => yaml::find_sites(path, text, targets),
            },
        },
        Err(error) => {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            FileSites::of_problem(
                line_of_end(before),
                ProblemReason::NotUtf8,
                "the file may hold an image version but this line is not UTF-8; save the file as UTF-8"
                    .to_owned(),
            )
        }
    }
}

impl FileSites {
    /// Whether the file holds neither a site nor a problem, nor what others need.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.problems.is_empty() && self.sources.is_empty()
    }

    /// Line and policy of the only site, where a marker names the policy and nothing else is to be said of the file.
    #[must_use]
    pub fn sole_marker(&self) -> Option<(u64, &ObjectKey)> {
        match (self.sites.as_slice(), self.problems.as_slice(), self.sources.as_slice()) {
            ([Site { line, owner: Owner::Policy(policy), obstacle: None, .. }], [], []) => {
                Some((*line, policy))
            }
            _ => None,
        }
    }

    /// Whether one more site or problem is taken.
    fn has_room(&mut self, line: u64) -> bool {
        self.has_room_for(1, line)
    }

    /// Whether so many more sites or problems are taken, all of them or none. The first that are not leave a problem of
    /// their own.
    fn has_room_for(&mut self, more: usize, line: u64) -> bool {
        let has_room = self.sites.len() + self.problems.len() + more <= MAX_SITES;
        let is_told = || self.problems.iter().rev().any(|problem| problem.reason == ProblemReason::TooLarge);
        if !has_room && !is_told() {
            let message = format!(
                "the file has more than {MAX_SITES} places for image versions; the rest is not read, so split it"
            );
            self.problems.push(Problem { line, reason: ProblemReason::TooLarge, message, policy: None });
        }
        has_room
    }

    fn add_problem(&mut self, line: u64, reason: ProblemReason, message: String) {
        if self.has_room(line) {
            self.problems.push(Problem { line, reason, message, policy: None });
        }
    }

    /// The lines of what was added since there were so many sites and problems.
    fn lines_behind(&self, (sites, problems): (usize, usize)) -> BTreeSet<u64> {
        let sites = self.sites.iter().skip(sites).map(|site| site.line);
        sites.chain(self.problems.iter().skip(problems).map(|problem| problem.line)).collect()
    }

    /// Puts all that was found in a text in order.
    fn settle(&mut self, text: &str) {
        for site in &mut self.sites {
            site.find_obstacle(text);
            site.rivals.iter_mut().flatten().for_each(|rival| rival.find_obstacle(text));
        }
        shared::settle(&mut self.sites);
        self.problems.sort_by_key(|problem| problem.line);
    }

    fn of_problem(line: u64, reason: ProblemReason, message: String) -> Self {
        let problems = vec![Problem { line, reason, message, policy: None }];
        Self { problems, ..Self::default() }
    }
}

impl Site {
    /// The bytes of the value in the file, its quotes included. A value that is yet to be added has those of the one that
    /// it is added behind.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether something keeps the value from being written, whatever its policy wants. A plan tells what.
    #[must_use]
    pub fn is_hindered(&self) -> bool {
        self.obstacle.is_some()
    }

    /// The value that a policy of this image is to write: this one, or another of its line.
    ///
    /// # Errors
    /// What keeps such a policy from writing, whatever tag it wants, with its reason.
    pub fn meant(&self, image: &ImageName) -> Result<&Self, (ProblemReason, String)> {
        choice::meant(self, Some(image)).map_err(|Obstacle { reason, message }| (reason, message))
    }

    fn find_obstacle(&mut self, text: &str) {
        if self.obstacle.is_none() {
            self.obstacle = kept::obstacle(self, text).map(Box::new);
        }
    }
}

impl Style {
    const fn is_added(self) -> bool {
        match self {
            Self::AddedToBlock | Self::AddedToFlow => true,
            Self::Plain | Self::SingleQuoted | Self::DoubleQuoted => false,
        }
    }
}

/// The line, from 1, on which the text behind `before` begins.
fn line_of_end(before: &[u8]) -> u64 {
    before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}
