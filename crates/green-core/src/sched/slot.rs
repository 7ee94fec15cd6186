//! A slot: the place in which one green thread after another runs.
//!
//! It joins a carrier with the waiter by which others end its waits. Slots are leaked when they are made
//! and reused for ever.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

use super::interrupts::Interrupts;
use super::locals::Locals;
use super::record::{ControlRef, Running};
use super::timers::Timer;
use super::waiter::Waiter;
use super::{HubShared, Local, WaitFor};
use crate::engine::{Carrier, Pinned, prefetch};

/// See the module documentation.
///
/// Its first cache line is what a waker touches, its second one what a switch touches.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    /// Who ends its waits.
    pub(crate) waiter: Waiter,
    /// What it waits for, what exactly, and since when, for dumps: see [`Waiting`].
    waiting: AtomicU64,
    /// What only the OS thread of its hub touches.
    pub(crate) local: Pinned<SlotLocal>,
    /// The hub whose OS thread runs it.
    pub(crate) hub: &'static HubShared,
}

/// The part of a slot that belongs to its hub's OS thread.
#[repr(C)]
pub(crate) struct SlotLocal {
    /// The hub.
    pub(crate) hub: &'static Local,
    /// The other part; set once, right after the slot has its place.
    slot: OnceCell<&'static Slot>,
    /// The stack.
    pub(crate) carrier: Carrier,
    /// What can interrupt the green thread.
    pub(crate) interrupts: Interrupts,
    /// When the current wait times out.
    pub(crate) timer: Timer,
    /// Its green-local values.
    pub(crate) locals: Locals,
    /// The green thread that runs here.
    running: RefCell<Option<Running>>,
}

/// What a green thread waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) what: WaitFor,
    /// What exactly: a file descriptor, or zero; modulo 2^24.
    pub(crate) detail: u32,
    /// Since when: see [`Local::now_coarse`].
    pub(crate) since: u32,
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
        *self.running.borrow_mut() = Some(running);
    }

    /// Runs `f` with the record of the green thread that runs here.
    #[inline]
    pub(crate) fn running<R>(&self, f: impl FnOnce(&Running) -> R) -> Option<R> {
        self.running.borrow().as_ref().map(f)
    }

    /// Whether a green thread is in the midst of its own code here, not at a switch: for the OS thread that runs it.
    ///
    /// Async-signal-safe.
    pub(crate) fn is_between_switches(&self) -> bool {
        let has_one = |running: std::cell::Ref<'_, Option<Running>>| running.is_some();
        self.slot().waiting().what == WaitFor::Nothing
            && self.running.try_borrow().is_ok_and(has_one)
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
        let slot: &'static Self = hub.slot_memory().write(Self {
            waiter: Waiter::new(),
            waiting: AtomicU64::new(WaitFor::Nothing as u64),
            hub: hub.shared,
            local: Pinned::new(SlotLocal {
                hub,
                slot: OnceCell::new(),
                carrier,
                timer: Timer::default(),
                interrupts: Interrupts::default(),
                locals: Locals::default(),
                running: RefCell::new(None),
            }),
        });
        slot.waiter.wakes_slot(slot);
        slot.local.get().slot.get_or_init(|| slot);
        slot
    }

    /// Fetches what a switch to it touches of the slot; what a waker touches is there.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&raw const self.local);
    }

    /// Fetches what the end of a wait by a timer touches.
    #[inline]
    pub(crate) fn prefetch_all(&self) {
        prefetch(self);
        self.prefetch();
        prefetch(&raw const self.local.get().timer);
    }

    /// Notes what the green thread is about to wait for.
    #[inline]
    pub(crate) fn note_wait(&self, waiting: Waiting) {
        let bits = waiting.what as u64
            | u64::from(waiting.detail & 0xff_ffff) << 8
            | u64::from(waiting.since) << 32;
        self.waiting.store(bits, Ordering::Relaxed);
    }

    /// Notes that it runs again.
    #[inline]
    pub(crate) fn note_running(&self) {
        self.waiting
            .store(WaitFor::Nothing as u64, Ordering::Relaxed);
    }

    /// What it waits for.
    pub(crate) fn waiting(&self) -> Waiting {
        let bits = self.waiting.load(Ordering::Relaxed).to_le_bytes();
        let [what, a, b, c, since @ ..] = bits;
        Waiting {
            what: WaitFor::from_bits(what),
            detail: u32::from_le_bytes([a, b, c, 0]),
            since: u32::from_le_bytes(since),
        }
    }
}

// The lines that the documentation promises.
const _: () = assert!(mem::offset_of!(Slot, local) == 64);
const _: () = assert!(mem::offset_of!(SlotLocal, interrupts) <= 64 - size_of::<usize>() - 8);
