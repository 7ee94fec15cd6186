//! How much memory does an idle connection hold, and how much a parked task?
//!
//! Both are differences of the process's resident memory. What the kernel keeps for a socket is not in
//! them. The parked tasks sleep for an hour; their baseline is taken before the runtime starts, so that
//! stacks which a runtime makes in advance count, and its fixed cost is spread over [`TASKS`].

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::echo;
use crate::load::Load;
use crate::machine::Usage;
use crate::micro::{self, Task};
use crate::peers::{self, Peer};
use crate::report::{Better, Metric};
use crate::server::Server;
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    vec![
        Case {
            question: Question::Memory,
            name: format!("{CONNECTIONS} connections, idle after one echo of 64 B"),
            metrics: PER_CONNECTION,
            peers: echo::PEERS,
            measure: Box::new(move |peer| connections(&plan, peer)),
        },
        Case {
            question: Question::Memory,
            name: format!("{TASKS} tasks parked in a sleep"),
            metrics: PER_TASK,
            peers: &[Peer::TokioCt, Peer::May, Peer::Green],
            measure: Box::new(move |peer| micro::run(&plan, Task::Park, peer)),
        },
    ]
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

/// In the measured process: bytes per parked task.
pub(crate) fn parked(peer: Peer) -> io::Result<f64> {
    let before = Usage::now()?.resident_bytes;
    let runtime = peers::start(peer)?;
    runtime.park(TASKS, HOUR)?;
    let after = Usage::now()?.resident_bytes;
    Ok(after.saturating_sub(before) as f64 / TASKS as f64)
}

const CONNECTIONS: usize = 8_000;

/// `may` ends the process at about 32,000, with the kernel's default limit of mappings.
const TASKS: usize = 10_000;

const HOUR: Duration = Duration::from_secs(3_600);

const PER_CONNECTION: &[Metric] = &[Metric {
    name: "server memory, B/connection",
    better: Better::Lower,
}];

const PER_TASK: &[Metric] = &[Metric {
    name: "memory, B/task",
    better: Better::Lower,
}];
