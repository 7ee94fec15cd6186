//! Memory for records, kept by each hub for the next ones.
//!
//! The system's allocator takes its slow path as soon as more than a handful of green threads come and go
//! together. A hub keeps what its green threads leave, up to [`KEPT`] pieces of each size.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;

/// Sizes are rounded up to a multiple of this, in bytes.
const STEP: usize = 32;

/// How many sizes are kept: larger records come from the allocator.
const SIZES: usize = 16;

/// The alignment of the pieces that are kept.
const ALIGN: usize = 16;

/// How many pieces of a size a hub keeps at most.
const KEPT: usize = 1024;

/// What one hub keeps.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By size. Invariant: made by `alloc` with the layout of their size, and used by nobody.
    free: [RefCell<Vec<NonNull<u8>>>; SIZES],
}

/// Memory for `layout`, which must not be empty; from what `kept` has, if the calling OS thread has that.
pub(super) fn allocate(kept: Option<&Memory>, layout: Layout) -> NonNull<u8> {
    let (index, layout) = piece(layout);
    if let (Some(kept), Some(index)) = (kept, index)
        && let Some(memory) = kept.free[index].borrow_mut().pop()
    {
        return memory;
    }
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Takes memory back.
///
/// # Safety
///
/// It came from [`allocate`] with the same layout, and nobody uses it any more.
pub(super) unsafe fn release(kept: Option<&Memory>, memory: NonNull<u8>, layout: Layout) {
    let (index, layout) = piece(layout);
    if let (Some(kept), Some(index)) = (kept, index) {
        let mut free = kept.free[index].borrow_mut();
        if free.len() < KEPT {
            free.push(memory);
            return;
        }
    }
    // SAFETY: by the caller, it was allocated with the layout that `piece` makes of the same one.
    unsafe { dealloc(memory.as_ptr(), layout) };
}

/// The layout of the piece that serves `layout`, and its place among the sizes that are kept.
#[inline]
fn piece(layout: Layout) -> (Option<usize>, Layout) {
    let index = layout.size().div_ceil(STEP) - 1;
    if index >= SIZES || layout.align() > ALIGN {
        return (None, layout);
    }
    match Layout::from_size_align((index + 1) * STEP, ALIGN) {
        Ok(rounded) => (Some(index), rounded),
        Err(_) => (None, layout),
    }
}
