//! An InfraRepository's spec, checked and ready to use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::message::{InvalidTemplate, Wording};
use super::scope::{InvalidGlob, Scope};
use super::settings::Settings;
use super::signing::KeptSigner;
use super::world::{SecretData, SecretError, SecretSource, World};
use crate::api::{Grouping, ImagePolicy, InfraRepository, InvalidInterval, ObjectKey, Reason, SecretRef};
use crate::edit::{InvalidFieldUpdate, Targets};
use crate::git::{
    self, Branch, BranchName, GitSecret, InvalidGitSecret, RemoteAccess, RepositoryUrl, Signer,
    proxy_from_secret,
};
use crate::net::Proxy;

/// An InfraRepository's spec, checked.
#[derive(Clone, Debug)]
pub(super) struct RepositorySettings {
    pub(super) url: RepositoryUrl,
    branch: BranchName,
    target: Option<BranchName>,
    pub(super) interval: Duration,
    pub(super) scope: Scope,
    pub(super) grouping: Grouping,
    pub(super) wording: Wording,
    pub(super) targets: Arc<Targets>,
    pub(super) secret: Option<ObjectKey>,
    proxy: Option<ObjectKey>,
    signing: Option<ObjectKey>,
    push_options: Vec<String>,
    insecure_credentials: bool,
}

/// What the Secrets that a branch is opened with hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Secrets {
    git: GitSecret,
    proxy: Option<Proxy>,
}

