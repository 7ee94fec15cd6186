//! gevent's `lock`: semaphores.

use std::fmt;
use std::time::{Duration, Instant};

use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// A counter of permits. Acquiring takes one, waiting while there is none.
///
/// Waiters are served first in, first out; a caller that is running may take a free permit ahead of
/// them, as in gevent.
///
/// # Examples
///
/// ```
/// use green_core::lock::Semaphore;
///
/// let two = Semaphore::new(2);
/// let first = two.acquire();
/// let _second = two.acquire();
/// assert!(two.try_acquire().is_none());
/// drop(first);
/// assert!(two.try_acquire().is_some());
/// ```
pub struct Semaphore {
    state: Monitor<State>,
}

#[derive(Debug)]
struct State {
    permits: usize,
    waiting: WaitQueue,
}

impl State {
    fn take(&mut self) -> Option<()> {
        self.permits = self.permits.checked_sub(1)?;
        Some(())
    }
}

impl Semaphore {
    /// A semaphore with `permits` permits.
    pub const fn new(permits: usize) -> Self {
        Self {
            state: Monitor::new(State {
                permits,
                waiting: WaitQueue::new(),
            }),
        }
    }

    /// How many permits are free.
    pub fn available(&self) -> usize {
        self.state.lock().permits
    }

    /// Takes a permit, waiting until one is free.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a wait without a deadline does not time out"
    )]
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_until(Deadline::Never)
            .expect("a wait without a deadline does not time out")
    }

    /// Takes a permit if one is free.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.state
            .lock()
            .take()
            .map(|()| Permit { semaphore: self })
    }

    /// Takes a permit, waiting at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.acquire_until(Deadline::after(timeout))
    }

    /// Takes a permit, waiting until `deadline` at the latest.
    pub fn acquire_deadline(&self, deadline: Instant) -> Option<Permit<'_>> {
        self.acquire_until(Deadline::At(deadline))
    }

    /// Adds a permit; anybody may.
    ///
    /// # Panics
    ///
    /// If there are `usize::MAX` already.
    pub fn release(&self) {
        let mut state = self.state.lock();
        let permits = state.permits.checked_add(1);
        let next = if permits.is_some() {
            state.waiting.notify_one()
        } else {
            None
        };
        if let Some(permits) = permits {
            state.permits = permits;
        }
        drop(state);
        assert!(permits.is_some(), "a semaphore was released too often");
        wake(next);
    }

    fn acquire_until(&self, deadline: Deadline) -> Option<Permit<'_>> {
        let wait = Wait::new(WaitFor::Semaphore, deadline);
        let taken = self
            .state
            .wait(wait, |state| &mut state.waiting, State::take);
        taken.or_raise().map(|()| Permit { semaphore: self })
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// A permit of a [`Semaphore`]; given back when it is dropped, also by unwinding.
#[derive(Debug)]
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Keeps the permit for good; [`Semaphore::release`] gives one back.
    #[expect(
        clippy::mem_forget,
        reason = "not giving the permit back is what is asked for"
    )]
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}
