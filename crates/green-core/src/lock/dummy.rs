//! A semaphore without a limit.

use std::time::{Duration, Instant};

use super::semaphore::Permit;

/// What has the methods of a [`Semaphore`](super::Semaphore) and always a free permit.
///
/// # Examples
///
/// ```
/// use green_core::lock::DummySemaphore;
///
/// let any_number = DummySemaphore::new();
/// let _first = any_number.acquire();
/// assert!(any_number.try_acquire().is_some() && !any_number.locked());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DummySemaphore;

impl DummySemaphore {
    /// A semaphore without a limit.
    pub const fn new() -> Self {
        Self
    }

    /// False: a permit is free.
    pub fn locked(&self) -> bool {
        false
    }

    /// True: a permit is free.
    pub fn ready(&self) -> bool {
        true
    }

    /// A permit, at once.
    pub fn acquire(&self) -> Permit<'_> {
        Permit::dummy()
    }

    /// A permit.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        Some(self.acquire())
    }

    /// A permit, at once.
    pub fn acquire_timeout(&self, _timeout: Duration) -> Option<Permit<'_>> {
        Some(self.acquire())
    }

    /// A permit, at once.
    pub fn acquire_deadline(&self, _deadline: Instant) -> Option<Permit<'_>> {
        Some(self.acquire())
    }

    /// Returns 1, at once.
    pub fn wait(&self) -> usize {
        1
    }

    /// Returns 1, at once.
    pub fn wait_timeout(&self, _timeout: Duration) -> usize {
        1
    }

    /// Does nothing.
    pub fn release(&self) {}
}
