//! From what a repo holds to the objects that would keep it up to date.
//!
//! What is proposed works as it is: every place of a policy is written by it and by no other. So, where several policies
//! follow one image, each of its places is named in `spec.updates.fields`; and where one policy would write over a tag
//! that it can not compare, that place gets a policy of its own, suspended.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{self, Draft, Image};
use super::existing::Existing;
use super::findings::{Finding, Findings, Passed, folder_of};
use super::name;
use super::spread::{self, Naming};
use crate::api::{FieldUpdate, ObjectKey, Pin};
use crate::edit::{FoundBy, Switch, exact_glob};
use crate::image::{ImageName, Tag};
use crate::policy::{Kind, Series};

/// So many files must lie elsewhere for folders to be named.
const FILES_ELSEWHERE: usize = 1000;

/// The most folders that are named; more would have to be kept up to date by hand.
const MOST_FOLDERS: usize = 16;

/// What is asked for.
pub(super) struct Wanted {
    pub(super) namespace: String,
    /// The name of the InfraRepository.
    pub(super) name: String,
    pub(super) url: Option<String>,
    pub(super) branch: Option<String>,
}

/// The objects, and what has no place in them.
pub(super) struct Proposal {
    /// One for each namespace that has policies.
    pub(super) repositories: Vec<Repository>,
    /// In the order of their keys.
    pub(super) policies: Vec<Policy>,
    pub(super) passed: Vec<Passed>,
    /// How many images the repo holds.
    pub(super) images: usize,
    /// How many of them have a policy in the repo already.
    pub(super) followed: usize,
    /// The namespace that was asked for.
    main: String,
}

pub(super) struct Repository {
    pub(super) key: ObjectKey,
    pub(super) url: Option<String>,
    pub(super) branch: Option<String>,
    /// The folders that are looked at; empty for all.
    pub(super) include: Vec<String>,
    pub(super) switches: BTreeSet<Switch>,
    pub(super) fields: Vec<FieldUpdate>,
}

pub(super) struct Policy {
    pub(super) key: ObjectKey,
    pub(super) image: ImageName,
    pub(super) series: Series,
    pub(super) pin: Option<Pin>,
    /// Whether it only keeps other policies from its places.
    pub(super) is_guard: bool,
    pub(super) places: Vec<Finding>,
}

impl Proposal {
    pub(super) fn of(findings: Findings, wanted: &Wanted) -> Self {
        let Findings { places, mut passed, texts, folders, existing } = findings;
        let count = images_of(&places);
        let (places, followed): (Vec<_>, Vec<_>) =
            places.into_iter().partition(|finding| !finding.has_policy(&existing));
        let (mut marked, mut by_image) = (BTreeMap::new(), BTreeMap::<ImageName, Vec<Finding>>::new());
        for finding in places {
            match (&finding.place.found_by, &finding.place.image) {
                (FoundBy::Marker(policy), _) => {
                    marked.entry(policy.clone()).or_insert_with(Vec::new).push(finding);
                }
                (FoundBy::Switch(_), Some(image)) => {
                    by_image.entry(image.clone()).or_default().push(finding);
                }
                (FoundBy::Switch(_), None) => {}
            }
        }
        // A marker that no policy is proposed for goes on meaning a policy of its own.
        let is_here = |key: &&ObjectKey| key.namespace == wanted.namespace;
        let reserved = marked.keys().filter(is_here).map(|key| key.name.as_str());
        let reserved: BTreeSet<String> =
            reserved.chain(existing.names(&wanted.namespace)).map(str::to_owned).collect();
        let (mut images, mut elsewhere) = (BTreeMap::<ImageName, Image>::new(), Vec::new());
        for (key, places) in marked {
            match draft::marked(&key, places) {
                Ok((image, draft)) if existing.follows(&image) => {
                    let told =
                        draft.places.iter().filter_map(|finding| existing.renamed(&key, finding, &image));
                    passed.extend(told);
                }
                Ok((image, draft)) if key.namespace == wanted.namespace => {
                    images.entry(image).or_default().drafts.push(draft);
                }
                Ok((image, draft)) => elsewhere.push((image, draft)),
                Err(refused) => passed.extend(refused),
            }
        }
        for (image, places) in by_image {
            images.entry(image).or_default().take(places);
        }
        let switches = draft::settle(&mut images, &mut passed);
        let mut policies = named(images, wanted, reserved);
        let fields = spread::fields(&mut policies, &texts, &mut passed);
        let elsewhere = elsewhere.into_iter().filter_map(|(image, draft)| draft.into_policy(image, None));
        policies.extend(elsewhere);
        policies.sort_by(|a, b| a.key.cmp(&b.key));
        let all = repositories(&policies, wanted, &folders, &switches, &fields);
        let repositories = not_there(all, &existing, &policies, &mut passed);
        let followed_images = images_of(&followed);
        let joins = |finding: &Finding, namespace: &str| {
            repositories.iter().any(|repository| repository.finds(finding, namespace))
        };
        passed.extend(followed.iter().filter(|finding| finding.switch().is_some()).filter_map(|finding| {
            existing.advice(finding, texts.get(&finding.file)?, |namespace| joins(finding, namespace))
        }));
        passed.sort();
        Self {
            repositories,
            policies,
            passed,
            images: count,
            followed: followed_images,
            main: wanted.namespace.clone(),
        }
    }
}

