//! Globs of an InfraRepository that no file matches, as whoever looks at a repo by hand is told of them: most often they are
//! misspelled, or a folder was renamed.

use std::sync::atomic::{AtomicBool, Ordering};

use globset::GlobMatcher;

use super::Scope;
use crate::edit::{Targets, file_glob};

/// The globs that name files to be looked at, and whether a file was met for each. May be shared among threads.
#[derive(Debug)]
pub struct GlobUse<'a> {
    targets: &'a Targets,
    globs: Vec<Glob>,
}

/// A glob that no file matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleGlob {
    /// Where it stands in the InfraRepository.
    pub field: String,
    /// What is wrong and what would be right: one line, a lowercase fragment.
    pub message: String,
}

#[derive(Debug)]
struct Glob {
    field: String,
    matcher: GlobMatcher,
    /// The policy that a rule of `spec.updates.fields` writes for; `None` for one of `spec.paths.include`.
    policy: Option<String>,
    is_used: AtomicBool,
}

impl<'a> GlobUse<'a> {
    /// Those of `spec.paths.include` and of `spec.updates.fields`. A glob that leaves files out may do so in advance.
    #[must_use]
    pub fn of(scope: &Scope, targets: &'a Targets) -> Self {
        let include = scope.include_globs().iter().enumerate().filter_map(|(index, glob)| {
            let matcher = file_glob(glob).ok()?.compile_matcher();
            Some(Glob::new(format!("spec.paths.include[{index}]"), matcher, None))
        });
        let fields = targets.field_globs().enumerate().map(|(index, (matcher, policy))| {
            let field = format!("spec.updates.fields[{index}].glob");
            Glob::new(field, matcher.clone(), Some(policy.to_string()))
        });
        Self { globs: include.chain(fields).collect(), targets }
    }

    /// Takes note of a file that is there.
    pub fn take_note(&self, path: &str) {
        if !self.targets.search(path) {
            return;
        }
        for glob in self.globs.iter().filter(|glob| !glob.is_used.load(Ordering::Relaxed)) {
            let is_read = glob.policy.is_none() || self.targets.reads_fields(path);
            if is_read && glob.matcher.is_match(path) {
                glob.is_used.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Those that no file matched.
    #[must_use]
    pub fn idle(self) -> Vec<IdleGlob> {
        let idle = self.globs.into_iter().filter(|glob| !glob.is_used.load(Ordering::Relaxed));
        idle.map(Glob::told).collect()
    }
}

impl Glob {
    const fn new(field: String, matcher: GlobMatcher, policy: Option<String>) -> Self {
        Self { field, matcher, policy, is_used: AtomicBool::new(false) }
    }

    fn told(self) -> IdleGlob {
        let (field, glob) = (self.field, self.matcher.glob().glob());
        let message = match self.policy {
            Some(policy) => format!(
                "{field}: no file that spec.paths admits and whose fields can be named matches {glob:?}, so nothing is written there for the policy {policy}; correct the glob, or remove the entry"
            ),
            None => format!(
                "{field}: no file in which versions are looked for matches {glob:?}; correct the glob, or remove it"
            ),
        };
        IdleGlob { field, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{FieldPart, FieldUpdate, Paths, Updates};

    #[test]
    fn a_glob_is_idle_until_a_file_that_is_read_so_matches_it() {
        let paths = Paths { include: vec!["apps/**".to_owned(), "gone/**".to_owned()], exclude: Vec::new() };
        let rule = |glob: &str| FieldUpdate {
            glob: glob.to_owned(),
            policy: "web".to_owned(),
            path: "a".to_owned(),
            write: FieldPart::Tag,
        };
        let fields = vec![rule("apps/*.yaml"), rule("apps/Dockerfile"), rule("apps/*.json")];
        let targets = Targets::compile(&Updates { fields, ..Updates::default() }, "shop").unwrap();
        let globs = GlobUse::of(&Scope::compile(Some(&paths)).unwrap(), &targets);
        globs.take_note("apps/a.yaml");
        globs.take_note("apps/Dockerfile");
        let idle = globs.idle();
        let fields: Vec<_> = idle.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            fields,
            ["spec.paths.include[1]", "spec.updates.fields[1].glob", "spec.updates.fields[2].glob"]
        );
        assert!(idle[1].message.contains("\"apps/Dockerfile\"") && idle[1].message.contains("shop/web"));
    }
}
