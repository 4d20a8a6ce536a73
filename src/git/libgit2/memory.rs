//! A bound on the memory that libgit2 takes.
//!
//! libgit2 believes a pack: what an object claims to need is set aside and filled with zeros before the first of its bytes
//! is there, a few kilobytes unfold to gigabytes, and objects that come twice are lost track of. All of that goes through one
//! allocator, and is bounded there. libgit2 takes the refusal for want of memory, and gives the pack up.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that is given at once, in bytes. A file that is read is smaller; a larger one only passes through.
const MOST_AT_ONCE: usize = 64 << 20;

/// What stands for no bound.
const UNBOUND: usize = usize::MAX;

thread_local! {
    /// What this thread may still be given.
    static LEFT: Cell<usize> = const { Cell::new(UNBOUND) };
    /// What it could be given at first.
    static BOUND: Cell<usize> = const { Cell::new(0) };
    /// Where it borrows.
    static POOL: Cell<Option<&'static Pool>> = const { Cell::new(None) };
    /// What it has borrowed.
    static BORROWED: Cell<usize> = const { Cell::new(0) };
    /// Whether it wanted to borrow what others had.
    static IS_CROWDED: Cell<bool> = const { Cell::new(false) };
}

/// What all threads share beyond a small part that each has for itself. Many small works go on beside a large one, which
/// is given up where others have the memory.
pub(in crate::git) struct Pool {
    left: AtomicUsize,
    own: usize,
}

impl Pool {
    /// With so many bytes to share, and so many for each thread.
    pub(in crate::git) const fn new(shared: usize, own: usize) -> Self {
        Self { left: AtomicUsize::new(shared), own }
    }

    /// `false` where there is less.
    pub(in crate::git) fn lend(&self, bytes: usize) -> bool {
        let lend = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lend).is_ok()
    }

    pub(in crate::git) fn take_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Runs work in which libgit2 may hold so many bytes more than before, what others leave of the pool; and tells whether
/// they left too little. Within such work that is a part of it.
pub(in crate::git) fn bounded<T>(
    bytes: usize,
    pool: Option<&'static Pool>,
    work: impl FnOnce() -> T,
) -> (T, bool) {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            LEFT.set(UNBOUND);
            if let Some(pool) = POOL.take() {
                pool.take_back(BORROWED.take());
            }
        }
    }
    if LEFT.get() != UNBOUND {
        return (work(), false);
    }
    LEFT.set(bytes);
    BOUND.set(bytes);
    POOL.set(pool);
    IS_CROWDED.set(false);
    let _release = Release;
    (work(), IS_CROWDED.get())
}

/// Borrows or gives back, so that what this thread holds beyond its own part is borrowed; `false` where that is not to be
/// had.
fn balance() -> bool {
    let Some(pool) = POOL.get() else { return true };
    let held = BOUND.get().saturating_sub(LEFT.get());
    let (wanted, borrowed) = (held.saturating_sub(pool.own), BORROWED.get());
    if wanted > borrowed && !pool.lend(wanted - borrowed) {
        return false;
    }
    pool.take_back(borrowed.saturating_sub(wanted));
    BORROWED.set(wanted);
    true
}

/// `git_allocator` of libgit2's `sys/alloc.h`.
#[repr(C)]
struct Allocator {
    malloc: extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
    realloc: extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
    free: extern "C" fn(*mut c_void),
}

static ALLOCATOR: Allocator = Allocator { malloc, realloc, free };

/// Makes libgit2 ask here for its memory. What it was given before is freed here all the same: both are the C library's.
#[expect(unsafe_code, reason = "libgit2's allocator is set through its C interface alone")]
pub(super) fn install() {
    let option = libgit2_sys::GIT_OPT_SET_ALLOCATOR as c_int;
    // SAFETY: libgit2 copies the three pointers; their types are those of its header, and they follow malloc(3).
    unsafe { libgit2_sys::git_libgit2_opts(option, &raw const ALLOCATOR) };
}

/// Counts bytes that are to be given; `false` where they may not be.
fn take(bytes: usize) -> bool {
    if bytes > MOST_AT_ONCE {
        return false;
    }
    match LEFT.get() {
        UNBOUND => true,
        left if bytes > left => false,
        left => {
            LEFT.set(left - bytes);
            let is_had = balance();
            if !is_had {
                LEFT.set(left);
                IS_CROWDED.set(true);
            }
            is_had
        }
    }
}

fn give_back(bytes: usize) {
    if LEFT.get() != UNBOUND {
        LEFT.set(LEFT.get().saturating_add(bytes).min(UNBOUND - 1));
        // Less is held, which is always to be had.
        balance();
    }
}

#[expect(unsafe_code, reason = "malloc(3), behind the bound")]
extern "C" fn malloc(bytes: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    if bytes > MOST_AT_ONCE {
        return ptr::null_mut();
    }
    // SAFETY: malloc(3) and free(3) as they are meant; the block is nobody else's yet.
    unsafe {
        let block = libc::malloc(bytes);
        if block.is_null() || take(libc::malloc_usable_size(block)) {
            return block;
        }
        libc::free(block);
    }
    ptr::null_mut()
}

#[expect(unsafe_code, reason = "realloc(3), behind the bound")]
extern "C" fn realloc(block: *mut c_void, bytes: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    // SAFETY: libgit2 hands in null or a block of malloc(3) that it gives up if, and only if, it gets another.
    unsafe {
        let before = libc::malloc_usable_size(block);
        if !take(bytes.saturating_sub(before)) || bytes > MOST_AT_ONCE {
            return ptr::null_mut();
        }
        let moved = libc::realloc(block, bytes);
        if moved.is_null() {
            give_back(bytes.saturating_sub(before));
        } else {
            give_back(before.saturating_sub(libc::malloc_usable_size(moved)));
        }
        moved
    }
}

#[expect(unsafe_code, reason = "free(3), counted")]
extern "C" fn free(block: *mut c_void) {
    // SAFETY: libgit2 hands in null or a block of malloc(3) that it uses no more.
    unsafe {
        give_back(libc::malloc_usable_size(block));
        libc::free(block);
    }
}
