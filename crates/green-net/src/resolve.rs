//! The resolver: the system's, called on the blocking pool.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::vec;

/// The addresses of `host`, in the order of the system's preference.
///
/// # Errors
///
/// As [`std::net::ToSocketAddrs`] for `(&str, u16)`.
pub(crate) fn resolve(host: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    let host = host.to_owned();
    green_core::blocking(move || look_up(&host, port))
}

#[expect(clippy::disallowed_methods, reason = "runs on the blocking pool")]
fn look_up(host: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    (host, port).to_socket_addrs()
}
