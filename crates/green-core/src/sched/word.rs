//! The wake word: who ends a wait.
//!
//! Every caller that can wait (a green thread's slot, an OS thread, a `may` coroutine) has one word.
//! A wait is an *episode*: the caller opens it, at most one party claims its end, and that party, and
//! nobody else, wakes the caller. So there is exactly one wake-up per episode, and a late timer, kill
//! or notify finds the episode over and does nothing.
//!
//! # States
//!
//! | state | meaning | who leaves it |
//! |---|---|---|
//! | `Running` | not waiting | the caller, to `Waiting` or `Masked`, with the next episode number |
//! | `Waiting` | waits, interrupts welcome | whoever claims first: notifier, timer, killer |
//! | `Masked` | waits, interrupts deferred | notifier or timer |
//! | `Notified`, `TimedOut`, `Interrupted` | the end that was claimed | the caller, to `Running` |
//!
//! # Memory ordering
//!
//! A claim releases and [`Word::outcome`] acquires: what the claimer wrote before is seen by the
//! caller after. Opening an episode and reading the caller's kill flag afterwards, against setting the
//! flag and then claiming, is Dekker's pattern: all four are `SeqCst`, so either the killer sees the
//! episode open or the caller sees the flag.

use crate::primitive::{AtomicU64, Ordering, after_seqcst};

/// The number of a wait, unique for its word; the low bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Episode(u64);

/// Who may end an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Notifiers, timers and interrupts.
    Interruptible,
    /// Notifiers and timers; interrupts stay pending.
    Masked,
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A notifier chose this caller.
    Notified,
    /// The deadline passed.
    TimedOut,
    /// Somebody interrupted the wait.
    Interrupted,
}

/// The low bits that hold the state.
const STATE: u64 = 0b111;
/// One episode.
const EPISODE: u64 = STATE + 1;
/// Not waiting.
const RUNNING: u64 = 0;
/// Waiting; may be interrupted.
const WAITING: u64 = 1;
/// Waiting; interrupts are deferred.
const MASKED: u64 = 2;
/// Ended by a notifier.
const NOTIFIED: u64 = 3;
/// Ended by the deadline.
const TIMED_OUT: u64 = 4;
/// Ended by an interrupt.
const INTERRUPTED: u64 = 5;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Word(AtomicU64);

impl Word {
    /// A word that waits for nothing.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(RUNNING))
    }

    /// Opens the next episode. Only the word's own caller does this.
    #[inline]
    pub(crate) fn begin(&self, mode: Mode) -> Episode {
        let next = (self.0.load(Ordering::Relaxed) & !STATE) + EPISODE;
        let state = match mode {
            Mode::Interruptible => WAITING,
            Mode::Masked => MASKED,
        };
        self.0.store(next | state, Ordering::SeqCst);
        after_seqcst();
        Episode(next)
    }

    /// Tries to end `episode`; true for exactly one claimer.
    #[inline]
    pub(crate) fn claim(&self, episode: Episode, outcome: Outcome) -> bool {
        let end = match outcome {
            Outcome::Notified => NOTIFIED,
            Outcome::TimedOut => TIMED_OUT,
            Outcome::Interrupted => INTERRUPTED,
        };
        let exchange = |from| {
            self.0
                .compare_exchange(
                    episode.0 | from,
                    episode.0 | end,
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                )
                .is_ok()
        };
        exchange(WAITING) || (outcome != Outcome::Interrupted && exchange(MASKED))
    }

    /// The episode that is open now and may be interrupted.
    pub(crate) fn interruptible(&self) -> Option<Episode> {
        let word = self.0.load(Ordering::SeqCst);
        (word & STATE == WAITING).then_some(Episode(word & !STATE))
    }

    /// The episode that is open now, if one is.
    pub(crate) fn open(&self) -> Option<Episode> {
        let word = self.0.load(Ordering::Acquire);
        matches!(word & STATE, WAITING | MASKED).then_some(Episode(word & !STATE))
    }

    /// How the current episode ended; `None` while it is open.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self.0.load(Ordering::Acquire) & STATE {
            NOTIFIED => Some(Outcome::Notified),
            TIMED_OUT => Some(Outcome::TimedOut),
            INTERRUPTED => Some(Outcome::Interrupted),
            _ => None,
        }
    }

    /// Ends the wait on the caller's side. Only the word's own caller does this, after an outcome.
    #[inline]
    pub(crate) fn end(&self) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word & !STATE | RUNNING, Ordering::Release);
    }
}
