//! A counter of permits, and the permits.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bounded::OverRelease;
use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, Watcher};
use crate::waitq::{Monitor, Turn, Wait};
use crate::watched_line::{Next, WatchedLine};

/// A counter of permits. Acquiring takes one, waiting while there is none.
///
/// Nobody owns a permit: anybody may [`release`](Self::release). A green thread that is killed gives its
/// permits back while it unwinds.
///
/// # Examples
///
/// ```
/// use green_core::lock::Semaphore;
///
/// let two = Semaphore::new(2);
/// let first = two.acquire();
/// let _second = two.acquire();
/// assert!(two.try_acquire().is_none());
/// drop(first);
/// assert!(two.try_acquire().is_some());
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl Semaphore {
    /// A semaphore with `permits` permits.
    pub const fn new(permits: usize) -> Self {
        Self {
            permits: Permits::new(permits, usize::MAX),
        }
    }

    /// How many permits are free.
    #[doc(alias = "counter")]
    pub fn available(&self) -> usize {
        self.permits.available()
    }

    /// Whether no permit is free.
    pub fn locked(&self) -> bool {
        self.available() == 0
    }

    /// Whether a permit is free.
    pub fn ready(&self) -> bool {
        !self.locked()
    }

    /// Takes a permit, waiting until one is free.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. With a free permit it does not wait.
    pub fn acquire(&self) -> Permit<'_> {
        self.permits.acquire()
    }

    /// Takes a permit if one is free, and not kept for those who wait.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.permits.try_acquire()
    }

    /// Takes a permit, waiting at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.permits.acquire_until(Deadline::after(timeout))
    }

    /// Takes a permit, waiting until `deadline` at the latest.
    pub fn acquire_deadline(&self, deadline: Instant) -> Option<Permit<'_>> {
        self.permits.acquire_until(Deadline::At(deadline))
    }

    /// As [`Semaphore::acquire`]; the permit can go to another green thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use green_core::lock::Semaphore;
    ///
    /// let one = Arc::new(Semaphore::new(1));
    /// let permit = one.acquire_owned();
    /// green_core::spawn(move || drop(permit));
    /// one.acquire();
    /// ```
    pub fn acquire_owned(self: &Arc<Self>) -> OwnedPermit {
        self.acquire().forget();
        OwnedPermit {
            semaphore: Arc::clone(self),
        }
    }

    /// As [`Semaphore::try_acquire`]; the permit can go to another green thread.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Option<OwnedPermit> {
        self.try_acquire()?.forget();
        Some(OwnedPermit {
            semaphore: Arc::clone(self),
        })
    }

    /// As [`Semaphore::acquire`], awaited on any executor.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::lock::Semaphore;
    ///
    /// let one = Semaphore::new(1);
    /// green_core::block_on(async {
    ///     let _permit = one.acquire_async().await;
    ///     assert!(one.locked());
    /// });
    /// assert!(!one.locked());
    /// ```
    #[cfg(feature = "async")]
    pub async fn acquire_async(&self) -> Permit<'_> {
        self.permits.acquire_async().await
    }

    /// As [`Semaphore::acquire_owned`], awaited on any executor.
    #[cfg(feature = "async")]
    pub async fn acquire_owned_async(self: &Arc<Self>) -> OwnedPermit {
        self.acquire_async().await.forget();
        OwnedPermit {
            semaphore: Arc::clone(self),
        }
    }

    /// Waits until a permit is free, and does not take it; how many there are. Somebody else may have taken them
    /// when the caller looks.
    ///
    /// # Blocking
    ///
    /// Parks the caller, in one line with those who acquire; a cancellation point.
    #[doc(alias = "wait_available")]
    pub fn wait(&self) -> usize {
        self.permits.wait_until(Deadline::Never)
    }

    /// As [`Semaphore::wait`], waiting at most `timeout`; zero if no permit was free in time.
    pub fn wait_timeout(&self, timeout: Duration) -> usize {
        self.permits.wait_until(Deadline::after(timeout))
    }

    /// Adds a permit; anybody may.
    ///
    /// # Panics
    ///
    /// If there are `usize::MAX` already.
    pub fn release(&self) {
        let released = self.permits.release();
        assert!(released.is_ok(), "a semaphore was released too often");
    }
}

