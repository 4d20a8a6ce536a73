//! `ImagePolicy`: which tag should this app run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interval, SecretRef};

/// Says which tag of one image an app should run. Tagtide scans the image's registry, chooses a tag by these rules, and
/// writes it wherever an InfraRepository of the namespace holds a marker for this policy.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tagtide.dev",
    version = "v1alpha1",
    kind = "ImagePolicy",
    plural = "imagepolicies",
    namespaced,
    status = "ImagePolicyStatus",
    shortname = "imgpol",
    category = "tagtide",
    doc = "An ImagePolicy says which tag of one image an app should run.",
    printcolumn = r#"{"name":"Image","type":"string","jsonPath":".spec.image"}"#,
    printcolumn = r#"{"name":"Selected","type":"string","jsonPath":".status.selected.tag"}"#,
    printcolumn = r#"{"name":"Written","type":"string","jsonPath":".status.written[0].tag"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.select.follow) || !has(self.pin) || self.pin != 'Tag'").message("pin must be TagAndDigest or Digest with select.follow: the tag alone never changes"),
    validation = Rule::new("!has(self.select.follow) || (!has(self.tags) && (!has(self.avoid) || self.avoid.size() == 0))").message("select.follow names its tag: leave tags and avoid out")
)]
pub struct ImagePolicySpec {
    /// The image's repository, without tag and digest, such as `ghcr.io/acme/api`. Docker Hub's short names work.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(
        validation = Rule::new("!self.contains('://')").message("image must not have a scheme: write ghcr.io/acme/api, not https://ghcr.io/acme/api"),
        validation = Rule::new("!self.contains('@')").message("image must not have a digest: write the repository only, such as ghcr.io/acme/api"),
        validation = Rule::new("!self.substring(self.lastIndexOf('/') + 1).contains(':')").message("image must not have a tag: write the repository only, such as ghcr.io/acme/api")
    )]
    pub image: String,

    /// How often the registry is asked for its tags. At least 1s.
    #[serde(default = "default_interval")]
    #[x_kube(
        validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')").message("interval must be a length of time: numbers with units ms, s, m or h, such as 30s or 1h30m")
    )]
    pub interval: Interval,

    /// Who asks the registry; without it, what the ClusterImageRegistry of the host says, else anonymously.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.provider == 'Generic' || has(self.serviceAccountName)").message("provider must have a serviceAccountName here: the operator's own identity asks only where a ClusterImageRegistry says so")
    )]
    pub credentials: Option<Credentials>,

    /// Which tags compete at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagFilter>,

    /// How the winner is chosen among the tags that compete. Exactly one way.
    pub select: Select,

    /// What is written where a marker stands: the tag, the tag with its digest, or the digest alone. Without it, the tag;
    /// with `select.follow`, the tag with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,

    /// The platforms that the chosen image must exist for, as `linux/amd64` or `linux/arm/v7`. Without them, any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 98)))]
    pub platforms: Vec<String>,

    /// Tags or ranges of versions that are never chosen, such as `1.4.2` or `>=1.5.0-rc.0 <1.5.1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub avoid: Vec<String>,

    /// May the choice go below what Git holds.
    #[serde(default)]
    pub downgrade: Downgrade,

    /// Stops scanning and writing for this policy until it is false again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Who asks the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.provider == 'Generic' ? has(self.secretRef) != has(self.serviceAccountName) : !has(self.secretRef)").message("credentials must have exactly one of secretRef, serviceAccountName and a provider other than Generic; only that provider may have a serviceAccountName beside it"))]
pub struct Credentials {
    /// A Secret of type `kubernetes.io/dockerconfigjson`, or with the keys `username` and `password`: of this namespace, or
    /// of the operator's where a ClusterImageRegistry names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,

    /// A ServiceAccount, of the namespace of which a Secret would be: its `imagePullSecrets` ask; or its identity in the
    /// cloud, where `provider` names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,

    /// Where the credentials come from: `Generic` from Kubernetes, the others from the cloud whose registry it is. In a
    /// ClusterImageRegistry, a cloud without a ServiceAccount means the operator's own identity there.
    #[serde(default)]
    pub provider: Provider,
}

/// Where the credentials come from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Provider {
    /// From a Secret.
    #[default]
    Generic,
    /// From AWS, for its Elastic Container Registry.
    Aws,
    /// From Google Cloud, for its Artifact Registry.
    Gcp,
    /// From Azure, for its Container Registry.
    Azure,
}

/// Which tags compete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TagFilter {
    /// A regular expression; only tags that match it compete. A group named `version` is what is ranked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub include: Option<String>,

    /// Regular expressions; tags that match one of them do not compete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 1024)))]
    pub exclude: Vec<String>,
}

