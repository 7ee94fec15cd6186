//! How much memory does an idle connection hold, and how much a parked task?
//!
//! Both are differences of the process's resident memory. What the kernel keeps for a socket is not in
//! them. The parked tasks sleep for an hour; their baseline is taken before the runtime starts, so that
//! stacks which a runtime makes in advance count, and its fixed cost is spread over the tasks. How long it takes
//! until all of them are parked is measured too.

use std::io;
use std::iter;
use std::time::Duration;

use crate::cli::Question;
use crate::echo;
use crate::load::Load;
use crate::machine::Usage;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime};
use crate::report::{Better, Metric};
use crate::server::Server;
use crate::suite::{Case, Plan, Scale};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let connections = Case {
        question: Question::Memory,
        name: format!("{CONNECTIONS} connections, idle after one echo of 64 B"),
        metrics: PER_CONNECTION,
        peers: echo::PEERS,
        measure: Box::new(move |peer| connections(&plan, peer)),
    };
    let task_counts: &[usize] = match plan.scale {
        Scale::Smoke => &[1_000],
        Scale::Full => &[10_000, 100_000, 1_000_000],
    };
    let parked = task_counts.iter().map(|&tasks| Case {
        question: Question::Memory,
        name: format!("{tasks} tasks parked in a sleep"),
        metrics: PER_TASK,
        peers: parkers(tasks),
        measure: Box::new(move |peer| micro::run_many(&plan, Task::Park, peer, tasks, PARK_LIMIT)),
    });
    iter::once(connections).chain(parked).collect()
}

/// Who can park so many tasks.
fn parkers(tasks: usize) -> &'static [Peer] {
    match tasks {
        // With the kernel's default limit of mappings, `may` ends the process at about 32,000.
        0..=32_000 => &[
            Peer::TokioCt,
            Peer::Smol,
            Peer::May,
            Peer::Green,
            Peer::Go,
            Peer::Gevent,
        ],
        32_001..=100_000 => &[
            Peer::TokioCt,
            Peer::Smol,
            Peer::Green,
            Peer::Go,
            Peer::Gevent,
        ],
        // gevent would take a quarter of a minute and 10 GB.
        _ => &[Peer::TokioCt, Peer::Smol, Peer::Green, Peer::Go],
    }
}

fn connections(plan: &Plan, peer: Peer) -> io::Result<Vec<f64>> {
    let mut server = Server::start(peer, plan.cores.server)?;
    let mut load = Load::start(server.address(), plan.cores.client)?;
    let before = server.usage()?.resident_bytes;
    load.connect(CONNECTIONS)?;
    let after = server.usage()?.resident_bytes;
    Ok(vec![
        after.saturating_sub(before) as f64 / CONNECTIONS as f64,
    ])
}

/// In the measured process: bytes and nanoseconds per parked task. `before` the runtime started, so many bytes were
/// resident.
pub(crate) fn parked(runtime: &dyn Runtime, tasks: usize, before: u64) -> io::Result<Vec<f64>> {
    let taken = runtime.park(tasks, HOUR)?;
    let after = Usage::now()?.resident_bytes;
    Ok(vec![
        after.saturating_sub(before) as f64 / tasks as f64,
        taken.as_nanos() as f64 / tasks as f64,
    ])
}

const CONNECTIONS: usize = 8_000;

/// How long the tasks may take to park, beside the usual allowance.
const PARK_LIMIT: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3_600);

const PER_CONNECTION: &[Metric] = &[Metric {
    name: "server memory, B/connection",
    better: Better::Lower,
}];

const PER_TASK: &[Metric] = &[
    Metric {
        name: "memory, B/task",
        better: Better::Lower,
    },
    Metric {
        name: "creation, ns/task",
        better: Better::Lower,
    },
];
