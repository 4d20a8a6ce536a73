//! One branch of one repository, as it is read and written: brought up to date, and published to.

mod catch_up;
mod remembered;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::commit::CommitHead;
use super::draft::Draft;
use super::http::HttpTransport;
use super::local::LocalRepository;
use super::mirror::{Held, IncomingPack, Intake, MAX_OBJECTS, Mirror, Piece};
use super::snapshot::Snapshot;
use super::ssh::SshTransport;
use super::transport::AnyTransport;
use super::wire::{PushReport, PushRequest, ReadFeatures, WireError, WriteFeatures, list_branch, push_pack};
use super::{BranchName, CommitId, Coverage, Error, GitSecret, RepositoryUrl, Room, budget};
use crate::net::{Connections, Proxy};
use remembered::Remembered;

/// One branch of one repository.
///
/// # Guarantees
/// A branch is only ever moved from a commit in the history of the new commit to the new commit. Where the answer to a
/// push is lost, the branch is looked at before anything else is done.
pub struct Branch {
    name: BranchName,
    /// The branch that is written, where it is another one.
    target: Option<BranchName>,
    place: Place,
}

enum Place {
    Remote(Box<Remote>),
    Local(Arc<LocalRepository>),
}

struct Remote {
    transport: AnyTransport,
    push_options: Vec<String>,
    mirror: Arc<Mirror>,
    /// How much of a commit is wanted here. Where that can not be had, all of it comes.
    coverage: Coverage,
    /// Whether the server turned down to send files by their ids.
    refuses_ids: AtomicBool,
    /// What the server said that it can do, so that it is not asked each time.
    reads: Remembered<ReadFeatures>,
    writes: Remembered<WriteFeatures>,
}

/// What a push came to.
enum Outcome {
    Taken,
    /// It was taken, and somebody has committed on top of it since.
    BuiltUpon,
    Raced,
    Refused(String),
}

/// How to reach a repository on a server.
pub struct RemoteAccess {
    /// Where connections come from.
    pub connections: Connections,
    /// Who asks, and whom to trust.
    pub secret: GitSecret,
    /// The way there; none for SSH.
    pub proxy: Option<Proxy>,
    /// What the server's hooks are told with each push, such as `ci.skip`.
    pub push_options: Vec<String>,
    /// The folder for the mirror.
    pub mirror: PathBuf,
    /// The room for it and all others beside it.
    pub room: Room,
    /// How much of a commit is wanted there.
    pub coverage: Coverage,
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The branch points to the last of these commits, or did when the server answered.
    Taken(Vec<CommitId>),
    /// The branch had moved: nothing was written, and the edits must be planned again on the new tip.
    Raced,
    /// The server did not take it although the branch had not moved; these are its words.
    Refused(String),
}

impl Branch {
    /// The branch at an address.
    ///
    /// # Errors
    /// `Error::Secret` where the Secret does not fit the address, and `Error::Cache` where the mirror's folder can not be
    /// used.
    pub fn open(url: &RepositoryUrl, name: BranchName, access: RemoteAccess) -> Result<Self, Error> {
        let RemoteAccess { connections, secret, proxy, push_options, mirror, room, coverage } = access;
        let transport = match url {
            RepositoryUrl::Local(path) => return Ok(Self::open_local(path, name)),
            RepositoryUrl::Http(url) => {
                let client = connections.client(&secret.client_settings(proxy.as_ref()))?;
                let authorization = secret.authorization(&connections, &client, url)?;
                AnyTransport::Http(HttpTransport::new(connections, client, url, authorization))
            }
            RepositoryUrl::Ssh(url) => {
                AnyTransport::Ssh(Box::new(SshTransport::new(connections, url, secret.ssh()?)?))
            }
        };
        let mirror = Arc::new(Mirror::open(mirror)?.in_room(room));
        let remote = Remote {
            transport,
            push_options,
            mirror,
            coverage,
            refuses_ids: AtomicBool::new(false),
            reads: Remembered::nothing(),
            writes: Remembered::nothing(),
        };
        Ok(Self { name, target: None, place: Place::Remote(Box::new(remote)) })
    }

    /// The branch of a bare repository of this machine.
    #[must_use]
    pub fn open_local(path: &Path, name: BranchName) -> Self {
        Self { name, target: None, place: Place::Local(Arc::new(LocalRepository::at(path))) }
    }

    /// The same branch, with what is published going to another one.
    #[must_use]
    pub fn publishing_to(self, target: BranchName) -> Self {
        let target = (target != self.name).then_some(target);
        Self { target, ..self }
    }

