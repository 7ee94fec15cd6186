//! UDP for futures.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use super::open::Named;
use super::slots::socket;
use crate::addr::ToSocketAddrs;
use crate::attempt;
use crate::udp as blocking;

/// A UDP socket for futures.
///
/// # Examples
///
/// ```
/// use green_net::aio::UdpSocket;
///
/// green_core::block_on(async {
///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
///     one.send_to(b"hello", other.get_ref().local_addr()?).await?;
///     let mut buf = [0; 1500];
///     let (n, from) = other.recv_from(&mut buf).await?;
///     assert_eq!((&buf[..n], from), (&b"hello"[..], one.get_ref().local_addr()?));
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket(blocking::UdpSocket);

impl UdpSocket {
    /// Makes a socket on the first address that can be bound. Names are resolved on the blocking pool; a `ToSocketAddrs` of one's own is asked where the
    /// call is made.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<Self>> {
        let named = Named::of(&addr);
        async move {
            let addrs = named.resolve().await?;
            blocking::UdpSocket::bind(&*addrs).map(Self::from)
        }
    }

    /// Sets whom `send` sends to, and receives come from, to the first address that works.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::bind`].
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> impl Future<Output = io::Result<()>> {
        let named = Named::of(&addr);
        async move {
            let addrs = named.resolve().await?;
            self.0.connect(&*addrs)
        }
    }

    /// The blocking socket inside, for what both have.
    pub fn get_ref(&self) -> &blocking::UdpSocket {
        &self.0
    }

    /// Awaits a datagram from the socket that this one is connected to, or from anybody. What does not fit into `buf` is lost.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let attempt = |fd: &OwnedFd| attempt::try_recv(fd.as_fd(), buf);
        self.0.0.io().read_with_async(attempt).await
    }

    /// As [`UdpSocket::recv`]; says who sent it.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::recv`].
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let attempt = |fd: &OwnedFd| attempt::try_recv_from(fd.as_fd(), buf);
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

    /// Sends a datagram to an address.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        let attempt = |fd: &OwnedFd| attempt::try_send_to(fd.as_fd(), buf, addr);
        self.0.0.io().write_with_async(attempt).await
    }
}

socket!(UdpSocket of blocking::UdpSocket, Self, 0);
