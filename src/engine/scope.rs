//! Which files of a repository are looked at.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::api::Paths;
use crate::edit::Targets;
use crate::git::{Coverage, FileFilter};

/// The files that `spec.paths` names. `*` stays within a folder, `**` crosses folders.
#[derive(Clone, Debug)]
pub struct Scope {
    paths: Option<Paths>,
    include: Option<GlobSet>,
    exclude: GlobSet,
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
            return Ok(Self { paths: None, include: None, exclude: GlobSet::empty() });
        };
        let include = glob_set("include", &paths.include)?;
        let exclude = glob_set("exclude", &paths.exclude)?;
        let include = (!paths.include.is_empty()).then_some(include);
        Ok(Self { paths: Some(paths.clone()), include, exclude })
    }

    /// Whether both were read from the same globs.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.paths == other.paths
    }

    /// Whether the file is looked at.
    #[must_use]
    pub fn admits(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }

    /// How much of a repository is worth bringing here: only the files that are looked at, where the globs name places
    /// instead of leaving some out.
    #[must_use]
    pub fn coverage(&self, targets: &Targets) -> Coverage {
        if !targets.is_nothing() && !self.is_narrow() {
            return Coverage::Whole;
        }
        let (scope, targets) = (self.clone(), targets.clone());
        // Another version may search other files.
        let rule = format!("{} {:?} {:?}", env!("CARGO_PKG_VERSION"), targets.updates(), self.paths);
        Coverage::Files(FileFilter::new(rule, move |path| scope.admits(path) && targets.search(path)))
    }

    /// Whether those files alone are looked at that are at places with names: `clusters/prod/**` or
    /// `apps/*/values.yaml`, but not `**/*.yaml`.
    fn is_narrow(&self) -> bool {
        let include = self.paths.as_ref().map(|paths| paths.include.as_slice()).unwrap_or_default();
        !include.is_empty() && include.iter().all(|glob| names_a_place(glob))
    }
}

/// Whether a folder with a name, or a part of one, comes before all that crosses folders.
fn names_a_place(glob: &str) -> bool {
    let Some((before, _)) = glob.split_once("**") else { return true };
    before.split('/').any(|part| part.contains(|c| c != '*'))
}

fn glob_set(field: &'static str, globs: &[String]) -> Result<GlobSet, InvalidGlob> {
    let mut set = GlobSetBuilder::new();
    for (index, text) in globs.iter().enumerate() {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        set.add(glob.map_err(|error| InvalidGlob { field, index, problem: error.to_string() })?);
    }
    set.build().map_err(|error| InvalidGlob { field, index: 0, problem: error.to_string() })
}

#[cfg(test)]
mod tests {
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
