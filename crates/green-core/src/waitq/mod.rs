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
//! 2. Open an episode (see `park`), link a waiter, release the lock, park.
//! 3. Awake: if a notifier chose the caller, go back to 1 with the same ticket; else unlink the waiter
//!    and report the timeout or the interrupt.
//!
//! [`Monitor::wait_once`] is the same, but being chosen is the end of it.
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
//! acquires, so `wait_once` callers too see everything that was written before the notification.
//!
//! # Not here
//!
//! Who is a caller, and how it parks: `park`. What is waited for: each primitive's own state.

mod list;
#[cfg(all(test, green_loom))]
mod loom;
#[cfg(all(test, not(green_loom)))]
mod tests;

use std::fmt;
use std::ptr::NonNull;

use crate::park::{Caller, Interrupt, Unparker, Wake};
use crate::primitive::{Mutex, MutexGuard};
use crate::sched::WaitFor;
use crate::sched::word::{Mode, Outcome};
use crate::time::deadline::Deadline;
use list::{List, Waiter};

/// A FIFO of waiting callers, part of the state of a [`Monitor`].
#[derive(Debug, Default)]
pub(crate) struct WaitQueue {
    list: List,
    /// The ticket of the next waiter.
    next_ticket: u64,
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self {
            list: List::new(),
            next_ticket: 0,
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Chooses the caller that has waited longest.
    #[inline]
    pub(crate) fn notify_one(&mut self) -> Option<Notified> {
        self.notify_below(u64::MAX)
    }

    fn notify_below(&mut self, bound: u64) -> Option<Notified> {
        while let Some(unparker) = self.list.pop(bound) {
            if unparker.claim(Outcome::Notified) {
                return Some(Notified(unparker));
            }
        }
        None
    }
}

/// A caller that was chosen and must be woken, after the lock is released.
#[derive(Debug)]
#[must_use = "a chosen caller sleeps until it is woken"]
pub(crate) struct Notified(Unparker);

impl Notified {
    /// Wakes it.
    #[inline]
    pub(crate) fn wake(self) {
        self.0.unpark();
    }
}

/// Wakes who was chosen, if anybody was; true if so.
#[inline]
pub(crate) fn wake(notified: Option<Notified>) -> bool {
    notified.map(Notified::wake).is_some()
}

/// How one wait is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// What for, for dumps.
    pub(crate) what: WaitFor,
    /// What exactly, for dumps: a file descriptor, or zero.
    pub(crate) detail: u32,
    /// When to give up.
    pub(crate) deadline: Deadline,
    /// Whether interrupts may end it.
    pub(crate) mode: Mode,
}

impl Wait {
    /// An interruptible wait.
    pub(crate) fn new(what: WaitFor, deadline: Deadline) -> Self {
        Self {
            what,
            detail: 0,
            deadline,
            mode: Mode::Interruptible,
        }
    }

    /// The same, naming the file descriptor.
    pub(crate) fn on(self, detail: u32) -> Self {
        Self { detail, ..self }
    }
}

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
    state: Mutex<S>,
}

