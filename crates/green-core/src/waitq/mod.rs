//! A lock over some state, and FIFO queues of callers that wait for the state to change.
//!
//! The one wait list in this project: every blocking type is a [`Monitor`] over its state with one or
//! two [`WaitQueue`]s inside; see the table in `docs/architecture.md`.
//!
//! # Protocol
//!
//! [`Monitor::wait`], for a caller that waits until `ready` has something for it:
//!
//! 1. Take the lock. If `ready(state)` yields something, return it.
//! 2. Open an episode (see `park`), link the caller's waiter, release the lock, park.
//! 3. Awake: if a notifier chose the caller, go back to 1 with the same ticket; else unlink the waiter
//!    and report the timeout or the interrupt.
//!
//! [`Monitor::wait_once_then`] is the same, but being chosen is the end of it. [`Monitor::wait_granted`] is
//! that where the notifier has given the chosen caller something: one that cannot use it gives it
//! back.
//!
//! [`WaitQueue::notify_one`], under the lock: unlink the oldest waiter and claim its episode for
//! `Notified`; if its timer or its killer was faster, take the next one. The waker returned is used
//! after the lock is released.
//!
//! # Invariants
//!
//! 1. No wake-up falls between check and park: `ready` is called, and the waiter linked, in one critical
//!    section, and whoever changes the state does so, and notifies, under the same lock.
//! 2. Exactly one of {notified, timed out, interrupted} wins, by the claim. A waiter that lost to its
//!    timer or killer consumed nothing: `notify_one` has gone on to the next.
//! 3. A waiter that was notified looks at the state once more before it can be interrupted: what it was
//!    woken for is either taken by it, or was taken by a running caller who will notify again.
//! 4. Waiters are served in the order of their tickets; one that was woken in vain keeps its ticket. A
//!    running caller may take what is free ahead of them.
//!
//! # Memory ordering
//!
//! State and lists are under the lock. A notifier's claim releases and the waiter's look at its word
//! acquires, so those who are not to look again see everything that was written before the notification.
//!
//! # Not here
//!
//! Who is a caller, and how it parks: `park`. How long a waiter can be overtaken: `line`. What is waited for: each primitive's own state.

#[cfg(not(green_loom))]
mod line;
#[cfg(all(test, green_loom))]
mod loom;
#[cfg(feature = "async")]
mod polled;
#[cfg(all(test, green_loom, feature = "async"))]
mod polled_loom;
#[cfg(all(test, not(green_loom)))]
mod tests;

use std::fmt;

#[cfg(not(green_loom))]
use crate::engine::make_room;
use crate::list::List;
#[cfg(not(green_loom))]
use crate::park::Green;
pub(crate) use crate::park::Wait;
use crate::park::{Caller, Interrupt, Park, Wake};
use crate::primitive::{BriefMutex, BriefMutexGuard};
use crate::sched::WaitFor;
use crate::sched::waiter::Waiter;
use crate::sched::word::Outcome;
#[cfg(not(green_loom))]
pub(crate) use line::{Chosen, Line, OVERTAKEN_AT_MOST};
#[cfg(feature = "async")]
pub(crate) use polled::Polling;

/// A FIFO of waiting callers, part of the state of a [`Monitor`].
#[derive(Debug, Default)]
pub(crate) struct WaitQueue {
    list: List<Waiter>,
    /// The number of the last waiter; the lowest bit of its ticket says how it shares.
    last_number: u64,
}

/// A place in a [`WaitQueue`]: who waited already when it was taken stands before it, who comes later behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

/// How a waiter takes what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Alone.
    Alone,
    /// Together with others of this kind.
    Together,
}

