//! The settings of libgit2 that hold for the whole process, and what it takes of the allocator and leaves there.

#[cfg(target_os = "linux")]
mod memory;

use std::sync::Once;

#[cfg(target_os = "linux")]
pub(super) use memory::{Pool, bounded};

/// Sets libgit2 up, once: no configuration of the host is read, and its caches stay small.
///
/// The mirror is read object by object and once, so that libgit2's object cache only costs memory, and a window of the
/// whole pack would count as the process's memory. Packs are verified when they come in, so that their objects are not
/// hashed again at every read.
pub(super) fn set_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        git2::opts::strict_hash_verification(false);
        git2::opts::enable_caching(false);
        set_paths_and_windows();
        #[cfg(target_os = "linux")]
        memory::install();
        give_large_blocks_back();
    });
}

/// On other systems the C library does not tell how large a block is, and libgit2 takes what it wants.
#[cfg(not(target_os = "linux"))]
pub(super) fn bounded<T>(_bytes: usize, _pool: Option<&'static Pool>, work: impl FnOnce() -> T) -> (T, bool) {
    (work(), false)
}

/// Nothing is shared where nothing is bounded.
#[cfg(not(target_os = "linux"))]
pub(super) struct Pool;

#[cfg(not(target_os = "linux"))]
impl Pool {
    pub(super) const fn new(_shared: usize, _own: usize) -> Self {
        Self
    }

    pub(super) const fn lend(&self, _bytes: usize) -> bool {
        true
    }

    pub(super) const fn take_back(&self, _bytes: usize) {}
}

#[expect(unsafe_code, reason = "libgit2's global options; called once, before any other call into libgit2")]
fn set_paths_and_windows() {
    use git2::ConfigLevel::{Global, ProgramData, System, XDG};
    const MIB: usize = 1 << 20;
    for level in [System, Global, XDG, ProgramData] {
        // SAFETY: `Once` in `set_up` makes this the only call, and every use of libgit2 goes through `set_up` first.
        let _ = unsafe { git2::opts::set_search_path(level, "") };
    }
    // SAFETY: as above.
    let _ = unsafe { git2::opts::set_mwindow_size(MIB) };
    // SAFETY: as above.
    let _ = unsafe { git2::opts::set_mwindow_mapped_limit(8 * MIB) };
}

/// Lets the allocator give each large block back to the system when it is freed. By itself it learns from the first ones to
/// keep the next, of up to 32 MiB, in every thread.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call into the C library")]
fn give_large_blocks_back() {
    const LARGE: std::ffi::c_int = 256 << 10;
    // SAFETY: mallopt(3) may be called at any time and from any thread.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other allocators learn no such thing.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn give_large_blocks_back() {}

/// Gives memory that is free but still the process's back to the system. Taking a whole tree in leaves tens of MiB of
/// it, which the allocator would keep for ever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call into the C library")]
pub(super) fn give_memory_back() {
    // SAFETY: malloc_trim(3) may be called at any time and from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) const fn give_memory_back() {}
