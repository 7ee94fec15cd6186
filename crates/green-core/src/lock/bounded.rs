//! A semaphore that notices when it is released too often.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use super::semaphore::{Permit, Permits};
use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, Watcher};

/// A [`Semaphore`](super::Semaphore) that never has more free permits than it began with.
///
/// # Examples
///
/// ```
/// use green_core::lock::{BoundedSemaphore, OverRelease};
///
/// let one = BoundedSemaphore::new(1);
/// one.acquire().forget();
/// assert_eq!(one.release(), Ok(()));
/// assert_eq!(one.release(), Err(OverRelease));
/// ```
pub struct BoundedSemaphore {
    permits: Permits,
}

impl BoundedSemaphore {
    /// A semaphore with `permits` permits, and never more.
    pub const fn new(permits: usize) -> Self {
        Self {
            permits: Permits::new(permits, permits),
        }
    }

    /// How many permits are free.
    #[doc(alias = "counter")]
    pub fn available(&self) -> usize {
        self.permits.available()
    }

    /// Whether no permit is free.
    pub fn locked(&self) -> bool {
        self.available() == 0
    }

    /// Whether a permit is free.
    pub fn ready(&self) -> bool {
        !self.locked()
    }

    /// Takes a permit, waiting until one is free.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. With a free permit it does not wait.
    pub fn acquire(&self) -> Permit<'_> {
        self.permits.acquire()
    }

    /// Takes a permit if one is free, and not kept for those who wait.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.permits.try_acquire()
    }

    /// Takes a permit, waiting at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.permits.acquire_until(Deadline::after(timeout))
    }

    /// Takes a permit, waiting until `deadline` at the latest.
    pub fn acquire_deadline(&self, deadline: Instant) -> Option<Permit<'_>> {
        self.permits.acquire_until(Deadline::At(deadline))
    }

    /// As [`Semaphore::acquire_async`](super::Semaphore::acquire_async).
    #[cfg(feature = "async")]
    pub async fn acquire_async(&self) -> Permit<'_> {
        self.permits.acquire_async().await
    }

    /// As [`Semaphore::wait`](super::Semaphore::wait).
    ///
    /// # Blocking
    ///
    /// As there.
    pub fn wait(&self) -> usize {
        self.permits.wait_until(Deadline::Never)
    }

    /// As [`Semaphore::wait_timeout`](super::Semaphore::wait_timeout).
    pub fn wait_timeout(&self, timeout: Duration) -> usize {
        self.permits.wait_until(Deadline::after(timeout))
    }

    /// Gives a permit back; anybody may. A permit that is dropped when all are free is not counted.
    ///
    /// # Errors
    ///
    /// All permits are free.
    pub fn release(&self) -> Result<(), OverRelease> {
        self.permits.release()
    }
}

/// Ready as a [`Semaphore`](super::Semaphore) is.
impl Waitable for BoundedSemaphore {
    fn watch(&self, watcher: &Watcher) {
        self.permits.watch(watcher);
    }

    fn unwatch(&self, watcher: &Watcher) {
        self.permits.unwatch(watcher);
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// A permit was to be given back that nobody had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverRelease;

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore was released more often than acquired")
    }
}

impl Error for OverRelease {}
