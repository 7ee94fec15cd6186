//! Parking a `may` coroutine: with `may`'s own park token, on `may`'s own workers.
//!
//! A coroutine that waits here has a [`MayParker`] in its coroutine-local storage: a waiter, as every caller
//! has, and `may`'s handle to the coroutine, whose `unpark` makes it runnable. Its parker goes back to a pool
//! when the coroutine ends; who then still comes to wake it finds nobody, or wakes the next one without a
//! reason, which step 2 bears.
//!
//! # Protocol
//!
//! 1. [`begin`] opens an episode of the word.
//! 2. [`park`] looks at the word, and suspends by `may::coroutine::park` while nobody has claimed.
//! 3. A claimer wakes: sets the token, or has the coroutine resumed.
//!
//! `may`'s park is a flag, "unparked", and a place for the suspended coroutine. A return from it says only that
//! the flag was set some time: by this wait's claimer, by one of an earlier wait that was late, or by the
//! program, which may use the token for its own ends. So the word decides, and the token is left set at
//! the end of every wait: the program's own `unpark` is never lost, at the price of a return of its
//! `park` that it does not expect, which every user of such a token must be ready for.
//!
//! # What of `may` must be worked around
//!
//! 1. A timeout of its park can fire between the start of the timer and the storing of the coroutine, and is
//!    then lost, with the coroutine. A hub times the wait instead.
//! 2. An `unpark` that comes while the coroutine is being stored makes the storing code run the coroutine,
//!    below its own frame, and its park record may not go away before that frame is left. Were the coroutine
//!    to end there, the worker would wait for itself for ever. So a coroutine that has waited goes once
//!    through its worker's queue before it goes on.
//! 3. A blocker of the wait's own (`may::sync::Blocker`) would not do: the code that stores the coroutine
//!    still touches the coroutine's records after another OS thread may have resumed it, and only the drop of
//!    the park that they belong to waits for that. The coroutine's own park belongs to them.
//! 4. It changes OS threads at every call here, so all of them are behind calls that are never inlined: no
//!    address of a thread-local lives across a switch.
//!
//! # Memory ordering
//!
//! `may` takes the token with a plain load and a plain store. The fence in [`park`] puts that store before the
//! look at the word: a claimer whose `unpark` still finds the old token set, and therefore does nothing,
//! has claimed before that store, so the look finds its claim. The claim against the look at the kill flag
//! is the word's own argument (`sched::word`).

use std::cell::Cell;
use std::sync::atomic::{Ordering, fence};

use may::coroutine::{self, Coroutine};
use may::coroutine_local;

use super::{Interrupt, Opened, Wake};
use crate::hub;
use crate::primitive::Mutex;
use crate::sched::call_timer::CallTimer;
use crate::sched::locals::Locals;
use crate::sched::waiter::{self, Unparker, Waiter};
use crate::sched::word::{Episode, Mode, Outcome};
use crate::time::deadline::Deadline;

/// What others need of a `may` coroutine to end its waits.
#[derive(Debug)]
pub(crate) struct MayParker {
    /// Who ends the current wait.
    pub(super) waiter: Waiter,
    /// `may`'s handle to the coroutine that has the parker now.
    coroutine: Mutex<Option<Coroutine>>,
}

/// The parkers of coroutines that have ended.
static POOL: Mutex<Vec<&'static MayParker>> = Mutex::new(Vec::new());

coroutine_local! {
    // The parker of this coroutine, taken when it first waits.
    static OWN: Own = Own::take()
}

/// What a coroutine has until it ends.
struct Own {
    parker: &'static MayParker,
    /// Whether it unwinds by an interrupt.
    interrupted: Cell<bool>,
    /// Its green-local values.
    locals: Locals,
}

impl Own {
    fn take() -> Self {
        let pooled = POOL.lock().pop();
        let parker = pooled.unwrap_or_else(MayParker::new);
        *parker.coroutine.lock() = Some(coroutine::current());
        Self {
            parker,
            interrupted: Cell::new(false),
            locals: Locals::default(),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nobody waits here now: kills of the green thread that did come too late.
        self.parker.waiter.adopt(0);
        let handle = self.parker.coroutine.lock().take();
        drop(handle);
        // A coroutine that went without unwinding, while it waited, may have left the waiter in a queue.
        if self.parker.waiter.word.open().is_none() {
            POOL.lock().push(self.parker);
        }
    }
}

impl MayParker {
    fn new() -> &'static Self {
        let parker: &'static Self = Box::leak(Box::new(Self {
            waiter: Waiter::new(),
            coroutine: Mutex::new(None),
        }));
        parker.waiter.wakes_other(parker);
        parker
    }
}

