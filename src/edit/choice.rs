//! Which value a marker means where only its policy's image can tell, and whether it is one that may be written.

use super::fit::{Fit, fit, is_name_of, is_part, is_version};
use super::{Obstacle, Owner, Part, ProblemReason, Site, kept};
use crate::image::{ImageName, ImageReference};

/// What parts the words of a value in which images may stand.
const BETWEEN: [char; 9] = [' ', '\t', '=', ',', ';', '&', '?', '"', '\''];

/// The value that is meant for a policy of this image, if any, or why none is.
pub(super) fn meant<'s>(site: &'s Site, image: Option<&ImageName>) -> Result<&'s Site, Obstacle> {
    let meant = match site.rivals.as_deref() {
        None => site,
        Some(rivals) => among(site, rivals, image)?,
    };
    match (&meant.obstacle, unclear_end(meant, image).or_else(|| misfit(meant, image))) {
        (Some(obstacle), _) => Err(Obstacle::clone(obstacle)),
        (None, Some(message)) => Err(Obstacle { reason: ProblemReason::NotAnImage, message }),
        (None, None) => Ok(meant),
    }
}

/// The image that a value names by itself; `None` where the marker may mean another value, or where without a `/` it may be
/// something else, such as `--user=me:me`.
pub(super) fn own_image(site: &Site) -> Option<ImageName> {
    let end = end(site);
    name_of(site.part, end).filter(|_| site.rivals.is_none() && end.contains('/'))
}

/// Of several values the only one of this image, or else the only one that is surely an image.
fn among<'s>(site: &'s Site, rivals: &'s [Site], image: Option<&ImageName>) -> Result<&'s Site, Obstacle> {
    let all = || std::iter::once(site).chain(rivals);
    let of_image: Vec<_> =
        all().filter(|site| image.is_some() && name_of(site.part, end(site)).as_ref() == image).collect();
    let sure: Vec<_> = all().filter(|site| fit(site.part, None, &site.value) == Fit::Sure).collect();
    only(&of_image, &sure, site.part)
}

/// The one of the values of a line that is this part: the only one of the better ones, or where there are none, the only
/// one of the others.
///
/// # Errors
/// What is said of a line on which none is, or several may be.
pub(super) fn only<T: Copy>(better: &[T], others: &[T], part: Part) -> Result<T, Obstacle> {
    let (reason, message) = match (better, others) {
        ([one], _) | ([], [one]) => return Ok(*one),
        ([], []) => {
            let example = kept::example(part);
            let message = format!(
                "nothing on the line is surely the {part} that the comment means; write one, such as {example}"
            );
            (ProblemReason::NotAnImage, message)
        }
        ([_, _, ..], _) | ([], [_, _, ..]) => {
            let message = format!(
                "several values on the line may be the {part} that the comment means; give it a line of its own"
            );
            (ProblemReason::Ambiguous, message)
        }
    };
    Err(Obstacle { reason, message })
}

/// Why an image behind a `=` may not be the one that is meant; of other parts that is known before.
fn unclear_end(site: &Site, image: Option<&ImageName>) -> Option<String> {
    let before = kept::before(&site.value).filter(|_| site.part == Part::Image)?;
    let others: Vec<_> = before.split(BETWEEN).filter(|word| is_version(word)).collect();
    let is_of_image = |word: &str| image.is_some() && name_of(Part::Image, word).as_ref() == image;
    let is_alone = !before.contains([' ', '\t']);
    let is_clear = if is_of_image(end(site)) {
        !others.iter().any(|word| is_of_image(word))
    } else {
        let is_named = kept::last_name(before).is_some_and(|name| is_name_of(site.part, name));
        // Without a policy, a bare name may yet be that of its image.
        let is_image = is_version(end(site)) || (image.is_none() && end(site).contains('/'));
        is_image && others.is_empty() && (is_alone || is_named)
    };
    (!is_clear).then(|| {
        let example = kept::example(site.part);
        format!(
            "what stands behind the last = of {:?} is not surely the image that is meant; write that one last, such as {example}",
            site.value
        )
    })
}

/// Why a value is not the part that a rule says it is. A marker stands at its value, which a person looked at; a rule may name
/// any field by mistake.
fn misfit(site: &Site, image: Option<&ImageName>) -> Option<String> {
    match site.owner {
        Owner::Rule(_) => {}
        Owner::Policy(_) | Owner::Image(_) | Owner::Chart(_) => return None,
    }
    let (part, end) = (site.part, end(site));
    let fits = match part {
        Part::Image | Part::Name => {
            let name = name_of(part, end);
            name.is_some() && (is_version(end) || end.contains('/') || name.as_ref() == image)
        }
        // That of a chart may have a `+`.
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version => {
            is_part(part, &end.replace('+', "_"))
        }
        Part::Digest => is_part(part, end),
    };
    let remedy = match is_version(end) {
        true => "say write: Image in spec.updates.fields",
        false => "name another field in spec.updates.fields, or write a first version",
    };
    (!fits).then(|| format!("{:?} is no {part}; {remedy}", site.value))
}

fn name_of(part: Part, text: &str) -> Option<ImageName> {
    match part {
        Part::Image => ImageReference::parse(text).map(|reference| reference.name),
        Part::Name => ImageName::parse(text).ok(),
        Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version | Part::Digest => None,
    }
}

fn end(site: &Site) -> &str {
    ImageReference::split_end(&site.value).1
}
