//! The command line: the public options, and the hidden subcommands that are the measured processes.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::machine::Placement;
use crate::micro::Task;
use crate::peers::{Peer, Workers};
use crate::server::Service;

/// Compares green with its peers on echo servers, switching, spawning, queues and memory.
///
/// Everything runs interleaved on this machine and is checked. Only ratios within one run are comparable.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What to run when no hidden subcommand is given.
    #[command(flatten)]
    pub(crate) options: Options,
    /// The process to be, when started by another one of this binary.
    #[command(subcommand)]
    pub(crate) process: Option<Process>,
}

/// What the user asks for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One tiny iteration of everything: proves that it runs, says nothing about speed
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Rounds per case; every peer runs once in each [default: 5, with --smoke 1]
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<NonZero<usize>>,
    /// Length of the measured window of the network questions [default: 3, with --smoke 0.1]
    #[arg(long, value_name = "S", value_parser = positive_seconds)]
    pub(crate) seconds: Option<Duration>,
    /// Who decides which core a process runs on: the benchmark, or the kernel [default: both for the network
    /// questions, pinned for the others; with --smoke each case once, pinned where it can be]
    #[arg(long, value_name = "WHO")]
    pub(crate) placement: Option<Placements>,
    /// Only this question; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<Question>,
    /// Only this peer and the one that ratios refer to; may be repeated
    #[arg(long = "peer", value_name = "NAME")]
    pub(crate) peers: Vec<Peer>,
    /// Write every sample and summary as JSON, anew after each case
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Measure nothing: take the results from the JSON of an earlier run
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["smoke", "rounds", "seconds", "placement", "only", "peers", "json"]
    )]
    pub(crate) from: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write the tables and charts into the documentation: into DIR/benchmarks.md, between its markers, and
    /// DIR/benchmarks/*.svg
    #[arg(long, value_name = "DIR", conflicts_with_all = ["smoke", "only", "peers"])]
    pub(crate) docs: Option<PathBuf>,
}

/// What `--placement` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Placements {
    /// One core for what is measured, another for the load generator
    Pinned,
    /// As the kernel likes
    Unpinned,
    /// Each case once pinned and once unpinned
    Both,
}

impl Placements {
    /// In the order of the tables.
    pub(crate) fn list(self) -> &'static [Placement] {
        match self {
            Self::Pinned => &[Placement::Pinned],
            Self::Unpinned => &[Placement::Unpinned],
            Self::Both => &[Placement::Pinned, Placement::Unpinned],
        }
    }
}

/// One file of this package that asks how fast or how large something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Question {
    /// Echo of 64 B and of 16 KiB at 100, 1,000 and 8,000 connections
    Echo,
    /// Connect, one echo, close; 64 at a time
    Churn,
    /// A server sends on 64 connections
    Streaming,
    /// How long requests take at half load
    Latency,
    /// System calls of a server that has nothing to do
    Idle,
    /// The shortest program: wall time and peak memory
    StartUp,
    /// Bytes per idle connection and per parked task
    Memory,
    /// Two tasks of one OS thread yield to each other
    YieldNow,
    /// Spawn 1,000 empty tasks, join them all
    SpawnJoin,
    /// A function over 100,000 items, each in a task
    PoolMap,
    /// One item goes back and forth between two tasks
    QueuePingPong,
    /// One task sends items to another
    Spsc,
    /// Spawn tasks that nobody joins
    Spawn,
    /// Lock and unlock, alone and among waiters
    Mutex,
    /// Acquire and release, alone and among waiters
    Semaphore,
    /// Two tasks wake each other
    Event,
    /// Locks and channels that one task has to itself
    Uncontended,
    /// Futures in green threads, and sockets for futures
    Futures,
    /// Lateness and CPU time of 100,000 and of 1,000,000 sleepers
    Sleep,
}

/// The measured processes; the benchmark starts them, and they can be started by hand, under `strace` say.
#[derive(Debug, Subcommand)]
pub(crate) enum Process {
    /// A server; prints its port, answers "usage", ends when stdin closes
    #[command(hide = true)]
    Serve {
        /// The runtime that serves.
        peer: Peer,
        /// What it serves.
        #[arg(long, default_value = "echo")]
        service: Service,
        /// How many OS threads it may use for tasks.
        #[arg(long, default_value = "1")]
        workers: Workers,
        /// Pin the process to this core.
        #[arg(long)]
        core: Option<usize>,
    },
    /// The load generator; reads commands from stdin, one JSON value per line
    #[command(hide = true)]
    Load {
        /// The echo server's address.
        server: SocketAddr,
        /// Size of a request and of its reply, in bytes.
        #[arg(long, default_value = "64")]
        message_size: usize,
        /// Pin the process to this core.
        #[arg(long)]
        core: Option<usize>,
    },
    /// Starts a runtime, spawns one task and joins it, prints the peak of resident memory
    #[command(hide = true)]
    StartUp {
        /// The runtime, or none.
        peer: Peer,
    },
    /// Measures one task on one runtime, prints the value per operation
    #[command(hide = true)]
    Micro {
        /// What to measure.
        task: Task,
        /// The runtime that is measured.
        peer: Peer,
        /// Repeat until this much time was measured.
        #[arg(value_parser = positive_seconds)]
        seconds: Duration,
        /// How many tasks, where that is a parameter.
        #[arg(long, default_value = "1000")]
        tasks: usize,
        /// Pin the process to this core.
        #[arg(long)]
        core: Option<usize>,
    },
}

/// Parses a positive, finite number of seconds.
fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("`{text}` is not a positive number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_documentation_shows_whole_runs_only() {
        for part in ["--smoke", "--only=echo", "--peer=may"] {
            let arguments = ["green-benches", part, "--docs", "docs"];
            assert!(Arguments::try_parse_from(arguments).is_err(), "{part}");
        }
    }
}
