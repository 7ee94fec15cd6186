//! The reference: a level-triggered epoll loop on each OS thread, as one writes it in C.
//!
//! Several threads have a listener each, on one port: the kernel deals the connections out.

mod echo;
mod stream;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, getsockname, listen, socket_with,
    sockopt,
};

use super::{Announce, Primitives, Serve, Tasks, Workers};
use crate::server::Service;

/// No runtime at all: it only serves.
pub(super) struct Epoll {
    pub(super) workers: Workers,
}

impl Serve for Epoll {
    fn serve(&self, service: Service, announce: &Announce) -> io::Result<()> {
        let first = listener((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = SocketAddr::try_from(getsockname(&first)?)?;
        for _ in 1..self.workers.get() {
            let further = listener(address)?;
            // A thread that fails is missed by its connections: the load generator tells.
            thread::spawn(move || run(further, service));
        }
        announce(address)?;
        run(first, service)
    }
}

impl Tasks for Epoll {}

impl Primitives for Epoll {}

/// One that shares its port.
fn listener(address: SocketAddr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn run(listener: OwnedFd, service: Service) -> io::Result<()> {
    match service {
        Service::Echo => Server::<echo::Echo<{ Service::ECHO_BUFFER }>>::run(listener),
        Service::EchoLarge => Server::<echo::Echo<{ Service::ECHO_LARGE_BUFFER }>>::run(listener),
        Service::Stream => Server::<stream::Stream>::run(listener),
    }
}

/// A connection's state.
trait Connection {
    fn new(socket: OwnedFd) -> Self;

    /// Handles one event.
    fn ready(&mut self, epoll: &OwnedFd) -> io::Result<Next>;
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interest {
    Read,
    Write,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
        }
    }

    /// Changes what `socket` waits for.
    fn apply(self, epoll: &OwnedFd, socket: &OwnedFd) -> io::Result<()> {
        let data = EventData::new_u64(socket.as_raw_fd() as u64);
        Ok(epoll::modify(epoll, socket, data, self.flags())?)
    }
}

struct Server<C> {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// Indexed by file descriptor, which is epoll's data too.
    connections: Vec<Option<Box<C>>>,
}

impl<C: Connection> Server<C> {
    fn run(listener: OwnedFd) -> io::Result<()> {
        let mut server = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            listener,
            connections: Vec::new(),
        };
        let listener = server.listener.as_raw_fd() as usize;
        server.watch(&server.listener, listener)?;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let index = event.data.u64() as usize;
                if index == listener {
                    server.accept()?;
                    continue;
                }
                let Some(Some(connection)) = server.connections.get_mut(index) else {
                    continue;
                };
                if connection.ready(&server.epoll)? == Next::Close {
                    // Closes the socket, which removes it from epoll.
                    server.connections[index] = None;
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
                    self.connections[index] = Some(Box::new(C::new(socket)));
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn watch(&self, source: impl AsFd, index: usize) -> io::Result<()> {
        let data = EventData::new_u64(index as u64);
        let flags = Interest::Read.flags();
        Ok(epoll::add(&self.epoll, source, data, flags)?)
    }
}

/// How many connections may wait to be accepted, as in the other peers.
const BACKLOG: i32 = 1024;

/// How many events one poll may return.
const EVENTS: usize = 1024;
