//! What does it cost to run a function on each of many items, each in a task, and to collect the values?
//!
//! green has `Pool::map` for it, which also keeps the order; tokio has `JoinSet`. The check is the sum of the values.

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    vec![Case {
        question: Question::PoolMap,
        name: format!("{ITEMS} items"),
        metrics: METRICS,
        peers: &[Peer::TokioCt, Peer::Green],
        measure: Box::new(move |peer| micro::run(&plan, Task::PoolMap, peer)),
    }]
}

/// In the measured process: nanoseconds per item.
pub(crate) fn measure(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(ITEMS, window, || {
        let (sum, taken) = runtime.pool_map(ITEMS)?;
        if sum != ITEMS * (ITEMS + 1) / 2 {
            return Err(io::Error::other(format!("the values add up to {sum}")));
        }
        Ok(taken)
    })
}

const ITEMS: u64 = 100_000;

const METRICS: &[Metric] = &[Metric {
    name: "ns/item",
    better: Better::Lower,
}];
