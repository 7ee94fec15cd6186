//! A datagram socket.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net as std_net;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::Timeout;
use rustix::net::{RecvFlags, SocketFlags, SocketType};

use super::SocketAddr;
use super::attempt as unix;
use crate::attempt;
use crate::socket::{self, Socket};

/// A Unix datagram socket; [`std::os::unix::net::UnixDatagram`] for green threads.
///
/// Any number of callers may use one socket at once. A datagram goes to one receiver, and none is lost: who
/// sends waits until the receiver has room.
///
/// # Differences from std
///
/// - A [`send_to`](UnixDatagram::send_to) to a receiver that has no room tries again after pauses, of an
///   eighth of the time that it has waited on average and of 75 ms at most: the kernel does not tell when
///   there is room. Nobody is served in order. A `send` has no such pauses.
/// - Who is bound to a path of 108 bytes, as programs in C may be, is an unnamed sender.
/// - Timeouts are read from the descriptor when the socket is made of it, and change by the methods
///   here only: a `setsockopt` past them is not seen.
/// - An operation that timed out fails with `WouldBlock` as std's does, but without an OS error code.
///
/// # Examples
///
/// ```
/// use green_net::os::unix::net::UnixDatagram;
///
/// let (socket, other) = UnixDatagram::pair()?;
/// let echo = green_core::spawn(move || {
///     let mut buf = [0; 1500];
///     let n = other.recv(&mut buf)?;
///     other.send(&buf[..n])
/// });
/// socket.send(b"hello")?;
/// let mut buf = [0; 1500];
/// let n = socket.recv(&mut buf)?;
/// assert_eq!(&buf[..n], b"hello");
/// assert_eq!(echo.into_result().unwrap()?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram(
    /// The socket.
    pub(crate) Socket,
);

