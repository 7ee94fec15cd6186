//! One parked caller: how it waits, and how it is woken.
//!
//! Three kinds of caller can wait: a pinned green thread, a plain OS thread, and a `may` coroutine.
//! [`Caller`] is the one that is running; [`Unparker`] is what others hold of it.
//!
//! # Protocol
//!
//! 1. [`Caller::begin`] opens an episode of the caller's word (see `sched::word`), or delivers an
//!    interrupt that is pending.
//! 2. The caller hands clones of the [`Unparker`] to whoever may end the wait.
//! 3. [`Caller::park`] suspends it until the episode has been claimed.
//! 4. A waker calls [`Unparker::claim`] and, if that succeeded, [`Unparker::unpark`].
//!
//! Nothing may unwind or return between 1 and 3: a claimed episode always has a wake-up under way,
//! which only `park` consumes.
//!
//! # What can end a wait
//!
//! A notifier, the deadline, or an interrupt: a kill, or the expiry of a `Timeout` scope. Interrupts
//! are deferred while the caller masks them, and while it unwinds. If a scope has expired by the time
//! a kill is delivered, the scope goes first and the kill stays pending.
//!
//! # Who unwinds
//!
//! std counts panics per OS thread, and a green thread may park in a destructor while it unwinds. Its
//! neighbours then find `std::thread::panicking()` true. [`Caller::is_unwinding`] tells them apart:
//! exactly while nobody on the hub is parked unwinding, else by whether the panic hook has seen this
//! caller's own panic, or an interrupt was raised in it. (A `resume_unwind` of the program's own is seen by
//! neither; it counts as not unwinding, as long as a neighbour is parked unwinding.)

mod green;
#[cfg(not(green_loom))]
mod may_coroutine;
mod os_thread;

#[cfg(not(green_loom))]
use std::rc::Rc;

use crate::primitive::Arc;
use crate::sched::WaitFor;
use crate::sched::word::{Episode, Mode, Outcome};
#[cfg(not(green_loom))]
use crate::sched::{self, Local, interrupts::Interrupts, interrupts::ScopeId, slot::Slot};
use crate::time::deadline::Deadline;
use os_thread::OsParker;

#[cfg(not(green_loom))]
use may_coroutine::MayParker;
#[cfg(not(green_loom))]
pub(crate) use may_coroutine::register_migrating;

/// The caller of a blocking operation.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A green thread, pinned to the hub of this OS thread.
    #[cfg(not(green_loom))]
    Green(&'static Local, &'static Slot),
    /// An OS thread.
    #[cfg(not(green_loom))]
    Os(Arc<OsParker>, Option<Rc<Interrupts>>),
    /// An OS thread of a model.
    #[cfg(green_loom)]
    Os(Arc<OsParker>),
    /// A `may` coroutine.
    #[cfg(not(green_loom))]
    May(Arc<MayParker>),
}

/// What an interrupt is.
#[cfg(not(green_loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The green thread is to die.
    Kill,
    /// The time of a `Timeout` scope is over.
    Timeout(ScopeId),
}

/// Interrupts do not exist in a model.
#[cfg(green_loom)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A notifier chose this caller.
    Notified,
    /// The deadline passed.
    TimedOut,
    /// The caller is to unwind.
    Interrupted(Interrupt),
}

/// An episode that the caller has opened and not yet parked in.
#[derive(Debug)]
#[must_use = "an open episode must be parked in"]
pub(crate) struct Opened {
    /// What others use to end it.
    pub(crate) unparker: Unparker,
    /// Whether interrupts may end it.
    mode: Mode,
}

/// What others hold of a waiting caller: enough to end one wait of it.
#[derive(Clone, Debug)]
pub(crate) struct Unparker {
    /// Whom.
    target: Target,
    /// Which wait.
    episode: Episode,
}

/// Whom an unparker wakes.
#[derive(Clone, Debug)]
enum Target {
    /// A green thread.
    #[cfg(not(green_loom))]
    Green(&'static Slot),
    /// An OS thread.
    Os(Arc<OsParker>),
    /// A `may` coroutine.
    #[cfg(not(green_loom))]
    May(Arc<MayParker>),
}

impl Caller {
    /// The caller. Inside a panic hook, and on a hub's own stack, that is the OS thread.
    #[cfg(not(green_loom))]
    #[inline]
    pub(crate) fn current() -> Self {
        if crate::panics::in_hook() {
            return os_thread::current();
        }
        match sched::current() {
            Some((local, slot)) => Self::Green(local, slot),
            None => match may_coroutine::current() {
                Some(parker) => Self::May(parker),
                None => os_thread::current(),
            },
        }
    }

    /// The caller.
    #[cfg(green_loom)]
    pub(crate) fn current() -> Self {
        os_thread::current()
    }

    /// Opens a wait; `mode` says whether interrupts may end it.
    ///
    /// # Errors
    ///
    /// An interrupt was pending: it is delivered now, and nothing waits.
    ///
    /// # Panics
    ///
    /// Inside `no_park`.
    #[inline]
    pub(crate) fn begin(&self, mode: Mode) -> Result<Opened, Interrupt> {
        match self {
            #[cfg(not(green_loom))]
            Self::Green(local, slot) => green::begin(local, slot, mode),
            #[cfg(not(green_loom))]
            Self::Os(parker, interrupts) => {
                if interrupts
                    .as_ref()
                    .is_some_and(|interrupts| interrupts.is_no_park())
                {
                    no_park_violation();
                }
                Ok(os_thread::begin(parker, self.os_mode(mode)))
            }
            #[cfg(green_loom)]
            Self::Os(parker) => Ok(os_thread::begin(parker, mode)),
            #[cfg(not(green_loom))]
            Self::May(parker) => may_coroutine::begin(parker, mode),
        }
    }

