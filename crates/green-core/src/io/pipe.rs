//! Pipes: std's `io::pipe`, green, and the end of a pipe that the pipes of a child share.
//!
//! # Blocking mode
//!
//! Attempts on a pipe do not block because its file is non-blocking: the kernel has no flag per call on all the
//! versions that we run on. The mode belongs to the open file, and so to all its descriptors, wherever they are. So
//! whoever takes a descriptor out of here ([`End::into_fd`]) gets one in blocking mode, as a child or a library
//! expects: the same one, or, if handles made by `try_clone` go on using the file, one of a new open file of
//! the same pipe. Where there can be no such one, it stays in non-blocking mode: a hub that a read blocks is worse.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Io;

/// Makes a pipe; [`std::io::pipe`].
///
/// # Errors
///
/// The limits of the system on open files.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = green_core::io::pipe()?;
/// let upper = green_core::spawn(move || {
///     let mut text = String::new();
///     reader.read_to_string(&mut text).map(|_| text.to_uppercase())
/// });
/// writer.write_all(b"hello")?;
/// drop(writer);
/// assert_eq!(upper.into_result().unwrap()?, "HELLO");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((
        PipeReader(End::of_nonblocking(reader)),
        PipeWriter(End::of_nonblocking(writer)),
    ))
}

/// The end of a pipe that is read from; [`std::io::PipeReader`].
///
/// # Blocking
///
/// A read parks the caller only, until there is data or the end; a cancellation point while it waits.
///
/// # Differences from std
///
/// The file is in non-blocking mode as long as it is in here, which shows in what [`AsFd`] lends. A descriptor that is
/// taken out, also for a child's [`Stdio`], is in blocking mode; except if other handles go on using the file and it
/// cannot be opened anew: it is no pipe, `/proc` is not there, or the process may not (any more).
///
/// # Examples
///
/// See [`pipe`].
pub struct PipeReader(End);

/// The end of a pipe that is written to; [`std::io::PipeWriter`].
///
/// # Blocking
///
/// A write parks the caller only, until there is room; a cancellation point while it waits.
///
/// # Differences from std
///
/// - A write writes what there is room for, where std's waits until all is written: `write_all` is the same on both.
/// - The mode of the file: see [`PipeReader`].
///
/// # Examples
///
/// See [`pipe`].
pub struct PipeWriter(End);

impl PipeReader {
    /// Another handle to the same end; [`std::io::PipeReader::try_clone`].
    ///
    /// # Errors
    ///
    /// The limits of the system on open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl PipeWriter {
    /// Another handle to the same end; [`std::io::PipeWriter::try_clone`].
    ///
    /// # Errors
    ///
    /// The limits of the system on open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl Read for &PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl Read for PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl Write for &PipeWriter {
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

impl Write for PipeWriter {
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

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PipeReader").field(&self.0).finish()
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PipeWriter").field(&self.0).finish()
    }
}

impl From<PipeReader> for io::PipeReader {
    fn from(reader: PipeReader) -> Self {
        OwnedFd::from(reader).into()
    }
}

impl From<PipeWriter> for io::PipeWriter {
    fn from(writer: PipeWriter) -> Self {
        OwnedFd::from(writer).into()
    }
}

/// Gives each type over an [`End`] the traits of a descriptor, and the conversion from the type of std.
macro_rules! end_traits {
    ($($pipe:ident: $std:ty;)+) => {$(
        impl AsFd for $pipe {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $pipe {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }

        impl IntoRawFd for $pipe {
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }

        impl From<OwnedFd> for $pipe {
            /// Puts the file into non-blocking mode.
            fn from(fd: OwnedFd) -> Self {
                Self(End::new(fd))
            }
        }

        impl From<$pipe> for OwnedFd {
            fn from(pipe: $pipe) -> Self {
                pipe.0.into_fd()
            }
        }

        impl From<$pipe> for Stdio {
            fn from(pipe: $pipe) -> Self {
                OwnedFd::from(pipe).into()
            }
        }

        impl From<$std> for $pipe {
            fn from(pipe: $std) -> Self {
                OwnedFd::from(pipe).into()
            }
        }
    )+};
}

pub(crate) use end_traits;

end_traits! {
    PipeReader: io::PipeReader;
    PipeWriter: io::PipeWriter;
}

/// One end of a pipe, in non-blocking mode.
pub(crate) struct End {
    io: Io<OwnedFd>,
    /// Shared by the handles that use the same open file.
    file: Arc<()>,
}

impl End {
    /// Puts the file of `fd` into non-blocking mode.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        set_mode(fd.as_fd(), OFlags::NONBLOCK);
        Self::of_nonblocking(fd)
    }

    fn of_nonblocking(fd: OwnedFd) -> Self {
        Self {
            io: Io::new(fd),
            file: Arc::new(()),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            io: Io::new(self.io.get_ref().try_clone()?),
            file: Arc::clone(&self.file),
        })
    }

    /// A descriptor of this end; in blocking mode, unless that would be the mode of other handles, too.
    pub(crate) fn into_fd(self) -> OwnedFd {
        let fd = self.io.into_inner();
        if Arc::strong_count(&self.file) > 1 {
            return reopened(fd.as_fd()).unwrap_or(fd);
        }
        set_mode(fd.as_fd(), OFlags::empty());
        fd
    }

    /// The descriptor, in non-blocking mode.
    pub(crate) fn into_nonblocking_fd(self) -> OwnedFd {
        self.io.into_inner()
    }

    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.io
            .read_with(|| None, |fd| Ok(rustix::io::read(fd, &mut *buf)?))
    }

    pub(crate) fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = bufs.len().min(MAX_BUFFERS);
        if bufs[..count].iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.io
            .read_with(|| None, |fd| Ok(rustix::io::readv(fd, &mut bufs[..count])?))
    }

    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.io
            .write_with(|| None, |fd| Ok(rustix::io::write(fd, buf)?))
    }

    pub(crate) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = bufs.len().min(MAX_BUFFERS);
        if bufs[..count].iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.io
            .write_with(|| None, |fd| Ok(rustix::io::writev(fd, &bufs[..count])?))
    }
}

// What a panic can leave behind is a wake-up too many.
impl UnwindSafe for End {}
impl RefUnwindSafe for End {}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl fmt::Debug for End {
    /// As std's, whose type of that name is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileDesc").field(self.io.get_ref()).finish()
    }
}

/// Puts the file of `fd` into non-blocking mode, or into blocking mode.
fn set_mode(fd: BorrowedFd<'_>, mode: OFlags) {
    // Neither call fails on an open descriptor of a pipe.
    if let Ok(flags) = fcntl_getfl(fd) {
        fcntl_setfl(fd, flags.difference(OFlags::NONBLOCK) | mode).ok();
    }
}

/// A descriptor of a new open file of the same pipe, in blocking mode. `None` if this is not a pipe, or `/proc` is not
/// there.
fn reopened(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    let access = fcntl_getfl(fd).ok()? & OFlags::RWMODE;
    // Without blocking: a FIFO waits for its other end.
    let own = open(
        format!("/proc/self/fd/{}", fd.as_raw_fd()),
        access | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .ok()?;
    set_mode(own.as_fd(), OFlags::empty());
    Some(own)
}

/// How many buffers one system call takes.
const MAX_BUFFERS: usize = 1024;
