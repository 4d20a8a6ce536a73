//! Which of the values on a line a comment means.

use super::{Leaf, Step};
use crate::edit::choice::only;
use crate::edit::fit::{Fit, fit};
use crate::edit::{Obstacle, Part, renovate};
use crate::image::ImageName;

/// The value that a comment means, as far as a file alone can tell.
pub(super) enum Choice<'l> {
    /// There is none.
    Nothing,
    /// This one.
    One(&'l Leaf),
    /// The first one, or one of the others, where it is of the image of the policy.
    OfImage(&'l Leaf, Vec<&'l Leaf>),
    /// None that can be told from the others; the last one stands for them.
    Unclear(&'l Leaf, Obstacle),
}

/// The only value of a line that fits a part surely, or else the only one that fits it at all. A line that holds a single
/// value, whatever it is, means that.
pub(super) fn meant(part: Part, leaves: &[Leaf]) -> Choice<'_> {
    let Some(last) = leaves.last() else { return Choice::Nothing };
    let fitting = |least: Fit| -> Vec<&Leaf> {
        leaves.iter().filter(|leaf| fit(part, leaf.key(), &leaf.value) >= least).collect()
    };
    let (sure, all) = (fitting(Fit::Sure), fitting(Fit::Maybe));
    let is_told_by_image = part == Part::Image || part == Part::Name;
    if leaves.len() == 1 && last.is_whole() {
        return Choice::One(last);
    }
    match sure.last().or(all.last()) {
        Some(likely) if is_told_by_image => {
            let others = all.iter().filter(|leaf| leaf.span != likely.span).copied();
            Choice::OfImage(likely, others.collect())
        }
        Some(_) | None => match only(&sure, &all, part) {
            Ok(one) => Choice::One(one),
            Err(obstacle) => Choice::Unclear(last, obstacle),
        },
    }
}

/// The version of an image below a comment of Renovate's, and which part of the reference it is. `None` where the line only
/// names the image.
pub(super) fn version_of<'l>(image: &ImageName, leaves: &'l [Leaf]) -> Option<(Part, Choice<'l>)> {
    let Some(last) = leaves.last() else { return Some((Part::Tag, Choice::Nothing)) };
    let values: Vec<_> =
        leaves.iter().map(|leaf| renovate::Value { key: leaf.key(), text: &leaf.value }).collect();
    Some(match renovate::meant(image, &values, false)? {
        Ok((at, part)) => (part, leaves.get(at).map_or(Choice::Nothing, Choice::One)),
        Err(obstacle) => (Part::Tag, Choice::Unclear(last, obstacle)),
    })
}

impl Leaf {
    /// The key that it stands behind.
    fn key(&self) -> Option<&str> {
        self.path.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// Whether it is all that a line says: an argument of a command is not.
    fn is_whole(&self) -> bool {
        self.key().is_some_and(|key| !key.starts_with('-'))
    }
}
