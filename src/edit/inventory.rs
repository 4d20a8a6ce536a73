//! Every image version of a file, before any policy says whose it is: what there is to be lifted, and what can not be.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::Origin;
use super::choice;
use super::stuck::Stuck;
use super::value::held;
use super::{
    Chart, ChartSource, ChartSources, FileSites, Obstacle, Owner, Part, ProblemReason, Site, Targets,
    find_sites, yaml,
};
use crate::api::{FieldPart, ObjectKey, Updates};
use crate::image::{ImageName, ImageReference, Tag};

/// The image versions of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// The values that can be written, in the order of the file.
    pub places: Vec<Place>,
    /// The values that can not, by line.
    pub passed_over: Vec<PassedOver>,
    /// The sources of charts, which charts of other files may come from.
    pub chart_sources: Vec<ChartSource>,
}

/// One value that holds an image version and can be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The line of the value, from 1.
    pub line: u64,
    /// What finds it.
    pub found_by: FoundBy,
    /// The image; `None` where only a marker tells whose version it is.
    pub image: Option<ImageName>,
    /// The part of the reference that the value is.
    pub part: Part,
    /// What the value means, without its quotes; empty where a field is to be added.
    pub value: String,
    /// The tag that it holds.
    pub tag: Option<Tag>,
    /// Whether it holds a digest, or stands beside one.
    pub has_digest: bool,
    start: usize,
    /// The chart that it is the version of, where the image depends on another file.
    chart: Option<Chart>,
}

/// What finds a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// A marker, which names this policy.
    Marker(ObjectKey),
    /// A switch of `spec.updates`, by the image.
    Switch(Switch),
}

/// The switches of `spec.updates` that find values by their image. Where two find the same value, the first has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// `workloads`
    Workloads,
    /// `kustomize`
    Kustomize,
    /// `helmValues`
    HelmValues,
    /// `ociArtifacts`
    OciArtifacts,
    /// `renovateComments`
    RenovateComments,
}

/// A value that is meant as an image version and can not be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PassedOver {
    /// The line, from 1.
    pub line: u64,
    /// The image, where it is known.
    pub image: Option<ImageName>,
    /// What kind of reason.
    pub reason: ProblemReason,
    /// Why, and what would help: one line.
    pub message: String,
}

/// A field as an entry of `spec.updates.fields` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its path in the file.
    pub path: String,
    /// What is written there.
    pub write: FieldPart,
}

impl Switch {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Workloads, Self::Kustomize, Self::HelmValues, Self::OciArtifacts, Self::RenovateComments];

    /// Its name in `spec.updates`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workloads => "workloads",
            Self::Kustomize => "kustomize",
            Self::HelmValues => "helmValues",
            Self::OciArtifacts => "ociArtifacts",
            Self::RenovateComments => "renovateComments",
        }
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_on(self, updates: &Updates) -> bool {
        match self {
            Self::Workloads => updates.workloads,
            Self::Kustomize => updates.kustomize,
            Self::HelmValues => updates.helm_values,
            Self::OciArtifacts => updates.oci_artifacts,
            Self::RenovateComments => updates.renovate_comments,
        }
    }

    fn turn_on(self, updates: &mut Updates) {
        match self {
            Self::Workloads => updates.workloads = true,
            Self::Kustomize => updates.kustomize = true,
            Self::HelmValues => updates.helm_values = true,
            Self::OciArtifacts => updates.oci_artifacts = true,
            Self::RenovateComments => updates.renovate_comments = true,
        }
    }
}

/// Lists the image versions of a file, with the finders that [`find_sites`] has: once with each switch alone beside the
/// markers, which tells the switch that a value needs.
#[must_use]
pub fn inventory(path: &str, text: &[u8]) -> Inventory {
    let marked = find_sites(path, text, &targets(&[], true));
    let images = images_of_lines(path, text, &marked);
    let mut listing = Listing::default();
    for site in &marked.sites {
        if let Owner::Policy(policy) = &site.owner {
            let (site, obstacle) = match choice::meant(site, choice::own_image(site).as_ref()) {
                Ok(meant) => (meant, None),
                Err(obstacle) => (site, Some(obstacle)),
            };
            let image = match site.part {
                Part::Image => ImageReference::ending(&site.value).map(|reference| reference.name),
                Part::Name => ImageName::parse(ImageReference::split_end(&site.value).1).ok(),
                Part::Tag | Part::TagBesideDigest | Part::TagAlone | Part::Version | Part::Digest => {
                    images.get(&site.line).cloned()
                }
            };
            listing.take(site, obstacle.as_ref(), FoundBy::Marker(policy.clone()), image);
        }
    }
    listing.take_problems(&marked);
    for switch in Switch::ALL {
        let found = find_sites(path, text, &targets(&[switch], true));
        let stuck: BTreeMap<_, _> =
            found.sites.iter().filter_map(|site| Some((&site.owner, Stuck::of(site)?.hinders()))).collect();
        for site in &found.sites {
            let beside = stuck.get(&site.owner).filter(|_| site.part.is_at_a_digest());
            let (obstacle, found_by) = (site.obstacle.as_deref().or(beside), FoundBy::Switch(switch));
            match &site.owner {
                Owner::Image(image) => listing.take(site, obstacle, found_by, Some(image.clone())),
                Owner::Chart(_) => listing.take(site, obstacle, found_by, None),
                Owner::Policy(_) | Owner::Rule(_) => {}
            }
        }
        listing.take_problems(&found);
        listing.chart_sources.extend(found.chart_sources().iter().cloned());
    }
    listing.places.sort_by_key(|place| place.start);
    let Listing { places, passed_over, chart_sources, .. } = listing;
    Inventory { places, passed_over: passed_over.into_iter().collect(), chart_sources }
}

