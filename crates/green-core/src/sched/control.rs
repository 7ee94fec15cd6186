//! The control block of a green thread: who it is, how far it is, and where it waits.
//!
//! It holds nothing of the green thread's result, so that registry, killers and dumps can keep it
//! alive from any OS thread without touching a value that may not be `Send` (`sched::record`).

use std::any::Any;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::registry::Registry;
use super::slot::Slot;
use super::waiter::Waiter;
use crate::atomic_ref::AtomicRef;

/// See the module documentation.
pub(crate) struct Control {
    /// Unique in the process.
    id: NonZeroU64,
    /// The id of the green thread that made it.
    parent: Option<NonZeroU64>,
    /// Boxed, because most have none.
    extra: OnceLock<Box<Extra>>,
    /// Where it was spawned.
    site: &'static Location<'static>,
    /// Where it waits, from its first run on.
    waiter: AtomicRef<Waiter>,
    /// The registry that lists it.
    registry: &'static Registry,
    /// Its place in the order in which all green threads ended; once it has.
    order: AtomicU64,
    /// Its key in the registry.
    key: AtomicU32,
    /// The number of the hub it is placed on.
    hub: AtomicU32,
    /// The stack it needs, in bytes.
    stack_size: u32,
    /// One of [`State`].
    state: AtomicU8,
    /// Where it may go before it has started.
    mobility: Mobility,
}

/// What only some green threads have.
#[derive(Default)]
struct Extra {
    /// As given to the builder.
    name: Option<Box<str>>,
    /// What a module above keeps with the green thread, once it has asked for it.
    attached: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// Where a green thread that has not started may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mobility {
    /// To a hub with nothing to do.
    Free,
    /// Nowhere: its spawner chose the hub.
    Fixed,
}

/// What is known of a green thread when it is made.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Unique in the process.
    pub(crate) id: NonZeroU64,
    /// The id of the green thread that makes it, if one does.
    pub(crate) parent: Option<NonZeroU64>,
    /// As given to the builder.
    pub(crate) name: Option<Box<str>>,
    /// Where it was spawned.
    pub(crate) site: &'static Location<'static>,
    /// The registry that is to list it.
    pub(crate) registry: &'static Registry,
    /// The number of the hub it is placed on.
    pub(crate) hub: usize,
    /// The stack it needs, in bytes.
    pub(crate) stack_size: usize,
    /// Where it may go before it has started.
    pub(crate) mobility: Mobility,
}

/// How far a green thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Made; nobody has started it.
    Unstarted,
    /// Spawned; its closure has not run.
    New,
    /// Killed before it ran; the killer is publishing that.
    KilledNew,
    /// Killed before it ran by somebody who cannot publish that; its hub will, where it would have run.
    KilledAside,
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
            Self::Unstarted => 4,
            Self::KilledAside => 5,
        }
    }
}

impl Control {
    /// A green thread that has not run.
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            id: identity.id,
            parent: identity.parent,
            extra: identity.name.map_or_else(OnceLock::new, |name| {
                OnceLock::from(Box::new(Extra {
                    name: Some(name),
                    ..Extra::default()
                }))
            }),
            site: identity.site,
            waiter: AtomicRef::none(),
            registry: identity.registry,
            order: AtomicU64::new(0),
            key: AtomicU32::new(0),
            hub: AtomicU32::new(u32::try_from(identity.hub).unwrap_or(u32::MAX)),
            stack_size: u32::try_from(identity.stack_size).unwrap_or(u32::MAX),
            state: AtomicU8::new(State::New.bits()),
            mobility: identity.mobility,
        }
    }

    pub(crate) fn id(&self) -> NonZeroU64 {
        self.id
    }

    /// The id of the green thread that made it, if one did.
    pub(crate) fn parent(&self) -> Option<NonZeroU64> {
        self.parent
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.extra.get()?.name.as_deref()
    }

    /// What a module above keeps with it, made by `make` when it is first asked for. There is one such type.
    pub(crate) fn attached<T: Any + Send + Sync>(&self, make: fn() -> T) -> &T {
        let extra = self.extra.get_or_init(Box::default);
        let attached = extra.attached.get_or_init(|| Box::new(make()));
        attached
            .downcast_ref()
            .unwrap_or_else(|| unreachable!("one type is attached to green threads"))
    }

    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.site
    }

    /// The stack it needs, in bytes.
    #[inline]
    pub(crate) fn stack_size(&self) -> usize {
        self.stack_size as usize
    }

    /// Where it may go before it has started.
    pub(crate) fn mobility(&self) -> Mobility {
        self.mobility
    }

    /// Where it waits, from its first run on.
    pub(crate) fn waiter(&self) -> Option<&'static Waiter> {
        self.waiter.get()
    }

    /// The slot it runs in, if it is pinned, from its first run on.
    pub(crate) fn slot(&self) -> Option<&'static Slot> {
        self.waiter()?.slot()
    }

    /// The registry that lists it, and its key there.
    pub(crate) fn registration(&self) -> (&'static Registry, usize) {
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
            3 => State::Finished,
            4 => State::Unstarted,
            _ => State::KilledAside,
        }
    }

    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        self.state() == State::Finished
    }

    /// The closure is about to run, and will wait in `waiter`, which this green thread adopts; false if it was
    /// killed before.
    pub(crate) fn start(&self, waiter: &'static Waiter) -> bool {
        waiter.adopt(self.id.get());
        // A killer that finds it started finds the waiter, too, and itself as the one who waits there.
        self.waiter.set(waiter);
        self.change(State::New, State::Started)
    }

    /// It is made and nobody has started it: for one that nobody else knows of yet.
    pub(super) fn set_unstarted(&self) {
        self.state.store(State::Unstarted.bits(), Ordering::Relaxed);
    }

    /// The caller starts it, or drops it unstarted; false if somebody did before.
    pub(super) fn leave_unstarted(&self) -> bool {
        self.state.load(Ordering::Relaxed) == State::Unstarted.bits()
            && self.change(State::Unstarted, State::New)
    }

    /// The green thread dies before it ran, and the caller publishes that; false if it has run.
    pub(crate) fn kill_new(&self) -> bool {
        self.change(State::New, State::KilledNew)
    }

    /// The green thread dies before it ran, and its hub is to publish that; false if it has run.
    pub(crate) fn kill_aside(&self) -> bool {
        self.change(State::New, State::KilledAside)
    }

    /// Whether it has ended, or will without running.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(
            self.state(),
            State::KilledNew | State::KilledAside | State::Finished
        )
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

    fn change(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("id", &self.id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A green thread's name, id and spawn site.
pub(crate) fn label(control: &Control) -> impl fmt::Display + '_ {
    struct Label<'a>(&'a Control);
    impl fmt::Display for Label<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0.name() {
                Some(name) => write!(f, "green thread '{name}' (#{})", self.0.id())?,
                None => write!(f, "green thread #{}", self.0.id())?,
            }
            write!(f, ", spawned at {}", self.0.site())
        }
    }
    Label(control)
}
