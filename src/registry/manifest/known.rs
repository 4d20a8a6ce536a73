//! What was learned of images, kept so compactly that a hundred thousand of them take five megabytes.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, RandomState};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Depth;
use crate::image::{BuildTime, Digest, ImageFacts, ImageName, Platform, Tag};

/// The most images for which there is room. Scans that need more are refused, instead of reading all of them again and again.
pub(in crate::registry) const MOST_KNOWN_IMAGES: usize = 200_000;

/// What nobody has used for so long may go where there is no room. A policy that is scanned more seldom then reads anew.
const UNUSED: Duration = Duration::from_secs(2 * 60 * 60);

/// How often at most what is unused is looked for: it means to look at all.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(60);

/// How many different platforms are told apart in one repository; there are some forty in the world. More are passed over,
/// so that a registry can not fill the memory with those that it makes up.
const MOST_PLATFORMS: usize = 64;

/// What was learned of images, for all repositories. What has a digest never changes; which digest a tag has may.
pub(in crate::registry) struct Known {
    repositories: Mutex<Repositories>,
    /// Keys and digests are kept as hashes that nobody outside can make collide.
    hasher: RandomState,
    start: Instant,
    most: usize,
}

/// A repository as one caller sees it, so that nobody learns from what others may read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RepositoryId(u64);

#[derive(Default)]
struct Repositories {
    by_id: HashMap<RepositoryId, Repository>,
    /// How many rows all of them have.
    rows: usize,
    /// How often a registry was asked which digest a tag has; it may wrap.
    looks: u32,
    swept: Option<Instant>,
}

#[derive(Default)]
struct Repository {
    /// By the hash of the tag.
    rows: Vec<Row>,
    platforms: Vec<Platform>,
}

/// What is known of a tag. There may be hundreds of thousands: 48 bytes each.
struct Row {
    tag: u64,
    /// `None` where there is only a place for it.
    digest: Option<NonZeroU64>,
    /// When it was built; both are 0 where it is not said.
    seconds: i64,
    nanoseconds: i32,
    /// Which of those of the repository it has, by bits.
    platforms: u64,
    /// The number of the look that told the digest.
    asked: u32,
    /// When it was last of use, in seconds since the start.
    used: u32,
    depth: Depth,
}

impl Known {
    /// With room for so many images. What has a place already may have an eighth more, so that a list that grows is not
    /// refused for a few tags.
    pub(in crate::registry) fn new(most: usize) -> Self {
        let repositories = Mutex::default();
        Self { repositories, hasher: RandomState::new(), start: Instant::now(), most }
    }

    /// For how many images there is room.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// The repository that `caller` sees under this name.
    pub(super) fn repository(&self, image: &ImageName, caller: u64) -> RepositoryId {
        RepositoryId(self.hash(&(image, caller)))
    }

    /// Makes room for what is to be learned of these tags; false where there is none for all of them. What others use is
    /// never pushed out: they would read it again, and push this out in turn.
    pub(super) fn make_room(&self, id: RepositoryId, tags: &[Tag]) -> bool {
        let (mut kept, used) = (self.lock(), self.seconds());
        let repository = kept.by_id.get(&id);
        let is_new = |tag: &u64| repository.is_none_or(|repository| repository.place(*tag).is_err());
        // A list may name a tag twice.
        let new: BTreeSet<u64> = tags.iter().map(|tag| self.hash(tag)).filter(is_new).collect();
        let has_rows = repository.is_some_and(|repository| !repository.rows.is_empty());
        let most = if has_rows { self.most_of_all() } else { self.most };
        let fits = |kept: &Repositories| kept.rows + new.len() <= most;
        if !fits(&kept) {
            kept.sweep(used);
        }
        if !fits(&kept) {
            return false;
        }
        kept.rows += new.len();
        let repository = kept.by_id.entry(id).or_default();
        repository.rows.reserve_exact(new.len());
        repository.rows.extend(new.into_iter().map(|tag| Row::empty(tag, used)));
        repository.rows.sort_unstable_by_key(|row| row.tag);
        true
    }

