//! The control block of a green thread: who it is, how far it is, and whether it is to die.
//!
//! It holds nothing of the green thread's result, so that registry, killers and dumps can keep it
//! alive from any OS thread without touching a value that may not be `Send`.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::HubShared;
use super::slot::Slot;
use super::waiter::Waiter;

/// See the module documentation.
pub(crate) struct Control {
    /// Unique in the process.
    id: NonZeroU64,
    /// As given to the builder.
    name: Option<Box<str>>,
    /// Where it was spawned.
    site: &'static Location<'static>,
    /// One of [`State`].
    state: AtomicU8,
    /// Where it waits, from its first run on.
    waiter: OnceLock<&'static Waiter>,
    /// The slot it runs in, if it is pinned, from its first run on.
    slot: OnceLock<&'static Slot>,
    /// The hub whose registry lists it.
    registry: &'static HubShared,
    /// Its key in that registry.
    key: AtomicU32,
    /// The number of the hub it is placed on.
    hub: AtomicU32,
    /// Its place in the order in which all green threads ended; once it has.
    order: AtomicU64,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("id", &self.id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// How far a green thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Spawned; its closure has not run.
    New,
    /// Killed before it ran; the killer is publishing that.
    KilledNew,
    /// Its closure runs or is parked.
    Started,
    /// Its result is published.
    Finished,
}

impl State {
    const fn bits(self) -> u8 {
        match self {
            Self::New => 0,
            Self::KilledNew => 1,
            Self::Started => 2,
            Self::Finished => 3,
        }
    }
}

impl Control {
    /// A green thread that has not started, listed in `registry`.
    pub(crate) fn new(
        id: NonZeroU64,
        name: Option<Box<str>>,
        site: &'static Location<'static>,
        registry: &'static HubShared,
    ) -> Self {
        Self {
            id,
            name,
            site,
            state: AtomicU8::new(State::New.bits()),
            waiter: OnceLock::new(),
            slot: OnceLock::new(),
            registry,
            key: AtomicU32::new(0),
            hub: AtomicU32::new(0),
            order: AtomicU64::new(0),
        }
    }

    pub(crate) fn id(&self) -> NonZeroU64 {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.site
    }

    pub(crate) fn slot(&self) -> Option<&'static Slot> {
        self.slot.get().copied()
    }

    /// The hub whose registry lists it, and its key there.
    pub(crate) fn registration(&self) -> (&'static HubShared, usize) {
        (self.registry, self.key.load(Ordering::Relaxed) as usize)
    }

    /// Notes the key in the registry.
    pub(crate) fn set_key(&self, key: usize) {
        let key = u32::try_from(key).expect("fewer than 2^32 green threads");
        self.key.store(key, Ordering::Relaxed);
    }

    /// The number of the hub it is placed on.
    pub(crate) fn hub(&self) -> usize {
        self.hub.load(Ordering::Relaxed) as usize
    }

    /// Places it on the hub of this number; only before it has started.
    pub(crate) fn set_hub(&self, hub: usize) {
        self.hub
            .store(u32::try_from(hub).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::New,
            1 => State::KilledNew,
            2 => State::Started,
            _ => State::Finished,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state() == State::Finished
    }

    /// Where it waits, from its first run on.
    pub(crate) fn waiter(&self) -> Option<&'static Waiter> {
        self.waiter.get().copied()
    }

    /// The closure is about to run, and will wait in `waiter`, which this green thread adopts; false if it was
    /// killed before.
    pub(crate) fn start(&self, waiter: &'static Waiter) -> bool {
        waiter.adopt(self.id.get());
        // A killer that finds it started finds the waiter, too, and itself as the one who waits there.
        let _ = self.waiter.set(waiter);
        self.leave_new(State::Started)
    }

    /// It runs in `slot`.
    pub(crate) fn set_slot(&self, slot: &'static Slot) {
        let _ = self.slot.set(slot);
    }

    /// The green thread dies before it ran; false if it has run.
    pub(crate) fn kill_new(&self) -> bool {
        self.leave_new(State::KilledNew)
    }

    /// The result is published.
    pub(crate) fn finish(&self) {
        /// Green threads that have ended.
        static ENDED: AtomicU64 = AtomicU64::new(0);
        self.order
            .store(ENDED.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.state.store(State::Finished.bits(), Ordering::Release);
    }

    /// Its place in the order in which all green threads ended, once it has.
    pub(crate) fn order(&self) -> u64 {
        self.order.load(Ordering::Relaxed)
    }

    fn leave_new(&self, to: State) -> bool {
        self.state
            .compare_exchange(
                State::New.bits(),
                to.bits(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }
}
