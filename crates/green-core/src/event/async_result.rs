//! A result that somebody sets once, and anybody waits for.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::error::{Elapsed, Failure};
use crate::greenlet::Greenlet;
use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, Watcher, Watchers};
use crate::waitq::{Monitor, Wait, WaitQueue};

/// A place for one value, or one error, that any number of callers can wait for.
///
/// It is set once. Setting releases everyone who waits, in the order in which they came.
///
/// gevent's names of futures are these: `set_result` is [`set`](Self::set), `result` is [`get`](Self::get) and
/// [`get_timeout`](Self::get_timeout), `done` is [`ready`](Self::ready). There is nothing to `cancel`.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::event::AsyncResult;
///
/// let answer = Arc::new(AsyncResult::new());
/// let theirs = Arc::clone(&answer);
/// let asks = green_core::spawn(move || theirs.get().unwrap());
/// answer.set(42).unwrap();
/// assert_eq!(asks.get().unwrap(), 42);
/// assert_eq!(answer.set(43).unwrap_err().into_inner(), 43);
/// ```
pub struct AsyncResult<T> {
    /// Set under the lock of `state`, read without it.
    result: OnceLock<Result<T, Failure>>,
    state: Monitor<State>,
}

struct State {
    /// Those who wait until it is set.
    waiting: WaitQueue,
    /// Who waits for it among others.
    watchers: Watchers,
}

impl<T> AsyncResult<T> {
    /// A result that is not set.
    pub const fn new() -> Self {
        Self {
            result: OnceLock::new(),
            state: Monitor::new(State {
                waiting: WaitQueue::new(),
                watchers: Watchers::new(),
            }),
        }
    }

    /// Sets a value.
    ///
    /// Does not wait: those who are released run later.
    ///
    /// # Errors
    ///
    /// It is set already; the value comes back.
    #[doc(alias = "set_result")]
    pub fn set(&self, value: T) -> Result<(), AlreadySet<T>> {
        self.store(Ok(value)).map_err(|AlreadySet(back)| {
            AlreadySet(back.unwrap_or_else(|_| unreachable!("it was a value")))
        })
    }