impl Inventory {
    /// Gives each chart the image that its source tells, whichever file that is in. Charts that come from elsewhere go, and
    /// those of unknown origin are passed over.
    pub fn resolve(&mut self, sources: &ChartSources) {
        for mut place in std::mem::take(&mut self.places) {
            match place.chart.as_ref().map(|chart| (sources.origin(chart), chart)) {
                None => self.places.push(place),
                Some((Origin::Image(image), _)) => {
                    place.image = Some(image);
                    self.places.push(place);
                }
                Some((Origin::Elsewhere, _)) => {}
                Some((Origin::Unknown, chart)) => self.passed_over.push(PassedOver {
                    line: place.line,
                    image: None,
                    reason: ProblemReason::NoValue,
                    message: chart.unknown(),
                }),
            }
        }
    }
}

/// What would be the image of each line if no marker spoke for it.
fn images_of_lines(path: &str, text: &[u8], marked: &FileSites) -> BTreeMap<u64, ImageName> {
    if marked.sites.is_empty() {
        return BTreeMap::new();
    }
    let found = find_sites(path, text, &targets(&Switch::ALL, false));
    let images = found.sites.into_iter().filter_map(|site| match site.owner {
        Owner::Image(image) => Some((site.line, image)),
        Owner::Policy(_) | Owner::Rule(_) | Owner::Chart(_) => None,
    });
    images.collect()
}

fn targets(switches: &[Switch], markers: bool) -> Targets {
    let mut updates = Updates { markers, ..Updates::default() };
    switches.iter().for_each(|switch| switch.turn_on(&mut updates));
    Targets::for_inventory(updates)
}

/// What was found so far.
#[derive(Default)]
struct Listing {
    places: Vec<Place>,
    passed_over: BTreeSet<PassedOver>,
    chart_sources: Vec<ChartSource>,
    /// Where the values begin that were taken, and whether they can be written.
    taken: BTreeMap<usize, bool>,
}

impl Listing {
    /// Takes a value, or what keeps it from being written.
    fn take(
        &mut self,
        site: &Site,
        obstacle: Option<&Obstacle>,
        found_by: FoundBy,
        image: Option<ImageName>,
    ) {
        let is_good = obstacle.is_none();
        // Text that can not be written may hold several values.
        if self.taken.get(&site.span.start).is_some_and(|was_good| *was_good || is_good) {
            return;
        }
        self.taken.insert(site.span.start, is_good);
        let (line, part) = (site.line, site.part);
        match obstacle {
            Some(obstacle) => {
                let (reason, message) = (obstacle.reason, obstacle.message.clone());
                self.passed_over.insert(PassedOver { line, image, reason, message });
            }
            None => {
                let (tag, has_digest) = held(part, &site.value);
                let (value, start) = (site.value.clone(), site.span.start);
                let chart = match &site.owner {
                    Owner::Chart(chart) => Some(chart.clone()),
                    Owner::Policy(_) | Owner::Rule(_) | Owner::Image(_) => None,
                };
                self.places.push(Place { line, found_by, image, part, value, tag, has_digest, start, chart });
            }
        }
    }

    fn take_problems(&mut self, found: &FileSites) {
        self.passed_over.extend(found.problems.iter().map(|problem| PassedOver {
            line: problem.line,
            image: None,
            reason: problem.reason,
            message: problem.message.clone(),
        }));
    }
}

impl Place {
    /// Where in the file the value begins, in bytes: what tells it from all others of its file.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// What an entry of `spec.updates.fields` would write here.
    fn written_by_field(&self) -> Option<FieldPart> {
        match self.part {
            Part::Image => Some(FieldPart::Image),
            Part::Tag | Part::TagAlone => (!self.value.is_empty()).then_some(FieldPart::Tag),
            Part::Name | Part::TagBesideDigest | Part::Version | Part::Digest => None,
        }
    }
}

/// The entries of `spec.updates.fields` that name these places of a file, each its own and no other value, by where the
/// places begin. One has none in text without fields, beside a digest, and where a document more has the same field.
#[must_use]
pub fn fields<'p>(
    path: &str,
    text: &[u8],
    places: impl IntoIterator<Item = &'p Place>,
) -> BTreeMap<usize, Field> {
    let Some(readable) = std::str::from_utf8(text).ok().filter(|_| yaml::is_yaml(path)) else {
        return BTreeMap::new();
    };
    let wanted: BTreeMap<usize, FieldPart> =
        places.into_iter().filter_map(|place| Some((place.start, place.written_by_field()?))).collect();
    let mut paths = yaml::paths_to(readable, &wanted.keys().copied().collect());
    let named = wanted
        .into_iter()
        .filter_map(|(start, write)| Some((start, Field { path: paths.remove(&start)?, write })));
    let named: BTreeMap<usize, Field> = named.collect();
    let reached = reached(path, text, named.values());
    named.into_iter().filter(|(start, _)| reached.contains(start)).collect()
}

/// Where the values begin that the finder of fields finds by these fields. What one of them finds beside another value is
/// not among them.
fn reached<'f>(path: &str, text: &[u8], fields: impl Iterator<Item = &'f Field>) -> BTreeSet<usize> {
    let Some(targets) = Targets::of_fields(path, fields.map(|field| (field.path.as_str(), field.write)))
    else {
        return BTreeSet::new();
    };
    let found = find_sites(path, text, &targets);
    found.sites.iter().filter(|site| site.obstacle.is_none()).map(|site| site.span.start).collect()
}
