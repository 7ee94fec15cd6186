//! What does a round trip through two queues cost?
//!
//! Two tasks of one OS thread, one queue each way. One task puts a number, the other adds one and puts it
//! back, and so on. The check is the last number. OS threads, on one core, show what the kernel takes.

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::micro::{self, Task};
use crate::peers::{Capacity, Peer, Runtime};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    vec![
        Case {
            question: Question::QueuePingPong,
            name: "unbounded queues".to_owned(),
            metrics: METRICS,
            // Go has no unbounded channel.
            peers: &[
                Peer::TokioCt,
                Peer::Smol,
                Peer::May,
                Peer::OsThreads,
                Peer::Green,
                Peer::Gevent,
            ],
            measure: Box::new(move |peer| micro::run(&plan, Task::QueueUnbounded, peer)),
        },
        Case {
            question: Question::QueuePingPong,
            name: "queues with room for one".to_owned(),
            metrics: METRICS,
            // `may` has no bounded channel.
            peers: &[
                Peer::TokioCt,
                Peer::Smol,
                Peer::OsThreads,
                Peer::Green,
                Peer::Go,
                Peer::Gevent,
            ],
            measure: Box::new(move |peer| micro::run(&plan, Task::QueueOne, peer)),
        },
        Case {
            question: Question::QueuePingPong,
            name: "queues without room (tokio: with room for one)".to_owned(),
            metrics: METRICS,
            peers: &[Peer::TokioCt, Peer::OsThreads, Peer::Green, Peer::Go],
            measure: Box::new(move |peer| micro::run(&plan, Task::QueueNone, peer)),
        },
    ]
}

/// In the measured process: nanoseconds per round trip.
pub(crate) fn measure(
    runtime: &dyn Runtime,
    capacity: Capacity,
    window: Duration,
) -> io::Result<f64> {
    micro::nanos_per_operation(ROUND_TRIPS, window, || {
        let (last, taken) = runtime.ping_pong(capacity, ROUND_TRIPS)?;
        if last != ROUND_TRIPS {
            return Err(io::Error::other(format!(
                "the last number was {last} instead of {ROUND_TRIPS}"
            )));
        }
        Ok(taken)
    })
}

/// How many round trips a slice has.
const ROUND_TRIPS: u64 = 10_000;

const METRICS: &[Metric] = &[Metric {
    name: "ns/round trip",
    better: Better::Lower,
}];
