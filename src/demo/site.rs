//! The folder of a demo: where everything is kept, and what is said about it at the end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tracing_subscriber::EnvFilter;

use super::DemoError;

/// How many lines of each log are shown when a demo fails.
const TAIL: usize = 20;

/// The most bytes of each log that are read for that.
const MAX_TAIL_BYTES: u64 = 256 * 1024;

/// A folder for one demo.
pub(super) enum Site {
    /// It goes at the end.
    Temporary(TempDir),
    /// It was asked for, and stays.
    Kept(PathBuf),
}

impl Site {
    /// Makes the folder, with one folder in it for each part.
    pub(super) fn make(keep: Option<PathBuf>) -> Result<Self, DemoError> {
        let site = match keep {
            None => {
                let folder = tempfile::Builder::new().prefix("tagtide-demo-").tempdir();
                Self::Temporary(folder.map_err(|source| failed(&std::env::temp_dir(), source))?)
            }
            Some(path) => {
                // Parts are given its path, and each has a working folder of its own.
                let path = std::path::absolute(&path).map_err(|source| failed(&path, source))?;
                fs::create_dir_all(&path).map_err(|source| failed(&path, source))?;
                let mut entries = fs::read_dir(&path).map_err(|source| failed(&path, source))?;
                if entries.next().is_some() {
                    return Err(DemoError::NotEmpty { path });
                }
                Self::Kept(path)
            }
        };
        for part in ["registry", "git", "policies", "logs"] {
            let path = site.path().join(part);
            fs::create_dir(&path).map_err(|source| failed(&path, source))?;
        }
        Ok(site)
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }

    /// A file or folder in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Where the output of a part goes.
    pub(super) fn log(&self, part: &str) -> PathBuf {
        self.path().join("logs").join(format!("{part}.log"))
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.join(name);
        fs::write(&path, text).map_err(|source| failed(&path, source))?;
        Ok(path)
    }

    /// Sends this process's own log into the folder. Without effect where it goes somewhere already.
    pub(super) fn take_log(&self) -> Result<(), DemoError> {
        let path = self.log("tagtide");
        let file = File::create(&path).map_err(|source| failed(&path, source))?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("info,tagtide=debug"))
            .with_ansi(false)
            .with_target(false)
            .with_writer(Arc::new(file));
        if log.try_init().is_err() {
            tracing::debug!("logs were set up before");
        }
        Ok(())
    }

    /// The end of each log that has one, by the name of its part.
    pub(super) fn log_tails(&self) -> Vec<(String, Vec<String>)> {
        let Ok(entries) = fs::read_dir(self.join("logs")) else { return Vec::new() };
        let mut tails: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let lines = tail(&path).ok().filter(|lines| !lines.is_empty())?;
                Some((path.file_stem()?.to_string_lossy().into_owned(), lines))
            })
            .collect();
        tails.sort();
        tails
    }

    /// Removes the folder where it is not to be kept; gives it where it stays.
    pub(super) fn close(self) -> Result<Option<PathBuf>, DemoError> {
        let folder = match self {
            Self::Kept(path) => return Ok(Some(path)),
            Self::Temporary(folder) => folder.keep(),
        };
        // A process of Git that answered the last request may still write while it ends.
        let mut tries = 20;
        loop {
            match fs::remove_dir_all(&folder) {
                Ok(()) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(source) if tries == 0 => return Err(failed(&folder, source)),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
            tries -= 1;
        }
    }
}

fn failed(path: &Path, source: io::Error) -> DemoError {
    DemoError::Folder { path: path.to_owned(), source }
}

fn tail(path: &Path) -> io::Result<Vec<String>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(MAX_TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let skip = text.lines().count().saturating_sub(TAIL);
    Ok(text.lines().skip(skip).map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_at_the_end_and_one_that_was_asked_for_stays() {
        let site = Site::make(None).unwrap();
        let path = site.path().to_owned();
        assert!(site.join("git").is_dir());
        assert_eq!(site.close().unwrap(), None);
        assert!(!path.exists());

        let parent = tempfile::tempdir().unwrap();
        let wanted = parent.path().join("here");
        let site = Site::make(Some(wanted.clone())).unwrap();
        assert_eq!(site.close().unwrap(), Some(wanted.clone()));
        assert!(wanted.join("git").is_dir());
        let error = Site::make(Some(wanted)).err().unwrap();
        assert!(matches!(error, DemoError::NotEmpty { .. }), "{error}");
    }

    #[test]
    fn the_last_lines_of_each_log_are_told() {
        let site = Site::make(None).unwrap();
        let lines: String = (1..=50).map(|number| format!("line {number}\n")).collect();
        fs::write(site.log("registry"), lines).unwrap();
        fs::write(site.log("etcd"), "").unwrap();
        let tails = site.log_tails();
        assert_eq!(tails.len(), 1, "an empty log is no news: {tails:?}");
        let (part, lines) = &tails[0];
        assert_eq!((part.as_str(), lines.len()), ("registry", TAIL));
        assert_eq!(lines.last().unwrap(), "line 50");
    }
}
