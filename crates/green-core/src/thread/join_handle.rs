//! The right to wait for a green thread and to take its result.

use std::any::Any;
use std::fmt;

use super::handle::{Thread, current};
use super::scope::Erased;
use crate::error::Failure;
use crate::greenlet::Greenlet;

/// The right to join a green thread; see [`std::thread::JoinHandle`]. Dropped, it leaves the green thread alone.
///
/// # Differences from std
///
/// A green thread can be killed: then [`join`](JoinHandle::join) returns a [`Failure::Killed`] as the payload. If
/// nobody asks about a panic, it is logged.
///
/// # Examples
///
/// ```
/// use green_core::thread;
///
/// assert_eq!(thread::spawn(|| 6 * 7).join().unwrap(), 42);
/// let payload = thread::spawn(|| panic!("expected")).join().unwrap_err();
/// assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected"));
/// ```
pub struct JoinHandle<T> {
    inner: Inner<T>,
    thread: Thread,
}

impl<T> Unpin for JoinHandle<T> {}

/// Where the result is.
enum Inner<T> {
    /// With the green thread.
    Plain(Greenlet<T>),
    /// Beside it, because the lifetimes in it are not known there.
    Erased(Erased<T>),
}

impl<T> JoinHandle<T> {
    pub(super) fn plain(greenlet: Greenlet<T>) -> Self {
        Self {
            thread: Thread::green(greenlet.control_ref()),
            inner: Inner::Plain(greenlet),
        }
    }

    pub(super) fn erased(erased: Erased<T>) -> Self {
        Self {
            thread: erased.thread(),
            inner: Inner::Erased(erased),
        }
    }

    /// A handle to the green thread; see [`std::thread::JoinHandle::thread`].
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Waits until the green thread has ended; see [`std::thread::JoinHandle::join`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Errors
    ///
    /// It panicked: the payload. It did not return for another reason: a [`Failure`], boxed.
    ///
    /// # Panics
    ///
    /// If it would wait for itself.
    pub fn join(self) -> super::Result<T> {
        not_oneself(&self.thread);
        match self.inner {
            Inner::Plain(greenlet) => greenlet.into_result().map_err(payload),
            Inner::Erased(erased) => erased.join(),
        }
    }

    /// Whether the green thread has ended; see [`std::thread::JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        match &self.inner {
            Inner::Plain(greenlet) => greenlet.ready(),
            Inner::Erased(erased) => erased.is_finished(),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// A green thread that waited for itself would wait for ever.
#[track_caller]
pub(super) fn not_oneself(thread: &Thread) {
    assert!(
        thread.id() != current().id(),
        "a green thread cannot join itself"
    );
}

/// A failure as std's `join` tells it.
fn payload(failure: Failure) -> Box<dyn Any + Send> {
    match failure {
        Failure::Panicked(panic) => panic
            .take_payload()
            .unwrap_or_else(|| Box::new(panic.message().to_owned())),
        failure => Box::new(failure),
    }
}
