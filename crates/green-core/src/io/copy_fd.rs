//! Copying inside the kernel, from one descriptor to another.
//!
//! # Protocol
//!
//! What is copied goes through a pipe of our own: `splice` moves pages into it and out of it. Each half is done as its end
//! asks for:
//!
//! | end | is done by |
//! |---|---|
//! | a stream: a pipe, a socket | an attempt that does not wait, then the hub's poller |
//! | a regular file | the blocking pool, since a file may have to wait for its disk |
//!
//! From file to file the pool uses `copy_file_range` instead, which may copy nothing at all but references to blocks;
//! where that does not work (two file systems), the pipe does.
//!
//! For a pipe, `splice` has a flag that says "do not wait". A socket goes by its file's mode, so that is non-blocking as
//! long as it is an end of any copy: a proxy has each socket in two ([`Unblocked`]).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FileType, OFlags, copy_file_range, fcntl_getfl, fstat};
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::Io;
use crate::engine::make_room;
use crate::threadpool;

/// Copies what comes from `from`, until its end, to `to`, without taking it out of the kernel; returns how many bytes.
///
/// For a proxy, or a server of files: what [`copy`](std::io::copy) does for any reader and writer, for two descriptors,
/// with no copy in the process's own memory. Each end is a pipe, a stream socket or a regular file. Files are read and
/// written at their own positions.
///
/// # Blocking
///
/// Parks the caller only, on either end; a cancellation point. What a caller that is killed has taken from `from` and not
/// given to `to` yet is lost: 64 KiB at most.
///
/// A socket's file is in non-blocking mode meanwhile, also for other processes that share it. At the end of the last copy
/// the mode is again what it was before the first, whoever has changed it since.
///
/// # Errors
///
/// `Unsupported`: an end is of another kind, such as a terminal; `InvalidInput`: a file that is opened for appending, or
/// one that the kernel makes up; what reading and writing say. [`copy`](std::io::copy) does those, too.
///
/// # Examples
///
/// ```
/// use green_core::io::{copy_fd, pipe};
/// use std::io::{Read, Write};
///
/// let (reader, mut writer) = pipe()?;
/// let (mut out, into) = pipe()?;
/// let copies = green_core::spawn(move || copy_fd(&reader, &into));
/// writer.write_all(b"hello")?;
/// drop(writer);
/// assert_eq!(copies.into_result().unwrap()?, 5);
/// let mut text = String::new();
/// out.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy_fd(from: impl AsFd, to: impl AsFd) -> io::Result<u64> {
    let (from, to) = (End::new(from.as_fd())?, End::new(to.as_fd())?);
    let mut total = match (&from, &to) {
        (End::File(from), End::File(to)) => copy_files(from, to),
        _ => 0,
    };
    let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (out, into) = (Arc::new(out), Arc::new(into));
    loop {
        let mut held = from.take(&into)?;
        if held == 0 {
            return Ok(total);
        }
        while held > 0 {
            let given = to.give(&out, held)?;
            held -= given;
            total += given as u64;
        }
    }
}

/// Copies as much as the kernel can without a detour.
fn copy_files(from: &Arc<OwnedFd>, to: &Arc<OwnedFd>) -> u64 {
    let mut total = 0;
    loop {
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        let copied =
            threadpool::try_blocking(move || copy_file_range(&*from, None, &*to, None, CHUNK));
        match copied.and_then(|copied| Ok(copied?)) {
            // The detour finds out what is the matter, or that it is the end.
            Ok(0) | Err(_) => return total,
            Ok(copied) => total += copied as u64,
        }
    }
}

/// What is copied from, or to.
enum End {
    Pipe(Io<OwnedFd>),
    Socket(Io<Unblocked>),
    File(Arc<OwnedFd>),
}

impl End {
    fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fstat(fd)?;
        // A descriptor of its own: this one may be in a poller already.
        let fd = fd.try_clone_to_owned()?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Self::File(Arc::new(fd))),
            FileType::Fifo => Ok(Self::Pipe(Io::new(fd))),
            FileType::Socket => Ok(Self::Socket(Io::new(Unblocked::new(fd, stat.st_ino)?))),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Moves something into the pipe, which is empty; 0 at the end.
    fn take(&self, into: &Arc<OwnedFd>) -> io::Result<usize> {
        match self {
            Self::Pipe(io) => io.read_with(|| None, |from| Ok(move_pages(from, into, CHUNK)?)),
            Self::Socket(io) => io.read_with(|| None, |from| Ok(move_pages(from, into, CHUNK)?)),
            Self::File(from) => {
                let (from, into) = (Arc::clone(from), Arc::clone(into));
                Ok(threadpool::try_blocking(move || {
                    move_pages(&from, &into, CHUNK)
                })??)
            }
        }
    }

    /// Moves some of the `held` bytes out of the pipe.
    fn give(&self, out: &Arc<OwnedFd>, held: usize) -> io::Result<usize> {
        match self {
            Self::Pipe(io) => io.write_with(|| None, |to| Ok(move_pages(out, to, held)?)),
            Self::Socket(io) => io.write_with(|| None, |to| Ok(move_pages(out, to, held)?)),
            Self::File(to) => {
                let (out, to) = (Arc::clone(out), Arc::clone(to));
                Ok(threadpool::try_blocking(move || {
                    move_pages(&out, &to, held)
                })??)
            }
        }
    }
}

/// A socket whose file is in non-blocking mode while there is an `Unblocked` of it.
struct Unblocked {
    fd: OwnedFd,
    /// The number of the socket: there is one open file of it, however many descriptors.
    number: u64,
}

/// The sockets that are unblocked, by their numbers.
static UNBLOCKED: Mutex<BTreeMap<u64, Before>> = Mutex::new(BTreeMap::new());

/// What is to be restored, and when.
struct Before {
    /// Whether the file was in non-blocking mode.
    nonblocking: bool,
    /// How many `Unblocked` there are.
    count: usize,
}

impl Unblocked {
    fn new(fd: OwnedFd, number: u64) -> io::Result<Self> {
        make_room();
        let mut all = UNBLOCKED.lock();
        if let Some(before) = all.get_mut(&number) {
            before.count += 1;
        } else {
            let nonblocking = fcntl_getfl(&fd)?.contains(OFlags::NONBLOCK);
            ioctl_fionbio(&fd, true)?;
            let count = 1;
            all.insert(number, Before { nonblocking, count });
        }
        drop(all);
        Ok(Self { fd, number })
    }
}

impl Drop for Unblocked {
    fn drop(&mut self) {
        make_room();
        let mut all = UNBLOCKED.lock();
        let Some(before) = all.get_mut(&self.number) else {
            return;
        };
        before.count -= 1;
        if before.count == 0 {
            // It is open, so this does not fail. The file's other flags stay as they are by now.
            ioctl_fionbio(&self.fd, before.nonblocking).ok();
            all.remove(&self.number);
        }
    }
}

impl AsFd for Unblocked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Moves at most `length` bytes from one descriptor to the other, one of which is a pipe.
fn move_pages(from: &impl AsFd, to: &impl AsFd, length: usize) -> Result<usize, Errno> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    retry_on_intr(|| splice(from, None, to, None, length, flags))
}

/// How much one call moves at most, in bytes: a killed caller's job of the pool does not outlive it by much.
const CHUNK: usize = 8 << 20;
