//! Counts allocations, of all OS threads together, and tells where they come from.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often memory was asked for; a block that is resized counts again.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// A backtrace is printed for each of the next `limit` allocations.
pub(crate) fn trace(limit: u64) {
    TRACED.store(limit, Ordering::Relaxed);
}

struct Counting;

// SAFETY: every call goes on to `System` as it is, which keeps what the trait asks for; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps what `alloc_zeroed` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller keeps what `realloc` asks for, and `block` came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps what `dealloc` asks for, and `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

fn note() {
    COUNT.fetch_add(1, Ordering::Relaxed);
    if TRACED.load(Ordering::Relaxed) > 0 {
        // The backtrace allocates too; nothing else is traced meanwhile.
        let left = TRACED.swap(0, Ordering::Relaxed);
        eprintln!("allocation\n{}", Backtrace::force_capture());
        TRACED.store(left.saturating_sub(1), Ordering::Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many more show where they come from.
static TRACED: AtomicU64 = AtomicU64::new(0);
