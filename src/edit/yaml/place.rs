//! Values that hold an image version by where they stand: no comment says so.

mod application;
mod field;
mod helm_values;
mod kustomize;
mod list;
mod oci_artifact;
mod workload;

use std::collections::BTreeSet;

use super::document::Document;
use super::embedded;
use super::reader::Node;
use super::target::{self, NoTarget};
use super::tree::{self, View};
use super::{addition, is_json, is_yaml};
use crate::edit::targets::FieldRule;
use crate::edit::{
    ChartSource, FileSites, Obstacle, Owner, Part, Problem, ProblemReason, Site, Style, Targets,
};
use crate::image::{ImageName, ImageReference};

/// Values that belong to one image. A marker on the line of one of them speaks for all.
#[derive(Default)]
struct Group<'t, 'a> {
    /// None where the last value that was looked at is a template.
    places: Vec<Place<'t, 'a>>,
    /// What was looked at, whether it is a place or not.
    seen: Vec<&'t Node<'a>>,
}

/// A value that holds an image version.
struct Place<'t, 'a> {
    scalar: &'t Node<'a>,
    owner: Owner,
    part: Part,
    /// Whether the scalar is the name behind which a tag is to be added, and if so, whether in a flow mapping.
    adds: Option<bool>,
    /// Why it can not be written, where there is a reason beside its notation.
    obstacle: Option<Obstacle>,
}

/// What is found in one document.
#[derive(Default)]
struct Places<'t, 'a> {
    groups: Vec<Group<'t, 'a>>,
    /// Values that should hold an image and do not.
    misfits: Vec<&'t Node<'a>>,
}

/// What a text can be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A file of any kind.
    Anything,
    /// The values of a chart, whatever their keys.
    Values,
    /// A file that is handed to some program: the values of a chart, as likely as not.
    MaybeValues,
}

/// A scalar whose text is YAML in turn.
pub(super) struct Text<'t, 'a> {
    pub(super) scalar: &'t Node<'a>,
    pub(super) holds: Holds,
}

/// What is looked for in one file.
pub(super) struct Search<'s> {
    path: &'s str,
    holds: Holds,
    targets: &'s Targets,
    rules: Vec<Sought<'s>>,
    sources: Vec<ChartSource>,
}

/// A rule, and where its field was found.
struct Sought<'s> {
    rule: &'s FieldRule,
    /// Where in the file the values begin.
    starts: Vec<usize>,
    /// In how many documents they are.
    documents: usize,
}

impl<'s> Search<'s> {
    pub(super) fn of(path: &'s str, holds: Holds, documents: &[Document<'_>], targets: &'s Targets) -> Self {
        let sought = |rule| Sought { rule, starts: Vec::new(), documents: 0 };
        let rules = targets.fields_in(path).map(sought).collect();
        let is_referred_to = |document: &&Document<'_>| document.text.contains("HelmRepository");
        let trees = documents
            .iter()
            .filter(|_| targets.updates.oci_artifacts)
            .filter(is_referred_to)
            .filter_map(|document| tree::read(document.text).ok());
        let sources = trees
            .flat_map(|tree| {
                list::objects(tree.root())
                    .into_iter()
                    .filter_map(oci_artifact::chart_source)
                    .collect::<Vec<_>>()
            })
            .collect();
        Self { path, holds, targets, rules, sources }
    }

    /// Whether the document may hold a value.
    pub(super) fn is_worth_reading(&self, document: &Document<'_>) -> bool {
        !self.rules.is_empty() || self.targets.images_may_be_in(document.text.as_bytes())
    }

    fn by_image<'t, 'a>(&self, root: View<'t, 'a>) -> Places<'t, 'a> {
        let mut places = Places::default();
        let updates = &self.targets.updates;
        if updates.workloads {
            workload::find(root, &mut places);
        }
        let is_list = list::is_list(root);
        let is_object = |view: &View<'_, '_>| !is_list || view.get("kind").is_some();
        for object in list::objects(root).into_iter().filter(is_object) {
            if updates.kustomize {
                kustomize::find(self.path, object, &mut places);
            }
            if updates.helm_values {
                match self.holds {
                    Holds::Anything => helm_values::find(self.path, object, &mut places),
                    Holds::Values => helm_values::find_in_values(object, &mut places),
                    Holds::MaybeValues => helm_values::find_in_document(object, &mut places),
                }
            }
            if updates.oci_artifacts {
                oci_artifact::find(self.path, object, &self.sources, &mut places);
            }
        }
        places
    }

    /// Reports the rules whose field is in no document, and keeps the values of those from being written whose field is
    /// in several.
    pub(super) fn finish(self, found: &mut FileSites) {
        found.sources = self.sources;
        for Sought { rule, starts, .. } in self.rules.iter().filter(|sought| sought.documents > 1) {
            let starts: BTreeSet<_> = starts.iter().copied().collect();
            let owner = Owner::Rule(rule.policy.clone());
            let is_meant = |site: &&mut Site| {
                site.owner == owner && site.part == rule.part && starts.contains(&site.span.start)
            };
            for site in found.sites.iter_mut().filter(is_meant) {
                site.obstacle = Some(Box::new(Obstacle {
                    reason: ProblemReason::Ambiguous,
                    message: format!(
                        "{} names a field in several documents of the file; mark the value that is meant instead, or \
                         give each document a file of its own",
                        rule.path
                    ),
                }));
            }
        }
        for sought in self.rules.into_iter().filter(|sought| sought.starts.is_empty()) {
            let FieldRule { path, policy, .. } = sought.rule;
            if found.has_room(1) {
                found.problems.push(Problem {
                    line: 1,
                    reason: ProblemReason::NoValue,
                    message: format!("the file has no value at {path}, which spec.updates.fields names"),
                    policy: Some(policy.clone()),
                });
            }
        }
    }
}

