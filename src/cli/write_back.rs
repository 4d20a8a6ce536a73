//! Writing a plan into the files of a folder.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Component, Path};

/// Replaces a file below `root`, of which `old` was read. The file is whole at every moment: the new one is written
/// beside it and takes its place, with its mode and, where that is allowed, its owner.
///
/// # Errors
/// Where the file was changed since it was read, or it or a folder on the way is a link by now.
pub(super) fn replace(root: &Path, path: &str, old: &[u8], new: &[u8]) -> io::Result<()> {
    let refuse = |problem: &str| Err(io::Error::other(problem));
    let mut target = root.to_owned();
    for part in Path::new(path).components() {
        let Component::Normal(part) = part else { return refuse("its path leads out of the folder") };
        target.push(part);
        if fs::symlink_metadata(&target)?.is_symlink() {
            return refuse("a symbolic link took its place");
        }
    }
    if fs::read(&target)? != old {
        return refuse("it was changed meanwhile; run the command again");
    }
    let metadata = fs::metadata(&target)?;
    let folder = target.parent().unwrap_or(root);
    let mut file = tempfile::Builder::new().prefix(".tagtide-").tempfile_in(folder)?;
    file.write_all(new)?;
    // Only a privileged user may give a file away; for others the new file is their own.
    let _ = fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn keeps_the_mode_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("apps/run.yaml");
        fs::create_dir(folder.path().join("apps")).unwrap();
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o751)).unwrap();
        replace(folder.path(), "apps/run.yaml", b"old", b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o751);
        assert_eq!(fs::read_dir(folder.path().join("apps")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_was_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "theirs").unwrap();
        assert!(replace(folder.path(), "a.yaml", b"old", b"new").is_err());
        assert_eq!(fs::read(folder.path().join("a.yaml")).unwrap(), b"theirs");
    }

    #[test]
    fn nothing_is_written_through_a_link_or_out_of_the_folder() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = other.path().join("a.yaml");
        fs::write(&secret, "old").unwrap();
        symlink(&secret, folder.path().join("a.yaml")).unwrap();
        symlink(other.path(), folder.path().join("apps")).unwrap();
        let out = format!("../{}/a.yaml", other.path().file_name().unwrap().to_str().unwrap());
        for path in ["a.yaml", "apps/a.yaml", out.as_str()] {
            assert!(replace(folder.path(), path, b"old", b"new").is_err(), "{path}");
        }
        assert_eq!(fs::read(&secret).unwrap(), b"old");
    }
}
