//! What the sockets share: attempts that do not block, modes, addresses, raw descriptors.
//!
//! The descriptor of a stream or a datagram socket is in blocking mode unless the user asked otherwise, so
//! every attempt asks for `MSG_DONTWAIT`. That also keeps the kernel's own timeouts out of it: they are set
//! so that whoever gets the descriptor finds them, and measured here.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny,
    SocketFlags, SocketType, acceptfrom_with, connect, getpeername, getsockname, recv, recvfrom,
    recvmsg, send, sendmsg, sendto, socket_with,
};

use crate::tcp::{TcpListener, TcpStream};
use crate::udp::UdpSocket;

/// How many buffers one system call takes.
const MAX_BUFFERS: usize = 1024;

/// The modes of a stream or a datagram socket, shared by the handles that `try_clone` makes of it, as in the kernel.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    /// Whether the user asked for non-blocking mode.
    nonblocking: AtomicBool,
    /// How long a read may wait.
    read: Limit,
    /// How long a write may wait.
    write: Limit,
}

impl Modes {
    /// The modes that `fd` came with. A descriptor that does not tell has std's defaults.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Self {
        Self {
            nonblocking: AtomicBool::new(is_nonblocking(fd)),
            read: Limit::new(sockopt::socket_timeout(fd, Timeout::Recv).unwrap_or(None)),
            write: Limit::new(sockopt::socket_timeout(fd, Timeout::Send).unwrap_or(None)),
        }
    }

    #[inline]
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
        set_nonblocking(fd, nonblocking)?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn set_timeout(
        &self,
        fd: BorrowedFd<'_>,
        which: Timeout,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        check_timeout(timeout)?;
        // What the kernel would make 0, which is "none" to it, becomes the shortest that it knows.
        let timeout = timeout.map(|timeout| timeout.clamp(Duration::from_micros(1), LONGEST));
        sockopt::set_socket_timeout(fd, which, timeout)?;
        self.limit(which).set(timeout);
        Ok(())
    }

    /// When an operation that begins now has waited long enough.
    #[inline]
    pub(crate) fn deadline(&self, which: Timeout) -> Option<Instant> {
        self.limit(which).deadline()
    }

    #[inline]
    fn limit(&self, which: Timeout) -> &Limit {
        match which {
            Timeout::Recv => &self.read,
            Timeout::Send => &self.write,
        }
    }
}

/// A time limit that is read on every operation.
#[derive(Debug, Default)]
struct Limit {
    /// In nanoseconds; [`Limit::NONE`] if there is none.
    nanos: AtomicU64,
}

impl Limit {
    /// A time limit of zero is refused, so the value is free.
    const NONE: u64 = 0;

    fn new(timeout: Option<Duration>) -> Self {
        let limit = Self::default();
        limit.set(timeout);
        limit
    }

    fn set(&self, timeout: Option<Duration>) {
        let nanos = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.nanos
            .store(timeout.map_or(Self::NONE, nanos), Ordering::Relaxed);
    }

    #[inline]
    fn deadline(&self) -> Option<Instant> {
        match self.nanos.load(Ordering::Relaxed) {
            Self::NONE => None,
            nanos => Instant::now().checked_add(Duration::from_nanos(nanos)),
        }
    }
}

/// The longest that fits where the kernel takes it; it means "none" there.
const LONGEST: Duration = Duration::from_secs(i64::MAX.unsigned_abs());

/// Refuses a time limit of zero, in std's words.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<()> {
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot set a 0 duration timeout",
        ));
    }
    Ok(())
}