/// Why a repository can not be worked on.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepositoryError {
    #[error(transparent)]
    Git(#[from] git::Error),
    #[error(transparent)]
    Glob(#[from] InvalidGlob),
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    #[error(transparent)]
    FieldUpdate(#[from] InvalidFieldUpdate),
    #[error("spec.interval: {0}")]
    Interval(#[from] InvalidInterval),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("spec.{field}: {secret}: {problem}")]
    UnfitSecret { field: &'static str, secret: ObjectKey, problem: InvalidGitSecret },
    #[error("{0}")]
    NotAllowed(String),
    #[error("spec.{field}: {problem}")]
    Field { field: &'static str, problem: String },
    #[error("the server refuses the push: {0}")]
    PushRefused(String),
    #[error("others pushed first {0} times in a row; it is tried again by itself")]
    Raced(u32),
    #[error("this process does not hold the Lease any more, and writes nothing until it leads again")]
    NotLeading,
    #[error("the server is too slow: one look took more than {0} minutes and was given up")]
    TooSlow(u64),
    #[error("the work on the repository broke off: {0}")]
    Interrupted(String),
}

impl RepositoryError {
    pub(super) const fn reason(&self) -> Reason {
        match self {
            Self::Git(error) => error.reason(),
            Self::Glob(_)
            | Self::Template(_)
            | Self::FieldUpdate(_)
            | Self::Interval(_)
            | Self::Field { .. } => Reason::InvalidSpec,
            Self::Secret(error) => error.reason(),
            Self::UnfitSecret { .. } => Reason::SecretInvalid,
            Self::NotAllowed(_) => Reason::NotAllowed,
            Self::PushRefused(_) => Reason::PushRejected,
            Self::Raced(_) => Reason::PushRace,
            Self::NotLeading => Reason::Progressing,
            Self::TooSlow(_) => Reason::Unreachable,
            Self::Interrupted(_) => Reason::InternalError,
        }
    }
}

impl RepositoryError {
    /// How long the server wants to be left alone, where it says so.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Git(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// An InfraRepository's spec that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidRepository {
    /// Path of the field in the object, such as `spec.paths.include[0]`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

/// Checks a spec by itself: by the same rules as the CRD, and as if the operator allowed all that may be allowed. Its
/// Secrets are not read.
///
/// # Errors
/// `InvalidRepository` names the first field that breaks a rule.
pub fn check_repository(object: &InfraRepository) -> Result<(), InvalidRepository> {
    let error = match RepositorySettings::read(object, Allowed { http: true, file: true }) {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    // Every error of a spec begins with its field.
    let (field, problem) = error.split_once([':', ' ']).unwrap_or(("spec", &error));
    Err(InvalidRepository {
        field: field.trim_end_matches(',').to_owned(),
        problem: problem.trim_start().to_owned(),
    })
}

/// The Secrets of an InfraRepository that are there and lack a key, as its next cycle would find. What is not there, or can
/// not be read, is left to the cycle.
pub async fn repository_lacks<S: SecretSource>(
    source: &S,
    object: &InfraRepository,
) -> Vec<InvalidRepository> {
    type Read = fn(&SecretData) -> Option<InvalidGitSecret>;
    let spec = &object.spec;
    let signing = spec.commit.signing.as_ref().map(|signing| &signing.secret_ref);
    let secrets: [(_, _, Read); 3] = [
        ("spec.secretRef", spec.secret_ref.as_ref(), |data| GitSecret::read(data).err()),
        ("spec.proxySecretRef", spec.proxy_secret_ref.as_ref(), |data| proxy_from_secret(data).err()),
        ("spec.commit.signing", signing, |data| Signer::read(data).err()),
    ];
    let namespace = ObjectKey::of(object).namespace;
    let mut faults = Vec::new();
    for (field, reference, read) in secrets {
        let Some(reference) = reference else { continue };
        let Ok(data) = source.secret(&ObjectKey::new(&namespace, &reference.name)).await else { continue };
        let problem = read(&data).filter(InvalidGitSecret::is_of_keys).map(|error| error.to_string());
        faults.extend(problem.map(|problem| InvalidRepository { field: field.to_owned(), problem }));
    }
    faults
}

/// Whether an InfraRepository lets a policy write: by its namespace, and by `spec.policies`.
#[must_use]
pub fn takes(repository: &InfraRepository, policy: &ImagePolicy) -> bool {
    let labels = policy.metadata.labels.as_ref();
    let has = |key: &String, value: &String| labels.and_then(|labels| labels.get(key)) == Some(value);
    let selector = repository.spec.policies.as_ref();
    policy.metadata.namespace == repository.metadata.namespace
        && selector.is_none_or(|selector| selector.match_labels.iter().all(|(key, value)| has(key, value)))
}

/// What an operator may allow.
#[derive(Clone, Copy)]
struct Allowed {
    http: bool,
    file: bool,
}

impl RepositorySettings {
    /// Checks a spec, by the same rules as the CRD and by what the operator allows.
    pub(super) fn check(object: &InfraRepository, settings: &Settings) -> Result<Self, RepositoryError> {
        Self::read(object, Allowed { http: settings.allow_http, file: settings.allow_file })
    }

    fn read(object: &InfraRepository, allowed: Allowed) -> Result<Self, RepositoryError> {
        let spec = &object.spec;
        let url = RepositoryUrl::parse(&spec.url).map_err(git::Error::from)?;
        let branch = BranchName::parse(&spec.branch).map_err(git::Error::from)?;
        let target = spec.publish.as_ref().and_then(|publish| publish.push.branch.as_deref());
        let target = target.map(BranchName::parse).transpose().map_err(|error| RepositoryError::Field {
            field: "publish.push.branch",
            problem: error.to_string(),
        })?;
        let push_options =
            spec.publish.as_ref().map(|publish| publish.push.options.clone()).unwrap_or_default();
        if push_options.iter().any(|option| option.is_empty() || option.chars().any(char::is_control)) {
            let problem = "an option is a text of one line, such as ci.skip".to_owned();
            return Err(RepositoryError::Field { field: "publish.push.options", problem });
        }
        if !push_options.is_empty() && matches!(url, RepositoryUrl::Local(_)) {
            let problem =
                "a file:// repository is written in place, and no hook of it would hear them".to_owned();
            return Err(RepositoryError::Field { field: "publish.push.options", problem });
        }
        let author = &spec.commit.author;
        if author.name.is_empty() || author.name.contains(['<', '>', '\n', '\r', '\0']) {
            let problem = "it must be a name without line breaks and without < and >".to_owned();
            return Err(RepositoryError::Field { field: "commit.author.name", problem });
        }
        if author.email.is_empty() || author.email.contains(|c: char| c.is_whitespace() || "<>\0".contains(c))
        {
            let problem = "it must be an address such as tagtide@acme.example".to_owned();
            return Err(RepositoryError::Field { field: "commit.author.email", problem });
        }
        let key = ObjectKey::of(object);
        let named = |secret: &SecretRef| ObjectKey::new(&key.namespace, &secret.name);
        let secret = spec.secret_ref.as_ref().map(named);
        let proxy = spec.proxy_secret_ref.as_ref().map(named);
        if proxy.is_some() && !matches!(url, RepositoryUrl::Http(_)) {
            let problem = "only https:// and http:// repositories are reached through a proxy".to_owned();
            return Err(RepositoryError::Field { field: "proxySecretRef", problem });
        }
        if spec.insecure_credentials && !url.is_plain_http() {
            let problem = "it only has a meaning for a url that starts with http://; leave it out".to_owned();
            return Err(RepositoryError::Field { field: "insecureCredentials", problem });
        }
        let signing = spec.commit.signing.as_ref().map(|signing| named(&signing.secret_ref));
        match &url {
            RepositoryUrl::Local(_) if !allowed.file => {
                return Err(not_allowed(
                    "a file:// repository, which the operator allows only with --allow-file",
                ));
            }
            RepositoryUrl::Http(_) if url.is_plain_http() && !allowed.http => {
                return Err(not_allowed("plain HTTP, which the operator allows only with --allow-http"));
            }
            RepositoryUrl::Http(_)
                if url.is_plain_http() && secret.is_some() && !spec.insecure_credentials =>
            {
                return Err(not_allowed(
                    "plain HTTP with credentials, which everyone on the way can read; set spec.insecureCredentials to \
                     true where that is meant",
                ));
            }
            RepositoryUrl::Local(_) | RepositoryUrl::Http(_) | RepositoryUrl::Ssh(_) => {}
        }
        let scope = Scope::compile(spec.paths.as_ref())?;
        Ok(Self {
            url,
            branch,
            target,
            interval: spec.interval.duration()?,
            scope,
            targets: Arc::new(Targets::compile(&spec.updates, &key.namespace)?),
            grouping: spec.commit.grouping,
            wording: Wording::read(key, &spec.commit)?,
            secret,
            proxy,
            signing,
            push_options,
            insecure_credentials: spec.insecure_credentials,
        })
    }

    /// Opens the branch with what its Secrets hold. In a thread of its own: to unlock a private key takes its time on purpose,
    /// and the mirror's folder is looked through.
    pub(super) async fn open(
        &self,
        settings: &Settings,
        owner: &ObjectKey,
        secrets: &Secrets,
    ) -> Result<Branch, RepositoryError> {
        let access = RemoteAccess {
            connections: settings.connections.clone(),
            secret: secrets.git.clone(),
            proxy: secrets.proxy.clone(),
            push_options: self.push_options.clone(),
            mirror: self.mirror_folder(settings, owner),
            room: settings.room,
            coverage: self.scope.coverage(&self.targets),
        };
        let (url, name) = (self.url.clone(), self.branch.clone());
        let work = tokio::task::spawn_blocking(move || Branch::open(&url, name, access));
        let opened = work.await.map_err(|error| RepositoryError::Interrupted(error.to_string()))?;
        let branch = opened.map_err(|error| match (error, &self.secret) {
            (git::Error::Secret(problem), Some(secret)) => unfit("secretRef", secret)(problem),
            (error, _) => error.into(),
        })?;
        Ok(branch.publishing_to(self.written().clone()))
    }

    /// The branch that is written.
    pub(super) fn written(&self) -> &BranchName {
        self.target.as_ref().unwrap_or(&self.branch)
    }

    /// What the Secrets hold now.
    pub(super) async fn read_secrets<W: World>(&self, world: &W) -> Result<Secrets, RepositoryError> {
        let git = match &self.secret {
            None => GitSecret::default(),
            Some(key) => GitSecret::read(&world.secret(key).await?).map_err(unfit("secretRef", key))?,
        };
        let proxy = match &self.proxy {
            None => None,
            Some(key) => {
                let proxy = proxy_from_secret(&world.secret(key).await?);
                Some(proxy.map_err(unfit("proxySecretRef", key))?)
            }
        };
        Ok(Secrets { git, proxy })
    }

    /// Who signs the commits, where they shall be signed. The Secret is read anew each time: without a key nothing is
    /// pushed.
    pub(super) async fn signer<W: World>(
        &self,
        world: &W,
        kept: &mut Option<KeptSigner>,
    ) -> Result<Option<Signer>, RepositoryError> {
        let Some(key) = &self.signing else { return Ok(None) };
        let signer = KeptSigner::of(kept, world.secret(key).await?).await?;
        Ok(Some(signer.map_err(unfit("commit.signing", key))?))
    }

    /// The mirror's folder. It belongs to one object: what one tenant's credentials brought is never shown to another.
    pub(super) fn mirror_folder(&self, settings: &Settings, owner: &ObjectKey) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [&owner.to_string(), &self.url.to_string(), self.branch.as_str()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let name: String = hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        settings.mirrors().join(name)
    }

    /// Whether the same files are looked at for the same places.
    pub(super) fn looks_as(&self, other: &Self) -> bool {
        self.scope.is_same(&other.scope) && self.targets == other.targets
    }

    /// Whether the branch must be opened anew to follow these settings instead of the others.
    pub(super) fn opens_as(&self, other: &Self) -> bool {
        self.scope.coverage(&self.targets) == other.scope.coverage(&other.targets)
            && (
                &self.url,
                &self.branch,
                self.written(),
                &self.secret,
                &self.proxy,
                &self.push_options,
                self.insecure_credentials,
            ) == (
                &other.url,
                &other.branch,
                other.written(),
                &other.secret,
                &other.proxy,
                &other.push_options,
                other.insecure_credentials,
            )
    }
}

/// What makes the error of a Secret that a field names.
fn unfit(field: &'static str, secret: &ObjectKey) -> impl FnOnce(InvalidGitSecret) -> RepositoryError {
    move |problem| RepositoryError::UnfitSecret { field, secret: secret.clone(), problem }
}

fn not_allowed(what: &str) -> RepositoryError {
    RepositoryError::NotAllowed(format!("spec.url asks for {what}"))
}
