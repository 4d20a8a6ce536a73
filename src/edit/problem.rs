//! What in a file could not be acted on, and why.

use std::fmt;

use crate::api::ObjectKey;

/// One thing in a file that needs a person. A problem never stops the file's other sites, unless its reason says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u64,
    /// What kind of problem.
    pub reason: ProblemReason,
    /// What is wrong and what would be right: one line, a lowercase fragment unless it begins with a name.
    pub message: String,
    /// The policy that the value follows, where it is known.
    pub policy: Option<ObjectKey>,
}

/// The kinds of problems; a closed set of words for status, reports and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemReason {
    /// The marker names a policy that does not exist.
    UnknownPolicy,
    /// The comment is meant as a marker but breaks its grammar.
    InvalidMarker,
    /// The document that holds the marker does not parse.
    InvalidYaml,
    /// The file does not parse. It is left alone entirely.
    InvalidSyntax,
    /// The file is not UTF-8. It is left alone entirely.
    NotUtf8,
    /// The file, or the number of its markers, is above the cap.
    TooLarge,
    /// The marker stands behind nothing that a version can be written to.
    NoValue,
    /// The marker stands behind several values, and the last is not the one that fits; or several policies follow the
    /// value's image.
    Ambiguous,
    /// A digest is to be written, and none is known, or not whether it is still the one of its tag.
    NoDigest,
    /// The policy has chosen no tag.
    NotChosen,
    /// Git holds a higher tag than the chosen one.
    Downgrade,
    /// Git holds a tag of another kind than those that the policy chooses from, and nobody named the policy there.
    ForeignTag,
    /// A field for an image holds something else.
    NotAnImage,
    /// The value is encrypted, or covered by a checksum, with SOPS.
    Encrypted,
    /// The value is in an object that the API server lets nobody change.
    Immutable,
    /// The new text did not read as it should have. What the policy would write to the file is left alone.
    NotVerified,
    /// The file is a symbolic link, which is never followed.
    Symlink,
    /// The file has a name that none is read with.
    FileName,
    /// The file's name tells no format that is read.
    UnknownFormat,
    /// The system does not let the file be read.
    Unreadable,
}

/// A policy is named that does not exist, by a marker or a rule: `the marker names`; `nearest` is the one that may be
/// meant.
#[must_use]
pub fn unknown_policy(named_by: &str, line: u64, policy: &ObjectKey, nearest: Option<&ObjectKey>) -> Problem {
    let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
    Problem {
        line,
        reason: ProblemReason::UnknownPolicy,
        message: format!("{named_by} the policy {policy}, which does not exist{hint}"),
        policy: Some(policy.clone()),
    }
}

impl ProblemReason {
    /// The reason as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPolicy => "UnknownPolicy",
            Self::InvalidMarker => "InvalidMarker",
            Self::InvalidYaml => "InvalidYaml",
            Self::InvalidSyntax => "InvalidSyntax",
            Self::NotUtf8 => "NotUtf8",
            Self::TooLarge => "TooLarge",
            Self::NoValue => "NoValue",
            Self::Ambiguous => "Ambiguous",
            Self::NoDigest => "NoDigest",
            Self::NotChosen => "NotChosen",
            Self::Downgrade => "Downgrade",
            Self::NotAnImage => "NotAnImage",
            Self::Encrypted => "Encrypted",
            Self::Immutable => "Immutable",
            Self::NotVerified => "NotVerified",
            Self::Symlink => "Symlink",
            Self::ForeignTag => "ForeignTag",
            Self::FileName => "FileName",
            Self::UnknownFormat => "UnknownFormat",
            Self::Unreadable => "Unreadable",
        }
    }
}

impl fmt::Display for ProblemReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
