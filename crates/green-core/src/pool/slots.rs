//! Counted places: how many may be in a pool at once, who waits for a place, and who waits until all are free.
//!
//! Groups count their members with it, thread pools their tasks.
//!
//! # Invariants
//!
//! 1. Whoever took a place gives it back once.
//! 2. Of those who wait for a place, the one that has waited longest is woken for each that is given back; a running
//!    caller may take it first.
//! 3. Who waits until all are free sees every moment at which they are, also one that is over when it runs again.

use std::fmt;

use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// See the module documentation.
pub(crate) struct Slots {
    state: Monitor<State>,
}

#[derive(Debug)]
struct State {
    /// How many there are; `None` for any number.
    size: Option<usize>,
    taken: usize,
    /// Whether no more may be taken.
    closed: bool,
    /// How often the last one that was taken was given back.
    times_empty: u64,
    /// Who waits to take one.
    taking: WaitQueue,
    /// Who waits until none is taken.
    joining: WaitQueue,
    /// Who waits until one is free, and does not take it.
    watching: WaitQueue,
}

/// Why no place was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// All were taken, and none was given back in time.
    Full,
    /// No more may be taken.
    Closed,
}

impl Slots {
    pub(crate) const fn new(size: Option<usize>) -> Self {
        Self {
            state: Monitor::new(State {
                size,
                taken: 0,
                closed: false,
                times_empty: 0,
                taking: WaitQueue::new(),
                joining: WaitQueue::new(),
                watching: WaitQueue::new(),
            }),
        }
    }

    /// Takes a place, waiting while there is none.
    ///
    /// # Errors
    ///
    /// There was none in time, or no more may be taken.
    pub(crate) fn take(&self, deadline: Deadline) -> Result<(), NotTaken> {
        let wait = Wait::new(WaitFor::Semaphore, deadline);
        let taken = self
            .state
            .wait(wait, |state| &mut state.taking, State::take);
        taken.or_raise().unwrap_or(Err(NotTaken::Full))
    }

    /// Takes a place if there is one.
    ///
    /// # Errors
    ///
    /// There is none, or no more may be taken.
    pub(crate) fn try_take(&self) -> Result<(), NotTaken> {
        self.state.lock().take().unwrap_or(Err(NotTaken::Full))
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self) {
        let mut state = self.state.lock();
        state.taken -= 1;
        let next = state.wake_for_free();
        let is_empty = state.taken == 0;
        state.times_empty += u64::from(is_empty);
        let joining = is_empty && !state.joining.is_empty();
        let watching = !state.watching.is_empty();
        drop(state);
        // Those who saw it empty come before whoever fills it again.
        if joining {
            self.state.notify_all(|state| &mut state.joining, |_| ());
        }
        wake(next);
        if watching {
            self.state.notify_all(|state| &mut state.watching, |_| ());
        }
    }

    /// Waits until no place is taken, or was none at some moment since the call; false if the deadline passed first.
    pub(crate) fn join(&self, deadline: Deadline) -> bool {
        let mut at_call = None;
        let wait = Wait::new(WaitFor::Join, deadline);
        let joined = self.state.wait(
            wait,
            |state| &mut state.joining,
            |state| {
                let at_call = *at_call.get_or_insert(state.times_empty);
                (state.taken == 0 || state.times_empty != at_call).then_some(())
            },
        );
        joined.or_raise().is_some()
    }

    /// Waits until a place is free, or no more may be taken; how many are free then, 1 if there is no limit.
    pub(crate) fn wait_available(&self, deadline: Deadline) -> usize {
        let wait = Wait::new(WaitFor::Semaphore, deadline);
        let available = self.state.wait_once_then(
            wait,
            |state| &mut state.watching,
            |state| (state.closed || state.free() != Some(0)).then_some(()),
            || (),
        );
        if available.or_raise().is_none() {
            return 0;
        }
        let state = self.state.lock();
        if state.closed {
            return 0;
        }
        state.free().unwrap_or(1)
    }

    /// From now on no place may be taken; who waits for one is told.
    pub(crate) fn close(&self) {
        self.state
            .notify_all(|state| &mut state.taking, |state| state.closed = true);
        self.state.notify_all(|state| &mut state.watching, |_| ());
    }

    /// Changes how many there are. Those that are taken stay taken.
    pub(crate) fn resize(&self, size: Option<usize>) {
        self.state
            .notify_all(|state| &mut state.taking, |state| state.size = size);
        self.state.notify_all(|state| &mut state.watching, |_| ());
    }

    pub(crate) fn size(&self) -> Option<usize> {
        self.state.lock().size
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.state.lock().taken
    }

    /// How many are free; `None` if there is no limit.
    pub(crate) fn free(&self) -> Option<usize> {
        self.state.lock().free()
    }

    /// How often the last one that was taken was given back.
    pub(crate) fn times_empty(&self) -> u64 {
        self.state.lock().times_empty
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl State {
    #[inline]
    fn take(&mut self) -> Option<Result<(), NotTaken>> {
        if self.closed {
            return Some(Err(NotTaken::Closed));
        }
        if self.free() == Some(0) {
            return None;
        }
        self.taken += 1;
        Some(Ok(()))
    }

    #[inline]
    fn free(&self) -> Option<usize> {
        self.size.map(|size| size.saturating_sub(self.taken))
    }

    /// Chooses who is to have a place that was given back; nobody while too many are taken.
    #[inline]
    fn wake_for_free(&mut self) -> Option<crate::waitq::Notified> {
        if self.free() == Some(0) {
            return None;
        }
        self.taking.notify_one()
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("size", &self.size())
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}
