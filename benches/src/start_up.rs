//! What does a runtime add to the shortest program?
//!
//! The program starts the runtime, spawns one task, joins it, and ends. The reference is the same program, with all
//! runtimes of Rust linked in but none started. A measurement runs it many times and takes the medians; wall time is counted
//! by the parent, from before the process is made until it has ended, and the process itself tells its peak of
//! resident memory.

use std::env;
use std::io;
use std::panic;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::child;
use crate::cli::Question;
use crate::machine;
use crate::peers::{self, Peer, Workers, external};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan, Scale};
use crate::summary::Summary;

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let runs = match plan.scale {
        Scale::Smoke => 3,
        Scale::Full => 50,
    };
    vec![Case {
        question: Question::StartUp,
        name: "one task, spawned and joined".to_owned(),
        metrics: METRICS,
        peers: &[
            Peer::Empty,
            Peer::TokioCt,
            Peer::TokioMt,
            Peer::Smol,
            Peer::May,
            Peer::OsThreads,
            Peer::Green,
            Peer::Go,
            Peer::Gevent,
        ],
        measure: Box::new(move |peer| measure(&plan, peer, runs)),
    }]
}

/// On an OS thread of its own, whose core its child processes inherit: a program that is no runtime of Rust
/// does not pin itself.
fn measure(plan: &Plan, peer: Peer, runs: usize) -> io::Result<Vec<f64>> {
    let core = plan.cores.server;
    thread::scope(|scope| {
        let measured = scope.spawn(|| {
            machine::pin(core)?;
            measure_here(peer, runs)
        });
        measured
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// On the calling OS thread's cores.
fn measure_here(peer: Peer, runs: usize) -> io::Result<Vec<f64>> {
    let mut millis = Vec::with_capacity(runs);
    let mut kibibytes = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        let output = command(peer)?
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        millis.push(start.elapsed().as_secs_f64() * 1e3);
        if !output.status.success() {
            return Err(io::Error::other(format!(
                "the program ended: {}",
                output.status
            )));
        }
        let peak: u64 = serde_json::from_slice(&output.stdout)?;
        kibibytes.push(peak as f64 / 1024.0);
    }
    Ok(vec![median(&millis)?, median(&kibibytes)?])
}

fn command(peer: Peer) -> io::Result<Command> {
    if let Some(mut program) = external::program(peer, Workers::MIN)? {
        program.arg("start-up");
        return Ok(program);
    }
    let mut command = Command::new(env::current_exe()?);
    command.arg("start-up").arg(peer.to_string());
    Ok(command)
}

/// Is the program.
pub(crate) fn start_up(peer: Peer) -> io::Result<()> {
    if peer != Peer::Empty {
        let ran = Arc::new(AtomicU64::new(0));
        peers::start(peer, Workers::MIN)?.spawn_join(1, 1, &ran)?;
        if ran.load(Ordering::Relaxed) != 1 {
            return Err(io::Error::other("the task did not run"));
        }
    }
    child::answer(&machine::peak_resident_bytes()?)
}

fn median(values: &[f64]) -> io::Result<f64> {
    Summary::of(values)
        .map(|summary| summary.median)
        .ok_or_else(|| io::Error::other(format!("the runs measured {values:?}")))
}

const METRICS: &[Metric] = &[
    Metric {
        name: "start to end, ms",
        better: Better::Lower,
    },
    Metric {
        name: "peak memory, KiB",
        better: Better::Lower,
    },
];
