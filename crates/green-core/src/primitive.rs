//! The atomics and the internal locks that everything else is built from.
//!
//! This is the only module that chooses between the real ones (std's atomics, `brief_lock`'s lock, `parking_lot`'s)
//! and loom's (`--cfg green_loom`), so that a model checks the very code that runs. `BriefMutex` guards what every
//! operation goes through; `Mutex` what is cold, or needs a condition variable. Nothing parks or calls back while one is
//! held, but for comparisons of the user's items in a `PriorityQueue`.

#[cfg(not(green_loom))]
pub(crate) use crate::brief_lock::{BriefMutex, BriefMutexGuard};
#[cfg(not(green_loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(green_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

#[cfg(green_loom)]
#[cfg(test)]
pub(crate) use loom::sync::Arc;
#[cfg(green_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(green_loom)]
pub(crate) use loom::sync::{MutexGuard, MutexGuard as BriefMutexGuard};
#[cfg(green_loom)]
pub(crate) use model::{Condvar, Mutex, Mutex as BriefMutex};

/// Orders a `SeqCst` access before it against one after it.
///
/// Such accesses are ordered anyway, which is cheaper than a fence; but loom takes them for
/// acquire-release, and knows only fences.
#[inline]
pub(crate) fn after_seqcst() {
    #[cfg(green_loom)]
    fence(Ordering::SeqCst);
}

/// loom's lock and condition variable behind `parking_lot`'s signatures.
#[cfg(green_loom)]
mod model {
    use loom::sync::MutexGuard;

    /// A lock without poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("loom's lock is not poisoned")
        }
    }

    /// A condition variable that keeps its guard, as `parking_lot`'s does.
    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        /// Waits; takes and returns the guard, because loom's does.
        pub(crate) fn wait_owned<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).expect("loom's lock is not poisoned")
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }
}
