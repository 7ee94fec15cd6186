//! One file descriptor that callers wait for: what is remembered of its readiness, and who waits.
//!
//! # Readiness
//!
//! The poller reports edges, so what an edge said is remembered until an attempt finds it used up.
//!
//! | bit | set by | cleared by |
//! |---|---|---|
//! | `READ`, `WRITE` | an event | an attempt that would block; on TCP streams also one that moved fewer bytes than asked, but not zero |
//! | `READ_CLOSED`, `WRITE_CLOSED` | an event (RDHUP, HUP, ERR) | nothing |
//! | `URGENT` | an event (PRI) | nothing; short clears stop, since urgent data cuts a read short |
//!
//! Data and FIN may arrive in one edge: without the sticky bit a short read would clear it and the end
//! of the stream would never be seen.
//!
//! # Memory ordering
//!
//! The bits share a word with a tick that every event increments. An attempt notes the word before it
//! enters the kernel, and its clear takes effect only if the tick is still the same: an event that came
//! in meanwhile, from whichever hub, is not erased. An event sets the bits before it takes the
//! monitor's lock, and a waiter looks at them under that lock before it is linked, so either the waiter
//! sees the bits or the event finds the waiter.

use std::ops::BitOr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Data, a connection, or the end of the stream.
    Read,
    /// Room, or a connection made.
    Write,
}

impl Direction {
    const fn index(self) -> usize {
        match self {
            Self::Read => 0,
            Self::Write => 1,
        }
    }

    /// The bits that make an attempt worth while.
    const fn mask(self) -> Ready {
        match self {
            Self::Read => Ready(Ready::READ.0 | Ready::READ_CLOSED.0),
            Self::Write => Ready(Ready::WRITE.0 | Ready::WRITE_CLOSED.0),
        }
    }

    const fn bit(self) -> Ready {
        match self {
            Self::Read => Ready::READ,
            Self::Write => Ready::WRITE,
        }
    }

    const fn closed(self) -> Ready {
        match self {
            Self::Read => Ready::READ_CLOSED,
            Self::Write => Ready::WRITE_CLOSED,
        }
    }
}

/// A set of readiness bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready(u64);

impl Ready {
    pub(crate) const EMPTY: Self = Self(0);
    pub(crate) const READ: Self = Self(1);
    pub(crate) const WRITE: Self = Self(1 << 1);
    pub(crate) const READ_CLOSED: Self = Self(1 << 2);
    pub(crate) const WRITE_CLOSED: Self = Self(1 << 3);
    pub(crate) const URGENT: Self = Self(1 << 4);
    /// The source is in a poller: what it remembers can be relied on.
    const REGISTERED: Self = Self(1 << 5);

    const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The bits of the word that hold a [`Ready`]; the rest is the tick.
const BITS: u64 = (1 << 8) - 1;

/// One event.
const TICK: u64 = BITS + 1;

/// What an attempt noted of the readiness before it entered the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u64);

impl Seen {
    /// Whether an attempt is worth while: the source is not watched yet, or an event said so.
    #[inline]
    pub(crate) fn may_be_ready(self, direction: Direction) -> bool {
        !self.is_registered() || Ready(self.0).intersects(direction.mask())
    }

    #[inline]
    fn is_registered(self) -> bool {
        Ready(self.0).intersects(Ready::REGISTERED)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Source {
    /// The tick and the bits.
    word: AtomicU64,
    /// How many callers are in `wait`, by direction: a hint that spares the lock.
    waiting: [AtomicU32; 2],
    /// Who waits, by direction.
    queues: Monitor<[WaitQueue; 2]>,
}

impl Source {
    /// A source that no poller watches yet.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiting: [const { AtomicU32::new(0) }; 2],
            queues: Monitor::new([const { WaitQueue::new() }; 2]),
        }
    }

    /// What is remembered now.
    #[inline]
    pub(crate) fn seen(&self) -> Seen {
        Seen(self.word.load(Ordering::Acquire))
    }

    /// An attempt that began at `seen` used up what was ready; unless something has happened since.
    #[inline]
    pub(crate) fn clear(&self, direction: Direction, seen: Seen) {
        let bit = direction.bit().0;
        let mut word = seen.0;
        // A failure with the same tick is a clear of the other direction: try again.
        while word & !BITS == seen.0 & !BITS && word & bit != 0 {
            match self.word.compare_exchange_weak(
                word,
                word & !bit,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// An attempt moved fewer bytes than asked: clears, unless the source is closing or has seen urgent
    /// data.
    #[inline]
    pub(crate) fn clear_short(&self, direction: Direction, seen: Seen) {
        if seen.is_registered() && !Ready(seen.0).intersects(direction.closed() | Ready::URGENT) {
            self.clear(direction, seen);
        }
    }

    /// After an attempt that did not block: if more is ready and somebody waits for it, it is their turn.
    #[inline]
    pub(crate) fn pass_on(&self, direction: Direction) {
        if self.waiting[direction.index()].load(Ordering::Relaxed) != 0 {
            self.notify_next(direction);
        }
    }

    #[cold]
    fn notify_next(&self, direction: Direction) {
        let mut queues = self.queues.lock();
        let ready = Ready(self.word.load(Ordering::Acquire)).intersects(direction.mask());
        let next = if ready {
            queues[direction.index()].notify_one()
        } else {
            None
        };
        drop(queues);
        wake(next);
    }

    /// Waits until an attempt is worth while.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted.
    pub(crate) fn wait(
        &self,
        direction: Direction,
        deadline: Deadline,
        fd: u32,
    ) -> Result<(), NotReady> {
        let what = match direction {
            Direction::Read => WaitFor::Read,
            Direction::Write => WaitFor::Write,
        };
        let waiting = &self.waiting[direction.index()];
        waiting.fetch_add(1, Ordering::Relaxed);
        // `may` may unwind out of the wait.
        let _leave = OnDrop(|| _ = waiting.fetch_sub(1, Ordering::Relaxed));
        self.queues.wait(
            Wait::new(what, deadline).on(fd),
            |queues| &mut queues[direction.index()],
            |_| {
                let word = Ready(self.word.load(Ordering::Acquire));
                word.intersects(direction.mask()).then_some(())
            },
        )
    }

    /// A poller watches the source from now on; it will report what is ready already.
    pub(super) fn set_registered(&self) {
        self.word.fetch_or(Ready::REGISTERED.0, Ordering::AcqRel);
    }

    /// No poller could be made to watch the source.
    pub(super) fn unset_registered(&self) {
        self.word.fetch_and(!Ready::REGISTERED.0, Ordering::AcqRel);
    }

    /// The poller reported an event.
    pub(super) fn deliver(&self, ready: Ready) {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let next = (word | ready.0).wrapping_add(TICK);
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        for direction in [Direction::Read, Direction::Write] {
            if ready.intersects(direction.closed()) {
                self.queues
                    .notify_all(|queues| &mut queues[direction.index()], |_| ());
            }
        }
        let mut queues = self.queues.lock();
        let mut next = [Direction::Read, Direction::Write].map(|direction| {
            ready
                .intersects(direction.bit())
                .then(|| queues[direction.index()].notify_one())
                .flatten()
        });
        drop(queues);
        for notified in &mut next {
            wake(notified.take());
        }
    }
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
