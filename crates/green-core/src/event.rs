//! gevent's `event`: a flag to wait for.

use std::fmt;
use std::time::{Duration, Instant};

use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, Watcher, Watchers};
use crate::waitq::{Monitor, Wait, WaitQueue};

/// A flag that any number of callers can wait for.
///
/// `set` releases everyone who waits at that moment, in the order in which they came, even if `clear`
/// follows at once.
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
}

#[derive(Debug)]
struct State {
    set: bool,
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
        }
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.state.lock().set
    }

    /// Sets it, and releases everyone who waits.
    pub fn set(&self) {
        let mut watchers = Vec::new();
        self.state.notify_all(
            |state| &mut state.waiting,
            |state| {
                state.set = true;
                watchers = state.watchers.take();
            },
        );
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
    /// Parks the caller; a cancellation point.
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

    fn wait_until(&self, deadline: Deadline) -> bool {
        let wait = Wait::new(WaitFor::Event, deadline);
        let released = self.state.wait_once(
            wait,
            |state| &mut state.waiting,
            |state| state.set.then_some(()),
        );
        released.or_raise().is_some()
    }
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
