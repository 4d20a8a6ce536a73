//! What is wrong with objects and with the files that they write to, told without a cluster and without a registry.
//!
//! ```text
//! folder ──► objects ──► references ──┐
//! files  ──► places ──────────────────┴──► findings ──► text, JSON, SARIF
//! ```
//!
//! Every finding goes against one [`Rule`], and has a place, what is wrong, and what would be right.

mod finding;
mod objects;
mod places;
mod references;
mod rule;
mod sarif;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use self::source::Sources;
use crate::api::InfraRepository;
use crate::edit::FileSites;
use crate::engine::{IdleGlob, Unread};
use crate::folder::Folder;

pub use self::finding::{Finding, Report, Severity};
pub use self::rule::Rule;
pub use self::sarif::sarif;

/// The files of an infra repo, as far as they matter to the policies.
#[derive(Clone)]
pub struct Files<'a> {
    /// By path with `/`: what was found in a file.
    pub marked: BTreeMap<&'a str, &'a FileSites>,
    /// Gives the text of such a file, for the lines that findings show.
    pub read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// Files that were not read.
    pub unread: &'a [Unread],
    /// Globs of the InfraRepository that no file matches.
    pub idle_globs: &'a [IdleGlob],
    /// How many files were looked at.
    pub searched: usize,
    /// What a path is put behind, so that it leads from the working directory to the file: `infra/`, or nothing.
    pub prefix: String,
    /// The InfraRepository as which they were searched; without one, every policy counts.
    pub repository: Option<&'a InfraRepository>,
}

/// Looks for what is wrong: with the objects of a folder, and with files that they write to.
///
/// Files of the folder are read again for the lines that findings show. Blocks.
#[must_use]
pub fn lint<'a>(folder: &Folder, files: Option<&'a Files<'a>>) -> Report {
    let mut sources = Sources::new(files);
    let mut findings = objects::findings(folder);
    findings.extend(references::findings(folder));
    if let Some(files) = files {
        findings.extend(places::findings(folder, files, &mut sources));
    }
    // What was not read, such as a link that leads out of the folder, is not opened for its lines either.
    let read = findings.iter_mut().filter(|finding| finding.rule != Rule::UnreadableFile);
    read.for_each(|finding| sources.show(finding));
    let folder_of_work = std::env::current_dir().ok();
    for finding in &mut findings {
        finding.file = below(&finding.file, folder_of_work.as_deref());
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.columns.start).cmp(&(&b.file, b.line, b.columns.start)));
    findings.dedup();
    let searched = files.map_or(0, |files| files.searched);
    Report { findings, files: folder.files + searched, policies: folder.policies.len() }
}

/// The path of a file from the working directory, where it lies below that.
fn below(file: &str, folder: Option<&Path>) -> String {
    let path = Path::new(file);
    let path = folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
    let path = path.strip_prefix(".").unwrap_or(path);
    path.to_str().unwrap_or(file).to_owned()
}

impl Files<'_> {
    /// The text of a file by its path from the working directory; an empty one where it was passed over, for a link is
    /// not followed for its lines either. `None` where it is none of these.
    fn text(&self, file: &str) -> Option<Vec<u8>> {
        let path = file.strip_prefix(&self.prefix)?;
        if self.marked.contains_key(path) {
            return (self.read)(path);
        }
        self.unread.iter().any(|file| file.path == path).then(Vec::new)
    }

    /// The path of a file from the working directory.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}
