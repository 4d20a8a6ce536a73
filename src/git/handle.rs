//! One branch of one repository, as it is read and written: brought up to date, and published to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::draft::Draft;
use super::http::HttpTransport;
use super::local::LocalRepository;
use super::mirror::{IncomingPack, Intake, MAX_INCREMENTAL_OBJECTS, MAX_OBJECTS, Mirror, Piece};
use super::snapshot::Snapshot;
use super::ssh::SshTransport;
use super::transport::AnyTransport;
use super::wire::{
    Have, PushReport, PushRequest, ReadFeatures, WireError, WriteFeatures, fetch_pack, list_branch, push_pack,
};
use super::{BranchName, CommitId, Error, GitSecret, RepositoryUrl};
use crate::net::{Connections, Proxy};

/// Pieces of a pack that may wait between the network and the object database; each is at most 64 KiB.
const PIECES_IN_FLIGHT: usize = 4;

/// One branch of one repository.
///
/// # Guarantees
/// A branch is only ever moved from the parent of the new commit to the new commit. Where the answer to a push is lost,
/// the branch is looked at before anything else is done.
pub struct Branch {
    name: BranchName,
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
    /// What the server said that it can do, so that it is asked only once.
    reads: OnceLock<ReadFeatures>,
    writes: OnceLock<WriteFeatures>,
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
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The branch points to it, or did when the server answered.
    Taken(CommitId),
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
        let RemoteAccess { connections, secret, proxy, push_options, mirror } = access;
        let transport = match url {
            RepositoryUrl::Local(path) => return Ok(Self::open_local(path, name)),
            RepositoryUrl::Http(url) => {
                let authorization = secret.authorization()?;
                let client = connections.client(&secret.client_settings(proxy.as_ref()))?;
                AnyTransport::Http(HttpTransport::new(connections, client, url, authorization))
            }
            RepositoryUrl::Ssh(url) => {
                AnyTransport::Ssh(Box::new(SshTransport::new(connections, url, secret.ssh()?)?))
            }
        };
        let mirror = Arc::new(Mirror::open(mirror)?);
        let (reads, writes) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            name,
            place: Place::Remote(Box::new(Remote { transport, push_options, mirror, reads, writes })),
        })
    }

    /// The branch of a bare repository of this machine.
    #[must_use]
    pub fn open_local(path: &Path, name: BranchName) -> Self {
        Self { name, place: Place::Local(Arc::new(LocalRepository::at(path))) }
    }

    /// The branch's name.
    #[must_use]
    pub const fn name(&self) -> &BranchName {
        &self.name
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
                let tip = remote.list(&self.name).await?.ok_or_else(missing)?;
                remote.hold(tip).await?;
                Ok(tip)
            }
        }
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

    /// Makes the commit and moves the branch to it.
    ///
    /// # Errors
    /// With an error nothing is known to be written; the next `bring_up_to_date` tells.
    pub async fn publish(&self, draft: Draft) -> Result<Published, Error> {
        match &self.place {
            Place::Local(local) => {
                let (local, name) = (Arc::clone(local), self.name.clone());
                blocking(move || local.publish(&name, &draft)).await
            }
            Place::Remote(remote) => remote.publish(&self.name, draft).await,
        }
    }
}

impl Remote {
    async fn list(&self, name: &BranchName) -> Result<Option<CommitId>, Error> {
        Ok(list_branch(&self.transport, self.read_features().await?, name).await?)
    }

    async fn read_features(&self) -> Result<&ReadFeatures, Error> {
        if let Some(features) = self.reads.get() {
            return Ok(features);
        }
        let features = ReadFeatures::ask(&self.transport).await?;
        Ok(self.reads.get_or_init(|| features))
    }

    /// Fetches a commit unless it is here.
    async fn hold(&self, tip: CommitId) -> Result<(), Error> {
        let mirror = Arc::clone(&self.mirror);
        let held = blocking(move || {
            if mirror.is_worn() || mirror.is_gone() {
                mirror.start_over()?;
            }
            Ok(mirror.tip())
        })
        .await?;
        if held == Some(tip) {
            return Ok(());
        }
        let whole = (Have::Nothing, MAX_OBJECTS);
        let (have, max_objects) = held.map_or(whole, |held| (Have::Commit(held), MAX_INCREMENTAL_OBJECTS));
        let outcome = match self.fetch(tip, have, max_objects).await {
            Ok(Intake::Taken) => Ok(()),
            Ok(Intake::TooManyObjects(_)) | Err(Error::Objects { .. }) if have != Have::Nothing => {
                // A delta on top of what is here did not work out; the whole tree always does.
                let mirror = Arc::clone(&self.mirror);
                blocking(move || mirror.start_over()).await?;
                self.fetch(tip, Have::Nothing, MAX_OBJECTS)
                    .await
                    .and_then(|intake| whole_or_too_large(&intake))
            }
            Ok(intake) => whole_or_too_large(&intake),
            Err(error) => Err(error),
        };
        outcome?;
        let mirror = Arc::clone(&self.mirror);
        blocking(move || mirror.set_tip(tip)).await
    }

