//! `ClusterImageRegistry`: how one registry host is spoken to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Credentials, SecretRef};

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
pub struct ClusterImageRegistrySpec {
    /// The host, with its port where it has one, as image names spell it: `ghcr.io`, `registry.acme.example:5000`,
    /// `docker.io`.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(
        validation = Rule::new("!self.contains('/')").message("host must be a host with an optional port, without scheme and path, such as ghcr.io or registry.acme.example:5000")
    )]
    pub host: String,

    /// Whether the registry is spoken to over plain HTTP. The operator must allow plain HTTP too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,

    /// A Secret of the operator's namespace whose key `ca.crt` holds the certificates (PEM) that sign the registry's.
    /// They are trusted for this host besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,

    /// Who asks where an ImagePolicy names no credentials of its own. The Secret is read from the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,

    /// Further hosts that may hand out tokens for this registry, with their ports where they have one. The registry's
    /// own host always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 255)))]
    pub allowed_realms: Vec<String>,
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