impl Share {
    #[inline]
    fn of(what: WaitFor) -> Self {
        match what {
            WaitFor::RwLockRead => Self::Together,
            _ => Self::Alone,
        }
    }
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self {
            list: List::new(),
            last_number: 0,
        }
    }

    /// The place behind everyone who waits now.
    pub(crate) fn mark(&self) -> Mark {
        Mark(ticket_of(self.last_number + 1, Share::Alone))
    }

    /// Whether nobody waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many wait, by walking past them.
    pub(crate) fn count(&mut self) -> usize {
        self.list.count()
    }

    /// Chooses the caller that has waited longest.
    #[inline]
    pub(crate) fn notify_one(&mut self) -> Option<Notified> {
        self.notify_below(u64::MAX)
    }

    #[inline]
    fn notify_below(&mut self, bound: u64) -> Option<Notified> {
        while let Some(waiter) = self.list.pop(bound) {
            if waiter.claim_linked(Outcome::Notified) {
                return Some(Notified(waiter));
            }
        }
        None
    }

    /// Chooses the caller that has waited longest if it is one that `admits` lets in; tells which kind.
    pub(crate) fn notify_one_if(
        &mut self,
        admits: impl Fn(Share) -> bool,
    ) -> Option<(Share, Notified)> {
        while let Some(ticket) = self.list.first_ticket() {
            let share = share_of(ticket);
            if !admits(share) {
                return None;
            }
            let waiter = self.list.pop(u64::MAX)?;
            if waiter.claim_linked(Outcome::Notified) {
                return Some((share, Notified(waiter)));
            }
        }
        None
    }

    /// Links a waiter, with the ticket that it has from before or with a new one.
    #[inline]
    fn enqueue(&mut self, waiter: &'static Waiter, ticket: &mut Option<u64>, share: Share) {
        let ticket = *ticket.get_or_insert_with(|| {
            self.last_number += 1;
            ticket_of(self.last_number, share)
        });
        // SAFETY: the calling caller's own waiter, which waits in one queue at a time and has left the one
        // before: it is in no list, and nobody else links it (list invariants 1 and 2).
        unsafe { self.list.insert(waiter, ticket) };
    }

    /// Takes out a waiter that can only be in this queue; true if it still was.
    fn leave(&mut self, waiter: &'static Waiter) -> bool {
        // SAFETY: it was linked in this queue, and its caller has not waited anywhere since.
        unsafe { self.list.remove(waiter) }
    }
}

/// Tickets are in the order of their numbers.
#[inline]
fn ticket_of(number: u64, share: Share) -> u64 {
    number << 1 | u64::from(share == Share::Together)
}

fn share_of(ticket: u64) -> Share {
    if ticket & 1 == 0 {
        Share::Alone
    } else {
        Share::Together
    }
}

/// A caller that was chosen and must be woken, after the lock is released.
#[derive(Debug)]
#[must_use = "a chosen caller sleeps until it is woken"]
pub(crate) struct Notified(&'static Waiter);

impl Notified {
    /// Wakes it.
    #[inline]
    pub(crate) fn wake(self) {
        self.0.wake();
    }
}

/// Wakes who was chosen, if anybody was; true if so.
#[inline]
pub(crate) fn wake(notified: Option<Notified>) -> bool {
    notified.map(Notified::wake).is_some()
}

/// Who looks at the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A caller that has not waited yet.
    Running,
    /// One that waited, and that a notifier chose.
    Chosen,
}

/// No stacks of ours in a model.
#[cfg(green_loom)]
fn make_room() {}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The deadline passed.
    TimedOut,
    /// The caller is to unwind.
    Interrupted(Interrupt),
}

/// See the module documentation.
pub(crate) struct Monitor<S> {
    state: BriefMutex<S>,
}

impl<S> Monitor<S> {
    /// A monitor over `state`.
    #[cfg(not(green_loom))]
    pub(crate) const fn new(state: S) -> Self {
        Self {
            state: BriefMutex::new(state),
        }
    }

    /// A monitor over `state`.
    #[cfg(green_loom)]
    pub(crate) fn new(state: S) -> Self {
        Self {
            state: BriefMutex::new(state),
        }
    }

