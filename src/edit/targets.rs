//! Which places are looked for, and which files can hold one.

use std::collections::BTreeSet;

use globset::GlobMatcher;
use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use super::field_path::FieldPath;
use super::glob::file_glob;
use super::text::Format;
use super::{Part, marker, renovate, stray, yaml};
use crate::api::{FieldPart, FieldUpdate, ObjectKey, Updates};
use crate::image::ImageName;

/// The places that are looked for, as `spec.updates` of an InfraRepository names them. The same targets find the same
/// sites in the same bytes.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    pub(super) updates: Updates,
    fields: Vec<FieldRule>,
    /// Whether templates are told of too, which hold no version and are no business of a policy's.
    pub(super) tells_templates: bool,
    /// Matches where one of the images may be named that alone are of interest; `None` where all are.
    images: Option<Regex>,
}

/// A field of certain files that follows a policy.
#[derive(Clone, Debug)]
pub(super) struct FieldRule {
    files: GlobMatcher,
    pub(super) path: FieldPath,
    pub(super) policy: ObjectKey,
    pub(super) part: Part,
}

/// A rule of `spec.updates.fields` that can not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.updates.fields[{index}].{field}: {problem}")]
pub struct InvalidFieldUpdate {
    index: usize,
    field: &'static str,
    problem: String,
}

impl InvalidFieldUpdate {
    /// The path of the field within the object.
    #[must_use]
    pub fn field(&self) -> String {
        format!("spec.updates.fields[{}].{}", self.index, self.field)
    }
}

impl Targets {
    /// Reads what a spec asks for. The policies of its rules are of this namespace.
    ///
    /// # Errors
    /// `InvalidFieldUpdate` names the rule that can not be read.
    pub fn compile(updates: &Updates, namespace: &str) -> Result<Self, InvalidFieldUpdate> {
        let rules = updates.fields.iter().enumerate();
        let fields =
            rules.map(|(index, rule)| FieldRule::read(index, rule, namespace)).collect::<Result<_, _>>()?;
        Ok(Self { updates: updates.clone(), fields, tells_templates: false, images: None })
    }