/// Ready when a permit is free, and is not kept for somebody who came before. None is taken: somebody else may have it
/// before the caller does.
///
/// ```
/// use green_core::lock::Semaphore;
///
/// let (none, one) = (Semaphore::new(0), Semaphore::new(1));
/// assert_eq!(green_core::wait_count(&[&none, &one], 1), [1]);
/// assert_eq!(one.available(), 1);
/// ```
impl Waitable for Semaphore {
    fn watch(&self, watcher: &Watcher) {
        self.permits.watch(watcher);
    }

    fn unwatch(&self, watcher: &Watcher) {
        self.permits.unwatch(watcher);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// A permit of a semaphore; given back when it is dropped, also by unwinding.
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit<'a> {
    /// Where it belongs; `None` if it is one of those of which there are any number.
    permits: Option<&'a Permits>,
}

impl Permit<'_> {
    /// One of any number.
    pub(super) const fn dummy() -> Self {
        Self { permits: None }
    }

    /// Keeps the permit for good; the semaphore's `release` gives one back.
    pub fn forget(mut self) {
        self.permits = None;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(permits) = self.permits {
            // There is nobody to tell if others have released more than they took.
            permits.release().ok();
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A permit of a [`Semaphore`] that keeps it alive; given back when it is dropped, also by unwinding.
#[derive(Debug)]
#[must_use = "a permit is given back when it is dropped"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.permits.release().ok();
    }
}

/// Permits with a limit to how many there are: what all semaphores are.
pub(super) struct Permits {
    state: Monitor<State>,
    limit: usize,
}

struct State {
    /// How many may be taken.
    free: usize,
    /// Those who wait to take one, or only to see one.
    waiting: WatchedLine,
}

impl State {
    fn take(&mut self, turn: Turn) -> Option<()> {
        self.waiting.admits(turn, self.free).then(|| self.free -= 1)
    }
}

impl Permits {
    pub(super) const fn new(free: usize, limit: usize) -> Self {
        Self {
            state: Monitor::new(State {
                free,
                waiting: WatchedLine::new(),
            }),
            limit,
        }
    }

    pub(super) fn available(&self) -> usize {
        self.state.lock().free
    }

    pub(super) fn acquire(&self) -> Permit<'_> {
        self.acquire_until(Deadline::Never)
            .expect("a wait without a deadline does not time out")
    }

    pub(super) fn try_acquire(&self) -> Option<Permit<'_>> {
        let taken = self.state.lock().take(Turn::Running);
        taken.map(|()| self.permit())
    }

    pub(super) fn acquire_until(&self, deadline: Deadline) -> Option<Permit<'_>> {
        let taken = self.state.wait_in_turn(
            Wait::new(WaitFor::Semaphore, deadline),
            |state| state.waiting.queue(),
            State::take,
            |state| state.waiting.pass_on(),
        );
        taken.or_raise().map(|()| self.permit())
    }

    #[cfg(feature = "async")]
    pub(super) async fn acquire_async(&self) -> Permit<'_> {
        let taken = self.state.wait_in_turn_async(
            |state| state.waiting.queue(),
            State::take,
            |state| state.waiting.pass_on(),
        );
        taken.await;
        self.permit()
    }

    /// Waits until there is one; how many, or zero if the deadline passed.
    pub(super) fn wait_until(&self, deadline: Deadline) -> usize {
        let seen = self.state.wait_in_turn(
            Wait::new(WaitFor::Semaphore, deadline),
            |state| state.waiting.queue(),
            |state, turn| {
                let next = state.waiting.sees(turn, state.free)?;
                Some((state.free, next))
            },
            |state| state.waiting.pass_on(),
        );
        seen.or_raise().map_or(0, |(free, _next)| free)
    }

    pub(super) fn release(&self) -> Result<(), OverRelease> {
        drop(self.add()?);
        Ok(())
    }

    /// Adds one; whom to wake.
    fn add(&self) -> Result<Next, OverRelease> {
        let mut state = self.state.lock();
        if state.free >= self.limit {
            return Err(OverRelease);
        }
        state.free += 1;
        Ok(state.waiting.choose())
    }

    pub(super) fn watch(&self, watcher: &Watcher) {
        let mut state = self.state.lock();
        if !state.waiting.is_free(state.free) {
            state.waiting.watch(watcher);
            return;
        }
        drop(state);
        watcher.tell();
    }

    pub(super) fn unwatch(&self, watcher: &Watcher) {
        let removed = self.state.lock().waiting.unwatch(watcher);
        drop(removed);
    }

    fn permit(&self) -> Permit<'_> {
        Permit {
            permits: Some(self),
        }
    }
}
