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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use may::coroutine_local;
use may::sync::Blocker;
use parking_lot::Mutex;

use super::{Interrupt, Opened, Target, Unparker, Wake};
use crate::sched::control::{Control, InterruptFn};
use crate::sched::word::{Episode, Mode, Outcome, Word};
use crate::sched::{self, Call, HubShared, Message};
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
///
/// A hub times the wait: `may`'s own timer can fire before the coroutine is in its place, and is then
/// lost. (Before the hubs run there is no other.)
pub(super) fn park(parker: &Arc<MayParker>, episode: Episode, deadline: Deadline) -> Wake {
    let timer = deadline
        .instant()
        .and_then(|at| Timer::set(parker, episode, at));
    let outcome = loop {
        if let Some(outcome) = parker.word.outcome() {
            break outcome;
        }
        let timeout = if timer.is_some() {
            None
        } else {
            remaining(deadline)
        };
        // An error is `may`'s timeout (its cancel unwinds instead); a token may also be a leftover.
        // Either way the word and the clock decide.
        parker.blocker.park(timeout).ok();
        if timer.is_none() && deadline.is_past() {
            // If the claim fails, somebody else's succeeded: the next look finds the outcome.
            let _: bool = parker.word.claim(episode, Outcome::TimedOut);
        }
    };
    drop(timer);
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

/// A hub's promise to end a wait at its deadline; taken back when it is dropped.
struct Timer {
    hub: &'static HubShared,
    at: Instant,
    number: u64,
}

impl Timer {
    /// Asks a hub; `None` before the hubs run.
    fn set(parker: &Arc<MayParker>, episode: Episode, at: Instant) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let hubs = sched::hubs();
        let hub = *hubs.get(usize::try_from(number).unwrap_or(0) % hubs.len().max(1))?;
        let unparker = Unparker {
            target: Target::May(Arc::clone(parker)),
            episode,
        };
        let expire = move || {
            if unparker.claim(Outcome::TimedOut) {
                unparker.unpark();
            }
        };
        hub.send(Message::CallAt(at, number, Call(Box::new(expire))));
        Some(Self { hub, at, number })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.hub.send(Message::CancelCall(self.at, self.number));
    }
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
