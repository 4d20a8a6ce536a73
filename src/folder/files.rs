//! The YAML and JSON files of a folder.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The most files that are read.
const MAX_FILES: usize = 10_000;

/// The YAML and JSON files below a folder, sorted by path, or the one file itself.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) paths: Vec<PathBuf>,
    /// Files that are passed over, and why.
    pub(super) passed_over: Vec<(PathBuf, String)>,
}

impl Files {
    /// Looks for files. Hidden files and folders are passed over; so are links to folders, which can lead in circles. A
    /// link to a file is followed where that lies below `root` too, as it does in a mounted ConfigMap.
    ///
    /// # Errors
    /// Where `root` or a folder below it can not be listed.
    pub(super) fn below(root: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        if !fs::metadata(root).map_err(at(root))?.is_dir() {
            return Ok(Self { paths: vec![root.to_owned()], passed_over: Vec::new() });
        }
        let real_root = root.canonicalize().map_err(at(root))?;
        let mut found = Self::default();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(at(&folder))? {
                let entry = entry.map_err(at(&folder))?;
                let path = entry.path();
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let kind = entry.file_type().map_err(at(&path))?;
                if kind.is_dir() {
                    folders.push(path);
                } else if is_yaml(&path) && kind.is_file() {
                    found.paths.push(path);
                } else if is_yaml(&path) && kind.is_symlink() {
                    found.take_link(path, &real_root);
                }
            }
        }
        found.paths.sort();
        if let Some(first) = found.paths.get(MAX_FILES) {
            let why = format!(
                "this file and those behind it are not read: at most {MAX_FILES} are; name a smaller folder"
            );
            found.passed_over.push((first.clone(), why));
            found.paths.truncate(MAX_FILES);
        }
        Ok(found)
    }

    fn take_link(&mut self, path: PathBuf, real_root: &Path) {
        match path.canonicalize() {
            Ok(target) if !target.starts_with(real_root) => {
                let why = "it is a link to a file outside the folder, which is not followed; copy the file";
                self.passed_over.push((path, why.to_owned()));
            }
            Ok(target) if target.is_file() => self.paths.push(path),
            // A link to a folder.
            Ok(_) => {}
            Err(error) => self.passed_over.push((path, format!("it is a link to nothing: {error}"))),
        }
    }
}

/// The content of a file, or its size where that is above the cap, with what can be read below it.
pub(super) fn read(path: &Path) -> io::Result<Result<Vec<u8>, TooLarge>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content)?;
    let is_whole = content.len() as u64 <= MAX_FILE;
    Ok(if is_whole { Ok(content) } else { Err(TooLarge { size, beginning: content }) })
}

/// A file above the cap.
pub(super) struct TooLarge {
    size: u64,
    pub(super) beginning: Vec<u8>,
}

impl TooLarge {
    pub(super) fn message(&self) -> String {
        format!("the file has {} bytes; files of up to {MAX_FILE} bytes are read, so split it", self.size)
    }
}

/// Whether a file is read: JSON is YAML, too.
fn is_yaml(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a: 1\n").unwrap();
        }
        folder
    }

    fn names(found: &Files, folder: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        found.paths.iter().map(name).collect()
    }

    #[test]
    fn finds_yaml_in_order_and_nothing_hidden() {
        let folder = folder(&["b.yml", "a/z.yaml", "a/.hidden.yaml", ".git/x.yaml", "c.json", "README.md"]);
        let found = Files::below(folder.path()).unwrap();
        assert_eq!(names(&found, folder.path()), ["a/z.yaml", "b.yml", "c.json"]);
    }

    #[test]
    fn a_file_is_read_whatever_its_name() {
        let folder = folder(&["policies.txt"]);
        let path = folder.path().join("policies.txt");
        assert_eq!(Files::below(&path).unwrap().paths, [path]);
    }

    #[test]
    fn a_mounted_config_map_is_read_and_no_link_leads_out() {
        let (folder, other) = (folder(&["..2026/api.yaml"]), folder(&["secret.yaml"]));
        let path = folder.path();
        symlink("..2026", path.join("..data")).unwrap();
        symlink("..data/api.yaml", path.join("api.yaml")).unwrap();
        symlink(other.path().join("secret.yaml"), path.join("out.yaml")).unwrap();
        symlink(".", path.join("circle.yaml")).unwrap();
        symlink("nothing", path.join("dangling.yaml")).unwrap();
        let found = Files::below(path).unwrap();
        assert_eq!(names(&found, path), ["api.yaml"]);
        let passed_over: std::collections::BTreeSet<_> =
            found.passed_over.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(passed_over, ["dangling.yaml", "out.yaml"].into());
    }

    #[test]
    fn a_file_above_the_cap_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert!(read(&path).unwrap().is_ok());
        fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(read(&path).unwrap().is_err());
    }
}
