//! Streaming in an epoll loop: a request of eight bytes, then as many bytes as it asks for.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Connection, Interest, Next};
use crate::server::stream_chunk;

pub(super) struct Stream {
    socket: OwnedFd,
    chunk: Arc<[u8]>,
    request: [u8; 8],
    /// How much of the request has come.
    received: usize,
    /// How much of the reply has been sent, in bytes.
    sent: usize,
    /// Whether a request has come whole and is being answered.
    interest: Interest,
}

impl Connection for Stream {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            chunk: stream_chunk(),
            request: [0; 8],
            received: 0,
            sent: 0,
            interest: Interest::Read,
        }
    }

    fn ready(&mut self, epoll: &OwnedFd) -> io::Result<Next> {
        let before = self.interest;
        if before == Interest::Read {
            let part = &mut self.request[self.received..];
            match recv(&self.socket, part, RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Next::Close),
                Ok((count, _)) => self.received += count,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(Next::Keep),
                Err(_) => return Ok(Next::Close),
            }
            if self.received < self.request.len() {
                return Ok(Next::Keep);
            }
        }
        match self.send() {
            Ok(next) => self.interest = next,
            Err(_) => return Ok(Next::Close),
        }
        if self.interest != before {
            self.interest.apply(epoll, &self.socket)?;
        }
        Ok(Next::Keep)
    }
}

impl Stream {
    /// Sends until the reply is complete or the kernel takes no more.
    fn send(&mut self) -> Result<Interest, Errno> {
        let wanted = u64::from_le_bytes(self.request) as usize;
        while self.sent < wanted {
            let from = self.sent % self.chunk.len();
            let part = (wanted - self.sent).min(self.chunk.len() - from);
            match send(
                &self.socket,
                &self.chunk[from..from + part],
                SendFlags::NOSIGNAL,
            ) {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return Ok(Interest::Write),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.received = 0;
        self.sent = 0;
        Ok(Interest::Read)
    }
}
