//! What is runnable: data only, no loop.
//!
//! A hub has two halves. [`HubShared`] is what other OS threads reach: the inbox with its bell, the
//! registry of live green threads, counters. [`Local`] is what only the hub's own OS thread reaches,
//! through a thread-local: the FIFO of ready work, the timers, the idle carriers, and which green thread
//! is running. The loop over them is in `hub`.
//!
//! # Life of a green thread
//!
//! spawned (its [`Runner`] queued on its hub) → started (on a [`Slot`] that an idle carrier offers) → parked
//! and resumed any number of times ([`wake`]) → finished (the slot goes to the next start, or idle).
//!
//! # Invariants
//!
//! 1. A slot is in one of the two ready FIFOs at most once: only the one claimer of its episode (`word`), or the
//!    green thread itself when it yields, puts it there.
//! 2. The FIFO is looked at by the hub loop only, on the hub's own stack, so a slot that is made ready
//!    before its green thread has switched away is resumed after it has.

pub(crate) mod call_timer;
pub(crate) mod carriers;
pub(crate) mod control;
pub(crate) mod inbox;
pub(crate) mod interrupts;
pub(crate) mod locals;
#[expect(unsafe_code, reason = "allocates, and keeps what it allocated")]
mod memory;
pub(crate) mod placement;
pub(crate) mod ready;
#[expect(unsafe_code, reason = "counts references to records: see its rules")]
pub(crate) mod record;
#[cfg(test)]
#[expect(unsafe_code, reason = "gives memory back")]
mod record_tests;
pub(crate) mod registry;
pub(crate) mod slot;
pub(crate) mod stack_usage;
pub(crate) mod stopwatch;
pub(crate) mod timers;
mod wait_for;
pub(crate) mod waiter;
pub(crate) mod word;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::engine::Frames;
use crate::engine::sample::Sample;
use crate::error::TraceError;
use carriers::Carriers;
use inbox::Inbox;
use memory::Memory;
use ready::Ready;
use record::{ControlRef, Runner, SendRunner};
use registry::Registry;
use slot::{Slot, SlotLocal};
use stopwatch::Stopwatches;
use timers::Timers;
pub(crate) use wait_for::WaitFor;

/// The half of a hub that other OS threads reach.
#[derive(Debug)]
pub(crate) struct HubShared {
    /// Its number, from zero.
    pub(crate) id: usize,
    /// What other OS threads hand it.
    inbox: Inbox<Message>,
    /// An eventfd in the hub's poller: written to wake the hub from its sleep.
    bell: OwnedFd,
    /// The live green threads that were spawned here.
    pub(crate) registry: Registry,
    /// Counters for `stats`; written by the hub only.
    pub(crate) counters: Counters,
    /// By which the watchdog asks where a green thread is; set by the hub's OS thread, if there is a watchdog.
    pub(crate) sample: OnceLock<&'static Sample>,
}

/// What a hub counts. Only the hub's own OS thread writes, so an increment is a load and a store.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Green threads that the hub placed on itself.
    pub(crate) placed: AtomicU64,
    /// Green threads that others placed here. The one counter that others write.
    pub(crate) placed_by_others: AtomicU64,
    /// Green threads that were placed here and have ended, or went elsewhere before they started.
    pub(crate) left: AtomicU64,
    /// Times a carrier was switched to.
    pub(crate) switches: AtomicU64,
    /// Carriers that have a stack.
    pub(crate) carriers: AtomicU64,
    /// Carriers that wait for a green thread.
    pub(crate) idle_carriers: AtomicU64,
    /// Times the hub polled.
    pub(crate) polls: AtomicU64,
    /// Waits with a deadline, and green threads to be started later.
    pub(crate) timers: AtomicU64,
    /// Green threads whose stacks overflowed, and that stand for ever.
    pub(crate) isolated: AtomicU64,
    /// Green threads that wait for a carrier because the system refuses more stacks.
    pub(crate) held: AtomicU64,
}

/// Adds to a counter that only the calling OS thread writes.
#[inline]
pub(crate) fn count(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

/// Takes from a counter that only the calling OS thread writes.
#[inline]
pub(crate) fn count_down(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) - n, Ordering::Relaxed);
}