/// How the winner is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("[has(self.semver), has(self.calver), has(self.numerical), has(self.alphabetical), has(self.newestBuild), has(self.follow)].filter(x, x).size() == 1").message("select must have exactly one of semver, calver, numerical, alphabetical, newestBuild and follow"))]
pub struct Select {
    /// The highest semantic version in a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<Semver>,

    /// The latest calendar version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calver: Option<Calver>,

    /// The highest or lowest number, of any length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerical: Option<Numerical>,

    /// The last or first in byte order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabetical: Option<Alphabetical>,

    /// The image that was built last, by its own account. Mind `tags.include`: every tag that competes is looked at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_build: Option<NewestBuild>,

    /// One tag that moves, such as `stable`: what it names now is tracked by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<Follow>,
}

/// The highest semantic version in a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Semver {
    /// A range in the language of Flux and Helm, such as `>=1.4.0 <2.0.0`, `1.4.x`, `^1.4` or `~1.4 || ^2.0`.
    #[schemars(length(min = 1, max = 512))]
    pub range: String,

    /// Whether pre-releases such as `1.5.0-rc.1` compete, whatever the range says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prereleases: bool,

    /// Whether tags with fewer than three numbers, such as `1.2` or `v1`, count as versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lenient: bool,
}

/// The latest calendar version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calver {
    /// How the versions are written, with the parts of calver.org: YYYY YY 0Y MM 0M WW 0W DD 0D MAJOR MINOR MICRO
    /// MODIFIER. What may be missing at the end stands in brackets, such as `YYYY.0M.0D[.MICRO][-MODIFIER]`.
    #[schemars(length(min = 1, max = 64))]
    pub format: String,
}

/// The highest or lowest number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Numerical {
    /// `Ascending` chooses the highest number, `Descending` the lowest.
    #[serde(default)]
    pub order: Order,
}

/// The last or first in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alphabetical {
    /// `Ascending` chooses the last tag in byte order, `Descending` the first.
    #[serde(default)]
    pub order: Order,
}

/// The image that was built last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewestBuild {}

/// One tag that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Follow {
    /// The tag, as the registry spells it.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$')").message("tag must be one tag, such as stable")
    )]
    pub tag: String,
}

/// The direction in which tags are ordered; the last one is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Order {
    /// The greatest is chosen.
    #[default]
    Ascending,
    /// The least is chosen.
    Descending,
}

/// What is written where a marker stands: the tag, the tag with its digest, or the digest alone. Without it, the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pin {
    /// The tag: `api:1.9.3`.
    Tag,
    /// Tag and digest: `api:1.9.3@sha256:…`.
    TagAndDigest,
    /// The digest alone: `api@sha256:…`.
    Digest,
}

/// May the choice go below what Git holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Downgrade {
    /// A lower tag than the one Git holds is never written.
    #[default]
    Never,
    /// The choice is written even where Git holds a higher tag.
    Allow,
}

/// What Tagtide found and did for an ImagePolicy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The chosen tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<Selected>,

    /// Where the chosen tag, or an earlier one, was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<Written>,

    /// The tag list behind the choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned: Option<Scanned>,

    /// The nearest misses: tags that would have won but for a rule, the nearest first. At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,

    /// The value of the annotation `tagtide.dev/requestedAt` that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,

    /// Ready, Reconciling and Stalled, as kstatus defines them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The chosen tag and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selected {
    /// The tag as the registry spells it.
    pub tag: String,
    /// What was ranked: the version, number or text read from the tag, or the time of the build.
    pub version: String,
    /// The digest of the tag's manifest when it was chosen; only where digests are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the image was built, by its own account; only with `select.newestBuild`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Why this tag was chosen, in words.
    pub reason: String,
}

/// One repository that holds the policy's tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Name of the InfraRepository.
    pub repository: String,
    /// The commit that wrote the tag, or the one in which it was first seen.
    pub commit: String,
    /// The tag that the repository holds.
    pub tag: String,
    /// When the commit was made.
    pub at: Time,
}

/// The tag list behind the choice; it moves only when the list does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scanned {
    /// When the list was first seen as it is now.
    pub changed_at: Time,
    /// How many tags the list has.
    pub tags: u64,
    /// How many of them compete.
    pub matching: u64,
}

/// A tag that was not chosen, and the rule that put it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The tag.
    pub tag: String,
    /// The rule, as a closed set of words: see docs/choosing.md.
    pub reason: String,
}

fn default_interval() -> Interval {
    Interval::new("5m")
}
