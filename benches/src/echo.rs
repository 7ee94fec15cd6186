//! How much CPU does a server spend on a small request, and how many does it answer?
//!
//! An echo server on one core, a load generator on another, messages of 64 bytes, 100 to 8,000 connections
//! with one request each on its way. The reference is a plain epoll loop. CPU time per request is the
//! figure to look at: noise and the load generator disturb it least.
//!
//! Each measurement connects, makes one request on each connection, warms up, and then measures a window.

use std::io;

use crate::cli::Question;
use crate::load::Load;
use crate::peers::Peer;
use crate::report::{Better, Metric};
use crate::server::Server;
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    [100, 1_000, 8_000]
        .map(|connections| Case {
            question: Question::Echo,
            name: format!("64 B, {connections} connections"),
            metrics: METRICS,
            peers: PEERS,
            measure: Box::new(move |peer| measure(&plan, peer, connections)),
        })
        .into()
}

fn measure(plan: &Plan, peer: Peer, connections: usize) -> io::Result<Vec<f64>> {
    let mut server = Server::start(peer, plan.cores.server)?;
    let mut load = Load::start(server.address(), plan.cores.client)?;
    load.connect(connections)?;
    load.echo(plan.warm_up)?;
    let before = server.usage()?;
    let done = load.echo(plan.window)?;
    let after = server.usage()?;
    let requests = done.requests as f64;
    Ok(vec![
        (after.cpu_nanos - before.cpu_nanos) as f64 / requests,
        (after.user_nanos - before.user_nanos) as f64 / requests,
        requests / done.seconds,
    ])
}

/// Who serves.
pub(crate) const PEERS: &[Peer] = &[
    Peer::Epoll,
    Peer::TokioCt,
    Peer::TokioMt,
    Peer::Smol,
    Peer::May,
    Peer::Green,
];

const METRICS: &[Metric] = &[
    Metric {
        name: "server CPU, ns/request",
        better: Better::Lower,
    },
    Metric {
        name: "of it user mode, about",
        better: Better::Neither,
    },
    Metric {
        name: "requests/s",
        better: Better::Higher,
    },
];
