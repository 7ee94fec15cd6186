//! Who has a read-write lock, and who waits for it: all of the lock but the value.
//!
//! # States
//!
//! The state word is a count of readers and two marks.
//!
//! | state | meaning | who leaves it |
//! |---|---|---|
//! | 0 | free, nobody waits | whoever locks, by adding `READER` or `WRITER` |
//! | n | n readers, nobody waits | readers; a writer that begins to wait, adding `WAITED_FOR` |
//! | `WRITER` | a writer, nobody waits | the writer; whoever begins to wait, adding `WAITED_FOR` |
//! | n or `WRITER`, and `WAITED_FOR` | the same, and somebody waits | its holders; whoever admits |
//! | `WAITED_FOR` | the last holder is about to admit | whoever admits |
//!
//! # Protocol
//!
//! 1. Whoever finds the lock in a state that lets it in adds itself, by one exchange.
//! 2. Else it takes the queue's lock, looks once more or sets `WAITED_FOR`, and is linked: readers and writers
//!    stand in one queue, in the order in which they came.
//! 3. A holder that leaves subtracts itself. If it then finds `WAITED_FOR`, and nobody else holds the lock, it
//!    *admits*: under the queue's lock, if the state lets the first of the queue in, it adds it to the state and
//!    wakes it. Who is woken so has the lock.
//! 4. A reader that was admitted admits the next one, if that is a reader, too.
//! 5. Whoever leaves the queue without the lock admits: those behind it may be let in now.
//!
//! # Invariants
//!
//! 1. While `WAITED_FOR` is set, nobody is added but by admitting, under the queue's lock: the order of the queue
//!    is the order of service.
//! 2. If the queue is not empty, `WAITED_FOR` is set: it is set in the critical section that links, and taken
//!    away in one that leaves the queue empty.
//! 3. Whoever was added to the state by admitting takes the lock, or gives it back if it is cancelled.
//!
//! # Memory ordering
//!
//! Leaving releases. Adding acquires, and so does the look at the state when admitting; all changes of the state
//! are read-modify-writes, so it sees what every holder before has written. An admitted caller sees it through the
//! claim of its wait.

use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::park::Wait;
use crate::primitive::{AtomicU32, Ordering};
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Notified, Share, WaitQueue, wake};

/// One reader.
const READER: u32 = 1;
/// As many readers as there may be.
const MAX_READERS: u32 = WRITER - 2;
/// The lock is held by a writer.
const WRITER: u32 = 1 << 30;
/// The queue is not empty.
const WAITED_FOR: u32 = 1 << 31;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Access {
    state: AtomicU32,
    waiting: Monitor<WaitQueue>,
}

// Nothing of it is left half way by a panic.
impl UnwindSafe for Access {}
impl RefUnwindSafe for Access {}

