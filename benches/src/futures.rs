//! What do futures cost in green threads?
//!
//! - To wait for one that is ready, where the caller stands.
//! - To be woken by a task of another OS thread, and to wake it. tokio's `Notify` between two of its runtimes of one OS thread each,
//!   since on its multi-thread runtime both tasks would soon be on one worker; green's events, awaited in two green
//!   threads of two hubs. Unpinned: each has a core. The check is how often the second task was woken.
//! - A thousand at once that sleep for 100 ms on tokio: a runtime in the background, for which as many green threads wait; tokio's row
//!   awaits the same in as many tasks of its own.
//! - An echo server on green's sockets for futures, next to the one that blocks.

use std::io;
use std::time::Duration;

use crate::cli::Question;
use crate::echo;
use crate::machine::Placement;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime, Workers};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let case = |name: String, task, metrics, peers| Case {
        question: Question::Futures,
        name,
        metrics,
        peers,
        measure: Box::new(move |peer| micro::run(&plan, task, peer)),
    };
    if plan.placement == Placement::Unpinned {
        return vec![
            case(
                "tasks of two OS threads wake each other".to_owned(),
                Task::WakeAcross,
                ROUND_TRIP,
                &[Peer::TokioCt, Peer::Green],
            ),
            case(
                format!("{SLEEPERS} wait for tokio's sleep of 100 ms"),
                Task::TokioSleeps,
                SLEEP,
                &[Peer::TokioCt, Peer::Green],
            ),
        ];
    }
    vec![
        case(
            "a future that is ready".to_owned(),
            Task::BlockOn,
            WAIT,
            &[Peer::TokioCt, Peer::Smol, Peer::Green],
        ),
        Case {
            question: Question::Futures,
            name: "echo, 64 B, 1000 connections".to_owned(),
            metrics: echo::METRICS,
            peers: &[Peer::Green, Peer::GreenAsync, Peer::TokioCt],
            measure: Box::new(move |peer| {
                echo::measure(&plan, peer, Workers::MIN, echo::Size::Small, 1_000)
            }),
        },
    ]
}

/// In the measured process: nanoseconds per wait.
pub(crate) fn measure_block_on(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(WAITS, window, || {
        let (sum, taken) = runtime.block_on_ready(WAITS)?;
        check(sum, WAITS * (WAITS - 1) / 2)?;
        Ok(taken)
    })
}

/// In the measured process: nanoseconds per round trip.
pub(crate) fn measure_wake_across(runtime: &dyn Runtime, window: Duration) -> io::Result<f64> {
    micro::nanos_per_operation(ROUND_TRIPS, window, || {
        let (woken, taken) = runtime.wake_across(ROUND_TRIPS)?;
        check(woken, ROUND_TRIPS)?;
        Ok(taken)
    })
}

/// In the measured process: milliseconds until all have slept.
pub(crate) fn measure_tokio_sleeps(runtime: &dyn Runtime) -> io::Result<f64> {
    let taken = runtime.tokio_sleeps(SLEEPERS, SPAN)?;
    if taken < SPAN {
        return Err(io::Error::other("they slept too little"));
    }
    Ok(taken.as_secs_f64() * 1e3)
}

fn check(number: u64, expected: u64) -> io::Result<()> {
    if number == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("{number} instead of {expected}")))
}

/// How many waits a slice has.
const WAITS: u64 = 10_000;

/// How many round trips a slice has.
const ROUND_TRIPS: u64 = 2_000;

/// How many sleep, and for how long.
const SLEEPERS: u64 = 1_000;
const SPAN: Duration = Duration::from_millis(100);

const WAIT: &[Metric] = &[Metric {
    name: "ns/wait",
    better: Better::Lower,
}];

const ROUND_TRIP: &[Metric] = &[Metric {
    name: "ns/round trip",
    better: Better::Lower,
}];

const SLEEP: &[Metric] = &[Metric {
    name: "ms for all",
    better: Better::Lower,
}];
