//! Echo in an epoll loop.
//!
//! Three system calls a request in the worst case, two when polls return several events: one `recv` per
//! event, one `send` of what it got. A reply that the kernel does not take whole is kept, and nothing more
//! is read from that connection until it is gone.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Connection, Interest, Next};

pub(super) struct Echo<const BUFFER_SIZE: usize> {
    socket: OwnedFd,
    buffer: [u8; BUFFER_SIZE],
    /// The part of the buffer that is still to be sent; empty while reading.
    unsent: Range<usize>,
}

impl<const BUFFER_SIZE: usize> Connection for Echo<BUFFER_SIZE> {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: [0; BUFFER_SIZE],
            unsent: 0..0,
        }
    }

    /// One event: one read and its reply, or the rest of a reply.
    fn ready(&mut self, epoll: &OwnedFd) -> io::Result<Next> {
        let was_blocked = !self.unsent.is_empty();
        if !was_blocked {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Next::Close),
                Ok((count, _)) => self.unsent = 0..count,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(Next::Keep),
                Err(_) => return Ok(Next::Close),
            }
        }
        match send(
            &self.socket,
            &self.buffer[self.unsent.clone()],
            SendFlags::NOSIGNAL,
        ) {
            Ok(count) => self.unsent.start += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Ok(Next::Close),
        }
        let is_blocked = !self.unsent.is_empty();
        if is_blocked != was_blocked {
            let interest = if is_blocked {
                Interest::Write
            } else {
                Interest::Read
            };
            interest.apply(epoll, &self.socket)?;
        }
        Ok(Next::Keep)
    }
}
