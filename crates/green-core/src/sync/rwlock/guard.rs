//! Proofs that the lock is held.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::PoisonError;

use super::access::Access;
use super::lock::RwLock;
use crate::sync::poison::{Flag, Held};
use crate::sync::raw::ReadPointer;

/// Shared access to what a [`RwLock`] protects; see [`std::sync::RwLockReadGuard`].
#[must_use = "the lock is given back when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    /// Used by `raw` alone.
    pub(in crate::sync) value: ReadPointer<T>,
    access: &'a Access,
    /// As std's: not `Send`, covariant.
    like_std: PhantomData<std::sync::RwLockReadGuard<'a, T>>,
}

/// Exclusive access to what a [`RwLock`] protects; see [`std::sync::RwLockWriteGuard`].
#[must_use = "the lock is given back when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    pub(in crate::sync) lock: &'a RwLock<T>,
    held: Held,
    /// As std's: not `Send`.
    like_std: PhantomData<std::sync::RwLockWriteGuard<'a, T>>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// Made once for each time that a reader was added to `access`, which is the lock's around `value`.
    #[inline]
    pub(super) fn new(value: ReadPointer<T>, access: &'a Access) -> Self {
        Self {
            value,
            access,
            like_std: PhantomData,
        }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Made once for each time that a writer was added to the lock.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self {
            lock,
            held: Flag::held(),
            like_std: PhantomData,
        }
    }

    /// Makes the writer a reader, with no other writer in between; see
    /// [`std::sync::RwLockWriteGuard::downgrade`].
    ///
    /// # Differences from std
    ///
    /// Of the readers that wait, those who came before the first writer that waits are let in.
    pub fn downgrade(s: Self) -> RwLockReadGuard<'a, T> {
        let lock = ManuallyDrop::new(s).lock;
        lock.access.downgrade();
        lock.read_guard().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.access.end_read();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.held);
        self.lock.access.end_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
