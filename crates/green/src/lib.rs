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
//! # What is here
//!
//! - At the root, gevent's names: [`spawn`], [`joinall`], [`sleep`], [`timeout()`], [`Greenlet`]; the modules
//!   [`event`], [`lock`], [`queue`], [`pool`], [`signal`], [`server`]; with the feature `backdoor`, the module of that name.
//! - Below it, std's module tree. Green are [`net`], [`os::unix`], [`sync`] (with `sync::mpsc`), [`thread`], [`process`],
//!   [`fs`], and of [`io`] what waits: pipes and standard input. Everything else in it is std's own.
//! - [`prelude`]: what most programs want by its bare name. With the feature `macros`, which is on by default:
//!   [`main`](macro@main) and [`test`](macro@test).
//!
//! # Switching a program over
//!
//! This crate can stand where std stands, so that one line makes blocking code green.
//!
//! One module:
//!
//! ```
//! mod server {
//!     use green as std;
//!
//!     use std::sync::Mutex; // green's
//!     use std::time::Duration; // std's own
//!
//!     pub fn wait() {
//!         let lock = Mutex::new(Duration::from_millis(1));
//!         std::thread::sleep(*lock.lock().unwrap());
//!     }
//! }
//! server::wait();
//! ```
//!
//! A whole crate, with all its modules, by a line at its root:
//!
//! ```
//! extern crate green as std;
//! # fn main() {
//! std::thread::spawn(|| assert!(std::thread::current().name().is_none())).join().unwrap();
//! # }
//! ```
//!
//! `docs/coming-from-std.md` says what that reaches and what it does not; `docs/coming-from-gevent.md` ports a gevent program.
//!
//! # Where things live
//!
//! This crate holds names only. The code behind them is in [`green_core`] (green threads, timers, wait queues, locks),
//! [`green_net`] (sockets) and `green_macros`. There are no algorithms, no `unsafe` and no platform code here.

#![forbid(unsafe_code)]

pub use green_core::*;
#[cfg(feature = "macros")]
pub use green_macros::{main, test};
#[cfg(feature = "backdoor")]
pub use green_net::backdoor;
pub use green_net::{net, server};
// What is not green is std's. A name that is listed here or in a module below goes before one of these.
pub use std::*;

// What both globs have.
pub use green_core::{fs, process, sync, thread, thread_local};

#[cfg(feature = "async")]
pub mod aio;
pub mod io;
pub mod os;
pub mod prelude;

/// Compiles the snippets of the README and of the documentation.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/coming-from-std.md")]
    struct ComingFromStd;

    #[doc = include_str!("../../../docs/coming-from-gevent.md")]
    struct ComingFromGevent;

    #[cfg(feature = "async")]
    #[doc = include_str!("../../../docs/async.md")]
    struct Async;
}
