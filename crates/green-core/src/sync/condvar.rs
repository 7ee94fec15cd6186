//! std's `Condvar`, green.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

use super::mutex::MutexGuard;
use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// A condition variable; see [`std::sync::Condvar`].
///
/// # Differences from std
///
/// Waiters are notified in the order in which they came, and there are no spurious wake-ups. One
/// condition variable may be used with several mutexes. An interrupt while waiting unwinds without the
/// lock.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::sync::{Condvar, Mutex};
///
/// let pair = Arc::new((Mutex::new(false), Condvar::new()));
/// let theirs = Arc::clone(&pair);
/// green_core::spawn(move || {
///     *theirs.0.lock().unwrap() = true;
///     theirs.1.notify_one();
/// });
/// let started = pair.1.wait_while(pair.0.lock().unwrap(), |started| !*started).unwrap();
/// assert!(*started);
/// ```
pub struct Condvar {
    waiting: Monitor<WaitQueue>,
}

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// Whether a wait timed out; see [`std::sync::WaitTimeoutResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether it did.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable that nobody waits for; see [`std::sync::Condvar::new`].
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiting: Monitor::new(WaitQueue::new()),
        }
    }

    /// Gives the lock back and waits for a notification; see [`std::sync::Condvar::wait`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, Deadline::Never).0
    }

    /// Waits while `condition` holds; see [`std::sync::Condvar::wait_while`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits at most `dur`; see [`std::sync::Condvar::wait_timeout`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, timed_out) = self.wait_until(guard, Deadline::after(dur));
        with(guard, WaitTimeoutResult(timed_out))
    }

    /// Waits at most `ms` milliseconds; false if that was too short; see
    /// [`std::sync::Condvar::wait_timeout_ms`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    #[deprecated(since = "0.1.0", note = "use `Condvar::wait_timeout`")]
    pub fn wait_timeout_ms<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        ms: u32,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let limit = Duration::from_millis(u64::from(ms));
        let (guard, timed_out) = self.wait_until(guard, Deadline::after(limit));
        with(guard, !timed_out)
    }

    /// Waits while `condition` holds, at most `dur`; see
    /// [`std::sync::Condvar::wait_timeout_while`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Instant::now().checked_add(dur);
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline - Instant::now());
            guard = self.wait_timeout(guard, left)?.0;
        }
    }

    /// Wakes the caller that has waited longest; see [`std::sync::Condvar::notify_one`].
    pub fn notify_one(&self) {
        let next = self.waiting.lock().notify_one();
        wake(next);
    }

    /// Wakes all who wait now; see [`std::sync::Condvar::notify_all`].
    pub fn notify_all(&self) {
        self.waiting.notify_all(|queue| queue, |_| ());
    }

    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        let mutex = guard.mutex();
        let wait = Wait::new(WaitFor::Condvar, deadline);
        let notified: Option<Option<()>> = self
            .waiting
            .wait_once_then(wait, |queue| queue, |_| None, || drop(guard))
            .or_raise();
        // An interrupt here would lose the notification for everyone: it waits for the next call.
        mutex.acquire(Mode::Masked);
        (mutex.guard(), notified.is_none())
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// The guard, and how the wait for it ended.
fn with<G, R>(guard: LockResult<G>, how: R) -> LockResult<(G, R)> {
    match guard {
        Ok(guard) => Ok((guard, how)),
        Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), how))),
    }
}
