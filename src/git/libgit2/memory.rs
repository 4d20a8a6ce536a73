//! A bound on the memory that libgit2 takes.
//!
//! libgit2 believes a pack: what an object claims to need is set aside and filled with zeros before the first of its bytes
//! is there, a few kilobytes unfold to gigabytes, and objects that come twice are lost track of. All of that goes through one
//! allocator, and is bounded there. libgit2 takes the refusal for want of memory, and gives the pack up.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// The most that is given at once, in bytes. A file that is read is smaller; a larger one only passes through.
const MOST_AT_ONCE: usize = 64 << 20;

/// What stands for no bound.
const UNBOUND: usize = usize::MAX;

thread_local! {
    /// What this thread may still be given.
    static LEFT: Cell<usize> = const { Cell::new(UNBOUND) };
}

/// Runs work in which libgit2 may hold so many bytes more than before.
pub(in crate::git) fn bounded<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            LEFT.set(UNBOUND);
        }
    }
    LEFT.set(bytes);
    let _release = Release;
    work()
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
            true
        }
    }
}

fn give_back(bytes: usize) {
    if LEFT.get() != UNBOUND {
        LEFT.set(LEFT.get().saturating_add(bytes).min(UNBOUND - 1));
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