impl Repository {
    /// Whether it would find a place for a policy of this namespace by its image.
    fn finds(&self, finding: &Finding, namespace: &str) -> bool {
        let is_on = finding.switch().is_some_and(|switch| self.switches.contains(&switch));
        is_on && self.key.namespace == namespace && self.include.is_empty()
    }
}

/// The InfraRepositories that the repo lacks. What those lack that it holds is told.
fn not_there(
    all: Vec<Repository>,
    existing: &Existing,
    policies: &[Policy],
    passed: &mut Vec<Passed>,
) -> Vec<Repository> {
    let mut missing = Vec::new();
    for repository in all {
        let Repository { key, url, switches, fields, .. } = &repository;
        match existing.repository(key, url.as_deref()) {
            Some(there) => {
                let own = policies.iter().filter(|policy| policy.key.namespace == key.namespace);
                passed.extend(existing.lacking(there, switches, fields, &own.collect::<Vec<_>>()));
            }
            None => missing.push(repository),
        }
    }
    missing
}

/// How many images the places hold.
fn images_of(places: &[Finding]) -> usize {
    places.iter().filter_map(|finding| finding.place.image.as_ref()).collect::<BTreeSet<_>>().len()
}

fn repositories(
    policies: &[Policy],
    wanted: &Wanted,
    folders: &BTreeMap<String, usize>,
    switches: &BTreeSet<Switch>,
    fields: &[FieldUpdate],
) -> Vec<Repository> {
    let namespaces: BTreeSet<&str> = policies.iter().map(|policy| policy.key.namespace.as_str()).collect();
    let repository = |namespace: &str| {
        let is_main = namespace == wanted.namespace;
        Repository {
            key: ObjectKey::new(namespace, &wanted.name),
            url: wanted.url.clone(),
            branch: wanted.branch.clone(),
            include: include(policies.iter().filter(|policy| policy.key.namespace == namespace), folders),
            switches: if is_main { switches.clone() } else { BTreeSet::new() },
            fields: if is_main { fields.to_vec() } else { Vec::new() },
        }
    };
    let (main, others): (Vec<&str>, _) =
        namespaces.into_iter().partition(|namespace| *namespace == wanted.namespace);
    main.into_iter().chain(others).map(repository).collect()
}

/// The folders with places, where enough files lie elsewhere to make it worth while: those are not fetched then.
fn include<'p>(policies: impl Iterator<Item = &'p Policy>, folders: &BTreeMap<String, usize>) -> Vec<String> {
    let own: BTreeSet<&str> =
        policies.flat_map(|policy| &policy.places).map(|finding| folder_of(&finding.file)).collect();
    let elsewhere: usize =
        folders.iter().filter(|(folder, _)| !own.contains(folder.as_str())).map(|(_, files)| files).sum();
    let is_worth_it = elsewhere >= FILES_ELSEWHERE && own.len() <= MOST_FOLDERS && !own.contains("");
    let globs = own.into_iter().filter(|_| is_worth_it).map(|folder| format!("{}/**", exact_glob(folder)));
    globs.collect()
}

