//! The load generator: one OS thread, one epoll loop, mostly a closed loop, in a process of its own.
//!
//! Each connection has one request on its way at a time. The message carries the connection's number and a sequence
//! number, and the reply must equal it byte for byte.
//!
//! A run ends when every request has been answered, so that a server is idle before and after it, and its
//! CPU time in between belongs to exactly the requests counted.
//!
//! `churn`, `paced` and `stream` are further kinds of load.

mod churn;
mod exchange;
mod paced;
mod stream;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use self::exchange::{Exchange, Message};
use self::paced::Latency;
use crate::child::{self, Child};
use crate::machine;

/// The parent's handle of a running load generator.
pub(crate) struct Load {
    child: Child,
}

impl Load {
    /// Starts a load generator for the server at `address`, with small messages, pinned to `core` if there is one.
    pub(crate) fn start(address: SocketAddr, core: Option<usize>) -> io::Result<Self> {
        Self::start_with(address, SMALL_MESSAGE, core)
    }

    /// Starts a load generator for the server at `address`, with messages of `message_size` bytes, pinned to `core` if
    /// there is one.
    pub(crate) fn start_with(
        address: SocketAddr,
        message_size: usize,
        core: Option<usize>,
    ) -> io::Result<Self> {
        let arguments = [
            "load".to_owned(),
            address.to_string(),
            "--message-size".to_owned(),
            message_size.to_string(),
        ];
        let child = Child::start(&arguments, core)?;
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

    /// Makes `rate` requests a second on all open connections in turn for `duration`, no matter how fast replies come.
    pub(crate) fn paced(&mut self, rate: f64, duration: Duration) -> io::Result<Latency> {
        let seconds = duration.as_secs_f64();
        self.child.ask(&Command::Paced { rate, seconds }, duration)
    }

    /// Opens `connections` connections, receives streams on them for `duration` and closes them. What is counted are
    /// bytes.
    pub(crate) fn stream(&mut self, connections: usize, duration: Duration) -> io::Result<Done> {
        let seconds = duration.as_secs_f64();
        let command = Command::Stream {
            connections,
            seconds,
        };
        self.child.ask(&command, duration)
    }
}

/// What a command has done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Done {
    /// Requests that were answered correctly; while streaming, bytes that came.
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
    /// Makes requests at a fixed rate.
    Paced {
        /// Requests a second.
        rate: f64,
        /// For how long.
        seconds: f64,
    },
    /// Receives streams.
    Stream {
        /// On how many connections.
        connections: usize,
        /// For how long.
        seconds: f64,
    },
}

/// Is the load generator process: obeys commands until stdin closes.
pub(crate) fn generate(
    server: SocketAddr,
    message_size: usize,
    core: Option<usize>,
) -> io::Result<()> {
    machine::pin(core)?;
    let open_files = machine::raise_open_files()?;
    let mut generator = Generator {
        server,
        open_files,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        events: Vec::with_capacity(EVENTS),
        connections: Vec::new(),
        message: Message::new(message_size)?,
    };
    for command in child::commands() {
        let start = Instant::now();
        let requests = match command? {
            Command::Connect(connections) => generator.connect(connections)?,
            Command::Echo(seconds) => generator.echo(deadline(start, seconds)?)?,
            Command::Churn { at_once, seconds } => {
                generator.churn(at_once, deadline(start, seconds)?)?
            }
            Command::Paced { rate, seconds } => {
                child::answer(&generator.paced(rate, seconds)?)?;
                continue;
            }
            Command::Stream {
                connections,
                seconds,
            } => stream::receive(server, connections, deadline(start, seconds)?)?,
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
    /// What is sent, and what must come back; shared by all connections.
    message: Message,
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
            connection
                .exchange
                .send(&connection.socket, &mut self.message)?;
        }
        let mut requests = 0;
        while outstanding > 0 {
            self.poll(outstanding)?;
            let more = deadline.is_some_and(|deadline| Instant::now() < deadline);
            for event in &self.events {
                let Connection { socket, exchange } =
                    &mut self.connections[event.data.u64() as usize];
                if !exchange.receive(socket, &mut self.message)? {
                    continue;
                }
                requests += 1;
                if more {
                    exchange.send(socket, &mut self.message)?;
                } else {
                    outstanding -= 1;
                }
            }
        }
        Ok(requests)
    }

    /// Edge-triggered: one system call less per reply.
    fn watch(&self, socket: &OwnedFd, index: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, socket, data, flags | epoll::EventFlags::ET)?;
        Ok(())
    }

    /// Waits for events; an error if none comes for [`STALL`] seconds.
    fn poll(&mut self, outstanding: usize) -> io::Result<()> {
        if wait(&self.epoll, &mut self.events, STALL)? > 0 {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{outstanding} requests got no reply within {STALL} s"
        )))
    }
}

/// An open connection.
struct Connection {
    socket: OwnedFd,
    exchange: Exchange,
}

/// Waits for events, at most so many whole seconds; how many there are.
fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>, seconds: i64) -> io::Result<usize> {
    events.clear();
    let limit = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    loop {
        match epoll::wait(epoll, spare_capacity(events), Some(&limit)) {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn deadline(start: Instant, seconds: f64) -> io::Result<Instant> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|duration| start.checked_add(duration))
        .ok_or_else(|| io::Error::other(format!("`{seconds}` is not a duration in seconds")))
}

/// Size of a small request and of its reply, in bytes.
pub(crate) const SMALL_MESSAGE: usize = 64;

/// How many events one poll may return.
const EVENTS: usize = 1024;

/// How many connections are opened before their replies are awaited; less than std's backlog of 128.
const WAVE: usize = 64;

/// Open files beside the connections.
const SPARE_FILES: u64 = 64;

/// How long a poll may find nothing while replies are due, in seconds.
const STALL: i64 = 5;