    /// Looks for these images alone, where neither a marker nor a rule names a policy: what holds none of them need not be
    /// parsed. Only for a search whose result is not kept for other policies.
    #[must_use]
    pub fn of_images<'i>(self, images: impl IntoIterator<Item = &'i ImageName>) -> Self {
        // However a place splits an image into registry and repository, the last part stands in one scalar with nothing
        // of a name around it; but for the escapes of double quotes, which are taken for any name.
        let last =
            |image: &ImageName| regex::escape(image.repository().rsplit('/').next().unwrap_or_default());
        let names: BTreeSet<String> = images.into_iter().map(last).collect();
        let names = names.into_iter().collect::<Vec<_>>().join("|");
        let pattern = match names.as_str() {
            "" => r"\\".to_owned(),
            names => format!(r"(?:^|[^\w.-])(?:{names})(?:[^\w.-]|$)|\\"),
        };
        Self { images: RegexBuilder::new(&pattern).unicode(false).build().ok(), ..self }
    }

    /// Every file that may hold a version is looked at for markers, comments, and values by their image.
    #[must_use]
    pub fn everything() -> Self {
        Self::for_inventory(every_switch())
    }

    /// The places that are found without a rule, with templates told of.
    pub(super) const fn for_inventory(updates: Updates) -> Self {
        Self { updates, fields: Vec::new(), tells_templates: true, images: None }
    }

    /// These fields of one file, each with what is written there. `None` where a path can not be read.
    pub(super) fn of_fields<'f>(
        path: &str,
        fields: impl Iterator<Item = (&'f str, FieldPart)>,
    ) -> Option<Self> {
        let files = file_glob(&exact_glob(path)).ok()?.compile_matcher();
        let policy = ObjectKey::new("any", "any");
        let rule = |(path, write)| {
            let (files, policy) = (files.clone(), policy.clone());
            Some(FieldRule { files, path: FieldPath::parse(path).ok()?, policy, part: part_of(write) })
        };
        let fields = fields.map(rule).collect::<Option<_>>()?;
        let updates = Updates { markers: false, ..Updates::default() };
        Some(Self { updates, fields, tells_templates: false, images: None })
    }

    /// The same for text that is read as a file of values: what no such file holds is not looked for.
    pub(super) fn in_text(&self) -> Self {
        let Updates { markers, helm_values, renovate_comments, .. } = self.updates;
        let updates = Updates { markers, helm_values, renovate_comments, ..Updates::default() };
        Self {
            updates,
            fields: Vec::new(),
            tells_templates: self.tells_templates,
            images: self.images.clone(),
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn updates(&self) -> &Updates {
        &self.updates
    }

    /// Whether no place is looked for.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let Updates { markers, renovate_comments, .. } = &self.updates;
        !*markers && !*renovate_comments && !self.looks_for_images() && self.fields.is_empty()
    }

    /// Whether files of this name are looked at, whatever they hold: others need not be read.
    #[must_use]
    pub fn search(&self, path: &str) -> bool {
        let Updates { markers, renovate_comments, .. } = &self.updates;
        let has_comments = *markers || *renovate_comments;
        let has_fields = || self.reads_fields(path) && self.fields_in(path).next().is_some();
        match Format::of(path) {
            Some(_) => has_comments || has_fields(),
            None if yaml::is_yaml(path) => has_comments || self.looks_for_images() || has_fields(),
            None => yaml::is_json(path) && (self.looks_for_images() || has_fields()),
        }
    }

    /// Whether fields of files of this name can be named by their path.
    #[must_use]
    pub fn reads_fields(&self, path: &str) -> bool {
        Format::of(path).map_or_else(|| yaml::is_yaml(path) || yaml::is_json(path), Format::has_fields)
    }

    /// The globs of the rules for fields, in their order, each with the policy that it is for.
    pub fn field_globs(&self) -> impl Iterator<Item = (&GlobMatcher, &ObjectKey)> {
        self.fields.iter().map(|rule| (&rule.files, &rule.policy))
    }

    /// Whether files of this name, which are not looked at, may yet hold a comment that someone takes to have an effect: whoever
    /// looks at a repo by hand is told of it.
    #[must_use]
    pub fn search_for_strays(&self, path: &str) -> bool {
        let Updates { markers, renovate_comments, .. } = &self.updates;
        (*markers || *renovate_comments) && !self.search(path) && !stray::is_prose(path)
    }

    /// Whether the file can hold a site at all: by its name and a search for a few words. Cheap enough to be asked for
    /// every file of a large repo; `true` promises nothing.
    pub(super) fn may_be_in(&self, path: &str, text: &[u8]) -> bool {
        self.search(path)
            && ((self.updates.markers && marker::may_be_in(text))
                || (self.updates.renovate_comments && renovate::may_be_in(text))
                || self.images_may_be_in(text)
                || self.fields_in(path).next().is_some())
    }

    /// The rules for the fields of a file.
    pub(super) fn fields_in(&self, path: &str) -> impl Iterator<Item = &FieldRule> {
        self.fields.iter().filter(move |rule| rule.files.is_match(path))
    }

    /// Whether values are looked for that neither a marker nor a rule names.
    const fn looks_for_images(&self) -> bool {
        let Updates { workloads, kustomize, helm_values, oci_artifacts, .. } = &self.updates;
        *workloads || *kustomize || *helm_values || *oci_artifacts
    }

    /// Whether a value may be in the text that neither a marker nor a rule names.
    pub(super) fn images_may_be_in(&self, text: &[u8]) -> bool {
        let has = |word: &str| memmem::find(text, word.as_bytes()).is_some();
        let Updates { workloads, kustomize, helm_values, oci_artifacts, .. } = &self.updates;
        // The address that it has is needed wherever a chart is that comes from it.
        if *oci_artifacts && has("HelmRepository") {
            return true;
        }
        if !self.looks_for_images() || self.images.as_ref().is_some_and(|images| !images.is_match(text)) {
            return false;
        }
        (*workloads && has("image") && (has("ontainers") || has("reference")))
            || (*kustomize && has("images"))
            || (*helm_values && (has("image") || has("repository")))
            || (*oci_artifacts && (has("oci://") || has("targetRevision") || has("HelmRelease")))
    }
}

/// Every kind of place that is found without a rule.
pub(super) const fn every_switch() -> Updates {
    Updates {
        markers: true,
        workloads: true,
        kustomize: true,
        helm_values: true,
        oci_artifacts: true,
        renovate_comments: true,
        fields: Vec::new(),
    }
}

/// The glob that this file alone matches.
#[must_use]
pub fn exact_glob(path: &str) -> String {
    globset::escape(path)
}

impl PartialEq for Targets {
    fn eq(&self, other: &Self) -> bool {
        let policies =
            |targets: &Self| targets.fields.iter().map(|rule| rule.policy.clone()).collect::<Vec<_>>();
        self.updates == other.updates && policies(self) == policies(other)
    }
}

impl FieldRule {
    fn read(index: usize, rule: &FieldUpdate, namespace: &str) -> Result<Self, InvalidFieldUpdate> {
        let invalid = |field, problem| InvalidFieldUpdate { index, field, problem };
        let glob = file_glob(&rule.glob)
            .map_err(|error| invalid("glob", format!("{error}; write a glob such as apps/*/values.yaml")))?;
        let path = FieldPath::parse(&rule.path).map_err(|error| invalid("path", error.to_string()))?;
        Ok(Self {
            files: glob.compile_matcher(),
            path,
            policy: ObjectKey::new(namespace, &rule.policy),
            part: part_of(rule.write),
        })
    }
}

const fn part_of(write: FieldPart) -> Part {
    match write {
        FieldPart::Image => Part::Image,
        FieldPart::Name => Part::Name,
        FieldPart::Tag => Part::Tag,
        FieldPart::Digest => Part::Digest,
    }
}
