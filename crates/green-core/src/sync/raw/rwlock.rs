//! The value that a read-write lock protects.
//!
//! # Invariants
//!
//! 1. A `RwLockWriteGuard` exists only between the acquisition and the release of its lock for writing: it is
//!    made after an acquisition, and releases when it is dropped, or is consumed by `downgrade`. So it is
//!    proof that its holder has the lock, alone.
//! 2. A `RwLockReadGuard` exists only between the acquisition and the release of its lock for reading: it
//!    is proof that nobody has the lock for writing.
//! 3. The pointer in a `RwLockReadGuard` is to the value of the lock that it borrows.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::sync::rwlock::{RwLockReadGuard, RwLockWriteGuard};

/// A value that is reached only by those who hold the lock beside it.
#[derive(Debug, Default)]
pub(in crate::sync) struct Shared<T: ?Sized>(UnsafeCell<T>);

// SAFETY: the value is reached by one writer, or by several readers at once (invariants 1 and 2), on any OS
// thread: the first moves access to it between OS threads, which `T: Send` allows, the second shares it, which
// `T: Sync` allows.
unsafe impl<T: ?Sized + Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(in crate::sync) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(in crate::sync) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Shared<T> {
    pub(in crate::sync) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// Where the value is, for a read guard.
    #[inline]
    pub(in crate::sync) fn read_pointer(&self) -> ReadPointer<T> {
        let place = NonNull::new(self.0.get());
        ReadPointer(place.expect("a value has an address"))
    }
}

/// Where a value is that its holder may read; covariant, which a reference to the lock is not.
#[derive(Debug)]
pub(in crate::sync) struct ReadPointer<T: ?Sized>(NonNull<T>);

// SAFETY: it gives out `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for ReadPointer<T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it is the lock's value (invariant 3), and the guard is proof that nobody writes (invariant 2).
        unsafe { self.value.0.as_ref() }
    }
}

// SAFETY: a shared guard gives out `&T` only, which `T: Sync` allows.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is proof of the lock (invariant 1), and borrowed shared: nobody has the value mutably.
        unsafe { &*self.lock.value.0.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is proof of the lock (invariant 1), and borrowed exclusively: nobody else has the value.
        unsafe { &mut *self.lock.value.0.get() }
    }
}
