//! Packs that a hostile server could send: small to carry, and huge or endless to take in.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::sync::mpsc;

use super::budget::within_bounds;
use super::libgit2::Pool;
use super::mirror::{IncomingPack, Intake, Mirror, Piece};
use super::{BlobId, Error};

const MIB: usize = 1 << 20;
const BLOB: u8 = 3;
const OFS_DELTA: u8 = 6;

/// A number as gitformat-pack writes sizes: seven bits at a time, the lowest first.
fn size(mut number: u64, first_bits: u32, first: u8) -> Vec<u8> {
    let mut bytes = vec![first | (number & ((1 << first_bits) - 1)) as u8];
    number >>= first_bits;
    while number > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push((number & 0x7f) as u8);
        number >>= 7;
    }
    bytes
}

/// Bytes as a zlib stream that does not compress (RFC 1950, RFC 1951).
fn stored(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in content {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let sum = (b << 16 | a).to_be_bytes();
    [&[0x78, 0x01, 0x01], &length.to_le_bytes()[..], &(!length).to_le_bytes(), content, &sum].concat()
}

/// Zeros as a zlib stream of a hundred and sixtieth of their length.
fn zeros(length: usize) -> Vec<u8> {
    let (mut bytes, mut used) = (vec![0x78, 0x01], 0);
    let mut bit = |value: u32| {
        if used % 8 == 0 {
            bytes.push(0);
        }
        *bytes.last_mut().unwrap() |= (value << (used % 8)) as u8;
        used += 1;
    };
    // One last block with fixed codes, whose bits stand with the highest first.
    [1, 1, 0].into_iter().for_each(&mut bit);
    let mut code = |code: u32, bits: u32| (0..bits).rev().for_each(|at| bit(code >> at & 1));
    code(0x30, 8);
    let (runs, rest) = ((length - 1) / 258, (length - 1) % 258);
    for _ in 0..runs {
        // 258 bytes, from one byte back.
        code(0b1100_0101, 8);
        code(0, 5);
    }
    (0..rest).for_each(|_| code(0x30, 8));
    code(0, 7);
    bytes.extend((((length % 65_521) as u32) << 16 | 1).to_be_bytes());
    bytes
}

fn blob(claimed: u64, stream: &[u8]) -> Vec<u8> {
    [size(claimed, 4, BLOB << 4), stream.to_vec()].concat()
}

/// Copies the first MiB of a base so many times.
fn copies(base: usize, times: usize) -> Vec<u8> {
    let mut delta = [size(base as u64, 7, 0), size((times * MIB) as u64, 7, 0)].concat();
    (0..times).for_each(|_| delta.extend([0x80 | 0x40, 0x10]));
    delta
}

/// A pack of these objects, in which a difference says how far back its base begins.
#[derive(Default)]
struct Pack {
    count: u32,
    objects: Vec<u8>,
    /// What memory it shares while it is taken in.
    pool: Option<&'static Pool>,
}

impl Pack {
    fn blob(&mut self, claimed: u64, stream: &[u8]) -> usize {
        self.count += 1;
        let at = self.objects.len();
        self.objects.extend(blob(claimed, stream));
        at
    }

    fn difference(&mut self, base: usize, delta: &[u8]) -> usize {
        self.count += 1;
        let at = self.objects.len();
        self.objects.extend(size(delta.len() as u64, 4, OFS_DELTA << 4));
        let mut back = at - base;
        let mut distance = vec![(back & 0x7f) as u8];
        while back > 0x7f {
            back = (back >> 7) - 1;
            distance.insert(0, 0x80 | (back & 0x7f) as u8);
        }
        self.objects.extend(distance);
        self.objects.extend(stored(delta));
        at
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&b"PACK\0\0\0\x02"[..], &self.count.to_be_bytes(), &self.objects].concat();
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &bytes);
        bytes.extend(sum.as_ref());
        bytes
    }

    fn take_in(
        &self,
        memory: usize,
        patience: Duration,
    ) -> (Mirror, tempfile::TempDir, Result<Intake, Error>) {
        let cache = tempfile::tempdir().unwrap();
        let mirror = Mirror::open(cache.path().join("one")).unwrap();
        let pieces = Bytes::from(self.bytes());
        let (sender, bytes) = mpsc::channel(1 << 12);
        for piece in pieces.chunks(60_000) {
            sender.try_send(Piece::Bytes(Bytes::copy_from_slice(piece))).unwrap();
        }
        sender.try_send(Piece::End).unwrap();
        let incoming = IncomingPack { bytes, max_objects: 100_000 };
        let work = || mirror.take_in_patiently(incoming, patience);
        let taken = within_bounds(memory, self.pool, work);
        (mirror, cache, taken)
    }

    /// The words with which it is refused; nothing of it is kept.
    fn refused(&self, memory: usize, patience: Duration) -> String {
        let (mirror, cache, taken) = self.take_in(memory, patience);
        let left = std::fs::read_dir(cache.path().join("one/objects/pack")).unwrap().count();
        assert_eq!(left, 0, "{taken:?}");
        mirror.repository().unwrap();
        taken.unwrap_err().to_string()
    }
}

