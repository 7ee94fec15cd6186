//! What stands below a stack, and how many stacks the system allows.
//!
//! The engine crate puts a page without access below each stack, which is a memory mapping of its own and cuts the
//! stack off from its neighbour's. So each stack is two mappings, and Linux allows a process 65,530 by default.
//! From 6.13 on it has guard regions: entries of the page table that fault, inside a mapping. A stack that runs for
//! the first time is given one of 16 KiB in place of that page; neighbouring stacks then merge, and a
//! million of them are a handful of mappings.
//!
//! The engine crate also writes a few words at the bottom of each stack, by which it finds out, when a stack is
//! dropped, whether it was used up. They make a page resident that nobody uses. The guard region covers it, which
//! gives the page back, and the first of the words is written again before the stack is dropped.
//!
//! # Invariants
//!
//! 1. Below a stack that runs there is always a guard: the engine's page loses its protection only after the region
//!    was put there.
//! 2. [`MAPPED`] is at least the number of stacks whose guard is a mapping, and at most what the configuration
//!    allows.

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::{self, page_size};

/// The bytes of a guard region: more than a page, where pages are small, because frames of C code need not touch every
/// page they span.
pub(super) fn size() -> usize {
    SIZE.next_multiple_of(page_size())
}

const SIZE: usize = 16 * 1024;

/// What the kernel calls `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE`.
const INSTALL: libc::c_int = 102;
const REMOVE: libc::c_int = 103;

/// Stacks whose guard is a mapping (invariant 2).
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// The word that the engine writes at the bottom of a stack; 0 before the first stack ran.
static MARKER: AtomicUsize = AtomicUsize::new(0);

/// Whether guards are regions here.
pub(crate) fn are_regions() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    config::freeze().guard_regions
        && *SUPPORTED.get_or_init(|| {
            map(page_size()).is_ok_and(|page| {
                // What does not know the advice may accept it all the same.
                let supported = advise(page, page_size(), INSTALL).is_ok() && !is_readable(page);
                unmap(page, page_size());
                supported
            })
        })
}

/// How much larger than its use a stack is to be, so that a region fits in at its bottom.
pub(super) fn extra() -> usize {
    if are_regions() {
        size() - page_size()
    } else {
        0
    }
}

/// Whether the system has room for `more` stacks beside `stacks` others: memory, and mappings for their guards.
pub(crate) fn has_room(stacks: u64, more: u64, stack_size: usize) -> bool {
    let most = config::freeze().max_mapped_guards as u64;
    (are_regions() || stacks + more <= most) && has_memory(more, stack_size)
}

/// Whether there may be `more` stacks and a rest of memory for everything else, if that is limited.
fn has_memory(more: u64, stack_size: usize) -> bool {
    if more == 0 || !config::freeze().is_memory_limited {
        return true;
    }
    let more = usize::try_from(more).unwrap_or(usize::MAX);
    let stack_size = stack_size + extra() + page_size();
    let size = more.saturating_mul(stack_size).saturating_add(HEADROOM);
    map(size).is_ok_and(|probe| {
        unmap(probe, size);
        true
    })
}

/// Memory that stacks leave to everything else, in bytes.
const HEADROOM: usize = 8 * 1024 * 1024;

/// Counts a stack that is about to be made; its guard is a mapping at first. False if there may be no more.
pub(super) fn reserve(stack_size: usize) -> bool {
    let most = config::freeze().max_mapped_guards;
    let reserved = MAPPED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mapped| {
            (mapped < most).then_some(mapped + 1)
        })
        .is_ok();
    let fits = reserved && has_memory(1, stack_size);
    if reserved && !fits {
        release();
    }
    fits
}

/// A stack whose guard is a mapping is gone.
pub(super) fn release() {
    MAPPED.fetch_sub(1, Ordering::Relaxed);
}

