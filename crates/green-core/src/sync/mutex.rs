//! std's `Mutex`, green.
//!
//! # States
//!
//! | `state` | meaning | who leaves it |
//! |---|---|---|
//! | 0 | free | whoever locks, to `LOCKED` |
//! | `LOCKED` | held, nobody waits | the holder, to 0; a waiter, adding `WAITED_FOR` |
//! | `LOCKED + WAITED_FOR` | held, the queue is not empty | the holder, removing `LOCKED` |
//! | `WAITED_FOR` | free, the queue was not empty | whoever locks; the last waiter to leave the queue |
//! | `LOCKED`, and `Waiting::handed` | held for a waiter that was chosen | the first chosen waiter that looks: it has the lock |
//!
//! `WAITED_FOR` is set under the queue's lock by a waiter that is about to be linked, and cleared under
//! it by an unlock that leaves the queue empty; so an unlock that does not see it has nobody to wake.
//!
//! # Fairness
//!
//! An unlock frees the lock and wakes the first waiter, and whoever runs may take it before that one looks: so the lock is not idle
//! for as long as a wake-up lasts. When that has happened [`OVERTAKEN_AT_MOST`] times in a row, with no waiter served
//! in between, the next unlock does not free it but hands it over: only who has been chosen may take it then. One who locks
//! it where waiting stops a hub (in a panic hook, say) may, too, since whom it waits for may run on that hub.
//!
//! Where a holder may run on another core, who finds it held looks again [`SPINS`] times before it waits, unless others wait.

use std::fmt;
use std::hint;
use std::marker::PhantomData;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::poison::{Flag, Held};
use super::raw::Protected;
use crate::interrupt::OrRaise;
use crate::park::Green;
use crate::sched::word::Mode;
use crate::sched::{self, WaitFor};
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, OVERTAKEN_AT_MOST, Turn, Wait, WaitQueue, wake};

/// Whether the caller stops its hub if it waits: on the hub's own stack, or in a panic hook.
fn stops_its_hub() -> bool {
    sched::local().is_some() && Green::current().is_none()
}

/// The lock is held.
const LOCKED: u8 = 1;
/// The queue may not be empty.
const WAITED_FOR: u8 = 2;

/// How often a caller looks at a lock that is held before it waits: about a microsecond, less than it takes to sleep and be woken.
const SPINS: u32 = 50;

/// A mutual exclusion lock; see [`std::sync::Mutex`].
///
/// Waiters are served first in, first out; a caller that is running may take the free lock ahead of
/// them, but after 32 wake-ups in vain it is handed over. Holding it across a blocking call is fine.
///
/// # Differences from std
///
/// A green thread that is killed or timed out while it holds the lock does not poison it. One that gives it back and then
/// calls `try_lock` until that succeeds, and never waits, keeps the next owner from running if that is on its hub.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::sync::Mutex;
///
/// let total = Arc::new(Mutex::new(0));
/// let adders = (0..100).map(|n| {
///     let total = Arc::clone(&total);
///     green_core::spawn(move || *total.lock().unwrap() += n)
/// });
/// green_core::joinall(adders);
/// assert_eq!(*total.lock().unwrap(), 4950);
/// ```
pub struct Mutex<T: ?Sized> {
    state: AtomicU8,
    poison: Flag,
    waiting: Monitor<Waiting>,
    /// Reached through guards only, by `raw`.
    pub(super) value: Protected<T>,
}

