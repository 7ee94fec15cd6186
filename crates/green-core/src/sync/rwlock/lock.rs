//! The lock with its value.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::access::Access;
use super::guard::{RwLockReadGuard, RwLockWriteGuard};
use crate::interrupt::OrRaise;
use crate::sync::poison::Flag;
use crate::sync::raw::Shared;

/// A lock that several readers, or one writer, may hold at a time; see [`std::sync::RwLock`].
///
/// Callers are served in the order in which they came: one that arrives while others wait stands behind them,
/// also a reader that could read together with those who read now. So neither readers nor writers
/// starve, and a caller that reads already and reads again deadlocks if a writer has come in between, as it
/// may with std. Holding a guard across a blocking call is fine.
///
/// # Differences from std
///
/// std does not say who is served first. `try_read` and `try_write` fail while somebody waits.
/// [`downgrade`](RwLockWriteGuard::downgrade) lets those readers in that wait before the first writer. A green
/// thread that is killed or timed out while it writes does not poison the lock.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::sync::RwLock;
///
/// let names = Arc::new(RwLock::new(vec!["ada"]));
/// let theirs = Arc::clone(&names);
/// let writer = green_core::spawn(move || theirs.write().unwrap().push("grace"));
/// writer.join();
/// let (one, two) = (names.read().unwrap(), names.read().unwrap());
/// assert_eq!((one.len(), two[1]), (2, "grace"));
/// ```
pub struct RwLock<T: ?Sized> {
    pub(super) access: Access,
    pub(super) poison: Flag,
    /// Reached through guards only, by `raw`.
    pub(in crate::sync) value: Shared<T>,
}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// A lock around `t`; see [`std::sync::RwLock::new`].
    #[inline]
    pub const fn new(t: T) -> Self {
        Self {
            access: Access::new(),
            poison: Flag::new(),
            value: Shared::new(t),
        }
    }

    /// The value; see [`std::sync::RwLock::into_inner`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.check(self.value.into_inner())
    }

    /// A copy of the value; std's method of this name is unstable.
    ///
    /// # Blocking
    ///
    /// As [`RwLock::read`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn get_cloned(&self) -> Result<T, PoisonError<()>>
    where
        T: Clone,
    {
        match self.read() {
            Ok(guard) => Ok(guard.clone()),
            Err(_) => Err(PoisonError::new(())),
        }
    }

    /// Puts `value` in the place of the one that is there; std's method of this name is unstable.
    ///
    /// # Blocking
    ///
    /// As [`RwLock::write`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned: `value` comes back.
    pub fn set(&self, value: T) -> Result<(), PoisonError<T>> {
        // The old value is dropped without the lock.
        self.replace(value).map(drop)
    }

    /// Puts `value` in the place of the one that is there, and returns that; std's method of this name is
    /// unstable.
    ///
    /// # Blocking
    ///
    /// As [`RwLock::write`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned: `value` comes back.
    pub fn replace(&self, value: T) -> LockResult<T> {
        match self.write() {
            Ok(mut guard) => Ok(mem::replace(&mut *guard, value)),
            Err(_) => Err(PoisonError::new(value)),
        }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock for reading; see [`std::sync::RwLock::read`].
    ///
    /// # Blocking
    ///
    /// Parks the caller while a writer has the lock, or somebody waits; a cancellation point while it
    /// waits.
    ///
    /// # Errors
    ///
    /// The lock is poisoned; the guard is inside.
    ///
    /// # Panics
    ///
    /// If there are more than a billion readers already.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.access.read().unless_interrupted();
        self.read_guard()
    }

    /// Takes the lock for reading if that needs no wait; see [`std::sync::RwLock::try_read`].
    ///
    /// # Errors
    ///
    /// A writer has the lock, somebody waits for it, or it is poisoned.
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.access.try_read() {
            Ok(self.read_guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Takes the lock for writing; see [`std::sync::RwLock::write`].
    ///
    /// # Blocking
    ///
    /// Parks the caller while others have the lock; a cancellation point while it waits.
    ///
    /// # Errors
    ///
    /// The lock is poisoned; the guard is inside.
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.access.write().unless_interrupted();
        self.write_guard()
    }

    /// Takes the lock for writing if that needs no wait; see [`std::sync::RwLock::try_write`].
    ///
    /// # Errors
    ///
    /// Somebody has the lock or waits for it, or it is poisoned.
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.access.try_write() {
            Ok(self.write_guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether the lock is poisoned; see [`std::sync::RwLock::is_poisoned`].
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Forgets that the lock was poisoned; see [`std::sync::RwLock::clear_poison`].
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value; see [`std::sync::RwLock::get_mut`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.check(self.value.get_mut())
    }

    /// A guard for a caller that has been added as a reader.
    #[inline]
    pub(super) fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.check(RwLockReadGuard::new(
            self.value.read_pointer(),
            &self.access,
        ))
    }

    /// A guard for a caller that has been added as the writer.
    #[inline]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.poison.check(RwLockWriteGuard::new(self))
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(t: T) -> Self {
        Self::new(t)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => out.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => out.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => out.field("data", &format_args!("<locked>")),
        };
        out.field("poisoned", &self.poison.get());
        out.finish_non_exhaustive()
    }
}
