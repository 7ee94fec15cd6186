//! A connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use green_core::io::Io;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{self as sys, SocketFlags, SocketType};

use crate::addr::{ToSocketAddrs, each_addr};
use crate::socket::{self, Modes};

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
pub struct TcpStream {
    /// The socket. In the mode that the user asked for: attempts do not block by themselves.
    io: Io<OwnedFd>,
    /// What was set, shared by the handles that `try_clone` makes; nothing while all is as it was.
    modes: OnceLock<Arc<Modes>>,
}

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
        socket::check_timeout(Some(timeout))?;
        Self::connect_to(*addr, Instant::now().checked_add(timeout)).map_err(|error| {
            if socket::is_deadline(&error) {
                return io::Error::new(io::ErrorKind::TimedOut, "connection timed out");
            }
            error
        })
    }

    fn connect_to(addr: SocketAddr, deadline: Option<Instant>) -> io::Result<Self> {
        let fd = socket::new_socket(addr, SocketType::STREAM, SocketFlags::NONBLOCK)?;
        let io = Io::new(fd);
        socket::begin_connect(io.as_fd(), addr)?;
        io.write_with(|| deadline, |fd| socket::connected(fd.as_fd()))?;
        socket::set_nonblocking(io.as_fd(), false)?;
        Ok(Self {
            io,
            modes: OnceLock::new(),
        })
    }

    /// A stream of a connection that was just accepted: in blocking mode, without timeouts.
    pub(super) fn accepted(fd: OwnedFd) -> Self {
        Self {
            io: Io::new(fd),
            modes: OnceLock::new(),
        }
    }

    /// The address of the other end; [`std::net::TcpStream::peer_addr`].
    ///
    /// # Errors
    ///
    /// `NotConnected`; what else the kernel says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket::peer_addr(self.as_fd())
    }

    /// The address of this end; [`std::net::TcpStream::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(self.as_fd())
    }

    /// Ends one or both directions, which wakes who waits for them; [`std::net::TcpStream::shutdown`].
    ///
    /// # Errors
    ///
    /// `NotConnected`, for example after the other end has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => sys::Shutdown::Read,
            Shutdown::Write => sys::Shutdown::Write,
            Shutdown::Both => sys::Shutdown::Both,
        };
        Ok(sys::shutdown(self, how)?)
    }

    /// Another handle to the same connection; [`std::net::TcpStream::try_clone`].
    ///
    /// Timeouts and non-blocking mode are of the connection: a change shows on all handles.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        let fd = self.io.get_ref().try_clone()?;
        Ok(Self {
            io: Io::new(fd),
            modes: Arc::clone(self.modes()).into(),
        })
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
        self.modes().set_timeout(self.as_fd(), Timeout::Recv, dur)
    }

    /// Limits how long a write may wait; [`std::net::TcpStream::set_write_timeout`].
    ///
    /// As [`TcpStream::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.modes().set_timeout(self.as_fd(), Timeout::Send, dur)
    }

    /// How long a read may wait, as the kernel rounded it; [`std::net::TcpStream::read_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_timeout(self, Timeout::Recv)?)
    }

    /// How long a write may wait, as the kernel rounded it; [`std::net::TcpStream::write_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_timeout(self, Timeout::Send)?)
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
        if self.is_nonblocking() {
            return socket::try_peek(self.as_fd(), buf);
        }
        let result = self.io.read_with(
            || self.deadline(Timeout::Recv),
            |fd| socket::try_peek(fd.as_fd(), buf),
        );
        result.map_err(socket::would_block_at_deadline)
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
        socket::take_error(self.as_fd())
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
        self.modes().set_nonblocking(self.as_fd(), nonblocking)
    }

    /// The modes, to be changed or shared.
    fn modes(&self) -> &Arc<Modes> {
        self.modes.get_or_init(Arc::default)
    }

    /// Whether the user asked for non-blocking mode.
    #[inline]
    fn is_nonblocking(&self) -> bool {
        self.modes.get().is_some_and(|modes| modes.is_nonblocking())
    }

    /// When an operation that begins to wait now has waited long enough.
    #[inline]
    fn deadline(&self, which: Timeout) -> Option<Instant> {
        self.modes.get()?.deadline(which)
    }

    /// Reads `asked` bytes at most, with attempts that do not block.
    #[inline]
    fn read_by(
        &self,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if asked == 0 {
            return Ok(0);
        }
        if self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self.io.read_stream_with(
            asked,
            || self.deadline(Timeout::Recv),
            |fd| attempt(fd.as_fd()),
        );
        result.map_err(socket::would_block_at_deadline)
    }

    /// Writes `asked` bytes at most, with attempts that do not block.
    #[inline]
    fn write_by(
        &self,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        // Nothing to write needs no room, but may still find the connection closed.
        if asked == 0 || self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self.io.write_stream_with(
            asked,
            || self.deadline(Timeout::Send),
            |fd| attempt(fd.as_fd()),
        );
        result.map_err(socket::would_block_at_deadline)
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
        self.read_by(buf.len(), |fd| socket::try_recv(fd, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = socket::at_most_max(bufs.len());
        let bufs = &mut bufs[..count];
        let asked = socket::total(bufs.iter().map(|buf| buf.len()));
        self.read_by(asked, |fd| socket::try_recv_vectored(fd, bufs))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_by(buf.len(), |fd| socket::try_send(fd, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..socket::at_most_max(bufs.len())];
        let asked = socket::total(bufs.iter().map(|buf| buf.len()));
        if asked == 0 {
            // As `writev`, which std calls; `sendmsg` would find a closed connection.
            return Ok(0);
        }
        self.write_by(asked, |fd| socket::try_send_vectored(fd, bufs))
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

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl IntoRawFd for TcpStream {
    fn into_raw_fd(self) -> RawFd {
        self.io.into_inner().into_raw_fd()
    }
}

impl From<OwnedFd> for TcpStream {
    /// The stream has the mode and the timeouts that the descriptor has now.
    fn from(fd: OwnedFd) -> Self {
        let modes = Arc::new(Modes::of(fd.as_fd())).into();
        Self {
            io: Io::new(fd),
            modes,
        }
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> Self {
        stream.io.into_inner()
    }
}

impl From<net::TcpStream> for TcpStream {
    fn from(stream: net::TcpStream) -> Self {
        OwnedFd::from(stream).into()
    }
}

impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> Self {
        OwnedFd::from(stream).into()
    }
}

// What a panic can leave behind is a wake-up too many.
impl UnwindSafe for TcpStream {}
impl RefUnwindSafe for TcpStream {}