impl Pack {
    /// It is refused for want of memory.
    fn starved(&self, memory: usize) {
        let words = self.refused(memory, LONG);
        assert!(words.ends_with("Out of memory"), "{words}");
    }
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn an_honest_pack_made_by_these_hands_is_taken() {
    let mut pack = Pack::default();
    let base = pack.blob(MIB as u64, &zeros(MIB));
    let twice = pack.difference(base, &copies(MIB, 2));
    pack.difference(twice, &copies(2 * MIB, 3));
    let (mirror, _cache, taken) = pack.take_in(64 * MIB, LONG);
    assert_eq!(taken.unwrap(), Intake::Taken);
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, &vec![0; 3 * MIB]).unwrap();
    let repository = mirror.repository().unwrap();
    assert_eq!(repository.find_blob(BlobId(id).0).unwrap().size(), 3 * MIB);
}

#[test]
fn a_size_that_is_claimed_is_not_set_aside() {
    let mut pack = Pack::default();
    let base = pack.blob(1 << 30, &stored(b"x"));
    pack.difference(base, &copies(MIB, 1));
    pack.starved(2 << 30);
}

#[test]
fn a_file_that_unfolds_to_more_than_memory_is_no_base_of_others() {
    let length = 65 * MIB;
    let mut pack = Pack::default();
    let base = pack.blob(length as u64, &zeros(length));
    // Alone it passes through and is never held.
    let (mirror, _cache, taken) = pack.take_in(24 * MIB, LONG);
    assert_eq!(taken.unwrap(), Intake::Taken);
    assert_eq!(mirror.repository().unwrap().odb().unwrap().foreach(|_| true), Ok(()));
    pack.difference(base, &copies(length, 1));
    pack.starved(1 << 40);
}

#[test]
fn a_difference_that_makes_gigabytes_out_of_nothing_is_refused() {
    let mut pack = Pack::default();
    let base = pack.blob(MIB as u64, &zeros(MIB));
    pack.difference(base, &copies(MIB, 1000));
    assert!(pack.bytes().len() < 16 << 10);
    pack.starved(1 << 40);
}

#[test]
fn objects_that_come_again_and_again_use_up_what_one_pack_may_hold() {
    let mut pack = Pack::default();
    let base = pack.blob(MIB as u64, &zeros(MIB));
    for _ in 0..2_000 {
        pack.difference(base, &copies(MIB, 4));
    }
    pack.starved(32 * MIB);
}

#[test]
fn a_pack_is_put_off_while_others_take_the_memory_and_a_small_one_is_not() {
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(24 * MIB, 2 * MIB)));
    let mut large = Pack { pool: Some(pool), ..Pack::default() };
    let base = large.blob(4 * MIB as u64, &zeros(4 * MIB));
    large.difference(base, &copies(4 * MIB, 2));
    let mut small = Pack { pool: Some(pool), ..Pack::default() };
    small.blob(1, &stored(b"x"));
    assert!(pool.lend(20 * MIB), "to another pack");
    let words = large.refused(64 * MIB, LONG);
    assert!(words.contains("other repositories"), "{words}");
    assert_eq!(small.take_in(64 * MIB, LONG).2.unwrap(), Intake::Taken);
    pool.take_back(20 * MIB);
    // What one has borrowed is there again for the next, also where it was refused.
    for _ in 0..3 {
        assert_eq!(large.take_in(64 * MIB, LONG).2.unwrap(), Intake::Taken);
        large.starved(4 * MIB);
    }
    assert!(pool.lend(24 * MIB), "all of it");
}

#[test]
fn a_chain_without_end_is_given_up_in_time() {
    let mut pack = Pack::default();
    let mut last = pack.blob(2 * MIB as u64, &zeros(2 * MIB));
    for length in (2 * MIB..).take(300) {
        // All of the base, and one byte more, so that no two are the same.
        let mut delta = [size(length as u64, 7, 0), size(length as u64 + 1, 7, 0)].concat();
        let (copied, rest) = (0x0f_0000, length - 2 * 0x0f_0000);
        for offset in [0_u32, copied, 2 * copied] {
            let [o0, o1, o2, _] = offset.to_le_bytes();
            let [l0, l1, l2, _] = if offset == 2 * copied { rest as u32 } else { copied }.to_le_bytes();
            delta.extend([0xf7, o0, o1, o2, l0, l1, l2]);
        }
        delta.extend([1, b'x']);
        last = pack.difference(last, &delta);
    }
    let begun = Instant::now();
    let words = pack.refused(256 * MIB, Duration::from_millis(20));
    assert!(words.contains("take too long"), "{words}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_count_of_objects_that_is_a_lie_is_told_so() {
    let mut pack = Pack::default();
    pack.blob(1, &stored(b"x"));
    pack.count = 5;
    pack.refused(64 * MIB, LONG);
    pack.count = u32::MAX;
    let (.., taken) = pack.take_in(64 * MIB, LONG);
    assert_eq!(taken.unwrap(), Intake::TooManyObjects(u32::MAX));
}
