//! Parking a `may` coroutine: through `may`'s own blocker, on `may`'s own workers.
//!
//! Each wait has a parker of its own. `may` may unwind the coroutine out of its park (its `cancel`), or
//! free its stack without unwinding: the parker, and the waiter that points to it, live on the heap.
//!
//! A coroutine that was made by `green::may::spawn` has a [`Task`] in its coroutine-local storage, through
//! which a kill finds the current wait. The kill sets the flag in the control block and then looks for
//! a wait to end; the coroutine announces its wait and then looks at the flag. Both take the task's lock
//! for that, so one of them sees the other.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use may::coroutine_local;
use may::sync::Blocker;
use parking_lot::Mutex;

use super::{Interrupt, Opened, Target, Unparker, Wake};
use crate::sched::control::{Control, InterruptFn};
use crate::sched::word::{Episode, Mode, Outcome, Word};
use crate::time::deadline::Deadline;

/// What others need of a `may` coroutine to end one wait of it.
#[derive(Debug)]
pub(crate) struct MayParker {
    /// Who ends the wait.
    pub(super) word: Word,
    /// `may`'s side of it.
    blocker: Arc<Blocker>,
    /// The green thread that the coroutine is, if it is one of ours.
    task: Option<Arc<Task>>,
}

/// A coroutine that has a green thread's handle.
#[derive(Debug)]
struct Task {
    control: Arc<Control>,
    /// The wait that a kill may end.
    waiting: Mutex<Option<Unparker>>,
}

coroutine_local! {
    // The green thread that this coroutine is, if it is one of ours.
    static TASK: RefCell<Option<Arc<Task>>> = RefCell::new(None)
}

impl MayParker {
    /// Wakes the coroutine whose wait was claimed.
    pub(super) fn unpark(&self) {
        self.blocker.unpark();
    }
}

/// Makes the calling coroutine the green thread `control`; returns what ends its waits.
pub(crate) fn register_migrating(control: &Arc<Control>) -> InterruptFn {
    let task = Arc::new(Task {
        control: Arc::clone(control),
        waiting: Mutex::new(None),
    });
    TASK.with(|place| *place.borrow_mut() = Some(Arc::clone(&task)));
    // Weak: the control block, which the task holds, is to hold what is returned here.
    let task = Arc::downgrade(&task);
    Box::new(move || {
        let Some(task) = task.upgrade() else { return };
        let waiting = task.waiting.lock().take();
        if let Some(unparker) = waiting
            && task.control.kill_pending()
            && unparker.claim(Outcome::Interrupted)
        {
            unparker.unpark();
        }
    })
}

/// The calling `may` coroutine, if the caller is one.
#[inline(never)]
pub(super) fn current() -> Option<Arc<MayParker>> {
    may::coroutine::is_coroutine().then(|| {
        let task = TASK.with(|place| place.borrow().clone());
        Arc::new(MayParker {
            word: Word::new(),
            blocker: Blocker::current(),
            task,
        })
    })
}

/// See `Caller::begin`.
pub(super) fn begin(parker: &Arc<MayParker>, mode: Mode) -> Result<Opened, Interrupt> {
    // std's panic count belongs to whatever OS thread this is: unwinding only defers interrupts.
    let mode = if std::thread::panicking() {
        Mode::Masked
    } else {
        mode
    };
    let episode = parker.word.begin(mode);
    let unparker = Unparker {
        target: Target::May(Arc::clone(parker)),
        episode,
    };
    if let (Some(task), Mode::Interruptible) = (&parker.task, mode) {
        *task.waiting.lock() = Some(unparker.clone());
        // If the claim fails, a killer claimed first: its wake-up is under way and `park` takes it.
        if task.control.kill_pending() && unparker.claim(Outcome::Interrupted) {
            task.waiting.lock().take();
            parker.word.end();
            task.control.take_kill();
            return Err(Interrupt::Kill);
        }
    }
    Ok(Opened { unparker, mode })
}

/// See `Caller::park`.
pub(super) fn park(parker: &MayParker, episode: Episode, deadline: Deadline) -> Wake {
    let outcome = loop {
        if let Some(outcome) = parker.word.outcome() {
            break outcome;
        }
        // An error is `may`'s timeout (its cancel unwinds instead); a token may also be a leftover.
        // Either way the word and the clock decide.
        parker.blocker.park(remaining(deadline)).ok();
        if deadline.is_past() {
            // If the claim fails, somebody else's succeeded: the next look finds the outcome.
            let _: bool = parker.word.claim(episode, Outcome::TimedOut);
        }
    };
    parker.word.end();
    if let Some(task) = &parker.task {
        task.waiting.lock().take();
    }
    match outcome {
        Outcome::TimedOut => Wake::TimedOut,
        Outcome::Notified => Wake::Notified,
        Outcome::Interrupted => {
            if let Some(task) = &parker.task {
                task.control.take_kill();
            }
            Wake::Interrupted(Interrupt::Kill)
        }
    }
}

/// Lets other coroutines run; a pending kill is delivered first.
pub(super) fn yield_now(parker: &MayParker) -> Result<(), Interrupt> {
    if let Some(interrupt) = take_interrupt(parker) {
        return Err(interrupt);
    }
    may::coroutine::yield_now();
    Ok(())
}

/// See `Caller::take_interrupt`.
pub(super) fn take_interrupt(parker: &MayParker) -> Option<Interrupt> {
    let task = parker.task.as_ref()?;
    (!std::thread::panicking() && task.control.take_kill()).then_some(Interrupt::Kill)
}

/// The time until `deadline`, in whole milliseconds, rounded up: `may` takes less than one for "for
/// ever".
fn remaining(deadline: Deadline) -> Option<Duration> {
    let left = deadline
        .instant()?
        .saturating_duration_since(Instant::now());
    let millis = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Some(Duration::from_millis(millis.max(1)))
}
