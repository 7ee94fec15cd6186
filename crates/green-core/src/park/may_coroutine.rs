//! Parking a `may` coroutine: through `may`'s own blocker, on `may`'s own workers.
//!
//! A coroutine has no record of ours that outlives a wait, so each wait has a parker of its own. `may`
//! may unwind the coroutine out of its park (its `cancel`), or free its stack without unwinding: the
//! parker, and the waiter that points to it, live on the heap.

use std::sync::Arc;
use std::time::{Duration, Instant};

use may::sync::Blocker;

use super::{Opened, Target, Unparker, Wake};
use crate::sched::word::{Episode, Mode, Outcome, Word};
use crate::time::deadline::Deadline;

/// What others need of a `may` coroutine to end one wait of it.
#[derive(Debug)]
pub(crate) struct MayParker {
    /// Who ends the wait.
    pub(super) word: Word,
    /// `may`'s side of it.
    blocker: Arc<Blocker>,
}

impl MayParker {
    /// Wakes the coroutine whose wait was claimed.
    pub(super) fn unpark(&self) {
        self.blocker.unpark();
    }
}

/// The calling `may` coroutine, if the caller is one.
#[inline(never)]
pub(super) fn current() -> Option<Arc<MayParker>> {
    may::coroutine::is_coroutine().then(|| {
        Arc::new(MayParker {
            word: Word::new(),
            blocker: Blocker::current(),
        })
    })
}

/// See `Caller::begin`.
pub(super) fn begin(parker: &Arc<MayParker>, mode: Mode) -> Opened {
    let episode = parker.word.begin(mode);
    Opened {
        unparker: Unparker {
            target: Target::May(Arc::clone(parker)),
            episode,
        },
        mode,
    }
}

/// See `Caller::park`.
pub(super) fn park(parker: &MayParker, episode: Episode, deadline: Deadline) -> Wake {
    let outcome = loop {
        if let Some(outcome) = parker.word.outcome() {
            break outcome;
        }
        // An error is `may`'s timeout (its cancel unwinds instead); a token may also be a leftover.
        // Either way the word and the clock decide.
        let _ = parker.blocker.park(remaining(deadline));
        if deadline.is_past() {
            let _ = parker.word.claim(episode, Outcome::TimedOut);
        }
    };
    parker.word.end();
    match outcome {
        Outcome::TimedOut => Wake::TimedOut,
        Outcome::Notified | Outcome::Interrupted => Wake::Notified,
    }
}

/// Lets other coroutines run.
pub(super) fn yield_now() {
    may::coroutine::yield_now();
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