/// Finds the values of one document. A line with a marker, good or bad, is the marker's business.
pub(super) fn find_in_document(
    search: &mut Search<'_>,
    document: &Document<'_>,
    marked_lines: Option<&BTreeSet<u64>>,
    found: &mut FileSites,
) {
    let tree = match tree::read(document.text) {
        Ok(tree) => tree,
        // What any program may read is only named like YAML.
        Err(_) if search.holds == Holds::MaybeValues => return,
        // A template holds no version before it is rendered; and with a marker, it was reported already.
        Err(_) if marked_lines.is_some() || document.text.contains("{{") => {
            if search.targets.tells_templates && marked_lines.is_none() {
                let message = "the document is a template, which holds no version before it is rendered";
                found.add_problem(document.first_line, ProblemReason::NoValue, message.to_owned());
            }
            return;
        }
        Err(error) => {
            let line = document.file_line(error.marker().line());
            let message = format!("the document is no YAML ({}), and is passed over", error.info());
            return found.add_problem(line, ProblemReason::InvalidYaml, message);
        }
    };
    let is_encrypted = tree.root().at(&["sops", "mac"]).is_some();
    let is_free = |node: &Node<'_>| {
        marked_lines.is_none_or(|marked| !marked.contains(&document.file_line(node.lines.1)))
    };
    let mut named = Places::default();
    for sought in &mut search.rules {
        let starts = field::find(sought.rule, tree.root(), &mut named);
        sought.documents += usize::from(!starts.is_empty());
        sought.starts.extend(starts.into_iter().map(|start| document.start + start));
    }
    let named_spans: BTreeSet<_> = named.groups.iter().flat_map(Group::spans).collect();
    let mut places = search.by_image(tree.root());
    // What a rule names is the rule's business.
    places.groups.retain(|group| group.spans().all(|span| !named_spans.contains(&span)));
    places.misfits.retain(|scalar| !named_spans.contains(&scalar.span.start));
    for scalar in places.misfits.into_iter().filter(|scalar| is_free(scalar)) {
        let message = format!(
            "{:?} is no image; write host/repository:tag, such as ghcr.io/acme/api:1.9.3",
            scalar.text().unwrap_or_default()
        );
        found.add_problem(document.file_line(scalar.lines.0), ProblemReason::NotAnImage, message);
    }
    let groups = named.groups.into_iter().chain(places.groups);
    for group in groups.filter(|group| group.seen.iter().all(|node| is_free(node))) {
        if let ([], [.., scalar], true) = (&*group.places, &*group.seen, search.targets.tells_templates) {
            let line = document.file_line(scalar.lines.1);
            found.add_problem(line, ProblemReason::NoValue, template(scalar.text().unwrap_or_default()));
        }
        // A tag is not read without its digest.
        let first_line = group.places.first().map_or(1, |place| place.scalar.lines.0);
        if !found.has_room_for(group.places.len(), document.file_line(first_line)) {
            return;
        }
        for place in group.places {
            let mut site = place.into_site(document, is_encrypted);
            if is_json(search.path) {
                site.suit_json();
            }
            found.sites.push(site);
        }
    }
    if search.holds == Holds::Anything && is_yaml(search.path) {
        let texts = list::objects(tree.root()).into_iter().flat_map(helm_values::texts);
        embedded::find(document, texts, is_encrypted, search.targets, found);
    }
}

