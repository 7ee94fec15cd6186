//! Parking an OS thread: a lock and a condition variable.
//!
//! The waker claims the word first and takes the lock after; the OS thread looks at the word under the
//! lock before it sleeps. So the claim falls either before that look, and it does not sleep, or after
//! the sleep has begun, and the notification reaches it.
//!
//! An OS thread takes a parker when it first waits and gives it back to a pool when it ends. A waker that
//! claimed a wait of the one before may still come to wake it: that is a wake-up without a reason to the
//! one after, who looks at the word and sleeps on.

use super::{Opened, Wake};
use crate::primitive::{Condvar, Mutex};
#[cfg(not(green_loom))]
use crate::sched::interrupts::Interrupts;
#[cfg(not(green_loom))]
use crate::sched::locals::Locals;
use crate::sched::waiter::{self, Waiter};
use crate::sched::word::{Mode, Outcome};
use crate::time::deadline::Deadline;

/// What others need of an OS thread to wake it.
#[derive(Debug)]
pub(crate) struct OsParker {
    /// Who ends the current wait.
    pub(super) waiter: Waiter,
    /// Held by the OS thread while it looks at the word, and by the waker after its claim.
    lock: Mutex<()>,
    /// Where the OS thread sleeps.
    condvar: Condvar,
}

impl OsParker {
    fn new() -> &'static Self {
        let parker: &'static Self = Box::leak(Box::new(Self {
            waiter: Waiter::new(),
            lock: Mutex::new(()),
            condvar: Condvar::new(),
        }));
        parker.waiter.wakes_other(parker);
        parker
    }
}

impl waiter::Wake for OsParker {
    fn wake(&self) {
        drop(self.lock.lock());
        self.condvar.notify_one();
    }
}

/// The parker of the calling OS thread.
#[cfg(not(green_loom))]
pub(super) fn current() -> &'static OsParker {
    use std::cell::Cell;

    /// The parkers of OS threads that have ended.
    static POOL: Mutex<Vec<&'static OsParker>> = Mutex::new(Vec::new());

    thread_local! {
        // Without a destructor: it can be used to the very end of the OS thread.
        static OWN: Cell<Option<&'static OsParker>> = const { Cell::new(None) };
        static GIVE_BACK: GiveBack = const { GiveBack };
    }

    /// Gives the parker back. An OS thread that waits even later takes another one, and keeps it.
    struct GiveBack;

    impl Drop for GiveBack {
        fn drop(&mut self) {
            if let Some(parker) = OWN.take() {
                POOL.lock().push(parker);
            }
        }
    }

    OWN.get().unwrap_or_else(|| {
        let pooled = POOL.lock().pop();
        let parker = pooled.unwrap_or_else(OsParker::new);
        OWN.set(Some(parker));
        // It fails when the destructor has run: see there.
        GIVE_BACK.try_with(|_| ()).ok();
        parker
    })
}

/// The parker of the calling OS thread of a model.
#[cfg(green_loom)]
pub(super) fn current() -> &'static OsParker {
    OsParker::new()
}

/// Runs `f` with the `Timeout` scopes of the calling OS thread; `None` while it is going down.
#[cfg(not(green_loom))]
pub(super) fn interrupts<R>(f: impl FnOnce(&Interrupts) -> R) -> Option<R> {
    thread_local! {
        static INTERRUPTS: Interrupts = Interrupts::default();
    }
    INTERRUPTS.try_with(f).ok()
}

/// Runs `f` with the green-local values of the calling OS thread; `None` while it is going down.
#[cfg(not(green_loom))]
pub(super) fn locals<R>(f: impl FnOnce(&Locals) -> R) -> Option<R> {
    thread_local! {
        static LOCALS: Locals = Locals::default();
    }
    LOCALS.try_with(f).ok()
}

/// See `Caller::begin`.
pub(super) fn begin(parker: &OsParker, mode: Mode) -> Opened {
    let mode = effective_mode(mode);
    Opened {
        episode: parker.waiter.word.begin(mode),
        mode,
    }
}

