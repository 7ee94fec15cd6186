//! `std::os::unix`, with a green `net`.

pub mod net;

pub use std::os::unix::*;