    /// Takes the lock, for a short critical section.
    #[inline]
    pub(crate) fn lock(&self) -> BriefMutexGuard<'_, S> {
        make_room();
        self.state.lock()
    }

    /// As [`lock`](Self::lock), inside another monitor's critical section.
    #[cfg(not(green_loom))]
    #[inline]
    pub(crate) fn lock_inside(&self) -> BriefMutexGuard<'_, S> {
        // Room was made before the first lock: an overflow between them would leave that one locked.
        self.state.lock()
    }

    /// The state, of a monitor that nobody else reaches.
    #[cfg(not(green_loom))]
    pub(crate) fn get_mut(&mut self) -> &mut S {
        self.state.get_mut()
    }

    /// Waits in the queue that `queue` selects until `ready` yields something.
    ///
    /// # Errors
    ///
    /// As [`Monitor::wait_in_turn`].
    #[inline]
    pub(crate) fn wait<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        mut ready: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R, NotReady> {
        let pass_on = |state: &mut S| queue(state).notify_one();
        self.wait_in_turn(wait, queue, |state, _| ready(state), pass_on)
    }

    /// The same; tells `ready` whose turn it is, and calls `pass_on`, under the lock, if the caller unwinds
    /// although a notifier chose it.
    ///
    /// `ready` and `queue` run under the lock and must not wait or call back.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; nothing was consumed.
    #[inline]
    pub(crate) fn wait_in_turn<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        mut ready: impl FnMut(&mut S, Turn) -> Option<R>,
        pass_on: impl Fn(&mut S) -> Option<Notified> + Copy,
    ) -> Result<R, NotReady> {
        make_room();
        let mut state = self.state.lock();
        if let Some(result) = ready(&mut state, Turn::Running) {
            return Ok(result);
        }
        #[cfg(not(green_loom))]
        if let Some(green) = Green::current() {
            return self.wait_as(green, state, &wait, queue, &mut ready, pass_on);
        }
        // To find out who else it is may allocate: not under the lock.
        drop(state);
        let caller = Caller::foreign();
        state = self.state.lock();
        if let Some(result) = ready(&mut state, Turn::Running) {
            return Ok(result);
        }
        self.wait_as(caller, state, &wait, queue, &mut ready, pass_on)
    }

    /// The rest of [`Monitor::wait_in_turn`], after `ready` has yielded nothing.
    fn wait_as<'a, R>(
        &'a self,
        caller: impl Park,
        mut state: BriefMutexGuard<'a, S>,
        wait: &Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ready: &mut impl FnMut(&mut S, Turn) -> Option<R>,
        pass_on: impl Fn(&mut S) -> Option<Notified> + Copy,
    ) -> Result<R, NotReady> {
        let mut ticket = None;
        loop {
            self.park(caller, state, wait, queue, &mut ticket, || (), pass_on)?;
            state = self.state.lock();
            if let Some(result) = ready(&mut state, Turn::Chosen) {
                return Ok(result);
            }
        }
    }

    /// As [`Monitor::wait_once_then`], where a notifier gives the chosen caller something under the lock. If the
    /// caller was chosen and then unwinds, `give_back`, under the lock, gives that to somebody else.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; nothing was given.
    pub(crate) fn wait_granted<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ready: impl FnOnce(&mut S) -> Option<R>,
        give_back: impl Fn(&mut S) -> Option<Notified>,
    ) -> Result<Option<R>, NotReady> {
        make_room();
        #[cfg(not(green_loom))]
        if let Some(green) = Green::current() {
            return self.wait_once_as(green, &wait, queue, ready, || (), give_back);
        }
        self.wait_once_as(Caller::foreign(), &wait, queue, ready, || (), give_back)
    }

    /// Waits in the queue that `queue` selects until a notifier chooses the caller, unless `ready`
    /// yields something at once: then that is returned. Calls `then` between linking the caller and parking
    /// it, without the lock; `then` must neither wait nor unwind.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; nothing was consumed.
    pub(crate) fn wait_once_then<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ready: impl FnOnce(&mut S) -> Option<R>,
        then: impl FnOnce(),
    ) -> Result<Option<R>, NotReady> {
        make_room();
        let pass_on = |state: &mut S| queue(state).notify_one();
        #[cfg(not(green_loom))]
        if let Some(green) = Green::current() {
            return self.wait_once_as(green, &wait, queue, ready, then, pass_on);
        }
        self.wait_once_as(Caller::foreign(), &wait, queue, ready, then, pass_on)
    }

    fn wait_once_as<R>(
        &self,
        caller: impl Park,
        wait: &Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ready: impl FnOnce(&mut S) -> Option<R>,
        then: impl FnOnce(),
        pass_on: impl Fn(&mut S) -> Option<Notified>,
    ) -> Result<Option<R>, NotReady> {
        let mut state = self.state.lock();
        if let Some(result) = ready(&mut state) {
            return Ok(Some(result));
        }
        self.park(caller, state, wait, queue, &mut None, then, pass_on)?;
        Ok(None)
    }

    /// Notifies everyone who waits now in the queue that `queue` selects; returns how many that were.
    /// Those who come later, even while this runs, are not notified.
    ///
    /// `first` runs in the same critical section that decides who waits now.
    #[inline]
    pub(crate) fn notify_all(
        &self,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        first: impl FnOnce(&mut S),
    ) -> usize {
        self.notify_before(queue, |state| {
            first(state);
            None
        })
    }

    /// As [`Monitor::notify_all`], sparing those who came after the mark that `first` returns, if it does.
    #[inline]
    pub(crate) fn notify_before(
        &self,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        first: impl FnOnce(&mut S) -> Option<Mark>,
    ) -> usize {
        make_room();
        let mut state = self.state.lock();
        let mark = first(&mut state);
        if queue(&mut state).is_empty() {
            return 0;
        }
        let mark = mark.unwrap_or_else(|| queue(&mut state).mark());
        self.notify_everyone(state, queue, mark)
    }

    /// The rest of [`Monitor::notify_before`], for a queue that is not empty.
    #[cold]
    fn notify_everyone<'a>(
        &'a self,
        mut state: BriefMutexGuard<'a, S>,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        Mark(bound): Mark,
    ) -> usize {
        let mut count = 0;
        loop {
            let mut batch = [const { None }; NOTIFY_BATCH];
            for place in &mut batch {
                *place = queue(&mut state).notify_below(bound);
                if place.is_none() {
                    break;
                }
            }
            drop(state);
            let chosen = batch
                .into_iter()
                .map_while(|notified| notified.map(Notified::wake))
                .count();
            count += chosen;
            if chosen < NOTIFY_BATCH {
                return count;
            }
            state = self.state.lock();
        }
    }

    /// Links the caller with its ticket, or a new one, releases the lock, parks; returns once a notifier chose it.
    #[expect(clippy::too_many_arguments, reason = "the one place where all meet")]
    #[inline]
    fn park(
        &self,
        caller: impl Park,
        mut state: BriefMutexGuard<'_, S>,
        wait: &Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ticket: &mut Option<u64>,
        then: impl FnOnce(),
        pass_on: impl Fn(&mut S) -> Option<Notified>,
    ) -> Result<(), NotReady> {
        let opened = caller.begin(wait.mode).map_err(NotReady::Interrupted)?;
        let waiter = caller.waiter();
        queue(&mut state).enqueue(waiter, ticket, Share::of(wait.what));
        drop(state);
        then();
        let cancelled = Cancelled {
            monitor: self,
            queue,
            waiter,
            pass_on,
        };
        let wake = caller.park(opened, wait);
        cancelled.did_not_happen();
        let not_ready = match wake {
            // The notifier has unlinked the waiter: nothing is left to do under the lock.
            Wake::Notified => return Ok(()),
            Wake::TimedOut => NotReady::TimedOut,
            Wake::Interrupted(interrupt) => NotReady::Interrupted(interrupt),
        };
        queue(&mut self.state.lock()).leave(waiter);
        Err(not_ready)
    }
}

