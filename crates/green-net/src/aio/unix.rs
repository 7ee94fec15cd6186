//! Unix sockets for futures.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use rustix::net::{RecvFlags, SocketFlags, SocketType};

use super::slots::{ShortRead, Slots, socket, stream};
use crate::attempt;
use crate::os::unix::net as blocking;
use crate::os::unix::net::attempt as unix;
use crate::socket::Socket;

/// A connection of Unix sockets for futures; with `AsyncRead` and `AsyncWrite` of `futures-io`, by reference too.
///
/// # Examples
///
/// ```
/// use green_net::aio::UnixStream;
///
/// green_core::block_on(async {
///     let (one, other) = UnixStream::pair()?;
///     one.write_all(b"hello").await?;
///     let mut buf = [0; 5];
///     assert_eq!(other.read(&mut buf).await?, 5);
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    slots: Slots,
    socket: blocking::UnixStream,
}

impl UnixStream {
    /// Connects to the listener at a path. One without room is asked again after pauses, as by
    /// [`UnixStream::connect`](blocking::UnixStream::connect).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let addr = unix::to_kernel(&SocketAddr::from_pathname(path)?)?;
        let fd = unix::new_socket(SocketType::STREAM, SocketFlags::NONBLOCK)?;
        let socket = Socket::new(fd);
        socket
            .io()
            .repeat_with_async(|fd| unix::try_connect(fd.as_fd(), &addr))
            .await?;
        attempt::set_nonblocking(socket.as_fd(), false)?;
        Ok(blocking::UnixStream(socket).into())
    }

    /// Makes two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = blocking::UnixStream::pair()?;
        Ok((one.into(), other.into()))
    }

    /// Ends one or both directions, which wakes who waits for them.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

stream!(UnixStream of blocking::UnixStream, ShortRead::MayHaveMore);

/// A Unix socket that listens, for futures.
pub struct UnixListener(blocking::UnixListener);

impl UnixListener {
    /// Makes a listener at a path.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        blocking::UnixListener::bind(path).map(Self::from)
    }

    /// The blocking socket inside, for what both have.
    pub fn get_ref(&self) -> &blocking::UnixListener {
        &self.0
    }

    /// Awaits a connection.
    ///
    /// # Errors
    ///
    /// A server should survive all: the limits of descriptors and memory.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (fd, addr) = self.0.0.accept_async(unix::try_accept).await?;
        Ok((blocking::UnixStream(Socket::new(fd)).into(), addr))
    }
}

socket!(UnixListener of blocking::UnixListener, Self, 0);

/// A Unix datagram socket for futures.
pub struct UnixDatagram(blocking::UnixDatagram);

impl UnixDatagram {
    /// Makes a socket at a path.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        blocking::UnixDatagram::bind(path).map(Self::from)
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = blocking::UnixDatagram::pair()?;
        Ok((one.into(), other.into()))
    }

    /// The blocking socket inside, for what both have.
    pub fn get_ref(&self) -> &blocking::UnixDatagram {
        &self.0
    }

    /// Awaits a datagram. What does not fit into `buf` is lost. It is not told of a `shutdown`.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let attempt = |fd: &OwnedFd| unix::recv(fd.as_fd(), buf, RecvFlags::DONTWAIT);
        self.0.0.io().read_with_async(attempt).await
    }

    /// As [`UnixDatagram::recv`]; says who sent it.
    ///
    /// # Errors
    ///
    /// As [`UnixDatagram::recv`].
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let attempt = |fd: &OwnedFd| unix::recv_from(fd.as_fd(), buf, RecvFlags::DONTWAIT);
        self.0.0.io().read_with_async(attempt).await
    }

    /// Sends a datagram to the socket that this one is connected to.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let attempt = |fd: &OwnedFd| attempt::try_send(fd.as_fd(), buf);
        self.0.0.io().write_with_async(attempt).await
    }

    /// Sends a datagram to the socket at a path. One without room is asked again after pauses.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = unix::to_kernel(&SocketAddr::from_pathname(path)?)?;
        let attempt = |fd: &OwnedFd| unix::try_send_to(fd.as_fd(), buf, &to);
        self.0.0.io().repeat_with_async(attempt).await
    }
}

socket!(UnixDatagram of blocking::UnixDatagram, Self, 0);
