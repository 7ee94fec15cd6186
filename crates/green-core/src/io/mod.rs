//! Any file descriptor, blocking for its caller only; and of std's `io`, what waits: pipes and standard input.
//!
//! [`Io`] wraps a value that owns a descriptor. An operation is tried at once; if it would block, the
//! caller waits in its own way: a green thread and a `may` coroutine park and a hub's poller wakes them,
//! an OS thread sleeps in `poll(2)`. Any number of callers may use one `Io` at once; they are served
//! first in, first out.

mod copy_fd;
mod pipe;
#[cfg(feature = "async")]
mod polled;
#[expect(unsafe_code, reason = "std's `FromRawFd` is unsafe")]
mod raw;
mod read_both;
mod retry;
mod several;
mod stdin;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::reactor::Watch;
pub(crate) use crate::reactor::source::Direction;
use retry::Attempt;

pub use copy_fd::copy_fd;
pub(crate) use pipe::{End, end_traits};
pub use pipe::{PipeReader, PipeWriter, pipe};
#[cfg(feature = "async")]
pub use polled::IoWait;
pub(crate) use read_both::read_both_to_end;
pub(crate) use retry::retry_fd;
pub(crate) use several::poll_several;
/// Copies what comes from a reader, until its end, to a writer: std's own function.
///
/// It knows buffered writers, slices and vectors, and takes what is best for each; that is a matter of std alone. On green
/// ends it parks the caller only. It has 8 KiB of the caller's stack for what it holds. For two descriptors, see
/// [`copy_fd()`].
pub use std::io::copy;
pub use stdin::{Stdin, StdinLock, stdin};

/// A value that owns a file descriptor, with blocking operations that block only their caller.
///
/// The operations given to it must not block: the descriptor has `O_NONBLOCK`, or they ask for it per
/// call (`MSG_DONTWAIT`). The descriptor must not be closed or replaced while it is in here.
///
/// # Examples
///
/// ```
/// use green_core::io::Io;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// let (a, b) = UnixStream::pair()?;
/// a.set_nonblocking(true)?;
/// let a = Io::new(a);
/// let reader = green_core::spawn(move || {
///     let mut buf = [0; 5];
///     let n = a.read_with(|| None, |mut a| a.read(&mut buf))?;
///     Ok::<_, std::io::Error>(buf[..n].to_vec())
/// });
/// (&b).write_all(b"hello")?;
/// assert_eq!(reader.into_result().unwrap()?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Io<T: AsFd> {
    /// Whether a poller watches the descriptor, what is remembered of its readiness, and who waits.
    watch: Watch,
    /// Whether operations that would block fail instead.
    nonblocking: AtomicBool,
    /// Owns the descriptor. Invariant: `None` only after `into_inner`.
    io: Option<T>,
}

impl<T: AsFd> Io<T> {
    /// Wraps `io`. No poller watches it until an operation would block.
    pub fn new(io: T) -> Self {
        Self {
            watch: Watch::default(),
            nonblocking: AtomicBool::new(false),
            io: Some(io),
        }
    }