impl<S> fmt::Debug for Monitor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// What is left to do when a park unwinds, which only `may` does, to cancel a coroutine; or when a future is dropped.
struct Cancelled<'a, S, Q, P>
where
    Q: Fn(&mut S) -> &mut WaitQueue,
    P: Fn(&mut S) -> Option<Notified>,
{
    monitor: &'a Monitor<S>,
    queue: Q,
    waiter: &'static Waiter,
    /// Gives somebody else what the caller was chosen for; called under the lock.
    pass_on: P,
}

impl<S, Q, P> Cancelled<'_, S, Q, P>
where
    Q: Fn(&mut S) -> &mut WaitQueue,
    P: Fn(&mut S) -> Option<Notified>,
{
    #[expect(clippy::mem_forget, reason = "it holds references only")]
    fn did_not_happen(self) {
        std::mem::forget(self);
    }
}

impl<S, Q, P> Drop for Cancelled<'_, S, Q, P>
where
    Q: Fn(&mut S) -> &mut WaitQueue,
    P: Fn(&mut S) -> Option<Notified>,
{
    fn drop(&mut self) {
        let word = &self.waiter.word;
        let mut state = self.monitor.state.lock();
        (self.queue)(&mut state).leave(self.waiter);
        // Somebody else must have what this caller was woken for.
        let passed_on = match word.outcome() {
            Some(Outcome::Notified) => (self.pass_on)(&mut state),
            _ => None,
        };
        drop(state);
        word.end();
        wake(passed_on);
    }
}

/// How many waiters one critical section of `notify_all` chooses.
const NOTIFY_BATCH: usize = 32;