/// Whether `error` says that a deadline of ours passed; the kernel's `ETIMEDOUT` is not ours.
pub(crate) fn is_deadline(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// What an operation says when its time is up: as on Linux, where it is `EAGAIN`.
pub(crate) fn would_block_at_deadline(error: io::Error) -> io::Error {
    if is_deadline(&error) {
        io::ErrorKind::WouldBlock.into()
    } else {
        error
    }
}

/// A new socket of a kind, for addresses like `addr`; closed on exec.
pub(crate) fn new_socket(
    addr: SocketAddr,
    kind: SocketType,
    flags: SocketFlags,
) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    Ok(socket_with(
        family,
        kind,
        flags | SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Begins to connect a socket in non-blocking mode; [`connected`] says when it is done.
pub(crate) fn begin_connect(fd: BorrowedFd<'_>, addr: SocketAddr) -> io::Result<()> {
    match retry_on_intr(|| connect(fd, &addr)) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::ALREADY | Errno::ISCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Attempts to finish a connect; `WouldBlock` while it is pending.
pub(crate) fn connected(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let now = Timespec::default();
    if retry_on_intr(|| poll(&mut fds, Some(&now)))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let failed = fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR);
    match take_error(fd)? {
        Some(error) => Err(error),
        None if failed => Err(io::Error::other("no error set after POLLHUP")),
        None => Ok(()),
    }
}

/// Attempts to accept a connection from a listener in non-blocking mode.
pub(crate) fn try_accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (stream, addr) = retry_on_intr(|| acceptfrom_with(fd, SocketFlags::CLOEXEC))?;
    Ok((stream, to_std(addr)?))
}

/// The same for a listener that was given away and may be in blocking mode.
pub(crate) fn try_accept_blocking(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let now = Timespec::default();
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    if retry_on_intr(|| poll(&mut fds, Some(&now)))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    try_accept(fd)
}

#[inline]
pub(crate) fn try_recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (n, _) = recv(fd, buf, RecvFlags::DONTWAIT)?;
    Ok(n)
}

pub(crate) fn try_peek(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (n, _) = recv(fd, buf, RecvFlags::DONTWAIT | RecvFlags::PEEK)?;
    Ok(n)
}

pub(crate) fn try_recv_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    let (n, _, from) = recvfrom(fd, buf, RecvFlags::DONTWAIT)?;
    Ok((n, to_std(from)?))
}

pub(crate) fn try_peek_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    let (n, _, from) = recvfrom(fd, buf, RecvFlags::DONTWAIT | RecvFlags::PEEK)?;
    Ok((n, to_std(from)?))
}

pub(crate) fn try_recv_vectored(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let mut control = RecvAncillaryBuffer::default();
    Ok(recvmsg(fd, bufs, &mut control, RecvFlags::DONTWAIT)?.bytes)
}

#[inline]
pub(crate) fn try_send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    Ok(send(fd, buf, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

pub(crate) fn try_send_to(fd: BorrowedFd<'_>, buf: &[u8], to: SocketAddr) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(sendto(fd, buf, flags, &to)?)
}

pub(crate) fn try_send_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut control = SendAncillaryBuffer::default();
    Ok(sendmsg(
        fd,
        bufs,
        &mut control,
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    )?)
}

/// How many of `len` buffers one system call takes.
pub(crate) fn at_most_max(len: usize) -> usize {
    len.min(MAX_BUFFERS)
}

/// The sum of the lengths of some buffers, in bytes.
pub(crate) fn total(lens: impl Iterator<Item = usize>) -> usize {
    lens.fold(0, usize::saturating_add)
}

pub(crate) fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    to_std(Some(getsockname(fd)?))
}

pub(crate) fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    to_std(getpeername(fd)?)
}

/// An address of the kernel as std's; `InvalidInput`, as in std, if it is not one of the internet.
fn to_std(addr: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    addr.and_then(|addr| addr.try_into().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "invalid argument"))
}

pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    Ok(sockopt::socket_error(fd)?.err().map(io::Error::from))
}

/// Whether `fd` is in non-blocking mode; false if it does not tell.
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
    fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
}

/// Puts the descriptor itself into, or out of, non-blocking mode.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, nonblocking)?)
}

impl FromRawFd for TcpStream {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller owns `fd`, as this function requires too.
        Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl FromRawFd for TcpListener {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller owns `fd`, as this function requires too.
        Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl FromRawFd for UdpSocket {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller owns `fd`, as this function requires too.
        Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
