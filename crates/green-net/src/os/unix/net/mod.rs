//! `std::os::unix::net`, green: what std's module has, under the same names.

pub(crate) mod attempt;
mod datagram;
mod incoming;
mod listener;
mod stream;
mod ucred;

pub use std::os::unix::net::SocketAddr;

pub use datagram::UnixDatagram;
pub use incoming::Incoming;
pub use listener::UnixListener;
pub use stream::UnixStream;
pub use ucred::UCred;
