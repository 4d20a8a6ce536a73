//! Which files of a repository are looked at.

use globset::{GlobSet, GlobSetBuilder};

use crate::api::Paths;
use crate::edit::{Targets, file_glob};
use crate::git::{Coverage, FileFilter};

/// The files that `spec.paths` names. `*` stays within a folder, `**` crosses folders.
#[derive(Clone, Debug)]
pub struct Scope {
    paths: Option<Paths>,
    include: Option<GlobSet>,
    exclude: GlobSet,
    /// The folders in which a file may be that `include` names; `None` for all.
    folders: Option<GlobSet>,
}

/// A glob that can not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.paths.{field}[{index}]: {problem}; write a glob such as clusters/prod/**")]
pub struct InvalidGlob {
    field: &'static str,
    index: usize,
    problem: String,
}

impl Scope {
    /// Reads the globs of a spec; `None` admits every file.
    ///
    /// # Errors
    /// `InvalidGlob` names the one that can not be read.
    pub fn compile(paths: Option<&Paths>) -> Result<Self, InvalidGlob> {
        let Some(paths) = paths else {
            return Ok(Self { paths: None, include: None, exclude: GlobSet::empty(), folders: None });
        };
        let include = glob_set("include", &paths.include)?;
        let exclude = glob_set("exclude", &paths.exclude)?;
        let include = (!paths.include.is_empty()).then_some(include);
        let folders = include.as_ref().and_then(|_| folders_of(&paths.include));
        Ok(Self { paths: Some(paths.clone()), include, exclude, folders })
    }

    /// Whether both were read from the same globs.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.paths == other.paths
    }

    /// The globs of which one must match.
    pub(super) fn include_globs(&self) -> &[String] {
        self.paths.as_ref().map(|paths| paths.include.as_slice()).unwrap_or_default()
    }

    /// Whether the file is looked at.
    #[must_use]
    pub fn admits(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }

    /// Whether a file that is looked at may be in this folder, at any depth.
    #[must_use]
    pub fn enters(&self, folder: &str) -> bool {
        self.folders.as_ref().is_none_or(|folders| folders.is_match(folder))
    }

    /// How much of a repository is worth bringing here: only the files that are looked at, where the globs name places
    /// instead of leaving some out.
    #[must_use]
    pub fn coverage(&self, targets: &Targets) -> Coverage {
        if !targets.is_nothing() && !self.is_narrow() {
            return Coverage::Whole;
        }
        let (scope, targets, folders) = (self.clone(), targets.clone(), self.clone());
        // Another version may search other files.
        let rule = format!("{} {:?} {:?}", env!("CARGO_PKG_VERSION"), targets.updates(), self.paths);
        let filter = FileFilter::new(rule, move |path| scope.admits(path) && targets.search(path));
        Coverage::Files(filter.entering(move |folder| folders.enters(folder)))
    }

    /// Whether those files alone are looked at that are at places with names: `clusters/prod/**` or
    /// `apps/*/values.yaml`, but not `**/*.yaml`.
    fn is_narrow(&self) -> bool {
        let include = self.include_globs();
        !include.is_empty() && include.iter().all(|glob| names_a_place(glob))
    }
}

/// Whether a folder with a name, or a part of one, comes before all that crosses folders.
fn names_a_place(glob: &str) -> bool {
    let Some((before, _)) = glob.split_once("**") else { return true };
    before.split('/').any(|part| part.contains(|c| c != '*'))
}

/// The folders in which a file may be that one of these globs names: of `clusters/*/apps/**` the folders `clusters`,
/// `clusters/*`, `clusters/*/apps` and all below. `None` for any folder, also where a glob is not made of plain parts.
fn folders_of(globs: &[String]) -> Option<GlobSet> {
    let mut folders = GlobSetBuilder::new();
    let mut add = |glob: &str| {
        folders.add(file_glob(glob).ok()?);
        Some(())
    };
    for glob in globs {
        let is_plain = |part: &str| part == "**" || !part.contains("**");
        if glob.contains(['{', '[', '\\']) || !glob.split('/').all(is_plain) {
            return None;
        }
        let named = glob.split_once("**").map_or(glob.as_str(), |(named, _)| named);
        let ends = named.match_indices('/').map(|(at, _)| at);
        ends.filter_map(|end| named.get(..end)).filter(|folder| !folder.is_empty()).try_for_each(&mut add)?;
        if named.len() < glob.len() {
            add(&format!("{named}**"))?;
        }
    }
    folders.build().ok()
}

