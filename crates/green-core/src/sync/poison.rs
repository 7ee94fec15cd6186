//! Poisoning: a panic while a guard is held marks the lock.
//!
//! A lock is poisoned only if its holder is known to unwind by a panic (see `park`), not by an interrupt,
//! and not because a neighbour unwinds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError};

use crate::park::Caller;

/// The mark.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

/// What was known when a guard was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    was_unwinding: bool,
}

impl Flag {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    #[inline]
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// `value`, as an error if the mark is set.
    #[inline]
    pub(super) fn check<T>(&self, value: T) -> LockResult<T> {
        if self.get() {
            Err(PoisonError::new(value))
        } else {
            Ok(value)
        }
    }

    /// A guard is made.
    #[inline]
    pub(super) fn held() -> Held {
        Held {
            was_unwinding: std::thread::panicking() && is_unwinding(),
        }
    }

    /// A guard is dropped.
    #[inline]
    pub(super) fn done(&self, held: Held) {
        if !held.was_unwinding && std::thread::panicking() && by_panic() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether the caller itself unwinds.
#[cold]
fn is_unwinding() -> bool {
    Caller::current().is_unwinding()
}

/// Whether the caller unwinds by a panic of its own.
#[cold]
fn by_panic() -> bool {
    let caller = Caller::current();
    caller.is_unwinding() && !caller.is_interrupted()
}
