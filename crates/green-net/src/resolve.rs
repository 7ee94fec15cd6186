//! The resolver: the system's, called on the blocking pool.

use std::io;
use std::net::{self, SocketAddr};
use std::vec;

use crate::addr::ToSocketAddrs;

/// The addresses of a host and port, to choose from before one connects. Not in std; tokio's `lookup_host`.
///
/// The same as [`ToSocketAddrs::to_socket_addrs`], which every function that takes such addresses calls.
///
/// # Blocking
///
/// Names are resolved on the blocking pool: the caller parks, and it is a cancellation point. If it is killed,
/// the system's resolver runs on for nobody.
///
/// # Errors
///
/// `InvalidInput` if a string is not of the form `host:port`; what the resolver says.
///
/// # Examples
///
/// ```
/// let mut addrs = green_net::lookup_host("localhost:80")?;
/// assert!(addrs.all(|addr| addr.ip().is_loopback() && addr.port() == 80));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn lookup_host<T: ToSocketAddrs>(host: T) -> io::Result<T::Iter> {
    host.to_socket_addrs()
}

/// The addresses of `host`, in the order of the system's preference.
///
/// # Errors
///
/// As [`std::net::ToSocketAddrs`] for `(&str, u16)`; the system refuses an OS thread for the pool.
pub(crate) fn resolve(host: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    let host = host.to_owned();
    green_core::try_blocking(move || look_up(&host, port))?
}

/// As [`resolve`], for a future.
#[cfg(feature = "async")]
pub(crate) async fn resolve_async(
    host: String,
    port: u16,
) -> io::Result<vec::IntoIter<SocketAddr>> {
    green_core::aio::blocking(move || look_up(&host, port)).await
}

#[expect(clippy::disallowed_methods, reason = "runs on the blocking pool")]
fn look_up(host: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    net::ToSocketAddrs::to_socket_addrs(&(host, port))
}
