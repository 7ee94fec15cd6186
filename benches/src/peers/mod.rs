//! The same work, written for each runtime as its users would write it.
//!
//! A peer implements of [`Serve`], [`Tasks`] and [`Primitives`] what it can do; the questions say who takes
//! part in them. Each peer is a folder with a file for each of the three. Those that are not
//! written in Rust are programs of their own, see [`external`].

mod blocking;
mod epoll;
pub(crate) mod external;
mod green;
mod green_async;
mod may;
mod os_threads;
mod smol;
mod tokio;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::ValueEnum;

use crate::semaphore::Holders;
use crate::server::Service;
use crate::sleep::Naps;
use crate::yield_now::Turns;

/// A row of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Nothing: the program alone.
    Empty,
    /// A loop over `epoll`, with no runtime at all.
    Epoll,
    /// tokio's current-thread runtime.
    TokioCt,
    /// tokio's multi-thread runtime.
    TokioMt,
    /// smol's local executor, on one OS thread.
    Smol,
    /// `may`, not pinned by `may`, otherwise as it comes.
    May,
    /// One OS thread per task, and std's channels and locks.
    OsThreads,
    /// This project.
    Green,
    /// This project, by futures.
    GreenAsync,
    /// Go's goroutines, a program of its own.
    Go,
    /// gevent's greenlets, a program of its own.
    Gevent,
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => formatter.pad(value.get_name()),
            None => Err(fmt::Error),
        }
    }
}

/// How many OS threads a runtime may use for tasks.
pub(crate) type Workers = NonZero<usize>;

/// Starts `peer`'s runtime in this process, with `workers` OS threads for tasks. Call it once, in a fresh process.
pub(crate) fn start(peer: Peer, workers: Workers) -> io::Result<Box<dyn Runtime>> {
    Ok(match peer {
        Peer::Empty | Peer::Go | Peer::Gevent => return Err(unsupported()),
        Peer::Epoll => Box::new(epoll::Epoll { workers }),
        Peer::TokioCt => Box::new(tokio::Tokio::current_thread()?),
        Peer::TokioMt => Box::new(tokio::Tokio::multi_thread(workers)?),
        Peer::Smol => Box::new(smol::Smol::start()),
        Peer::May => Box::new(may::May::start(workers)),
        Peer::OsThreads => Box::new(os_threads::OsThreads),
        Peer::Green => Box::new(green::Green::start(workers)?),
        Peer::GreenAsync => Box::new(green_async::GreenAsync::start(workers)?),
    })
}

/// What the questions ask of a runtime.
///
/// What is timed is timed from inside a task.
pub(crate) trait Runtime: Serve + Tasks + Primitives {}

impl<T: Serve + Tasks + Primitives> Runtime for T {}

/// Sockets.
pub(crate) trait Serve {
    /// Serves on a free port of 127.0.0.1 and calls `announce` with the address once it listens.
    /// Returns only on errors of the listener's set-up.
    fn serve(&self, _service: Service, _announce: &Announce) -> io::Result<()> {
        Err(unsupported())
    }
}

/// Tasks, and their sleep.
pub(crate) trait Tasks {
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

    /// Runs a task for each number below `items` and returns the sum of what they return: the number plus one.
    fn pool_map(&self, _items: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// Spawns `tasks` tasks that each add one to `ran` and that nobody joins: the last one tells the spawner. Does so
    /// `batches` times.
    fn spawn(&self, _batches: usize, _tasks: usize, _ran: &Arc<AtomicU64>) -> io::Result<Duration> {
        Err(unsupported())
    }

    /// Spawns `tasks` tasks that sleep for `duration` and returns when all of them are parked; how long that took.
    fn park(&self, _tasks: usize, _duration: Duration) -> io::Result<Duration> {
        Err(unsupported())
    }

    /// Takes each of `naps` in a task of its own, and returns when all are over.
    fn sleep(&self, _naps: &Arc<Naps>) -> io::Result<()> {
        Err(unsupported())
    }
}

/// What tasks wait for.
pub(crate) trait Primitives {
    /// Sends 0 to a task that returns each number plus one, and its answers likewise, `round_trips` times;
    /// returns the last answer too.
    fn ping_pong(&self, _capacity: Capacity, _round_trips: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// One task sends the numbers from 0 to `items` to another one; returns how many came in their order, too.
    fn spsc(&self, _capacity: Capacity, _items: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// One task sends the numbers from 0 to `messages` to itself, receiving each before it sends the next; returns how
    /// many came in their order, too.
    fn channel_alone(&self, _capacity: Capacity, _messages: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// One task adds one to a number in a mutex, `locks` times; returns the number too.
    fn mutex_alone(&self, _locks: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// One task locks a number for this access, `locks` times, and adds one to it if that is allowed; returns how often
    /// it had the lock, too.
    fn rwlock_alone(&self, _access: Access, _locks: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// `tasks` tasks add one to a number in a mutex, `locks` times each, and yield between reading and writing it;
    /// returns the number too. They are spread over the workers.
    fn mutex_contended(&self, _tasks: u64, _locks: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// One task takes a semaphore's only permit and gives it back, `times` times; returns whether it is there in the
    /// end, too.
    fn semaphore_alone(&self, _times: u64) -> io::Result<(bool, Duration)> {
        Err(unsupported())
    }

    /// `tasks` tasks take one of two permits, `times` times each, and are among `holders` while they yield with it.
    fn semaphore_contended(
        &self,
        _holders: &Arc<Holders>,
        _tasks: u64,
        _times: u64,
    ) -> io::Result<Duration> {
        Err(unsupported())
    }

    /// Two tasks wake each other, `round_trips` times; returns how often the second one was woken, too.
    fn event(&self, _round_trips: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// So many tasks wait, again and again, for one event, and all are woken at once; returns how often tasks were woken
    /// in `rounds` rounds, too.
    fn event_crowd(&self, _tasks: u64, _rounds: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// Waits for `times` futures that are ready, each with the next number from 0; returns the sum, too.
    fn block_on_ready(&self, _times: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// Two tasks of two OS threads wake each other, `round_trips` times; returns how often the second one was woken, too.
    fn wake_across(&self, _round_trips: u64) -> io::Result<(u64, Duration)> {
        Err(unsupported())
    }

    /// So many tasks wait until tokio has slept for `span`, all at once.
    fn tokio_sleeps(&self, _tasks: u64, _span: Duration) -> io::Result<Duration> {
        Err(unsupported())
    }
}

/// Tells the parent process where the server listens.
pub(crate) type Announce = dyn Fn(SocketAddr) -> io::Result<()>;

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Capacity {
    Unbounded,
    /// With zero, senders wait until a receiver has the item; where there is no such queue, it has room for one.
    Bounded(usize),
}

/// What a read-write lock is taken for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Read,
    Write,
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
