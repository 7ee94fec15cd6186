//! One parked caller: how it waits, and how it is woken.
//!
//! Three kinds of caller can wait: a pinned green thread, a plain OS thread, and a `may` coroutine.
//! [`Caller`] is the one that is running; its [`Waiter`] is what others hold of it. A future waits without being parked:
//! see `polled`.
//!
//! # Protocol
//!
//! 1. [`Caller::begin`] opens an episode of the caller's word (see `sched::word`), or delivers an
//!    interrupt that is pending.
//! 2. The caller puts its waiter where those who may end the wait find it.
//! 3. [`Caller::park`] suspends it until the episode has been claimed.
//! 4. A waker claims the episode and, if that succeeded, wakes the caller.
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

#[cfg(not(green_loom))]
mod green;
#[cfg(not(green_loom))]
mod may_coroutine;
mod os_thread;
#[cfg(feature = "async")]
mod polled;
#[cfg(not(green_loom))]
mod watched;

use crate::sched::WaitFor;
#[cfg(not(green_loom))]
use crate::sched::interrupts::{Interrupts, ScopeId};
#[cfg(not(green_loom))]
use crate::sched::locals::Locals;
use crate::sched::waiter::Waiter;
use crate::sched::word::{Episode, Mode};
use crate::time::deadline::Deadline;
use os_thread::OsParker;

#[cfg(not(green_loom))]
pub(crate) use green::Green;
#[cfg(not(green_loom))]
use may_coroutine::MayParker;
#[cfg(not(green_loom))]
pub(crate) use may_coroutine::own_waiter as own_coroutine_waiter;
#[cfg(feature = "async")]
pub(crate) use polled::Polled;

