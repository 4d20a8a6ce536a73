//! The closed set of words that conditions, events and metric labels use for why something is as it is.

/// Why a condition has its status, an event was sent, or a step failed. One set for conditions, events and metrics, so
/// that what `kubectl` shows can be searched for in a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// All is as it should be.
    Succeeded,
    /// Work is under way for the first time or after a change of the spec.
    Progressing,
    /// `spec.suspend` is true.
    Suspended,
    /// The spec can not be acted on until it is changed.
    InvalidSpec,
    /// A Secret is missing, can not be read, or lacks what is needed.
    SecretInvalid,
    /// The operator's flags forbid what the object asks for.
    NotAllowed,
    /// The server refused the credentials, or asked for some.
    AuthenticationFailed,
    /// The host key of an SSH server is not the one that `known_hosts` has for it.
    HostKeyRejected,
    /// The server knows the caller but not the right to do this.
    AccessDenied,
    /// The registry has no such repository.
    ImageNotFound,
    /// The server asked for fewer requests.
    RateLimited,
    /// The server can not be reached, or did not answer in time.
    Unreachable,
    /// The server answered with an error of its own, or with something that is not the protocol.
    ServerError,
    /// An answer went beyond a cap on bytes, pages, tags or time.
    TooLarge,
    /// No tag meets the policy.
    NoTagMatches,
    /// The tag list shrank so that the choice would fall; a second scan must agree first.
    ListShrank,
    /// The branch does not exist, or the repository is empty.
    BranchNotFound,
    /// The server refused the push, by a hook or a protected branch.
    PushRejected,
    /// Others kept pushing first.
    PushRace,
    /// The local copy of the repository can not be read or written.
    MirrorFailed,
    /// Git holds what the policies choose, but some places could not be resolved.
    SitesUnresolved,
    /// A tag was chosen.
    TagSelected,
    /// A commit was pushed.
    Committed,
    /// A panic was caught while this object was worked on: a defect of Tagtide.
    InternalError,
}

impl Reason {
    /// The word as conditions, events and metrics show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Progressing => "Progressing",
            Self::Suspended => "Suspended",
            Self::InvalidSpec => "InvalidSpec",
            Self::SecretInvalid => "SecretInvalid",
            Self::NotAllowed => "NotAllowed",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::HostKeyRejected => "HostKeyRejected",
            Self::AccessDenied => "AccessDenied",
            Self::ImageNotFound => "ImageNotFound",
            Self::RateLimited => "RateLimited",
            Self::Unreachable => "Unreachable",
            Self::ServerError => "ServerError",
            Self::TooLarge => "TooLarge",
            Self::NoTagMatches => "NoTagMatches",
            Self::ListShrank => "ListShrank",
            Self::BranchNotFound => "BranchNotFound",
            Self::PushRejected => "PushRejected",
            Self::PushRace => "PushRace",
            Self::MirrorFailed => "MirrorFailed",
            Self::SitesUnresolved => "SitesUnresolved",
            Self::TagSelected => "TagSelected",
            Self::Committed => "Committed",
            Self::InternalError => "InternalError",
        }
    }

    /// Reads what [`Reason::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    const ALL: [Self; 24] = [
        Self::Succeeded,
        Self::Progressing,
        Self::Suspended,
        Self::InvalidSpec,
        Self::SecretInvalid,
        Self::NotAllowed,
        Self::AuthenticationFailed,
        Self::HostKeyRejected,
        Self::AccessDenied,
        Self::ImageNotFound,
        Self::RateLimited,
        Self::Unreachable,
        Self::ServerError,
        Self::TooLarge,
        Self::NoTagMatches,
        Self::ListShrank,
        Self::BranchNotFound,
        Self::PushRejected,
        Self::PushRace,
        Self::MirrorFailed,
        Self::SitesUnresolved,
        Self::TagSelected,
        Self::Committed,
        Self::InternalError,
    ];

    /// Whether only a change of the object, or of what it refers to, can end this state; kstatus calls it Stalled.
    #[must_use]
    pub const fn is_stalled(self) -> bool {
        matches!(self, Self::InvalidSpec | Self::NotAllowed)
    }
}
