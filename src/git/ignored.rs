//! Files of a work tree that are none of the repository's.

use std::path::Path;

use git2::{Index, Repository};

/// What the `.gitignore` files of a work tree say.
pub struct Ignored {
    repository: Repository,
    index: Index,
}

impl Ignored {
    /// Those of the work tree at `path`; `None` where there is none. Ignore files of the user's own do not count.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        super::libgit2::set_up();
        let repository = Repository::open(path).ok().filter(|repository| !repository.is_bare())?;
        let index = repository.index().ok()?;
        Some(Self { repository, index })
    }

    /// Whether Git passes the file or folder by: it is ignored, and neither it nor a file in it was added all the same. The
    /// path is from the root, with `/`.
    #[must_use]
    pub fn holds(&self, path: &str, is_folder: bool) -> bool {
        let is_added = || match is_folder {
            true => self.index.find_prefix(format!("{path}/")).is_ok(),
            false => self.index.get_path(Path::new(path), 0).is_some(),
        };
        // Whether it is a folder, libgit2 finds out by itself.
        !is_added() && self.repository.is_path_ignored(path).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_passed_by_that_is_ignored_and_was_not_added() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Ignored::of(folder.path()).is_none());
        let repository = Repository::init(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("build")).unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        for (path, text) in
            [(".gitignore", "build/\nlogs/\n"), ("build/a.yaml", ""), ("build/b.yaml", ""), ("c.yaml", "")]
        {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("build/b.yaml")).unwrap();
        index.write().unwrap();
        let ignored = Ignored::of(folder.path()).unwrap();
        let files = ["build/a.yaml", "build/b.yaml", "c.yaml"].map(|path| ignored.holds(path, false));
        assert_eq!(files, [true, false, false]);
        assert_eq!(["build", "logs"].map(|path| ignored.holds(path, true)), [false, true]);
    }
}
