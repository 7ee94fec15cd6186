//! An echo server in a process of its own, for the network questions.
//!
//! Every peer serves the same thing: accept, set `TCP_NODELAY`, then read into a buffer of
//! [`BUFFER_SIZE`] bytes per connection and write back what was read, until the end of the stream.
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

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child::{self, Child};
use crate::machine::{self, Usage};
use crate::peers::{self, Peer};

/// The parent's handle of a running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts `peer`'s server, pinned to `core`.
    pub(crate) fn start(peer: Peer, core: usize) -> io::Result<Self> {
        let mut child = Child::start(&["serve".to_owned(), peer.to_string()], core)?;
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

    /// What it has used so far, after it had a moment to finish what it is doing.
    pub(crate) fn usage(&mut self) -> io::Result<Usage> {
        thread::sleep(SETTLE);
        self.child.ask(&Command::Usage, Duration::ZERO)
    }
}

/// Is the server process: serves until stdin closes.
pub(crate) fn serve(peer: Peer, core: Option<usize>) -> io::Result<()> {
    machine::pin(core)?;
    machine::raise_open_files()?;
    let runtime = peers::start(peer)?;
    thread::spawn(answer_commands);
    runtime.serve_echo(&|address| {
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

/// Size of a connection's buffer, in bytes.
pub(crate) const BUFFER_SIZE: usize = 1024;

/// How long a server gets to close connections and park its tasks after the load ended.
const SETTLE: Duration = Duration::from_millis(30);
