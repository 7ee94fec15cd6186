//! gevent's `event`: a flag to wait for, and a result to wait for.

mod async_result;

use std::fmt;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use crate::interrupt::OrRaise;
use crate::park::Green;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, Watcher, Watchers};
#[cfg(feature = "async")]
use crate::waitq::Turn;
use crate::waitq::{Monitor, Wait, WaitQueue};

pub use async_result::{AlreadySet, AsyncResult};

/// A flag that any number of callers can wait for.
///
/// `set` releases everyone who waits at that moment, in the order in which they came, even if `clear`
/// follows at once; whoever comes after the `clear` waits for the next `set`. The setter runs on.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::event::Event;
///
/// let ready = Arc::new(Event::new());
/// let theirs = Arc::clone(&ready);
/// let waiter = green_core::spawn(move || theirs.wait());
/// ready.set();
/// waiter.join();
/// ```
pub struct Event {
    state: Monitor<State>,
    /// How many were released and have not run since. Below zero for a moment if one of them, on another
    /// hub, was faster than the counting.
    released: AtomicIsize,
}

#[derive(Debug)]
struct State {
    /// Whether it is set.
    set: bool,
    /// Those who wait until it is.
    waiting: WaitQueue,
    /// Who waits for it among others.
    watchers: Watchers,
}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Self {
        Self {
            state: Monitor::new(State {
                set: false,
                waiting: WaitQueue::new(),
                watchers: Watchers::new(),
            }),
            released: AtomicIsize::new(0),
        }
    }

    /// Whether it is set.
    #[doc(alias = "isSet")]
    pub fn is_set(&self) -> bool {
        self.state.lock().set
    }

    /// Whether it is set: whether it is there to be had, as with anything that one can wait for.
    pub fn ready(&self) -> bool {
        self.is_set()
    }

    /// Sets it, and releases everyone who waits.
    ///
    /// Does not wait: those who are released run later. Does nothing if it is set.
    pub fn set(&self) {
        let mut watchers = Vec::new();
        let released = self.state.notify_all(
            |state| &mut state.waiting,
            |state| {
                state.set = true;
                watchers = state.watchers.take();
            },
        );
        if released > 0 {
            self.released.fetch_add(count(released), Ordering::Relaxed);
        }
        watchers.iter().for_each(Watcher::tell);
    }

    /// Unsets it. Those whom an earlier `set` released stay released.
    pub fn clear(&self) {
        self.state.lock().set = false;
    }

    /// Waits until it is set; returns at once if it is.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. If it is set and there are some whom that released and who have
    /// not run yet, they run ahead of a caller on their hub.
    pub fn wait(&self) {
        self.wait_until(Deadline::Never);
    }

    /// Waits at most `timeout`; true if it was set.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Deadline::after(timeout))
    }

    /// Waits until `deadline` at the latest; true if it was set.
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_until(Deadline::At(deadline))
    }

    /// Awaits that it is set, on any executor; done at once if it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use green_core::event::Event;
    ///
    /// let ready = Arc::new(Event::new());
    /// let theirs = Arc::clone(&ready);
    /// green_core::spawn(move || theirs.set());
    /// green_core::block_on(ready.wait_async());
    /// ```
    #[cfg(feature = "async")]
    pub async fn wait_async(&self) {
        let was_released = self.state.wait_in_turn_async(
            |state| &mut state.waiting,
            |state, turn| match turn {
                Turn::Running => state.set.then_some(false),
                Turn::Chosen => Some(true),
            },
            |_| {
                self.runs();
                None
            },
        );
        if was_released.await {
            self.runs();
        }
    }

    fn wait_until(&self, deadline: Deadline) -> bool {
        let released = self.state.wait_granted(
            Wait::new(WaitFor::Event, deadline),
            |state| &mut state.waiting,
            |state| state.set.then_some(()),
            |_| {
                self.runs();
                None
            },
        );
        match released.or_raise() {
            // It was set.
            Some(Some(())) => {
                self.let_the_released_run();
                true
            }
            Some(None) => {
                self.runs();
                true
            }
            None => false,
        }
    }

    /// One that was released runs.
    fn runs(&self) {
        self.released.fetch_sub(1, Ordering::Relaxed);
    }

    fn let_the_released_run(&self) {
        if self.released.load(Ordering::Relaxed) > 0
            && let Some(green) = Green::current()
        {
            green.let_others_run();
        }
    }
}

/// A number of callers, as one that may be below zero.
fn count(callers: usize) -> isize {
    isize::try_from(callers).expect("so many callers do not fit into memory")
}

/// Ready when it is set, or has been set since the wait began.
impl Waitable for Event {
    fn watch(&self, watcher: &Watcher) {
        let mut state = self.state.lock();
        if !state.set {
            state.watchers.add(watcher);
            return;
        }
        drop(state);
        watcher.tell();
    }

    fn unwatch(&self, watcher: &Watcher) {
        let removed = self.state.lock().watchers.remove(watcher);
        drop(removed);
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .finish_non_exhaustive()
    }
}
