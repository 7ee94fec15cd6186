//! How late do sleepers wake up when there are many, and what does it cost?
//!
//! Each task of one OS thread sleeps once, for a pseudo-random time, the same in every peer. Lateness is counted from
//! the time at which the sleep was to end; CPU time is the process's, from the first spawn to the last wake-up. The
//! check is that everyone woke up, and nobody too early.
//!
//! All tasks are spawned at once. Who wakes up before the last one has started may have to wait until it has, so the
//! largest lateness tells also how long it takes to start them all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cli::Question;
use crate::machine::Usage;
use crate::micro::{self, Task};
use crate::peers::{Peer, Runtime};
use crate::report::{Better, Metric};
use crate::suite::{Case, Plan, Scale};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    let plan = *plan;
    let (many, million) = match plan.scale {
        Scale::Smoke => ((100, Span::Smoke), (1_000, Span::Smoke)),
        Scale::Full => ((100_000, Span::UpToOne), (1_000_000, Span::OneToTwo)),
    };
    let case = |(tasks, span): (usize, Span), peers| Case {
        question: Question::Sleep,
        name: format!("{tasks} tasks at once, {}", span.words()),
        metrics: METRICS,
        peers,
        measure: Box::new(move |peer| micro::run_many(&plan, span.task(), peer, tasks, LIMIT)),
    };
    vec![
        case(
            many,
            &[
                Peer::TokioCt,
                Peer::Smol,
                Peer::Green,
                Peer::Go,
                Peer::Gevent,
            ],
        ),
        case(million, &[Peer::TokioCt, Peer::Green, Peer::Go]),
    ]
}

/// In the measured process: lateness (median, 99th percentile, largest) in milliseconds, CPU time in seconds.
pub(crate) fn measure(runtime: &dyn Runtime, span: Span, tasks: usize) -> io::Result<Vec<f64>> {
    let naps = Arc::new(Naps::new(tasks, span));
    let before = Usage::now()?.cpu_nanos;
    runtime.sleep(&naps)?;
    let cpu_nanos = Usage::now()?.cpu_nanos - before;
    let late = naps.lateness()?;
    let millis = |share: f64| late[((late.len() - 1) as f64 * share) as usize] as f64 / 1e6;
    Ok(vec![
        millis(0.5),
        millis(0.99),
        millis(1.0),
        cpu_nanos as f64 / 1e9,
    ])
}

/// How long the sleeps are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Smoke,
    UpToOne,
    OneToTwo,
}

impl Span {
    /// The task that measures it.
    fn task(self) -> Task {
        match self {
            Self::Smoke => Task::SleepSmoke,
            Self::UpToOne => Task::SleepUpToOne,
            Self::OneToTwo => Task::SleepOneToTwo,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Smoke => "0 to 20 ms",
            Self::UpToOne => "0 to 1 s",
            Self::OneToTwo => "1 to 2 s",
        }
    }

    /// The shortest sleep, and by how much the longest one is longer.
    fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Smoke => (Duration::ZERO, Duration::from_millis(20)),
            Self::UpToOne => (Duration::ZERO, Duration::from_secs(1)),
            Self::OneToTwo => (Duration::from_secs(1), Duration::from_secs(1)),
        }
    }
}

/// All sleeps of one measurement.
#[derive(Debug)]
pub(crate) struct Naps {
    span: Span,
    /// How late each was, in nanoseconds; written by its task at its end.
    late_nanos: Vec<AtomicU64>,
    /// How many ended before their time.
    early: AtomicUsize,
    /// How many are over.
    over: AtomicUsize,
}

/// One sleep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nap {
    index: usize,
    start: Instant,
    /// How long to sleep.
    pub(crate) length: Duration,
}

/// The shortest sleep of all.
const SHORTEST: Duration = Duration::from_micros(1);

impl Naps {
    fn new(tasks: usize, span: Span) -> Self {
        Self {
            span,
            late_nanos: (0..tasks).map(|_| AtomicU64::new(0)).collect(),
            early: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.late_nanos.len()
    }

    /// Begins sleep `index`, now.
    pub(crate) fn begin(&self, index: usize) -> Nap {
        // Knuth's multiplicative hash: spreads neighbours evenly.
        let hash = (index as u32).wrapping_mul(2_654_435_761);
        let (shortest, spread) = self.span.bounds();
        Nap {
            index,
            start: Instant::now(),
            // Never zero: that is a yield, which waits for its turn, not for the clock.
            length: SHORTEST + shortest + spread.mul_f64(f64::from(hash) / f64::from(u32::MAX)),
        }
    }

    /// The sleep has ended, now; true for the last of all.
    pub(crate) fn end(&self, nap: Nap) -> bool {
        match nap.start.elapsed().checked_sub(nap.length) {
            Some(late) => {
                self.late_nanos[nap.index].store(late.as_nanos() as u64, Ordering::Relaxed);
            }
            None => {
                self.early.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.over.fetch_add(1, Ordering::AcqRel) + 1 == self.len()
    }

    /// In ascending order, in nanoseconds.
    fn lateness(&self) -> io::Result<Vec<u64>> {
        let mut late: Vec<u64> = self
            .late_nanos
            .iter()
            .map(|late| late.load(Ordering::Relaxed))
            .collect();
        late.sort_unstable();
        let (early, over) = (
            self.early.load(Ordering::Relaxed),
            self.over.load(Ordering::Relaxed),
        );
        if early > 0 || over != late.len() {
            return Err(io::Error::other(format!(
                "{over} of {} sleeps ended, {early} of them too early",
                late.len()
            )));
        }
        Ok(late)
    }
}

/// How long a measurement may take beside the usual allowance.
const LIMIT: Duration = Duration::from_secs(30);

const METRICS: &[Metric] = &[
    Metric {
        name: "late, median, ms",
        better: Better::Lower,
    },
    Metric {
        name: "99th percentile",
        better: Better::Lower,
    },
    Metric {
        name: "latest",
        better: Better::Lower,
    },
    Metric {
        name: "CPU, s",
        better: Better::Lower,
    },
];
