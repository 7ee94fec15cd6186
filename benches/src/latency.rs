//! How long does a request take at half load?
//!
//! All peers get the same requests at the same times: half as many a second as the reference answers at best, which
//! is measured once a run. Latencies are counted from the time at which a request was due, see `load::paced`.

use std::cell::OnceCell;
use std::io;

use crate::cli::Question;
use crate::load::Load;
use crate::peers::Peer;
use crate::report::{Better, Metric};
use crate::server::Server;
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let rate = OnceCell::new();
    let measure = move |peer| {
        let rate = match rate.get() {
            Some(rate) => *rate,
            None => {
                let measured = half_of_saturated(&plan)?;
                *rate.get_or_init(|| measured)
            }
        };
        measure(&plan, peer, rate)
    };
    vec![Case {
        question: Question::Latency,
        name: format!("64 B, {CONNECTIONS} connections, half load"),
        metrics: METRICS,
        peers: PEERS,
        measure: Box::new(measure),
    }]
}

/// Half of the requests that the reference answers a second.
fn half_of_saturated(plan: &Plan) -> io::Result<f64> {
    let server = Server::start(Peer::Epoll, plan.cores.server)?;
    let mut load = Load::start(server.address(), plan.cores.client)?;
    load.connect(CONNECTIONS)?;
    load.echo(plan.warm_up)?;
    let done = load.echo(plan.window)?;
    Ok(done.requests as f64 / done.seconds / 2.0)
}

fn measure(plan: &Plan, peer: Peer, rate: f64) -> io::Result<Vec<f64>> {
    let server = Server::start(peer, plan.cores.server)?;
    let mut load = Load::start(server.address(), plan.cores.client)?;
    load.connect(CONNECTIONS)?;
    load.paced(rate, plan.warm_up)?;
    let latency = load.paced(rate, plan.window)?;
    let expected = (rate * plan.window.as_secs_f64()) as u64;
    if latency.requests != expected {
        return Err(io::Error::other(format!(
            "{} requests were made instead of {expected}",
            latency.requests
        )));
    }
    Ok(vec![latency.p50, latency.p99, latency.p999, rate])
}

/// gevent is not among them. It does not reach this rate, so its latencies would tell how long the window was.
const PEERS: &[Peer] = &[
    Peer::Epoll,
    Peer::TokioCt,
    Peer::TokioMt,
    Peer::Smol,
    Peer::May,
    Peer::Green,
    Peer::Go,
];

const CONNECTIONS: usize = 100;

const METRICS: &[Metric] = &[
    Metric {
        name: "median, µs",
        better: Better::Lower,
    },
    Metric {
        name: "99th percentile",
        better: Better::Lower,
    },
    Metric {
        name: "99.9th percentile",
        better: Better::Lower,
    },
    Metric {
        name: "requests/s",
        better: Better::Neither,
    },
];