    async fn fetch(&self, want: CommitId, have: Have, max_objects: u32) -> Result<Intake, Error> {
        let features = self.read_features().await?;
        let (to_mirror, bytes) = mpsc::channel(PIECES_IN_FLIGHT);
        let mirror = Arc::clone(&self.mirror);
        let intake = tokio::task::spawn_blocking(move || mirror.take_in(IncomingPack { bytes, max_objects }));
        let (from_wire, pieces) = mpsc::channel::<Bytes>(1);
        let forward = async {
            // Dropped where the mirror gives up, or the wire would wait for a reader that never comes back.
            let mut pieces = pieces;
            while let Some(piece) = pieces.recv().await {
                if to_mirror.send(Piece::Bytes(piece)).await.is_err() {
                    break;
                }
            }
        };
        let (fetched, ()) =
            tokio::join!(fetch_pack(&self.transport, features, want, have, from_wire), forward);
        if fetched.is_ok() {
            // Where the mirror gave up, its own error below says why.
            let _ = to_mirror.send(Piece::End).await;
        }
        drop(to_mirror);
        let intake = intake.await.map_err(|error| Error::Interrupted(error.to_string()))?;
        match (fetched, intake) {
            // The mirror looked at the head of the pack and wants no more: that the wire broke off is our own doing.
            (_, Ok(intake @ Intake::TooManyObjects(_))) => Ok(intake),
            (Err(error), _) => Err(error.into()),
            (Ok(()), intake) => intake,
        }
    }

    async fn publish(&self, name: &BranchName, draft: Draft) -> Result<Published, Error> {
        let mirror = Arc::clone(&self.mirror);
        let parent = draft.parent;
        let (new, pack) = blocking(move || {
            let repository = mirror.repository()?;
            let odb = repository.odb().map_err(|source| Error::objects("opened", source))?;
            // The objects stay in memory until the server has them: a refused commit leaves nothing behind.
            odb.add_new_mempack_backend(999).map_err(|source| Error::objects("opened", source))?;
            let written = draft.write(&repository)?;
            Ok((written.commit, written.pack(&repository)?))
        })
        .await?;
        let request = PushRequest { branch: name, parent, new, options: &self.push_options, pack: &pack };
        let features = self.write_features().await?;
        let report = push_pack(&self.transport, features, &request).await;
        let published = self.believe(name, parent, new, report).await?;
        if published == Published::Taken(new)
            && let Err(error) = self.keep(new, pack).await
        {
            // The commit is on the server, which is what counts; it is fetched when it is needed.
            tracing::debug!(%error, "the pushed commit was not kept");
        }
        Ok(published)
    }

    /// What a report means, once the branch itself was looked at where the report does not settle it.
    async fn believe(
        &self,
        name: &BranchName,
        parent: CommitId,
        new: CommitId,
        report: Result<PushReport, WireError>,
    ) -> Result<Published, Error> {
        if matches!(report, Ok(PushReport::Taken)) {
            return Ok(Published::Taken(new));
        }
        let now = self.list(name).await?;
        match report {
            _ if now == Some(new) => Ok(Published::Taken(new)),
            _ if now != Some(parent) => Ok(Published::Raced),
            Ok(PushReport::Taken) => Ok(Published::Taken(new)),
            Ok(PushReport::Refused(words)) => Ok(Published::Refused(words)),
            Err(error) => Err(error.into()),
        }
    }

    async fn write_features(&self) -> Result<WriteFeatures, Error> {
        if let Some(features) = self.writes.get() {
            return Ok(*features);
        }
        let features = WriteFeatures::ask(&self.transport).await?;
        Ok(*self.writes.get_or_init(|| features))
    }

    /// Puts what was pushed into the mirror, so that it need not be fetched.
    async fn keep(&self, new: CommitId, pack: Vec<u8>) -> Result<(), Error> {
        let mirror = Arc::clone(&self.mirror);
        blocking(move || {
            let (sender, bytes) = mpsc::channel(2);
            let pieces = [Piece::Bytes(pack.into()), Piece::End];
            for piece in pieces {
                sender.blocking_send(piece).map_err(|error| Error::Interrupted(error.to_string()))?;
            }
            mirror.take_in(IncomingPack { bytes, max_objects: MAX_OBJECTS })?;
            mirror.set_tip(new)
        })
        .await
    }
}

fn whole_or_too_large(intake: &Intake) -> Result<(), Error> {
    match intake {
        Intake::Taken => Ok(()),
        Intake::TooManyObjects(_) => {
            Err(WireError::TooMany { most: MAX_OBJECTS.into(), what: "objects" }.into())
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Interrupted(error.to_string()))?
}
