//! What a repo holds: every place of an image version, and the values that can be none.

use std::collections::BTreeMap;

use super::existing::Existing;
use crate::api::ObjectKey;
use crate::cli::repo_files::Repo;
use crate::edit::{ChartSources, Inventory, Part, Place, Targets, inventory};
use crate::engine::{NotRead, Scope};

/// A place and its file.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) file: String,
    pub(super) place: Place,
}

/// A place that no policy is proposed for, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Passed {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) image: Option<String>,
    /// One word, for scripts.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What a repo holds, in the order of files and lines.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) places: Vec<Finding>,
    pub(super) passed: Vec<Passed>,
    /// The files with places.
    pub(super) texts: BTreeMap<String, Vec<u8>>,
    /// How many files were read in each folder of the root; those in the root itself are in one without a name.
    pub(super) folders: BTreeMap<String, usize>,
    /// The objects that the files hold.
    pub(super) existing: Existing,
}

impl Findings {
    /// Reads the files of a repo.
    pub(super) fn read(repo: &Repo) -> anyhow::Result<Self> {
        let mut looked = repo.look(&Scope::compile(None)?, &Targets::everything(), |path, text| {
            let found = inventory(path, text);
            let is_kept = !found.places.is_empty() || Existing::may_be_in(path, text);
            (path.to_owned(), found, is_kept.then(|| text.to_vec()))
        })?;
        let sources = looked.results.iter().flat_map(|(_, found, _)| &found.chart_sources);
        let sources = ChartSources::of(sources);
        looked.results.iter_mut().for_each(|(_, found, _)| found.resolve(&sources));
        let mut findings = Self::default();
        findings.passed.extend(looked.unread.into_iter().filter_map(|file| not_read(file.path, &file.why)));
        looked.results.into_iter().for_each(|(path, found, text)| findings.take(path, found, text));
        findings.places.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(findings)
    }

    fn take(&mut self, file: String, found: Inventory, text: Option<Vec<u8>>) {
        self.existing.take(&file, text.as_deref().unwrap_or_default());
        *self.folders.entry(folder_of(&file).to_owned()).or_default() += 1;
        self.passed.extend(found.passed_over.into_iter().map(|passed| Passed {
            file: file.clone(),
            line: passed.line,
            image: passed.image.map(|image| image.to_string()),
            reason: passed.reason.as_str(),
            message: passed.message,
        }));
        if !found.places.is_empty() {
            let places = found.places.into_iter().map(|place| Finding { file: file.clone(), place });
            self.places.extend(places);
            self.texts.extend(text.map(|text| (file, text)));
        }
    }
}

/// The folder of the root that a file is in.
pub(super) fn folder_of(file: &str) -> &str {
    file.split_once('/').map_or("", |(folder, _)| folder)
}

/// A file that is not read. A link is none of Git's files, and what it leads to is most often read under its own name.
fn not_read(file: String, why: &NotRead) -> Option<Passed> {
    let message = match why {
        NotRead::Link { .. } => return None,
        NotRead::TooLarge => "the file is too large to be read; split it",
        NotRead::Name => "the name of the file has characters that none is read with; rename it",
        NotRead::Unreadable { error } => &format!("it can not be read: {error}"),
    };
    Some(Passed { file, line: 1, image: None, reason: "NotRead", message: message.to_owned() })
}

impl Finding {
    /// The marker that would let it follow a policy; `None` where none can.
    pub(super) fn marker(&self, policy: &ObjectKey, is_pinned: bool) -> Option<String> {
        let part = match self.place.part {
            Part::Image => "",
            Part::Tag => ":tag",
            // A marker of a tag writes what the policy pins.
            Part::TagAlone if !is_pinned => ":tag",
            Part::Name | Part::TagBesideDigest | Part::TagAlone | Part::Version | Part::Digest => {
                return None;
            }
        };
        let ObjectKey { namespace, name } = policy;
        let marker = format!("# {{\"$imagepolicy\": \"{namespace}:{name}{part}\"}}");
        (!self.place.value.is_empty()).then_some(marker)
    }

    /// Why no policy is proposed for it.
    pub(super) fn passed(&self, reason: &'static str, message: impl Into<String>) -> Passed {
        Passed {
            file: self.file.clone(),
            line: self.place.line,
            image: self.place.image.as_ref().map(ToString::to_string),
            reason,
            message: message.into(),
        }
    }
}
