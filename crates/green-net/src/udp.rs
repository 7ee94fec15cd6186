//! A datagram socket.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{SocketFlags, SocketType, bind, connect};

use crate::addr::{ToSocketAddrs, each_addr, first_addr};
use crate::attempt;
use crate::socket::Socket;

/// A UDP socket; [`std::net::UdpSocket`] for green threads.
///
/// Any number of callers may use one socket at once. A datagram goes to one receiver.
///
/// # Differences from std
///
/// - Timeouts are read from the descriptor when the socket is made of it, and change by the methods
///   here only: a `setsockopt` past them is not seen.
/// - An operation that timed out fails with `WouldBlock` as std's does, but without an OS error code.
///
/// # Examples
///
/// ```
/// use green_net::UdpSocket;
///
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let addr = socket.local_addr()?;
/// let echo = green_core::spawn(move || {
///     let mut buf = [0; 1500];
///     let (n, from) = socket.recv_from(&mut buf)?;
///     socket.send_to(&buf[..n], from)
/// });
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(addr)?;
/// client.send(b"hello")?;
/// let mut buf = [0; 1500];
/// let n = client.recv(&mut buf)?;
/// assert_eq!(&buf[..n], b"hello");
/// assert_eq!(echo.into_result().unwrap()?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket(
    /// The socket.
    pub(crate) Socket,
);

impl UdpSocket {
    /// Makes a socket on the first address that can be bound; [`std::net::UdpSocket::bind`].
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        each_addr(addr, |addr| {
            let fd = attempt::new_socket(addr, SocketType::DGRAM, SocketFlags::empty())?;
            bind(&fd, &addr)?;
            Ok(Self(Socket::new(fd)))
        })
    }

    /// Receives a datagram and says who sent it; [`std::net::UdpSocket::recv_from`].
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
        self.0.recv_by(|fd| attempt::try_recv_from(fd, buf))
    }

    /// As [`UdpSocket::recv_from`], without taking the datagram away; [`std::net::UdpSocket::peek_from`].
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::recv_from`].
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_by(|fd| attempt::try_peek_from(fd, buf))
    }

    /// Sends a datagram to the first of some addresses; [`std::net::UdpSocket::send_to`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only, at most for the write timeout; a cancellation point.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no address; `WouldBlock` in non-blocking mode and after the write
    /// timeout; what the resolver and the kernel say.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let addr = first_addr(addr)?;
        self.0.send_by(|fd| attempt::try_send_to(fd, buf, addr))
    }

    /// The address that the socket is connected to; [`std::net::UdpSocket::peer_addr`].
    ///
    /// # Errors
    ///
    /// `NotConnected`; what else the kernel says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        attempt::peer_addr(self.as_fd())
    }

    /// The address that the socket is bound to; [`std::net::UdpSocket::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        attempt::local_addr(self.as_fd())
    }

    /// Another handle to the same socket; [`std::net::UdpSocket::try_clone`].
    ///
    /// Timeouts and non-blocking mode are of the socket: a change shows on all handles.
    ///
    /// # Errors
    ///
    /// The limit of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Limits how long a receive may wait; [`std::net::UdpSocket::set_read_timeout`].
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
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Recv, dur)
    }

    /// Limits how long a send may wait; [`std::net::UdpSocket::set_write_timeout`].
    ///
    /// As [`UdpSocket::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.0.set_timeout(Timeout::Send, dur)
    }

    /// How long a receive may wait, as the kernel rounded it; [`std::net::UdpSocket::read_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Recv)
    }

    /// How long a send may wait, as the kernel rounded it; [`std::net::UdpSocket::write_timeout`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.timeout(Timeout::Send)
    }

    /// Allows sends to broadcast addresses; [`std::net::UdpSocket::set_broadcast`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_broadcast(self, broadcast)?)
    }

    /// Whether sends to broadcast addresses are allowed; [`std::net::UdpSocket::broadcast`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(sockopt::socket_broadcast(self)?)
    }

    /// Lets this machine receive what the socket sends to groups, or not;
    /// [`std::net::UdpSocket::set_multicast_loop_v4`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_loop(self, multicast_loop_v4)?)
    }

    /// Whether this machine receives what the socket sends to groups;
    /// [`std::net::UdpSocket::multicast_loop_v4`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        Ok(sockopt::ip_multicast_loop(self)?)
    }

    /// Sets the time to live of what is sent to groups; [`std::net::UdpSocket::set_multicast_ttl_v4`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_ttl(self, multicast_ttl_v4)?)
    }

    /// The time to live of what is sent to groups; [`std::net::UdpSocket::multicast_ttl_v4`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        Ok(sockopt::ip_multicast_ttl(self)?)
    }

    /// As [`UdpSocket::set_multicast_loop_v4`], for groups of IPv6;
    /// [`std::net::UdpSocket::set_multicast_loop_v6`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        Ok(sockopt::set_ipv6_multicast_loop(self, multicast_loop_v6)?)
    }

    /// As [`UdpSocket::multicast_loop_v4`], for groups of IPv6;
    /// [`std::net::UdpSocket::multicast_loop_v6`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        Ok(sockopt::ipv6_multicast_loop(self)?)
    }

    /// Sets the time to live of packets; [`std::net::UdpSocket::set_ttl`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(self, ttl)?)
    }

    /// The time to live of packets; [`std::net::UdpSocket::ttl`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(self)?)
    }

    /// Joins a group, on the interface with this address; [`std::net::UdpSocket::join_multicast_v4`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_add_membership(self, multiaddr, interface)?)
    }

    /// Joins a group, on the interface with this index; [`std::net::UdpSocket::join_multicast_v6`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_add_membership(
            self, multiaddr, interface,
        )?)
    }

    /// Leaves a group; [`std::net::UdpSocket::leave_multicast_v4`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_drop_membership(self, multiaddr, interface)?)
    }

    /// Leaves a group; [`std::net::UdpSocket::leave_multicast_v6`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_drop_membership(
            self, multiaddr, interface,
        )?)
    }

    /// The pending error of the socket, which it forgets; [`std::net::UdpSocket::take_error`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        attempt::take_error(self.as_fd())
    }

    /// Sets whom `send` sends to, and `recv` receives from, to the first address that the kernel takes;
    /// [`std::net::UdpSocket::connect`].
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        each_addr(addr, |addr| Ok(connect(self, &addr)?))
    }

    /// Sends a datagram to the address that the socket is connected to; [`std::net::UdpSocket::send`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only, at most for the write timeout; a cancellation point.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if an earlier datagram met nobody; `WouldBlock` in non-blocking mode and after
    /// the write timeout; what else the kernel says.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.send_by(|fd| attempt::try_send(fd, buf))
    }

    /// Receives a datagram; [`std::net::UdpSocket::recv`].
    ///
    /// As [`UdpSocket::recv_from`].
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if an earlier datagram met nobody; as [`UdpSocket::recv_from`].
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.recv_by(|fd| attempt::try_recv(fd, buf))
    }

    /// As [`UdpSocket::recv`], without taking the datagram away; [`std::net::UdpSocket::peek`].
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::recv`].
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.recv_by(|fd| attempt::try_peek(fd, buf))
    }

    /// Makes operations fail with `WouldBlock` instead of waiting, on all handles to this socket;
    /// [`std::net::UdpSocket::set_nonblocking`].
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

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("UdpSocket");
        if let Ok(addr) = self.local_addr() {
            f.field("addr", &addr);
        }
        f.field("fd", &self.as_raw_fd()).finish()
    }
}
