//! The rules that findings go against.

use std::fmt;

use super::Severity;
use crate::edit::ProblemReason;
use crate::policy::PolicyRule;

/// A rule; a closed set. Its id stays what it is: pipelines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A file of objects can not be read.
    UnreadableFile,
    /// A document is no YAML.
    InvalidYaml,
    /// An object breaks a rule of its kind.
    InvalidObject,
    /// Two objects have one kind, namespace and name.
    DuplicateObject,
    /// Two ClusterImageRegistries speak of one host.
    DuplicateHost,
    /// A range of versions does not parse.
    InvalidRange,
    /// A pattern is no regular expression.
    InvalidPattern,
    /// A policy says what is allowed and hardly meant.
    Policy(PolicyRule),
    /// A marker or a field names a policy that does not exist.
    UnknownPolicy,
    /// A marker or a field names a policy that the InfraRepository does not take.
    PolicyNotTaken,
    /// An InfraRepository takes no policy.
    RepositoryWithoutPolicies,
    /// No InfraRepository takes a policy.
    PolicyWithoutRepository,
    /// Two policies follow one image in a repository that is searched for images.
    CompetingPolicies,
    /// A comment is nearly a marker.
    InvalidMarker,
    /// A file that may hold an image version does not parse.
    InvalidSyntax,
    /// A file that may hold an image version is not UTF-8.
    NotUtf8,
    /// A file, or the number of its places, is above the cap.
    TooLarge,
    /// A marker stands behind nothing that a version can be written to.
    NoValue,
    /// Several values or policies come into question for one place.
    Ambiguous,
    /// A digest is to be written, and the policy pins none.
    NoDigest,
    /// A field for an image holds something else.
    NotAnImage,
    /// A value holds another image than the policy follows.
    OtherImage,
    /// A value is encrypted, or covered by a checksum.
    Encrypted,
    /// A value is in an object that can not be changed.
    Immutable,
    /// A change to a file could not be proven.
    Unproven,
    /// A file that might hold an image version is a symbolic link, which is never followed.
    Symlink,
    /// A file is passed over because of its name.
    FileName,
    /// A marker is in a file whose name tells no format that is read.
    UnknownFormat,
    /// No file matches a glob of an InfraRepository.
    IdleGlob,
}

