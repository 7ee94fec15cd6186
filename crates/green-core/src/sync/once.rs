//! std's `Once`, green.
//!
//! # States
//!
//! | `state` | meaning | who leaves it |
//! |---|---|---|
//! | `INCOMPLETE` | no closure has ended | a caller whose closure is to run, to `RUNNING` |
//! | `POISONED` | the last closure panicked | the same, by force |
//! | `RUNNING` | a closure runs | its caller: to `COMPLETE`; to `POISONED` by a panic; else back |
//! | `COMPLETE` | a closure has ended | nobody |
//!
//! Every change is made under the monitor's lock.
//!
//! # Memory ordering
//!
//! `COMPLETE` is stored with release and looked for with acquire, so whoever sees it sees what the closure
//! did. All other looks are under the lock.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::interrupt::{self, OrRaise};
use crate::park::{Caller, Park};
use crate::sched::WaitFor;
use crate::sched::waiter::Waiter;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue};

/// A closure has ended. Zero, which is the cheapest to look for.
const COMPLETE: u8 = 0;
/// No closure has ended.
const INCOMPLETE: u8 = 1;
/// The last closure panicked.
const POISONED: u8 = 2;
/// A closure runs.
const RUNNING: u8 = 3;

/// Runs one closure, once; see [`std::sync::Once`].
///
/// The closure may block, which suspends its own caller and those who wait for it.
///
/// # Differences from std
///
/// A closure that a kill or a time limit unwinds does not poison: things are as before, and the next caller
/// runs its own closure. A closure that comes back to its own `Once` panics, where std deadlocks.
///
/// # Examples
///
/// ```
/// use green_core::sync::Once;
///
/// static START: Once = Once::new();
///
/// let mut runs = 0;
/// START.call_once(|| runs += 1);
/// START.call_once(|| runs += 1);
/// assert!(START.is_completed() && runs == 1);
/// ```
pub struct Once {
    state: AtomicU8,
    waiting: Monitor<Waiting>,
}

/// Who runs, and who waits for that.
#[derive(Debug)]
struct Waiting {
    /// Whose closure runs, while one does; only to tell callers apart.
    runner: Option<&'static Waiter>,
    queue: WaitQueue,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// A [`Once`] that has not run; see [`std::sync::ONCE_INIT`].
#[deprecated(since = "0.1.0", note = "use `Once::new`")]
#[expect(
    clippy::declare_interior_mutable_const,
    reason = "std has it, and it is there to be copied"
)]
pub const ONCE_INIT: Once = Once::new();

/// What a closure finds; see [`std::sync::OnceState`].
pub struct OnceState {
    poisoned: bool,
    /// As std's: not `Sync`.
    like_std: PhantomData<std::sync::OnceState>,
}

/// What becomes of a poisoned `Once`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnPoison {
    /// The caller panics.
    Panic,
    /// It is as if it were incomplete.
    Ignore,
}

/// How a closure ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has done what it was for.
    Complete,
    /// It has not: things are as before.
    Undone,
}

/// What a caller finds.
#[derive(Clone, Copy)]
enum Look {
    Complete,
    Poisoned,
    /// The caller's own closure is running.
    Nested,
    /// The caller may run its closure; what the state was.
    Mine(u8),
}

