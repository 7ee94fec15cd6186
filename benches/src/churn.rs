//! What does a short connection cost: connect, one echo, close?
//!
//! Servers and messages are those of the echo question. 64 connections at a time, each replaced by a new
//! one as soon as its reply has come and it is closed.

use std::io;

use crate::cli::Question;
use crate::echo::{self, TWO_WORKERS};
use crate::load::Load;
use crate::machine::Placement;
use crate::peers::{Peer, Workers};
use crate::report::{Better, Metric};
use crate::server::{Server, Service};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let case = |workers: Workers, name: String, peers| Case {
        question: Question::Churn,
        name,
        metrics: METRICS,
        peers,
        measure: Box::new(move |peer| measure(&plan, peer, workers)),
    };
    let name = format!("connect, one echo of 64 B, close; {AT_ONCE} at a time");
    let with_workers = format!("{name}, two workers");
    let mut cases = vec![case(Workers::MIN, name, echo::PEERS)];
    if plan.placement == Placement::Unpinned {
        cases.push(case(TWO_WORKERS, with_workers, echo::PEERS_WITH_WORKERS));
    }
    cases
}

fn measure(plan: &Plan, peer: Peer, workers: Workers) -> io::Result<Vec<f64>> {
    let mut server = Server::start_as(peer, Service::Echo, workers, plan.cores.server)?;
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
