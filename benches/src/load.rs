//! The load generator: one OS thread, one epoll loop, closed loop, in a process of its own.
//!
//! Each connection has one request of [`MESSAGE_SIZE`] bytes on its way at a time. The message carries the
//! connection's number and a sequence number, and the reply must equal it byte for byte.
//!
//! A run ends when every request has been answered, so that a server is idle before and after it, and its
//! CPU time in between belongs to exactly the requests counted.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with,
};
use serde::{Deserialize, Serialize};

use crate::child::{self, Child};
use crate::machine;

/// The parent's handle of a running load generator.
pub(crate) struct Load {
    child: Child,
}

impl Load {
    /// Starts a load generator for the server at `address`, pinned to `core`.
    pub(crate) fn start(address: SocketAddr, core: usize) -> io::Result<Self> {
        let child = Child::start(&["load".to_owned(), address.to_string()], core)?;
        Ok(Self { child })
    }

    /// Opens `connections` connections and makes one request on each.
    pub(crate) fn connect(&mut self, connections: usize) -> io::Result<Done> {
        self.child
            .ask(&Command::Connect(connections), Duration::ZERO)
    }

    /// Makes requests on all open connections for `duration`.
    pub(crate) fn echo(&mut self, duration: Duration) -> io::Result<Done> {
        self.child
            .ask(&Command::Echo(duration.as_secs_f64()), duration)
    }

    /// Connects, makes one request and closes, `at_once` connections at a time, for `duration`.
    pub(crate) fn churn(&mut self, at_once: usize, duration: Duration) -> io::Result<Done> {
        let seconds = duration.as_secs_f64();
        self.child
            .ask(&Command::Churn { at_once, seconds }, duration)
    }
}

/// What a command has done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Done {
    /// Requests that were answered correctly.
    pub(crate) requests: u64,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

/// What the load generator can be told to do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Opens this many connections.
    Connect(usize),
    /// Makes requests for this many seconds.
    Echo(f64),
    /// Opens and closes connections.
    Churn {
        /// How many at a time.
        at_once: usize,
        /// For how long.
        seconds: f64,
    },
}

/// Is the load generator process: obeys commands until stdin closes.
pub(crate) fn generate(server: SocketAddr, core: Option<usize>) -> io::Result<()> {
    machine::pin(core)?;
    let open_files = machine::raise_open_files()?;
    let mut generator = Generator {
        server,
        open_files,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        events: Vec::with_capacity(EVENTS),
        connections: Vec::new(),
    };
    for command in child::commands() {
        let start = Instant::now();
        let requests = match command? {
            Command::Connect(connections) => generator.connect(connections)?,
            Command::Echo(seconds) => generator.echo(deadline(start, seconds)?)?,
            Command::Churn { at_once, seconds } => {
                generator.churn(at_once, deadline(start, seconds)?)?
            }
        };
        child::answer(&Done {
            requests,
            seconds: start.elapsed().as_secs_f64(),
        })?;
    }
    Ok(())
}

/// The event loop's state.
struct Generator {
    server: SocketAddr,
    /// How many files this process may have open.
    open_files: u64,
    epoll: OwnedFd,
    /// What the last poll returned; kept to reuse its memory.
    events: Vec<epoll::Event>,
    /// Open connections; epoll's data is the index.
    connections: Vec<Connection>,
}

impl Generator {
    /// Opens connections in waves that fit any listen backlog: a wave's replies prove it was accepted.
    fn connect(&mut self, connections: usize) -> io::Result<u64> {
        let needed = (self.connections.len() + connections) as u64 + SPARE_FILES;
        if needed > self.open_files {
            return Err(io::Error::other(format!(
                "{connections} connections need {needed} open files, the hard limit is {}",
                self.open_files
            )));
        }
        let end = self.connections.len() + connections;
        while self.connections.len() < end {
            let wave = self.connections.len()..end.min(self.connections.len() + WAVE);
            for index in wave.clone() {
                let stream = TcpStream::connect(self.server)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let socket = OwnedFd::from(stream);
                self.watch(&socket, index, epoll::EventFlags::IN)?;
                self.connections.push(Connection {
                    socket,
                    exchange: Exchange::new(index as u64),
                });
            }
            self.exchange(wave, None)?;
        }
        Ok(connections as u64)
    }

    /// Makes requests on all connections until the deadline has passed.
    fn echo(&mut self, deadline: Instant) -> io::Result<u64> {
        if self.connections.is_empty() {
            return Err(io::Error::other("echo needs open connections"));
        }
        self.exchange(0..self.connections.len(), Some(deadline))
    }

    /// One request on each of `connections`, and further ones until the deadline if there is one.
    fn exchange(
        &mut self,
        connections: Range<usize>,
        deadline: Option<Instant>,
    ) -> io::Result<u64> {
        let mut outstanding = connections.len();
        for connection in &mut self.connections[connections] {
            connection.exchange.send(&connection.socket)?;
        }
        let mut requests = 0;
        while outstanding > 0 {
            self.poll(outstanding)?;
            let more = deadline.is_some_and(|deadline| Instant::now() < deadline);
            for event in &self.events {
                let Connection { socket, exchange } =
                    &mut self.connections[event.data.u64() as usize];
                if !exchange.receive(socket)? {
                    continue;
                }
                requests += 1;
                if more {
                    exchange.send(socket)?;
                } else {
                    outstanding -= 1;
                }
            }
        }
        Ok(requests)
    }

