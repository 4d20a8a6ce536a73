//! Several policies of one image: what tells each of its places which one it follows.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Finding, Passed};
use super::proposal::Policy;
use crate::api::{FieldPart, FieldUpdate};
use crate::edit::{self, Field, Part, Place, exact_glob};
use crate::image::ImageName;

/// The most entries of `spec.updates.fields`.
const MOST_FIELDS: usize = 256;

/// The longest glob and path, in bytes.
const MOST_BYTES: usize = 512;

/// A place with the field that it is.
pub(super) struct Naming {
    file: String,
    field: Field,
}

/// The entries of `spec.updates.fields` for the images that several policies follow. A place that no entry can name is
/// taken out of its policy.
pub(super) fn fields(
    policies: &mut [Policy],
    texts: &BTreeMap<String, Vec<u8>>,
    passed: &mut Vec<Passed>,
) -> Vec<FieldUpdate> {
    let shared = shared_images(policies);
    let named = named(policies.iter().filter(|policy| shared.contains(&policy.image)), texts);
    let mut fields = Vec::new();
    for policy in policies.iter_mut().filter(|policy| shared.contains(&policy.image)) {
        let is_pinned = policy.pin.is_some();
        let name = |finding: &Finding| {
            // A field of a tag takes what the policy pins.
            let fits = !is_pinned || finding.place.part != Part::TagAlone;
            let field = named.get(&finding.file)?.get(&finding.place.start()).filter(|_| fits)?;
            let naming = || Naming { file: finding.file.clone(), field: field.clone() };
            (field.path.len() <= MOST_BYTES).then(naming)
        };
        let (namings, left_out) = policy.name_places(name);
        passed.extend(left_out.iter().map(|finding| needs_marker(finding, policy)));
        fields.extend(entries(&policy.key.name, namings));
    }
    drop_what_is_too_much(&mut fields, policies, passed);
    fields
}

/// The field of each place of these policies that has one, by file and by where the place begins. All fields of a file are
/// looked for at once, however many it has.
fn named<'p>(
    policies: impl Iterator<Item = &'p Policy>,
    texts: &BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, BTreeMap<usize, Field>> {
    let mut places: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for Finding { file, place } in policies.flat_map(|policy| &policy.places) {
        places.entry(file).or_default().push(place);
    }
    let of_file = |(file, places): (&str, Vec<&Place>)| {
        Some((file.to_owned(), edit::fields(file, texts.get(file)?, places)))
    };
    places.into_iter().filter_map(of_file).collect()
}

fn shared_images(policies: &[Policy]) -> BTreeSet<ImageName> {
    let mut counts: BTreeMap<&ImageName, usize> = BTreeMap::new();
    policies.iter().for_each(|policy| *counts.entry(&policy.image).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(image, _)| image.clone()).collect()
}

/// One entry for the same field of several files, as far as a glob has room for them.
fn entries(policy: &str, namings: Vec<Naming>) -> Vec<FieldUpdate> {
    let mut files: BTreeMap<(String, &'static str), (FieldPart, BTreeSet<String>)> = BTreeMap::new();
    for Naming { file, field } in namings {
        let write = match field.write {
            FieldPart::Image => "Image",
            FieldPart::Name => "Name",
            FieldPart::Tag => "Tag",
            FieldPart::Digest => "Digest",
        };
        files.entry((field.path, write)).or_insert_with(|| (field.write, BTreeSet::new())).1.insert(file);
    }
    let entry = |((path, _), (write, files)): (_, (FieldPart, BTreeSet<String>))| {
        let path: String = path;
        globs(&files).into_iter().map(move |glob| FieldUpdate {
            glob,
            policy: policy.to_owned(),
            path: path.clone(),
            write,
        })
    };
    files.into_iter().flat_map(entry).collect()
}

/// Globs that these files match and no other.
fn globs(files: &BTreeSet<String>) -> Vec<String> {
    let mut globs = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let close = |open: &mut Vec<String>| match std::mem::take(open).as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("{{{}}}", many.join(","))),
    };
    for file in files {
        let glob = exact_glob(file);
        let length = open.iter().map(|glob| glob.len() + 1).sum::<usize>() + glob.len() + 2;
        // In braces a comma parts, whatever stands before it.
        if glob.contains([',', '\\']) || length > MOST_BYTES {
            globs.extend(close(&mut open));
        }
        open.push(glob);
        if file.contains([',', '\\']) {
            globs.extend(close(&mut open));
        }
    }
    globs.extend(close(&mut open));
    globs
}

/// Cuts the entries off that an InfraRepository has no room for, and takes their places out of the policies.
fn drop_what_is_too_much(fields: &mut Vec<FieldUpdate>, policies: &mut [Policy], passed: &mut Vec<Passed>) {
    let dropped: BTreeSet<String> =
        fields.drain(MOST_FIELDS.min(fields.len())..).map(|field| field.policy).collect();
    if dropped.is_empty() {
        return;
    }
    // A policy is named whole or not at all, so that it can be told.
    fields.retain(|field| !dropped.contains(&field.policy));
    for policy in policies.iter_mut().filter(|policy| dropped.contains(&policy.key.name)) {
        let (_, left_out) = policy.name_places(|_| None);
        passed.extend(left_out.iter().map(|finding| needs_marker(finding, policy)));
    }
}

/// What a person can do for a place that no field names.
fn needs_marker(finding: &Finding, policy: &Policy) -> Passed {
    let message = match finding.marker(&policy.key, policy.pin.is_some()) {
        Some(marker) => format!(
            "several policies follow this image, and no path names this value alone; put {marker} behind it"
        ),
        None => "several policies follow this image, and no path names this value; bring all its places to one major version"
            .to_owned(),
    };
    finding.passed("Ambiguous", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_names_the_same_field_of_several_files() {
        let files = |names: &[&str]| globs(&names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(files(&["a.yaml", "b/c.yaml"]), ["{a.yaml,b/c.yaml}"]);
        assert_eq!(files(&["a.yaml"]), ["a.yaml"]);
        assert_eq!(files(&["a.yaml", "b,c.yaml", "d.yaml"]), ["a.yaml", "b,c.yaml", "d.yaml"]);
        assert_eq!(files(&["a{b}*.yaml"]), ["a[{]b[}][*].yaml"]);
        let many: Vec<String> = (0..100).map(|at| format!("apps/{at}/deployment.yaml")).collect();
        let globs = files(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(globs.len() < 8 && globs.iter().all(|glob| glob.len() <= MOST_BYTES), "{globs:?}");
        for file in &many {
            let matches = |glob: &&String| globset::Glob::new(glob).unwrap().compile_matcher().is_match(file);
            assert_eq!(globs.iter().filter(matches).count(), 1, "{file}");
        }
    }
}