    /// The branch's name.
    #[must_use]
    pub const fn name(&self) -> &BranchName {
        &self.name
    }

    /// The branch that is written.
    #[must_use]
    pub fn written(&self) -> &BranchName {
        self.target.as_ref().unwrap_or(&self.name)
    }

    /// Asks where the branch is, and brings that commit here where it is not.
    ///
    /// # Errors
    /// `Error::BranchNotFound` where there is no such branch; it is never made. Any other error leaves what is here as
    /// it was.
    pub async fn bring_up_to_date(&self) -> Result<CommitId, Error> {
        let missing = || Error::BranchNotFound { branch: self.name.clone() };
        match &self.place {
            Place::Local(local) => {
                let (local, name) = (Arc::clone(local), self.name.clone());
                blocking(move || local.tip(&name)).await?.ok_or_else(missing)
            }
            Place::Remote(remote) => {
                let brought = async {
                    let tip = remote.list(&self.name).await?.ok_or_else(missing)?;
                    remote.renew().await?;
                    remote.hold(Held::Base, tip).await?;
                    Ok(tip)
                };
                brought.await.inspect_err(|_| remote.doubt())
            }
        }
    }

    /// Asks where the branch is that is written, where it is another one than `name`, and brings that commit here;
    /// `base` stays. `None` where nobody has made it yet.
    ///
    /// # Errors
    /// Any error leaves what is here as it was.
    pub async fn bring_target(&self, base: CommitId) -> Result<Option<CommitId>, Error> {
        let Some(target) = self.target.clone() else { return Ok(None) };
        match &self.place {
            Place::Local(local) => {
                let local = Arc::clone(local);
                blocking(move || local.tip(&target)).await
            }
            Place::Remote(remote) => {
                let tip = remote.list(&target).await?;
                if let Some(tip) = tip {
                    remote.hold(Held::Target, tip).await?;
                    // Gone if the mirror had to start over, which it does no second time for this one.
                    remote.hold(Held::Base, base).await?;
                }
                Ok(tip)
            }
        }
    }

    /// Opens a commit that is here, for work that holds no more memory than others leave it. Blocks.
    ///
    /// # Errors
    /// `Error::Crowded` where they leave too little; else as [`Self::snapshot`], and as the work.
    pub fn look<T>(
        &self,
        commit: CommitId,
        work: impl FnOnce(Snapshot) -> Result<T, Error>,
    ) -> Result<T, Error> {
        budget::within(|| work(self.snapshot(commit)?))
    }

    /// Opens a commit that is here. Blocks.
    ///
    /// # Errors
    /// `Error::Objects` where it can not be read.
    pub fn snapshot(&self, commit: CommitId) -> Result<Snapshot, Error> {
        let repository = match &self.place {
            Place::Local(local) => local.open()?,
            Place::Remote(remote) => remote.mirror.repository()?,
        };
        Snapshot::open(repository, commit)
    }

    /// Forgets what is here after it proved unreadable; the next `bring_up_to_date` fetches it whole. A local
    /// repository is left alone: it is the user's.
    ///
    /// # Errors
    /// `Error::Cache` where the folder can not be emptied.
    pub fn start_over_after(&self, error: &Error) -> Result<(), Error> {
        match &self.place {
            Place::Remote(remote) if error.is_of_mirror() => remote.mirror.start_over(),
            Place::Remote(_) | Place::Local(_) => Ok(()),
        }
    }

    /// Makes the commits and moves the branch to the last, in one push.
    ///
    /// # Errors
    /// With an error nothing is known to be written; the next `bring_up_to_date` tells.
    pub async fn publish(&self, draft: Draft) -> Result<Published, Error> {
        match &self.place {
            Place::Local(local) => {
                let (local, name) = (Arc::clone(local), self.written().clone());
                blocking(move || local.publish(&name, &draft)).await
            }
            Place::Remote(remote) => {
                let held = if self.target.is_some() { Held::Target } else { Held::Base };
                remote.publish(self.written(), held, draft).await.inspect_err(|_| remote.doubt())
            }
        }
    }
}

impl Remote {
    async fn list(&self, name: &BranchName) -> Result<Option<CommitId>, Error> {
        Ok(list_branch(&self.transport, &self.read_features().await?, name).await?)
    }

    async fn read_features(&self) -> Result<ReadFeatures, Error> {
        match self.reads.get() {
            Some(features) => Ok(features),
            None => Ok(self.reads.keep(ReadFeatures::ask(&self.transport).await?)),
        }
    }

