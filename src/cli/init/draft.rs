//! The images of a repo one by one: which policies each needs, and which of its places these would reach.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Finding, Passed};
use super::name;
use crate::api::ObjectKey;
use crate::edit::{Part, Switch};
use crate::image::{ImageName, Tag};
use crate::policy::{Kind, Majors, Series, guess};

/// A policy whose name may not be known yet.
pub(super) struct Draft {
    pub(super) key: Option<ObjectKey>,
    pub(super) series: Series,
    pub(super) is_guard: bool,
    pub(super) places: Vec<Finding>,
}

/// What is known of one image.
#[derive(Default)]
pub(super) struct Image {
    pub(super) drafts: Vec<Draft>,
    /// Those whose tags can not be lifted.
    unordered: Vec<(Series, Vec<Finding>)>,
    untagged: Vec<Finding>,
}

/// The policy that markers name, with the image that its places tell.
pub(super) fn marked(key: &ObjectKey, places: Vec<Finding>) -> Result<(ImageName, Draft), Vec<Passed>> {
    let refuse = |places: &[Finding], message: String| {
        Err(places.iter().map(|finding| finding.passed("UnknownImage", message.clone())).collect())
    };
    let image = match image_of(key, &places) {
        Ok(image) => image,
        Err(message) => return refuse(&places, message),
    };
    let series = guess(tags(&places), Majors::Together);
    match <[Series; 1]>::try_from(series) {
        Ok([series]) if series.kind != Kind::Unordered => {
            let places = places.into_iter().filter(|finding| finding.place.part != Part::Name).collect();
            Ok((image, Draft { key: Some(key.clone()), series, is_guard: false, places }))
        }
        Ok(_) | Err(_) => {
            let message = format!(
                "the tags behind the markers of {key} have no order in common; write the policy by hand"
            );
            refuse(&places, message)
        }
    }
}

/// The one image that the places of a marker's policy tell.
fn image_of(key: &ObjectKey, places: &[Finding]) -> Result<ImageName, String> {
    let images: BTreeSet<&ImageName> =
        places.iter().filter_map(|finding| finding.place.image.as_ref()).collect();
    let mut images = images.into_iter();
    match (images.next(), images.next()) {
        _ if !name::is_label(&key.namespace) || !name::is_name(&key.name) => Err(format!(
            "the marker names {key}, which no policy can be called; write a name of a-z 0-9 and -"
        )),
        (Some(image), None) => Ok(image.clone()),
        (Some(one), Some(other)) => Err(format!(
            "the markers of {key} stand behind {one} and {other}; write the policy of one of them by hand"
        )),
        (None, _) => {
            Err(format!("no value that a marker of {key} marks tells its image; write the policy by hand"))
        }
    }
}

fn tags(places: &[Finding]) -> BTreeSet<&Tag> {
    places.iter().filter_map(|finding| finding.place.tag.as_ref()).collect()
}

impl Image {
    /// Takes in the places that are found by the image.
    pub(super) fn take(&mut self, places: Vec<Finding>) {
        let (tagged, untagged) = places.into_iter().partition(|finding| finding.place.tag.is_some());
        self.untagged = untagged;
        let mut left: Vec<Finding> = tagged;
        if self.join_the_marked(&mut left) {
            return;
        }
        let all: Vec<Tag> = tags(&left).into_iter().cloned().collect();
        for series in guess(&all, Majors::Apart) {
            let is_of =
                |finding: &Finding| finding.place.tag.as_ref().is_some_and(|tag| series.tags.contains(tag));
            let (own, others) = left.into_iter().partition(is_of);
            left = others;
            match series.kind {
                Kind::Ordered => self.add(series, own),
                Kind::Unordered => self.unordered.push((series, own)),
                Kind::Moving => {
                    let (fit, unfit): (Vec<_>, Vec<_>) =
                        own.into_iter().partition(|finding| holds_digests(finding.place.part));
                    if !unfit.is_empty() {
                        self.unordered.push((series.clone(), unfit));
                    }
                    if !fit.is_empty() {
                        self.add(series, fit);
                    }
                }
            }
        }
    }

