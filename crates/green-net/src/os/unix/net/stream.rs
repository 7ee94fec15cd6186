//! A connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net as std_net;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::Timeout;
use rustix::net::{SocketFlags, SocketType};

use super::attempt as unix;
use super::{SocketAddr, UCred};
use crate::attempt;
use crate::socket::{self, Socket};

/// A connection of Unix sockets; [`std::os::unix::net::UnixStream`] for green threads.
///
/// Any number of callers may use one stream at once; they are served first in, first out.
///
/// # Differences from std
///
/// - A connect to a listener that has no room tries again after pauses, of an eighth of the time that it has
///   waited on average and of 75 ms at most: the kernel does not tell when there is room. Nobody is served
///   in order.
/// - A write writes what there is room for, where std's waits until all is written: `write_all` is the
///   same on both.
/// - A read or a peek into an empty buffer returns at once, where std's waits until there is data.
/// - Timeouts are read from the descriptor when the stream is made of it, and change by the methods
///   here only: a `setsockopt` past them is not seen.
/// - A read or a write that timed out fails with `WouldBlock` as std's does, but without an OS error code.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use green_net::Shutdown;
/// use green_net::os::unix::net::UnixStream;
///
/// let (mut client, mut server) = UnixStream::pair()?;
/// client.write_all(b"hello")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut greeting = String::new();
/// server.read_to_string(&mut greeting)?;
/// assert_eq!(greeting, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream(
    /// The connection.
    pub(crate) Socket,
);

impl UnixStream {
    /// Connects to the listener at a path; [`std::os::unix::net::UnixStream::connect`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only, while the listener has no room; a cancellation point. A connect that is
    /// interrupted closes the socket.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the listener at an address; [`std::os::unix::net::UnixStream::connect_addr`].
    ///
    /// # Blocking
    ///
    /// As [`UnixStream::connect`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        let addr = unix::to_kernel(socket_addr)?;
        let fd = unix::new_socket(SocketType::STREAM, SocketFlags::NONBLOCK)?;
        let socket = Socket::new(fd);
        socket
            .io()
            .repeat_with(|| None, |fd| unix::try_connect(fd.as_fd(), &addr))?;
        attempt::set_nonblocking(socket.as_fd(), false)?;
        Ok(Self(socket))
    }

    /// Makes two streams that are connected to each other; [`std::os::unix::net::UnixStream::pair`].
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = unix::new_pair(SocketType::STREAM)?;
        Ok((Self(Socket::new(one)), Self(Socket::new(other))))
    }

    /// Another handle to the same connection; [`std::os::unix::net::UnixStream::try_clone`].
    ///
    /// Timeouts and non-blocking mode are of the connection: a change shows on all handles.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The address of this end; [`std::os::unix::net::UnixStream::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix::local_addr(self.as_fd())
    }

    /// The address of the other end; [`std::os::unix::net::UnixStream::peer_addr`].
    ///
    /// # Errors
    ///
    /// `NotConnected`; what else the kernel says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        unix::peer_addr(self.as_fd())
    }

    /// Who was at the other end when the connection was made; `std::os::unix::net::UnixStream::peer_cred`.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_net::os::unix::net::UnixStream;
    ///
    /// let (stream, _other) = UnixStream::pair()?;
    /// let pid = i32::try_from(std::process::id()).ok();
    /// assert_eq!(stream.peer_cred()?.pid, pid);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        socket::peer_cred(self.as_fd())
    }

    /// Limits how long a read may wait; [`std::os::unix::net::UnixStream::set_read_timeout`].
    ///
    /// A read that has waited so long fails with `WouldBlock`. `None`: for ever. Reads that wait already
    /// keep their limit.
    ///
    /// # Differences from std
    ///
    /// The error of a read that timed out has no OS error code.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Recv, timeout)
    }

    /// Limits how long a write may wait; [`std::os::unix::net::UnixStream::set_write_timeout`].
    ///
    /// As [`UnixStream::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Send, timeout)
    }

    /// How long a read may wait, as the kernel rounded it;
    /// [`std::os::unix::net::UnixStream::read_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Recv)
    }

    /// How long a write may wait, as the kernel rounded it;
    /// [`std::os::unix::net::UnixStream::write_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Send)
    }

    /// Makes operations fail with `WouldBlock` instead of waiting, on all handles to this connection;
    /// [`std::os::unix::net::UnixStream::set_nonblocking`].
    ///
    /// The descriptor itself changes its mode. Operations that wait already go on waiting.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    /// The pending error of the socket, which it forgets; [`std::os::unix::net::UnixStream::take_error`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        attempt::take_error(self.as_fd())
    }

    /// Ends one or both directions, which wakes who waits for them;
    /// [`std::os::unix::net::UnixStream::shutdown`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Reads without taking the data away; `std::os::unix::net::UnixStream::peek`.
    ///
    /// # Blocking
    ///
    /// As reading: parks the caller only, at most for the read timeout; a cancellation point.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` in non-blocking mode and after the read timeout; what the kernel says.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_by(buf.len(), |fd| attempt::try_peek(fd, buf))
    }

    /// Reads `asked` bytes at most. Fewer bytes do not mean that there are no more: a read ends where
    /// descriptors were sent along.
    #[inline]
    fn read_by(
        &self,
        asked: usize,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if asked == 0 {
            return Ok(0);
        }
        self.0.recv_by(attempt)
    }
}

impl Read for UnixStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for UnixStream {
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

impl Read for &UnixStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_by(buf.len(), |fd| attempt::try_recv(fd, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = attempt::at_most_max(bufs.len());
        let bufs = &mut bufs[..count];
        let asked = attempt::total(bufs.iter().map(|buf| buf.len()));
        self.read_by(asked, |fd| attempt::try_recv_vectored(fd, bufs))
    }
}

impl Write for &UnixStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write_by(buf.len(), |fd| attempt::try_send(fd, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..attempt::at_most_max(bufs.len())];
        let asked = attempt::total(bufs.iter().map(|buf| buf.len()));
        if asked == 0 {
            // As `writev`, which std calls; `sendmsg` would find a closed connection.
            return Ok(0);
        }
        self.0
            .write_by(asked, |fd| attempt::try_send_vectored(fd, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        socket::as_std(self.as_fd(), |socket: &std_net::UnixStream| socket.fmt(f))
    }
}
