//! `std::os` with green sockets in it: `unix::net` and `linux::net` are ours, the rest is std's.

pub mod linux;
pub mod unix;

pub use std::os::*;