impl<S> Monitor<S> {
    /// A monitor over `state`.
    #[cfg(not(green_loom))]
    pub(crate) const fn new(state: S) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// A monitor over `state`.
    #[cfg(green_loom)]
    pub(crate) fn new(state: S) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// Takes the lock, for a short critical section.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock()
    }

    /// The state, of a monitor that nobody else reaches.
    #[cfg(not(green_loom))]
    pub(crate) fn get_mut(&mut self) -> &mut S {
        self.state.get_mut()
    }

    /// Waits in the queue that `queue` selects until `ready` yields something.
    ///
    /// `ready` and `queue` run under the lock and must not wait or call back.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; nothing was consumed.
    pub(crate) fn wait<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        mut ready: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R, NotReady> {
        let caller = Caller::current();
        let mut ticket = None;
        loop {
            let mut state = self.state.lock();
            if let Some(result) = ready(&mut state) {
                return Ok(result);
            }
            self.enqueue_and_park(&caller, state, wait, queue, &mut ticket, || ())?;
        }
    }

    /// Waits in the queue that `queue` selects until a notifier chooses the caller, unless `ready`
    /// yields something at once: then that is returned.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; nothing was consumed.
    pub(crate) fn wait_once<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ready: impl FnOnce(&mut S) -> Option<R>,
    ) -> Result<Option<R>, NotReady> {
        self.wait_once_then(wait, queue, ready, || ())
    }

    /// As [`Monitor::wait_once`]; calls `then` between linking the caller and parking it, without the
    /// lock. `then` must neither wait nor unwind.
    pub(crate) fn wait_once_then<R>(
        &self,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ready: impl FnOnce(&mut S) -> Option<R>,
        then: impl FnOnce(),
    ) -> Result<Option<R>, NotReady> {
        let caller = Caller::current();
        let mut state = self.state.lock();
        if let Some(result) = ready(&mut state) {
            return Ok(Some(result));
        }
        self.enqueue_and_park(&caller, state, wait, queue, &mut None, then)?;
        Ok(None)
    }

    /// Notifies everyone who waits now in the queue that `queue` selects; returns how many that were.
    /// Those who come later, even while this runs, are not notified.
    ///
    /// `first` runs in the same critical section that decides who waits now.
    pub(crate) fn notify_all(
        &self,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        first: impl FnOnce(&mut S),
    ) -> usize {
        let mut state = self.state.lock();
        first(&mut state);
        if queue(&mut state).is_empty() {
            return 0;
        }
        self.notify_everyone(state, queue)
    }

    /// The rest of [`Monitor::notify_all`], for a queue that is not empty.
    fn notify_everyone<'a>(
        &'a self,
        mut state: MutexGuard<'a, S>,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
    ) -> usize {
        let bound = queue(&mut state).next_ticket;
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

    /// Links the caller, releases the lock, parks; returns once a notifier chose the caller.
    #[inline]
    fn enqueue_and_park(
        &self,
        caller: &Caller,
        mut state: MutexGuard<'_, S>,
        wait: Wait,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        ticket: &mut Option<u64>,
        then: impl FnOnce(),
    ) -> Result<(), NotReady> {
        let opened = caller.begin(wait.mode).map_err(NotReady::Interrupted)?;
        let queue_now = queue(&mut state);
        let ticket = *ticket.get_or_insert_with(|| {
            let ticket = queue_now.next_ticket;
            queue_now.next_ticket += 1;
            ticket
        });
        let waiter = Waiter::new(opened.unparker.clone(), ticket);
        let on_stack;
        let (waiter, on_heap) = if caller.needs_heap() {
            (NonNull::from(Box::leak(Box::new(waiter))), true)
        } else {
            on_stack = waiter;
            (NonNull::from(&on_stack), false)
        };
        // SAFETY: the waiter is new, so not linked; it lives in this frame or in a leaked box, and the
        // guard below unlinks it on every way out of this function (list invariant 2).
        unsafe { queue_now.list.insert(waiter) };
        drop(state);
        let linked = Linked {
            monitor: self,
            queue,
            waiter,
            on_heap,
            done: false,
        };
        then();
        let wake = caller.park(opened, wait.deadline, wait.what, wait.detail);
        linked.finish(wake)
    }
}

impl<S> fmt::Debug for Monitor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// A waiter that must be unlinked before its memory goes.
struct Linked<'a, S, Q: Fn(&mut S) -> &mut WaitQueue + Copy> {
    monitor: &'a Monitor<S>,
    queue: Q,
    waiter: NonNull<Waiter>,
    /// Whether the waiter is a leaked box, to be freed with this guard.
    on_heap: bool,
    /// Whether the wait ended in the ordinary way and nothing is left to do.
    done: bool,
}

impl<S, Q: Fn(&mut S) -> &mut WaitQueue + Copy> Linked<'_, S, Q> {
    /// The wait is over.
    fn finish(mut self, wake: Wake) -> Result<(), NotReady> {
        let result = match wake {
            // The notifier has unlinked the waiter: nothing is left to do under the lock.
            Wake::Notified => Ok(()),
            Wake::TimedOut => Err(NotReady::TimedOut),
            Wake::Interrupted(interrupt) => Err(NotReady::Interrupted(interrupt)),
        };
        if result.is_err() {
            self.unlink(&mut self.monitor.state.lock());
        }
        self.free();
        self.done = true;
        result
    }

    /// Takes the waiter out of its queue; true if it was still in it.
    fn unlink(&self, state: &mut S) -> bool {
        // SAFETY: the waiter lives until `free`, and was only ever linked in this queue.
        unsafe { (self.queue)(state).list.remove(self.waiter) }
    }

    /// Gives the waiter's memory back; it is not linked any more.
    fn free(&self) {
        if self.on_heap {
            list::free(self.waiter);
        }
    }
}

impl<S, Q: Fn(&mut S) -> &mut WaitQueue + Copy> Drop for Linked<'_, S, Q> {
    /// The park unwound: only `may` does that, to cancel a coroutine.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.monitor.state.lock();
        let was_linked = self.unlink(&mut state);
        // Unlinked already means notified: somebody else must have what this caller was woken for.
        let passed_on = if was_linked {
            None
        } else {
            (self.queue)(&mut state).notify_one()
        };
        drop(state);
        wake(passed_on);
        self.free();
    }
}

/// How many waiters one critical section of `notify_all` chooses.
const NOTIFY_BATCH: usize = 32;
