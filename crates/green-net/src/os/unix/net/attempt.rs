//! What the Unix sockets ask of the kernel, and how it spells their addresses.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{self as std_net, SocketAddr};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, recvfrom, sendto, socket_with, socketpair,
};

use crate::socket;

/// A new socket of a kind; closed on exec.
pub(crate) fn new_socket(kind: SocketType, flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    Ok(socket_with(AddressFamily::UNIX, kind, flags, None)?)
}

/// Two new sockets of a kind that are connected to each other; closed on exec.
pub(crate) fn new_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok(pair)
}

/// A new socket of a kind that has an address.
pub(crate) fn new_bound(
    kind: SocketType,
    flags: SocketFlags,
    addr: &SocketAddr,
) -> io::Result<OwnedFd> {
    let fd = new_socket(kind, flags)?;
    bind(&fd, &to_kernel(addr)?)?;
    Ok(fd)
}

/// Attempts to connect. A stream socket in non-blocking mode is told `WouldBlock` while its listener has no
/// room, and no poll tells when there is.
pub(crate) fn try_connect(fd: BorrowedFd<'_>, addr: &SocketAddrUnix) -> io::Result<()> {
    Ok(retry_on_intr(|| connect(fd, addr))?)
}

/// Attempts to accept a connection from a listener in non-blocking mode.
pub(crate) fn try_accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let stream = retry_on_intr(|| accept_with(fd, SocketFlags::CLOEXEC))?;
    let stream = std_net::UnixStream::from(stream);
    let addr = stream.peer_addr()?;
    Ok((stream.into(), addr))
}

/// Receives a datagram; without `DONTWAIT` among the flags it may block.
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    let (n, _) = rustix::net::recv(fd, buf, flags)?;
    Ok(n)
}

/// The same, and says who sent it.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, SocketAddr)> {
    let (n, _, from) = recvfrom(fd, buf, flags)?;
    Ok((n, of_sender(from)?))
}

/// Whether `shutdown` has ended receiving, for good.
pub(crate) fn is_shut_for_receiving(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let now = Timespec::default();
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    Ok(retry_on_intr(|| poll(&mut fds, Some(&now)))? != 0
        && fds[0].revents().contains(PollFlags::RDHUP))
}

/// Attempts to send a datagram. No poll tells when another socket's queue has room.
pub(crate) fn try_send_to(
    fd: BorrowedFd<'_>,
    buf: &[u8],
    to: &SocketAddrUnix,
) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(sendto(fd, buf, flags, to)?)
}

pub(crate) fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    socket::as_std(fd, std_net::UnixDatagram::local_addr)
}

pub(crate) fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    socket::as_std(fd, std_net::UnixDatagram::peer_addr)
}

/// An address as the kernel takes it.
pub(crate) fn to_kernel(addr: &SocketAddr) -> io::Result<SocketAddrUnix> {
    if let Some(path) = addr.as_pathname() {
        return Ok(SocketAddrUnix::new(path)?);
    }
    match addr.as_abstract_name() {
        Some(name) => Ok(SocketAddrUnix::new_abstract_name(name)?),
        None => Ok(SocketAddrUnix::new_unnamed()),
    }
}

/// The address of who sent a datagram. A path that std has no way to make an address of becomes "unnamed".
fn of_sender(addr: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let Some(addr) = addr else {
        return SocketAddr::from_pathname("");
    };
    if addr.address_family() != AddressFamily::UNIX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "file descriptor did not correspond to a Unix socket",
        ));
    }
    if !(SHORTEST_NAMED..=LONGEST_NAMED).contains(&addr.addr_len()) {
        return SocketAddr::from_pathname("");
    }
    let addr = SocketAddrUnix::try_from(addr)?;
    match (addr.path_bytes(), addr.abstract_name()) {
        (Some(path), _) => {
            // `rustix` leaves the NUL of the longest path on.
            let path = path.strip_suffix(b"\0").unwrap_or(path);
            SocketAddr::from_pathname(OsStr::from_bytes(path))
        }
        (None, Some(name)) => SocketAddr::from_abstract_name(name),
        (None, None) => SocketAddr::from_pathname(""),
    }
}

/// The lengths of addresses with a name, in bytes: of the family, and of what the kernel has for a name. A
/// path without room for its NUL is one longer in what the kernel tells.
const SHORTEST_NAMED: u32 = 2 + 1;
const LONGEST_NAMED: u32 = 2 + 108;
