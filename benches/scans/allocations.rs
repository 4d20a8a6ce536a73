//! What is allocated while scans run: every allocation of the measured process is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::scanner::Task;
use crate::server::Server;
use crate::subject;

/// Both are one page, so that they differ in their tags alone.
const SHORT: usize = 500;
const LONG: usize = 1_000;

const SCANS: usize = 500;

/// What is nothing: a longer body comes in a piece more now and then.
const MOST_A_TAG: f64 = 0.01;

/// The allocator of the system, and how often it was asked.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "the trait of an allocator is unsafe; each call is handed on as it came")]
// SAFETY: it is the system's own but for the count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The allocations of this process so far, and of those that grow.
pub fn so_far() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// The allocations of one scan, by the length of the list.
pub struct Allocations {
    short: f64,
    long: f64,
}

impl Allocations {
    pub async fn count() -> Self {
        let of = async |tags| {
            let server = Server::start(tags, Duration::ZERO).await;
            let task = Task { host: server.host(), images: 1, rounds: SCANS, at_once: 1 };
            subject::tagtide(&task).await.each_of(SCANS).allocations
        };
        Self { short: of(SHORT).await, long: of(LONG).await }
    }

    fn a_tag(&self) -> f64 {
        (self.long - self.short) / (LONG - SHORT) as f64
    }
}

impl fmt::Display for Allocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| allocations of a scan | {SHORT} tags | {LONG} tags | a tag | goal |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | --- |")?;
        let mark = if self.a_tag() <= MOST_A_TAG { "" } else { "**missed**: " };
        writeln!(
            f,
            "| one page, the mean of {SCANS} | {:.0} | {:.0} | {:.3} | {mark}≤ {MOST_A_TAG} |",
            self.short,
            self.long,
            self.a_tag()
        )
    }
}
