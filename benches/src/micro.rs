//! Measures one small operation of one runtime, in a process of its own.
//!
//! A runtime does a slice of the work at a time and times it from inside one of its own tasks, so that
//! starting and entering the runtime is not counted. The first slice warms up; then slices are repeated
//! until the window is full.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use clap::ValueEnum;

use crate::child::{self, Child};
use crate::machine::{self, Usage};
use crate::peers::{self, Access, Capacity, Peer, Workers, external};
use crate::sleep::Span;
use crate::suite::Plan;
use crate::{
    event, futures, memory, mutex, pool_map, queue_ping_pong, semaphore, sleep, spawn, spawn_join,
    spsc, uncontended, yield_now,
};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    YieldNow,
    SpawnJoin,
    PoolMap,
    QueueUnbounded,
    QueueOne,
    QueueNone,
    MutexAlone,
    MutexContended,
    MutexAcrossWorkers,
    RwLockRead,
    RwLockWrite,
    SemaphoreAlone,
    SemaphoreContended,
    Event,
    EventCrowd,
    SpscUnbounded,
    SpscBounded,
    ChannelUnbounded,
    ChannelBounded,
    Spawn,
    SleepSmoke,
    SleepUpToOne,
    SleepOneToTwo,
    Park,
    BlockOn,
    WakeAcross,
    TokioSleeps,
}

impl Task {
    /// How many OS threads the runtime may use for tasks.
    fn workers(self) -> Workers {
        match self {
            Self::MutexAcrossWorkers | Self::WakeAcross => Workers::MIN.saturating_add(1),
            _ => Workers::MIN,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => formatter.pad(value.get_name()),
            None => Err(fmt::Error),
        }
    }
}

/// In the benchmark: measures `task` on `peer` once, in a child process.
pub(crate) fn run(plan: &Plan, task: Task, peer: Peer) -> io::Result<Vec<f64>> {
    run_many(plan, task, peer, None, plan.micro_window)
}

/// In the benchmark: measures `task` with so many `tasks` on `peer` once, in a child process. It may take `limit`.
pub(crate) fn run_many(
    plan: &Plan,
    task: Task,
    peer: Peer,
    tasks: impl Into<Option<usize>>,
    limit: Duration,
) -> io::Result<Vec<f64>> {
    let mut arguments = vec![
        "micro".to_owned(),
        task.to_string(),
        peer.to_string(),
        plan.micro_window.as_secs_f64().to_string(),
    ];
    if let Some(tasks) = tasks.into() {
        arguments.extend(["--tasks".to_owned(), tasks.to_string()]);
    }
    let mut child = Child::start(&arguments, plan.cores.server)?;
    child.answer(limit)
}

/// What a process under measurement is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) task: Task,
    pub(crate) peer: Peer,
    /// How long to repeat the operation, where it is repeated.
    pub(crate) window: Duration,
    /// How many tasks, where that is a parameter.
    pub(crate) tasks: usize,
}

/// In the child process: measures and answers with the question's numbers; most often one, nanoseconds per operation.
pub(crate) fn measure(request: Request, core: Option<usize>) -> io::Result<()> {
    machine::pin(core)?;
    let Request {
        task,
        peer,
        window,
        tasks,
    } = request;
    let workers = task.workers();
    if let Some(mut program) = external::program(peer, workers)? {
        program.args(["micro", &task.to_string()]);
        program.args([window.as_secs_f64().to_string(), tasks.to_string()]);
        return Err(program.exec());
    }
    let resident_before = Usage::now()?.resident_bytes;
    let runtime = &*peers::start(peer, workers)?;
    let ping_pong = |capacity| queue_ping_pong::measure(runtime, capacity, window);
    let spsc = |capacity| spsc::measure(runtime, capacity, window);
    let rwlock = |access| uncontended::measure_rwlock(runtime, access, window);
    let channel = |capacity| uncontended::measure_channel(runtime, capacity, window);
    let sleep = |span| sleep::measure(runtime, span, tasks);
    let one = |nanos: io::Result<f64>| Ok(vec![nanos?]);
    let numbers = match task {
        Task::YieldNow => one(yield_now::measure(runtime, window)),
        Task::SpawnJoin => one(spawn_join::measure(runtime, window)),
        Task::PoolMap => one(pool_map::measure(runtime, window)),
        Task::QueueUnbounded => one(ping_pong(Capacity::Unbounded)),
        Task::QueueOne => one(ping_pong(Capacity::Bounded(1))),
        Task::QueueNone => one(ping_pong(Capacity::Bounded(0))),
        Task::MutexAlone => one(mutex::measure_alone(runtime, window)),
        Task::MutexContended | Task::MutexAcrossWorkers => {
            one(mutex::measure_contended(runtime, window))
        }
        Task::RwLockRead => one(rwlock(Access::Read)),
        Task::RwLockWrite => one(rwlock(Access::Write)),
        Task::SemaphoreAlone => one(semaphore::measure_alone(runtime, window)),
        Task::SemaphoreContended => one(semaphore::measure_contended(runtime, window)),
        Task::Event => one(event::measure(runtime, window)),
        Task::EventCrowd => one(event::measure_crowd(runtime, window)),
        Task::SpscUnbounded => one(spsc(Capacity::Unbounded)),
        Task::SpscBounded => one(spsc(Capacity::Bounded(spsc::ROOM))),
        Task::ChannelUnbounded => one(channel(Capacity::Unbounded)),
        Task::ChannelBounded => one(channel(Capacity::Bounded(spsc::ROOM))),
        Task::Spawn => one(spawn::measure(runtime, window)),
        Task::SleepSmoke => sleep(Span::Smoke),
        Task::SleepUpToOne => sleep(Span::UpToOne),
        Task::SleepOneToTwo => sleep(Span::OneToTwo),
        Task::BlockOn => one(futures::measure_block_on(runtime, window)),
        Task::WakeAcross => one(futures::measure_wake_across(runtime, window)),
        Task::TokioSleeps => one(futures::measure_tokio_sleeps(runtime)),
        Task::Park => memory::parked(runtime, tasks, resident_before),
    }?;
    child::answer(&numbers)
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