    /// What the image was that `tag` named when it was last asked about, and how many looks ago that was.
    pub(super) fn recall(&self, id: RepositoryId, tag: &Tag, depth: Depth) -> Option<(ImageFacts, u32)> {
        let (mut kept, used) = (self.lock(), self.seconds());
        let looks = kept.looks;
        let repository = kept.by_id.get_mut(&id)?;
        let row = repository.row_mut(self.hash(tag))?;
        row.used = used;
        let age = looks.wrapping_sub(row.asked);
        let row = repository.row(self.hash(tag)).filter(|row| row.digest.is_some() && row.depth >= depth)?;
        Some((repository.facts(row), age))
    }

    /// What is known of the image with this digest, which `tag` names now.
    pub(super) fn seen(
        &self,
        id: RepositoryId,
        tag: &Tag,
        digest: &Digest,
        depth: Depth,
    ) -> Option<ImageFacts> {
        let mut kept = self.lock();
        let digest = self.digest(digest);
        let repository = kept.by_id.get(&id)?;
        let is_it = |row: &&Row| row.digest == Some(digest) && row.depth >= depth;
        let own = repository.row(self.hash(tag)).filter(is_it);
        let known = own.or_else(|| repository.rows.iter().find(is_it))?;
        let (row, facts) = (Row { ..*known }, repository.facts(known));
        self.put(&mut kept, id, tag, row);
        Some(facts)
    }

    /// Keeps what was read of the image that `tag` names now, and gives back what is known from now on. Where there is no
    /// room it is not kept.
    pub(super) fn learn(
        &self,
        id: RepositoryId,
        tag: &Tag,
        digest: &Digest,
        depth: Depth,
        facts: ImageFacts,
    ) -> ImageFacts {
        let mut kept = self.lock();
        let has_place = kept.by_id.get(&id).is_some_and(|known| known.row(self.hash(tag)).is_some());
        if !has_place && kept.rows >= self.most_of_all() {
            return facts;
        }
        let repository = kept.by_id.entry(id).or_default();
        let built = facts.built.map(BuildTime::timestamp).unwrap_or_default();
        let row = Row {
            digest: Some(self.digest(digest)),
            seconds: built.as_second(),
            nanoseconds: built.subsec_nanosecond(),
            platforms: repository.bits(&facts.platforms),
            depth,
            ..Row::empty(0, 0)
        };
        let facts = repository.facts(&row);
        self.put(&mut kept, id, tag, row);
        facts
    }

    /// Writes a row for `tag`, as of now.
    fn put(&self, kept: &mut Repositories, id: RepositoryId, tag: &Tag, row: Row) {
        kept.looks = kept.looks.wrapping_add(1);
        let tag = self.hash(tag);
        let row = Row { tag, asked: kept.looks, used: self.seconds(), ..row };
        let Some(repository) = kept.by_id.get_mut(&id) else { return };
        match repository.place(tag) {
            Ok(index) => {
                if let Some(place) = repository.rows.get_mut(index) {
                    *place = row;
                }
            }
            Err(_) if kept.rows >= self.most_of_all() => {}
            Err(index) => {
                repository.rows.insert(index, row);
                kept.rows += 1;
            }
        }
    }

    const fn most_of_all(&self) -> usize {
        self.most + self.most / 8
    }

