//! std's `io`, with green pipes and standard input, and what makes any descriptor green: [`Io`].
//!
//! Standard output and error are std's own: a terminal or pipe that takes no more blocks the hub of who writes.

pub use std::io::*;

pub use green_core::io::{
    Io, PipeReader, PipeWriter, Stdin, StdinLock, copy, copy_fd, pipe, stdin, wait_readable,
    wait_writable,
};
