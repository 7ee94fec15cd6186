//! A value that belongs to one OS thread, checked at run time.

use std::fmt;

/// A value that only the OS thread that made it can reach.
///
/// References to it may travel anywhere (it is `Send` and `Sync`), which is what lets a record with
/// a static lifetime hold both the fields that wakers on other OS threads need and the carrier that
/// only its hub may touch.
///
/// # Panics
///
/// [`Pinned::get`] panics on any other OS thread.
#[repr(C)] // The owner stands beside what is used most.
pub(crate) struct Pinned<T> {
    /// Identifies the OS thread that made the value.
    owner: usize,
    /// Invariant: reached only through `get`, which compares `owner`.
    value: T,
}

// SAFETY: `value` is reached through `get` only, which panics unless the caller runs on the OS thread
// that made it; and `Drop` leaks nothing because a `Pinned` is only ever part of a leaked record.
unsafe impl<T> Sync for Pinned<T> {}
// SAFETY: as above; moving the container does not reach the value.
unsafe impl<T> Send for Pinned<T> {}

impl<T> Pinned<T> {
    /// Binds `value` to the calling OS thread.
    pub(crate) fn new(value: T) -> Self
    where
        T: 'static,
    {
        Self {
            owner: os_thread_token(),
            value,
        }
    }

    /// The value.
    #[inline]
    pub(crate) fn get(&self) -> &T {
        assert!(
            self.owner == os_thread_token(),
            "a hub's own data was reached from another OS thread"
        );
        &self.value
    }
}

impl<T> fmt::Debug for Pinned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").finish_non_exhaustive()
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        if self.owner != os_thread_token() {
            // The value may not be `Send`: running its destructor here would reach it from a
            // foreign OS thread. Nothing in the crate does this; make it loud.
            std::process::abort();
        }
    }
}

/// A number that no two live OS threads share: the address of one of their thread-locals.
#[inline]
fn os_thread_token() -> usize {
    thread_local! {
        static TOKEN: u8 = const { 0 };
    }
    TOKEN.with(|token| std::ptr::from_ref(token).addr())
}
