//! Tasks: futures with a green thread of their own; and the end of a green thread, as a future.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::block_on;
use crate::error::Failure;
use crate::greenlet::{self, Greenlet};
use crate::waitable::{Waitable, Watcher};
use crate::waitq::Polling;

/// Runs `future` in a green thread of its own, which is placed as [`spawn`](crate::spawn())'s are. asyncio's `create_task`.
///
/// # Examples
///
/// ```
/// use green_core::aio;
///
/// let task = aio::spawn(async { 6 * 7 });
/// assert_eq!(green_core::block_on(task).unwrap(), 42);
/// ```
#[doc(alias = "create_task")]
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task::new(greenlet::spawn(move || block_on(future)))
}

/// Runs `future`, which need not be `Send`, in a green thread of its own on the caller's hub.
///
/// # Panics
///
/// Outside a green thread: wrap `main` in [`run`](crate::run()).
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use green_core::aio;
///
/// green_core::run(|| {
///     let shared = Rc::new(7);
///     let theirs = Rc::clone(&shared);
///     let task = aio::spawn_local(async move { *theirs });
///     assert_eq!(green_core::block_on(task).unwrap(), 7);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Task::new(greenlet::spawn_local(move || block_on(future)))
}

/// Runs `future` in a green thread and returns what it comes to; inline if the caller is one. asyncio's `run`.
///
/// # Panics
///
/// As [`run`](crate::run()).
///
/// # Examples
///
/// ```
/// assert_eq!(green_core::aio::run_until_complete(async { 6 * 7 }), 42);
/// ```
#[doc(alias = "run")]
#[track_caller]
pub fn run_until_complete<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    greenlet::run(move || block_on(future))
}

/// A future that runs in a green thread, and the future of its result. Cancelled when it is dropped.
///
/// Cancelling is a kill: at its current or next wait the green thread unwinds, and drops the future. That is so also for what
/// it waits for in a blocking call. Under `panic = "abort"` a task that is dropped is not cancelled.
///
/// Once its result was taken, it is [`Failure::Taken`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::{Failure, aio};
///
/// let task = aio::spawn(async { aio::sleep(Duration::from_secs(600)).await });
/// task.abort();
/// assert!(matches!(green_core::block_on(task), Err(Failure::Killed)));
/// ```
#[must_use = "a task is cancelled when it is dropped; `detach` lets it go on"]
pub struct Task<T> {
    join: Join<T>,
    /// Whether dropping it cancels it.
    is_attached: bool,
}

impl<T> Task<T> {
    fn new(greenlet: Greenlet<T>) -> Self {
        Self {
            join: Join::new(greenlet),
            is_attached: true,
        }
    }

    /// Cancels it, without waiting. Once it has ended this does nothing.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`, if it has started.
    #[doc(alias = "cancel")]
    pub fn abort(&self) {
        self.greenlet().kill_nowait();
    }

    /// Lets it go on without this handle.
    pub fn detach(mut self) {
        self.is_attached = false;
    }

    /// Whether it has ended.
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.greenlet().ready()
    }

    /// The green thread in which it runs.
    pub fn greenlet(&self) -> &Greenlet<T> {
        &self.join.greenlet
    }
}

impl<T> Unpin for Task<T> {}

/// # Errors
///
/// It panicked, was cancelled or killed, or its result was taken before.
impl<T> Future for Task<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.join).poll(context)
    }
}

impl<T> Waitable for Task<T> {
    fn watch(&self, watcher: &Watcher) {
        self.greenlet().watch(watcher);
    }

    fn unwatch(&self, watcher: &Watcher) {
        self.greenlet().unwatch(watcher);
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.is_attached && !cfg!(panic = "abort") {
            self.abort();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(self.greenlet()).finish()
    }
}

/// The result of a green thread, as a future: what `greenlet.await` waits for. Dropping it does not stop the green thread.
///
/// As [`Greenlet::into_result`], it moves the value out.
#[must_use = "a future does nothing until it is polled"]
pub struct Join<T> {
    greenlet: Greenlet<T>,
    polling: Polling,
}

impl<T> Join<T> {
    fn new(greenlet: Greenlet<T>) -> Self {
        Self {
            greenlet,
            polling: Polling::new(),
        }
    }
}

// The value is not in it.
impl<T> Unpin for Join<T> {}

impl<T> Future for Join<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { greenlet, polling } = &mut *self;
        greenlet.poll_take(polling, context)
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        self.greenlet.cancel_take(&mut self.polling);
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Join").field(&self.greenlet).finish()
    }
}

/// Awaits its end, and takes its value; on any executor.
///
/// # Examples
///
/// ```
/// let g = green_core::spawn(|| 6 * 7);
/// assert_eq!(green_core::block_on(async { g.await }).unwrap(), 42);
/// ```
impl<T> IntoFuture for Greenlet<T> {
    type Output = Result<T, Failure>;
    type IntoFuture = Join<T>;

    fn into_future(self) -> Join<T> {
        Join::new(self)
    }
}
