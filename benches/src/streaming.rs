//! How fast does a server send, and what does a MiB cost it?
//!
//! [`CONNECTIONS`] connections each ask for 1 MiB, and for more as soon as it has come. The server writes it from one
//! chunk of 64 KiB in memory, again and again, and waits whenever the kernel takes no more. The check is every byte.

use std::io;

use crate::cli::Question;
use crate::echo;
use crate::load::Load;
use crate::peers::{Peer, Workers};
use crate::report::{Better, Metric};
use crate::server::{Server, Service};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    vec![Case {
        question: Question::Streaming,
        name: format!("{CONNECTIONS} connections, from the server"),
        metrics: METRICS,
        peers: echo::PEERS,
        measure: Box::new(move |peer| measure(&plan, peer)),
    }]
}

fn measure(plan: &Plan, peer: Peer) -> io::Result<Vec<f64>> {
    let mut server = Server::start_as(peer, Service::Stream, Workers::MIN, plan.cores.server)?;
    let mut load = Load::start(server.address(), plan.cores.client)?;
    load.stream(CONNECTIONS, plan.warm_up)?;
    let before = server.usage()?;
    let done = load.stream(CONNECTIONS, plan.window)?;
    let after = server.usage()?;
    let mebibytes = done.requests as f64 / (1024.0 * 1024.0);
    Ok(vec![
        (after.cpu_nanos - before.cpu_nanos) as f64 / 1e3 / mebibytes,
        mebibytes / done.seconds,
    ])
}

const CONNECTIONS: usize = 64;

const METRICS: &[Metric] = &[
    Metric {
        name: "server CPU, µs/MiB",
        better: Better::Lower,
    },
    Metric {
        name: "MiB/s",
        better: Better::Higher,
    },
];
