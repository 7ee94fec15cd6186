//! What others need of a caller to end its wait: the one record that all three kinds of caller have.
//!
//! Waiters are leaked when they are made and reused for ever, so whoever wakes may hold one without counting
//! references: the episode number in the word, and the id of the green thread, tell whether it still
//! means the same wait.
//!
//! # Invariants
//!
//! 1. A caller waits in one queue at a time. It opens an episode before it is linked, and is unlinked before
//!    it opens another. So a linked waiter's open episode, if it has one, is the wait it is linked for.
//! 2. The owner's id changes between waits only.
//!
//! # Memory ordering
//!
//! For the word see `sched::word`. The owner's id is written before the owner opens a wait, which releases, so
//! whoever sees that wait open sees the owner; and a killer that reads a kill of the owner after sees, by the
//! exchange that wrote it, that owner too.

use std::fmt;

#[cfg(not(green_loom))]
use super::slot::Slot;
use super::word::{Episode, Outcome, Word};
use crate::atomic_ref::{AtomicEither, Either};
use crate::list::{Node, Place};
use crate::primitive::{AtomicU64, Ordering, after_seqcst};

/// See the module documentation.
#[derive(Debug)]
#[repr(C)] // What a waker touches stands together.
pub(crate) struct Waiter {
    /// Who ends the current wait.
    pub(crate) word: Word,
    /// Where it stands in a queue.
    place: Place<Self>,
    /// The id of the green thread that waits here, or of the last one; 0 for none.
    green_thread: AtomicU64,
    /// The id of the green thread that was asked to die; 0 for none.
    kill: AtomicU64,
    /// What to wake. Set once, right after the record has its place.
    target: AtomicEither<Slot, Other>,
}

/// What a waiter wakes that is no green thread's slot: an OS thread, a `may` coroutine.
pub(crate) struct Other(&'static dyn Wake);

/// No hubs in a model.
#[cfg(green_loom)]
#[derive(Debug)]
pub(crate) struct Slot(std::convert::Infallible, u64);

/// A caller that no hub resumes.
pub(crate) trait Wake: Send + Sync {
    /// Wakes the caller, whose wait was claimed.
    fn wake(&self);
}

impl Node for Waiter {
    #[inline]
    fn place(&self) -> &Place<Self> {
        &self.place
    }
}

impl Waiter {
    /// A waiter that wakes nobody yet.
    pub(crate) fn new() -> Self {
        Self {
            word: Word::new(),
            place: Place::new(),
            green_thread: AtomicU64::new(0),
            kill: AtomicU64::new(0),
            target: AtomicEither::none(),
        }
    }

    /// It wakes the green thread in `slot`, of which it is a part.
    #[cfg(not(green_loom))]
    pub(crate) fn wakes_slot(&self, slot: &'static Slot) {
        self.target.set(Either::First(slot));
    }

    /// It wakes `other`.
    pub(crate) fn wakes_other(&self, other: &'static dyn Wake) {
        self.target
            .set(Either::Second(Box::leak(Box::new(Other(other)))));
    }

    /// The slot that it wakes, if it is a green thread's.
    #[cfg(not(green_loom))]
    pub(crate) fn slot(&self) -> Option<&'static Slot> {
        match self.target.get() {
            Some(Either::First(slot)) => Some(slot),
            _ => None,
        }
    }

    /// Tries to end the wait that is open now, if one is; the caller has just unlinked the waiter (so, by
    /// invariant 1, that is the wait it was linked for), and must wake it if this is true.
    #[inline]
    pub(crate) fn claim_linked(&self, outcome: Outcome) -> bool {
        self.word
            .open()
            .is_some_and(|episode| self.word.claim(episode, outcome))
    }

    /// Wakes the caller whose wait was claimed.
    #[inline]
    pub(crate) fn wake(&self) {
        match self.target.get() {
            #[cfg(not(green_loom))]
            Some(Either::First(slot)) => super::wake(slot),
            #[cfg(green_loom)]
            Some(Either::First(Slot(never, _))) => match *never {},
            Some(Either::Second(other)) => other.0.wake(),
            None => unreachable!("a waiter has its target before it is used"),
        }
    }

    /// The green thread `id` waits here from now on.
    pub(crate) fn adopt(&self, id: u64) {
        self.green_thread.store(id, Ordering::Release);
    }

    /// Asks the green thread `id` to die, if it still is the one that waits here. True if that ended a wait:
    /// the caller must then wake it.
    pub(crate) fn request_kill(&self, id: u64) -> bool {
        loop {
            // Read before the owner is looked at: if the next owner is asked meanwhile, the exchange fails.
            let before = self.kill.load(Ordering::SeqCst);
            if self.green_thread.load(Ordering::Acquire) != id {
                return false;
            }
            let exchanged =
                self.kill
                    .compare_exchange(before, id, Ordering::SeqCst, Ordering::Relaxed);
            if exchanged.is_ok() {
                break;
            }
        }
        after_seqcst();
        self.claim_kill(id)
    }

    /// Ends the current wait of green thread `id` by the kill that it has been asked for.
    ///
    /// Owner and kill are looked at between the load of the word and the claim, which succeeds only if the
    /// same wait is still open (invariant 2). A pending kill is taken only by whoever ends a wait with it, or
    /// between waits: so if it was pending while this wait was open, it still is, and one kill ends one wait.
    fn claim_kill(&self, id: u64) -> bool {
        self.word.interruptible().is_some_and(|episode| {
            self.green_thread.load(Ordering::Acquire) == id
                && self.kill.load(Ordering::SeqCst) == id
                && self.word.claim(episode, Outcome::Interrupted)
        })
    }

    /// Whether a kill waits for delivery. Only the green thread itself asks.
    #[inline]
    pub(crate) fn kill_pending(&self) -> bool {
        let kill = self.kill.load(Ordering::SeqCst);
        kill != 0 && kill == self.green_thread.load(Ordering::Relaxed)
    }

    /// A kill that was taken waits for delivery again. Only the green thread itself does this.
    pub(crate) fn put_back_kill(&self) {
        let own = self.green_thread.load(Ordering::Relaxed);
        // What is asked of a former owner meanwhile has nobody to reach.
        self.kill.store(own, Ordering::SeqCst);
    }

    /// Takes the pending kill, which is delivered once; false if there is none. Only the green thread itself
    /// does this.
    pub(crate) fn take_kill(&self) -> bool {
        let own = self.green_thread.load(Ordering::Relaxed);
        own != 0
            && self
                .kill
                .compare_exchange(own, 0, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
    }
}

/// What a timer or another OS thread holds of a waiter: enough to end one wait of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unparker {
    /// Whom.
    pub(crate) waiter: &'static Waiter,
    /// Which wait.
    pub(crate) episode: Episode,
}

impl Unparker {
    /// Ends the wait by `outcome` and wakes the caller, if nobody was faster; true if so.
    pub(crate) fn end(self, outcome: Outcome) -> bool {
        let claimed = self.waiter.word.claim(self.episode, outcome);
        if claimed {
            self.waiter.wake();
        }
        claimed
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Other").finish_non_exhaustive()
    }
}
