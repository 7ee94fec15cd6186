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
//! | `net::TcpListener` | [`TcpListener`] | backlog 1024; [`TcpListener::bind_with`] |
//! | `net::Incoming` | [`Incoming`] | none |
//! | `net::ToSocketAddrs` | [`ToSocketAddrs`] | a trait of its own with std's impls: names are resolved on the blocking pool |
//! | `os::linux::net::TcpStreamExt` | [`os::linux::net::TcpStreamExt`] | a trait of its own: std's is sealed |
//! | `net::UdpSocket` | [`UdpSocket`] | a timeout has no OS error code |
//! | `net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, Shutdown, AddrParseError}` | std's | none |
//! | `net::{IntoIncoming, hostname}` | none | unstable in std |
//!
//! # How it works
//!
//! A socket is in a [`green_core::io::Io`]: an operation is tried with `MSG_DONTWAIT`, and waits for
//! readiness if it would block. So the descriptor of a stream or a datagram socket stays in blocking mode,
//! and whoever else has it, say a child process, finds what std would have left there. Only a listener, for
//! which there is no such flag, is in non-blocking mode underneath.

mod addr;
mod attempt;
pub mod net;
pub mod os;
mod resolve;
#[expect(unsafe_code, reason = "`FromRawFd` has an unsafe function")]
mod socket;
mod tcp;
mod udp;

pub use net::*;
