//! Reading two descriptors to their ends at once, so that whoever fills one never waits for us to read the other.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;

use super::Io;
use super::retry::would_block;
use crate::reactor::Poller;

/// Reads what there is, in non-blocking mode, to its end.
///
/// # Blocking
///
/// Parks the caller until both are at their ends; a cancellation point.
pub(crate) fn read_both_to_end(from: [Option<OwnedFd>; 2]) -> io::Result<[Vec<u8>; 2]> {
    let mut streams = from.map(Stream::new);
    if streams.iter().all(|stream| stream.fd.is_none()) {
        return Ok(streams.map(|stream| stream.content));
    }
    // A poller of two is itself a descriptor that a hub's poller can watch.
    let poller = Io::new(Poller::new()?);
    for fd in streams.iter().filter_map(|stream| stream.fd.as_ref()) {
        poller.get_ref().add(fd.as_fd(), 0)?;
    }
    while streams.iter().any(|stream| stream.fd.is_some()) {
        poller.read_with(|| None, |_| read_what_there_is(&mut streams))?;
    }
    Ok(streams.map(|stream| stream.content))
}

/// Reads once from each.
///
/// # Errors
///
/// `WouldBlock`: there is nothing to read, from neither.
fn read_what_there_is(streams: &mut [Stream; 2]) -> io::Result<()> {
    let mut result = Err(io::ErrorKind::WouldBlock.into());
    for stream in streams {
        let read = stream.read();
        if !would_block(&read) {
            read?;
            result = Ok(());
        }
    }
    result
}

/// One of them.
struct Stream {
    /// Where it comes from; `None` at the end.
    fd: Option<OwnedFd>,
    content: Vec<u8>,
}

impl Stream {
    fn new(fd: Option<OwnedFd>) -> Self {
        Self {
            fd,
            content: Vec::new(),
        }
    }

    /// Reads once.
    fn read(&mut self) -> io::Result<()> {
        let Some(fd) = &self.fd else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.content.reserve(CHUNK);
        if rustix::io::read(fd, spare_capacity(&mut self.content))? == 0 {
            self.fd = None;
        }
        Ok(())
    }
}

/// How much room there is for one read, at least, in bytes.
const CHUNK: usize = 4096;
