//! Globs of files.

use globset::{Glob, GlobBuilder};

/// Reads a glob of paths from the root, in which `*` stays within a folder and `**` crosses folders.
///
/// # Errors
/// What is wrong, as a fragment: it can not be read, or no path can match it.
pub fn file_glob(text: &str) -> Result<Glob, String> {
    if let Some(part) = text.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        return Err(format!(
            "no path matches {text:?}, since none has a part {part:?}: paths begin in the root, without / or ./, and end in a file"
        ));
    }
    GlobBuilder::new(text).literal_separator(true).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_path_can_match_is_an_error() {
        for good in ["**", "apps/**", "*.yaml", ".github/*", "{a,b/c}/x", "a/..b"] {
            assert!(file_glob(good).is_ok(), "{good}");
        }
        for bad in ["", "/x/**", "./x", "x/", "a//b", "../x", "a/./b"] {
            let problem = file_glob(bad).unwrap_err();
            assert!(problem.contains("no path matches"), "{problem}");
        }
    }
}
