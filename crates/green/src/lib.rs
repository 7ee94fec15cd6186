//! gevent for Rust: code that looks blocking suspends only the green thread that runs it.
//!
//! ```no_run
//! use green::net::TcpListener;
//! use std::io::{Read, Write};
//!
//! fn main() -> std::io::Result<()> {
//!     for stream in TcpListener::bind("127.0.0.1:7000")?.incoming() {
//!         let mut stream = stream?;
//!         green::spawn(move || {
//!             let mut buf = [0; 4096];
//!             while let Ok(n @ 1..) = stream.read(&mut buf) {
//!                 if stream.write_all(&buf[..n]).is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//!     Ok(())
//! }
//! ```
//!
//! This crate holds names only: gevent's at the root, std's module tree below it. The code behind them is in
//! [`green_core`] (green threads, timers, wait queues, locks), [`green_net`] (sockets) and `green_macros` (the attributes
//! [`main`](macro@main) and [`test`](macro@test), with the feature `macros`, which is on by default).
//!
//! # Not here
//!
//! Algorithms, `unsafe` and platform code: see the two crates above.

#![forbid(unsafe_code)]

pub use green_core::*;
#[cfg(feature = "macros")]
pub use green_macros::{main, test};
pub use green_net as net;

/// Compiles the snippets of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
