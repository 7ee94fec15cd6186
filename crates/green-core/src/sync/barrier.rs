//! std's `Barrier`, green.

use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue};

/// A place where callers wait until a given number of them is there; see [`std::sync::Barrier`].
///
/// A caller that is killed or timed out while it waits takes its arrival back, so the number of those who are
/// still to come stays right. Only if the last one comes before it has done so, it counts for that round.
///
/// # Differences from std
///
/// None.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::sync::Barrier;
///
/// let barrier = Arc::new(Barrier::new(3));
/// let waiters = [(); 2].map(|()| {
///     let barrier = Arc::clone(&barrier);
///     green_core::spawn(move || barrier.wait().is_leader())
/// });
/// let mut leaders = u32::from(barrier.wait().is_leader());
/// leaders += waiters.iter().map(|waiter| u32::from(waiter.get().unwrap())).sum::<u32>();
/// assert_eq!(leaders, 1);
/// ```
pub struct Barrier {
    /// How many callers it takes.
    size: usize,
    state: Monitor<State>,
}

#[derive(Debug)]
struct State {
    /// How many have arrived in this round.
    arrived: usize,
    /// The number of this round.
    round: usize,
    waiting: WaitQueue,
}

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

/// What one of those who waited is told; see [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult(bool);

impl Barrier {
    /// A barrier for `n` callers; see [`std::sync::Barrier::new`]. Zero is as one.
    #[inline]
    #[must_use]
    pub const fn new(n: usize) -> Self {
        Self {
            size: n,
            state: Monitor::new(State {
                arrived: 0,
                round: 0,
                waiting: WaitQueue::new(),
            }),
        }
    }

    /// Waits until all are there; see [`std::sync::Barrier::wait`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn wait(&self) -> BarrierWaitResult {
        let arrival = Arrival {
            barrier: self,
            round: Cell::new(None),
        };
        let wait = Wait::new(WaitFor::Barrier, Deadline::Never);
        let all_there = |state: &mut State| match arrival.round.get() {
            None => arrival.is_last(state).then_some(true),
            Some(round) => (state.round != round).then_some(false),
        };
        let is_leader = self
            .state
            .wait(wait, |state| &mut state.waiting, all_there)
            .unless_interrupted();
        arrival.round.set(None);
        if is_leader {
            self.state.notify_all(|state| &mut state.waiting, |_| ());
        }
        BarrierWaitResult(is_leader)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl BarrierWaitResult {
    /// Whether this is the one of them that may do what is to be done once; see
    /// [`std::sync::BarrierWaitResult::is_leader`].
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult")
            .field("is_leader", &self.is_leader())
            .finish()
    }
}

/// One caller's arrival; taken back if it unwinds before its round is over.
struct Arrival<'a> {
    barrier: &'a Barrier,
    /// The round for which it counts and waits.
    round: Cell<Option<usize>>,
}

impl Arrival<'_> {
    /// Arrives. The last one of a round ends it.
    fn is_last(&self, state: &mut State) -> bool {
        state.arrived += 1;
        if state.arrived < self.barrier.size {
            self.round.set(Some(state.round));
            return false;
        }
        state.arrived = 0;
        state.round = state.round.wrapping_add(1);
        true
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if let Some(round) = self.round.get() {
            let mut state = self.barrier.state.lock();
            if state.round == round {
                state.arrived -= 1;
            }
        }
    }
}