/// Interrupts are deferred by a mask and while the OS thread unwinds.
#[cfg(not(green_loom))]
fn effective_mode(mode: Mode) -> Mode {
    let (no_park, masked) =
        interrupts(|interrupts| (interrupts.is_no_park(), interrupts.is_masked()))
            .unwrap_or_default();
    if no_park {
        super::no_park_violation();
    }
    if masked || std::thread::panicking() {
        Mode::Masked
    } else {
        mode
    }
}

#[cfg(green_loom)]
fn effective_mode(mode: Mode) -> Mode {
    mode
}

/// When the earliest `Timeout` scope expires that may end a wait now.
#[cfg(not(green_loom))]
pub(super) fn scope_deadline() -> Option<std::time::Instant> {
    match effective_mode(Mode::Interruptible) {
        Mode::Interruptible => interrupts(Interrupts::earliest).flatten(),
        Mode::Masked => None,
    }
}

/// See `Caller::take_interrupt`.
#[cfg(not(green_loom))]
pub(super) fn take_interrupt() -> Option<super::Interrupt> {
    if std::thread::panicking() {
        return None;
    }
    let expired = interrupts(|interrupts| {
        let deliverable = !interrupts.is_masked();
        deliverable.then(|| interrupts.take_expired(std::time::Instant::now()))
    });
    expired.flatten().flatten().map(super::Interrupt::Timeout)
}

/// See `Caller::park`; the OS thread's `Timeout` scopes can end the wait too.
#[cfg(not(green_loom))]
pub(super) fn park(parker: &OsParker, opened: Opened, deadline: Deadline) -> Wake {
    let scope = match opened.mode {
        Mode::Interruptible => interrupts(Interrupts::earliest).flatten(),
        Mode::Masked => None,
    };
    let Some(scope) = scope.filter(|&scope| deadline.instant().is_none_or(|at| scope <= at)) else {
        return sleep(parker, opened, deadline);
    };
    match sleep(parker, opened, Deadline::At(scope)) {
        Wake::TimedOut => {
            interrupts(|interrupts| interrupts.take_expired(std::time::Instant::now()))
                .flatten()
                .map_or(Wake::TimedOut, |id| {
                    Wake::Interrupted(super::Interrupt::Timeout(id))
                })
        }
        wake => wake,
    }
}

#[cfg(green_loom)]
pub(super) fn park(parker: &OsParker, opened: Opened, deadline: Deadline) -> Wake {
    sleep(parker, opened, deadline)
}

/// Sleeps until the episode is claimed; claims it itself at `deadline`.
fn sleep(parker: &OsParker, opened: Opened, deadline: Deadline) -> Wake {
    let word = &parker.waiter.word;
    let mut guard = parker.lock.lock();
    let outcome = loop {
        if let Some(outcome) = word.outcome() {
            break outcome;
        }
        let timed_out;
        (guard, timed_out) = doze(parker, guard, deadline);
        if timed_out {
            // If the claim fails, somebody else's succeeded: the next look finds the outcome.
            let _: bool = word.claim(opened.episode, Outcome::TimedOut);
        }
    };
    drop(guard);
    word.end();
    match outcome {
        Outcome::TimedOut => Wake::TimedOut,
        // Nobody kills an OS thread.
        Outcome::Notified | Outcome::Interrupted => Wake::Notified,
    }
}

/// Waits to be woken, or for the deadline: true then.
#[cfg(not(green_loom))]
fn doze<'a>(
    parker: &OsParker,
    mut guard: crate::primitive::MutexGuard<'a, ()>,
    deadline: Deadline,
) -> (crate::primitive::MutexGuard<'a, ()>, bool) {
    let timed_out = match deadline {
        Deadline::Never => {
            parker.condvar.wait(&mut guard);
            false
        }
        Deadline::At(at) => parker.condvar.wait_until(&mut guard, at).timed_out(),
    };
    (guard, timed_out)
}

/// Waits to be woken. A deadline passes at once, which covers every timing.
#[cfg(green_loom)]
fn doze<'a>(
    parker: &OsParker,
    guard: crate::primitive::MutexGuard<'a, ()>,
    deadline: Deadline,
) -> (crate::primitive::MutexGuard<'a, ()>, bool) {
    match deadline {
        Deadline::Never => (parker.condvar.wait_owned(guard), false),
        Deadline::At(_) => (guard, true),
    }
}
