//! `std::net` for green threads: a call that would block parks its green thread only.
//!
//! The types have std's names, methods, traits and behaviour, so that `use green_net as net` replaces
//! `use std::net`. They work from green threads, from OS threads and from `may` coroutines alike.
//!
//! ```
//! use std::io::{Read, Write};
//! use green_net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let addr = listener.local_addr()?;
//! let server = green_core::spawn(move || {
//!     let (mut stream, _) = listener.accept()?;
//!     stream.write_all(b"hello")
//! });
//! let mut greeting = String::new();
//! TcpStream::connect(addr)?.read_to_string(&mut greeting)?;
//! assert_eq!(greeting, "hello");
//! server.into_result().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Parity
//!
//! | std | here | differences |
//! |---|---|---|
//! | `net::TcpStream` | [`TcpStream`] | `write` may write less where std waits for room; an empty read or peek returns at once where std's waits for data; a timeout has no OS error code; `linger` and `set_linger` are stable |
//! | `net::TcpListener` | [`TcpListener`] | backlog 4096; [`TcpListener::bind_with`]; `into_incoming` is stable |
//! | `net::{Incoming, IntoIncoming}` | [`Incoming`], [`IntoIncoming`] | `IntoIncoming` is stable |
//! | `net::ToSocketAddrs` | [`ToSocketAddrs`] | a trait of its own with std's impls: names are resolved on the blocking pool |
//! | `os::unix::net::UnixStream` | [`UnixStream`](os::unix::net::UnixStream) | as `TcpStream`'s; who connects to a listener without room is not served in order; `peek` and `peer_cred` are stable |
//! | `os::unix::net::UnixListener` | [`UnixListener`](os::unix::net::UnixListener) | none |
//! | `os::unix::net::UnixDatagram` | [`UnixDatagram`](os::unix::net::UnixDatagram) | a timeout has no OS error code; who sends by `send_to` to a receiver without room is not served in order; a sender's path of 108 bytes is not told; `peek` and `peek_from` are stable |
//! | `os::unix::net::{Incoming, UCred}` | [`Incoming`](os::unix::net::Incoming), [`UCred`](os::unix::net::UCred) | `UCred` is stable |
//! | `os::unix::net::SocketAddr`, `os::linux::net::SocketAddrExt` | std's | none |
//! | `os::linux::net::TcpStreamExt` | [`os::linux::net::TcpStreamExt`] | a trait of its own: std's is sealed |
//! | `net::UdpSocket` | [`UdpSocket`] | a timeout has no OS error code |
//! | `net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, Shutdown, AddrParseError}` | std's | none |
//! | the rest of `os` | std's | none |
//! | `net::hostname`; `set_mark`, `set_deferaccept`, ancillary data of Unix sockets | none | unstable in std |
//!
//! The modules are those of std: [`net`] has what `std::net` has and [`os`] what `std::os` has, with the sockets
//! replaced. The names of `net` are at the root, too. Not in std are [`ListenOptions`] and [`lookup_host`],
//! and [`server`], after gevent; and, with the feature `backdoor`, the module of that name.
//!
//! # How it works
//!
//! A socket is in a [`green_core::io::Io`]: an operation is tried with `MSG_DONTWAIT`, and waits for
//! readiness if it would block. So the descriptor of a stream or a datagram socket stays in blocking mode,
//! and whoever else has it, say a child process, finds what std would have left there. Only a listener, for
//! which there is no such flag, is in non-blocking mode underneath.
//!
//! Two things the kernel does not tell by readiness: room for a connection at a Unix listener, and for a
//! datagram at a Unix socket that one is not connected to. Those are tried again after pauses.

mod addr;
#[cfg(feature = "async")]
pub mod aio;
mod attempt;
#[cfg(feature = "backdoor")]
pub mod backdoor;
mod modes;
pub mod net;
pub mod os;
mod resolve;
pub mod server;
#[expect(unsafe_code, reason = "raw descriptors, and the credentials of a peer")]
mod socket;
mod tcp;
mod udp;

pub use net::*;
