//! `ClusterImageRegistry`: how one registry host is spoken to.

use std::num::NonZeroU32;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigMapRef, Credentials, SecretRef, Webhook};

/// Says how one registry host is spoken to, for all namespaces. An ImagePolicy can not widen it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tagtide.dev",
    version = "v1alpha1",
    kind = "ClusterImageRegistry",
    plural = "clusterimageregistries",
    status = "ClusterImageRegistryStatus",
    shortname = "imgreg",
    category = "tagtide",
    doc = "A ClusterImageRegistry says how one registry host is spoken to, for all namespaces.",
    printcolumn = r#"{"name":"Host","type":"string","jsonPath":".spec.host"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.caSecretRef) || !has(self.caConfigMapRef)").message("caSecretRef and caConfigMapRef exclude each other: put all certificates into one of them"),
    validation = Rule::new("!has(self.mirrors) || self.mirrors.all(mirror, mirror.host != self.host)").message("mirrors must be other hosts than host itself, which is asked last anyway"),
    validation = Rule::new("self.fallback != 'Never' || (has(self.mirrors) && size(self.mirrors) > 0)").message("fallback must not be Never without mirrors: nothing would be asked")
)]
pub struct ClusterImageRegistrySpec {
    /// The host, with its port where it has one, as image names spell it: `ghcr.io`, `registry.acme.example:5000`,
    /// `docker.io`.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(
        validation = Rule::new("!self.contains('/')").message("host must be a host with an optional port, without scheme and path, such as ghcr.io or registry.acme.example:5000")
    )]
    pub host: String,

    /// Hosts that have the images of this one too, and are asked instead of it, in this order. Each is spoken to as the
    /// ClusterImageRegistry of its own host says: it never sees credentials that are for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub mirrors: Vec<Mirror>,

    /// What is asked when no mirror answers.
    #[serde(default)]
    pub fallback: Fallback,

    /// Whether the registry is spoken to over plain HTTP. The operator must allow plain HTTP too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,

    /// A Secret of the operator's namespace whose key `ca.crt` holds the certificates (PEM) that sign the registry's.
    /// They are trusted for this host besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,

    /// The same in a ConfigMap of the operator's namespace, which its key `ca.crt` holds: certificates are no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapRef>,

    /// A Secret of the operator's namespace with the keys `tls.crt` and `tls.key`: a certificate for a registry that asks
    /// its clients for one. Its token server is shown it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<SecretRef>,

    /// Who asks where an ImagePolicy names no credentials of its own. Secret and ServiceAccount are of the operator's
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// Further hosts that may hand out tokens for this registry, with their ports where they have one. The registry's
    /// own host always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 255)))]
    pub allowed_realms: Vec<String>,

    /// How much this registry is asked at most; without it, as fast as it answers, in up to 32 scans at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RegistryLimits>,

    /// Who may tell Tagtide, at `/hooks/<name of this object>`, that an image was pushed here. Its policies are then
    /// scanned at once instead of at their next interval; what is said is never more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// A host that has the images of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// The host, with its port where it has one: `harbor.acme.example`.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(
        validation = Rule::new("!self.contains('/')").message("host must be a host with an optional port, without scheme and path, such as harbor.acme.example; what stands before the repository is the prefix")
    )]
    pub host: String,

    /// What stands before the repository there: with `docker-hub`, `library/alpine` is `docker-hub/library/alpine`. Without
    /// it, the repositories have the same names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9._-]+(/[a-z0-9._-]+)*$')").message("prefix must be a path of lower-case names without slashes at its ends, such as docker-hub")
    )]
    pub prefix: Option<String>,
}

/// What is asked when no mirror answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Fallback {
    /// The host itself.
    #[default]
    Host,
    /// Nothing: the host is never asked.
    Never,
}

/// How much a registry is asked at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.requestsPerSecond) || has(self.concurrency)").message("limits must have requestsPerSecond or concurrency, or both"))]
pub struct RegistryLimits {
    /// At most this many requests go out in a second, evenly spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: Option<NonZeroU32>,

    /// At most this many images are scanned at once; 32 without it, and never more than requestsPerSecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<NonZeroU32>,
}

impl RegistryLimits {
    /// The most scans at once where nothing is said.
    const USUAL_CONCURRENCY: u32 = 32;

    /// How many images are scanned at once. A scan that waits for its turn would only keep others waiting, so there are
    /// never more than requests in a second.
    #[must_use]
    pub fn scans_at_once(self) -> usize {
        let wanted = self.concurrency.map_or(Self::USUAL_CONCURRENCY, NonZeroU32::get);
        let most = self.requests_per_second.map_or(u32::MAX, NonZeroU32::get);
        usize::try_from(wanted.min(most)).unwrap_or(1)
    }
}

/// Whether a ClusterImageRegistry is usable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterImageRegistryStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Reconciling and Stalled, as kstatus defines them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_registry_is_asked_by_few_at_once() {
        for (requests_per_second, concurrency, expected) in [
            (None, None, 32),
            (None, Some(64), 64),
            (Some(5), None, 5),
            (Some(5), Some(2), 2),
            (Some(100), Some(64), 64),
        ] {
            let limits = RegistryLimits {
                requests_per_second: requests_per_second.and_then(NonZeroU32::new),
                concurrency: concurrency.and_then(NonZeroU32::new),
            };
            assert_eq!(limits.scans_at_once(), expected, "{limits:?}");
        }
    }
}
