//! A connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{SocketFlags, SocketType};

use crate::addr::{ToSocketAddrs, each_addr};
use crate::attempt;
use crate::modes;
use crate::socket::Socket;

/// A TCP connection; [`std::net::TcpStream`] for green threads.
///
/// Any number of callers may use one stream at once; they are served first in, first out.
///
/// # Differences from std
///
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
/// use green_net::{Shutdown, TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut server, _) = listener.accept()?;
/// client.write_all(b"hello")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut greeting = String::new();
/// server.read_to_string(&mut greeting)?;
/// assert_eq!(greeting, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream(
    /// The connection.
    pub(crate) Socket,
);

impl TcpStream {
    /// Connects to the first address that answers; [`std::net::TcpStream::connect`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only; a cancellation point. A connect that is interrupted closes the socket.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        each_addr(addr, |addr| Self::connect_to(addr, None))
    }

    /// Connects, waiting no longer than `timeout`; [`std::net::TcpStream::connect_timeout`].
    ///
    /// # Blocking
    ///
    /// As [`TcpStream::connect`].
    ///
    /// # Errors
    ///
    /// `TimedOut`; `InvalidInput` if `timeout` is zero; what the kernel says.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        modes::check_timeout(Some(timeout))?;
        Self::connect_to(*addr, Instant::now().checked_add(timeout)).map_err(|error| {
            if modes::is_deadline(&error) {
                return io::Error::new(io::ErrorKind::TimedOut, "connection timed out");
            }
            error
        })
    }

    fn connect_to(addr: SocketAddr, deadline: Option<Instant>) -> io::Result<Self> {
        let fd = attempt::new_socket(addr, SocketType::STREAM, SocketFlags::NONBLOCK)?;
        let socket = Socket::new(fd);
        attempt::begin_connect(socket.as_fd(), addr)?;
        socket
            .io()
            .write_with(|| deadline, |fd| attempt::connected(fd.as_fd()))?;
        attempt::set_nonblocking(socket.as_fd(), false)?;
        Ok(Self(socket))
    }

    /// The address of the other end; [`std::net::TcpStream::peer_addr`].
    ///
    /// # Errors
    ///
    /// `NotConnected`; what else the kernel says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        attempt::peer_addr(self.as_fd())
    }

    /// The address of this end; [`std::net::TcpStream::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        attempt::local_addr(self.as_fd())
    }

    /// Ends one or both directions, which wakes who waits for them; [`std::net::TcpStream::shutdown`].
    ///
    /// # Errors
    ///
    /// `NotConnected`, for example after the other end has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Another handle to the same connection; [`std::net::TcpStream::try_clone`].
    ///
    /// Timeouts and non-blocking mode are of the connection: a change shows on all handles.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Limits how long a read may wait; [`std::net::TcpStream::set_read_timeout`].
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
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Recv, dur)
    }

    /// Limits how long a write may wait; [`std::net::TcpStream::set_write_timeout`].
    ///
    /// As [`TcpStream::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Send, dur)
    }

    /// How long a read may wait, as the kernel rounded it; [`std::net::TcpStream::read_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Recv)
    }

    /// How long a write may wait, as the kernel rounded it; [`std::net::TcpStream::write_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Send)
    }

    /// Reads without taking the data away; [`std::net::TcpStream::peek`].
    ///
    /// # Blocking
    ///
    /// As reading: parks the caller only, at most for the read timeout; a cancellation point.
    ///
    /// # Errors
    ///
    /// `WouldBlock` in non-blocking mode and after the read timeout; what the kernel says.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.0.recv_by(|fd| attempt::try_peek(fd, buf))
    }

    /// Sends small segments at once, or collects them; [`std::net::TcpStream::set_nodelay`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(self, nodelay)?)
    }

    /// Whether small segments are sent at once; [`std::net::TcpStream::nodelay`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_nodelay(self)?)
    }

    /// Limits how long the kernel tries to send what is left when the stream is closed;
    /// `std::net::TcpStream::set_linger`.
    ///
    /// In whole seconds, the rest is cut off; zero resets the connection on close.
    ///
    /// # Blocking
    ///
    /// Closing a stream with a limit blocks the OS thread, and with it a hub, until all is sent or the
    /// limit is reached.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        let linger = linger.map(|linger| Duration::from_secs(linger.as_secs()));
        Ok(sockopt::set_socket_linger(self, linger)?)
    }

    /// How long the kernel tries to send what is left when the stream is closed;
    /// `std::net::TcpStream::linger`.
    ///
    /// # Differences from std
    ///
    /// Unstable there.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_linger(self)?)
    }

    /// Sets the time to live of packets; [`std::net::TcpStream::set_ttl`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(self, ttl)?)
    }

    /// The time to live of packets; [`std::net::TcpStream::ttl`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(self)?)
    }

    /// The pending error of the socket, which it forgets; [`std::net::TcpStream::take_error`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        attempt::take_error(self.as_fd())
    }

    /// Makes operations fail with `WouldBlock` instead of waiting, on all handles to this connection;
    /// [`std::net::TcpStream::set_nonblocking`].
    ///
    /// The descriptor itself changes its mode. Operations that wait already go on waiting.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
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

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0
            .read_tcp_by(buf.len(), |fd| attempt::try_recv(fd, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = attempt::at_most_max(bufs.len());
        let bufs = &mut bufs[..count];
        let asked = attempt::total(bufs.iter().map(|buf| buf.len()));
        self.0
            .read_tcp_by(asked, |fd| attempt::try_recv_vectored(fd, bufs))
    }
}

impl Write for &TcpStream {
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

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("TcpStream");
        if let Ok(addr) = self.local_addr() {
            f.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            f.field("peer", &peer);
        }
        f.field("fd", &self.as_raw_fd()).finish()
    }
}
