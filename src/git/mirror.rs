//! The objects of one branch, in a folder of the cache.
//!
//! A mirror is a cache in the strict sense: it may be deleted at any time, and after any doubt it is deleted and
//! fetched again. It holds one commit, whole or as far as it is read, and no history; two commits, where another branch
//! is written than read.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use git2::{ErrorClass, Repository, RepositoryInitOptions};
use tokio::sync::mpsc;

use super::commit::CommitHead;
use super::room::{pack_folder, size_of_packs};
use super::{CommitId, Coverage, Error, Room, budget};

/// The commits that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// That of the branch that is read.
    Base,
    /// That of another branch that is written.
    Target,
}

impl Held {
    /// The ref that remembers it, and how much of it is here. It is written after the commit's objects.
    fn full_ref(self, coverage: &Coverage) -> String {
        let folder = match self {
            Self::Base => "refs/tagtide",
            Self::Target => "refs/tagtide/target",
        };
        format!("{folder}/{}", coverage.tip_name())
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Base => Self::Target,
            Self::Target => Self::Base,
        }
    }
}

/// More packs than this make look-ups slow; the mirror starts over then.
const MAX_PACKS: usize = 200;

/// The room of all mirrors is looked at each time that so many bytes have come.
const ROOM_LOOK: u64 = 4 << 20;

/// A mirror may grow to twice its whole tree, in bytes, and by this much more.
const MIN_GROWTH: u64 = 64 << 20;

/// The most objects that an incremental pack may have. libgit2 completes a thin pack in time quadratic in its deltas, so
/// that beyond this a whole fetch is cheaper, and a hostile server can not keep a core busy.
pub(super) const MAX_INCREMENTAL_OBJECTS: u32 = 2_500;

/// The most objects that a whole pack may have. libgit2 keeps some 200 bytes of each while it takes them in.
pub(super) const MAX_OBJECTS: u32 = 500_000;

/// How long libgit2 may put differences together, once all of a pack is here. Of an honest one that is a second.
const MAX_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The folder of one branch of one repository.
pub(super) struct Mirror {
    dir: PathBuf,
    room: Room,
    /// Held for the mirror's life, so that no two processes write into one folder.
    _lock: File,
}

/// A pack as it arrives.
pub(super) struct IncomingPack {
    /// Its bytes.
    pub(super) bytes: mpsc::Receiver<Piece>,
    /// The most objects that are taken.
    pub(super) max_objects: u32,
}

/// A part of a pack.
pub(super) enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// The server ended the pack in order. A pack without this mark is dropped, however whole it looks.
    End,
}

/// What became of a pack.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// It is in the mirror.
    Taken,
    /// It has more objects than are taken; nothing of it was kept.
    TooManyObjects(u32),
    /// With it the mirror would have more bytes than it may, which are so many; nothing of it was kept.
    TooManyBytes(u64),
}

impl Mirror {
    /// Opens the mirror in `dir`, makes it where it is not there, and removes what a crash left behind.
    ///
    /// # Errors
    /// `Error::Mirror` where the folder can not be written, or another process holds it.
    pub(super) fn open(dir: PathBuf) -> Result<Self, Error> {
        super::libgit2::set_up();
        std::fs::create_dir_all(&dir).map_err(|error| Error::cache(&dir, &error))?;
        let lock_path = dir.with_extension("lock");
        let lock = File::create(&lock_path).map_err(|error| Error::cache(&lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem =
                    "another process of Tagtide holds it; give each process its own --cache-dir".to_owned();
                return Err(Error::Cache { path: lock_path, problem });
            }
            Err(TryLockError::Error(error)) => return Err(Error::cache(&lock_path, &error)),
        }
        let mirror = Self { dir, room: Room::default(), _lock: lock };
        mirror.sweep();
        if mirror.is_gone() || mirror.is_worn() {
            mirror.start_over()?;
        }
        Ok(mirror)
    }

