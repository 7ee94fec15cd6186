//! One request and its reply.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::STALL;
use crate::server::pattern;

/// The state of one connection's exchange.
pub(super) struct Exchange {
    /// The connection's number, which is part of its messages.
    number: u64,
    /// The last message's number.
    sequence: u64,
    /// How much of the reply has come.
    received: usize,
}

impl Exchange {
    /// For connection number `number`.
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            sequence: 0,
            received: 0,
        }
    }

    /// Sends the next message.
    pub(super) fn send(&mut self, socket: &OwnedFd, message: &mut Message) -> io::Result<()> {
        self.sequence += 1;
        self.received = 0;
        let mut unsent = message.stamped(self.number, self.sequence);
        while !unsent.is_empty() {
            match send(socket, unsent, SendFlags::NOSIGNAL) {
                Ok(count) => unsent = &unsent[count..],
                Err(Errno::INTR) => {}
                // Seldom, and soon over: every server reads what it is sent before it wants to be read itself.
                Err(Errno::AGAIN) => wait_writable(socket)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Receives what is there; true when the reply is complete, and then it was correct.
    pub(super) fn receive(&mut self, socket: &OwnedFd, message: &mut Message) -> io::Result<bool> {
        let missing = message.size() - self.received;
        let count = match recv(socket, &mut message.reply[..missing], RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::Error::other("the server closed a connection")),
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let part = self.received..self.received + count;
        self.received += count;
        message.stamped(self.number, self.sequence);
        if message.bytes[part] != message.reply[..count] {
            return Err(io::Error::other("a reply differs from its request"));
        }
        Ok(self.received == message.size())
    }
}

/// The one message that all connections send, each with its numbers in it.
pub(super) struct Message {
    bytes: Vec<u8>,
    /// What has just come, until it is compared.
    reply: Vec<u8>,
}

impl Message {
    /// Of `size` bytes.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        if size < HEADER {
            return Err(io::Error::other(format!(
                "a message has at least {HEADER} bytes"
            )));
        }
        Ok(Self {
            bytes: pattern(size),
            reply: vec![0; size],
        })
    }

    fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The message number `sequence` of connection `number`.
    fn stamped(&mut self, number: u64, sequence: u64) -> &[u8] {
        self.bytes[..8].copy_from_slice(&number.to_le_bytes());
        self.bytes[8..HEADER].copy_from_slice(&sequence.to_le_bytes());
        &self.bytes
    }
}

/// Waits until `socket` takes more.
fn wait_writable(socket: &OwnedFd) -> io::Result<()> {
    let limit = Timespec {
        tv_sec: STALL,
        tv_nsec: 0,
    };
    let mut sockets = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)];
    match poll(&mut sockets, Some(&limit)) {
        Ok(0) => Err(io::Error::other(format!(
            "the server has read nothing for {STALL} s"
        ))),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Bytes of a message that differ from connection to connection.
const HEADER: usize = 16;
