//! `std::os::linux`, with a green `net`.

pub mod net;

pub use std::os::linux::*;
