//! The benchmarks: one command runs every question over every peer, interleaved, and checks the results.
//!
//! `scripts/bench` runs all of it. `scripts/bench --smoke` does one tiny iteration of everything and is
//! part of the gate, so that benches cannot rot. Numbers are published in `docs/benchmarks.md` only.
//!
//! # Method
//!
//! 1. Every measurement runs in a fresh process: this binary starts itself again with a hidden subcommand,
//!    so runtimes never share a process, a heap or a thread pool.
//! 2. Pinned, a process under measurement is bound to one core before it starts any thread, and the load
//!    generator to another. Unpinned, the kernel places them. The network questions are asked in both ways;
//!    servers with two workers, which have no use for one core, only unpinned.
//! 3. Peers take turns round by round, and each round starts with another peer. A ratio compares two
//!    values of the *same* round; reported are the median ratio and its spread.
//!    Absolute values drift by tens of percent between runs and machines: only ratios count.
//! 4. Every result is checked: each echoed byte, each count, each order. A wrong result is an error, and
//!    the command then ends with a failure after everything else was measured.
//!
//! # Map
//!
//! | file | what |
//! |---|---|
//! | `echo`, `churn`, `streaming`, `latency`, `idle` | one question each, about servers |
//! | `memory`, `start_up` | one question each, about what there is before any work |
//! | `yield_now`, `spawn`, `spawn_join`, `pool_map`, `sleep` | one question each, about tasks |
//! | `queue_ping_pong`, `spsc`, `mutex`, `semaphore`, `event` | one question each, about what tasks wait for |
//! | `uncontended` | the same, when nobody waits |
//! | `futures` | futures in green threads, and sockets for futures |
//! | `peers/` | the same bodies, written for each runtime; `../peers/` has those in other languages |
//! | `server`, `load` | the two processes of the network questions |
//! | `micro` | the one process of the other questions |
//! | `suite` | the rounds |
//! | `report`, `summary` | ratios, tables and JSON; medians and quartiles |
//! | `charts`, `docs` | a drawing a question; the published page |
//! | `child`, `machine` | talking to a child process; cores, limits, CPU time, memory |

mod charts;
mod child;
mod churn;
mod cli;
mod docs;
mod echo;
mod event;
mod futures;
mod idle;
mod latency;
mod load;
mod machine;
mod memory;
mod micro;
mod mutex;
mod peers;
mod pool_map;
mod queue_ping_pong;
mod report;
mod semaphore;
mod server;
mod sleep;
mod spawn;
mod spawn_join;
mod spsc;
mod start_up;
mod streaming;
mod suite;
mod summary;
mod uncontended;
mod yield_now;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Arguments, Process};
use crate::micro::Request;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.process {
        None => suite::run(&arguments.options),
        Some(Process::Serve {
            peer,
            service,
            workers,
            core,
        }) => server::serve(*peer, *service, *workers, *core),
        Some(Process::Load {
            server,
            message_size,
            core,
        }) => load::generate(*server, *message_size, *core),
        Some(Process::StartUp { peer }) => start_up::start_up(*peer),
        Some(Process::Micro {
            task,
            peer,
            seconds,
            tasks,
            core,
        }) => {
            let request = Request {
                task: *task,
                peer: *peer,
                window: *seconds,
                tasks: *tasks,
            };
            micro::measure(request, *core)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell if stderr is closed.
            drop(writeln!(io::stderr(), "green-benches: {error}"));
            ExitCode::FAILURE
        }
    }
}
