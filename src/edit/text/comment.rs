//! The comments that name a policy or an image, and the values they mean.

use super::{Format, Leaf};
use crate::api::Updates;
use crate::edit::marker::{self, InvalidMarker, Marker};
use crate::edit::renovate;
use crate::image::ImageName;

/// A comment with the value that it means.
pub(super) struct Placed<'l> {
    /// The line of the comment, from 1.
    pub(super) line: u64,
    pub(super) says: Says,
    /// The values on the line that it speaks of.
    pub(super) leaves: &'l [Leaf],
}

/// What a comment says.
pub(super) enum Says {
    Marker(Result<Marker, InvalidMarker>),
    /// One of Renovate's: the image that the value below is a version of.
    Image(ImageName),
}

impl Says {
    const fn is_marker(&self) -> bool {
        match self {
            Self::Marker(_) => true,
            Self::Image(_) => false,
        }
    }
}

/// The comments of a text, in its order. A value has at most one: that on its line, or else the one on the line above.
pub(super) fn placed<'l>(
    format: Format,
    text: &str,
    leaves: &'l [Leaf],
    updates: &Updates,
) -> Vec<Placed<'l>> {
    let mut placed: Vec<Placed<'l>> = Vec::new();
    let mut above: Option<(u64, Says)> = None;
    let mut left = leaves;
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let end = start + line.len();
        let count = left.partition_point(|leaf| leaf.span.start < end);
        let (here, behind) = left.split_at_checked(count).unwrap_or((left, &[]));
        left = behind;
        // A value that began above and ends here, or further down, hides what looks like a comment in it.
        let before = leaves.len() - left.len() - here.len();
        let reaching = before.checked_sub(1).and_then(|last| leaves.get(last));
        let free = reaching.map_or(start, |leaf| leaf.span.end.max(start));
        let own = in_line(format, text, free..end, here, updates);
        if let Some(says) = own {
            if here.is_empty() && is_own_line(format, line) {
                // A marker speaks for its value, whatever Renovate's comment says.
                let has_marker = above.as_ref().is_some_and(|(_, above)| above.is_marker());
                if says.is_marker() || !has_marker {
                    placed.extend(displaced(above.replace((number, says))));
                }
            } else {
                placed.extend(displaced(above.take()));
                placed.push(Placed { line: number, says, leaves: here });
            }
        } else if let Some((line, says)) = above.take() {
            placed.push(Placed { line, says, leaves: here });
        }
        start = end;
    }
    placed.extend(above.map(|(line, says)| Placed { line, says, leaves: &[] }));
    placed
}

/// A marker that another comment parts from its value has none.
fn displaced<'l>(comment: Option<(u64, Says)>) -> Option<Placed<'l>> {
    let (line, says) = comment.filter(|(_, says)| says.is_marker())?;
    Some(Placed { line, says, leaves: &[] })
}

fn is_own_line(format: Format, line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim_start();
    format.comments().iter().any(|sign| line.starts_with(sign))
}

/// What the comment at the end of a line says, behind the values before it on the line.
fn in_line(
    format: Format,
    text: &str,
    line: std::ops::Range<usize>,
    leaves: &[Leaf],
    updates: &Updates,
) -> Option<Says> {
    let whole = text.get(line.clone())?;
    if !whole.contains("imagepolicy") && !whole.contains("tagtide") && !whole.contains("renovate:") {
        return None;
    }
    let last = leaves.last();
    let from = last.map_or(line.start, |leaf| leaf.span.end);
    let rest = text.get(from..line.end)?.trim_end();
    let sign_at = format.comments().iter().filter_map(|sign| rest.find(sign)).min();
    let swallowed = || {
        let value = text.get(last?.span.start..line.end)?;
        let (_, comment) = value.split_once('#')?;
        // Good or bad, it is meant as one.
        marker::read(comment, true).is_some().then_some(())?;
        let error = if format.has_comments_behind_values() {
            InvalidMarker::Swallowed
        } else {
            InvalidMarker::OnlyAbove
        };
        Some(Says::Marker(Err(error)))
    };
    let Some(sign_at) = sign_at else { return swallowed().filter(|_| updates.markers) };
    let comment = rest.get(sign_at..)?.trim_start_matches(['#', ';', '/', '!']);
    let is_behind = last.is_some();
    if let Some(marker) = marker::read(comment, is_behind).filter(|_| updates.markers) {
        let marker = match marker {
            Ok(_) if is_behind && !format.has_comments_behind_values() => Err(InvalidMarker::OnlyAbove),
            marker => marker,
        };
        return Some(Says::Marker(marker));
    }
    let image = renovate::image(comment).filter(|_| updates.renovate_comments && !is_behind)?;
    Some(Says::Image(image))
}
