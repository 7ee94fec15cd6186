//! What does an item cost on its way from one task through a queue to another?
//!
//! One producer and one consumer on one OS thread, through an unbounded queue and through one with room for
//! [`ROOM`] items, which makes them take turns. The check is the order of the items.

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
            question: Question::Spsc,
            name: "an unbounded queue".to_owned(),
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
            measure: Box::new(move |peer| micro::run(&plan, Task::SpscUnbounded, peer)),
        },
        Case {
            question: Question::Spsc,
            name: format!("a queue with room for {ROOM}"),
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
            measure: Box::new(move |peer| micro::run(&plan, Task::SpscBounded, peer)),
        },
    ]
}

/// In the measured process: nanoseconds per item.
pub(crate) fn measure(
    runtime: &dyn Runtime,
    capacity: Capacity,
    window: Duration,
) -> io::Result<f64> {
    micro::nanos_per_operation(ITEMS, window, || {
        let (in_order, taken) = runtime.spsc(capacity, ITEMS)?;
        if in_order != ITEMS {
            return Err(io::Error::other(format!(
                "{in_order} of {ITEMS} items came in their order"
            )));
        }
        Ok(taken)
    })
}

/// What the bounded queue holds.
pub(crate) const ROOM: usize = 128;

/// How many items a slice has.
const ITEMS: u64 = 20_000;

const METRICS: &[Metric] = &[Metric {
    name: "ns/item",
    better: Better::Lower,
}];