    fn hash(&self, what: &impl Hash) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, what)
    }

    fn digest(&self, digest: &Digest) -> NonZeroU64 {
        NonZeroU64::new(self.hash(digest)).unwrap_or(NonZeroU64::MIN)
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Repositories> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repositories {
    /// Lets go of what was of no use for long.
    fn sweep(&mut self, now: u32) {
        if self.swept.is_some_and(|swept| swept.elapsed() < BETWEEN_SWEEPS) {
            return;
        }
        self.swept = Some(Instant::now());
        self.by_id.retain(|_, repository| {
            repository.rows.retain(|row| u64::from(now.saturating_sub(row.used)) < UNUSED.as_secs());
            repository.rows.shrink_to_fit();
            !repository.rows.is_empty()
        });
        self.rows = self.by_id.values().map(|repository| repository.rows.len()).sum();
    }
}

impl Repository {
    fn place(&self, tag: u64) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&tag, |row| row.tag)
    }

    fn row(&self, tag: u64) -> Option<&Row> {
        self.rows.get(self.place(tag).ok()?)
    }

    fn row_mut(&mut self, tag: u64) -> Option<&mut Row> {
        let place = self.place(tag).ok()?;
        self.rows.get_mut(place)
    }

    /// The platforms as bits.
    fn bits(&mut self, platforms: &[Platform]) -> u64 {
        platforms.iter().fold(0, |bits, platform| {
            let known = self.platforms.iter().position(|known| known == platform);
            let place = known.or_else(|| {
                let place = self.platforms.len();
                (place < MOST_PLATFORMS).then(|| self.platforms.push(platform.clone()))?;
                Some(place)
            });
            place.map_or(bits, |place| bits | 1 << place)
        })
    }

    fn facts(&self, row: &Row) -> ImageFacts {
        let platforms = self.platforms.iter().enumerate();
        let has = |&(place, _): &(usize, &Platform)| row.platforms & 1 << place != 0;
        let built = Timestamp::new(row.seconds, row.nanoseconds).ok().and_then(BuildTime::of);
        ImageFacts {
            built,
            platforms: platforms.filter(has).map(|(_, platform)| platform.clone()).collect::<Arc<[_]>>(),
        }
    }
}