    /// The wrapped value.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the value is there as long as the `Io` is"
    )]
    pub fn get_ref(&self) -> &T {
        self.io
            .as_ref()
            .expect("the value is here until into_inner")
    }

    /// Gives the wrapped value back. No poller watches it any more.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the value is there as long as the `Io` is"
    )]
    pub fn into_inner(mut self) -> T {
        self.deregister();
        self.io.take().expect("the value is here until into_inner")
    }

    /// Makes operations that would block fail with `WouldBlock` instead of waiting, or wait again.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Runs `op` until it does anything but fail with `WouldBlock`, waiting in between until the
    /// descriptor is readable.
    ///
    /// `deadline` is asked when the first attempt would block, so that an operation that succeeds at once
    /// does not look at the clock.
    ///
    /// # Blocking
    ///
    /// Waits at most until the deadline; a cancellation point while it waits.
    ///
    /// # Errors
    ///
    /// What `op` returns; `TimedOut` if the deadline passes; `WouldBlock` after
    /// [`Io::set_nonblocking`].
    pub fn read_with<R>(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let attempt = self.attempt(Direction::Read);
        attempt.run(|| deadline().into(), || op(self.get_ref()))
    }

    /// As [`Io::read_with`], waiting until the descriptor is writable.
    ///
    /// # Errors
    ///
    /// As [`Io::read_with`].
    pub fn write_with<R>(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let attempt = self.attempt(Direction::Write);
        attempt.run(|| deadline().into(), || op(self.get_ref()))
    }

    /// As [`Io::read_with`] for a byte stream in which an operation that moves fewer bytes than
    /// `asked`, but not zero, has emptied the receive buffer. Of the kernel's sockets only TCP streams
    /// promise that.
    ///
    /// # Errors
    ///
    /// As [`Io::read_with`].
    pub fn read_stream_with(
        &self,
        asked: usize,
        deadline: impl FnOnce() -> Option<Instant>,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let attempt = self.attempt(Direction::Read);
        attempt.run_stream(asked, || deadline().into(), || op(self.get_ref()))
    }

    /// As [`Io::read_stream_with`], for a send buffer that is full.
    ///
    /// # Errors
    ///
    /// As [`Io::read_with`].
    pub fn write_stream_with(
        &self,
        asked: usize,
        deadline: impl FnOnce() -> Option<Instant>,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let attempt = self.attempt(Direction::Write);
        attempt.run_stream(asked, || deadline().into(), || op(self.get_ref()))
    }

    /// Runs `op` until it does anything but fail with `WouldBlock`, pausing in between.
    ///
    /// For what the kernel does not tell of by readiness: room among the connections that a Unix listener
    /// has not accepted, or in the queue of a datagram socket that one is not connected to. The pauses grow
    /// with the wait: an eighth of it on average, and 75 ms at most.
    ///
    /// # Blocking
    ///
    /// Waits at most until the deadline; a cancellation point while it waits. Callers are not served in any
    /// order.
    ///
    /// # Errors
    ///
    /// As [`Io::read_with`].
    pub fn repeat_with<R>(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let attempt = self.attempt(Direction::Write);
        attempt.run_repeatedly(|| deadline().into(), || op(self.get_ref()))
    }

    #[inline]
    fn attempt(&self, direction: Direction) -> Attempt<'_> {
        Attempt {
            watch: &self.watch,
            fd: self.get_ref().as_fd(),
            direction,
            nonblocking: self.nonblocking.load(Ordering::Relaxed),
        }
    }

    fn deregister(&mut self) {
        if let Some(io) = &self.io {
            self.watch.end(io.as_fd());
        }
    }
}

impl<T: AsFd> Drop for Io<T> {
    /// The poller forgets the descriptor before it is closed.
    fn drop(&mut self) {
        self.deregister();
    }
}

impl<T: AsFd> AsFd for Io<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Io<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Io").field(self.get_ref()).finish()
    }
}

/// Waits until `fd` is readable, or at its end, or `deadline` passes: false then.
///
/// For descriptors that are not in an [`Io`]. A descriptor that is ready returns at once.
///
/// # Blocking
///
/// Parks the caller only; a cancellation point.
///
/// # Errors
///
/// The kind of file cannot be polled (regular files are always ready), or a limit of the system.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::time::{Duration, Instant};
///
/// let (reader, writer) = std::io::pipe()?;
/// let soon = Instant::now() + Duration::from_millis(5);
/// assert!(!green_core::io::wait_readable(reader.as_fd(), Some(soon))?);
/// drop(writer);
/// assert!(green_core::io::wait_readable(reader.as_fd(), None)?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    retry::wait_fd(fd, Direction::Read, deadline.into())
}

/// Waits until `fd` is writable, or closed for writing, or `deadline` passes: false then.
///
/// # Errors
///
/// As [`wait_readable`].
pub fn wait_writable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    retry::wait_fd(fd, Direction::Write, deadline.into())
}
