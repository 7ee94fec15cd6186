//! Reading two descriptors to their ends at once, so that whoever fills one never waits for us to read the other.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::Io;
use super::retry::would_block;
use crate::reactor::Poller;
use crate::reactor::source::Ready;
use crate::threadpool;

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
    for stream in &mut streams {
        stream.watch(poller.get_ref())?;
    }
    while streams.iter().any(|stream| stream.fd.is_some()) {
        poller.read_with(|| None, |poller| read_what_there_is(poller, &mut streams))?;
    }
    Ok(streams.map(|stream| stream.content))
}

/// Reads once from each that is not at its end; `poller` watches those.
///
/// # Errors
///
/// `WouldBlock`: there is nothing to read, from neither.
fn read_what_there_is(poller: &Poller, streams: &mut [Stream; 2]) -> io::Result<()> {
    let mut result = Err(io::ErrorKind::WouldBlock.into());
    for stream in streams {
        let read = stream.read(poller);
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

    /// Has `poller` watch it. What cannot be watched is a regular file, which is read at once.
    fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let Some(fd) = &self.fd else {
            return Ok(());
        };
        match poller.add_for(fd.as_fd(), 0, Ready::READ) {
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {}
            result => return result,
        }
        if let Some(fd) = self.fd.take() {
            self.content = threadpool::try_blocking(move || {
                let mut content = Vec::new();
                File::from(fd).read_to_end(&mut content).map(|_| content)
            })??;
        }
        Ok(())
    }

    /// Reads once.
    fn read(&mut self, poller: &Poller) -> io::Result<()> {
        let Some(fd) = &self.fd else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.content.reserve(CHUNK);
        if rustix::io::read(fd, spare_capacity(&mut self.content))? == 0 {
            // A duplicate, of whoever has one, would keep it in the poller, with its end to report for ever.
            poller.delete(fd.as_fd()).ok();
            self.fd = None;
        }
        Ok(())
    }
}

/// How much room there is for one read, at least, in bytes.
const CHUNK: usize = 4096;
