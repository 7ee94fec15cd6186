//! What does it cost to acquire a semaphore's permit and to release it, alone and among waiters?
//!
//! Alone: one task and one permit. Contended: [`TASKS`] tasks of one OS thread, two permits, each held across a
//! yield. The check is that there were never more than two holders, and that each had its turns.
//!
//! Contended, the rows differ in more than cost: green's semaphore lets a running caller retake a permit ahead of the
//! waiters (barging), tokio's hands it over in their order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cli::Question;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    [
        (Task::SemaphoreAlone, "uncontended".to_owned()),
        (
            Task::SemaphoreContended,
            format!("{TASKS} tasks, {PERMITS} permits, each held across a yield"),
        ),
    ]
    .map(|(task, name)| Case {
        question: Question::Semaphore,
        name,
        metrics: METRICS,
        peers: PEERS,
        measure: Box::new(move |peer| micro::run(&plan, task, peer)),
    })
    .into()
}

/// In the measured process: nanoseconds per acquire and release, uncontended.
pub(crate) fn measure_alone(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(ALONE, window, || {
        let (is_whole, taken) = runtime.semaphore_alone(ALONE)?;
        if !is_whole {
            return Err(io::Error::other("the permit was not given back"));
        }
        Ok(taken)
    })
}

/// In the measured process: nanoseconds per acquire, yield and release, with waiters.
pub(crate) fn measure_contended(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    let all = TASKS * CONTENDED;
    micro::nanos_per_operation(all, window, || {
        let holders = Arc::new(Holders::default());
        let taken = runtime.semaphore_contended(&holders, TASKS, CONTENDED)?;
        holders.check(all)?;
        Ok(taken)
    })
}

/// Counts those that hold a permit.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    now: AtomicU64,
    /// The largest value of `now`.
    most: AtomicU64,
    /// How often a permit was acquired.
    acquired: AtomicU64,
}

impl Holders {
    /// The caller has acquired a permit.
    pub(crate) fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        self.acquired.fetch_add(1, Ordering::Relaxed);
    }

    /// The caller is about to release it.
    pub(crate) fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    fn check(&self, expected: u64) -> io::Result<()> {
        let most = self.most.load(Ordering::Relaxed);
        let acquired = self.acquired.load(Ordering::Relaxed);
        if most <= PERMITS && acquired == expected {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{acquired} permits were acquired instead of {expected}, and {most} held at once"
        )))
    }
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

/// How often the one task acquires in a slice.
const ALONE: u64 = 100_000;

/// How many tasks contend.
const TASKS: u64 = 4;

/// For how many permits.
const PERMITS: u64 = 2;

/// How often each of them acquires in a slice.
const CONTENDED: u64 = 2_500;

const METRICS: &[Metric] = &[Metric {
    name: "ns/permit",
    better: Better::Lower,
}];
