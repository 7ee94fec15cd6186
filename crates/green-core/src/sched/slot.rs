//! A slot: the place in which one green thread after another runs.
//!
//! It joins a carrier with the waiter by which others end its waits. Slots are leaked when they are made
//! and reused for ever.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use super::interrupts::Interrupts;
use super::record::{ControlRef, Running};
use super::waiter::{Target, Waiter};
use super::{HubShared, Local, WaitFor};
use crate::engine::{Carrier, Pinned};

/// See the module documentation.
#[derive(Debug)]
#[repr(C, align(64))] // The waiter is what wakers touch: a cache line of its own.
pub(crate) struct Slot {
    /// Who ends its waits.
    pub(crate) waiter: Waiter,
    /// What it waits for, for dumps.
    waiting_for: AtomicU8,
    /// What exactly: a file descriptor, or zero.
    detail: AtomicU32,
    /// Since when, in nanoseconds of the runtime's clock.
    since: AtomicU64,
    /// The hub whose OS thread runs it.
    pub(crate) hub: &'static HubShared,
    /// What only that OS thread touches.
    pub(crate) local: Pinned<SlotLocal>,
}

/// The part of a slot that belongs to its hub's OS thread.
#[repr(C)] // What every wait touches comes first.
pub(crate) struct SlotLocal {
    /// The hub.
    pub(crate) hub: &'static Local,
    /// The other part; set once, right after the slot has its place.
    slot: OnceCell<&'static Slot>,
    /// The stack.
    pub(crate) carrier: Carrier,
    /// When the current wait times out.
    pub(crate) deadline: Cell<Option<Instant>>,
    /// The earliest entry for this slot in the timer heap.
    pub(crate) armed: Cell<Option<Instant>>,
    /// What can interrupt the green thread.
    pub(crate) interrupts: Interrupts,
    /// Whether it parked while unwinding (counted in `Local::parked_unwinding`).
    pub(crate) parked_unwinding: Cell<bool>,
    /// The green thread that runs here.
    running: RefCell<Option<Running>>,
}

impl SlotLocal {
    /// The slot of which this is a part.
    #[inline]
    pub(crate) fn slot(&self) -> &'static Slot {
        self.slot.get().expect("a slot knows itself")
    }

    /// The control block of the green thread that runs here.
    pub(crate) fn control(&self) -> Option<ControlRef> {
        self.running(Running::control_ref)
    }

    /// `running` is the green thread that runs here from now on.
    #[inline]
    pub(crate) fn adopt(&self, running: Running) {
        self.interrupts.reset();
        *self.running.borrow_mut() = Some(running);
    }

    /// Runs `f` with the record of the green thread that runs here.
    #[inline]
    pub(crate) fn running<R>(&self, f: impl FnOnce(&Running) -> R) -> Option<R> {
        self.running.borrow().as_ref().map(f)
    }

    /// The green thread that ran here is gone.
    #[inline]
    pub(crate) fn release(&self) -> Option<Running> {
        self.running.borrow_mut().take()
    }
}

impl fmt::Debug for SlotLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotLocal").finish_non_exhaustive()
    }
}

impl Slot {
    /// A slot for the calling hub.
    pub(crate) fn new(hub: &'static Local, carrier: Carrier) -> &'static Self {
        let slot: &'static Self = Box::leak(Box::new(Self {
            waiter: Waiter::new(),
            waiting_for: AtomicU8::new(WaitFor::Nothing as u8),
            detail: AtomicU32::new(0),
            since: AtomicU64::new(0),
            hub: hub.shared,
            local: Pinned::new(SlotLocal {
                hub,
                slot: OnceCell::new(),
                carrier,
                deadline: Cell::new(None),
                armed: Cell::new(None),
                interrupts: Interrupts::default(),
                parked_unwinding: Cell::new(false),
                running: RefCell::new(None),
            }),
        }));
        slot.waiter.set_target(Target::Slot(slot));
        slot.local.get().slot.get_or_init(|| slot);
        slot
    }

    /// Notes what the green thread is about to wait for.
    #[inline]
    pub(crate) fn note_wait(&self, what: WaitFor, detail: u32, since: u64) {
        self.waiting_for.store(what as u8, Ordering::Relaxed);
        self.detail.store(detail, Ordering::Relaxed);
        self.since.store(since, Ordering::Relaxed);
    }

    /// Notes that it runs again.
    #[inline]
    pub(crate) fn note_running(&self) {
        self.waiting_for
            .store(WaitFor::Nothing as u8, Ordering::Relaxed);
    }

    /// What it waits for, since when (nanoseconds of the runtime's clock), and the detail.
    pub(crate) fn waiting_for(&self) -> (WaitFor, u64, u32) {
        (
            WaitFor::from_bits(self.waiting_for.load(Ordering::Relaxed)),
            self.since.load(Ordering::Relaxed),
            self.detail.load(Ordering::Relaxed),
        )
    }
}
