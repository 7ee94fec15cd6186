//! What do locks and channels cost a task that is alone with them?
//!
//! One task, which never waits; std's own types are the reference. The check is what comes out in the end.

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::micro::{self, Task};
use crate::peers::{Access, Capacity, Peer, Runtime};
use crate::report::{Better, Metric};
use crate::spsc::ROOM;
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    [
        (Task::MutexAlone, "a mutex".to_owned(), PER_LOCK),
        (
            Task::RwLockRead,
            "a read-write lock, reading".to_owned(),
            PER_LOCK,
        ),
        (
            Task::RwLockWrite,
            "a read-write lock, writing".to_owned(),
            PER_LOCK,
        ),
        (
            Task::ChannelUnbounded,
            "an unbounded channel".to_owned(),
            PER_MESSAGE,
        ),
        (
            Task::ChannelBounded,
            format!("a channel with room for {ROOM}"),
            PER_MESSAGE,
        ),
    ]
    .map(|(task, name, metrics)| Case {
        question: Question::Uncontended,
        name,
        metrics,
        peers: PEERS,
        measure: Box::new(move |peer| micro::run(&plan, task, peer)),
    })
    .into()
}

/// In the measured process: nanoseconds per lock and unlock.
pub(crate) fn measure_rwlock(
    runtime: &dyn Runtime,
    access: Access,
    window: Duration,
) -> io::Result<f64> {
    micro::nanos_per_operation(LOCKS, window, || {
        let (had, taken) = runtime.rwlock_alone(access, LOCKS)?;
        if had != LOCKS {
            return Err(io::Error::other(format!(
                "{had} of {LOCKS} times the lock was had"
            )));
        }
        Ok(taken)
    })
}

/// In the measured process: nanoseconds per message sent and received.
pub(crate) fn measure_channel(
    runtime: &dyn Runtime,
    capacity: Capacity,
    window: Duration,
) -> io::Result<f64> {
    micro::nanos_per_operation(MESSAGES, window, || {
        let (in_order, taken) = runtime.channel_alone(capacity, MESSAGES)?;
        if in_order != MESSAGES {
            return Err(io::Error::other(format!(
                "{in_order} of {MESSAGES} messages came in their order"
            )));
        }
        Ok(taken)
    })
}

/// The first is what ratios refer to.
const PEERS: &[Peer] = &[Peer::OsThreads, Peer::TokioCt, Peer::Green];

/// How many locks a slice has.
const LOCKS: u64 = 100_000;

/// How many messages a slice has.
const MESSAGES: u64 = 100_000;

const PER_LOCK: &[Metric] = &[Metric {
    name: "ns/lock",
    better: Better::Lower,
}];

const PER_MESSAGE: &[Metric] = &[Metric {
    name: "ns/message",
    better: Better::Lower,
}];