fn glob_set(field: &'static str, globs: &[String]) -> Result<GlobSet, InvalidGlob> {
    let mut set = GlobSetBuilder::new();
    for (index, text) in globs.iter().enumerate() {
        set.add(file_glob(text).map_err(|problem| InvalidGlob { field, index, problem })?);
    }
    set.build().map_err(|error| InvalidGlob { field, index: 0, problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::Updates;

    fn scope(include: &[&str], exclude: &[&str]) -> Result<Scope, InvalidGlob> {
        let all = |globs: &[&str]| globs.iter().map(ToString::to_string).collect();
        Scope::compile(Some(&Paths { include: all(include), exclude: all(exclude) }))
    }

    #[test]
    fn one_star_stays_within_a_folder_and_two_cross_folders() {
        let one = scope(&["apps/*/values.yaml"], &[]).unwrap();
        assert!(one.admits("apps/api/values.yaml") && !one.admits("apps/api/prod/values.yaml"));
        let two = scope(&["clusters/prod/**"], &["**/testdata/**"]).unwrap();
        assert!(two.admits("clusters/prod/a/b.yaml") && !two.admits("clusters/test/a.yaml"));
        assert!(!two.admits("clusters/prod/testdata/a.yaml"));
    }

    #[test]
    fn no_include_admits_every_file_that_is_not_excluded() {
        let all = scope(&[], &["charts/**"]).unwrap();
        assert!(all.admits("apps/a.yaml") && !all.admits("charts/a.yaml"));
    }

    #[test]
    fn folders_without_a_named_file_are_not_entered() {
        let some = scope(&["clusters/*/apps/**", "infra/values.yaml"], &[]).unwrap();
        for (folder, is_entered) in [
            ("clusters", true),
            ("clusters/prod", true),
            ("clusters/prod/apps", true),
            ("clusters/prod/apps/api/base", true),
            ("clusters/prod/infra", false),
            ("infra", true),
            ("infra/old", false),
            ("charts", false),
        ] {
            assert_eq!(some.enters(folder), is_entered, "{folder}");
        }
        for all in [&["**/values.yaml"][..], &["{a,b}/**"], &["c**/**"], &[]] {
            assert!(scope(all, &[]).unwrap().enters("charts"), "{all:?}");
        }
    }

    proptest! {
        #[test]
        fn every_folder_above_a_file_that_is_looked_at_is_entered(
            globs in prop::collection::vec(prop::collection::vec(
                prop::sample::select(vec!["a", "b", "*", "**", "a*", "a**", "**b", "?", "[ab]", "{a,b/a}", "\\*"]), 1..5), 1..3),
            path in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "aab", "*"]), 1..6),
        ) {
            let globs: Vec<String> = globs.iter().map(|parts| parts.join("/")).collect();
            let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
            let scope = scope(&globs, &[]).unwrap();
            if scope.admits(&path.join("/")) {
                for depth in 1..path.len() {
                    let folder = path[..depth].join("/");
                    prop_assert!(scope.enters(&folder), "{:?} of {:?} for {:?}", folder, path, globs);
                }
            }
        }
    }

    fn nothing() -> Targets {
        Targets::compile(&Updates { markers: false, ..Updates::default() }, "shop").unwrap()
    }

    #[test]
    fn only_what_is_looked_at_is_brought_where_the_globs_name_places() {
        for (include, is_narrow) in [
            (&["clusters/prod/**"][..], true),
            (&["kustomization.yaml", "apps/*/values.yaml", "*/release.yaml"], true),
            (&["{stage,prod}/**", "apps-*/**"], true),
            (&["**/values.yaml"], false),
            (&["*/**"], false),
            (&["clusters/prod/**", "**"], false),
            (&[], false),
        ] {
            let coverage = scope(include, &["apps/old/**"]).unwrap().coverage(&Targets::default());
            assert_eq!(coverage != Coverage::Whole, is_narrow, "{include:?}");
        }
        let all = Scope::compile(None).unwrap();
        assert_eq!(all.coverage(&Targets::default()), Coverage::Whole);
        assert_ne!(all.coverage(&nothing()), Coverage::Whole);
    }

    #[test]
    fn coverages_are_the_same_where_the_globs_are() {
        let prod = |targets: &Targets| scope(&["clusters/prod/**"], &[]).unwrap().coverage(targets);
        let usual = Targets::default();
        assert_eq!(prod(&usual), prod(&usual));
        assert_ne!(prod(&usual), scope(&["clusters/prod/**"], &["**/old/**"]).unwrap().coverage(&usual));
        assert_ne!(prod(&usual), prod(&nothing()));
    }

    #[test]
    fn a_glob_that_is_none_is_named() {
        let error = scope(&["a/**", "a/[b"], &[]).unwrap_err().to_string();
        assert!(error.starts_with("spec.paths.include[1]: "), "{error}");
    }
}
