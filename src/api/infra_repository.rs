//! `InfraRepository`: where decisions are written.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interval, SecretRef};

/// Names a Git repository and the branch into which Tagtide writes the choices of this namespace's ImagePolicies.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tagtide.dev",
    version = "v1alpha1",
    kind = "InfraRepository",
    plural = "infrarepositories",
    namespaced,
    status = "InfraRepositoryStatus",
    shortname = "infra",
    category = "tagtide",
    doc = "An InfraRepository names a Git repository and the branch into which choices are written.",
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.url"}"#,
    printcolumn = r#"{"name":"Branch","type":"string","jsonPath":".spec.branch"}"#,
    printcolumn = r#"{"name":"Last Commit","type":"string","jsonPath":".status.lastCommit.subject"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.proxySecretRef) || self.url.startsWith('http')").message("proxySecretRef only has a meaning for a url that starts with https:// or http://"))]
#[x_kube(validation = Rule::new("!has(self.insecureCredentials) || !self.insecureCredentials || self.url.startsWith('http://')").message("insecureCredentials only has a meaning for a url that starts with http://"))]
pub struct InfraRepositorySpec {
    /// Where the repository is: `https://…` or `ssh://git@host/path`; `http://…` and `file:///…` only where the operator allows them. No
    /// password in it, and no user but that of SSH: they belong into the Secret.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("self.startsWith('https://') || self.startsWith('ssh://') || self.startsWith('http://') || self.startsWith('file:///')").message("url must start with https://, ssh://, http:// or file:///; git@host:path is written as ssh://git@host/path"),
        validation = Rule::new("!self.contains('@') || self.matches('^ssh://[^:@/]+@[^@]*$')").message("url must not hold a user or a password: put them into the Secret of secretRef")
    )]
    pub url: String,

    /// The branch that is read, and written unless `publish.push.branch` names another one. It must exist.
    #[serde(default = "default_branch")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: String,

    /// A Secret of this namespace with the keys `username` and `password`, or `bearerToken`; with `ca.crt` for a server
    /// whose certificate the system does not trust, and with `tls.crt` and `tls.key` for one that asks for a
    /// certificate. For SSH, with the keys `identity` and `known_hosts`, and with the
    /// `password` of an encrypted identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,

    /// A Secret of this namespace that names a proxy for `https://` and `http://`: the key `address`, as
    /// `http://proxy.acme.example:3128`, `https://…` or `socks5://…`, and `username` with `password` where it asks for
    /// them. The proxy resolves the server's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<SecretRef>,

    /// Whether the credentials may be sent over plain HTTP, where everyone on the way can read them. The operator must
    /// allow plain HTTP too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_credentials: bool,

    /// How often Git is asked when nothing else happens. At least 1s.
    #[serde(default = "default_interval")]
    #[x_kube(
        validation = Rule::new("self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')").message("interval must be a length of time: numbers with units ms, s, m or h, such as 30s or 1h30m")
    )]
    pub interval: Interval,

    /// Which ImagePolicies of this namespace may write here, by their labels; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<PolicySelector>,

    /// Which files are looked at; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Paths>,

    /// Where image versions live in the files.
    #[serde(default)]
    pub updates: Updates,

    /// How commits look.
    #[serde(default)]
    pub commit: CommitSettings,

    /// How a commit reaches the repository; without it, by a push to the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,

    /// Stops reading and writing this repository until it is false again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// ImagePolicies by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySelector {
    /// Labels a policy must carry, each with this value. None: every policy of the namespace.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
}

/// Which files are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Paths {
    /// Globs such as `clusters/prod/**`; only files that match one are looked at. None: all files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    pub include: Vec<String>,

    /// Globs such as `**/testdata/**`; files that match one are passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    pub exclude: Vec<String>,
}

/// Where image versions live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Updates {
    /// Values that a comment marks: `# {"$imagepolicy": "shop:api"}`, with `:tag`, `:name` or `:digest` behind it for a
    /// part; `$tagtide` is a synonym of `$imagepolicy`.
    #[serde(default = "yes")]
    pub markers: bool,

    /// The image fields of Pod templates, in objects of any kind: containers, init and ephemeral containers, image
    /// volumes. A field is written where its repository is the image of one policy; no marker is needed.
    #[serde(default)]
    pub workloads: bool,

    /// The `images:` of kustomizations and components, where an entry stands for the image of one policy: `newTag` and
    /// `digest`. An entry that has neither gets a `newTag`. And the references in `kustomize.images` of Argo CD Applications.
    #[serde(default)]
    pub kustomize: bool,

    /// Images in the values of charts, where `repository`, with `registry` before it, is the image of one policy: `tag` or
    /// `version`, and `digest` or `sha`, beside it; and `image: repository:tag`. In values files, inline in
    /// HelmReleases, Argo CD Applications and kustomizations, and as text in Argo CD Applications, ConfigMaps, and the
    /// HelmCharts and HelmChartConfigs of k3s.
    #[serde(default)]
    pub helm_values: bool,

    /// Charts and other artifacts in OCI registries: OCIRepositories; the charts of HelmReleases, Argo CD Applications
    /// and kustomizations; the dependencies of a `Chart.yaml`.
    #[serde(default)]
    pub oci_artifacts: bool,

    /// The value below a comment of Renovate's such as `# renovate: datasource=docker depName=ghcr.io/acme/api`, where that
    /// is the image of one policy.
    #[serde(default)]
    pub renovate_comments: bool,

    /// Fields that are named by their path. At most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub fields: Vec<FieldUpdate>,
}

