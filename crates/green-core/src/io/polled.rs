//! Operations on an [`Io`] for futures: tried at once; what would block is tried again when the poller says so.
//!
//! A future stands in the same queue as the green threads that wait for the descriptor.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::retry::{pause_after, would_block};
use super::{Direction, Io};
use crate::park::Green;
use crate::reactor::source::Source;
use crate::waitq::{Polling, Share};

/// What one who polls an [`Io`] keeps between two polls: where it waits, if it does.
///
/// For what is polled in both directions at once there is one for each. Dropping it gives the wait up.
///
/// It does not use a turn up: whoever waits behind it is woken with it. For a future that is dropped
/// when it is done, [`Io::read_with_async`] and its like are better: they serve one by one.
pub struct IoWait {
    polling: Polling,
    /// Where the wait is, or was last.
    place: Option<(&'static Source, Direction)>,
}

impl IoWait {
    /// One that does not wait.
    pub const fn new() -> Self {
        Self::with(Share::Together)
    }

    const fn with(share: Share) -> Self {
        Self {
            polling: Polling::with(share),
            place: None,
        }
    }

    /// Gives up a wait for anything else.
    fn go_to(&mut self, source: &'static Source, direction: Direction) {
        let is_there = self
            .place
            .is_some_and(|(at, which)| std::ptr::eq(at, source) && which == direction);
        if !is_there {
            self.leave();
            self.place = Some((source, direction));
        }
    }

    fn leave(&mut self) {
        if let Some((source, direction)) = self.place.take() {
            source.cancel(direction, &mut self.polling);
        }
    }

    /// Waits until an attempt is worth while.
    pub(super) fn poll(
        &mut self,
        source: &'static Source,
        direction: Direction,
        context: &Context<'_>,
    ) -> Poll<()> {
        self.go_to(source, direction);
        source.poll_ready(direction, &mut self.polling, context)
    }

    /// Waits until the wait that is under way has ended, if one is.
    pub(super) fn poll_pending(
        &mut self,
        source: &'static Source,
        direction: Direction,
        context: &Context<'_>,
    ) -> Poll<()> {
        self.go_to(source, direction);
        if !self.polling.is_waiting() {
            return Poll::Ready(());
        }
        source.poll_ready(direction, &mut self.polling, context)
    }
}

impl Default for IoWait {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for IoWait {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for IoWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoWait").finish_non_exhaustive()
    }
}

impl<T: AsFd> Io<T> {
    /// Runs `op`; `Pending` if it fails with `WouldBlock`, until the descriptor is readable. Whoever waits is `wait`.
    ///
    /// [`Io::set_nonblocking`] is without effect here, and in what is below.
    ///
    /// # Errors
    ///
    /// What `op` returns; that the kind of file cannot be polled, or a limit of the system.
    pub fn poll_read_with<R>(
        &self,
        wait: &mut IoWait,
        context: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.attempt(Direction::Read)
            .poll(wait, context, || op(self.get_ref()), |_| false)
    }

    /// As [`Io::poll_read_with`], until the descriptor is writable.
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
    pub fn poll_write_with<R>(
        &self,
        wait: &mut IoWait,
        context: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.attempt(Direction::Write)
            .poll(wait, context, || op(self.get_ref()), |_| false)
    }

    /// As [`Io::poll_read_with`], for a stream as in [`Io::read_stream_with`].
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
    pub fn poll_read_stream_with(
        &self,
        wait: &mut IoWait,
        context: &mut Context<'_>,
        asked: usize,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let is_short = |&moved: &usize| 0 < moved && moved < asked;
        self.attempt(Direction::Read)
            .poll(wait, context, || op(self.get_ref()), is_short)
    }

    /// As [`Io::poll_write_with`], for a stream as in [`Io::write_stream_with`].
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
    pub fn poll_write_stream_with(
        &self,
        wait: &mut IoWait,
        context: &mut Context<'_>,
        asked: usize,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let is_short = |&moved: &usize| 0 < moved && moved < asked;
        self.attempt(Direction::Write)
            .poll(wait, context, || op(self.get_ref()), is_short)
    }

    /// Runs `op` if it may succeed; `None` if it would block. For a stream, as in [`Io::write_stream_with`].
    pub fn try_write_stream_with(
        &self,
        asked: usize,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let is_short = |&moved: &usize| 0 < moved && moved < asked;
        self.attempt(Direction::Write)
            .try_polled(&mut || op(self.get_ref()), &is_short)
    }

    /// As [`Io::read_with`], awaited on any executor, without a deadline.
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
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
    /// green_core::spawn(move || (&b).write_all(b"hello"));
    /// let mut buf = [0; 5];
    /// assert_eq!(green_core::block_on(a.read_with_async(|mut a| a.read(&mut buf)))?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn read_with_async<R>(
        &self,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut wait = IoWait::with(Share::Alone);
        poll_fn(|context| self.poll_read_with(&mut wait, context, &mut op)).await
    }

    /// As [`Io::write_with`], awaited on any executor, without a deadline.
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
    pub async fn write_with_async<R>(
        &self,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut wait = IoWait::with(Share::Alone);
        poll_fn(|context| self.poll_write_with(&mut wait, context, &mut op)).await
    }

    /// As [`Io::read_stream_with`], awaited on any executor, without a deadline.
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
    pub async fn read_stream_with_async(
        &self,
        asked: usize,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut wait = IoWait::with(Share::Alone);
        poll_fn(|context| self.poll_read_stream_with(&mut wait, context, asked, &mut op)).await
    }

    /// As [`Io::write_stream_with`], awaited on any executor, without a deadline.
    ///
    /// # Errors
    ///
    /// As [`Io::poll_read_with`].
    pub async fn write_stream_with_async(
        &self,
        asked: usize,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut wait = IoWait::with(Share::Alone);
        poll_fn(|context| self.poll_write_stream_with(&mut wait, context, asked, &mut op)).await
    }
}

impl<T: AsFd> Io<T> {
    /// As [`Io::repeat_with`], awaited on any executor, without a deadline.
    ///
    /// # Errors
    ///
    /// What `op` returns.
    pub async fn repeat_with_async<R>(
        &self,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let begin = Instant::now();
        // Who makes room may only be waiting for its turn.
        let mut pause = Duration::ZERO;
        loop {
            let result = op(self.get_ref());
            if !would_block(&result) {
                return result;
            }
            crate::aio::sleep(pause).await;
            pause = pause_after(begin.elapsed());
        }
    }
}

impl super::retry::Attempt<'_> {
    /// Runs `op` if nothing is waited for; `Pending` if it would block.
    #[inline]
    pub(super) fn poll<R>(
        self,
        wait: &mut IoWait,
        context: &Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        // It counts against the budget of a green thread that polls, which does not switch in here: whoever polls may hold
        // locks. Before anything else, so that no turn is lost.
        if let Some(green) = Green::current()
            && green.hub().spend()
        {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(source) = self.watch.source() {
            ready!(wait.poll_pending(source, self.direction, context));
        }
        loop {
            if let Some(result) = self.try_polled(&mut op, &is_short) {
                return Poll::Ready(result);
            }
            ready!(wait.poll(self.begin()?, self.direction, context));
        }
    }
}
