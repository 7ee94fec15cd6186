//! gevent's `os`: reading and writing any descriptor.
//!
//! | gevent | here |
//! |---|---|
//! | `nb_read`, `nb_write`, `make_nonblocking` | [`nb_read`], [`nb_write`], [`make_nonblocking`] |
//! | `tp_read`, `tp_write` | [`tp_read`], [`tp_write`] |
//! | `fork`, `forkpty`, `posix_spawn` | [`process::Command`](crate::process::Command): a process of several OS threads does not survive a fork |
//! | `waitpid` | [`process::Child`](crate::process::Child) |
//! | `close` | a descriptor is closed by its owner, which no reader outlives |
//!
//! What lasts is better served by [`FileObject`](crate::fileobject::FileObject), [`io::Io`](crate::io::Io), or the type of its
//! kind: these functions set everything up for one call.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::retry_on_intr;

use crate::io::{Direction, retry_fd};
use crate::threadpool::try_blocking_apart;

/// Puts the file of `fd` into non-blocking mode; true if it was not.
///
/// The mode belongs to the open file: everybody who has it open by the same `open` sees it, other processes too.
///
/// # Errors
///
/// The descriptor is not open.
pub fn make_nonblocking(fd: impl AsFd) -> io::Result<bool> {
    let flags = fcntl_getfl(&fd)?;
    if flags.contains(OFlags::NONBLOCK) {
        return Ok(false);
    }
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(true)
}

/// Reads what there is from `fd`, whose file is in non-blocking mode, and waits if there is nothing; 0 at the end.
///
/// # Blocking
///
/// Parks the caller only; a cancellation point while it waits.
///
/// # Errors
///
/// As `read(2)`.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use green_core::os::{make_nonblocking, nb_read};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// make_nonblocking(&reader)?;
/// let reads = green_core::spawn(move || {
///     let mut buf = [0; 8];
///     nb_read(&reader, &mut buf).map(|count| buf[..count].to_vec())
/// });
/// writer.write_all(b"hello")?;
/// assert_eq!(reads.into_result().unwrap()?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn nb_read(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    let fd = fd.as_fd();
    retry_fd(fd, Direction::Read, || {
        Ok(retry_on_intr(|| rustix::io::read(fd, &mut *buf))?)
    })
}

/// Writes what there is room for to `fd`, whose file is in non-blocking mode, and waits if there is none.
///
/// # Blocking
///
/// As [`nb_read`].
///
/// # Errors
///
/// As `write(2)`.
pub fn nb_write(fd: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd();
    retry_fd(fd, Direction::Write, || {
        Ok(retry_on_intr(|| rustix::io::write(fd, buf))?)
    })
}

/// Reads from `fd`, whatever its mode and kind, on an OS thread that may block.
///
/// # Blocking
///
/// Parks the caller; a cancellation point. If the caller is interrupted the read goes on, and what it reads is lost.
///
/// # Errors
///
/// As `read(2)`; the limits of the system on open files and OS threads.
pub fn tp_read(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    // One that stays open, and memory that stays there, for as long as the read takes.
    let fd = fd.as_fd().try_clone_to_owned()?;
    let mut own = vec![0; buf.len().min(MOST)];
    let (own, count) = try_blocking_apart(move || {
        let count = retry_on_intr(|| rustix::io::read(&fd, &mut own));
        (own, count)
    })?;
    let count = count?;
    buf[..count].copy_from_slice(&own[..count]);
    Ok(count)
}

/// Writes to `fd`, whatever its mode and kind, on an OS thread that may block.
///
/// # Blocking
///
/// Parks the caller; a cancellation point. If the caller is interrupted the write goes on.
///
/// # Errors
///
/// As `write(2)`; the limits of the system on open files and OS threads.
pub fn tp_write(fd: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    let own = buf[..buf.len().min(MOST)].to_vec();
    Ok(try_blocking_apart(move || {
        retry_on_intr(|| rustix::io::write(&fd, &own))
    })??)
}

/// How many bytes one call moves on an OS thread, at most.
const MOST: usize = 1 << 20;
