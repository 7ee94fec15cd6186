//! Sockets for futures: [`TcpStream`], [`TcpListener`], [`UdpSocket`], and those of Unix; and asyncio's streams.
//!
//! Behind the feature `async`. They work on any executor: a hub's poller says when they are ready.
//!
//! ```
//! use green_core::aio;
//! use green_net::aio::{open_connection, start_server};
//!
//! aio::run_until_complete(async {
//!     let server = start_server("127.0.0.1:0", |mut reader, mut writer| async move {
//!         let line = reader.read_line().await?;
//!         writer.write(line.to_uppercase().as_bytes());
//!         writer.close();
//!         writer.wait_closed().await
//!     })
//!     .await?;
//!     let (mut reader, mut writer) = open_connection(server.local_addr()).await?;
//!     writer.write(b"hello\n");
//!     writer.drain().await?;
//!     assert_eq!(reader.read_line().await?, "HELLO\n");
//!     server.close();
//!     server.wait_closed().await;
//!     Ok::<_, std::io::Error>(())
//! })
//! # .unwrap();
//! ```
//!
//! # Parts
//!
//! - The sockets have the names of those that block, and are made of them and back ([`From`]) without a system call: a poller
//!   that watches the descriptor goes on watching it. What is not here (options, timeouts, clones) is on the blocking socket inside, by
//!   `get_ref`. Its timeouts and its non-blocking mode do not count here: see [`timeout`](green_core::aio::timeout()).
//! - [`open_connection`], [`start_server`], [`StreamReader`], [`StreamWriter`]: asyncio's streams. [`blocking`]: the same
//!   for green threads.
//!
//! # Who is served
//!
//! Any number of futures and green threads may use one socket at once, by the methods that are `async`; they are served
//! first in, first out. The traits of `futures-io` keep one waker for each direction of each value, that of the last poll.

pub mod blocking;
mod open;
mod reader;
mod server;
mod slots;
mod tcp;
mod udp;
mod unix;
mod writer;

pub use open::{open_connection, open_unix_connection};
pub use reader::StreamReader;
pub use server::{Server, start_server};
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
pub use writer::StreamWriter;
