//! Bringing a commit here, in the cheapest way that the server and the mirror allow.
//!
//! A few files come together with their commit. Of many, and where only some are read, the folders come first and then
//! the files by their ids: libgit2 takes a pack of differences in time quadratic in their number.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Remote, blocking};
use crate::git::lacking::{lacking, still_lacking};
use crate::git::mirror::{Held, IncomingPack, Intake, MAX_INCREMENTAL_OBJECTS, MAX_OBJECTS, Piece};
use crate::git::wire::{PackRequest, WireError, fetch_pack};
use crate::git::{BlobId, CommitId, Coverage, Error};

/// Pieces of a pack that may wait between the network and the object database; each is at most 64 KiB.
const PIECES_IN_FLIGHT: usize = 4;

/// Files that one request asks for: 200 kB of ids.
const FILES_AT_ONCE: usize = 4_000;

impl Remote {
    /// Fetches a commit unless it is here.
    pub(super) async fn hold(&self, side: Held, tip: CommitId) -> Result<(), Error> {
        let (mirror, asked) = (Arc::clone(&self.mirror), self.coverage.clone());
        let (nearest, is_own, has_other) = blocking(move || {
            if mirror.is_gone() {
                mirror.start_over()?;
            }
            let nearest = mirror.nearest(side, tip, &asked)?;
            let is_own = mirror.tip(side, &asked) == nearest;
            Ok((nearest, is_own, mirror.tip(side.other(), &asked).is_some()))
        })
        .await?;
        let caught_up = match nearest {
            Some((held, _)) if held == tip => return Ok(()),
            Some((held, coverage)) => {
                self.catch_up(tip, held, &coverage).await.map(|is_here| is_here.then_some(coverage))
            }
            None => Ok(None),
        };
        // Of two branches neither may cost the other what is here of it, or they would do so in turns for ever.
        let stays = match &caught_up {
            Ok(_) => has_other,
            // What is here of this very branch may have rotted, and of the other one with it.
            Err(_) => has_other && !is_own,
        };
        let coverage = match caught_up {
            Ok(Some(coverage)) => coverage,
            Err(error) if !error.is_of_mirror() => return Err(error),
            // The difference to what is here is too large, or does not fit it. A whole pack always does.
            Ok(None) | Err(_) => self.begin(tip, stays).await?,
        };
        let mirror = Arc::clone(&self.mirror);
        blocking(move || mirror.set_tip(side, tip, &coverage)).await
    }

    /// Brings what differs between two commits; `false` where that is too much.
    async fn catch_up(&self, tip: CommitId, held: CommitId, coverage: &Coverage) -> Result<bool, Error> {
        if *coverage == Coverage::Whole {
            let all = PackRequest::Commit { id: tip, held: Some(held), with_files: true };
            if self.fetch(all, MAX_INCREMENTAL_OBJECTS).await? == Intake::Taken {
                return Ok(true);
            }
        }
        self.bring_parts(tip, Some(held), coverage).await
    }

    /// Brings a commit as if nothing were here; how much of it. What is here `stays` beside it, or goes.
    async fn begin(&self, tip: CommitId, stays: bool) -> Result<Coverage, Error> {
        self.make_room(stays).await?;
        if self.coverage != Coverage::Whole {
            if self.bring_parts(tip, None, &self.coverage).await? {
                return Ok(self.coverage.clone());
            }
            self.make_room(stays).await?;
        }
        match self.fetch(PackRequest::Commit { id: tip, held: None, with_files: true }, MAX_OBJECTS).await? {
            Intake::Taken => Ok(Coverage::Whole),
            Intake::TooManyObjects(_) => {
                Err(WireError::TooMany { most: MAX_OBJECTS.into(), what: "objects" }.into())
            }
            Intake::TooManyBytes(most) => {
                let what = "bytes, which are what --cache-size leaves for one repository";
                Err(WireError::TooMany { most, what }.into())
            }
        }
    }

    /// Brings the folders of a commit, and then its files by their ids; `false` where the server does not do that, or
    /// where there are too many.
    async fn bring_parts(
        &self,
        tip: CommitId,
        held: Option<CommitId>,
        coverage: &Coverage,
    ) -> Result<bool, Error> {
        if self.refuses_ids.load(Ordering::Relaxed) || !self.read_features().await?.serves_parts() {
            return Ok(false);
        }
        let max_objects = if held.is_some() { MAX_INCREMENTAL_OBJECTS } else { MAX_OBJECTS };
        let folders = PackRequest::Commit { id: tip, held, with_files: false };
        if self.fetch(folders, max_objects).await? != Intake::Taken {
            return Ok(false);
        }
        let (mirror, coverage) = (Arc::clone(&self.mirror), coverage.clone());
        let files = blocking(move || lacking(&mirror.repository()?, held, tip, &coverage)).await?;
        match files {
            Some(files) => self.bring_files(files).await,
            None => Ok(false),
        }
    }

    /// Brings files by their ids; `false` where the server does not do that, or the mirror has no room for them.
    async fn bring_files(&self, files: Vec<BlobId>) -> Result<bool, Error> {
        for some in files.chunks(FILES_AT_ONCE) {
            let most = u32::try_from(some.len()).unwrap_or(MAX_OBJECTS);
            match self.fetch(PackRequest::Files(some), most).await {
                Ok(Intake::Taken) => {}
                Ok(Intake::TooManyBytes(_)) => return Ok(false),
                Ok(Intake::TooManyObjects(_)) => {
                    return Err(WireError::TooMany {
                        most: most.into(),
                        what: "files, as many as were asked for",
                    }
                    .into());
                }
                Err(Error::Wire(WireError::Server(words))) => {
                    tracing::debug!(
                        words,
                        "the server sends no files by their ids; the whole commit is fetched"
                    );
                    self.refuses_ids.store(true, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let mirror = Arc::clone(&self.mirror);
        match blocking(move || still_lacking(&mirror.repository()?, &files)).await? {
            0 => Ok(true),
            files => Err(WireError::LeftOut { files }.into()),
        }
    }

    async fn make_room(&self, stays: bool) -> Result<(), Error> {
        let mirror = Arc::clone(&self.mirror);
        blocking(move || if stays { Ok(()) } else { mirror.start_over() }).await
    }

    /// Empties the mirror where too much has gathered in it. To be called before anything is brought, as it takes what is
    /// here of both branches.
    pub(super) async fn renew(&self) -> Result<(), Error> {
        let mirror = Arc::clone(&self.mirror);
        blocking(move || if mirror.is_worn() { mirror.start_over() } else { Ok(()) }).await
    }

    /// Fetches a pack into the mirror.
    async fn fetch(&self, request: PackRequest<'_>, max_objects: u32) -> Result<Intake, Error> {
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
        let (fetched, ()) = tokio::join!(fetch_pack(&self.transport, &features, request, from_wire), forward);
        if fetched.is_ok() {
            // Where the mirror gave up, its own error below says why.
            let _ = to_mirror.send(Piece::End).await;
        }
        drop(to_mirror);
        let intake = intake.await.map_err(|error| Error::Interrupted(error.to_string()))?;
        match (fetched, intake) {
            // The mirror looked at the head of the pack and wants no more: that the wire broke off is our own doing.
            (_, Ok(intake @ (Intake::TooManyObjects(_) | Intake::TooManyBytes(_)))) => Ok(intake),
            (Err(error), _) => Err(error.into()),
            (Ok(()), intake) => intake,
        }
    }
}