    /// The same mirror, with this room for it and all others beside it.
    pub(super) fn in_room(self, room: Room) -> Self {
        Self { room, ..self }
    }

    /// Empties the mirror.
    pub(super) fn start_over(&self) -> Result<(), Error> {
        std::fs::create_dir_all(&self.dir).map_err(|error| Error::cache(&self.dir, &error))?;
        let entries = std::fs::read_dir(&self.dir).map_err(|error| Error::cache(&self.dir, &error))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|error| Error::cache(&path, &error))?;
        }
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).initial_head("main");
        Repository::init_opts(&self.dir, &options).map_err(|source| Error::objects("made", source))?;
        Ok(())
    }

    /// Opens the mirror's objects. Cheap enough for every use, and no handle outlives a `start_over`.
    pub(super) fn repository(&self) -> Result<Repository, Error> {
        Repository::open(&self.dir).map_err(|source| Error::objects("opened", source))
    }

    /// The commit that is here, with how much of it. A whole one serves whoever asks for a part; a part serves nobody who
    /// asks for more, or for another part.
    pub(super) fn tip(&self, held: Held, asked: &Coverage) -> Option<(CommitId, Coverage)> {
        let repository = self.repository().ok()?;
        [&Coverage::Whole, asked].into_iter().find_map(|coverage| {
            let id = repository.refname_to_id(&held.full_ref(coverage)).ok()?;
            match CommitHead::read(&repository, CommitId(id)) {
                Ok(head) => drop(repository.find_tree(head.tree).ok()?),
                // It is here, and it would be no smaller if it came again.
                Err(Error::LongCommit { .. }) => {}
                Err(_) => return None,
            }
            Some((CommitId(id), coverage.clone()))
        })
    }

    /// What is here already when `wanted` is to be: that very commit, else its branch's older one, else the other
    /// branch's.
    pub(super) fn nearest(
        &self,
        held: Held,
        wanted: CommitId,
        asked: &Coverage,
    ) -> Result<Option<(CommitId, Coverage)>, Error> {
        let own = self.tip(held, asked);
        if own.as_ref().is_some_and(|(id, _)| *id == wanted) {
            return Ok(own);
        }
        let other = self.tip(held.other(), asked);
        if let Some((id, coverage)) = other.as_ref().filter(|(id, _)| *id == wanted) {
            self.set_tip(held, *id, coverage)?;
            return Ok(other);
        }
        Ok(own.or(other))
    }

    /// Remembers that this much of a commit is here. To be called when all of it is.
    pub(super) fn set_tip(&self, held: Held, tip: CommitId, coverage: &Coverage) -> Result<(), Error> {
        let repository = self.repository()?;
        // An older commit that is here as a whole would be taken for the newest.
        if *coverage != Coverage::Whole
            && let Ok(mut older) = repository.find_reference(&held.full_ref(&Coverage::Whole))
        {
            older.delete().map_err(|source| Error::objects("written", source))?;
        }
        let set = repository.reference(&held.full_ref(coverage), tip.0, true, "");
        set.map_err(|source| Error::objects("written", source))?;
        Ok(())
    }

    /// Whether so much has come since the whole tree, which is the largest pack, that the mirror should start over.
    pub(super) fn is_worn(&self) -> bool {
        let sizes = self.pack_sizes();
        let tree = sizes.iter().max().copied().unwrap_or_default();
        // Half of what one mirror may have beyond its tree is left for what comes next.
        let most_bytes =
            (tree.saturating_mul(2) + MIN_GROWTH).min(tree.midpoint(self.room.of_one().max(tree)));
        sizes.len() > MAX_PACKS || sizes.iter().sum::<u64>() > most_bytes
    }

    /// Whether someone deleted it, or enough of it that it can not be opened.
    pub(super) fn is_gone(&self) -> bool {
        self.repository().is_err()
    }

    /// Takes a pack in as it arrives. Blocks.
    ///
    /// # Errors
    /// `Error::Cache` also where others leave too little room; `Error::Objects` with libgit2's words where the pack is not one, lacks a base, ends early, or takes too much to be
    /// put together; `Error::Cache` where the disk takes no more, and `Error::Crowded` where others hold the memory.
    pub(super) fn take_in(&self, incoming: IncomingPack) -> Result<Intake, Error> {
        budget::within(|| self.take_in_patiently(incoming, MAX_PATIENCE))
    }

    /// As [`Self::take_in`], for as long as `patience` lets libgit2 put differences together, and with any memory.
    pub(super) fn take_in_patiently(
        &self,
        mut incoming: IncomingPack,
        patience: Duration,
    ) -> Result<Intake, Error> {
        let repository = self.repository()?;
        let odb = repository.odb().map_err(|source| Error::objects("opened", source))?;
        let mut writer = odb.packwriter().map_err(|source| Error::objects("written", source))?;
        let until = Rc::new(Cell::new(None));
        let clock = Rc::clone(&until);
        writer.progress(move |_| clock.get().is_none_or(|until| Instant::now() < until));
        let mut head = PackHead::default();
        let (mut has_ended, mut is_large) = (false, false);
        let (mut bytes_here, mut next_look) = (size_of_packs(&self.dir), 0);
        while let Some(piece) = incoming.bytes.blocking_recv() {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::End => {
                    has_ended = true;
                    break;
                }
            };
            if let Some(objects) = head.read(&bytes) {
                if objects > incoming.max_objects {
                    return Ok(Intake::TooManyObjects(objects));
                }
                is_large = objects > MAX_INCREMENTAL_OBJECTS;
            }
            bytes_here += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if bytes_here > self.room.of_one() {
                return Ok(Intake::TooManyBytes(self.room.of_one()));
            }
            if bytes_here >= next_look {
                next_look = bytes_here + ROOM_LOOK;
                self.find_room(bytes_here)?;
            }
            // `io::Error` carries none of libgit2's words; it left them behind.
            writer.write_all(&bytes).map_err(|_| self.not_taken(&git2::Error::last_error(-1)))?;
        }
        if !has_ended {
            return Err(Error::Objects { step: "taken in", problem: "the pack ended early".to_owned() });
        }
        let end = Instant::now() + patience;
        until.set(Some(end));
        writer.commit().map_err(|source| {
            if Instant::now() < end {
                return self.not_taken(&source);
            }
            let problem =
                format!("its differences take too long to put together, more than {} s", patience.as_secs());
            Error::Objects { step: "taken in", problem }
        })?;
        drop(writer);
        if is_large {
            super::libgit2::give_memory_back();
        }
        Ok(Intake::Taken)
    }

    /// Looks whether others leave room for a mirror of so many bytes.
    fn find_room(&self, bytes: u64) -> Result<(), Error> {
        let mirrors = self.dir.parent().unwrap_or(&self.dir);
        if self.room.has_left(mirrors, bytes) {
            return Ok(());
        }
        let problem = "the mirrors of all repositories take up what --cache-size leaves them; small ones still get theirs";
        Err(Error::Cache { path: mirrors.to_owned(), problem: problem.to_owned() })
    }

    /// A full disk says nothing against what is here already.
    fn not_taken(&self, source: &git2::Error) -> Error {
        let problem = source.message().to_owned();
        match source.class() {
            ErrorClass::Os => Error::Cache { path: self.dir.clone(), problem },
            _ => Error::Objects { step: "taken in", problem },
        }
    }

    fn pack_folder(&self) -> PathBuf {
        pack_folder(&self.dir)
    }

    /// The bytes of each pack.
    fn pack_sizes(&self) -> Vec<u64> {
        let Ok(entries) = std::fs::read_dir(self.pack_folder()) else {
            return Vec::new();
        };
        let packs = entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"));
        packs.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect()
    }

    /// Removes half packs and locks: a killed process leaves them, nothing reads them, and nothing else removes them.
    fn sweep(&self) {
        remove_locks(&self.dir);
        let Ok(entries) = std::fs::read_dir(self.pack_folder()) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if !belongs_to_a_whole_pack(&path) {
                // What can not be removed now is tried again at the next start.
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}

/// Removes the locks of a repository's settings and refs. Nobody holds one: who works here holds the folder's.
fn remove_locks(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name() != "objects" {
            remove_locks(&path);
        } else if !is_folder && path.extension().is_some_and(|extension| extension == "lock") {
            // What can not be removed now is tried again at the next start.
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn belongs_to_a_whole_pack(path: &Path) -> bool {
    let is_named_so =
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("pack-"));
    is_named_so && path.with_extension("pack").exists() && path.with_extension("idx").exists()
}

/// The first twelve bytes of a pack: `PACK`, the version, the number of objects (gitformat-pack).
#[derive(Default)]
struct PackHead(Vec<u8>);

impl PackHead {
    /// Takes the next bytes; the number of objects once it is known. What is no pack has none: libgit2 says so.
    fn read(&mut self, bytes: &[u8]) -> Option<u32> {
        let missing = 12_usize.saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(missing));
        let count: [u8; 4] = self.0.strip_prefix(b"PACK")?.get(4..8)?.try_into().ok()?;
        Some(u32::from_be_bytes(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror() -> (tempfile::TempDir, Mirror) {
        let cache = tempfile::tempdir().unwrap();
        let mirror = Mirror::open(cache.path().join("one")).unwrap();
        (cache, mirror)
    }

    fn take(mirror: &Mirror, pieces: Vec<Piece>, max_objects: u32) -> Result<Intake, Error> {
        let (sender, bytes) = mpsc::channel(64);
        pieces.into_iter().for_each(|piece| sender.try_send(piece).unwrap());
        drop(sender);
        mirror.take_in(IncomingPack { bytes, max_objects })
    }

    fn pack_of_one_blob() -> Vec<u8> {
        pack_of(b"hello")
    }

    /// A pack of so many bytes, and a few more.
    fn pack_of_noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut state = seed;
        let noise = (0..bytes.div_ceil(8)).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        pack_of(&noise.collect::<Vec<_>>())
    }

    fn pack_of(content: &[u8]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let id = repository.blob(content).unwrap();
        let mut builder = repository.packbuilder().unwrap();
        builder.insert_object(id, None).unwrap();
        let mut pack = git2::Buf::new();
        builder.write_buf(&mut pack).unwrap();
        pack.to_vec()
    }

    #[test]
    fn takes_a_whole_pack_and_no_other() {
        let (_cache, mirror) = mirror();
        let pack = Bytes::from(pack_of_one_blob());
        let cut = pack.slice(..pack.len() - 3);
        assert!(take(&mirror, vec![Piece::Bytes(cut), Piece::End], 9).is_err(), "cut short");
        assert!(take(&mirror, vec![Piece::Bytes(pack.clone())], 9).is_err(), "never ended");
        assert!(
            take(&mirror, vec![Piece::Bytes(Bytes::from_static(b"<html>")), Piece::End], 9).is_err(),
            "no pack"
        );
        assert_eq!(mirror.pack_sizes().len(), 0);
        assert_eq!(take(&mirror, vec![Piece::Bytes(pack), Piece::End], 9).unwrap(), Intake::Taken);
        assert_eq!(mirror.pack_sizes().len(), 1);
    }

    #[test]
    fn a_pack_that_is_cut_at_any_byte_leaves_nothing() {
        let (_cache, mirror) = mirror();
        let pack = Bytes::from(pack_of_one_blob());
        for end in 0..pack.len() {
            for ended in [&[][..], &[()]] {
                let mut pieces = vec![Piece::Bytes(pack.slice(..end))];
                pieces.extend(ended.iter().map(|()| Piece::End));
                assert!(take(&mirror, pieces, 9).is_err(), "{end}");
            }
            assert_eq!(std::fs::read_dir(mirror.pack_folder()).unwrap().count(), 0, "{end}");
        }
        assert_eq!(take(&mirror, vec![Piece::Bytes(pack), Piece::End], 9).unwrap(), Intake::Taken);
    }

    #[test]
    fn a_pack_with_too_many_objects_is_told_by_its_head() {
        let (_cache, mirror) = mirror();
        let head = Bytes::from_static(b"PACK\0\0\0\x02\0\0\x10\0more");
        assert_eq!(take(&mirror, vec![Piece::Bytes(head)], 4095).unwrap(), Intake::TooManyObjects(4096));
    }

    #[test]
    fn what_a_crash_left_is_swept_at_the_next_start() {
        let (cache, mirror) = mirror();
        let whole = Bytes::from(pack_of_one_blob());
        take(&mirror, vec![Piece::Bytes(whole), Piece::End], 9).unwrap();
        let folder = mirror.pack_folder();
        for name in ["pack_git2_0123456789abcdef", "pack-aa.idx", "tmp_pack_x"] {
            std::fs::write(folder.join(name), b"half").unwrap();
        }
        drop(mirror);
        let mirror = Mirror::open(cache.path().join("one")).unwrap();
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!((left.len(), mirror.pack_sizes().len()), (2, 1), "{left:?}");
    }

    #[test]
    fn a_pack_that_takes_more_than_one_mirror_may_is_not_taken() {
        let (_cache, mirror) = mirror();
        let pack = Bytes::from(pack_of_noise(1, 100_000));
        let room = Room::of_cache(300_000);
        let mirror = mirror.in_room(room);
        let taken = take(&mirror, vec![Piece::Bytes(pack.clone()), Piece::End], 9).unwrap();
        assert_eq!(taken, Intake::TooManyBytes(room.of_one()));
        assert_eq!(std::fs::read_dir(mirror.pack_folder()).unwrap().count(), 0);
        let mirror = mirror.in_room(Room::of_cache(600_000));
        assert_eq!(take(&mirror, vec![Piece::Bytes(pack), Piece::End], 9).unwrap(), Intake::Taken);
        // The same once more in bytes, with what is here already.
        let pack = Bytes::from(pack_of_noise(2, 100_000));
        let taken = take(&mirror, vec![Piece::Bytes(pack), Piece::End], 9).unwrap();
        assert!(matches!(taken, Intake::TooManyBytes(_)), "{taken:?}");
    }

    #[test]
    fn where_others_fill_the_room_a_small_mirror_still_gets_its_own() {
        let cache = tempfile::tempdir().unwrap();
        let open =
            |name: &str| Mirror::open(cache.path().join(name)).unwrap().in_room(Room::of_cache(200 << 20));
        let (other, small, large) = (open("other"), open("small"), open("large"));
        let filled = File::create(other.pack_folder().join("pack-other.pack")).unwrap();
        filled.set_len(151 << 20).unwrap();
        let take = |mirror: &Mirror, mib: usize| {
            let pack = Bytes::from(pack_of_noise(3, mib << 20));
            let pieces = (0..pack.len()).step_by(1 << 20);
            let mut pieces: Vec<_> =
                pieces.map(|at| Piece::Bytes(pack.slice(at..pack.len().min(at + (1 << 20))))).collect();
            pieces.push(Piece::End);
            take(mirror, pieces, 9)
        };
        assert_eq!(take(&small, 6).unwrap(), Intake::Taken);
        let error = take(&large, 14).unwrap_err();
        assert_eq!(error.reason(), crate::api::Reason::MirrorFailed);
        assert!(error.to_string().contains("--cache-size"), "{error}");
        assert_eq!(std::fs::read_dir(large.pack_folder()).unwrap().count(), 0, "nothing of it is left");
        filled.set_len(100 << 20).unwrap();
        assert_eq!(take(&large, 14).unwrap(), Intake::Taken);
    }

    #[test]
    fn locks_that_a_crash_left_do_not_keep_the_next_process_from_writing() {
        let (cache, mirror) = mirror();
        let repository = mirror.repository().unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let commit = CommitId(repository.commit(None, &author, &author, "x", &tree, &[]).unwrap());
        let whole = Coverage::Whole;
        for held in [Held::Base, Held::Target] {
            mirror.set_tip(held, commit, &whole).unwrap();
            std::fs::write(mirror.dir.join(format!("{}.lock", held.full_ref(&whole))), b"").unwrap();
            assert!(mirror.set_tip(held, commit, &whole).is_err(), "a lock is where it is looked for");
        }
        std::fs::write(mirror.dir.join("config.lock"), b"").unwrap();
        drop(mirror);
        let mirror = Mirror::open(cache.path().join("one")).unwrap();
        for held in [Held::Base, Held::Target] {
            assert_eq!(mirror.tip(held, &whole), Some((commit, whole.clone())), "it is not fetched again");
            mirror.set_tip(held, commit, &whole).unwrap();
        }
        assert!(!mirror.dir.join("config.lock").exists());
    }

    #[test]
    fn a_mirror_starts_over_before_it_fills_the_disk() {
        let (_cache, mirror) = mirror();
        let mirror = mirror.in_room(Room::of_cache(1 << 40));
        let grow = |name: &str, bytes: u64| {
            let pack = File::create(mirror.pack_folder().join(name)).unwrap();
            pack.set_len(bytes).unwrap();
            mirror.is_worn()
        };
        assert!(!grow("pack-whole.pack", 100 << 20));
        assert!(!grow("pack-1.pack", 99 << 20), "twice its tree");
        assert!(!grow("pack-2.pack", 64 << 20), "and the growth of a small one");
        assert!(grow("pack-3.pack", 2 << 20));
        std::fs::remove_file(mirror.pack_folder().join("pack-2.pack")).unwrap();
        std::fs::remove_file(mirror.pack_folder().join("pack-3.pack")).unwrap();
        assert!(!mirror.is_worn());
        // One mirror may take 256 MiB; 100 are the tree, and 99 have come.
        let mirror = mirror.in_room(Room::of_cache((256 << 20) / 3 * 16));
        assert!(mirror.is_worn(), "half of what there is beyond the tree");
    }

    #[test]
    fn a_part_of_a_newer_commit_counts_more_than_the_whole_of_an_older_one() {
        let (_cache, mirror) = mirror();
        let repository = mirror.repository().unwrap();
        let author = git2::Signature::new("a", "a@b", &git2::Time::new(0, 0)).unwrap();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let commit =
            |message| CommitId(repository.commit(None, &author, &author, message, &tree, &[]).unwrap());
        let (older, newer) = (commit("older"), commit("newer"));
        let part = Coverage::Files(super::super::FileFilter::new("apps".to_owned(), |_| true));
        mirror.set_tip(Held::Base, older, &Coverage::Whole).unwrap();
        assert_eq!(mirror.tip(Held::Base, &part), Some((older, Coverage::Whole)));
        mirror.set_tip(Held::Base, newer, &part).unwrap();
        assert_eq!(mirror.tip(Held::Base, &part), Some((newer, part)));
    }

    #[test]
    fn a_folder_that_is_no_repository_is_made_one() {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("one");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("HEAD"), b"rubbish").unwrap();
        assert_eq!(Mirror::open(dir).unwrap().tip(Held::Base, &Coverage::Whole), None);
    }

    #[test]
    fn two_processes_never_share_a_mirror() {
        let (cache, _mirror) = mirror();
        let error = Mirror::open(cache.path().join("one")).err().unwrap().to_string();
        assert!(error.contains("--cache-dir"), "{error}");
    }
}