/// Who waits for the lock.
#[derive(Debug)]
struct Waiting {
    queue: WaitQueue,
    /// How often in a row a waiter that was chosen found the lock taken.
    overtaken: u32,
    /// Whether the lock is held for a waiter that was chosen.
    handed: bool,
}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// Access to what a [`Mutex`] protects; see [`std::sync::MutexGuard`].
#[must_use = "the lock is given back when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    held: Held,
    /// As std's: not `Send`.
    like_std: PhantomData<std::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A lock around `t`; see [`std::sync::Mutex::new`].
    #[inline]
    pub const fn new(t: T) -> Self {
        Self {
            state: AtomicU8::new(0),
            poison: Flag::new(),
            waiting: Monitor::new(Waiting {
                queue: WaitQueue::new(),
                overtaken: 0,
                handed: false,
            }),
            value: Protected::new(t),
        }
    }

    /// The value; see [`std::sync::Mutex::into_inner`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.check(self.value.into_inner())
    }

    /// A copy of the value; std's method of this name is unstable.
    ///
    /// # Blocking
    ///
    /// As [`Mutex::lock`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn get_cloned(&self) -> Result<T, PoisonError<()>>
    where
        T: Clone,
    {
        match self.lock() {
            Ok(guard) => Ok(guard.clone()),
            Err(_) => Err(PoisonError::new(())),
        }
    }

    /// Puts `value` in the place of the one that is there; std's method of this name is unstable.
    ///
    /// # Blocking
    ///
    /// As [`Mutex::lock`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned: `value` comes back.
    pub fn set(&self, value: T) -> Result<(), PoisonError<T>> {
        // The old value is dropped without the lock.
        self.replace(value).map(drop)
    }

    /// Puts `value` in the place of the one that is there, and returns that; std's method of this name is
    /// unstable.
    ///
    /// # Blocking
    ///
    /// As [`Mutex::lock`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned: `value` comes back.
    pub fn replace(&self, value: T) -> LockResult<T> {
        match self.lock() {
            Ok(mut guard) => Ok(mem::replace(&mut *guard, value)),
            Err(_) => Err(PoisonError::new(value)),
        }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock; see [`std::sync::Mutex::lock`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point while it waits.
    ///
    /// # Errors
    ///
    /// The lock is poisoned; the guard is inside.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.acquire(Mode::Interruptible);
        self.guard()
    }

    /// Takes the lock if it is free; see [`std::sync::Mutex::try_lock`].
    ///
    /// # Errors
    ///
    /// The lock is held, or poisoned.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.try_acquire() {
            Ok(self.guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether the lock is poisoned; see [`std::sync::Mutex::is_poisoned`].
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Forgets that the lock was poisoned; see [`std::sync::Mutex::clear_poison`].
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value; see [`std::sync::Mutex::get_mut`].
    ///
    /// # Errors
    ///
    /// The lock is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.check(self.value.get_mut())
    }

    /// A guard for the lock that the caller has taken.
    #[inline]
    pub(super) fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        self.poison.check(MutexGuard {
            mutex: self,
            held: Flag::held(),
            like_std: PhantomData,
        })
    }

    /// Takes the lock, waiting until it is free.
    #[inline]
    pub(super) fn acquire(&self, mode: Mode) {
        if self
            .state
            .compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.acquire_slow(mode);
        }
    }

    #[cold]
    fn acquire_slow(&self, mode: Mode) {
        if self.try_acquire() || self.spin() {
            return;
        }
        let wait = Wait {
            mode,
            ..Wait::new(WaitFor::Mutex, Deadline::Never)
        };
        let ready = |waiting: &mut Waiting, turn| match turn {
            Turn::Running => self.is_taken(waiting).then_some(()),
            Turn::Chosen => self.is_served(waiting).then_some(()),
        };
        let pass_on = |waiting: &mut Waiting| {
            let next = waiting.queue.notify_one();
            if next.is_none() && mem::take(&mut waiting.handed) {
                self.state.fetch_and(!LOCKED, Ordering::Release);
            }
            next
        };
        self.waiting
            .wait_in_turn(wait, |waiting| &mut waiting.queue, ready, pass_on)
            .unless_interrupted();
    }

    /// Waits a moment for a holder that runs on another core; true if the caller has the lock then.
    fn spin(&self) -> bool {
        if !sched::others_run() {
            return false;
        }
        for _ in 0..SPINS {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED == 0 && self.try_acquire() {
                return true;
            }
            if state & WAITED_FOR != 0 {
                return false;
            }
            hint::spin_loop();
        }
        false
    }

    /// Whether a caller that has not waited has the lock now; else it is noted that it is waited for. Called under the queue's
    /// lock.
    fn is_taken(&self, waiting: &mut Waiting) -> bool {
        self.try_acquire_or_announce() || (stops_its_hub() && mem::take(&mut waiting.handed))
    }

    /// Whether a waiter that was chosen has the lock now. Called under the queue's lock.
    fn is_served(&self, waiting: &mut Waiting) -> bool {
        let served = mem::take(&mut waiting.handed) || self.try_acquire_or_announce();
        waiting.overtaken = if served { 0 } else { waiting.overtaken + 1 };
        served
    }

    fn try_acquire(&self) -> bool {
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                (state & LOCKED == 0).then_some(state | LOCKED)
            })
            .is_ok()
    }

    /// Takes the lock, or notes that it is waited for. Called under the queue's lock.
    fn try_acquire_or_announce(&self) -> bool {
        let before = self.state.fetch_or(LOCKED | WAITED_FOR, Ordering::Acquire);
        if before & LOCKED == 0 && before & WAITED_FOR == 0 {
            // Free and not waited for: the mark was ours, and we do not wait.
            self.state.fetch_and(!WAITED_FOR, Ordering::Relaxed);
        }
        before & LOCKED == 0
    }

    /// Gives the lock back.
    #[inline]
    pub(super) fn release(&self) {
        if self
            .state
            .compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            self.release_slow();
        }
    }

    #[cold]
    fn release_slow(&self) {
        let mut waiting = self.waiting.lock();
        let hands_over = waiting.overtaken >= OVERTAKEN_AT_MOST;
        if !hands_over {
            self.state.fetch_and(!LOCKED, Ordering::Release);
        }
        let next = waiting.queue.notify_one();
        if hands_over {
            waiting.overtaken = 0;
            waiting.handed = next.is_some();
            if !waiting.handed {
                self.state.fetch_and(!LOCKED, Ordering::Release);
            }
        }
        if waiting.queue.is_empty() {
            self.state.fetch_and(!WAITED_FOR, Ordering::Relaxed);
        }
        drop(waiting);
        wake(next);
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => out.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => out.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => out.field("data", &format_args!("<locked>")),
        };
        out.field("poisoned", &self.poison.get());
        out.finish_non_exhaustive()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The lock.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.poison.done(self.held);
        self.mutex.release();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