impl Proposal {
    /// The folder for the objects of a namespace; the one that was asked for needs none, nor does the only one.
    pub(super) fn folder_of(&self, namespace: &str) -> String {
        let of_policies = self.policies.iter().map(|policy| &policy.key);
        let keys = self.repositories.iter().map(|repository| &repository.key).chain(of_policies);
        let is_only = keys.map(|key| &key.namespace).all(|other| other == namespace);
        let is_main = self.main == namespace || is_only;
        if is_main { String::new() } else { format!("{namespace}/") }
    }
}

/// The policies of the wanted namespace, all with their names.
fn named(images: BTreeMap<ImageName, Image>, wanted: &Wanted, mut taken: BTreeSet<String>) -> Vec<Policy> {
    let with_new = images.iter().filter(|(_, image)| image.drafts.iter().any(|draft| draft.key.is_none()));
    let bases: BTreeMap<ImageName, String> = name::bases(with_new.map(|(name, _)| name))
        .into_iter()
        .map(|(image, base)| (image.clone(), base))
        .collect();
    // Their files lie beside each other.
    taken.insert(wanted.name.clone());
    let mut policies = Vec::new();
    for (image, Image { drafts, .. }) in images {
        let all: Vec<Series> = drafts.iter().map(|draft| draft.series.clone()).collect();
        let all: Vec<&Series> = all.iter().collect();
        for draft in drafts {
            let name = draft.key.is_none().then(|| {
                let base = bases.get(&image).map(String::as_str).unwrap_or_default();
                let name = name::unique(name::of_series(base, &draft.series, &all), &mut taken);
                ObjectKey::new(&wanted.namespace, name)
            });
            policies.extend(draft.into_policy(image.clone(), name));
        }
    }
    policies
}

impl Draft {
    fn into_policy(self, image: ImageName, name: Option<ObjectKey>) -> Option<Policy> {
        let Self { key, series, is_guard, mut places } = self;
        let has_digest = places.iter().any(|finding| finding.place.has_digest);
        let pin = (series.kind == Kind::Moving || has_digest).then_some(Pin::TagAndDigest);
        places.sort_by(|a, b| (&a.file, a.place.line).cmp(&(&b.file, b.place.line)));
        Some(Policy { key: key.or(name)?, image, series, pin, is_guard, places })
    }
}

impl Policy {
    /// The tags that its places hold, each with how many hold it.
    pub(super) fn tags(&self) -> BTreeMap<&Tag, usize> {
        let mut tags = BTreeMap::new();
        for tag in self.places.iter().filter_map(|finding| finding.place.tag.as_ref()) {
            *tags.entry(tag).or_default() += 1;
        }
        tags
    }

    /// The places that a switch finds, to be named by fields.
    pub(super) fn name_places(
        &mut self,
        names: impl Fn(&Finding) -> Option<Naming>,
    ) -> (Vec<Naming>, Vec<Finding>) {
        let (mut namings, mut left_out) = (Vec::new(), Vec::new());
        for finding in std::mem::take(&mut self.places) {
            match (finding.switch(), names(&finding)) {
                (None, _) => self.places.push(finding),
                (Some(_), Some(naming)) => {
                    namings.push(naming);
                    self.places.push(finding);
                }
                (Some(_), None) => left_out.push(finding),
            }
        }
        (namings, left_out)
    }
}

impl Finding {
    /// Whether a policy of the repo follows it: the one that its marker names, or else one of its image.
    fn has_policy(&self, existing: &Existing) -> bool {
        match &self.place.found_by {
            FoundBy::Marker(policy) => existing.has_policy(policy),
            FoundBy::Switch(_) => self.place.image.as_ref().is_some_and(|image| existing.follows(image)),
        }
    }

    /// The switch that finds it; `None` where a marker does.
    pub(super) fn switch(&self) -> Option<Switch> {
        match self.place.found_by {
            FoundBy::Switch(switch) => Some(switch),
            FoundBy::Marker(_) => None,
        }
    }
}
