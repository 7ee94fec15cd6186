//! `std::os::unix::net`, green: what std's module has, under the same names.

pub use std::os::unix::net::SocketAddr;
