//! A socket that accepts connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use rustix::net::{SocketFlags, SocketType, bind, listen, sockopt};

use super::{Incoming, IntoIncoming, TcpStream};
use crate::addr::{ToSocketAddrs, each_addr};
use crate::attempt;
use crate::socket::{Listener, Socket};

/// A TCP socket that listens; [`std::net::TcpListener`] for green threads.
///
/// Any number of callers may accept from one listener; they are served first in, first out.
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
/// use green_net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let addr = listener.local_addr()?;
/// green_core::spawn(move || {
///     for stream in listener.incoming() {
///         let mut stream = stream?;
///         green_core::spawn(move || stream.write_all(b"hello"));
///     }
///     Ok::<_, std::io::Error>(())
/// });
/// let mut greeting = String::new();
/// TcpStream::connect(addr)?.read_to_string(&mut greeting)?;
/// assert_eq!(greeting, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener(
    /// The socket.
    pub(crate) Listener,
);

impl TcpListener {
    /// Makes a listener on the first address that can be bound; [`std::net::TcpListener::bind`].
    ///
    /// # Differences from std
    ///
    /// The backlog is 4096 connections, std's 128: a client that finds it full tries again only after a
    /// second. The system may limit it further.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::bind_with(addr, ListenOptions::default())
    }

    /// The same with options. Not in std.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// # Examples
    ///
    /// ```
    /// use green_net::{ListenOptions, TcpListener};
    ///
    /// let options = ListenOptions::default().reuse_port(true);
    /// let one = TcpListener::bind_with("127.0.0.1:0", options)?;
    /// let two = TcpListener::bind_with(one.local_addr()?, options)?;
    /// # drop(two);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_with<A: ToSocketAddrs>(addr: A, options: ListenOptions) -> io::Result<Self> {
        each_addr(addr, |addr| {
            let fd = attempt::new_socket(addr, SocketType::STREAM, SocketFlags::NONBLOCK)?;
            sockopt::set_socket_reuseaddr(&fd, true)?;
            if options.reuse_port {
                sockopt::set_socket_reuseport(&fd, true)?;
            }
            if let (SocketAddr::V6(_), Some(only_v6)) = (addr, options.only_v6) {
                sockopt::set_ipv6_v6only(&fd, only_v6)?;
            }
            bind(&fd, &addr)?;
            listen(&fd, i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
            Ok(Self(Listener::new(fd)))
        })
    }

    /// The address that the listener is bound to; [`std::net::TcpListener::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        attempt::local_addr(self.as_fd())
    }

    /// Another handle to the same listener; [`std::net::TcpListener::try_clone`].
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Waits for a connection; [`std::net::TcpListener::accept`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only; a cancellation point.
    ///
    /// # Errors
    ///
    /// `WouldBlock` in non-blocking mode if there is none. A server should survive the others: a
    /// connection that was aborted before it was accepted, the limits of descriptors and memory.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (fd, addr) = self.0.accept_by(attempt::try_accept)?;
        Ok((TcpStream(Socket::new(fd)), addr))
    }

    /// As [`TcpListener::accept`], until `deadline` and whatever the mode is.
    pub(crate) fn accept_before(
        &self,
        deadline: Option<Instant>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let (fd, addr) = self.0.accept_before(deadline, attempt::try_accept)?;
        Ok((TcpStream(Socket::new(fd)), addr))
    }

    /// The connections, one after the other, for ever; [`std::net::TcpListener::incoming`].
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming::new(self)
    }

    /// The same of a listener that nobody else has; `std::net::TcpListener::into_incoming`.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming::new(self)
    }

    /// Sets the time to live of packets; [`std::net::TcpListener::set_ttl`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(self, ttl)?)
    }

    /// The time to live of packets; [`std::net::TcpListener::ttl`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(self)?)
    }

    /// Excludes IPv4; `std::net::TcpListener::set_only_v6`.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the listener is bound already.
    #[deprecated(note = "can only be set before the socket is bound: use `TcpListener::bind_with`")]
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        Ok(sockopt::set_ipv6_v6only(self, only_v6)?)
    }

    /// Whether IPv4 is excluded; `std::net::TcpListener::only_v6`.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    #[deprecated(note = "can only be set before the socket is bound: use `TcpListener::bind_with`")]
    pub fn only_v6(&self) -> io::Result<bool> {
        Ok(sockopt::ipv6_v6only(self)?)
    }

    /// The pending error of the socket, which it forgets; [`std::net::TcpListener::take_error`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        attempt::take_error(self.as_fd())
    }

    /// Makes `accept` fail with `WouldBlock` instead of waiting, on all handles to this listener;
    /// [`std::net::TcpListener::set_nonblocking`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("TcpListener");
        if let Ok(addr) = self.local_addr() {
            f.field("addr", &addr);
        }
        f.field("fd", &self.as_raw_fd()).finish()
    }
}

/// How to listen: what [`TcpListener::bind_with`] takes. Not in std.
///
/// # Examples
///
/// ```
/// use green_net::ListenOptions;
///
/// let options = ListenOptions::default().backlog(16).only_v6(Some(true));
/// assert!(!options.reuse_port);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; 4096 by default. The system may limit it further.
    pub backlog: u32,
    /// Whether other sockets may listen on the same address (`SO_REUSEPORT`); false by default.
    pub reuse_port: bool,
    /// Whether an IPv6 listener excludes IPv4; by default the system decides.
    pub only_v6: Option<bool>,
}

impl ListenOptions {
    /// Sets [`ListenOptions::backlog`].
    #[must_use]
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets [`ListenOptions::reuse_port`].
    #[must_use]
    pub fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Sets [`ListenOptions::only_v6`].
    #[must_use]
    pub fn only_v6(mut self, only_v6: Option<bool>) -> Self {
        self.only_v6 = only_v6;
        self
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            reuse_port: false,
            only_v6: None,
        }
    }
}
