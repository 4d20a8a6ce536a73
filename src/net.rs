//! Outgoing connections: which addresses may be reached, with which certificates, and how much of an answer is read.
//!
//! Every client comes from [`Connections`]: no redirects, no ambient proxy, TLS 1.2 or newer, and no address that the
//! operator does not allow, checked after DNS so that a name that changes its mind (DNS rebinding) gains nothing.

mod address;
mod body;
mod client_settings;
mod connections;
mod error;
mod retry_after;
mod secret;

pub use address::AddressGuard;
pub use body::{Body, Limits, Progress, read_capped};
pub use client_settings::{ClientCertificate, ClientSettings, InvalidProxy, Proxy};
pub use connections::Connections;
pub use error::Error;
pub use ipnet::IpNet as Cidr;
pub use retry_after::retry_after;
pub use secret::SecretText;
