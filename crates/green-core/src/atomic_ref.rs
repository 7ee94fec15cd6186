//! A reference to something that lives for ever, to be set and read by any OS thread.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// An atomic `Option<&'static T>`: a pointer in size, where a `OnceLock` is two words and an `Arc` counts.
///
/// A `get` that sees a reference also sees what was written before it was set.
pub(crate) struct AtomicRef<T: 'static> {
    /// Invariant: null, or made from a `&'static T`.
    pointer: AtomicPtr<T>,
}

// SAFETY: it hands a `&'static T` from one OS thread to another, which is all right if `T` is `Sync`. (The
// pointer type itself does not ask for that.)
unsafe impl<T: Sync> Sync for AtomicRef<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for AtomicRef<T> {}

impl<T> AtomicRef<T> {
    /// No reference.
    pub(crate) const fn none() -> Self {
        Self {
            pointer: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Sets the reference.
    #[inline]
    pub(crate) fn set(&self, to: &'static T) {
        self.pointer
            .store(ptr::from_ref(to).cast_mut(), Ordering::Release);
    }

    /// The reference, which is not kept any more.
    pub(crate) fn take(&mut self) -> Option<&'static T> {
        let taken = self.get();
        *self = Self::none();
        taken
    }

    /// The reference.
    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: null, or made from a reference that is valid for ever, and only used as a shared one.
        unsafe { pointer.as_ref() }
    }
}

impl<T> Default for AtomicRef<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> fmt::Debug for AtomicRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicRef")
            .field(&self.get().is_some())
            .finish()
    }
}
