//! A hub's inbox: how other OS threads hand it work, and how they wake it.
//!
//! # Protocol
//!
//! Producer: push the message under the lock; release the lock; `SeqCst` fence; if `asleep` is set,
//! clear it, and whoever cleared it rings the bell (writes the hub's eventfd).
//!
//! Hub, before it sleeps: set `asleep`; `SeqCst` fence; look at the inbox; if there is something, clear
//! `asleep` and do not sleep; else sleep in the poll; clear `asleep` after.
//!
//! # Invariants
//!
//! 1. No message is left in the inbox of a hub that sleeps and whose bell does not ring. The fences
//!    order "set `asleep`, then look" against "push, then look at `asleep`": at least one side sees the
//!    other's write. If the hub sees the message it does not sleep; if the producer sees `asleep` it
//!    rings.
//! 2. The bell rings at most once per sleep: `swap` gives the flag to one producer.

use crate::primitive::{AtomicBool, BriefMutex, Ordering, fence};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    /// The messages, oldest first.
    messages: BriefMutex<Vec<M>>,
    /// Whether `messages` is non-empty: lets the hub look without the lock.
    /// Invariant: written under the lock only.
    pending: AtomicBool,
    /// Whether the hub sleeps, or is about to.
    asleep: AtomicBool,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            messages: BriefMutex::new(Vec::new()),
            pending: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        }
    }

    /// Leaves a message. True if the caller must ring the bell.
    #[must_use = "a hub that sleeps must be woken"]
    pub(crate) fn push(&self, message: M) -> bool {
        let mut messages = self.messages.lock();
        messages.push(message);
        self.pending.store(true, Ordering::Release);
        drop(messages);
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel)
    }

    /// Moves all messages to the end of `into`.
    pub(crate) fn drain(&self, into: &mut Vec<M>) {
        if self.pending.load(Ordering::Acquire) {
            let mut messages = self.messages.lock();
            self.pending.store(false, Ordering::Relaxed);
            into.append(&mut messages);
        }
    }

    /// Announces that the hub is about to sleep. True if it may.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.pending.load(Ordering::Relaxed) {
            self.end_sleep();
            return false;
        }
        true
    }

    /// The hub is awake.
    pub(crate) fn end_sleep(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Whether the hub sleeps, or is about to, and nothing will wake it that was left here.
    pub(crate) fn is_asleep_and_empty(&self) -> bool {
        self.asleep.load(Ordering::Acquire) && !self.pending.load(Ordering::Acquire)
    }

    /// Whether the hub sleeps, or is about to.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Relaxed)
    }
}
