//! A caller that is polled instead of parked: a future, on whichever executor.
//!
//! It has a waiter as the others have, so it stands in the same queues; but nobody is suspended. Between two polls it keeps its
//! record, a [`Polled`], with the waker of the last poll. Records are leaked and reused, as all that have a waiter.
//!
//! # Protocol
//!
//! 1. A poll that has to wait leaves its waker ([`Polled::note`]), opens an episode ([`Polled::begin`]), and has the
//!    waiter linked.
//! 2. A claimer takes the waker and calls it.
//! 3. Every poll leaves its waker first, and then looks at the word ([`Polled::outcome`]).
//! 4. Whoever gives up unlinks the waiter, and ends the episode ([`Polled::end`]), claimed or not: nobody can claim it then.
//!
//! # Invariants
//!
//! 1. A claim that a poll does not see comes after the poll has left its waker. So the claimer finds that waker, or
//!    another claimer has taken it, who is about to call it.
//! 2. A claimer may be so late that the record has another owner by then. It takes that one's waker and calls it: a poll
//!    without a reason, which leaves the waker again (3). So that owner is polled once more after whatever it missed.
//!
//! # Memory ordering
//!
//! The waker is under a lock, which the claimer takes after its claim and a poll before its look at the word. If the poll was
//! first, the claimer finds its waker; if the claimer was, the poll sees the claim.
//!
//! # Not here
//!
//! Interrupts: nobody kills a future. It is dropped.

use std::fmt;
use std::task::Waker;

use crate::primitive::BriefMutex;
use crate::sched::waiter::{self, Waiter};
use crate::sched::word::{Episode, Mode, Outcome};

/// What others need of a future to end its waits.
pub(crate) struct PolledParker {
    /// Who ends the current wait.
    waiter: Waiter,
    /// Of the last poll, if nobody has called it.
    waker: BriefMutex<Option<Waker>>,
}

impl PolledParker {
    fn new() -> &'static Self {
        let parker: &'static Self = Box::leak(Box::new(Self {
            waiter: Waiter::new(),
            waker: BriefMutex::new(None),
        }));
        parker.waiter.wakes_other(parker);
        parker
    }
}

impl waiter::Wake for PolledParker {
    fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            call(waker);
        }
    }
}

/// Calls a waker, which is code of others: it may be a hub's loop that does, or somebody who has more to wake.
fn call(waker: Waker) {
    let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waker.wake()));
    if let Err(payload) = called {
        log::error!("green: a waker panicked");
        leak(payload);
    }
}

/// Gives up a payload without running its destructor, which may panic where nothing may unwind.
#[expect(clippy::mem_forget, reason = "not running the destructor is the point")]
fn leak(payload: Box<dyn std::any::Any + Send>) {
    std::mem::forget(payload);
}

/// The record of one future, until it is dropped. Whoever drops it has unlinked its waiter, and ended its episode.
pub(crate) struct Polled(&'static PolledParker);

#[cfg(not(green_loom))]
impl Polled {
    pub(crate) fn new() -> Self {
        let pooled = POOL.lock().pop();
        Self(pooled.unwrap_or_else(PolledParker::new))
    }
}

#[cfg(green_loom)]
impl Polled {
    pub(crate) fn new() -> Self {
        Self(PolledParker::new())
    }
}

impl Polled {
    /// `waker` is to be called when the wait ends. To be called by every poll, before anything else.
    #[inline]
    pub(crate) fn note(&self, waker: &Waker) {
        let noted = self.0.waker.lock();
        if noted.as_ref().is_some_and(|noted| noted.will_wake(waker)) {
            return;
        }
        drop(noted);
        // Code of others: not under the lock.
        let waker = waker.clone();
        let before = self.0.waker.lock().replace(waker);
        drop(before);
    }

    /// Opens a wait.
    #[inline]
    pub(crate) fn begin(&self) -> Episode {
        self.0.waiter.word.begin(Mode::Masked)
    }

    /// How the wait ended; `None` while it has not.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.0.waiter.word.outcome()
    }

    /// Ends the wait on the future's side.
    #[inline]
    pub(crate) fn end(&self) {
        self.0.waiter.word.end();
    }

    /// Leaves the record as it is, for ever.
    #[expect(clippy::mem_forget, reason = "not giving it back is the point")]
    pub(crate) fn leak(self) {
        std::mem::forget(self);
    }

    /// What others hold of it.
    #[inline]
    pub(crate) fn waiter(&self) -> &'static Waiter {
        &self.0.waiter
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        let waker = self.0.waker.lock().take();
        drop(waker);
        #[cfg(not(green_loom))]
        POOL.lock().push(self.0);
    }
}

impl fmt::Debug for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled").finish_non_exhaustive()
    }
}

/// The records that nobody has.
#[cfg(not(green_loom))]
static POOL: BriefMutex<Vec<&'static PolledParker>> = BriefMutex::new(Vec::new());