/// What other OS threads hand a hub.
#[derive(Debug)]
pub(crate) enum Message {
    /// Resume this slot: the sender claimed the end of its wait.
    Resume(&'static Slot),
    /// Start this green thread.
    Start(SendRunner),
    /// Start this green thread at a time.
    StartAt(Instant, SendRunner),
    /// Call this at a time; the number tells it from others of the same time.
    CallAt(Instant, u64, Call),
    /// Do not call it after all.
    CancelCall(Instant, u64),
    /// Do not start the green thread of this id after all.
    CancelStart(u64),
    /// Tell where this green thread waits.
    Trace(Inquiry),
}

/// A question for the frames of a parked green thread.
pub(crate) struct Inquiry {
    /// Of whom.
    pub(crate) control: ControlRef,
    /// Takes the answer, on the hub's own stack; it neither waits nor panics.
    pub(crate) answer: Box<dyn FnOnce(Result<Frames, TraceError>) + Send>,
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inquiry").field(&self.control).finish()
    }
}

/// Something for a hub to call on its own stack; it neither waits nor panics.
pub(crate) struct Call(pub(crate) Box<dyn FnOnce() + Send>);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// One entry of the ready FIFO.
#[derive(Debug)]
pub(crate) enum Work {
    /// Resume the green thread in this slot.
    Resume(&'static Slot),
    /// Start this green thread.
    Start(Runner),
}

impl HubShared {
    /// A hub that has not run yet.
    pub(crate) fn new(id: usize, bell: OwnedFd) -> Self {
        Self {
            id,
            inbox: Inbox::new(),
            bell,
            registry: Registry::new(),
            counters: Counters::default(),
            sample: OnceLock::new(),
        }
    }

    /// The inbox.
    pub(crate) fn inbox(&self) -> &Inbox<Message> {
        &self.inbox
    }

