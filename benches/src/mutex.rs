//! What does it cost to lock a mutex and to unlock it, alone and among waiters?
//!
//! Alone: one task. Contended: [`TASKS`] tasks of one OS thread hold the lock across a yield, so that all others
//! come to wait for it. The check is the number in the mutex, which is read before the yield and written after it.
//!
//! Across workers: the same with the tasks on two OS threads, unpinned.
//!
//! Contended, the rows differ in more than cost: green's `sync::Mutex` lets a running caller retake the lock ahead of
//! the waiters (barging), tokio's hands it over in their order.

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::machine::Placement;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    if plan.placement == Placement::Unpinned {
        return vec![Case {
            question: Question::Mutex,
            name: format!("{TASKS} tasks on two workers, each holds it across a yield"),
            metrics: METRICS,
            peers: ACROSS,
            measure: Box::new(move |peer| micro::run(&plan, Task::MutexAcrossWorkers, peer)),
        }];
    }
    [
        (Task::MutexAlone, "uncontended".to_owned()),
        (
            Task::MutexContended,
            format!("{TASKS} tasks, each holds it across a yield"),
        ),
    ]
    .map(|(task, name)| Case {
        question: Question::Mutex,
        name,
        metrics: METRICS,
        peers: PEERS,
        measure: Box::new(move |peer| micro::run(&plan, task, peer)),
    })
    .into()
}

/// In the measured process: nanoseconds per lock and unlock, uncontended.
pub(crate) fn measure_alone(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(ALONE, window, || {
        let (number, taken) = runtime.mutex_alone(ALONE)?;
        check(number, ALONE)?;
        Ok(taken)
    })
}

/// In the measured process: nanoseconds per lock, yield and unlock, with waiters.
pub(crate) fn measure_contended(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    let all = TASKS * CONTENDED;
    micro::nanos_per_operation(all, window, || {
        let (number, taken) = runtime.mutex_contended(TASKS, CONTENDED)?;
        check(number, all)?;
        Ok(taken)
    })
}

fn check(number: u64, expected: u64) -> io::Result<()> {
    if number == expected {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the number in the mutex is {number} instead of {expected}"
    )))
}

const PEERS: &[Peer] = &[
    Peer::TokioCt,
    Peer::Smol,
    Peer::May,
    Peer::OsThreads,
    Peer::Green,
    Peer::Go,
    Peer::Gevent,
];

const ACROSS: &[Peer] = &[Peer::TokioMt, Peer::OsThreads, Peer::Green];

/// How often the one task locks in a slice.
const ALONE: u64 = 100_000;

/// How many tasks contend.
const TASKS: u64 = 4;

/// How often each of them locks in a slice.
const CONTENDED: u64 = 2_500;

const METRICS: &[Metric] = &[Metric {
    name: "ns/lock",
    better: Better::Lower,
}];
