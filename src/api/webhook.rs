//! `webhook` of a ClusterImageRegistry: who may say that something was pushed, and how it is proven.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;

/// Who may say that something was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(self.kind == 'ArtifactRegistry') == has(self.oidc)").message("webhook must have oidc where its kind is ArtifactRegistry, and only there"),
    validation = Rule::new("(self.kind == 'ArtifactRegistry') != has(self.secretRef)").message("webhook must have secretRef, unless its kind is ArtifactRegistry")
)]
pub struct Webhook {
    /// Who sends: its way to prove itself, and the form of what it says.
    pub kind: WebhookKind,

    /// A Secret of the operator's namespace whose key `token` holds what the sender proves itself with, 16 characters or
    /// more: the key of its signature, the token that it sends in a header, or the last part of its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,

    /// Whose identity token is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcCaller>,
}

/// Who sends deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum WebhookKind {
    /// Azure Container Registry, by its own webhook or by Event Grid, with a custom header `Authorization: Bearer <token>` or
    /// at `/hooks/<name>/<token>`.
    AzureContainerRegistry,
    /// Google Artifact Registry, by a push subscription of Pub/Sub that sends an identity token.
    ArtifactRegistry,
    /// The notifications of CNCF Distribution and what is built on it, with a header `Authorization: Bearer <token>`.
    Distribution,
    /// Docker Hub, which proves itself by its address only: `/hooks/<name>/<token>`.
    DockerHub,
    /// Amazon ECR by EventBridge, whose connection sends `Authorization: Bearer <token>`.
    Ecr,
    /// Anything else: a body such as `{"image": "ghcr.io/acme/api"}`, signed (`X-Signature-256: sha256=<HMAC>`) or with a
    /// header `Authorization: Bearer <token>`.
    Generic,
    /// GitHub's event `package` or `registry_package`, signed.
    GitHub,
    /// GitLab's pipeline or job events, signed where the token is a signing token (`whsec_…`), else with the header
    /// `X-Gitlab-Token`. They name a project: each image below it is scanned.
    GitLab,
    /// Gitea's and Forgejo's event `package`, signed.
    Gitea,
    /// Harbor, with the token as its auth header.
    Harbor,
    /// Quay, which proves itself by its address only: `/hooks/<name>/<token>`.
    Quay,
    /// zot's events, with `Authorization: Bearer <token>` or the token as password.
    Zot,
}

/// Whose identity token is accepted (OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcCaller {
    /// The URL of who signs the token, with https; `https://accounts.google.com` without it.
    #[serde(default = "google", skip_serializing_if = "is_google")]
    #[schemars(length(min = 1, max = 255))]
    pub issuer: String,

    /// For whom the token must be: the audience of the subscription, which is its endpoint's URL where none is given.
    #[schemars(length(min = 1, max = 1024))]
    pub audience: String,

    /// The account in whose name the token must be: the `email` of the service account of the subscription.
    #[schemars(length(min = 1, max = 320))]
    pub email: String,
}

fn google() -> String {
    "https://accounts.google.com".to_owned()
}

fn is_google(issuer: &String) -> bool {
    *issuer == google()
}

impl WebhookKind {
    /// The kind as objects and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AzureContainerRegistry => "AzureContainerRegistry",
            Self::ArtifactRegistry => "ArtifactRegistry",
            Self::Distribution => "Distribution",
            Self::DockerHub => "DockerHub",
            Self::Ecr => "Ecr",
            Self::Generic => "Generic",
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
            Self::Harbor => "Harbor",
            Self::Quay => "Quay",
            Self::Zot => "Zot",
        }
    }
}