impl Site {
    /// JSON has one way to write a string, and no entry is added to it.
    fn suit_json(&mut self) {
        if self.style.is_added() {
            let message = format!(
                "the entry has no {}, and none is added to JSON; write it with any tag",
                addition::KEY
            );
            self.obstacle = Some(Box::new(Obstacle { reason: ProblemReason::NoValue, message }));
        } else {
            self.style = Style::DoubleQuoted;
        }
    }
}

impl Group<'_, '_> {
    /// Where the values begin that were looked at.
    fn spans(&self) -> impl Iterator<Item = usize> {
        self.seen.iter().map(|node| node.span.start)
    }
}

impl<'t, 'a> Places<'t, 'a> {
    /// Takes a value that is a whole reference.
    fn take_reference(&mut self, value: View<'t, 'a>) {
        self.take_image(value, |text| Some(ImageReference::parse(text)?.name));
    }

    /// Takes a value that is a whole reference, behind the name that it replaces where it has one.
    fn take_replacement(&mut self, value: View<'t, 'a>) {
        self.take_image(value, |text| Some(ImageReference::ending(text)?.name));
    }

    fn take_image(&mut self, value: View<'t, 'a>, image: impl Fn(&str) -> Option<ImageName>) {
        let Some((scalar, text)) = value.scalar().and_then(|scalar| Some((scalar, scalar.text()?))) else {
            return;
        };
        if scalar.is_empty() {
            return;
        }
        if is_rendered_later(text) {
            self.groups.push(Group { places: Vec::new(), seen: vec![scalar] });
            return;
        }
        match image(text) {
            Some(image) => {
                let place = Place::of_image(&image, scalar, Part::Image);
                self.groups.push(Group { places: vec![place], seen: vec![scalar] });
            }
            None => self.misfits.push(scalar),
        }
    }
}

/// Whether a value is only known once something has rendered it: Helm's and Argo CD's templates, variables of Flux's
/// `postBuild` or of `envsubst`, values that SOPS decrypts.
fn is_rendered_later(text: &str) -> bool {
    text.contains("{{") || text.contains("${") || text.contains("$(") || text.starts_with(target::SOPS_VALUE)
}

/// What is said of a template where that is asked for.
fn template(text: &str) -> String {
    let what = if text.starts_with(target::SOPS_VALUE) { "encrypted with SOPS" } else { "a template" };
    format!("the value is {what}; a version has to be written out to be lifted")
}

impl<'t, 'a> Place<'t, 'a> {
    /// A value that is there and can be written.
    fn of_image(image: &ImageName, scalar: &'t Node<'a>, part: Part) -> Self {
        Self { scalar, owner: Owner::Image(image.clone()), part, adds: None, obstacle: None }
    }

    /// The same value, where something may keep it from being written.
    fn hindered_by(self, obstacle: Option<Obstacle>) -> Self {
        Self { obstacle, ..self }
    }

    fn into_site(self, document: &Document<'_>, is_encrypted: bool) -> Site {
        let (style, trouble) = match target::target(self.scalar) {
            Ok(_) if is_encrypted => (Style::Plain, Some(NoTarget::Encrypted)),
            Ok(target) => (target.style, None),
            Err(trouble) => (Style::Plain, Some(trouble)),
        };
        let (value, style) = match self.adds {
            None => (self.scalar.text().unwrap_or_default(), style),
            Some(true) => ("", Style::AddedToFlow),
            Some(false) => ("", Style::AddedToBlock),
        };
        let span = &self.scalar.span;
        Site {
            line: document.file_line(self.scalar.lines.1),
            owner: self.owner,
            part: self.part,
            value: value.to_owned(),
            obstacle: trouble
                .map(|trouble| Obstacle { reason: trouble.reason(), message: trouble.to_string() })
                .or(self.obstacle)
                .map(Box::new),
            rivals: None,
            span: document.start + span.start..document.start + span.end,
            style,
        }
    }
}
