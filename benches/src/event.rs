//! What does it cost to wake a task, and to be woken?
//!
//! Two tasks of one OS thread: one sets an event that the other waits for, which sets another one in return. green
//! has an event, tokio `Notify`, smol its event listeners; the others take a flag with a mutex and a condition
//! variable. The check is how often the second task was woken.
//!
//! And a crowd of tasks that wait for the same event, all woken at once, until each has run and waits again.

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    vec![
        Case {
            question: Question::Event,
            name: "two tasks wake each other".to_owned(),
            metrics: METRICS,
            peers: &[
                Peer::TokioCt,
                Peer::Smol,
                Peer::May,
                Peer::OsThreads,
                Peer::Green,
                Peer::Go,
                Peer::Gevent,
            ],
            measure: Box::new(move |peer| micro::run(&plan, Task::Event, peer)),
        },
        Case {
            question: Question::Event,
            name: format!("{CROWD} tasks are woken at once"),
            metrics: CROWD_METRICS,
            peers: &[Peer::TokioCt, Peer::Green],
            measure: Box::new(move |peer| micro::run(&plan, Task::EventCrowd, peer)),
        },
    ]
}

/// In the measured process: nanoseconds per round trip.
pub(crate) fn measure(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(ROUND_TRIPS, window, || {
        let (woken, taken) = runtime.event(ROUND_TRIPS)?;
        if woken != ROUND_TRIPS {
            return Err(io::Error::other(format!(
                "the second task was woken {woken} times instead of {ROUND_TRIPS}"
            )));
        }
        Ok(taken)
    })
}

/// In the measured process: nanoseconds for each task that is woken.
pub(crate) fn measure_crowd(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(CROWD * CROWD_ROUNDS, window, || {
        let (woken, taken) = runtime.event_crowd(CROWD, CROWD_ROUNDS)?;
        if woken != CROWD * CROWD_ROUNDS {
            return Err(io::Error::other(format!(
                "tasks were woken {woken} times instead of {}",
                CROWD * CROWD_ROUNDS
            )));
        }
        Ok(taken)
    })
}

/// How many tasks wait for one event.
const CROWD: u64 = 10_000;

/// How often a slice wakes them all.
const CROWD_ROUNDS: u64 = 10;

/// How many round trips a slice has.
const ROUND_TRIPS: u64 = 10_000;

const CROWD_METRICS: &[Metric] = &[Metric {
    name: "ns/woken task",
    better: Better::Lower,
}];

const METRICS: &[Metric] = &[Metric {
    name: "ns/round trip",
    better: Better::Lower,
}];
