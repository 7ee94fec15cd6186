//! gevent's `fileobject`: any descriptor as a reader and writer.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{FileType, fstat};

use crate::fs::File;
use crate::io::End;

/// A reader and writer over any descriptor; gevent's `FileObject`.
///
/// | kind of file | as in gevent's | how |
/// |---|---|---|
/// | pipe, socket, eventfd and the like | `FileObjectPosix` | its file is put into non-blocking mode; a hub's poller tells when to go on |
/// | regular file, directory, block device, terminal | `FileObjectThread` | as [`fs::File`](crate::fs::File), by OS threads; the mode stays |
///
/// Where the kind is known, its own type is better: [`io::pipe`](crate::io::pipe()), [`fs::File`](crate::fs::File), a socket. It has no
/// buffer: wrap it into a [`BufReader`](std::io::BufReader) or [`BufWriter`](std::io::BufWriter).
///
/// # Blocking
///
/// Reading and writing park the caller only, and are cancellation points. Any number of callers may use it at once, through
/// `&FileObject`; they are served first in, first out. It is closed by its destructor, so never under a reader.
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use green_core::fileobject::FileObject;
///
/// let (reader, writer) = std::io::pipe()?;
/// let (reader, mut writer) = (FileObject::new(reader)?, FileObject::new(writer)?);
/// let lines = green_core::spawn(move || {
///     BufReader::new(reader).lines().collect::<Result<Vec<_>, _>>()
/// });
/// writer.write_all(b"one\ntwo\n")?;
/// drop(writer);
/// assert_eq!(lines.into_result().unwrap()?, ["one", "two"]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FileObject(Kind);

enum Kind {
    Polled(End),
    Stored(File),
}

impl FileObject {
    /// Takes a descriptor over.
    ///
    /// # Errors
    ///
    /// What the kernel says of it.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        let fd = fd.into();
        let kind = match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::RegularFile
            | FileType::Directory
            | FileType::BlockDevice
            | FileType::CharacterDevice => Kind::Stored(File::from(fd)),
            _ => Kind::Polled(End::new(fd)),
        };
        Ok(Self(kind))
    }
}

impl Read for &FileObject {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Polled(end) => end.read(buf),
            Kind::Stored(file) => (&*file).read(buf),
        }
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.0 {
            Kind::Polled(end) => end.read_vectored(bufs),
            Kind::Stored(file) => (&*file).read_vectored(bufs),
        }
    }
}

impl Write for &FileObject {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Polled(end) => end.write(buf),
            Kind::Stored(file) => (&*file).write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            Kind::Polled(end) => end.write_vectored(bufs),
            Kind::Stored(file) => (&*file).write_vectored(bufs),
        }
    }

    /// There is nothing to flush.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for FileObject {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for FileObject {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for FileObject {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Polled(end) => end.as_fd(),
            Kind::Stored(file) => file.as_fd(),
        }
    }
}

impl AsRawFd for FileObject {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl From<FileObject> for OwnedFd {
    /// Puts the file into blocking mode.
    fn from(object: FileObject) -> Self {
        match object.0 {
            Kind::Polled(end) => end.into_fd(),
            Kind::Stored(file) => file.into(),
        }
    }
}

impl fmt::Debug for FileObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileObject").field(&self.as_fd()).finish()
    }
}