    fn add(&mut self, series: Series, places: Vec<Finding>) {
        self.drafts.push(Draft { key: None, series, is_guard: false, places });
    }

    /// Gives the places to the one policy that markers name, where one rule does for all.
    fn join_the_marked(&mut self, places: &mut Vec<Finding>) -> bool {
        let [draft] = self.drafts.as_mut_slice() else { return false };
        let all: Vec<Tag> = draft.series.tags.iter().chain(tags(places)).cloned().collect();
        match <[Series; 1]>::try_from(guess(&all, Majors::Apart)) {
            Ok([series]) if series.kind == Kind::Ordered => {
                draft.series = series;
                draft.places.append(places);
                true
            }
            Ok(_) | Err(_) => places.is_empty(),
        }
    }

    /// The switches that find its places, where one policy alone follows it.
    fn switches(&self) -> BTreeSet<Switch> {
        match self.drafts.as_slice() {
            [draft] => draft.places.iter().filter_map(Finding::switch).collect(),
            [] | [_, _, ..] => BTreeSet::new(),
        }
    }

    /// Makes suspended policies of the places that its policy would write over.
    fn guard(&mut self, switches: &BTreeSet<Switch>, passed: &mut Vec<Passed>) {
        let is_one = self.drafts.len() == 1;
        for (series, places) in std::mem::take(&mut self.unordered) {
            let is_met =
                |finding: &Finding| finding.switch().is_some_and(|switch| switches.contains(&switch));
            if is_one && places.iter().any(is_met) {
                self.drafts.push(Draft { key: None, series, is_guard: true, places });
            } else {
                passed.extend(places.iter().map(|finding| no_order(finding, &series)));
            }
        }
    }

    /// Gives the places that hold no tag to its policy, where that would write them; it can not be kept from it.
    fn take_untagged(&mut self, switches: &BTreeSet<Switch>, passed: &mut Vec<Passed>) {
        for finding in std::mem::take(&mut self.untagged) {
            let is_met = finding.switch().is_some_and(|switch| switches.contains(&switch));
            match self.drafts.as_mut_slice() {
                [draft] if is_met => draft.places.push(finding),
                _ => passed.push(no_tag(&finding)),
            }
        }
    }
}

/// Brings the images together: what one makes necessary is seen by all. Gives the switches that are needed.
pub(super) fn settle(images: &mut BTreeMap<ImageName, Image>, passed: &mut Vec<Passed>) -> BTreeSet<Switch> {
    let switches = |images: &BTreeMap<ImageName, Image>| images.values().flat_map(Image::switches).collect();
    let before: BTreeSet<Switch> = switches(images);
    images.values_mut().for_each(|image| image.guard(&before, passed));
    let switches = switches(images);
    images.values_mut().for_each(|image| image.take_untagged(&switches, passed));
    switches
}

/// Whether a digest can be written there, behind the tag or beside it.
const fn holds_digests(part: Part) -> bool {
    match part {
        Part::Image | Part::Tag | Part::TagBesideDigest | Part::Digest => true,
        Part::Name | Part::TagAlone | Part::Version => false,
    }
}

fn no_tag(finding: &Finding) -> Passed {
    finding.passed("NoTag", match finding.place.has_digest {
        true => "the value has a digest and no tag, which tells no version; write a first one to have it lifted",
        false => "the value has no tag; write a first version to have it lifted",
    })
}

/// Why nothing is proposed for a tag without an order, or for one that moves where no digest can be written.
fn no_order(finding: &Finding, series: &Series) -> Passed {
    if series.kind == Kind::Moving {
        return finding
            .passed("NoDigest", "the tag moves, and this value takes no digest; write a tag that stays");
    }
    let include = series.filter.as_ref().and_then(|filter| filter.include.as_deref()).unwrap_or("^…$");
    let message = format!(
        "nothing in the tag tells which one is newer; a policy with `select: {{newestBuild: {{}}}}` and `tags: {{include: '{include}'}}` goes by the time of the build"
    );
    finding.passed("NoOrder", message)
}
