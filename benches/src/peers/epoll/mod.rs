//! The reference: a level-triggered epoll loop on one OS thread, as one writes it in C.
//!
//! Three system calls a request in the worst case, two when polls return several events: one `recv` per
//! event, one `send` of what it got. A reply that the kernel does not take whole is kept, and nothing more
//! is read from that connection until it is gone.

use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, listen, recv, send, sockopt};

use super::{ANY_LOCAL_PORT, Announce, Runtime};
use crate::server::BUFFER_SIZE;

/// No runtime at all: it only serves.
pub(super) struct Epoll;

impl Runtime for Epoll {
    fn serve_echo(&self, announce: &Announce) -> io::Result<()> {
        let listener = TcpListener::bind(ANY_LOCAL_PORT)?;
        listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        let mut server = Server {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            listener,
            connections: Vec::new(),
        };
        announce(server.listener.local_addr()?)?;
        server.run()
    }
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// Indexed by file descriptor, which is epoll's data too.
    connections: Vec<Option<Box<Connection>>>,
}

struct Connection {
    socket: OwnedFd,
    buffer: [u8; BUFFER_SIZE],
    /// The part of the buffer that is still to be sent; empty while reading.
    unsent: Range<usize>,
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let listener = self.listener.as_raw_fd() as usize;
        self.watch(&self.listener, listener)?;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let index = event.data.u64() as usize;
                if index == listener {
                    self.accept()?;
                    continue;
                }
                let Some(Some(connection)) = self.connections.get_mut(index) else {
                    continue;
                };
                if connection.ready(&self.epoll)? == Next::Close {
                    // Closes the socket, which removes it from epoll.
                    self.connections[index] = None;
                }
            }
        }
    }

    /// Accepts all there is.
    fn accept(&mut self) -> io::Result<()> {
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    sockopt::set_tcp_nodelay(&socket, true)?;
                    let index = socket.as_raw_fd() as usize;
                    self.watch(&socket, index)?;
                    if self.connections.len() <= index {
                        self.connections.resize_with(index + 1, || None);
                    }
                    self.connections[index] = Some(Box::new(Connection {
                        socket,
                        buffer: [0; BUFFER_SIZE],
                        unsent: 0..0,
                    }));
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn watch(&self, source: impl AsFd, index: usize) -> io::Result<()> {
        let data = EventData::new_u64(index as u64);
        Ok(epoll::add(&self.epoll, source, data, EventFlags::IN)?)
    }
}

impl Connection {
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
            let flags = if is_blocked {
                EventFlags::OUT
            } else {
                EventFlags::IN
            };
            let data = EventData::new_u64(self.socket.as_raw_fd() as u64);
            epoll::modify(epoll, &self.socket, data, flags)?;
        }
        Ok(Next::Keep)
    }
}

/// How many connections may wait to be accepted, as in the other peers.
const BACKLOG: i32 = 1024;

/// How many events one poll may return.
const EVENTS: usize = 1024;