    /// The eventfd that wakes the hub.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Leaves a message, and wakes the hub if it sleeps.
    pub(crate) fn send(&self, message: Message) {
        if self.inbox.push(message) {
            // It fails only when the counter is at its maximum: then the bell rings already.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

impl HubShared {
    /// About how many green threads burden the hub.
    pub(crate) fn load(&self) -> u64 {
        let counters = &self.counters;
        let placed = counters.placed.load(Ordering::Relaxed)
            + counters.placed_by_others.load(Ordering::Relaxed);
        placed.saturating_sub(counters.left.load(Ordering::Relaxed))
    }

    /// Another OS thread places a green thread here.
    pub(crate) fn place_from_elsewhere(&self) {
        self.counters
            .placed_by_others
            .fetch_add(1, Ordering::Relaxed);
    }
}

/// The half of a hub that only its own OS thread reaches.
pub(crate) struct Local {
    /// The other half.
    pub(crate) shared: &'static HubShared,
    /// Whether anything is asked for at the switches: by the program, or by a stopwatch.
    pub(crate) is_watched: Cell<bool>,
    /// Whether the program has asked for anything there: hooks, or a check.
    pub(crate) is_always_watched: bool,
    /// Those that run here.
    pub(crate) stopwatches: Stopwatches,
    /// Whether each green thread's use of its stack is measured.
    pub(crate) is_measured: bool,
    /// The FIFO of what is ready.
    pub(crate) ready: Ready,
    /// Those whose time has come: they run before the rest.
    pub(crate) timed: Ready,
    /// The slot whose green thread runs.
    current: Cell<Option<&'static SlotLocal>>,
    /// The start that the carrier being resumed is to run.
    pub(crate) next: Cell<Option<Runner>>,
    /// Carriers that wait for a green thread, and those that have none.
    pub(crate) carriers: Carriers,
    /// Starts that wait for a carrier to become idle.
    pub(crate) held: RefCell<VecDeque<Runner>>,
    /// The deadlines.
    timers: RefCell<Timers>,
    /// How many green threads wait until the hub has nothing else to do.
    pub(crate) idlers: Cell<usize>,
    /// Green threads that are parked while they unwind.
    pub(crate) parked_unwinding: Cell<bool>,
    /// Switches until the next poll.
    pub(crate) switches_left: Cell<u32>,
    /// Whether a carrier may go on with a start when its green thread has ended.
    pub(crate) may_chain: Cell<bool>,
    /// When the loop last looked at the clock, in nanoseconds of the runtime's clock.
    pub(crate) now: Cell<u64>,
    /// I/O operations of the running green thread since it was resumed.
    operations: Cell<u32>,
    /// When the first look at the clock since then was.
    looked_at: Cell<Option<Instant>>,
    /// Ids for the next green threads: the next one, and the end of the block.
    ids: Cell<(u64, u64)>,
    /// What the green thread that was asked last has shown of its stack.
    pub(crate) frames: Cell<Option<Box<Frames>>>,
    /// Memory for the records of new green threads.
    memory: Memory,
    /// Memory for new slots.
    slots: RefCell<&'static mut [MaybeUninit<Slot>]>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("hub", &self.shared.id)
            .finish_non_exhaustive()
    }
}

impl Local {
    /// The local half of a hub, for its own OS thread.
    pub(crate) fn new(shared: &'static HubShared, settings: &Settings) -> Self {
        Self {
            shared,
            is_watched: Cell::new(settings.is_watched()),
            is_always_watched: settings.is_watched(),
            stopwatches: Stopwatches::default(),
            is_measured: settings.measure_stacks,
            ready: Ready::default(),
            timed: Ready::default(),
            current: Cell::new(None),
            next: Cell::new(None),
            carriers: Carriers::default(),
            held: RefCell::new(VecDeque::new()),
            timers: RefCell::new(Timers::default()),
            idlers: Cell::new(0),
            parked_unwinding: Cell::new(false),
            switches_left: Cell::new(0),
            may_chain: Cell::new(false),
            now: Cell::new(0),
            operations: Cell::new(0),
            looked_at: Cell::new(None),
            ids: Cell::new((0, 0)),
            frames: Cell::new(None),
            memory: Memory::default(),
            slots: RefCell::default(),
        }
    }

    /// The slot whose green thread runs; `None` on the hub's own stack.
    #[inline]
    pub(crate) fn current(&self) -> Option<&'static SlotLocal> {
        self.current.get()
    }

    /// Notes that `slot` runs; its budget of operations is fresh. Returns the part that belongs to this hub.
    #[inline]
    pub(crate) fn enter_slot(&self, slot: &'static Slot) -> &'static SlotLocal {
        let own = slot.local.get();
        self.current.set(Some(own));
        self.operations.set(0);
        own
    }

    /// Notes that the hub's own stack runs.
    #[inline]
    pub(crate) fn leave_slot(&self) {
        self.current.set(None);
    }

    /// The running green thread did an operation without parking; true if its budget is used up
    /// ([`BUDGET`] operations, or [`BUDGET_TIME`]).
    #[inline]
    pub(crate) fn spend(&self) -> bool {
        let operations = self.operations.get() + 1;
        self.operations.set(operations);
        operations.is_multiple_of(LOOK_EVERY) && self.is_spent(operations)
    }

    #[cold]
    fn is_spent(&self, operations: u32) -> bool {
        let now = Instant::now();
        if operations == LOOK_EVERY {
            self.looked_at.set(Some(now));
        }
        let begun = self.looked_at.get().unwrap_or(now);
        operations >= BUDGET || now - begun >= BUDGET_TIME
    }

    /// When the loop last looked at the clock, in units of 2^20 nanoseconds (about a millisecond) of the
    /// runtime's clock; wraps after 52 days.
    #[inline]
    pub(crate) fn now_coarse(&self) -> u32 {
        coarse(self.now.get())
    }

    /// Puts work at the end of the FIFO.
    #[inline]
    pub(crate) fn push(&self, work: Work) {
        self.ready.push(work);
    }

    /// Whether there is a deadline to look at.
    #[inline]
    pub(crate) fn has_timers(&self) -> bool {
        !self.timers.borrow().is_empty()
    }

    /// Whether there may be something to fire.
    pub(crate) fn is_timer_due(&self, now: Instant) -> bool {
        self.timers.borrow().is_due(now)
    }

    /// Runs `f` with the deadlines, and counts them after it.
    #[inline]
    pub(crate) fn timers<R>(&self, f: impl FnOnce(&mut Timers) -> R) -> R {
        let mut timers = self.timers.borrow_mut();
        let result = f(&mut timers);
        let counter = &self.shared.counters.timers;
        counter.store(timers.len() as u64, Ordering::Relaxed);
        result
    }

    /// Gives back the memory of queues that were longer than they are.
    pub(crate) fn shrink(&self) {
        self.ready.shrink();
        self.timed.shrink();
        let mut held = self.held.borrow_mut();
        let len = held.len();
        held.shrink_to(2 * len);
        drop(held);
        self.timers.borrow_mut().shrink();
        self.shared.registry.shrink();
    }

    /// Memory for a slot, for ever. Many are allocated at a time: their alignment would waste half of it otherwise.
    fn slot_memory(&self) -> &'static mut MaybeUninit<Slot> {
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            *slots = Box::leak(Box::new_uninit_slice(SLOT_BLOCK));
        }
        let (first, rest) = mem::take(&mut *slots)
            .split_first_mut()
            .expect("a block is not empty");
        *slots = rest;
        first
    }

