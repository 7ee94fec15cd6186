//! How much CPU does a server spend on a request, and how many does it answer?
//!
//! An echo server on one core, a load generator on another, messages of 64 bytes and of 16 KiB, 100 to 8,000
//! connections with one request each on its way. The reference is a plain epoll loop. CPU time per request is the
//! figure to look at: noise and the load generator disturb it least.
//!
//! With two workers the server has an OS thread more; that is asked unpinned only.
//!
//! Each measurement connects, makes one request on each connection, warms up, and then measures a window.

use std::io;

use crate::cli::Question;
use crate::load::{Load, SMALL_MESSAGE};
use crate::machine::Placement;
use crate::peers::{Peer, Workers};
use crate::report::{Better, Metric};
use crate::server::{Server, Service};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let case = |size: Size, connections| Case {
        question: Question::Echo,
        name: format!("{}, {connections} connections", size.words()),
        metrics: METRICS,
        peers: PEERS,
        measure: Box::new(move |peer| measure(&plan, peer, Workers::MIN, size, connections)),
    };
    let mut cases: Vec<Case> = [Size::Small, Size::Large]
        .into_iter()
        .flat_map(|size| [100, 1_000, 8_000].map(|connections| case(size, connections)))
        .collect();
    if plan.placement == Placement::Unpinned {
        cases.push(Case {
            name: "64 B, 1000 connections, two workers".to_owned(),
            peers: PEERS_WITH_WORKERS,
            measure: Box::new(move |peer| measure(&plan, peer, TWO_WORKERS, Size::Small, 1_000)),
            ..case(Size::Small, 1_000)
        });
    }
    cases
}

/// How large a message is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Small,
    Large,
}

impl Size {
    fn words(self) -> &'static str {
        match self {
            Self::Small => "64 B",
            Self::Large => "16 KiB",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Small => SMALL_MESSAGE,
            Self::Large => Service::ECHO_LARGE_BUFFER,
        }
    }

    fn service(self) -> Service {
        match self {
            Self::Small => Service::Echo,
            Self::Large => Service::EchoLarge,
        }
    }
}

pub(crate) fn measure(
    plan: &Plan,
    peer: Peer,
    workers: Workers,
    size: Size,
    connections: usize,
) -> io::Result<Vec<f64>> {
    let mut server = Server::start_as(peer, size.service(), workers, plan.cores.server)?;
    let mut load = Load::start_with(server.address(), size.bytes(), plan.cores.client)?;
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
    Peer::Go,
    Peer::Gevent,
];

/// Who serves with more than one worker.
pub(crate) const PEERS_WITH_WORKERS: &[Peer] =
    &[Peer::Epoll, Peer::TokioMt, Peer::May, Peer::Green, Peer::Go];

/// How many that is.
pub(crate) const TWO_WORKERS: Workers = Workers::MIN.saturating_add(1);

pub(crate) const METRICS: &[Metric] = &[
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
