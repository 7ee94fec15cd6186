//! Parking an OS thread: a lock and a condition variable.
//!
//! The waker claims the word first and takes the lock after; the OS thread looks at the word under the
//! lock before it sleeps. So the claim falls either before that look, and it does not sleep, or after
//! the sleep has begun, and the notification reaches it.

use super::{Caller, Opened, Target, Unparker, Wake};
use crate::primitive::{Arc, Condvar, Mutex};
use crate::sched::word::{Episode, Mode, Outcome, Word};
use crate::time::deadline::Deadline;

/// What others need of an OS thread to wake it.
#[derive(Debug)]
pub(crate) struct OsParker {
    /// Who ends the current wait.
    pub(super) word: Word,
    /// Held by the OS thread while it looks at `word`, and by the waker after its claim.
    lock: Mutex<()>,
    /// Where the OS thread sleeps.
    condvar: Condvar,
}

impl OsParker {
    fn new() -> Self {
        Self {
            word: Word::new(),
            lock: Mutex::new(()),
            condvar: Condvar::new(),
        }
    }

    /// Wakes the OS thread whose wait was claimed.
    pub(super) fn unpark(&self) {
        drop(self.lock.lock());
        self.condvar.notify_one();
    }
}

/// See `Caller::begin`.
pub(super) fn begin(parker: &Arc<OsParker>, mode: Mode) -> Opened {
    let episode = parker.word.begin(mode);
    Opened {
        unparker: Unparker {
            target: Target::Os(Arc::clone(parker)),
            episode,
        },
        mode,
    }
}

/// The calling OS thread.
#[cfg(not(green_loom))]
pub(super) fn current() -> Caller {
    use std::rc::Rc;

    use crate::sched::interrupts::Interrupts;

    thread_local! {
        /// The parker and the `Timeout` scopes of this OS thread.
        static THIS: (Arc<OsParker>, Rc<Interrupts>) = (Arc::new(OsParker::new()), Rc::default());
    }
    THIS.try_with(|(parker, interrupts)| {
        Caller::Os(Arc::clone(parker), Some(Rc::clone(interrupts)))
    })
    // The OS thread is going down and its thread-locals are gone: a parker for this wait only.
    .unwrap_or_else(|_| Caller::Os(Arc::new(OsParker::new()), None))
}

/// The calling OS thread of a model.
#[cfg(green_loom)]
pub(super) fn current() -> Caller {
    Caller::Os(Arc::new(OsParker::new()))
}

/// See `Caller::park`; the OS thread's `Timeout` scopes can end the wait too.
#[cfg(not(green_loom))]
pub(super) fn park_interruptible(
    parker: &OsParker,
    interrupts: Option<&crate::sched::interrupts::Interrupts>,
    opened: &Opened,
    deadline: Deadline,
) -> Wake {
    let scope = match opened.mode {
        Mode::Interruptible => interrupts.and_then(|interrupts| interrupts.earliest()),
        Mode::Masked => None,
    };
    let episode = opened.unparker.episode;
    let Some(scope) = scope.filter(|&scope| deadline.instant().is_none_or(|at| scope <= at)) else {
        return park(parker, episode, deadline);
    };
    match park(parker, episode, Deadline::At(scope)) {
        Wake::TimedOut => interrupts
            .and_then(|interrupts| interrupts.take_expired(std::time::Instant::now()))
            .map_or(Wake::TimedOut, |id| {
                Wake::Interrupted(super::Interrupt::Timeout(id))
            }),
        wake => wake,
    }
}

/// Sleeps until the episode is claimed; claims it itself at `deadline`.
#[cfg(not(green_loom))]
pub(super) fn park(parker: &OsParker, episode: Episode, deadline: Deadline) -> Wake {
    let mut guard = parker.lock.lock();
    let outcome = loop {
        if let Some(outcome) = parker.word.outcome() {
            break outcome;
        }
        let timed_out = match deadline {
            Deadline::Never => {
                parker.condvar.wait(&mut guard);
                false
            }
            Deadline::At(at) => parker.condvar.wait_until(&mut guard, at).timed_out(),
        };
        if timed_out {
            // If the claim fails, somebody else's succeeded: the next look finds the outcome.
            let _ = parker.word.claim(episode, Outcome::TimedOut);
        }
    };
    drop(guard);
    finish(parker, outcome)
}

/// Sleeps until the episode is claimed; a deadline may pass at once, which covers every timing.
#[cfg(green_loom)]
pub(super) fn park(parker: &OsParker, episode: Episode, deadline: Deadline) -> Wake {
    let mut guard = parker.lock.lock();
    let outcome = loop {
        if let Some(outcome) = parker.word.outcome() {
            break outcome;
        }
        match deadline {
            Deadline::Never => guard = parker.condvar.wait_owned(guard),
            Deadline::At(_) => {
                let _ = parker.word.claim(episode, Outcome::TimedOut);
            }
        }
    };
    drop(guard);
    finish(parker, outcome)
}

fn finish(parker: &OsParker, outcome: Outcome) -> Wake {
    parker.word.end();
    match outcome {
        Outcome::TimedOut => Wake::TimedOut,
        // Nobody kills an OS thread.
        Outcome::Notified | Outcome::Interrupted => Wake::Notified,
    }
}