/// Learns the engine's word at the bottom of a stack, and puts a region there and below, in place of the guard page
/// under it; false if there can be none.
///
/// # Safety
///
/// `bottom` is the bottom of a stack of the engine's that nobody has used within [`extra`] bytes of it, nor will.
pub(super) unsafe fn install(bottom: usize) -> bool {
    // SAFETY: the engine has written a word there, and nobody else.
    let marker = unsafe { ptr::with_exposed_provenance::<usize>(bottom).read() };
    MARKER.store(marker, Ordering::Relaxed);
    if !are_regions() {
        return false;
    }
    let page = bottom - page_size();
    if advise(page, size(), INSTALL).is_err() {
        return false;
    }
    // Only now (invariant 1).
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: changes the engine's guard page, which the region protects from now on.
    let merged = unsafe { libc::mprotect(address(page), page_size(), access) } == 0;
    if merged {
        release();
    } else {
        // The page is the guard, as before.
        drop(advise(page, size(), REMOVE));
    }
    merged
}

/// Makes a stack fit to be dropped, wherever it was used or given back.
///
/// # Safety
///
/// `bottom` is as it was for [`install`], which returned `has_region`; nothing runs on the stack any more.
pub(super) unsafe fn uninstall(bottom: usize, has_region: bool) {
    if has_region {
        // If the kernel refuses, the write would fault: better to end here.
        let removed = advise(bottom, page_size(), REMOVE);
        assert!(removed.is_ok(), "a guard region could not be removed");
    } else {
        release();
    }
    let marker = MARKER.load(Ordering::Relaxed);
    // SAFETY: the page belongs to a stack that nobody uses, and can be written again.
    unsafe { ptr::with_exposed_provenance_mut::<usize>(bottom).write(marker) };
}

/// Gives the memory between two addresses back to the system; what is read there next is zero.
///
/// # Safety
///
/// Whole pages of a stack, which nobody uses.
pub(super) unsafe fn give_back(from: usize, to: usize) {
    // Only memory is at stake, so a refusal is no error.
    drop(advise(from, to - from, libc::MADV_DONTNEED));
}

/// The lowest address between two that was written, as far as memory is resident there; `to` if none was. Memory that
/// was swapped out is taken for unused.
///
/// # Safety
///
/// Whole pages of the stack that is running.
pub(super) unsafe fn lowest_used(from: usize, to: usize) -> usize {
    let mut resident = vec![0_u8; (to - from) / page_size()];
    // SAFETY: the vector has a byte for each page.
    if unsafe { libc::mincore(address(from), to - from, resident.as_mut_ptr()) } != 0 {
        return from;
    }
    let Some(page) = resident.iter().position(|&page| page & 1 != 0) else {
        return to;
    };
    let page = from + page * page_size();
    let mut words = (page..page + page_size()).step_by(size_of::<usize>());
    let used = words.find(|&word| {
        // SAFETY: within the stack, by the caller; volatile, because its owner is not told.
        unsafe { ptr::with_exposed_provenance::<usize>(word).read_volatile() != 0 }
    });
    // One that holds zeros only was touched, too.
    used.unwrap_or(page)
}

/// Reads at an address of a stack.
///
/// # Safety
///
/// It lies in a stack of the engine's, or in the guard below it.
pub(super) unsafe fn touch(at: usize) {
    // SAFETY: by the caller; a fault in the guard is handled.
    unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() };
}

/// How many memory mappings the process has; `None` if the system does not tell.
pub(crate) fn mappings() -> Option<usize> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    Some(maps.split(|&byte| byte == b'\n').count())
}

/// Maps `size` bytes, anywhere, of which nothing is resident.
fn map(size: usize) -> io::Result<usize> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping where the kernel finds room touches no other.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(mapped.expose_provenance())
}

/// Unmaps what [`map`] has mapped.
fn unmap(at: usize, size: usize) {
    // SAFETY: private to this file: `at` came from `map`, with this size, and nobody has a reference there.
    unsafe { libc::munmap(address(at), size) };
}

/// Whether the kernel can read at `at`, which it says without a fault.
fn is_readable(at: usize) -> bool {
    // SAFETY: only the kernel looks at the path, and reports an address that it cannot read.
    let result = unsafe { libc::access(address(at).cast(), libc::F_OK) };
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT)
}

/// Tells the kernel something about whole pages.
fn advise(at: usize, size: usize, advice: libc::c_int) -> io::Result<()> {
    // SAFETY: private to this file, whose callers own the pages and use none of what they give up.
    let result = unsafe { libc::madvise(address(at), size, advice) };
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// An address for the kernel.
fn address(at: usize) -> *mut libc::c_void {
    ptr::without_provenance_mut(at)
}