    /// Forgets what the server said of itself after something failed: it may be another one by now.
    fn doubt(&self) {
        self.reads.forget();
        self.writes.forget();
        self.refuses_ids.store(false, Ordering::Relaxed);
    }

    async fn publish(&self, name: &BranchName, held: Held, draft: Draft) -> Result<Published, Error> {
        let mirror = Arc::clone(&self.mirror);
        let old = draft.start.branch_at();
        let (commits, new, pack) = blocking(move || {
            let repository = mirror.repository()?;
            let odb = repository.odb().map_err(|source| Error::objects("opened", source))?;
            // The objects stay in memory until the server has them: a refused commit leaves nothing behind.
            odb.add_new_mempack_backend(999).map_err(|source| Error::objects("opened", source))?;
            let written = draft.write(&repository)?;
            let pack = written.pack(&repository)?;
            Ok((written.commits, written.tip, pack))
        })
        .await?;
        let request = PushRequest { branch: name, old, new, options: &self.push_options, pack: &pack };
        let features = self.write_features().await?;
        let report = push_pack(&self.transport, features, &request).await;
        match self.believe(name, held, (old, new), report).await? {
            // The mirror is past it.
            Outcome::BuiltUpon => Ok(Published::Taken(commits)),
            Outcome::Taken => {
                if let Err(error) = self.keep(held, new, pack).await {
                    // The commit is on the server, which is what counts; it is fetched when it is needed.
                    tracing::debug!(%error, "the pushed commit was not kept");
                }
                Ok(Published::Taken(commits))
            }
            Outcome::Raced => Ok(Published::Raced),
            Outcome::Refused(words) => Ok(Published::Refused(words)),
        }
    }

    /// What a report means, once the branch itself was looked at where the report does not settle it.
    async fn believe(
        &self,
        name: &BranchName,
        held: Held,
        (old, new): (Option<CommitId>, CommitId),
        report: Result<PushReport, WireError>,
    ) -> Result<Outcome, Error> {
        let told = match report {
            Ok(PushReport::Taken) => return Ok(Outcome::Taken),
            Ok(PushReport::Refused(words)) => Ok(Outcome::Refused(words)),
            Err(error) => Err(error.into()),
        };
        let now = match self.list(name).await {
            Ok(now) => now,
            // What became of the push says more than why nobody can look.
            Err(_) => return told,
        };
        match (now, told) {
            (now, _) if now == Some(new) => Ok(Outcome::Taken),
            (now, told) if now == old => told,
            (Some(tip), Err(_)) if self.stands_on(held, tip, new).await => Ok(Outcome::BuiltUpon),
            _ => Ok(Outcome::Raced),
        }
    }

    /// Whether a commit is one of the parents of a branch's tip. Where that can not be seen, it is not.
    async fn stands_on(&self, held: Held, tip: CommitId, parent: CommitId) -> bool {
        if self.hold(held, tip).await.is_err() {
            return false;
        }
        let mirror = Arc::clone(&self.mirror);
        let head = blocking(move || CommitHead::read(&mirror.repository()?, tip)).await;
        head.is_ok_and(|head| head.parents.contains(&parent.0))
    }

    async fn write_features(&self) -> Result<WriteFeatures, Error> {
        match self.writes.get() {
            Some(features) => Ok(features),
            None => Ok(self.writes.keep(WriteFeatures::ask(&self.transport).await?)),
        }
    }

    /// Puts what was pushed into the mirror, so that it need not be fetched.
    async fn keep(&self, held: Held, new: CommitId, pack: Vec<u8>) -> Result<(), Error> {
        let (mirror, asked) = (Arc::clone(&self.mirror), self.coverage.clone());
        blocking(move || {
            let before = mirror.tip(held, &asked).or_else(|| mirror.tip(held.other(), &asked));
            let (sender, bytes) = mpsc::channel(2);
            let pieces = [Piece::Bytes(pack.into()), Piece::End];
            for piece in pieces {
                sender.blocking_send(piece).map_err(|error| Error::Interrupted(error.to_string()))?;
            }
            if mirror.take_in(IncomingPack { bytes, max_objects: MAX_OBJECTS })? != Intake::Taken {
                return Ok(());
            }
            before.map_or(Ok(()), |(_, coverage)| mirror.set_tip(held, new, &coverage))
        })
        .await
    }
}

/// Runs work of libgit2 in a thread of its own, with no more memory than others leave it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(|| budget::within(work))
        .await
        .map_err(|error| Error::Interrupted(error.to_string()))?
}
