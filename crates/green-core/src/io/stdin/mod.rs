//! std's `stdin`, green: whoever reads from it blocks nobody else.
//!
//! # Protocol
//!
//! The file behind descriptor 0 is shared with other processes, such as the shell, so its mode is left alone: it
//! would be theirs, too. Instead:
//!
//! 1. Wait until the descriptor is readable. A terminal or a pipe is watched by a hub's poller meanwhile; a regular file
//!    always is readable.
//! 2. Read by a call that does not wait (`preadv2` with `RWF_NOWAIT`).
//! 3. If that gives nothing, for whichever reason (a terminal or an old kernel that does not know the call, a page of a
//!    file that is still on the disk, another process that was faster), a job of the blocking pool reads.
//!
//! A reader that is interrupted leaves the job to the next one, who gets what it has read: nothing is lost.
//!
//! Not here: standard output and error. They are std's: a write to them that has to wait, because nobody empties the
//! pipe or the terminal is stopped, blocks the hub.

use std::fmt;
use std::io::{self, BufRead, IoSliceMut, IsTerminal, Lines, Read};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::PoisonError;

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::stdio;

use super::wait_readable;
use crate::interrupt::OrRaise;
use crate::park::Caller;
use crate::sched::WaitFor;
use crate::sync::{Mutex, MutexGuard};
use crate::threadpool::Job;
use crate::time::deadline::Deadline;
use crate::waitq::Wait;

#[cfg(test)]
mod tests;

/// A handle to the standard input of the process; [`std::io::stdin`].
///
/// # Examples
///
/// ```no_run
/// for line in green_core::io::stdin().lines() {
///     let line = line?;
///     green_core::spawn(move || line.len());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    static INPUT: Mutex<Input> = Mutex::new(Input::new());
    Stdin { input: &INPUT }
}

/// The standard input of the process, with a buffer that all handles share; [`std::io::Stdin`].
///
/// # Blocking
///
/// A read parks the caller only, until there is data or the end; a cancellation point while it waits. Reads are
/// served one after the other, each as a whole.
///
/// # Differences from std
///
/// - std's `Stdin` has a buffer of its own: a program reads from one of the two.
/// - [`is_terminal`](Stdin::is_terminal) is a method of the type, since std's trait is sealed.
///
/// # Examples
///
/// See [`stdin`].
pub struct Stdin {
    input: &'static Mutex<Input>,
}

/// [`Stdin`], for one caller until it is dropped; [`std::io::StdinLock`].
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<green_core::io::StdinLock<'static>>();
/// ```
#[must_use = "if unused stdin will immediately unlock"]
pub struct StdinLock<'a> {
    input: MutexGuard<'a, Input>,
}

impl Stdin {
    /// Waits until nobody else has it; [`std::io::Stdin::lock`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point while it waits.
    pub fn lock(&self) -> StdinLock<'static> {
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        StdinLock { input }
    }

    /// Appends a line to `buf`; [`std::io::Stdin::read_line`].
    ///
    /// # Errors
    ///
    /// `InvalidData`: it is not UTF-8; what the kernel says.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// Its lines, from now on, for one caller; [`std::io::Stdin::lines`].
    #[must_use = "`self` will be dropped if the result is not used"]
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }

    /// Whether it is a terminal; [`std::io::IsTerminal::is_terminal`].
    pub fn is_terminal(&self) -> bool {
        self.as_fd().is_terminal()
    }
}

impl StdinLock<'_> {
    /// Whether it is a terminal; [`std::io::IsTerminal::is_terminal`].
    pub fn is_terminal(&self) -> bool {
        self.as_fd().is_terminal()
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut unread = self.fill_buf()?;
        let read = unread.read(buf)?;
        self.consume(read);
        Ok(read)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut unread = self.fill_buf()?;
        let read = unread.read_vectored(bufs)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill()
    }

    fn consume(&mut self, amount: usize) {
        let unread = &mut self.input.unread;
        unread.start = unread.end.min(unread.start + amount);
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.lock().read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buf)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        stdio::stdin()
    }
}

impl AsFd for StdinLock<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        stdio::stdin()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsRawFd for StdinLock<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl fmt::Debug for StdinLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinLock").finish_non_exhaustive()
    }
}

/// What has been read and not been asked for yet.
struct Input {
    buffer: Vec<u8>,
    /// Where in the buffer it is.
    unread: Range<usize>,
    /// A read that is under way, with the buffer.
    reading: Option<Job<Reading>>,
}

/// A buffer, and how much was read into it.
type Reading = (Vec<u8>, io::Result<usize>);

impl Input {
    const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            unread: 0..0,
            reading: None,
        }
    }

    /// What is unread; if that is nothing, reads more. Still nothing at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            self.unread = 0..0;
            self.unread = 0..self.read_more()?;
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    /// Reads into the buffer, waiting until there is something or the end.
    fn read_more(&mut self) -> io::Result<usize> {
        if self.reading.is_none() {
            self.buffer.resize(BUFFER, 0);
            wait_readable(stdio::stdin(), None)?;
            if matches!(Caller::current(), Caller::Os(_)) {
                return read(&mut self.buffer);
            }
            if let Ok(read) = read_now(&mut self.buffer) {
                return Ok(read);
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            // It may wait for ever: the wait above was for anybody who reads from the same terminal or pipe.
            self.reading = Some(Job::start_apart(move || {
                let read = read(&mut buffer);
                (buffer, read)
            })?);
        }
        let job = self.reading.as_ref().expect("made above");
        let wait = Wait::new(WaitFor::Blocking, Deadline::Never);
        let done = job.wait(wait).or_raise();
        let (buffer, read) = done.expect("a wait without a deadline does not time out");
        self.reading = None;
        self.buffer = buffer;
        read
    }
}

/// Reads, if that can be done without waiting.
fn read_now(buffer: &mut [u8]) -> Result<usize, Errno> {
    preadv2(
        stdio::stdin(),
        &mut [IoSliceMut::new(buffer)],
        POSITION,
        ReadWriteFlags::NOWAIT,
    )
}

/// Reads. A process without a standard input is at the end of it, as with std.
fn read(buffer: &mut [u8]) -> io::Result<usize> {
    match rustix::io::read(stdio::stdin(), buffer) {
        Err(Errno::BADF) => Ok(0),
        result => Ok(result?),
    }
}

/// How much is read at once, in bytes.
const BUFFER: usize = 8 * 1024;

/// Where to read: at the file's own position, which moves on.
const POSITION: u64 = u64::MAX;
