//! Attempts that do not block, and what else the sockets ask of the kernel.
//!
//! The descriptor of a stream or a datagram socket is in blocking mode unless the user asked otherwise, so
//! every attempt asks for `MSG_DONTWAIT`. That also keeps the kernel's own timeouts out of it: they are set
//! so that whoever gets the descriptor finds them, and measured in [`Socket`](crate::socket::Socket).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny,
    SocketFlags, SocketType, acceptfrom_with, connect, getpeername, getsockname, recv, recvfrom,
    recvmsg, send, sendmsg, sendto, socket_with,
};

/// How many buffers one system call takes.
const MAX_BUFFERS: usize = 1024;

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

/// Attempts to see a connection that waits to be accepted, or a datagram; `WouldBlock` if there is none.
pub(crate) fn look_for_input(fd: BorrowedFd<'_>) -> io::Result<()> {
    let now = Timespec::default();
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    if retry_on_intr(|| poll(&mut fds, Some(&now)))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
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
