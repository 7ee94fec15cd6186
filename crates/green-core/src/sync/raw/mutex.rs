//! The value that a mutex protects.
//!
//! # Invariants
//!
//! 1. A `MutexGuard` exists only between the acquisition and the release of its mutex's lock: it is made by
//!    `Mutex::guard` after an acquisition, and releases when it is dropped. So it is proof that its holder has
//!    the lock, alone.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

use crate::sync::mutex::MutexGuard;

/// A value that is reached only by whoever holds the lock beside it.
#[derive(Debug, Default)]
pub(in crate::sync) struct Protected<T: ?Sized>(UnsafeCell<T>);

// SAFETY: the value is reached by one holder of the lock at a time (invariant 1), on any OS thread: that
// moves access to it between OS threads, which `T: Send` allows.
unsafe impl<T: ?Sized + Send> Sync for Protected<T> {}

impl<T> Protected<T> {
    pub(in crate::sync) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(in crate::sync) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Protected<T> {
    pub(in crate::sync) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

// SAFETY: a shared guard gives out `&T` only, which `T: Sync` allows.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is proof of the lock (invariant 1), and borrowed shared: nobody has the value mutably.
        unsafe { &*self.mutex().value.0.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is proof of the lock (invariant 1), and borrowed exclusively: nobody else has the value.
        unsafe { &mut *self.mutex().value.0.get() }
    }
}
