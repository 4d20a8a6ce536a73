//! Temporary folders that do not pile up, even where a run is killed before it can remove them.

use std::path::{Path, PathBuf};
use std::sync::Once;

use tempfile::TempDir;

const PREFIX: &str = "tagtide-test-";

/// A fresh folder, removed on drop. Its name carries this process's id, by which a later run knows what was left behind.
pub fn folder(what: &str) -> TempDir {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(remove_leftovers);
    let prefix = format!("{PREFIX}{}-{what}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder")
}

/// The top folder of this checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn remove_leftovers() {
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("the folder for temporary files");
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if owner(&path).is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            std::fs::remove_dir_all(path).ok();
        }
    }
}

fn owner(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}