/// The caller of a blocking operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// A green thread, pinned to the hub of this OS thread.
    #[cfg(not(green_loom))]
    Green(Green),
    /// An OS thread.
    Os(&'static OsParker),
    /// A `may` coroutine.
    #[cfg(not(green_loom))]
    May(&'static MayParker),
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
#[derive(Clone, Copy, Debug)]
#[must_use = "an open episode must be parked in"]
pub(crate) struct Opened {
    /// Which one.
    pub(crate) episode: Episode,
    /// Whether interrupts may end it.
    pub(crate) mode: Mode,
}

/// How one wait is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// What for, for dumps.
    pub(crate) what: WaitFor,
    /// What exactly, for dumps: a file descriptor, or zero.
    pub(crate) detail: u32,
    /// When to give up.
    pub(crate) deadline: Deadline,
    /// Whether interrupts may end it.
    pub(crate) mode: Mode,
}

impl Wait {
    /// An interruptible wait.
    #[inline]
    pub(crate) fn new(what: WaitFor, deadline: Deadline) -> Self {
        Self {
            what,
            detail: 0,
            deadline,
            mode: Mode::Interruptible,
        }
    }

    /// The same, naming the file descriptor.
    #[inline]
    pub(crate) fn on(self, detail: u32) -> Self {
        Self { detail, ..self }
    }
}

/// Somebody who can open waits, park in them, and be woken.
pub(crate) trait Park: Copy {
    /// See [`Caller::begin`].
    fn begin(self, mode: Mode) -> Result<Opened, Interrupt>;

    /// See [`Caller::park`].
    fn park(self, opened: Opened, wait: &Wait) -> Wake;

    /// What others hold of it.
    fn waiter(self) -> &'static Waiter;
}

impl Caller {
    /// The caller. Inside a panic hook, and on a hub's own stack, that is the OS thread.
    #[cfg(not(green_loom))]
    pub(crate) fn current() -> Self {
        match Green::current() {
            Some(green) => Self::Green(green),
            None => Self::foreign(),
        }
    }

    /// The caller, which is no green thread.
    #[cfg(not(green_loom))]
    #[cold]
    pub(crate) fn foreign() -> Self {
        // A green thread's panic hook, too, comes here.
        if !crate::panics::in_hook()
            && let Some(parker) = may_coroutine::current()
        {
            return Self::May(parker);
        }
        Self::Os(os_thread::current())
    }

    /// The caller.
    #[cfg(green_loom)]
    pub(crate) fn foreign() -> Self {
        Self::Os(os_thread::current())
    }

    /// Lets every other green thread of the hub that is ready run first.
    ///
    /// # Errors
    ///
    /// An interrupt was pending: it is delivered now.
    #[cfg(not(green_loom))]
    pub(crate) fn yield_now(self) -> Result<(), Interrupt> {
        match self {
            Self::Green(green) => return green.yield_now(),
            Self::Os(_) => std::thread::yield_now(),
            Self::May(parker) => return may_coroutine::yield_now(parker),
        }
        Ok(())
    }

    /// Whether the caller unwinds.
    #[cfg(not(green_loom))]
    pub(crate) fn is_unwinding(self) -> bool {
        match self {
            Self::Green(green) => green.is_unwinding(),
            _ => std::thread::panicking(),
        }
    }

    /// Whether the caller unwinds by an interrupt.
    #[cfg(not(green_loom))]
    pub(crate) fn is_interrupted(self) -> bool {
        match self {
            Self::May(_) => may_coroutine::is_interrupted(),
            _ => self.interrupts(Interrupts::is_interrupted) == Some(true),
        }
    }

    /// Notes that the caller is about to unwind by an interrupt.
    #[cfg(not(green_loom))]
    pub(crate) fn begin_interrupted(self) {
        match self {
            Self::May(_) => may_coroutine::set_interrupted(true),
            _ => _ = self.interrupts(Interrupts::set_interrupted),
        }
    }

    /// Notes that the interrupt by which the caller unwound was caught.
    #[cfg(not(green_loom))]
    pub(crate) fn end_interrupted(self) {
        match self {
            Self::May(_) => may_coroutine::set_interrupted(false),
            _ => _ = self.interrupts(Interrupts::end_interrupted),
        }
    }

    /// Runs `f` with the interrupt state of the caller; `None` in a `may` coroutine, and on an OS thread
    /// that is going down.
    #[cfg(not(green_loom))]
    pub(crate) fn interrupts<R>(self, f: impl FnOnce(&Interrupts) -> R) -> Option<R> {
        match self {
            Self::Green(green) => Some(f(green.interrupts())),
            Self::Os(_) => os_thread::interrupts(f),
            Self::May(_) => None,
        }
    }

    /// Delivers what is pending now, without waiting.
    #[cfg(not(green_loom))]
    pub(crate) fn take_interrupt(self) -> Option<Interrupt> {
        match self {
            Self::Green(green) => green.take_interrupt(),
            Self::Os(_) => os_thread::take_interrupt(),
            Self::May(parker) => may_coroutine::take_interrupt(parker),
        }
    }

    /// Makes an interrupt pending again that was delivered to the caller, and that it did not unwind by.
    #[cfg(not(green_loom))]
    pub(crate) fn put_back(self, interrupt: Interrupt) {
        match interrupt {
            Interrupt::Kill => self.waiter().put_back_kill(),
            Interrupt::Timeout(id) => {
                self.interrupts(|interrupts| {
                    interrupts.put_back_expired(id, std::time::Instant::now());
                });
            }
        }
    }
}

impl Park for Caller {
    /// Opens a wait; `mode` says whether interrupts may end it.
    ///
    /// # Errors
    ///
    /// An interrupt was pending: it is delivered now, and nothing waits.
    ///
    /// # Panics
    ///
    /// Inside `no_park`.
    fn begin(self, mode: Mode) -> Result<Opened, Interrupt> {
        match self {
            #[cfg(not(green_loom))]
            Self::Green(green) => green.begin(mode),
            Self::Os(parker) => Ok(os_thread::begin(parker, mode)),
            #[cfg(not(green_loom))]
            Self::May(parker) => may_coroutine::begin(parker, mode),
        }
    }

    /// Waits until the episode is claimed, at the latest by the wait's deadline.
    fn park(self, opened: Opened, wait: &Wait) -> Wake {
        match self {
            #[cfg(not(green_loom))]
            Self::Green(green) => green.park(opened, wait),
            Self::Os(parker) => os_thread::park(parker, opened, wait.deadline),
            #[cfg(not(green_loom))]
            Self::May(parker) => may_coroutine::park(parker, opened.episode, wait.deadline),
        }
    }

    fn waiter(self) -> &'static Waiter {
        match self {
            #[cfg(not(green_loom))]
            Self::Green(green) => green.waiter(),
            Self::Os(parker) => &parker.waiter,
            #[cfg(not(green_loom))]
            Self::May(parker) => &parker.waiter,
        }
    }
}

/// Runs `f` with the green-local values of the caller: also inside a panic hook, those of the green thread. `None` on an OS
/// thread that is going down.
#[cfg(not(green_loom))]
pub(crate) fn locals<R>(f: impl FnOnce(&Locals) -> R) -> Option<R> {
    if let Some(own) = crate::sched::current() {
        return Some(f(&own.locals));
    }
    if may_coroutine::is_caller() {
        return Some(may_coroutine::locals(f));
    }
    os_thread::locals(f)
}

/// When the earliest `Timeout` scope expires that may end a wait of this OS thread now.
#[cfg(not(green_loom))]
pub(crate) fn os_scope_deadline() -> Option<std::time::Instant> {
    os_thread::scope_deadline()
}

/// The caller broke its promise not to block.
#[cfg(not(green_loom))]
#[cold]
pub(crate) fn no_park_violation() -> ! {
    panic!("a blocking call inside green::no_park")
}
