//! What a server takes its work from: listeners and datagram sockets.

use std::io;
use std::net::{self as std_net, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::addr::ToSocketAddrs;
use crate::attempt;
use crate::modes::is_deadline;
use crate::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use crate::tcp::{TcpListener, TcpStream};
use crate::udp::UdpSocket;

/// A socket that a [`Server`](super::Server) can take work from. Of this crate's own sockets only.
pub trait Source: sealed::Take + Send + Sync + 'static {
    /// The kind of address that it has.
    type Addr: Clone + Send + Sync + 'static;

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn address(&self) -> io::Result<Self::Addr>;
}

/// A socket that accepts connections.
pub trait Listen: Source + sealed::Take<Item = (Self::Stream, Self::Addr)> {
    /// What it accepts.
    type Stream: Send + 'static;
}

/// What a server's socket can be made of: an address, or the socket itself.
///
/// Strings are of the form `host:port`; without a host (`":8080"`, `"*:8080"`, `"8080"`, or a number) it is every address of
/// this machine, of IPv6 and IPv4. Sockets may be green or std's. A path is that of a Unix socket.
pub trait Bind<S> {
    /// Makes the socket.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a string is not an address; what the resolver and the kernel say.
    fn bind(self) -> io::Result<S>;
}

/// What the acceptor does with a source; see `acceptor`.
pub(super) mod sealed {
    use std::io;
    use std::sync::Arc;

    /// See the module documentation.
    #[expect(unnameable_types, reason = "sealed")]
    pub trait Take: Sized {
        /// A piece of work.
        type Item: Send + 'static;

        /// Waits until there seems to be work.
        fn wait(&self) -> io::Result<()>;

        /// Takes a piece of work; `None` if there is none. A datagram goes into `buf` on its way.
        fn take(self: &Arc<Self>, buf: &mut [u8]) -> io::Result<Option<Self::Item>>;
    }
}

impl Source for TcpListener {
    type Addr = SocketAddr;

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Listen for TcpListener {
    type Stream = TcpStream;
}

impl sealed::Take for TcpListener {
    type Item = (TcpStream, SocketAddr);

    fn wait(&self) -> io::Result<()> {
        self.0.accept_before(None, attempt::look_for_input)
    }

    fn take(self: &Arc<Self>, _: &mut [u8]) -> io::Result<Option<Self::Item>> {
        taken(self.accept_before(Some(Instant::now())))
    }
}

impl Source for UnixListener {
    type Addr = std_unix::SocketAddr;

    fn address(&self) -> io::Result<std_unix::SocketAddr> {
        self.local_addr()
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;
}

impl sealed::Take for UnixListener {
    type Item = (UnixStream, std_unix::SocketAddr);

    fn wait(&self) -> io::Result<()> {
        self.0.accept_before(None, attempt::look_for_input)
    }

    fn take(self: &Arc<Self>, _: &mut [u8]) -> io::Result<Option<Self::Item>> {
        taken(self.accept_before(Some(Instant::now())))
    }
}

impl Source for UdpSocket {
    type Addr = SocketAddr;

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl sealed::Take for UdpSocket {
    type Item = (Vec<u8>, SocketAddr, Arc<Self>);

    fn wait(&self) -> io::Result<()> {
        self.0.recv_before(None, attempt::look_for_input)
    }

    fn take(self: &Arc<Self>, buf: &mut [u8]) -> io::Result<Option<Self::Item>> {
        let now = Some(Instant::now());
        let received = self
            .0
            .recv_before(now, |fd| attempt::try_recv_from(fd, buf));
        let datagram = taken(received)?;
        Ok(datagram.map(|(n, from)| (buf[..n].to_vec(), from, Arc::clone(self))))
    }
}

impl Source for UnixDatagram {
    type Addr = std_unix::SocketAddr;