impl Row {
    /// A place for what is to be learned.
    const fn empty(tag: u64, used: u32) -> Self {
        let depth = Depth::Platforms;
        Self { tag, digest: None, seconds: 0, nanoseconds: 0, platforms: 0, asked: 0, used, depth }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: Depth = Depth::BuildTime;

    fn tags(count: usize) -> Vec<Tag> {
        (0..count).map(|number| Tag::parse(&format!("t{number}")).unwrap()).collect()
    }

    fn facts(time: &str, platforms: &[&str]) -> ImageFacts {
        let platforms = platforms.iter().map(|platform| Platform::parse(platform).unwrap()).collect();
        ImageFacts { built: BuildTime::parse(time), platforms }
    }

    fn repository(known: &Known, name: &str) -> RepositoryId {
        known.repository(&ImageName::parse(name).unwrap(), 1)
    }

    /// Learns of all tags; how many are known then.
    fn learn(known: &Known, id: RepositoryId, tags: &[Tag]) -> usize {
        for tag in tags {
            let digest = Digest::sha256_of(tag.as_str().as_bytes());
            known.learn(id, tag, &digest, DEPTH, facts("2026-11-20T09:30:00Z", &["linux/amd64"]));
        }
        tags.iter().filter(|tag| known.recall(id, tag, DEPTH).is_some()).count()
    }

    #[test]
    fn what_was_learned_is_told_to_the_nanosecond_and_the_platform() {
        let known = Known::new(MOST_KNOWN_IMAGES);
        let (id, tag) = (repository(&known, "a.example/b"), Tag::parse("1").unwrap());
        let digest = Digest::sha256_of(b"1");
        for (time, platforms) in [
            ("2026-11-20T09:30:00.123456789Z", &["linux/amd64", "linux/arm/v7"] as &[&str]),
            ("9999-12-30T00:00:00.000000001Z", &["linux/arm/v7"]),
            ("", &[]),
        ] {
            let facts = facts(time, platforms);
            assert_eq!(known.learn(id, &tag, &digest, DEPTH, facts.clone()), facts);
            assert_eq!(known.recall(id, &tag, DEPTH).unwrap().0, facts);
            assert_eq!(known.seen(id, &tag, &digest, DEPTH), Some(facts));
        }
        assert_eq!(known.seen(id, &tag, &Digest::sha256_of(b"2"), DEPTH), None, "another image");
        let other = Tag::parse("2").unwrap();
        assert!(known.seen(id, &other, &digest, DEPTH).is_some(), "the same image under another tag");
        assert!(known.recall(repository(&known, "a.example/c"), &tag, DEPTH).is_none());
        let stranger = known.repository(&ImageName::parse("a.example/b").unwrap(), 2);
        assert!(known.recall(stranger, &tag, DEPTH).is_none(), "of what others may read");
    }

    #[test]
    fn what_was_read_for_its_platforms_alone_has_no_time_yet() {
        let known = Known::new(MOST_KNOWN_IMAGES);
        let (id, tag) = (repository(&known, "a.example/b"), Tag::parse("1").unwrap());
        let digest = Digest::sha256_of(b"1");
        known.learn(id, &tag, &digest, Depth::Platforms, facts("", &["linux/amd64"]));
        assert_eq!(known.seen(id, &tag, &digest, DEPTH), None);
        assert!(known.recall(id, &tag, DEPTH).is_none());
        assert!(known.seen(id, &tag, &digest, Depth::Platforms).is_some());
        known.learn(id, &tag, &digest, DEPTH, facts("2026-11-20T09:30:00Z", &["linux/amd64"]));
        assert!(known.seen(id, &tag, &digest, Depth::Platforms).is_some());
    }

    #[test]
    fn what_was_asked_about_longest_ago_is_the_oldest() {
        let known = Known::new(MOST_KNOWN_IMAGES);
        let (id, tags) = (repository(&known, "a.example/b"), tags(3));
        learn(&known, id, &tags);
        let digest = Digest::sha256_of(tags[0].as_str().as_bytes());
        known.seen(id, &tags[0], &digest, DEPTH);
        let ages: Vec<u32> = tags.iter().map(|tag| known.recall(id, tag, DEPTH).unwrap().1).collect();
        assert_eq!(ages, [0, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_a_place_keeps_it_and_who_finds_none_waits_for_what_nobody_uses() {
        let known = Known::new(1000);
        let (first, second) = (repository(&known, "a.example/first"), repository(&known, "a.example/second"));
        let tags = tags(1100);
        assert!(known.make_room(first, &tags[..600]));
        assert_eq!(learn(&known, first, &tags[..512]), 512);
        assert!(!known.make_room(second, &tags[..600]), "the first one is not done, and has its places");
        assert_eq!(learn(&known, first, &tags[..600]), 600);
        assert!(known.make_room(second, &tags[..400]));
        assert_eq!(learn(&known, second, &tags[..400]), 400);
        assert!(known.make_room(second, &tags[..410]), "a list may grow a little");
        assert_eq!(learn(&known, first, &tags), 715, "and nobody can go beyond that");

        let used = |id| tags[..600].iter().filter(|tag| known.recall(id, tag, DEPTH).is_some()).count();
        for _ in 0..3 {
            tokio::time::advance(UNUSED / 2).await;
            assert_eq!(used(first), 600);
            known.make_room(repository(&known, "a.example/third"), &tags);
        }
        assert_eq!((used(first), used(second)), (600, 0), "one of them was of use all the time");
        assert!(known.make_room(second, &tags[..400]));
    }

    #[test]
    fn many_images_take_few_bytes() {
        assert!(size_of::<Row>() <= 48, "{}", size_of::<Row>());
        let known = Known::new(MOST_KNOWN_IMAGES);
        for number in 0..100 {
            let id = repository(&known, &format!("a.example/{number}"));
            assert!(known.make_room(id, &tags(2000)));
            let kept = known.lock();
            assert!(kept.by_id[&id].rows.capacity() <= 2000);
        }
        assert!(!known.make_room(repository(&known, "a.example/more"), &tags(1)));
        let known = Known::new(10);
        let twice = [tags(10), tags(10)].concat();
        assert!(
            known.make_room(repository(&known, "a.example/b"), &twice),
            "a tag that is named twice is one"
        );
    }

    #[test]
    fn made_up_platforms_do_not_fill_the_memory() {
        let known = Known::new(MOST_KNOWN_IMAGES);
        let id = repository(&known, "a.example/b");
        for (number, tag) in tags(100).iter().enumerate() {
            let (own, digest) =
                (format!("linux/made-up-{number}"), Digest::sha256_of(tag.as_str().as_bytes()));
            let learned = known.learn(id, tag, &digest, DEPTH, facts("", &[&own]));
            assert_eq!(known.recall(id, tag, DEPTH).unwrap().0, learned, "what is told does not change");
        }
        assert_eq!(known.lock().by_id[&id].platforms.len(), MOST_PLATFORMS);
    }
}
