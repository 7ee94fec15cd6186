//! What names one or more socket addresses.

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::option;
use std::slice;
use std::vec;

use crate::resolve::resolve;

/// A value that names socket addresses; [`std::net::ToSocketAddrs`] for green threads.
///
/// # Blocking
///
/// Strings that are addresses are parsed at once. Other names are resolved on the blocking pool: the
/// caller parks, and it is a cancellation point.
///
/// # Differences from std
///
/// A trait of its own, with std's implementations. Code that is bounded by std's trait does not accept
/// it, but std's implementors are the same types.
///
/// # Examples
///
/// ```
/// use green_net::ToSocketAddrs;
///
/// let mut addrs = "127.0.0.1:80".to_socket_addrs()?;
/// assert_eq!(addrs.next(), Some(([127, 0, 0, 1], 80).into()));
/// assert!(green_core::run(|| ("localhost", 80).to_socket_addrs())?.all(|addr| addr.port() == 80));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// The iterator over the addresses; [`std::net::ToSocketAddrs::Iter`].
    type Iter: Iterator<Item = SocketAddr>;

    /// The addresses; [`std::net::ToSocketAddrs::to_socket_addrs`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a string is not of the form `host:port`; what the resolver says.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;

    /// The host and the port, if it is a name that takes a resolver.
    #[cfg(feature = "async")]
    #[doc(hidden)]
    fn name(&self) -> Option<(String, u16)> {
        None
    }
}

impl ToSocketAddrs for SocketAddr {
    type Iter = option::IntoIter<Self>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(Some(*self).into_iter())
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V4(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V6(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)].into_iter()),
            Err(_) => resolve(host, port),
        }
    }

    #[cfg(feature = "async")]
    fn name(&self) -> Option<(String, u16)> {
        let (host, port) = *self;
        let is_name = host.parse::<IpAddr>().is_err();
        is_name.then(|| (host.to_owned(), port))
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (&*self.0, self.1).to_socket_addrs()
    }

    #[cfg(feature = "async")]
    fn name(&self) -> Option<(String, u16)> {
        (&*self.0, self.1).name()
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        if let Ok(addr) = self.parse() {
            return Ok(vec![addr].into_iter());
        }
        let (host, port) = host_and_port(self)?;
        resolve(host, port)
    }

    #[cfg(feature = "async")]
    fn name(&self) -> Option<(String, u16)> {
        host_and_port(self).ok()?.name()
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }

    #[cfg(feature = "async")]
    fn name(&self) -> Option<(String, u16)> {
        (**self).name()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }

    #[cfg(feature = "async")]
    fn name(&self) -> Option<(String, u16)> {
        (**self).name()
    }
}

/// The parts of `host:port`.
fn host_and_port(text: &str) -> io::Result<(&str, u16)> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| invalid("invalid socket address"))?;
    let port = port.parse().map_err(|_| invalid("invalid port value"))?;
    Ok((host, port))
}

/// Calls `f` with each address until one succeeds.
///
/// # Errors
///
/// The last one of `f`; `InvalidInput` if there is no address.
pub(crate) fn each_addr<A: ToSocketAddrs, T>(
    addr: A,
    f: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for result in addr.to_socket_addrs()?.map(f) {
        match result {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

/// There is no address to call anything with.
pub(crate) fn no_address() -> io::Error {
    invalid("could not resolve to any addresses")
}

/// The first address.
///
/// # Errors
///
/// `InvalidInput` if there is none; what the resolver says.
pub(crate) fn first_addr<A: ToSocketAddrs>(addr: A) -> io::Result<SocketAddr> {
    addr.to_socket_addrs()?
        .next()
        .ok_or_else(|| invalid("no addresses to send data to"))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
