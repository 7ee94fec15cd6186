//! The pipes to and from a child.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::{self, Stdio};

use crate::io::{End, end_traits};

/// What is written to it, the child reads from its standard input; [`std::process::ChildStdin`].
///
/// # Blocking
///
/// A write parks the caller only, until there is room; a cancellation point while it waits.
///
/// # Differences from std
///
/// As those of [`PipeWriter`](crate::io::PipeWriter).
///
/// # Examples
///
/// See [`Child`](super::Child).
pub struct ChildStdin(End);

/// What the child writes to its standard output is read from it; [`std::process::ChildStdout`].
///
/// # Blocking
///
/// A read parks the caller only, until there is data or the end; a cancellation point while it waits.
///
/// # Differences from std
///
/// As those of [`PipeReader`](crate::io::PipeReader).
///
/// # Examples
///
/// See [`Child`](super::Child).
pub struct ChildStdout(End);

/// What the child writes to its standard error is read from it; [`std::process::ChildStderr`].
///
/// # Blocking
///
/// As [`ChildStdout`].
///
/// # Differences from std
///
/// As those of [`PipeReader`](crate::io::PipeReader).
///
/// # Examples
///
/// ```
/// use green_core::process::{Command, Stdio};
/// use std::io::Read;
///
/// let mut child = Command::new("sh").args(["-c", "echo oops >&2"]).stderr(Stdio::piped()).spawn()?;
/// let mut complaint = String::new();
/// child.stderr.take().unwrap().read_to_string(&mut complaint)?;
/// assert_eq!(complaint, "oops\n");
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ChildStderr(End);

impl ChildStdout {
    /// The descriptor, in non-blocking mode.
    pub(super) fn into_nonblocking_fd(self) -> OwnedFd {
        self.0.into_nonblocking_fd()
    }
}

impl ChildStderr {
    /// The descriptor, in non-blocking mode.
    pub(super) fn into_nonblocking_fd(self) -> OwnedFd {
        self.0.into_nonblocking_fd()
    }
}

impl Write for ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for ChildStdout {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl Read for ChildStderr {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl fmt::Debug for ChildStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStdin").finish_non_exhaustive()
    }
}

impl fmt::Debug for ChildStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStdout").finish_non_exhaustive()
    }
}

impl fmt::Debug for ChildStderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStderr").finish_non_exhaustive()
    }
}

end_traits! {
    ChildStdin: process::ChildStdin;
    ChildStdout: process::ChildStdout;
    ChildStderr: process::ChildStderr;
}