    /// A new id.
    fn next_id(&self) -> u64 {
        let (mut next, mut end) = self.ids.get();
        if next == end {
            next = take_ids(ID_BLOCK);
            end = next + ID_BLOCK;
        }
        self.ids.set((next + 1, end));
        next
    }
}

/// How many slots are allocated at a time: so many that they do not stand between what is freed again.
const SLOT_BLOCK: usize = 512;

/// Operations after which a green thread that never parks must let others run.
const BUDGET: u32 = 128;

/// Time after which it must, counted from its first [`LOOK_EVERY`] operations.
const BUDGET_TIME: Duration = Duration::from_millis(1);

/// How many operations pass between two looks at the clock.
const LOOK_EVERY: u32 = 16;

/// How many ids a hub takes at a time.
const ID_BLOCK: u64 = 256;

/// Reserves `n` ids; returns the first.
fn take_ids(n: u64) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(n, Ordering::Relaxed)
}

/// An id for a green thread that the calling OS thread spawns.
pub(crate) fn new_id(local: Option<&'static Local>) -> NonZeroU64 {
    let id = local.map_or_else(|| take_ids(1), Local::next_id);
    NonZeroU64::new(id).expect("ids start at one")
}

thread_local! {
    /// The local half of the hub that runs on this OS thread.
    static LOCAL: Cell<Option<&'static Local>> = const { Cell::new(None) };
}

/// The hub that runs on the calling OS thread.
///
/// A `may` coroutine, which may change OS threads between two calls, may find the place of its former OS
/// thread here, if the compiler keeps its address; but none where it can run is a hub's, so all say none.
#[inline]
pub(crate) fn local() -> Option<&'static Local> {
    LOCAL.get()
}

/// The slot of the green thread that the caller runs in.
#[inline]
pub(crate) fn current() -> Option<&'static SlotLocal> {
    local()?.current()
}

/// Makes `local` the hub of the calling OS thread.
pub(crate) fn enter(local: &'static Local) {
    LOCAL.set(Some(local));
}

/// The hubs, once they run.
static HUBS: OnceLock<Box<[&'static HubShared]>> = OnceLock::new();

/// The hubs; none before the runtime has started.
pub(crate) fn hubs() -> &'static [&'static HubShared] {
    HUBS.get().map_or(&[], |hubs| hubs)
}

/// Whether green threads, or other callers, may run while the calling OS thread does not give way.
pub(crate) fn others_run() -> bool {
    local().is_none() || hubs().len() > 1
}

/// Publishes the hubs, once.
pub(crate) fn set_hubs(hubs: Box<[&'static HubShared]>) {
    assert!(HUBS.set(hubs).is_ok(), "the hubs start once");
}

/// Makes a slot ready whose wait the caller ended: at once on its own hub, by message elsewhere.
#[inline]
pub(crate) fn wake(slot: &'static Slot) {
    match local() {
        Some(local) if std::ptr::eq(local.shared, slot.hub) => local.push(Work::Resume(slot)),
        _ => slot.hub.send(Message::Resume(slot)),
    }
}

/// A time in nanoseconds of the runtime's clock in the units of [`Local::now_coarse`].
#[inline]
pub(crate) fn coarse(nanos: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "it wraps")]
    let coarse = (nanos >> COARSE) as u32;
    coarse
}

/// The time between two times in those units.
pub(crate) fn coarse_span(from: u32, to: u32) -> Duration {
    Duration::from_nanos(u64::from(to.wrapping_sub(from)) << COARSE)
}

const COARSE: u32 = 20;

/// A time in nanoseconds of the runtime's clock, which began at its first use.
#[inline]
pub(crate) fn clock(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(epoch()).as_nanos()).unwrap_or(u64::MAX)
}

/// The time of so many nanoseconds of the runtime's clock. One that cannot be expressed is as good as the latest that
/// can: nobody lives to see it.
pub(crate) fn instant(nanos: u64) -> Instant {
    let epoch = epoch();
    let mut nanos = nanos;
    loop {
        match epoch.checked_add(Duration::from_nanos(nanos)) {
            Some(at) => return at,
            None => nanos /= 2,
        }
    }
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