    fn address(&self) -> io::Result<std_unix::SocketAddr> {
        self.local_addr()
    }
}

impl sealed::Take for UnixDatagram {
    type Item = (Vec<u8>, std_unix::SocketAddr, Arc<Self>);

    fn wait(&self) -> io::Result<()> {
        self.0.recv_before(None, attempt::look_for_input)
    }

    fn take(self: &Arc<Self>, buf: &mut [u8]) -> io::Result<Option<Self::Item>> {
        let datagram = taken(self.recv_from_before(Some(Instant::now()), buf))?;
        Ok(datagram.map(|(n, from)| (buf[..n].to_vec(), from, Arc::clone(self))))
    }
}

/// What an attempt that does not wait has taken.
fn taken<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(item) => Ok(Some(item)),
        // Somebody else was faster, or the peer has gone again.
        Err(error) if is_deadline(&error) || error.kind() == io::ErrorKind::ConnectionAborted => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What sockets are made of for which it is enough to be converted.
macro_rules! bind_to {
    ($($socket:ty: $($from:ty),+;)+) => {$($(
        impl Bind<$socket> for $from {
            fn bind(self) -> io::Result<$socket> {
                Ok(self.into())
            }
        }
    )+)+};
}

bind_to! {
    TcpListener: TcpListener, std_net::TcpListener;
    UdpSocket: UdpSocket, std_net::UdpSocket;
    UnixListener: UnixListener, std_unix::UnixListener;
    UnixDatagram: UnixDatagram, std_unix::UnixDatagram;
}

/// What Unix sockets are made of: paths and addresses.
macro_rules! bind_unix {
    ($($socket:ty),+) => {$(
        impl Bind<$socket> for &Path {
            fn bind(self) -> io::Result<$socket> {
                <$socket>::bind(self)
            }
        }

        impl Bind<$socket> for PathBuf {
            fn bind(self) -> io::Result<$socket> {
                <$socket>::bind(self)
            }
        }

        impl Bind<$socket> for &std_unix::SocketAddr {
            fn bind(self) -> io::Result<$socket> {
                <$socket>::bind_addr(self)
            }
        }
    )+};
}

bind_unix!(UnixListener, UnixDatagram);

/// An address of the internet, as gevent spells them.
trait Addresses {
    /// Every address that it stands for.
    fn addresses(&self) -> io::Result<Vec<SocketAddr>>;
}

impl Addresses for &str {
    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = self.rsplit_once(':').unwrap_or(("", self));
        match (host, port.parse::<u16>()) {
            ("" | "*", Ok(port)) => port.addresses(),
            _ => Ok(self.to_socket_addrs()?.collect()),
        }
    }
}

impl Addresses for String {
    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        (&**self).addresses()
    }
}

impl Addresses for u16 {
    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        // The second one where there is no IPv6.
        Ok(vec![
            (Ipv6Addr::UNSPECIFIED, *self).into(),
            (Ipv4Addr::UNSPECIFIED, *self).into(),
        ])
    }
}

/// Those that are addresses in std, too.
macro_rules! addresses_as_in_std {
    ($($address:ty),+) => {$(
        impl Addresses for $address {
            fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(self.to_socket_addrs()?.collect())
            }
        }
    )+};
}

addresses_as_in_std! {
    SocketAddr, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16), (&str, u16), (String, u16)
}

/// What sockets of the internet are made of: addresses.
macro_rules! bind_addresses {
    ($($address:ty),+) => {$(
        impl Bind<TcpListener> for $address {
            fn bind(self) -> io::Result<TcpListener> {
                TcpListener::bind(&self.addresses()?[..])
            }
        }

        impl Bind<UdpSocket> for $address {
            fn bind(self) -> io::Result<UdpSocket> {
                UdpSocket::bind(&self.addresses()?[..])
            }
        }
    )+};
}

bind_addresses! {
    &str, String, u16, SocketAddr, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16), (&str, u16), (String, u16)
}