    /// Waits until the episode is claimed, at the latest by `deadline`.
    ///
    /// `what` and `detail` (a file descriptor, or zero) are for dumps.
    #[inline]
    pub(crate) fn park(
        &self,
        opened: Opened,
        deadline: Deadline,
        what: WaitFor,
        detail: u32,
    ) -> Wake {
        match self {
            #[cfg(not(green_loom))]
            Self::Green(local, slot) => {
                green::park(local, slot, opened.mode, deadline, what, detail)
            }
            #[cfg(not(green_loom))]
            Self::Os(parker, interrupts) => {
                let _ = (what, detail);
                os_thread::park_interruptible(parker, interrupts.as_deref(), &opened, deadline)
            }
            #[cfg(green_loom)]
            Self::Os(parker) => {
                let _ = (what, detail);
                os_thread::park(parker, opened.unparker.episode, deadline)
            }
            #[cfg(not(green_loom))]
            Self::May(parker) => may_coroutine::park(parker, opened.unparker.episode, deadline),
        }
    }

    /// Whether waiters of this kind must not live on the caller's stack: `may` may free it unasked.
    pub(crate) fn needs_heap(&self) -> bool {
        match self {
            #[cfg(not(green_loom))]
            Self::May(_) => true,
            _ => false,
        }
    }

    /// Lets every other green thread of the hub that is ready run first.
    ///
    /// # Errors
    ///
    /// An interrupt was pending: it is delivered now.
    #[cfg(not(green_loom))]
    pub(crate) fn yield_now(&self) -> Result<(), Interrupt> {
        match self {
            Self::Green(local, slot) => return green::yield_now(local, slot),
            Self::Os(..) => std::thread::yield_now(),
            Self::May(parker) => return may_coroutine::yield_now(parker),
        }
        Ok(())
    }

    /// The caller did an I/O operation without parking. If its budget is used up, every other green
    /// thread of the hub that is ready runs first. Never interrupted: the operation has happened.
    #[cfg(not(green_loom))]
    #[inline]
    pub(crate) fn spend(&self) {
        if let Self::Green(local, slot) = self
            && local.spend()
        {
            green::give_way(local, slot);
        }
    }

    /// Whether the caller unwinds.
    #[cfg(not(green_loom))]
    pub(crate) fn is_unwinding(&self) -> bool {
        match self {
            Self::Green(local, slot) => green::is_unwinding(local, slot),
            _ => std::thread::panicking(),
        }
    }

    /// The interrupt state of the caller; `None` in a `may` coroutine, and on an OS thread that is
    /// going down.
    #[cfg(not(green_loom))]
    pub(crate) fn interrupts(&self) -> Option<&Interrupts> {
        match self {
            Self::Green(_, slot) => Some(&slot.local.get().interrupts),
            Self::Os(_, interrupts) => interrupts.as_deref(),
            Self::May(_) => None,
        }
    }

    /// Delivers what is pending now, without waiting.
    #[cfg(not(green_loom))]
    pub(crate) fn take_interrupt(&self) -> Option<Interrupt> {
        match self {
            Self::Green(local, slot) => green::take_interrupt(local, slot),
            Self::Os(_, Some(interrupts))
                if !interrupts.is_masked() && !std::thread::panicking() =>
            {
                interrupts
                    .take_expired(std::time::Instant::now())
                    .map(Interrupt::Timeout)
            }
            Self::May(parker) => may_coroutine::take_interrupt(parker),
            Self::Os(..) => None,
        }
    }

    /// When the earliest `Timeout` scope expires that may end a wait of this OS thread now.
    #[cfg(not(green_loom))]
    pub(crate) fn scope_deadline(&self) -> Option<std::time::Instant> {
        match self.os_mode(Mode::Interruptible) {
            Mode::Interruptible => self.interrupts()?.earliest(),
            Mode::Masked => None,
        }
    }

    /// On an OS thread interrupts are deferred by its mask and while it unwinds.
    #[cfg(not(green_loom))]
    fn os_mode(&self, mode: Mode) -> Mode {
        let masked = self.interrupts().is_some_and(Interrupts::is_masked);
        if masked || std::thread::panicking() {
            Mode::Masked
        } else {
            mode
        }
    }
}

impl Unparker {
    /// Tries to end the wait; true for exactly one claimer, who must then call [`Unparker::unpark`].
    #[inline]
    #[must_use = "who claims must unpark"]
    pub(crate) fn claim(&self, outcome: Outcome) -> bool {
        match &self.target {
            #[cfg(not(green_loom))]
            Target::Green(slot) => slot.word.claim(self.episode, outcome),
            Target::Os(parker) => parker.word.claim(self.episode, outcome),
            #[cfg(not(green_loom))]
            Target::May(parker) => parker.word.claim(self.episode, outcome),
        }
    }

    /// Wakes the caller whose wait was claimed.
    #[inline]
    pub(crate) fn unpark(self) {
        match self.target {
            #[cfg(not(green_loom))]
            Target::Green(slot) => sched::wake(slot),
            Target::Os(parker) => parker.unpark(),
            #[cfg(not(green_loom))]
            Target::May(parker) => parker.unpark(),
        }
    }
}

/// The caller broke its promise not to block.
#[cfg(not(green_loom))]
#[cold]
pub(crate) fn no_park_violation() -> ! {
    panic!("a blocking call inside green::no_park")
}