impl Once {
    /// One that has not run; see [`std::sync::Once::new`].
    #[expect(clippy::new_without_default, reason = "std's has no default")]
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self::in_state(INCOMPLETE)
    }

    /// One that has run.
    pub(super) const fn complete() -> Self {
        Self::in_state(COMPLETE)
    }

    const fn in_state(state: u8) -> Self {
        Self {
            state: AtomicU8::new(state),
            waiting: Monitor::new(Waiting {
                runner: None,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Runs `f` unless a closure has run to its end; see [`std::sync::Once::call_once`].
    ///
    /// # Blocking
    ///
    /// Parks the caller while the closure of another runs; a cancellation point while it waits.
    ///
    /// # Panics
    ///
    /// If the last closure panicked; if the caller is in a closure of this `Once`.
    #[inline]
    #[track_caller]
    pub fn call_once<F>(&self, f: F)
    where
        F: FnOnce(),
    {
        if self.is_completed() {
            return;
        }
        let mut f = Some(f);
        self.run(OnPoison::Panic, &mut |_| {
            f.take().expect("a closure runs once")();
            End::Complete
        });
    }

    /// Runs `f` unless a closure has run to its end, also if the last one panicked; see
    /// [`std::sync::Once::call_once_force`].
    ///
    /// # Blocking
    ///
    /// As [`Once::call_once`].
    ///
    /// # Panics
    ///
    /// If the caller is in a closure of this `Once`.
    #[inline]
    pub fn call_once_force<F>(&self, f: F)
    where
        F: FnOnce(&OnceState),
    {
        let mut f = Some(f);
        self.try_call(&mut |state| {
            f.take().expect("a closure runs once")(state);
            End::Complete
        });
    }

    /// As [`Once::call_once_force`], with a closure that says whether it is done.
    #[inline]
    pub(super) fn try_call(&self, f: &mut dyn FnMut(&OnceState) -> End) {
        if !self.is_completed() {
            self.run(OnPoison::Ignore, f);
        }
    }

    /// Whether a closure has run to its end; see [`std::sync::Once::is_completed`].
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until a closure has run to its end; see [`std::sync::Once::wait`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Panics
    ///
    /// If the last closure panicked; if the caller is in a closure of this `Once`.
    pub fn wait(&self) {
        if !self.is_completed() {
            self.wait_for_others(OnPoison::Panic);
        }
    }

    /// Waits until a closure has run to its end, whether or not one has panicked; see
    /// [`std::sync::Once::wait_force`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Panics
    ///
    /// If the caller is in a closure of this `Once`.
    pub fn wait_force(&self) {
        if !self.is_completed() {
            self.wait_for_others(OnPoison::Ignore);
        }
    }

    #[cold]
    #[track_caller]
    fn wait_for_others(&self, on_poison: OnPoison) {
        self.look(on_poison, |_, _| None);
    }

    #[cold]
    #[track_caller]
    fn run(&self, on_poison: OnPoison, f: &mut dyn FnMut(&OnceState) -> End) {
        let begin = |waiting: &mut Waiting, caller| {
            let before = self.state.swap(RUNNING, Ordering::Relaxed);
            waiting.runner = Some(caller);
            Some(Look::Mine(before))
        };
        let Look::Mine(before) = self.look(on_poison, begin) else {
            return;
        };
        let found = OnceState {
            poisoned: before == POISONED,
            like_std: PhantomData,
        };
        let result = catch_unwind(AssertUnwindSafe(|| f(&found)));
        let after = match &result {
            Ok(End::Complete) => COMPLETE,
            Ok(End::Undone) => before,
            Err(payload) if interrupt::of(&**payload).is_some() => before,
            Err(_) => POISONED,
        };
        // Also those who have a closure of their own: the first of them runs it.
        self.waiting.notify_all(
            |waiting| &mut waiting.queue,
            |waiting| {
                waiting.runner = None;
                self.state.store(after, Ordering::Release);
            },
        );
        if let Err(payload) = result {
            interrupt::resume(payload);
        }
    }

    /// Waits while a closure runs, and while none does and `idle` yields nothing.
    ///
    /// # Panics
    ///
    /// If it is poisoned and that is not ignored; if the closure that runs is the caller's.
    #[track_caller]
    fn look(
        &self,
        on_poison: OnPoison,
        mut idle: impl FnMut(&mut Waiting, &'static Waiter) -> Option<Look>,
    ) -> Look {
        let caller = Caller::current().waiter();
        let look = |waiting: &mut Waiting| match self.state.load(Ordering::Relaxed) {
            COMPLETE => Some(Look::Complete),
            POISONED if on_poison == OnPoison::Panic => Some(Look::Poisoned),
            RUNNING => {
                let nested = waiting.runner.is_some_and(|runner| ptr::eq(runner, caller));
                nested.then_some(Look::Nested)
            }
            _ => idle(waiting, caller),
        };
        let wait = Wait::new(WaitFor::Once, Deadline::Never);
        let found = self.waiting.wait(wait, |waiting| &mut waiting.queue, look);
        match found.unless_interrupted() {
            Look::Poisoned => panic!("Once instance has previously been poisoned"),
            Look::Nested => panic!("what is to run once waits for itself"),
            found => found,
        }
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl OnceState {
    /// Whether the last closure panicked; see [`std::sync::OnceState::is_poisoned`].
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState")
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}