/// A field of certain files that follows a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldUpdate {
    /// The files, as a glob such as `apps/*/values.yaml`. `*` stays within a folder, `**` crosses folders.
    #[schemars(length(min = 1, max = 512))]
    pub glob: String,

    /// The ImagePolicy of this namespace that the field follows.
    #[schemars(length(min = 1, max = 253))]
    pub policy: String,

    /// Where the field is: `image.tag`, `containers[name=app].image`, `images[0].newTag`, `["a.b"].tag`.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,

    /// What is written there.
    #[serde(default)]
    pub write: FieldPart,
}

/// The part of an image reference that a field holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FieldPart {
    /// The whole reference.
    Image,
    /// The repository.
    Name,
    /// The tag, with its digest where the policy pins it.
    #[default]
    Tag,
    /// The digest.
    Digest,
}

/// How commits look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitSettings {
    /// Author and committer.
    #[serde(default)]
    pub author: Author,

    /// What shares a commit. Several commits of one cycle stand on each other and are pushed together.
    #[serde(default)]
    pub grouping: Grouping,

    /// A Jinja template for the first line; without it, `Bump ghcr.io/acme/api to 1.9.4 in shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub subject: Option<String>,

    /// A Jinja template for what follows; without it, what moved from where to where, why, in which files, and how to take
    /// it back. Tagtide's own trailers come behind it in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub body: Option<String>,

    /// Texts that the templates name as `values.cluster` and so on: at most 32, of at most 256 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub values: BTreeMap<String, String>,

    /// How commits are signed; without it, they are not. With it, nothing is ever pushed unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
}

/// What shares a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Grouping {
    /// All that moves at a time.
    #[default]
    PerCycle,
    /// What one ImagePolicy moves.
    PerPolicy,
    /// What moves to one image, whichever policies chose it.
    PerImage,
}

/// How commits are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signing {
    /// A Secret of this namespace with the key `identity`, an SSH private key, or `openpgp`, an OpenPGP one as
    /// `gpg --export-secret-keys --armor` prints it; and with the `password` of an encrypted one.
    pub secret_ref: SecretRef,
}

/// A name and an address for commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Author {
    /// The name.
    #[serde(default = "default_author_name")]
    #[schemars(length(min = 1, max = 128), pattern(r"^[^<>\n\r\x00]+$"))]
    pub name: String,
    /// The e-mail address.
    #[serde(default = "default_author_email")]
    #[schemars(length(min = 1, max = 254), pattern(r"^[^<>\s\x00]+$"))]
    pub email: String,
}

/// How a commit reaches the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Publish {
    /// By a push.
    pub push: Push,
}

/// A push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Push {
    /// The branch that is pushed; without it, the branch that is read. Another one is made where it does not exist, from
    /// the branch that is read; it is never forced, and other people's commits on it are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: Option<String>,

    /// What the server's hooks are told with the push, as `git push -o` does: `ci.skip`, say. A server that takes none
    /// refuses the push.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256), pattern(r"^[^\x00-\x1f\x7f]+$")))]
    pub options: Vec<String>,
}

/// What Tagtide found in a repository and wrote to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfraRepositoryStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The commit that was last seen: on the branch that is written, where another one is written than read and it holds
    /// more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,

    /// The last commit that Tagtide wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<LastCommit>,

    /// The places in the files where image versions live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<Sites>,

    /// The value of the annotation `tagtide.dev/requestedAt` that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,

    /// Ready, Reconciling and Stalled, as kstatus defines them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A commit that Tagtide wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastCommit {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
    /// When it was made.
    pub at: Time,
    /// What it changed. At most 20.
    pub changes: Vec<CommittedChange>,
}

/// One value that a commit changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommittedChange {
    /// The file, relative to the repository.
    pub file: String,
    /// The line in the file, from 1.
    pub line: u64,
    /// The ImagePolicy, as namespace/name.
    pub policy: String,
    /// The value before.
    pub from: String,
    /// The value after.
    pub to: String,
}

/// The places where image versions live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sites {
    /// How many files hold at least one.
    pub files: u64,
    /// How many there are.
    pub versions: u64,
    /// Places that could not be resolved. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<UnresolvedSite>,
    /// How many could not be resolved in all.
    #[serde(default)]
    pub unresolved_total: u64,
}

/// A place that could not be resolved, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnresolvedSite {
    /// The file, relative to the repository.
    pub file: String,
    /// The line in the file, from 1.
    pub line: u64,
    /// What is wrong and what would be right.
    pub why: String,
}

impl Default for Updates {
    fn default() -> Self {
        Self {
            markers: true,
            workloads: false,
            kustomize: false,
            helm_values: false,
            oci_artifacts: false,
            renovate_comments: false,
            fields: Vec::new(),
        }
    }
}

impl Default for Author {
    fn default() -> Self {
        Self { name: default_author_name(), email: default_author_email() }
    }
}

fn default_branch() -> String {
    "main".to_owned()
}

fn default_interval() -> Interval {
    Interval::new("10m")
}

fn default_author_name() -> String {
    "tagtide".to_owned()
}

fn default_author_email() -> String {
    "tagtide@localhost".to_owned()
}

const fn yes() -> bool {
    true
}
