//! A socket that accepts connections.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net as std_net;
use std::path::Path;
use std::time::Instant;

use rustix::net::{SocketFlags, SocketType, listen};

use super::attempt as unix;
use super::{Incoming, SocketAddr, UnixStream};
use crate::attempt;
use crate::socket::{self, Listener, Socket};

/// A Unix socket that listens; [`std::os::unix::net::UnixListener`] for green threads.
///
/// Any number of callers may accept from one listener; they are served first in, first out. The file of a
/// path stays when the listener is dropped.
///
/// # Differences from std
///
/// The descriptor is in non-blocking mode underneath, until it is given away: `into_raw_fd` and the
/// conversions put it back into the mode that the user asked for. While a clone and a descriptor that
/// was given away both accept, the clone may block its OS thread, if the other takes the connection
/// between its look and its accept.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use green_net::os::linux::net::SocketAddrExt;
/// use green_net::os::unix::net::{SocketAddr, UnixListener, UnixStream};
///
/// let addr = SocketAddr::from_abstract_name(format!("greetings-{}", std::process::id()))?;
/// let listener = UnixListener::bind_addr(&addr)?;
/// green_core::spawn(move || {
///     for stream in listener.incoming() {
///         let mut stream = stream?;
///         green_core::spawn(move || stream.write_all(b"hello"));
///     }
///     Ok::<_, std::io::Error>(())
/// });
/// let mut greeting = String::new();
/// UnixStream::connect_addr(&addr)?.read_to_string(&mut greeting)?;
/// assert_eq!(greeting, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener(
    /// The socket.
    pub(crate) Listener,
);

impl UnixListener {
    /// Makes a listener on a path, which must not exist; [`std::os::unix::net::UnixListener::bind`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path has a NUL or is too long; what the kernel says.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Makes a listener on an address; [`std::os::unix::net::UnixListener::bind_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        let fd = unix::new_bound(SocketType::STREAM, SocketFlags::NONBLOCK, socket_addr)?;
        listen(&fd, BACKLOG)?;
        Ok(Self(Listener::new(fd)))
    }

    /// Waits for a connection; [`std::os::unix::net::UnixListener::accept`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only; a cancellation point.
    ///
    /// # Errors
    ///
    /// `WouldBlock` in non-blocking mode if there is none. A server should survive the others: the limits of
    /// descriptors and memory.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (fd, addr) = self.0.accept_by(unix::try_accept)?;
        Ok((UnixStream(Socket::new(fd)), addr))
    }

    /// As [`UnixListener::accept`], until `deadline` and whatever the mode is.
    pub(crate) fn accept_before(
        &self,
        deadline: Option<Instant>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let (fd, addr) = self.0.accept_before(deadline, unix::try_accept)?;
        Ok((UnixStream(Socket::new(fd)), addr))
    }

    /// Another handle to the same listener; [`std::os::unix::net::UnixListener::try_clone`].
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The address that the listener is bound to; [`std::os::unix::net::UnixListener::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix::local_addr(self.as_fd())
    }

    /// Makes `accept` fail with `WouldBlock` instead of waiting, on all handles to this listener;
    /// [`std::os::unix::net::UnixListener::set_nonblocking`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    /// The pending error of the socket, which it forgets; [`std::os::unix::net::UnixListener::take_error`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        attempt::take_error(self.as_fd())
    }

    /// The connections, one after the other, for ever; [`std::os::unix::net::UnixListener::incoming`].
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming::new(self)
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        socket::as_std(self.as_fd(), |socket: &std_net::UnixListener| socket.fmt(f))
    }
}

/// As many connections as the system allows, as in std.
const BACKLOG: i32 = -1;
