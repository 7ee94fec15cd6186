//! One file descriptor that callers wait for: what is remembered of its readiness, and who waits.
//!
//! # Readiness
//!
//! The poller reports edges, so what an edge said is remembered until an attempt finds it used up.
//!
//! | bit | set by | cleared by |
//! |---|---|---|
//! | `READ`, `WRITE` | an event | an attempt that would block; on TCP streams also one that moved fewer bytes than asked, but not zero |
//! | `READ_CLOSED`, `WRITE_CLOSED` | an event (RDHUP, HUP, ERR) | an attempt that would block: the error of a datagram socket has passed, a FIFO has a writer again |
//! | `URGENT` | an event (PRI) | nothing; short clears stop, since urgent data cuts a read short |
//!
//! Data and FIN may arrive in one edge: without the sticky bit a short read would clear it and the end
//! of the stream would never be seen. An attempt that would block is another matter: at the end of a stream
//! none does, so what was remembered is not true any more, and whoever trusted it would never wait.
//!
//! # Memory ordering
//!
//! The bits share a word with a tick that every event increments. An attempt notes the word before it
//! enters the kernel, and its clear takes effect only if the tick is still the same: an event that came
//! in meanwhile, from whichever hub, is not erased. An event sets the bits before it takes the
//! monitor's lock, and a waiter looks at them under that lock before it is linked, so either the waiter
//! sees the bits or the event finds the waiter.
//!
//! The word also holds the generation: how often the source has been taken into use. An event of an earlier use
//! is dropped by the exchange that would set its bits.
//!
//! `queued`, a hint that spares the lock, is written under it. Whoever finds readiness left over after its own
//! operation looks at the hint: a waiter that was linked before the event that set the bits is seen, because
//! the event's critical section lies between; one that came after has seen the bits itself.

use std::ops::BitOr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
#[cfg(feature = "async")]
use std::task::{Context, Poll};

use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
#[cfg(feature = "async")]
use crate::waitq::Polling;
use crate::waitq::{Monitor, NotReady, Notified, Share, Wait, WaitQueue, wake};

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

    pub(super) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The bits of the word that hold a [`Ready`].
const BITS: u64 = (1 << 8) - 1;

/// One event, in the bits of the word that count them.
const TICK: u64 = BITS + 1;

/// The bits of the word that hold the tick.
const TICKS: u64 = GENERATION - TICK;

/// One use of the source, in the bits of the word that count those.
const GENERATION: u64 = 1 << 32;

/// What an attempt noted of the readiness before it entered the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u64);

impl Seen {
    /// Whether an attempt is worth while.
    #[inline]
    pub(crate) fn is_ready(self, direction: Direction) -> bool {
        Ready(self.0).intersects(direction.mask())
    }
}

/// See the module documentation.
#[derive(Debug)]
#[repr(C, align(64))] // All that a wake-up touches is one cache line.
pub(crate) struct Source {
    /// The generation, the tick and the bits.
    word: AtomicU64,
    /// Who waits, by direction.
    queues: Monitor<Queues>,
    /// The hub whose poller watches it.
    home: AtomicU32,
    /// The hub from which it was waited for last, and how many times in a row: see [`Source::visit`].
    visits: AtomicU32,
    /// Its place in the table.
    index: u32,
    /// Whether anybody waits, by direction: a hint.
    queued: [AtomicBool; 2],
}

/// Who is to be woken when something is ready, after the lock is released.
#[derive(Default)]
struct Chosen {
    /// Who has waited longest, and takes what is ready.
    next: Option<Notified>,
    /// Those before it who may not come: futures that share.
    sharing: Vec<Notified>,
}

impl Chosen {
    #[inline]
    fn of(queue: &mut WaitQueue) -> Self {
        let mut chosen = Self::default();
        while let Some((share, notified)) = queue.notify_one_if(|_| true) {
            if share == Share::Alone {
                chosen.next = Some(notified);
                break;
            }
            chosen.sharing.push(notified);
        }
        chosen
    }

    #[inline]
    fn wake(self) {
        for sharing in self.sharing {
            sharing.wake();
        }
        wake(self.next);
    }
}

/// Who waits, by direction.
type Queues = [WaitQueue; 2];

/// Waits from one other hub in a row after which a source moves there.
const VISITS: u32 = 8;

impl Source {
    /// A source that nobody uses.
    pub(super) fn new(index: u32) -> Self {
        Self {
            word: AtomicU64::new(0),
            queues: Monitor::new([const { WaitQueue::new() }; 2]),
            home: AtomicU32::new(0),
            visits: AtomicU32::new(0),
            index,
            queued: [const { AtomicBool::new(false) }; 2],
        }
    }

    /// Its place in the table.
    #[cfg(test)]
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The index and the generation: what the poller's events carry.
    pub(super) fn token(&self) -> u64 {
        u64::from(self.index) << 32 | self.word.load(Ordering::Relaxed) >> 32
    }

    /// Taken into use: nothing is remembered, and what events of the use before are under way mean nothing. The
    /// hub of this number will watch it.
    pub(super) fn begin(&self, home: usize) {
        let generation = self.word.load(Ordering::Relaxed) & !(GENERATION - 1);
        self.word
            .store(generation.wrapping_add(GENERATION), Ordering::Release);
        self.set_home(home);
    }

    /// The number of the hub whose poller watches it.
    pub(super) fn home(&self) -> usize {
        self.home.load(Ordering::Relaxed) as usize
    }