impl Access {
    /// A lock that nobody has.
    #[cfg(not(green_loom))]
    pub(super) const fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            waiting: Monitor::new(WaitQueue::new()),
        }
    }

    /// A lock that nobody has.
    #[cfg(green_loom)]
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            waiting: Monitor::new(WaitQueue::new()),
        }
    }

    /// Takes the lock for reading.
    #[inline]
    pub(super) fn read(&self) -> Result<(), NotReady> {
        if self.try_read() {
            Ok(())
        } else {
            self.wait(Share::Together)
        }
    }

    /// Takes the lock for reading if no writer has it and nobody waits.
    #[inline]
    pub(super) fn try_read(&self) -> bool {
        self.try_take(Share::Together)
    }

    /// Takes the lock for writing.
    #[inline]
    pub(super) fn write(&self) -> Result<(), NotReady> {
        if self.try_write() {
            Ok(())
        } else {
            self.wait(Share::Alone)
        }
    }

    /// Takes the lock for writing if nobody has it and nobody waits.
    #[inline]
    pub(super) fn try_write(&self) -> bool {
        self.state
            .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives back what a reader has.
    #[inline]
    pub(super) fn end_read(&self) {
        let before = self.state.fetch_sub(READER, Ordering::Release);
        if before == WAITED_FOR + READER {
            self.admit_next();
        }
    }

    /// Gives back what the writer has.
    #[inline]
    pub(super) fn end_write(&self) {
        let before = self.state.fetch_sub(WRITER, Ordering::Release);
        if before != WRITER {
            self.admit_next();
        }
    }

    /// Makes the writer a reader.
    pub(super) fn downgrade(&self) {
        let before = self.state.fetch_sub(WRITER - READER, Ordering::Release);
        if before != WRITER {
            self.admit_next();
        }
    }

    #[inline]
    fn try_take(&self, share: Share) -> bool {
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                lets_in(state, share).then(|| state + weight(share))
            })
            .is_ok()
    }

    #[cold]
    fn wait(&self, share: Share) -> Result<(), NotReady> {
        let what = match share {
            Share::Alone => WaitFor::RwLockWrite,
            Share::Together => WaitFor::RwLockRead,
        };
        assert!(
            share == Share::Alone
                || self.state.load(Ordering::Relaxed) & !WAITED_FOR != MAX_READERS,
            "too many active read locks on RwLock"
        );
        let leaves = Leaves { access: self };
        let taken = self.waiting.wait_granted(
            Wait::new(what, Deadline::Never),
            |queue| queue,
            |_| self.take_or_announce(share),
            |queue| {
                self.state.fetch_sub(weight(share), Ordering::Release);
                self.admit(queue)
            },
        );
        let at_once = taken?.is_some();
        leaves.did_not_happen();
        if !at_once && share == Share::Together && self.is_waited_for() {
            self.admit_next();
        }
        Ok(())
    }

    fn is_waited_for(&self) -> bool {
        self.state.load(Ordering::Relaxed) & WAITED_FOR != 0
    }

    /// Takes the lock, or notes that it is waited for. Called under the queue's lock.
    fn take_or_announce(&self, share: Share) -> Option<()> {
        let take = |state| match lets_in(state, share) {
            true => Some(state + weight(share)),
            false => Some(state | WAITED_FOR),
        };
        let before = self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, take)
            .unwrap_or_else(|state| state);
        lets_in(before, share).then_some(())
    }

    #[cold]
    fn admit_next(&self) {
        let mut queue = self.waiting.lock();
        let next = self.admit(&mut queue);
        drop(queue);
        wake(next);
    }

    /// Gives the lock to the first of the queue, if the state lets it in.
    fn admit(&self, queue: &mut WaitQueue) -> Option<Notified> {
        // Holders may leave meanwhile; then they admit, too. Nobody is added (invariant 1).
        let holders = self.state.load(Ordering::Acquire) & !WAITED_FOR;
        let chosen = queue.notify_one_if(|share| lets_in(holders, share));
        let next = chosen.map(|(share, next)| {
            self.state.fetch_add(weight(share), Ordering::Relaxed);
            next
        });
        if queue.is_empty() {
            self.state.fetch_and(!WAITED_FOR, Ordering::Relaxed);
        }
        next
    }
}

/// Whether the lock, in this state, lets one more in. A mark is more than any count of readers.
#[inline]
fn lets_in(state: u32, share: Share) -> bool {
    match share {
        Share::Alone => state == 0,
        Share::Together => state < MAX_READERS,
    }
}

/// What a holder adds to the state.
#[inline]
fn weight(share: Share) -> u32 {
    match share {
        Share::Alone => WRITER,
        Share::Together => READER,
    }
}

/// What is left to do when a caller goes without the lock.
struct Leaves<'a> {
    access: &'a Access,
}

impl Leaves<'_> {
    #[expect(clippy::mem_forget, reason = "it holds a reference only")]
    fn did_not_happen(self) {
        std::mem::forget(self);
    }
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.access.admit_next();
    }
}

#[cfg(all(test, not(green_loom)))]
mod tests {
    //! What takes a billion guards to reach.

    use std::panic::AssertUnwindSafe;

    use super::*;

    #[test]
    fn there_are_so_many_readers_and_no_more() {
        let access = Access::new();
        access.state.store(MAX_READERS - 1, Ordering::Relaxed);
        assert!(access.read().is_ok());
        assert!(!access.try_read() && !access.try_write());
        let caught = std::panic::catch_unwind(AssertUnwindSafe(|| access.read().is_ok()));
        let payload = caught.expect_err("one too many");
        let message = payload.downcast_ref::<&str>().expect("a message");
        assert_eq!(*message, "too many active read locks on RwLock");
        access.end_read();
        assert!(access.try_read());
    }
}