impl waiter::Wake for MayParker {
    #[inline(never)]
    fn wake(&self) {
        let handle = self.coroutine.lock().clone();
        if let Some(coroutine) = handle {
            coroutine.unpark();
        }
    }
}

/// The waiter of the calling `may` coroutine.
///
/// # Panics
///
/// Outside one.
pub(crate) fn own_waiter() -> &'static Waiter {
    &current()
        .expect("a migrating green thread is a coroutine of may")
        .waiter
}

/// Whether the caller is a `may` coroutine.
#[inline(never)]
pub(super) fn is_caller() -> bool {
    coroutine::is_coroutine()
}

/// Runs `f` with the green-local values of the calling `may` coroutine.
pub(super) fn locals<R>(f: impl FnOnce(&Locals) -> R) -> R {
    OWN.with(|own| f(&own.locals))
}

/// Whether the calling `may` coroutine unwinds by an interrupt.
#[inline(never)]
pub(super) fn is_interrupted() -> bool {
    OWN.with(|own| own.interrupted.get())
}

/// Notes whether it does.
#[inline(never)]
pub(super) fn set_interrupted(interrupted: bool) {
    OWN.with(|own| own.interrupted.set(interrupted));
}

/// The parker of the calling `may` coroutine, if the caller is one.
#[inline(never)]
pub(super) fn current() -> Option<&'static MayParker> {
    is_caller().then(|| OWN.with(|own| own.parker))
}

/// See `Caller::begin`.
pub(super) fn begin(parker: &MayParker, mode: Mode) -> Result<Opened, Interrupt> {
    // std's panic count belongs to whatever OS thread this is: unwinding only defers interrupts.
    let mode = if std::thread::panicking() {
        Mode::Masked
    } else {
        mode
    };
    let waiter = &parker.waiter;
    let episode = waiter.word.begin(mode);
    // If the claim fails, a killer claimed first: its wake-up is under way and `park` takes it.
    if mode == Mode::Interruptible
        && waiter.kill_pending()
        && waiter.word.claim(episode, Outcome::Interrupted)
    {
        waiter.word.end();
        waiter.take_kill();
        return Err(Interrupt::Kill);
    }
    Ok(Opened { episode, mode })
}

/// See `Caller::park`.
pub(super) fn park(parker: &'static MayParker, episode: Episode, deadline: Deadline) -> Wake {
    let waiter = &parker.waiter;
    let timer = deadline.instant().map(|at| {
        hub::start();
        CallTimer::set(Unparker { waiter, episode }, at)
    });
    let outcome = loop {
        fence(Ordering::SeqCst);
        if let Some(outcome) = waiter.word.outcome() {
            break outcome;
        }
        suspend();
    };
    leave_nested();
    drop(timer);
    waiter.word.end();
    waiter.wake();
    match outcome {
        Outcome::TimedOut => Wake::TimedOut,
        Outcome::Notified => Wake::Notified,
        Outcome::Interrupted => {
            waiter.take_kill();
            Wake::Interrupted(Interrupt::Kill)
        }
    }
}

/// Lets other coroutines run; a pending kill is delivered first.
pub(super) fn yield_now(parker: &MayParker) -> Result<(), Interrupt> {
    if let Some(interrupt) = take_interrupt(parker) {
        return Err(interrupt);
    }
    leave_nested();
    Ok(())
}

/// See `Caller::take_interrupt`.
pub(super) fn take_interrupt(parker: &MayParker) -> Option<Interrupt> {
    (!std::thread::panicking() && parker.waiter.take_kill()).then_some(Interrupt::Kill)
}

/// Suspends the calling coroutine until it has its token, and takes that.
#[inline(never)]
fn suspend() {
    coroutine::park();
}

/// Sends the calling coroutine through its worker's queue.
#[inline(never)]
fn leave_nested() {
    coroutine::yield_now();
}