    /// The hub of this number watches it from now on.
    pub(super) fn set_home(&self, hub: usize) {
        self.visits.store(0, Ordering::Relaxed);
        self.home
            .store(u32::try_from(hub).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Somebody on the hub of this number is about to wait; true if the source should move there: if that has
    /// happened [`VISITS`] times in a row, with nobody else waiting in between.
    ///
    /// Callers may overwrite each other's count: it decides nothing but speed.
    #[inline]
    pub(super) fn visit(&self, hub: usize) -> bool {
        if hub == self.home() {
            if self.visits.load(Ordering::Relaxed) != 0 {
                self.visits.store(0, Ordering::Relaxed);
            }
            return false;
        }
        self.visit_from_elsewhere(hub)
    }

    #[cold]
    fn visit_from_elsewhere(&self, hub: usize) -> bool {
        let hub = u32::try_from(hub).unwrap_or(u32::MAX);
        let visits = self.visits.load(Ordering::Relaxed);
        let (visitor, count) = (visits >> 8, visits & 0xff);
        let count = if visitor == hub { count + 1 } else { 1 };
        self.visits.store(hub << 8 | count, Ordering::Relaxed);
        count >= VISITS
    }

    /// What is remembered now.
    #[inline]
    pub(crate) fn seen(&self) -> Seen {
        Seen(self.word.load(Ordering::Acquire))
    }

    /// An attempt that began at `seen` used up what was ready; unless something has happened since.
    #[inline]
    pub(crate) fn clear(&self, direction: Direction, seen: Seen) {
        let bits = direction.mask().0;
        let mut word = seen.0;
        // A failure with the same tick is a clear of the other direction: try again.
        while word & !BITS == seen.0 & !BITS && word & bits != 0 {
            match self.word.compare_exchange_weak(
                word,
                word & !bits,
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
        if !Ready(seen.0).intersects(direction.closed() | Ready::URGENT) {
            self.clear(direction, seen);
        }
    }

    /// After an attempt that did not block: if more is ready and somebody waits for it, it is their turn.
    #[inline]
    pub(crate) fn pass_on(&self, direction: Direction) {
        if self.queued[direction.index()].load(Ordering::Relaxed) {
            self.notify_next(direction);
        }
    }

    #[cold]
    fn notify_next(&self, direction: Direction) {
        let mut queues = self.queues.lock();
        let ready = Ready(self.word.load(Ordering::Acquire)).intersects(direction.mask());
        let next = if ready {
            Chosen::of(&mut queues[direction.index()])
        } else {
            Chosen::default()
        };
        self.note_queued(direction, &queues);
        drop(queues);
        next.wake();
    }

    /// Waits until an attempt is worth while.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted.
    #[inline]
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
        self.queues.wait(
            Wait::new(what, deadline).on(fd),
            |queues| &mut queues[direction.index()],
            |_| self.look(direction),
        )
    }

    /// Whether an attempt is worth while; notes that somebody waits, if not. Called under the lock.
    #[inline]
    fn look(&self, direction: Direction) -> Option<()> {
        let word = Ready(self.word.load(Ordering::Acquire));
        if word.intersects(direction.mask()) {
            return Some(());
        }
        self.queued[direction.index()].store(true, Ordering::Relaxed);
        None
    }

    /// One step of [`Source::wait`], for a future.
    #[cfg(feature = "async")]
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        polling: &mut Polling,
        context: &Context<'_>,
    ) -> Poll<()> {
        self.queues.poll_in_turn(
            polling,
            context,
            |queues| &mut queues[direction.index()],
            |_, _| self.look(direction),
        )
    }

    /// Gives up what [`Source::poll_ready`] waits for.
    #[cfg(feature = "async")]
    pub(crate) fn cancel(&self, direction: Direction, polling: &mut Polling) {
        let was_waiting = polling.is_waiting();
        self.queues
            .cancel(polling, |queues| &mut queues[direction.index()], |_| None);
        if was_waiting {
            // It may have been chosen: whoever is next, of either kind, has its turn if there is anything still.
            self.pass_on(direction);
        }
    }

    /// The descriptor goes. Who waits still has forgotten that: a future that was leaked.
    pub(super) fn end(&self) {
        for direction in [Direction::Read, Direction::Write] {
            if self.queued[direction.index()].load(Ordering::Relaxed) {
                self.queues
                    .notify_all(|queues| &mut queues[direction.index()], |_| ());
                self.queued[direction.index()].store(false, Ordering::Relaxed);
            }
        }
    }

    /// The poller reported an event for the use of this generation.
    #[inline]
    pub(super) fn deliver(&self, generation: u32, ready: Ready) {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word >> 32 != u64::from(generation) {
                return;
            }
            let tick = word.wrapping_add(TICK) & TICKS;
            let next = word & !TICKS | tick | ready.0;
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        if ready.intersects(Ready::READ_CLOSED | Ready::WRITE_CLOSED) {
            self.notify_closed(ready);
        }
        let mut queues = self.queues.lock();
        let mut next = |direction: Direction| {
            let next = if ready.intersects(direction.bit()) {
                Chosen::of(&mut queues[direction.index()])
            } else {
                Chosen::default()
            };
            self.note_queued(direction, &queues);
            next
        };
        let (reader, writer) = (next(Direction::Read), next(Direction::Write));
        drop(queues);
        reader.wake();
        writer.wake();
    }

    /// Nobody needs to wait any more in the directions that are closed.
    #[cold]
    fn notify_closed(&self, ready: Ready) {
        for direction in [Direction::Read, Direction::Write] {
            if ready.intersects(direction.closed()) {
                self.queues
                    .notify_all(|queues| &mut queues[direction.index()], |_| ());
            }
        }
    }

    /// Keeps the hint right. Called under the lock.
    #[inline]
    fn note_queued(&self, direction: Direction, queues: &Queues) {
        let queued = !queues[direction.index()].is_empty();
        self.queued[direction.index()].store(queued, Ordering::Relaxed);
    }
}
