//! A lock that its owner may take again.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::thread::{self, ThreadId};
use crate::time::deadline::Deadline;
use crate::waitq::{Chosen, Line, Monitor, Turn, Wait};

/// A lock that whoever has it may take again. It is free when it has been given back as often as taken.
///
/// Its owner is a green thread, an OS thread or a `may` coroutine: green threads of one hub keep each other out. It
/// protects no value: put that beside it.
///
/// # Examples
///
/// ```
/// use green_core::lock::RLock;
///
/// let lock = RLock::new();
/// let outer = lock.acquire();
/// let inner = lock.acquire();
/// drop(outer);
/// assert!(lock.locked());
/// drop(inner);
/// assert!(!lock.locked());
/// ```
pub struct RLock {
    state: Monitor<State>,
}

struct State {
    /// Who has it.
    owner: Option<ThreadId>,
    /// How often its owner took it.
    depth: usize,
    waiting: Line,
}

impl UnwindSafe for RLock {}
impl RefUnwindSafe for RLock {}

impl RLock {
    /// A lock that is free.
    pub const fn new() -> Self {
        Self {
            state: Monitor::new(State {
                owner: None,
                depth: 0,
                waiting: Line::new(),
            }),
        }
    }

    /// Whether somebody has it.
    pub fn locked(&self) -> bool {
        self.state.lock().owner.is_some()
    }

    /// Takes it, waiting until it is free or the caller's own.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. If it is free, or the caller's own, it does not wait.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a wait without a deadline does not time out"
    )]
    pub fn acquire(&self) -> RLockGuard<'_> {
        self.acquire_until(Deadline::Never)
            .expect("a wait without a deadline does not time out")
    }

    /// Takes it if it is free and not kept for those who wait, or if it is the caller's own.
    pub fn try_acquire(&self) -> Option<RLockGuard<'_>> {
        let own = thread::current().id();
        let taken = self.state.lock().take(own, Turn::Running);
        taken.map(|()| self.guard(own))
    }

    /// Takes it, waiting at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<RLockGuard<'_>> {
        self.acquire_until(Deadline::after(timeout))
    }

    /// Takes it, waiting until `deadline` at the latest.
    pub fn acquire_deadline(&self, deadline: Instant) -> Option<RLockGuard<'_>> {
        self.acquire_until(Deadline::At(deadline))
    }

    /// Gives it back once, after [`RLockGuard::forget`].
    ///
    /// # Errors
    ///
    /// The caller does not have it.
    pub fn release(&self) -> Result<(), NotOwner> {
        let own = thread::current().id();
        let mut state = self.state.lock();
        if state.owner != Some(own) {
            return Err(NotOwner);
        }
        let next = state.give_back();
        drop(state);
        drop(next);
        Ok(())
    }

    fn acquire_until(&self, deadline: Deadline) -> Option<RLockGuard<'_>> {
        let own = thread::current().id();
        let taken = self.state.wait_in_turn(
            Wait::new(WaitFor::RLock, deadline),
            |state| state.waiting.queue(),
            |state, turn| state.take(own, turn),
            |state| state.waiting.pass_on(),
        );
        taken.or_raise().map(|()| self.guard(own))
    }

    fn guard(&self, owner: ThreadId) -> RLockGuard<'_> {
        RLockGuard {
            lock: self,
            owner,
            like_std: PhantomData,
        }
    }
}

impl State {
    fn take(&mut self, own: ThreadId, turn: Turn) -> Option<()> {
        if self.owner != Some(own) {
            let free = usize::from(self.owner.is_none());
            if !self.waiting.admits(turn, free) {
                return None;
            }
            self.owner = Some(own);
        }
        self.depth += 1;
        Some(())
    }

    /// Gives it back once; whom to wake.
    fn give_back(&mut self) -> Chosen {
        match self.depth {
            // It was released without `forget`, and now its guard is dropped.
            0 => Chosen::default(),
            1 => {
                self.depth = 0;
                self.owner = None;
                self.waiting.choose()
            }
            _ => {
                self.depth -= 1;
                Chosen::default()
            }
        }
    }
}

impl Default for RLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("locked", &self.locked())
            .finish_non_exhaustive()
    }
}

/// One of the times that the owner of an [`RLock`] has taken it; given back when it is dropped, also by unwinding.
///
/// It stays on its OS thread:
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>() {}
/// is_send::<green_core::lock::RLockGuard<'_>>();
/// ```
#[must_use = "the lock is given back when the guard is dropped"]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    /// Who took it.
    owner: ThreadId,
    /// As those of std's locks: not `Send`.
    like_std: PhantomData<std::sync::MutexGuard<'a, ()>>,
}

impl RLockGuard<'_> {
    /// Keeps the lock; [`RLock::release`] gives it back.
    #[expect(clippy::mem_forget, reason = "not giving back is what is asked for")]
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        // Whoever drops it. If it was given back by `release` before, somebody else may have it by now.
        let mut state = self.lock.state.lock();
        if state.owner != Some(self.owner) {
            return;
        }
        let next = state.give_back();
        drop(state);
        drop(next);
    }
}

impl fmt::Debug for RLockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").finish_non_exhaustive()
    }
}

/// A lock was to be given back by somebody who does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOwner;

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only the owner of the lock can release it")
    }
}

impl Error for NotOwner {}
