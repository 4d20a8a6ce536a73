//! Why an exchange with a server came to nothing.

use std::net::IpAddr;
use std::time::Duration;

use crate::api::Reason;

/// A connection that could not be made, or an answer that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CA bundle has no PEM block of a certificate.
    #[error(
        "ca.crt holds no certificate; it should hold one or more PEM blocks that begin with -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate,
    /// One certificate of the CA bundle cannot be used.
    #[error("certificate {position} in ca.crt cannot be read: {problem}")]
    BadCertificate {
        /// Which one, counted from 1.
        position: usize,
        /// What the TLS library says about it.
        problem: String,
    },
    /// A client certificate cannot be used.
    #[error("{key} cannot be read: {problem}")]
    BadClientCertificate {
        /// The key of the Secret.
        key: &'static str,
        /// What the TLS library says about it.
        problem: String,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {problem}")]
    Setup {
        /// What the library says.
        problem: String,
    },
    /// The host is, or resolves to, an address that may not be connected to.
    #[error(
        "{host} is at {address}, which may not be connected to unless the operator allows it with --allow-cidr"
    )]
    AddressRefused {
        /// The host as it was named.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// DNS, the connection, TLS or the HTTP exchange failed.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// The host as it was named.
        host: String,
        /// The chain of causes in one line, without the URL.
        cause: String,
    },
    /// No answer, or too little of it, came in time.
    #[error("{host} sent too little within {} s", after.as_secs())]
    Stalled {
        /// The host as it was named.
        host: String,
        /// How long was waited for it to go on.
        after: Duration,
    },
    /// The whole exchange took too long.
    #[error("{host} did not finish in time")]
    OutOfTime {
        /// The host as it was named.
        host: String,
    },
    /// The body went beyond its cap, counted after decompression.
    #[error("the answer of {host} is larger than {cap} bytes")]
    TooLarge {
        /// The host as it was named.
        host: String,
        /// The most bytes that are read.
        cap: u64,
    },
}

/// What the guarding resolver gives up with; it travels inside reqwest's error.
#[derive(Debug, thiserror::Error)]
#[error("all its addresses are refused, such as {0}")]
pub(super) struct ResolvedToRefused(pub(super) IpAddr);

impl Error {
    /// The word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoCertificate | Self::BadCertificate { .. } | Self::BadClientCertificate { .. } => {
                Reason::SecretInvalid
            }
            Self::Setup { .. } => Reason::InternalError,
            Self::AddressRefused { .. } => Reason::NotAllowed,
            Self::Unreachable { .. } | Self::Stalled { .. } | Self::OutOfTime { .. } => Reason::Unreachable,
            Self::TooLarge { .. } => Reason::TooLarge,
        }
    }

    /// What a failed request or a broken body means.
    pub(super) fn from_exchange(host: &str, error: &reqwest::Error) -> Self {
        let host = host.to_owned();
        let refused = causes(error).find_map(|cause| cause.downcast_ref::<ResolvedToRefused>());
        match refused {
            Some(&ResolvedToRefused(address)) => Self::AddressRefused { host, address },
            None => Self::Unreachable { host, cause: one_line(error) },
        }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

/// The causes below reqwest's own message, which would repeat the URL with its query.
fn one_line(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        // Wrappers often print their cause; what is said once is enough.
        if !parts.last().is_some_and(|last| last.ends_with(&text)) {
            parts.push(text);
        }
    }
    if parts.is_empty() {
        return "the request failed".to_owned();
    }
    parts.join(": ").replace(crate::unfit::is_unfit, " ")
}
