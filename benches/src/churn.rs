//! What does a short connection cost: connect, one echo, close?
//!
//! Servers and messages are those of the echo question. 64 connections at a time, each replaced by a new
//! one as soon as its reply has come and it is closed.

use std::io;

use crate::cli::Question;
use crate::echo;
use crate::load::Load;
use crate::peers::Peer;
use crate::report::{Better, Metric};
use crate::server::Server;
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    vec![Case {
        question: Question::Churn,
        name: format!("connect, one echo of 64 B, close; {AT_ONCE} at a time"),
        metrics: METRICS,
        peers: echo::PEERS,
        measure: Box::new(move |peer| measure(&plan, peer)),
    }]
}

fn measure(plan: &Plan, peer: Peer) -> io::Result<Vec<f64>> {
    let mut server = Server::start(peer, plan.cores.server)?;
    let mut load = Load::start(server.address(), plan.cores.client)?;
    load.churn(AT_ONCE, plan.warm_up)?;
    let before = server.usage()?;
    let done = load.churn(AT_ONCE, plan.window)?;
    let after = server.usage()?;
    let connections = done.requests as f64;
    Ok(vec![
        (after.cpu_nanos - before.cpu_nanos) as f64 / connections,
        connections / done.seconds,
    ])
}

const AT_ONCE: usize = 64;

const METRICS: &[Metric] = &[
    Metric {
        name: "server CPU, ns/connection",
        better: Better::Lower,
    },
    Metric {
        name: "connections/s",
        better: Better::Higher,
    },
];
