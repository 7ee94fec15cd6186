//! What does it cost to yield to another task?
//!
//! Two tasks of one OS thread yield in turn. The check is that they really take turns: a yield that returns
//! to its caller would be fast and worthless. tokio wakes the tasks that yielded last first, so its order is
//! 1 2 2 1 1 2, and half of the yields, not all, go to the other task.

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
    vec![Case {
        question: Question::YieldNow,
        name: "two tasks of one OS thread".to_owned(),
        metrics: METRICS,
        peers: &[
            Peer::TokioCt,
            Peer::Smol,
            Peer::May,
            Peer::Green,
            Peer::Go,
            Peer::Gevent,
        ],
        measure: Box::new(move |peer| micro::run(&plan, Task::YieldNow, peer)),
    }]
}

/// In the measured process: nanoseconds per yield.
pub(crate) fn measure(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    let yields = 2 * YIELDS;
    micro::nanos_per_operation(yields, window, || {
        let turns = Arc::new(Turns::default());
        let taken = runtime.yield_now(&turns, YIELDS)?;
        turns.check(yields)?;
        Ok(taken)
    })
}

/// Counts how often the two tasks ran, and how often it was the other one's turn.
///
/// Both run on one OS thread, so plain loads and stores suffice.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The task that ran last, 1 or 2.
    last: AtomicU64,
    taken: AtomicU64,
    alternated: AtomicU64,
}

impl Turns {
    /// Task `task` runs.
    pub(crate) fn take(&self, task: u64) {
        if self.last.load(Ordering::Relaxed) != task {
            increment(&self.alternated);
        }
        self.last.store(task, Ordering::Relaxed);
        increment(&self.taken);
    }

    fn check(&self, expected: u64) -> io::Result<()> {
        let taken = self.taken.load(Ordering::Relaxed);
        let alternated = self.alternated.load(Ordering::Relaxed);
        if taken != expected {
            return Err(io::Error::other(format!(
                "{taken} turns instead of {expected}"
            )));
        }
        // A little less than tokio's half: a runtime may look at other things now and then.
        if alternated < expected / 100 * 48 {
            return Err(io::Error::other(format!(
                "of {taken} yields only {alternated} went to the other task"
            )));
        }
        Ok(())
    }
}

fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// How often each task yields in one slice.
const YIELDS: u64 = 50_000;

const METRICS: &[Metric] = &[Metric {
    name: "ns/yield",
    better: Better::Lower,
}];
