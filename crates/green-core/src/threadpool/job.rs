//! Work for an OS thread, and its result.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::os_threads::{Handle, Refused, run_to_its_end};
use super::{APART, POOL, drop_apart};
use crate::interrupt;
use crate::park::Interrupt;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// Work that OS threads do, and its result: whoever waits for it may give up and come back.
///
/// Once it is dropped nobody wants the result, which is then dropped on one of the OS threads: its destructor may block,
/// or panic.
pub(crate) struct Job<T: Send + 'static> {
    done: Arc<Monitor<Done<T>>>,
    /// Who does it.
    threads: Handle,
}

/// What the work came to.
struct Done<T> {
    /// Until somebody takes it.
    outcome: Option<Outcome<T>>,
    /// Whether somebody may still wait for it.
    is_wanted: bool,
    /// Who waits for it.
    waiters: WaitQueue,
}

/// What work came to.
pub(super) enum Outcome<T> {
    /// It ran to its end.
    Ended(thread::Result<T>),
    /// It did not run: its OS threads were closed.
    Dropped,
}

impl<T> Outcome<T> {
    /// The value, for the caller; who unwinds if there is none.
    fn value(self) -> T {
        match self {
            Self::Ended(result) => result.unwrap_or_else(|payload| interrupt::resume(payload)),
            Self::Dropped => interrupt::raise(Interrupt::Kill),
        }
    }
}

impl<T: Send + 'static> Job<T> {
    /// Has the blocking pool run `f`.
    ///
    /// # Errors
    ///
    /// As [`try_blocking`](super::try_blocking).
    pub(crate) fn start(f: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        Self::start_on(Handle::Static(&POOL), f)
    }

    /// As [`Job::start`], on an OS thread that is not one of the pool's; see
    /// [`try_blocking_apart`](super::try_blocking_apart).
    pub(crate) fn start_apart(f: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        Self::start_on(Handle::Static(&APART), f)
    }

    /// Has one of `threads` run `f`. If they were closed, its outcome is that it was dropped.
    ///
    /// # Errors
    ///
    /// There is none of them, and the system refuses one: `f` was dropped, and has not run.
    pub(super) fn start_on(
        threads: Handle,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let done = Arc::new(Monitor::new(Done {
            outcome: None,
            is_wanted: true,
            waiters: WaitQueue::new(),
        }));
        let promise = Promise(Some(Arc::clone(&done)));
        let work = move || {
            let result = catch_unwind(AssertUnwindSafe(f));
            promise.keep(Outcome::Ended(result));
        };
        match threads.run(Box::new(work)) {
            Ok(()) => {}
            Err(Refused::Closed(work)) => drop(work),
            Err(Refused::NoThread(error, _)) => return Err(error),
        }
        Ok(Self { done, threads })
    }

    /// Waits for the value and takes it. Nobody may wait for it again.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; the work goes on.
    ///
    /// # Panics
    ///
    /// If the work panicked: with its payload. If it was dropped, the caller unwinds as if killed.
    pub(crate) fn wait(&self, wait: Wait) -> Result<T, NotReady> {
        Ok(self.outcome(wait)?.value())
    }

    /// As [`Job::wait`], for a future.
    #[cfg(feature = "async")]
    pub(crate) async fn wait_async(&self) -> T {
        let outcome = self
            .done
            .wait_async(|done| &mut done.waiters, |done| done.outcome.take());
        outcome.await.value()
    }

    /// Waits for the outcome and takes it. Nobody may wait for it again.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; the work goes on.
    pub(super) fn outcome(&self, wait: Wait) -> Result<Outcome<T>, NotReady> {
        self.done
            .wait(wait, |done| &mut done.waiters, |done| done.outcome.take())
    }
}

impl<T: Send + 'static> Drop for Job<T> {
    fn drop(&mut self) {
        let mut done = self.done.lock();
        done.is_wanted = false;
        let outcome = done.outcome.take();
        drop(done);
        let Some(Outcome::Ended(result)) = outcome else {
            return;
        };
        match self.threads.run(Box::new(move || drop(result))) {
            Ok(()) => {}
            Err(Refused::Closed(work)) => drop_apart(work),
            Err(Refused::NoThread(_, work)) => run_to_its_end(work),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// The outcome to come; [`Outcome::Dropped`] if it is dropped.
struct Promise<T>(Option<Arc<Monitor<Done<T>>>>);

impl<T> Promise<T> {
    fn keep(mut self, outcome: Outcome<T>) {
        self.publish(outcome);
    }

    /// Tells the outcome to who waits for it; dropped here, on an OS thread, if nobody wants it.
    fn publish(&mut self, outcome: Outcome<T>) {
        let Some(promised) = self.0.take() else {
            return;
        };
        let mut done = promised.lock();
        if !done.is_wanted {
            drop(done);
            return drop(outcome);
        }
        done.outcome = Some(outcome);
        let next = done.waiters.notify_one();
        drop(done);
        wake(next);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.publish(Outcome::Dropped);
    }
}