impl Rule {
    /// All of them, always in the same order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OTHERS.iter().copied().chain(PolicyRule::ALL.map(Self::Policy))
    }

    /// All that are not about what a policy says.
    const OTHERS: &[Self] = &[
        Self::UnreadableFile,
        Self::InvalidYaml,
        Self::InvalidObject,
        Self::DuplicateObject,
        Self::DuplicateHost,
        Self::InvalidRange,
        Self::InvalidPattern,
        Self::UnknownPolicy,
        Self::PolicyNotTaken,
        Self::RepositoryWithoutPolicies,
        Self::PolicyWithoutRepository,
        Self::CompetingPolicies,
        Self::InvalidMarker,
        Self::InvalidSyntax,
        Self::NotUtf8,
        Self::TooLarge,
        Self::NoValue,
        Self::Ambiguous,
        Self::NoDigest,
        Self::NotAnImage,
        Self::OtherImage,
        Self::Encrypted,
        Self::Immutable,
        Self::Unproven,
        Self::Symlink,
        Self::FileName,
        Self::UnknownFormat,
        Self::IdleGlob,
    ];

    /// The id, in kebab-case.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::UnreadableFile => "unreadable-file",
            Self::InvalidYaml => "invalid-yaml",
            Self::InvalidObject => "invalid-object",
            Self::DuplicateObject => "duplicate-object",
            Self::DuplicateHost => "duplicate-host",
            Self::InvalidRange => "invalid-range",
            Self::InvalidPattern => "invalid-pattern",
            Self::Policy(rule) => rule.id(),
            Self::UnknownPolicy => "unknown-policy",
            Self::PolicyNotTaken => "policy-not-taken",
            Self::RepositoryWithoutPolicies => "repository-without-policies",
            Self::PolicyWithoutRepository => "policy-without-repository",
            Self::CompetingPolicies => "competing-policies",
            Self::InvalidMarker => "invalid-marker",
            Self::InvalidSyntax => "invalid-syntax",
            Self::NotUtf8 => "not-utf8",
            Self::TooLarge => "too-large",
            Self::NoValue => "no-value",
            Self::Ambiguous => "ambiguous",
            Self::NoDigest => "no-digest",
            Self::NotAnImage => "not-an-image",
            Self::OtherImage => "other-image",
            Self::Encrypted => "encrypted",
            Self::Immutable => "immutable",
            Self::Unproven => "unproven",
            Self::Symlink => "symlink",
            Self::FileName => "file-name",
            Self::UnknownFormat => "unknown-format",
            Self::IdleGlob => "idle-glob",
        }
    }

    /// What it is about, as a sentence.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::UnreadableFile => "A file can not be read.",
            Self::InvalidYaml => "A document is no YAML.",
            Self::InvalidObject => "An object breaks a rule of its kind.",
            Self::DuplicateObject => "Two objects have one kind, namespace and name.",
            Self::DuplicateHost => "Two ClusterImageRegistries speak of one host.",
            Self::InvalidRange => "A range of versions does not parse.",
            Self::InvalidPattern => "A pattern is no regular expression.",
            Self::Policy(rule) => rule.summary(),
            Self::UnknownPolicy => "A marker or a field names a policy that does not exist.",
            Self::PolicyNotTaken => {
                "A marker or a field names a policy that the InfraRepository does not take."
            }
            Self::RepositoryWithoutPolicies => "An InfraRepository takes no policy.",
            Self::PolicyWithoutRepository => "No InfraRepository takes a policy.",
            Self::CompetingPolicies => {
                "Two policies follow one image in a repository that is searched for images."
            }
            Self::InvalidMarker => "A comment is nearly a marker.",
            Self::InvalidSyntax => "A file that may hold an image version does not parse.",
            Self::NotUtf8 => "A file that may hold an image version is not UTF-8.",
            Self::TooLarge => "A file, or the number of its places, is above the cap.",
            Self::NoValue => "A marker stands behind nothing that a version can be written to.",
            Self::Ambiguous => "Several values or policies come into question for one place.",
            Self::NoDigest => "A digest is to be written, and the policy pins none.",
            Self::NotAnImage => "A field for an image holds something else.",
            Self::OtherImage => "A value holds another image than the policy follows.",
            Self::Encrypted => "A value is encrypted, or covered by a checksum.",
            Self::Immutable => "A value is in an object that can not be changed.",
            Self::Unproven => "A change to a file could not be proven.",
            Self::Symlink => {
                "A file that might hold an image version is a symbolic link, which is never followed."
            }
            Self::FileName => "A file is passed over because of its name.",
            Self::UnknownFormat => "A marker is in a file whose name tells no format that is read.",
            Self::IdleGlob => "No file matches a glob of an InfraRepository.",
        }
    }

    /// What would be right, where a finding does not know better.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::UnreadableFile => "let it be read; a file of objects is UTF-8, of at most 1 MiB",
            Self::InvalidYaml => "mend the YAML; only this document is passed over",
            Self::InvalidObject => "the page on its kind in docs/ tells every field",
            Self::DuplicateObject => "keep one of them",
            Self::DuplicateHost => "keep one of them",
            Self::InvalidRange => "write one such as >=1.4.0 <2.0.0, 1.4.x or ^1.4",
            Self::InvalidPattern => "write one such as ^v(?<version>.+)$",
            Self::Policy(rule) => rule.remedy(),
            Self::UnknownPolicy => "correct the name, or add the policy",
            Self::PolicyNotTaken => "correct the labels of the policy, or spec.policies",
            Self::RepositoryWithoutPolicies => "add a policy to its namespace, or correct spec.policies",
            Self::PolicyWithoutRepository => "add an InfraRepository to its namespace, or correct the labels",
            Self::CompetingPolicies => "write a marker behind each value that names the one it follows",
            Self::InvalidMarker => r#"write # {"$imagepolicy": "namespace:name"}"#,
            Self::InvalidSyntax => "mend the file; it is left alone until then",
            Self::NotUtf8 => "save it as UTF-8",
            Self::TooLarge => "split it",
            Self::NoValue => "write it behind the value, on the same line",
            Self::Ambiguous => "write a marker behind the value that names the policy it follows",
            Self::NoDigest => "set spec.pin to TagAndDigest or Digest",
            Self::NotAnImage => "write an image, such as ghcr.io/acme/api:1.9.3",
            Self::OtherImage => "name the policy of this image",
            Self::Encrypted => "keep the image version out of the encrypted part",
            Self::Immutable => "let a generator of kustomize make the object, or remove immutable",
            Self::Unproven => "write the value in a simpler way",
            Self::Symlink => "put the file itself there, or let spec.paths name what the link leads to",
            Self::FileName => "rename it",
            Self::UnknownFormat => "keep the version in a file of a format that is read",
            Self::IdleGlob => "correct the glob, or remove it",
        }
    }

    /// How bad a finding is as a rule.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Policy(
                PolicyRule::RangeAdmitsPrereleases
                | PolicyRule::RangeWithoutEnd
                | PolicyRule::PatternMatchesNothing
                | PolicyRule::PatternWithoutAnchor
                | PolicyRule::PatternWithBareDot
                | PolicyRule::AvoidWithoutEffect,
            )
            | Self::RepositoryWithoutPolicies
            | Self::PolicyWithoutRepository
            | Self::CompetingPolicies
            | Self::OtherImage
            | Self::Symlink
            | Self::FileName
            | Self::UnknownFormat
            | Self::IdleGlob => Severity::Warning,
            Self::UnreadableFile
            | Self::InvalidYaml
            | Self::InvalidObject
            | Self::DuplicateObject
            | Self::DuplicateHost
            | Self::InvalidRange
            | Self::InvalidPattern
            | Self::Policy(PolicyRule::RangeMatchesNothing | PolicyRule::PatternHidesVersion)
            | Self::UnknownPolicy
            | Self::PolicyNotTaken
            | Self::InvalidMarker
            | Self::InvalidSyntax
            | Self::NotUtf8
            | Self::TooLarge
            | Self::NoValue
            | Self::Ambiguous
            | Self::NoDigest
            | Self::NotAnImage
            | Self::Encrypted
            | Self::Immutable
            | Self::Unproven => Severity::Error,
        }
    }

    /// The rule that a problem of a file goes against; `None` for what is no mistake in the file.
    pub(super) const fn of_problem(reason: ProblemReason) -> Option<Self> {
        match reason {
            ProblemReason::UnknownPolicy => Some(Self::UnknownPolicy),
            ProblemReason::InvalidMarker => Some(Self::InvalidMarker),
            ProblemReason::InvalidYaml => Some(Self::InvalidYaml),
            ProblemReason::InvalidSyntax => Some(Self::InvalidSyntax),
            ProblemReason::NotUtf8 => Some(Self::NotUtf8),
            ProblemReason::TooLarge => Some(Self::TooLarge),
            ProblemReason::NoValue => Some(Self::NoValue),
            ProblemReason::Ambiguous => Some(Self::Ambiguous),
            ProblemReason::NoDigest => Some(Self::NoDigest),
            ProblemReason::NotAnImage => Some(Self::NotAnImage),
            ProblemReason::Encrypted => Some(Self::Encrypted),
            ProblemReason::Immutable => Some(Self::Immutable),
            ProblemReason::NotVerified => Some(Self::Unproven),
            ProblemReason::Symlink => Some(Self::Symlink),
            ProblemReason::FileName => Some(Self::FileName),
            ProblemReason::UnknownFormat => Some(Self::UnknownFormat),
            ProblemReason::Unreadable => Some(Self::UnreadableFile),
            ProblemReason::NotChosen | ProblemReason::Downgrade | ProblemReason::ForeignTag => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