    /// Sets an error: what everyone gets in place of a value is that error, if it is a [`Failure`], else
    /// [`Failure::Raised`] around it.
    ///
    /// # Errors
    ///
    /// It is set already; the error comes back as it would have been got.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::event::AsyncResult;
    ///
    /// let result = AsyncResult::<u32>::new();
    /// result.set_exception("no answer").unwrap();
    /// assert_eq!(result.get().unwrap_err().to_string(), "no answer");
    /// ```
    pub fn set_exception(
        &self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), AlreadySet<Failure>> {
        let failure = match error.into().downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(error) => Failure::Raised(Arc::from(error)),
        };
        self.store(Err(failure)).map_err(|AlreadySet(back)| {
            AlreadySet(match back {
                Ok(_) => unreachable!("it was an error"),
                Err(failure) => failure,
            })
        })
    }

    /// Sets what became of a green thread: makes this a link of it.
    ///
    /// Waits for its end, if it has not ended.
    ///
    /// # Errors
    ///
    /// It is set already; what became of the green thread comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::event::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// result.set_from(&green_core::spawn(|| 42)).unwrap();
    /// assert_eq!(result.value(), Some(&42));
    /// ```
    pub fn set_from(&self, source: &Greenlet<T>) -> Result<(), AlreadySet<Result<T, Failure>>>
    where
        T: Clone,
    {
        self.store(source.get())
    }

    /// Waits until it is set and returns a clone of the value.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. Returns at once if it is set.
    ///
    /// # Errors
    ///
    /// The error that was set.
    pub fn get(&self) -> Result<T, Failure>
    where
        T: Clone,
    {
        self.wait().cloned().map_err(Failure::clone)
    }

    /// As [`AsyncResult::get`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// Also [`Failure::TimedOut`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Failure>
    where
        T: Clone,
    {
        match self.wait_until(Deadline::after(timeout)) {
            Some(result) => result.clone(),
            None => Err(Failure::TimedOut(Elapsed { after: timeout })),
        }
    }

    /// A clone of what was set; `None` if nothing was.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Option<Result<T, Failure>>
    where
        T: Clone,
    {
        self.peek().cloned()
    }

    /// Waits until it is set, and lends what was.
    ///
    /// # Blocking
    ///
    /// As [`AsyncResult::get`].
    ///
    /// # Errors
    ///
    /// The error that was set.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a wait without a deadline does not time out"
    )]
    pub fn wait(&self) -> Result<&T, &Failure> {
        self.wait_until(Deadline::Never)
            .expect("a wait without a deadline does not time out")
            .as_ref()
    }

    /// Awaits that it is set, on any executor, and lends what was.
    ///
    /// # Errors
    ///
    /// The error that was set.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use green_core::event::AsyncResult;
    ///
    /// let result = Arc::new(AsyncResult::new());
    /// let theirs = Arc::clone(&result);
    /// green_core::spawn(move || theirs.set(42));
    /// assert_eq!(green_core::block_on(result.wait_async()).unwrap(), &42);
    /// ```
    #[cfg(feature = "async")]
    pub async fn wait_async(&self) -> Result<&T, &Failure> {
        let set = self.state.wait_async(
            |state| &mut state.waiting,
            |_| self.peek().map(Result::as_ref),
        );
        set.await
    }

    /// Waits at most `timeout`; true if it was set.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Deadline::after(timeout)).is_some()
    }

    /// Waits until `deadline` at the latest; true if it was set.
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_until(Deadline::At(deadline)).is_some()
    }

    /// What was set, if anything.
    pub fn peek(&self) -> Option<&Result<T, Failure>> {
        self.result.get()
    }

    /// Whether it is set.
    #[doc(alias = "done")]
    pub fn ready(&self) -> bool {
        self.peek().is_some()
    }

    /// Whether it is set, and not to a failure; to have been killed is not one.
    pub fn successful(&self) -> bool {
        matches!(self.peek(), Some(Ok(_) | Err(Failure::Killed)))
    }

    /// The value, if one was set.
    pub fn value(&self) -> Option<&T> {
        self.peek()?.as_ref().ok()
    }

    /// The failure, if one was set; to have been killed is not one.
    pub fn exception(&self) -> Option<&Failure> {
        let failure = self.peek()?.as_ref().err()?;
        (!matches!(failure, Failure::Killed)).then_some(failure)
    }

    /// What was set, if anything, without a clone.
    pub fn into_inner(self) -> Option<Result<T, Failure>> {
        self.result.into_inner()
    }

    fn store(&self, result: Result<T, Failure>) -> Result<(), AlreadySet<Result<T, Failure>>> {
        let (mut outcome, mut watchers) = (Ok(()), Vec::new());
        self.state.notify_all(
            |state| &mut state.waiting,
            |state| {
                outcome = self.result.set(result).map_err(AlreadySet);
                watchers = state.watchers.take();
            },
        );
        watchers.iter().for_each(Watcher::tell);
        outcome
    }

    fn wait_until(&self, deadline: Deadline) -> Option<&Result<T, Failure>> {
        // Usually it is there, or nobody has it yet: the lock is for the second case.
        if let Some(result) = self.peek() {
            return Some(result);
        }
        let wait = Wait::new(WaitFor::AsyncResult, deadline);
        let set = self.state.wait(
            wait,
            |state| &mut state.waiting,
            |_| self.peek().map(|_| ()),
        );
        set.or_raise().and_then(|()| self.peek())
    }
}

/// Ready when it is set.
impl<T> Waitable for AsyncResult<T> {
    fn watch(&self, watcher: &Watcher) {
        let mut state = self.state.lock();
        if !self.ready() {
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

impl<T> Default for AsyncResult<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult")
            .field("result", &self.peek())
            .finish_non_exhaustive()
    }
}

/// An [`AsyncResult`] is set already; what was to be set is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlreadySet<V>(V);

impl<V> AlreadySet<V> {
    /// What was to be set.
    pub fn into_inner(self) -> V {
        self.0
    }
}

impl<V> fmt::Debug for AlreadySet<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlreadySet(..)")
    }
}

impl<V> fmt::Display for AlreadySet<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the result is set already")
    }
}

impl<V> Error for AlreadySet<V> {}