impl UnixDatagram {
    /// Makes a socket on a path, which must not exist; [`std::os::unix::net::UnixDatagram::bind`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Makes a socket on an address; [`std::os::unix::net::UnixDatagram::bind_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        let fd = unix::new_bound(SocketType::DGRAM, SocketFlags::empty(), socket_addr)?;
        Ok(Self(Socket::new(fd)))
    }

    /// Makes a socket without an address; [`std::os::unix::net::UnixDatagram::unbound`].
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn unbound() -> io::Result<Self> {
        let fd = unix::new_socket(SocketType::DGRAM, SocketFlags::empty())?;
        Ok(Self(Socket::new(fd)))
    }

    /// Makes two sockets that are connected to each other; [`std::os::unix::net::UnixDatagram::pair`].
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = unix::new_pair(SocketType::DGRAM)?;
        Ok((Self(Socket::new(one)), Self(Socket::new(other))))
    }

    /// Sets whom `send` sends to, and receives come from, to the socket at a path;
    /// [`std::os::unix::net::UnixDatagram::connect`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// The same with the socket at an address; [`std::os::unix::net::UnixDatagram::connect_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        unix::try_connect(self.as_fd(), &unix::to_kernel(socket_addr)?)
    }

    /// Another handle to the same socket; [`std::os::unix::net::UnixDatagram::try_clone`].
    ///
    /// Timeouts and non-blocking mode are of the socket: a change shows on all handles.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The address that the socket is bound to; [`std::os::unix::net::UnixDatagram::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix::local_addr(self.as_fd())
    }

    /// The address that the socket is connected to; [`std::os::unix::net::UnixDatagram::peer_addr`].
    ///
    /// # Errors
    ///
    /// `NotConnected`; what else the kernel says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        unix::peer_addr(self.as_fd())
    }

    /// Receives a datagram and says who sent it; [`std::os::unix::net::UnixDatagram::recv_from`].
    ///
    /// What does not fit into `buf` is lost. An empty buffer takes a whole datagram away.
    ///
    /// # Blocking
    ///
    /// Parks the caller only, at most for the read timeout; a cancellation point.
    ///
    /// # Errors
    ///
    /// `WouldBlock` in non-blocking mode and after the read timeout; what the kernel says.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_by(|fd, flags| unix::recv_from(fd, buf, flags))
    }

    /// Receives a datagram; [`std::os::unix::net::UnixDatagram::recv`].
    ///
    /// As [`UnixDatagram::recv_from`].
    ///
    /// # Errors
    ///
    /// As [`UnixDatagram::recv_from`].
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_by(|fd, flags| unix::recv(fd, buf, flags))
    }

    /// Sends a datagram to the socket at a path; [`std::os::unix::net::UnixDatagram::send_to`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only, at most for the write timeout; a cancellation point.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; `WouldBlock` in non-blocking mode and after the
    /// write timeout; what the kernel says.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.send_to_addr(buf, &SocketAddr::from_pathname(path)?)
    }

    /// Sends a datagram to the socket at an address; [`std::os::unix::net::UnixDatagram::send_to_addr`].
    ///
    /// # Blocking
    ///
    /// As [`UnixDatagram::send_to`].
    ///
    /// # Errors
    ///
    /// `WouldBlock` in non-blocking mode and after the write timeout; what the kernel says.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        let to = unix::to_kernel(socket_addr)?;
        self.0
            .send_repeatedly_by(|fd| unix::try_send_to(fd, buf, &to))
    }

    /// Sends a datagram to the socket that this one is connected to;
    /// [`std::os::unix::net::UnixDatagram::send`].
    ///
    /// # Blocking
    ///
    /// As [`UnixDatagram::send_to`].
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if the other is gone; `WouldBlock` in non-blocking mode and after the write
    /// timeout; what else the kernel says.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.send_by(|fd| attempt::try_send(fd, buf))
    }

    /// Limits how long a receive may wait; [`std::os::unix::net::UnixDatagram::set_read_timeout`].
    ///
    /// A receive that has waited so long fails with `WouldBlock`. `None`: for ever. Receives that wait
    /// already keep their limit.
    ///
    /// # Differences from std
    ///
    /// The error of a receive that timed out has no OS error code.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Recv, timeout)
    }

    /// Limits how long a send may wait; [`std::os::unix::net::UnixDatagram::set_write_timeout`].
    ///
    /// As [`UnixDatagram::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Send, timeout)
    }

    /// How long a receive may wait, as the kernel rounded it;
    /// [`std::os::unix::net::UnixDatagram::read_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Recv)
    }

    /// How long a send may wait, as the kernel rounded it;
    /// [`std::os::unix::net::UnixDatagram::write_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Send)
    }

    /// Makes operations fail with `WouldBlock` instead of waiting, on all handles to this socket;
    /// [`std::os::unix::net::UnixDatagram::set_nonblocking`].
    ///
    /// The descriptor itself changes its mode. Operations that wait already go on waiting.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    /// The pending error of the socket, which it forgets;
    /// [`std::os::unix::net::UnixDatagram::take_error`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        attempt::take_error(self.as_fd())
    }

    /// Ends one or both directions, which wakes who waits for them;
    /// [`std::os::unix::net::UnixDatagram::shutdown`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// As [`UnixDatagram::recv`], without taking the datagram away; `std::os::unix::net::UnixDatagram::peek`.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    ///
    /// # Errors
    ///
    /// As [`UnixDatagram::recv_from`].
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_by(|fd, flags| unix::recv(fd, buf, flags | RecvFlags::PEEK))
    }

    /// As [`UnixDatagram::recv_from`], without taking the datagram away;
    /// `std::os::unix::net::UnixDatagram::peek_from`.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    ///
    /// # Errors
    ///
    /// As [`UnixDatagram::recv_from`].
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_by(|fd, flags| unix::recv_from(fd, buf, flags | RecvFlags::PEEK))
    }

    /// As [`UnixDatagram::recv_from`], until `deadline` and whatever the modes are; not told of a `shutdown`.
    pub(crate) fn recv_from_before(
        &self,
        deadline: Option<Instant>,
        buf: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        self.0
            .recv_before(deadline, |fd| unix::recv_from(fd, buf, RecvFlags::DONTWAIT))
    }

    /// Receives with attempts that do not block. Those fail even if `shutdown` has ended receiving, as if there
    /// was something to wait for; one that may block is told of the end, at once.
    fn recv_by<R>(
        &self,
        mut recv: impl FnMut(BorrowedFd<'_>, RecvFlags) -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.recv_by(|fd| match recv(fd, RecvFlags::DONTWAIT) {
            Err(_) if unix::is_shut_for_receiving(fd)? => recv(fd, RecvFlags::empty()),
            received => received,
        })
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        socket::as_std(self.as_fd(), |socket: &std_net::UnixDatagram| socket.fmt(f))
    }
}
