//! Measures one small operation of one runtime, in a process of its own.
//!
//! A runtime does a slice of the work at a time and times it from inside one of its own tasks, so that
//! starting and entering the runtime is not counted. The first slice warms up; then slices are repeated
//! until the window is full.

use std::io;
use std::time::Duration;

use clap::ValueEnum;

use crate::child::{self, Child};
use crate::machine;
use crate::peers::{self, Capacity, Peer};
use crate::suite::Plan;
use crate::{memory, queue_ping_pong, spawn_join, yield_now};

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Task {
    YieldNow,
    SpawnJoin,
    QueueUnbounded,
    QueueOne,
    Park,
}

/// In the benchmark: measures `task` on `peer` once, in a child process.
pub(crate) fn run(plan: &Plan, task: Task, peer: Peer) -> io::Result<Vec<f64>> {
    let task = task
        .to_possible_value()
        .ok_or_else(|| io::Error::other("a task without a name"))?;
    let arguments = [
        "micro".to_owned(),
        task.get_name().to_owned(),
        peer.to_string(),
        plan.micro_window.as_secs_f64().to_string(),
    ];
    let mut child = Child::start(&arguments, plan.cores.server)?;
    Ok(vec![child.answer(plan.micro_window)?])
}

/// In the child process: measures and answers with one number per operation, nanoseconds or bytes.
pub(crate) fn measure(
    task: Task,
    peer: Peer,
    window: Duration,
    core: Option<usize>,
) -> io::Result<()> {
    machine::pin(core)?;
    let value = match task {
        Task::YieldNow => yield_now::measure(&*peers::start(peer)?, window)?,
        Task::SpawnJoin => spawn_join::measure(&*peers::start(peer)?, window)?,
        Task::QueueUnbounded => {
            queue_ping_pong::measure(&*peers::start(peer)?, Capacity::Unbounded, window)?
        }
        Task::QueueOne => queue_ping_pong::measure(&*peers::start(peer)?, Capacity::One, window)?,
        Task::Park => memory::parked(peer)?,
    };
    child::answer(&value)
}

/// Nanoseconds per operation: one slice to warm up, then slices until they took `window` together.
///
/// `slice` does `operations` operations, checks them, and returns how long they took.
pub(crate) fn nanos_per_operation(
    operations: u64,
    window: Duration,
    slice: impl Fn() -> io::Result<Duration>,
) -> io::Result<f64> {
    slice()?;
    let mut taken = Duration::ZERO;
    let mut done = 0;
    while taken < window {
        taken += slice()?;
        done += operations;
    }
    Ok(taken.as_nanos() as f64 / done as f64)
}
