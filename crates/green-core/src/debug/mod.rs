//! Watching the runtime: counts, a dump of every live green thread, and where one of them waits.
//!
//! | function | tells |
//! |---|---|
//! | [`stats`] | counts over the whole runtime |
//! | [`dump`] | a line for each green thread that lives |
//! | [`trace()`] | where in its code one of them waits |
//! | [`stack_usage`] | how far stacks are used |
//!
//! and [`kill`] ends one by the id that a dump shows. Who keeps a hub from switching is told by
//! [`Config::watchdog`](crate::Config::watchdog).

mod trace;

use std::fmt;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::engine::make_room;
use crate::sched::control::{Control, State};
use crate::sched::registry::{MIGRATING, Registry};
use crate::sched::slot::Waiting;
use crate::sched::{self, WaitFor};
use crate::{reactor, threadpool};

pub use crate::error::TraceError;
pub use crate::trace::Trace;
pub use trace::{kill, trace};

/// Counts over the whole runtime, since it started or now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Hubs; zero before the runtime has started.
    pub hubs: usize,
    /// Green threads that have been spawned and have not ended.
    pub live: usize,
    /// Green threads that have ended since the start.
    pub finished: u64,
    /// Switches to green threads since the start.
    pub switches: u64,
    /// Polls since the start.
    pub polls: u64,
    /// Stacks that run a green thread or wait for one.
    pub carriers: u64,
    /// Stacks that wait for a green thread.
    pub idle_carriers: u64,
    /// Green threads whose stacks overflowed and that were isolated since the start.
    pub isolated: u64,
    /// Green threads that wait for a stack because the system has no room for another.
    pub queued: u64,
    /// Waits with a time limit, sleeps, and green threads to be started later.
    pub timers: u64,
    /// File descriptors that a poller watches.
    pub sources: usize,
    /// OS threads of the blocking pool.
    pub blocking_threads: usize,
}

/// Counts over the whole runtime. Taken hub by hub, without stopping them.
///
/// # Examples
///
/// ```
/// let before = green_core::stats().finished;
/// green_core::spawn(|| ()).join();
/// assert_eq!(green_core::stats().hubs > 0, true);
/// assert!(green_core::stats().finished >= before);
/// ```
pub fn stats() -> Stats {
    let mut stats = Stats {
        sources: reactor::registered(),
        blocking_threads: threadpool::threads(),
        ..Stats::default()
    };
    for registry in registries() {
        let (live, ended) = registry.counts();
        stats.live += live;
        stats.finished += ended;
    }
    for hub in sched::hubs() {
        let counters = &hub.counters;
        stats.hubs += 1;
        stats.switches += counters.switches.load(Ordering::Relaxed);
        stats.polls += counters.polls.load(Ordering::Relaxed);
        stats.carriers += counters.carriers.load(Ordering::Relaxed);
        stats.idle_carriers += counters.idle_carriers.load(Ordering::Relaxed);
        stats.isolated += counters.isolated.load(Ordering::Relaxed);
        stats.queued += counters.held.load(Ordering::Relaxed);
        stats.timers += counters.timers.load(Ordering::Relaxed);
    }
    stats
}

/// How far the green threads of one spawn site have used their stacks.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StackUsage {
    /// Where they were spawned.
    pub site: &'static Location<'static>,
    /// How many of them have ended.
    pub ended: u64,
    /// The smallest stack one of them had, in bytes.
    pub stack_size: usize,
    /// The most that one of them used of its stack, in bytes.
    pub peak: usize,
}

/// How far green threads have used their stacks, by where they were spawned, the largest peak first: for the choice of
/// a stack size.
///
/// Empty unless [`Config::measure_stacks`](crate::Config::measure_stacks) or `GREEN_MEASURE_STACKS=1` asks for it.
/// Green threads that have not ended are not in it. A peak of less than 12 KiB is an upper bound; memory that
/// was swapped out meanwhile is not seen. Debug builds need
/// several times the stack that release builds need.
///
/// # Examples
///
/// ```
/// green_core::Config::new().measure_stacks(true).apply()?;
/// green_core::spawn(|| println!("hello")).join();
/// green_core::run(|| ()); // The first one has left its stack by now.
/// for usage in green_core::stack_usage() {
///     println!("{}: {} of {} B", usage.site, usage.peak, usage.stack_size);
///     assert!(usage.peak < usage.stack_size);
/// }
/// # Ok::<(), green_core::AlreadyStarted>(())
/// ```
pub fn stack_usage() -> Vec<StackUsage> {
    let mut all: Vec<_> = sched::stack_usage::all()
        .into_iter()
        .map(|usage| StackUsage {
            site: usage.site,
            ended: usage.ended,
            stack_size: usage.stack_size,
            peak: usage.peak,
        })
        .collect();
    all.sort_by_key(|usage| std::cmp::Reverse(usage.peak));
    all
}

/// Writes a line for every live green thread: id, name, hub, state, what it waits for and since when,
/// and where it was spawned.
///
/// Works from any OS thread, also while a hub is busy or stuck.
///
/// # Errors
///
/// What `out` returns.
///
/// # Examples
///
/// ```
/// let g = green_core::spawn(|| green_core::sleep(std::time::Duration::from_secs(600)));
/// let mut text = Vec::new();
/// green_core::dump(&mut text)?;
/// assert!(String::from_utf8_lossy(&text).contains(&format!("#{}", g.id())));
/// g.kill();
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump(out: &mut impl Write) -> io::Result<()> {
    make_room();
    let mut live: Vec<_> = registries().flat_map(Registry::snapshot).collect();
    live.sort_by_key(|control| control.id());
    writeln!(out, "{} green threads", live.len())?;
    let now = now();
    for control in live {
        writeln!(out, "{}", Line::new(&control, now))?;
    }
    Ok(())
}

/// What there is to say about a green thread: see [`dump`].
pub(crate) struct Line<'a> {
    control: &'a Control,
    /// What time it is: see [`sched::coarse`].
    now: u32,
}

impl<'a> Line<'a> {
    pub(crate) fn new(control: &'a Control, now: u32) -> Self {
        Self { control, now }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = self.control;
        let name = control.name().unwrap_or("-");
        let hub = control.slot().map_or(control.hub(), |slot| slot.hub.id);
        write!(f, "#{} {name} hub {hub} ", control.id())?;
        match (control.state(), control.slot()) {
            (State::Started, Some(slot)) => self.write_waiting(f, slot.waiting())?,
            (State::Started, None) => f.write_str("runs on may")?,
            (State::Finished | State::KilledNew | State::KilledAside, _) => f.write_str("ended")?,
            _ => f.write_str("not started")?,
        }
        write!(f, ", spawned at {}", control.site())
    }
}

impl Line<'_> {
    fn write_waiting(&self, f: &mut fmt::Formatter<'_>, waiting: Waiting) -> fmt::Result {
        let Waiting {
            what,
            detail,
            since,
        } = waiting;
        match what {
            WaitFor::Nothing => return f.write_str("running"),
            WaitFor::Read | WaitFor::Write => write!(f, "waits for {what} of fd {detail}")?,
            _ => write!(f, "waits for {what}")?,
        }
        write!(f, " since {:.3?}", sched::coarse_span(since, self.now))
    }
}

/// What time it is, for [`Line`].
pub(crate) fn now() -> u32 {
    sched::coarse(sched::clock(Instant::now()))
}

/// Everything that lists green threads.
pub(crate) fn registries() -> impl Iterator<Item = &'static Registry> {
    let hubs = sched::hubs().iter().map(|hub| &hub.registry);
    hubs.chain([&MIGRATING])
}
