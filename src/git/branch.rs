//! The name of a branch, by Git's own rules.

use std::fmt;

/// A branch name that is valid as `refs/heads/<name>` by the rules of `git check-ref-format`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchName(String);

/// A string that is no branch name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is no branch name: {problem}")]
pub struct InvalidBranch {
    /// What was given, cut to a printable length.
    pub input: String,
    /// The rule that it breaks.
    pub problem: &'static str,
}

impl BranchName {
    /// Reads a branch name, without `refs/heads/`.
    ///
    /// # Errors
    /// `InvalidBranch` names the rule of `git check-ref-format` that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidBranch> {
        match broken_rule(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(InvalidBranch { input: text.chars().take(80).collect(), problem }),
        }
    }

    /// The name without `refs/heads/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of the ref: `refs/heads/main`.
    #[must_use]
    pub fn full_ref(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    let forbidden =
        |c: char| c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > 255 {
        Some("it is longer than 255 bytes")
    } else if text.starts_with("refs/") {
        Some("write it without refs/heads/")
    } else if text.contains(forbidden) {
        Some("it may not hold spaces, control characters or any of ~ ^ : ? * [ \\")
    } else if text.contains("..")
        || text.contains("@{")
        || text.contains("//")
        || text == "@"
        || text == "HEAD"
    {
        Some("it may not hold .., @{ or // and may not be @ or HEAD")
    } else if text.starts_with(['-', '/']) || text.ends_with(['/', '.']) {
        Some("it may not start with - or /, nor end with / or .")
    } else if text.split('/').any(|part| {
        let is_lock = part.rsplit_once('.').is_some_and(|(_, end)| end == "lock");
        part.starts_with('.') || is_lock
    }) {
        Some("none of its parts may start with . or end with .lock")
    } else {
        None
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_git_check_ref_format() {
        for good in ["main", "release/1.x", "feature_ü", "a.b", "tagtide/shop-api"] {
            assert_eq!(BranchName::parse(good).unwrap().full_ref(), format!("refs/heads/{good}"));
        }
        for bad in [
            "",
            "-x",
            "a b",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "a.",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "@",
            "@{",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a\nb",
            "HEAD",
            "refs/heads/main",
            "../../x",
        ] {
            assert!(BranchName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
