//! A server in a process of its own, for the network questions.
//!
//! Every peer serves the same things, see [`Service`]: accept, set `TCP_NODELAY`, then serve until the end of the
//! stream.
//!
//! # System calls per request
//!
//! A server can be run by hand, under `strace` for example. It prints its port and ends with its stdin:
//!
//! ```text
//! sleep 20 | strace -f -c -o counts green-benches serve green
//! printf '%s\n' '{"connect":100}' '{"echo":5}' | green-benches load 127.0.0.1:PORT
//! ```
//!
//! The load generator prints how many requests it made; divide the counts of `recvfrom`, `sendto`,
//! `epoll_wait` (and whatever else is there) by it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::process;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::child::{self, Child};
use crate::machine::{self, Usage};
use crate::peers::{self, Peer, Workers, external};

/// The parent's handle of a running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts `peer`'s echo server with one worker, pinned to `core` if there is one.
    pub(crate) fn start(peer: Peer, core: Option<usize>) -> io::Result<Self> {
        Self::start_as(peer, Service::Echo, Workers::MIN, core)
    }

    /// Starts `peer`'s server with `workers` workers, pinned to `core` if there is one.
    pub(crate) fn start_as(
        peer: Peer,
        service: Service,
        workers: Workers,
        core: Option<usize>,
    ) -> io::Result<Self> {
        let arguments = [
            "serve".to_owned(),
            peer.to_string(),
            "--service".to_owned(),
            service.to_string(),
            "--workers".to_owned(),
            workers.to_string(),
        ];
        let mut child = Child::start(&arguments, core)?;
        let Listening { port } = child.answer(Duration::ZERO)?;
        Ok(Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far, after it had a moment to finish what it is doing.
    pub(crate) fn usage(&mut self) -> io::Result<Usage> {
        thread::sleep(SETTLE);
        self.child.ask(&Command::Usage, Duration::ZERO)
    }
}

/// Is the server process: serves until stdin closes.
pub(crate) fn serve(
    peer: Peer,
    service: Service,
    workers: Workers,
    core: Option<usize>,
) -> io::Result<()> {
    machine::pin(core)?;
    machine::raise_open_files()?;
    if let Some(mut program) = external::program(peer, workers)? {
        return Err(program.arg("serve").arg(service.to_string()).exec());
    }
    let runtime = peers::start(peer, workers)?;
    thread::spawn(answer_commands);
    runtime.serve(service, &|address| {
        child::answer(&Listening {
            port: address.port(),
        })
    })
}

/// Runs on an OS thread of its own, which sleeps in a read of stdin while the server is measured.
/// The process ends here because the accept loop has no end of its own.
fn answer_commands() {
    for command in child::commands() {
        let answered = command
            .and_then(|Command::Usage| Usage::now())
            .and_then(|usage| child::answer(&usage));
        if answered.is_err() {
            process::exit(1);
        }
    }
    process::exit(0)
}

/// What a server does on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Reads into a buffer of its own and writes back what was read.
    Echo,
    /// The same with a buffer for large messages.
    EchoLarge,
    /// Reads a number, eight bytes in little-endian order, writes as many bytes of [`stream_chunk`], over and over.
    Stream,
}

impl Service {
    /// The size of a connection's buffer for echo, in bytes; `None` for streaming.
    pub(crate) fn buffer_size(self) -> Option<usize> {
        match self {
            Self::Echo => Some(Self::ECHO_BUFFER),
            Self::EchoLarge => Some(Self::ECHO_LARGE_BUFFER),
            Self::Stream => None,
        }
    }

    /// Of [`Service::Echo`].
    pub(crate) const ECHO_BUFFER: usize = 1024;

    /// Of [`Service::EchoLarge`].
    pub(crate) const ECHO_LARGE_BUFFER: usize = 16 * 1024;
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => formatter.pad(value.get_name()),
            None => Err(fmt::Error),
        }
    }
}

/// What streaming sends, again and again from its start; all connections share it.
pub(crate) fn stream_chunk() -> Arc<[u8]> {
    static CHUNK: LazyLock<Arc<[u8]>> = LazyLock::new(|| pattern(STREAM_CHUNK).into());
    Arc::clone(&CHUNK)
}

/// `size` bytes that differ from their neighbours.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|index| (index * 7 + index / 256) as u8)
        .collect()
}

/// What a server says first.
#[derive(Debug, Deserialize, Serialize)]
struct Listening {
    /// The port that the kernel chose.
    port: u16,
}

/// What a server can be asked.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Answers with a [`Usage`].
    Usage,
}

/// Size of one write while streaming, in bytes.
pub(crate) const STREAM_CHUNK: usize = 64 * 1024;

/// How long a server gets to close connections and park its tasks after the load ended.
const SETTLE: Duration = Duration::from_millis(30);
