//! Counted places: how many may be in a pool at once, who waits for a place, and who waits until all are free.
//!
//! Groups count their members with it, and keep them in its state; thread pools count their tasks.
//!
//! # Invariants
//!
//! 1. Whoever took a place gives it back once.
//! 2. Of those who wait for a place, the one that has waited longest is woken for each that is given back; a running
//!    caller may take it first, within the bound of [`Line`].
//! 3. Who waits until all are free sees every moment at which they are, also one that is over when it runs again.

use std::fmt;

use crate::greenlet::Left;
use crate::interrupt::OrRaise;
use crate::primitive::BriefMutexGuard;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Chosen, Line, Monitor, Turn, Wait, WaitQueue};

/// See the module documentation.
pub(crate) struct Slots<M = ()> {
    state: Monitor<State<M>>,
}

/// What a [`Slots`] guards.
#[derive(Debug)]
pub(crate) struct State<M> {
    /// Who is in the places, if that is known.
    pub(super) members: M,
    /// How many there are; `None` for any number.
    size: Option<usize>,
    taken: usize,
    /// Whether no more may be taken.
    closed: bool,
    /// How often the last one that was taken was given back.
    times_empty: u64,
    /// Who waits to take one, or only to see one.
    taking: Line,
    /// Who waits until none is taken.
    joining: WaitQueue,
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
        Self::with_members(size, ())
    }
}

impl<M> Slots<M> {
    pub(super) const fn with_members(size: Option<usize>, members: M) -> Self {
        Self {
            state: Monitor::new(State {
                members,
                size,
                taken: 0,
                closed: false,
                times_empty: 0,
                taking: Line::new(),
                joining: WaitQueue::new(),
            }),
        }
    }

    /// Takes a place, waiting while there is none; returns what `read` sees of the members at that moment.
    ///
    /// # Errors
    ///
    /// There was none in time, or no more may be taken.
    pub(crate) fn take<R>(
        &self,
        deadline: Deadline,
        read: impl Fn(&M) -> R,
    ) -> Result<R, NotTaken> {
        let wait = Wait::new(WaitFor::Semaphore, deadline);
        let taken = self.state.wait_in_turn(
            wait,
            |state| state.taking.queue(),
            |state, turn| state.take(turn, &read),
            |state| state.taking.pass_on(),
        );
        taken.or_raise().unwrap_or(Err(NotTaken::Full))
    }

    /// Takes a place if there is one, and it is not kept for those who wait; as [`take`](Self::take).
    ///
    /// # Errors
    ///
    /// There is none, or no more may be taken.
    pub(crate) fn try_take<R>(&self, read: impl Fn(&M) -> R) -> Result<R, NotTaken> {
        let taken = self.state.lock().take(Turn::Running, &read);
        taken.unwrap_or(Err(NotTaken::Full))
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self) {
        let left = self.state.lock().give_back();
        self.wake(left);
    }

    /// Wakes who was waiting for a place that was given back.
    #[inline]
    pub(super) fn wake(&self, left: Left) {
        let Left { next, joined } = left;
        // Those who saw it empty come before whoever fills it again.
        if joined {
            self.state.notify_all(|state| &mut state.joining, |_| ());
        }
        drop(next);
    }

    /// Reaches the members.
    #[inline]
    pub(super) fn lock(&self) -> BriefMutexGuard<'_, State<M>> {
        self.state.lock()
    }

    /// The same inside another critical section.
    #[inline]
    pub(super) fn lock_inside(&self) -> BriefMutexGuard<'_, State<M>> {
        self.state.lock_inside()
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
        let seen = self.state.wait_in_turn(
            Wait::new(WaitFor::Semaphore, deadline),
            |state| state.taking.queue(),
            State::see,
            |state| state.taking.pass_on(),
        );
        seen.or_raise().map_or(0, |(free, _next)| free)
    }

    /// From now on no place may be taken; who waits for one is told.
    pub(crate) fn close(&self) {
        let close = |state: &mut State<M>| {
            state.closed = true;
            state.taking.close();
        };
        self.state.notify_all(|state| state.taking.queue(), close);
    }

    /// Changes how many there are. Those that are taken stay taken.
    pub(crate) fn resize(&self, size: Option<usize>) {
        self.state
            .notify_all(|state| state.taking.queue(), |state| state.size = size);
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

impl<M> State<M> {
    #[inline]
    fn take<R>(&mut self, turn: Turn, read: impl Fn(&M) -> R) -> Option<Result<R, NotTaken>> {
        if self.closed {
            return Some(Err(NotTaken::Closed));
        }
        if !self.taking.admits(turn, self.free().unwrap_or(usize::MAX)) {
            return None;
        }
        self.taken += 1;
        Some(Ok(read(&self.members)))
    }

    /// Gives a place back; returns whom to wake.
    #[inline]
    pub(super) fn give_back(&mut self) -> Left {
        self.taken -= 1;
        let is_empty = self.taken == 0;
        self.times_empty += u64::from(is_empty);
        Left {
            next: self.choose(),
            joined: is_empty && !self.joining.is_empty(),
        }
    }

    /// For a caller that takes nothing: how many are free, 1 if there is no limit; whom to wake in its place.
    fn see(&mut self, turn: Turn) -> Option<(usize, Chosen)> {
        if self.closed {
            return Some((0, Chosen::default()));
        }
        let free = self.free();
        let next = self.taking.sees(turn, free.unwrap_or(usize::MAX))?;
        Some((free.unwrap_or(1), next))
    }

    #[inline]
    fn free(&self) -> Option<usize> {
        self.size.map(|size| size.saturating_sub(self.taken))
    }

    /// Chooses who is to have a place that was given back; nobody while too many are taken.
    #[inline]
    fn choose(&mut self) -> Chosen {
        if self.free() == Some(0) {
            return Chosen::default();
        }
        self.taking.choose()
    }
}

impl<M> fmt::Debug for Slots<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("size", &self.size())
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}
