//! The same work, written for each runtime as its users would write it.
//!
//! A peer implements of [`Runtime`] what it can do; the questions say who takes part in them.

mod epoll;
mod green;
mod may;
mod os_threads;
mod tokio;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::ValueEnum;

use crate::yield_now::Turns;

/// A row of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// A single-threaded loop over `epoll`, with no runtime at all.
    Epoll,
    /// tokio's current-thread runtime.
    TokioCt,
    /// tokio's multi-thread runtime, with one worker.
    TokioMt,
    /// `may` with one worker, not pinned by `may`, otherwise as it comes.
    May,
    /// One OS thread per task, and std's channels.
    OsThreads,
    /// This project, with one hub.
    Green,
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => formatter.pad(value.get_name()),
            None => Err(fmt::Error),
        }
    }
}

/// Starts `peer`'s runtime in this process, on one OS thread for tasks. Call it once, in a fresh process.
pub(crate) fn start(peer: Peer) -> io::Result<Box<dyn Runtime>> {
    Ok(match peer {
        Peer::Epoll => Box::new(epoll::Epoll),
        Peer::TokioCt => Box::new(tokio::Tokio::current_thread()?),
        Peer::TokioMt => Box::new(tokio::Tokio::multi_thread()?),
        Peer::May => Box::new(may::May::start()),
        Peer::OsThreads => Box::new(os_threads::OsThreads),
        Peer::Green => Box::new(green::Green::start()?),
    })
}

/// What the questions ask of a runtime.
///
/// The micro operations are timed from inside a task and return how long they took.
pub(crate) trait Runtime {
    /// Serves echo on a free port of 127.0.0.1 and calls `announce` with the address once it listens.
    /// Returns only on errors of the listener's set-up.
    fn serve_echo(&self, _announce: &Announce) -> io::Result<()> {
        Err(unsupported())
    }

    /// Two tasks, 1 and 2, each take a turn and yield, `yields` times.
    fn yield_now(&self, _turns: &Arc<Turns>, _yields: u64) -> io::Result<Duration> {
        Err(unsupported())
    }

    /// Spawns `tasks` tasks that each add one to `ran`, joins them, and does so `batches` times.
    fn spawn_join(
        &self,
        _batches: usize,
        _tasks: usize,
        _ran: &Arc<AtomicU64>,
    ) -> io::Result<Duration> {
        Err(unsupported())
    }

    /// Sends 0 to a task that returns each number plus one, and its answers likewise, `round_trips` times;
    /// returns the last answer too.
    fn ping_pong(&self, _capacity: Capacity, _round_trips: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// Spawns `tasks` tasks that sleep for `duration` and returns when all of them are parked.
    fn park(&self, _tasks: usize, _duration: Duration) -> io::Result<()> {
        Err(unsupported())
    }
}

/// Tells the parent process where the server listens.
pub(crate) type Announce = dyn Fn(SocketAddr) -> io::Result<()>;

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Capacity {
    Unbounded,
    One,
}

/// Where the servers bind.
const ANY_LOCAL_PORT: &str = "127.0.0.1:0";

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this peer does not take part in this question",
    )
}

/// A task of a peer ended in a panic, of which stderr has told.
fn panicked() -> io::Error {
    io::Error::other("a task panicked")
}
