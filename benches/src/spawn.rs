//! What does it cost to spawn a task that nobody joins, until it has ended?
//!
//! A task spawns [`TASKS`] tasks that only count themselves, and waits until the last one tells, over and over. The
//! check is the count.

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
        question: Question::Spawn,
        name: format!("detached, batches of {TASKS}"),
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
        measure: Box::new(move |peer| micro::run(&plan, Task::Spawn, peer)),
    }]
}

/// In the measured process: nanoseconds per task.
pub(crate) fn measure(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    let tasks = (BATCHES * TASKS) as u64;
    micro::nanos_per_operation(tasks, window, || {
        let ran = Arc::new(AtomicU64::new(0));
        let taken = runtime.spawn(BATCHES, TASKS, &ran)?;
        let ran = ran.load(Ordering::Relaxed);
        if ran != tasks {
            return Err(io::Error::other(format!("{ran} of {tasks} tasks ran")));
        }
        Ok(taken)
    })
}

/// How many batches a slice has.
const BATCHES: usize = 10;

/// How many tasks are spawned before the last one is awaited.
const TASKS: usize = 1_000;

const METRICS: &[Metric] = &[Metric {
    name: "ns/task",
    better: Better::Lower,
}];