    /// Connect, one request, close, on `at_once` slots until the deadline has passed.
    fn churn(&mut self, at_once: usize, deadline: Instant) -> io::Result<u64> {
        if !self.connections.is_empty() || at_once == 0 {
            return Err(io::Error::other(
                "churn needs a positive count and no open connections",
            ));
        }
        let mut opened = 0;
        let mut slots = Vec::with_capacity(at_once);
        for index in 0..at_once {
            slots.push(Some(self.open(index, opened)?));
            opened += 1;
        }
        let mut requests = 0;
        let mut outstanding = at_once;
        while outstanding > 0 {
            self.poll(outstanding)?;
            let more = Instant::now() < deadline;
            let events = mem::take(&mut self.events);
            for event in &events {
                let index = event.data.u64() as usize;
                let Some(slot) = &mut slots[index] else {
                    continue;
                };
                if !slot.sent {
                    slot.connection.exchange.send(&slot.connection.socket)?;
                    slot.sent = true;
                    continue;
                }
                if !slot.connection.exchange.receive(&slot.connection.socket)? {
                    continue;
                }
                requests += 1;
                // Closed before the next one opens, so that there are never more than `at_once`.
                slots[index] = None;
                if more {
                    slots[index] = Some(self.open(index, opened)?);
                    opened += 1;
                } else {
                    outstanding -= 1;
                }
            }
            self.events = events;
        }
        Ok(requests)
    }

    /// Begins to connect one more socket for churn, from a source address of its own in turn: the closed
    /// ones are remembered by the kernel for a minute and would use up one address's ports.
    fn open(&self, index: usize, number: u64) -> io::Result<Slot> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        let host = 1 + (number % SOURCE_ADDRESSES) as u8;
        bind(
            &socket,
            &SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, host), 0),
        )?;
        match connect(&socket, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        self.watch(&socket, index, flags)?;
        Ok(Slot {
            connection: Connection {
                socket,
                exchange: Exchange::new(number),
            },
            sent: false,
        })
    }

    /// Edge-triggered: one system call less per reply.
    fn watch(&self, socket: &OwnedFd, index: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, socket, data, flags | epoll::EventFlags::ET)?;
        Ok(())
    }

    /// Waits for events; an error if none comes for [`STALL`].
    fn poll(&mut self, outstanding: usize) -> io::Result<()> {
        self.events.clear();
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&STALL)) {
                Ok(0) => {
                    return Err(io::Error::other(format!(
                        "{outstanding} requests got no reply within {} s",
                        STALL.tv_sec
                    )));
                }
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// An open connection.
struct Connection {
    socket: OwnedFd,
    exchange: Exchange,
}

/// A connection that is being opened, used and closed.
struct Slot {
    connection: Connection,
    /// Whether it has become writable and its request is on its way.
    sent: bool,
}

/// One request and its reply.
struct Exchange {
    message: [u8; MESSAGE_SIZE],
    reply: [u8; MESSAGE_SIZE],
    /// How much of the reply has come.
    received: usize,
    /// Goes into the next message.
    sequence: u64,
}

impl Exchange {
    /// For connection number `number`.
    fn new(number: u64) -> Self {
        let mut message = std::array::from_fn(|index| (number as usize * 31 + index * 7) as u8);
        message[..8].copy_from_slice(&number.to_le_bytes());
        Self {
            message,
            reply: [0; MESSAGE_SIZE],
            received: 0,
            sequence: 0,
        }
    }

    /// Sends the next message. It is small enough to be taken whole.
    fn send(&mut self, socket: &OwnedFd) -> io::Result<()> {
        self.sequence += 1;
        self.message[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        self.received = 0;
        let sent = send(socket, &self.message, SendFlags::NOSIGNAL)?;
        if sent != MESSAGE_SIZE {
            return Err(io::Error::other(format!("only {sent} bytes were sent")));
        }
        Ok(())
    }

    /// Receives what is there; true when the reply is complete, and then it was correct.
    fn receive(&mut self, socket: &OwnedFd) -> io::Result<bool> {
        let part = &mut self.reply[self.received..];
        match recv(socket, part, RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::Error::other("the server closed a connection")),
            Ok((count, _)) => self.received += count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if self.received < MESSAGE_SIZE {
            return Ok(false);
        }
        if self.reply != self.message {
            return Err(io::Error::other("a reply differs from its request"));
        }
        Ok(true)
    }
}

fn deadline(start: Instant, seconds: f64) -> io::Result<Instant> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|duration| start.checked_add(duration))
        .ok_or_else(|| io::Error::other(format!("`{seconds}` is not a duration in seconds")))
}

/// Size of a request and of its reply, in bytes.
pub(crate) const MESSAGE_SIZE: usize = 64;

/// How many events one poll may return.
const EVENTS: usize = 1024;

/// How many connections are opened before their replies are awaited; less than std's backlog of 128.
const WAVE: usize = 64;

/// How many of 127.0.1.1 to 127.0.1.254 churn uses.
const SOURCE_ADDRESSES: u64 = 200;

/// Open files beside the connections.
const SPARE_FILES: u64 = 64;

/// How long a poll may find nothing while replies are due.
const STALL: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};
