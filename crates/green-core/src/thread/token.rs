//! A thread's park token: what `unpark` gives and `park` takes.
//!
//! # States
//!
//! The token is there or not; however often it is given, there is one. Whoever parks waits until it is there, and
//! takes it. Only its own thread parks, but nothing here relies on that.
//!
//! # Memory ordering
//!
//! The token is given and taken under the monitor's lock, so what was written before an `unpark` is seen after the
//! `park` that takes its token, also if the token was there already.

use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Token(Monitor<State>);

#[derive(Debug)]
struct State {
    /// Whether it is there.
    given: bool,
    /// Who waits for it.
    waiting: WaitQueue,
}

impl Token {
    /// None is there.
    pub(crate) fn new() -> Self {
        Self(Monitor::new(State {
            given: false,
            waiting: WaitQueue::new(),
        }))
    }

    /// Waits until it is there, and takes it.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; a token that is given stays there.
    pub(crate) fn take(&self, deadline: Deadline) -> Result<(), NotReady> {
        self.take_for(WaitFor::Park, deadline)
    }

    /// The same; dumps show that the caller waits for `what`.
    ///
    /// # Errors
    ///
    /// As [`Token::take`].
    pub(crate) fn take_for(&self, what: WaitFor, deadline: Deadline) -> Result<(), NotReady> {
        let wait = Wait::new(what, deadline);
        self.0.wait(
            wait,
            |state| &mut state.waiting,
            |state| std::mem::take(&mut state.given).then_some(()),
        )
    }

    /// Takes it if it is there.
    #[cfg(feature = "async")]
    pub(crate) fn try_take(&self) -> bool {
        std::mem::take(&mut self.0.lock().given)
    }

    /// Gives it.
    pub(crate) fn give(&self) {
        let mut state = self.0.lock();
        state.given = true;
        let next = state.waiting.notify_one();
        drop(state);
        wake(next);
    }
}
