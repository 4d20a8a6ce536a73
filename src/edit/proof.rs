//! The proof of new bytes: they are read again, and only what was to change may differ.

use std::collections::BTreeMap;

use super::plan::Write;
use super::splice::splice;
use super::text::{self, Format};
use super::yaml;
use crate::api::ObjectKey;

/// The most policies whose writes are tried each by itself; every trial reads the file again.
const MOST_TRIALS: usize = 32;

/// What can be written to a file, and what must be left alone.
pub(super) struct Proven<'s> {
    /// The new text, where anything can be written.
    pub(super) text: Option<String>,
    /// What it differs by.
    pub(super) writes: Vec<Write<'s>>,
    /// What could not be proven, with the reason.
    pub(super) left: Vec<(Write<'s>, String)>,
}

impl<'s> Proven<'s> {
    /// Where all together can not be proven, those of each policy are tried by themselves, so that one policy's mistake
    /// does not stop the others. All of a policy stand or fall together: a digest never moves without its tag.
    pub(super) fn of(path: &str, old: &[u8], writes: Vec<Write<'s>>) -> Self {
        match new_text(path, old, &writes) {
            Ok(text) => Self { text: Some(text), writes, left: Vec::new() },
            Err(problem) => Self::in_part(path, old, writes, &problem),
        }
    }

    fn in_part(path: &str, old: &[u8], writes: Vec<Write<'s>>, problem: &str) -> Self {
        let mut by_policy: BTreeMap<&ObjectKey, Vec<Write<'s>>> = BTreeMap::new();
        for write in writes {
            by_policy.entry(write.followed.policy).or_default().push(write);
        }
        if !(2..=MOST_TRIALS).contains(&by_policy.len()) {
            return Self::nothing(Vec::new(), by_policy.into_values().flatten(), problem);
        }
        let (mut writes, mut left) = (Vec::new(), Vec::new());
        for own in by_policy.into_values() {
            match new_text(path, old, &own) {
                Ok(_) => writes.extend(own),
                Err(problem) => left.extend(own.into_iter().map(|write| (write, problem.clone()))),
            }
        }
        writes.sort_by_key(|write| write.followed.site.span.start);
        match new_text(path, old, &writes) {
            Ok(text) if !writes.is_empty() => Self { text: Some(text), writes, left },
            Ok(_) | Err(_) => Self::nothing(left, writes, problem),
        }
    }

    /// Beside what is left alone already, these too, for this reason.
    fn nothing(
        mut left: Vec<(Write<'s>, String)>,
        writes: impl IntoIterator<Item = Write<'s>>,
        problem: &str,
    ) -> Self {
        left.extend(writes.into_iter().map(|write| (write, problem.to_owned())));
        Self { text: None, writes: Vec::new(), left }
    }
}

/// The file's new text, read again.
fn new_text(path: &str, text: &[u8], writes: &[Write<'_>]) -> Result<String, String> {
    let old = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let format = Format::of(path);
    let elsewhere = "the values do not lie where they were found";
    let splices = writes.iter().map(|write| {
        let site = write.followed.site;
        match format {
            Some(_) => text::spliced(old, &site.span, site.style, &write.value),
            None => yaml::spliced(old, &site.span, site.style, &write.value),
        }
    });
    let splices = splices.collect::<Option<Vec<_>>>().ok_or(elsewhere)?;
    let new = splice(old, &splices).ok_or(elsewhere)?;
    match format {
        Some(format) => {
            let edits: Vec<_> =
                writes.iter().map(|write| (&write.followed.site.span, write.value.as_str())).collect();
            text::verify(format, old, &new, &edits)?;
        }
        None => {
            let edits: Vec<_> = writes.iter().map(Write::edit).collect();
            yaml::verify(old, &new, &edits).map_err(|error| error.to_string())?;
        }
    }
    match yaml::json_problem(path, &new) {
        Some((_, problem)) => Err(problem),
        None => Ok(new),
    }
}
