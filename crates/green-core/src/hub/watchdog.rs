//! An OS thread that tells of green threads which keep their hub from running others.
//!
//! It looks at what each hub counts. A hub that is awake and has counted nothing for the limit is stuck in the green thread
//! that runs there: a computation, a call that blocks the OS thread, a lock of std's. That costs the hubs nothing.
//!
//! Where in its code the green thread is, its OS thread finds out itself, at a signal ([`sample`]). The answer says at which
//! count of the hub it was found: if that is the one that stood still, it is of the green thread that is told of. It comes
//! within [`PATIENCE`], or the rest is told without.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::engine::sample;
use crate::sched::control::{State, label};
use crate::sched::record::ControlRef;
use crate::sched::slot::Slot;
use crate::sched::{self, HubShared, WaitFor};
use crate::trace::{InnerEnd, Trace};

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod tests;

/// How many looks there are in the limit.
const LOOKS: u32 = 4;

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long to wait for the frames of a green thread: its OS thread may have to wait for a core.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait between two looks for them.
const GLANCE: Duration = Duration::from_micros(200);

/// Starts it, before the hubs.
pub(super) fn start(
    hubs: &[&'static HubShared],
    settings: &Settings,
    limit: Duration,
) -> io::Result<()> {
    if let Some(signal) = settings.watchdog_signal
        && let Err(error) = sample::prepare(signal, running)
    {
        log::warn!(
            "green: the watchdog tells no backtraces: no handler for signal {signal}: {error}"
        );
    }
    let mut watched: Vec<_> = hubs.iter().map(|hub| Watched::new(hub)).collect();
    let pause = (limit / LOOKS).max(SHORTEST);
    #[expect(
        clippy::disallowed_methods,
        reason = "the OS thread has nothing else to do"
    )]
    let watch = move || -> ! {
        loop {
            thread::sleep(pause);
            for index in 0..watched.len() {
                if let Some(stuck) = watched[index].look(limit) {
                    tell(&watched, index, stuck);
                }
            }
        }
    };
    thread::Builder::new()
        .name("green-watchdog".into())
        .spawn(watch)?;
    Ok(())
}

/// A hub, and what was seen of it.
struct Watched {
    hub: &'static HubShared,
    /// What it had counted at the last look.
    counted: (u64, u64),
    /// Since when it has counted nothing.
    since: Instant,
    /// Whether this standstill has been told of.
    is_told: bool,
}

impl Watched {
    fn new(hub: &'static HubShared) -> Self {
        Self {
            hub,
            counted: (0, 0),
            since: Instant::now(),
            is_told: false,
        }
    }

    /// For how long it has been stuck, if that is as long as `limit`, and has not been told.
    fn look(&mut self, limit: Duration) -> Option<Duration> {
        let counters = &self.hub.counters;
        let counted = (
            counters.switches.load(Ordering::Relaxed),
            counters.polls.load(Ordering::Relaxed),
        );
        let now = Instant::now();
        if counted != self.counted || self.hub.inbox().is_asleep() {
            self.counted = counted;
            self.since = now;
            self.is_told = false;
            return None;
        }
        let stuck = now - self.since;
        if self.is_told || stuck < limit {
            return None;
        }
        self.is_told = true;
        Some(stuck)
    }

    /// Where the green thread is that has kept the hub since the last look, if it does still.
    #[expect(
        clippy::disallowed_methods,
        reason = "the OS thread has nothing else to do"
    )]
    fn trace(&self) -> Option<Trace> {
        let sample = self.hub.sample.get().filter(|sample| sample.ask())?;
        let end = Instant::now() + PATIENCE;
        while !sample.is_done() {
            if Instant::now() >= end {
                sample.withdraw();
                return None;
            }
            thread::sleep(GLANCE);
        }
        let (switches, frames) = sample.answer()?;
        (switches == self.counted.0).then(|| Trace::new(frames, InnerEnd::Interrupted))
    }

    /// Whether `control` is the green thread that runs on this hub.
    fn runs(&self, control: &ControlRef) -> bool {
        let is_here = |slot: &Slot| {
            std::ptr::eq(slot.hub, self.hub) && slot.waiting().what == WaitFor::Nothing
        };
        control.state() == State::Started && control.slot().is_some_and(is_here)
    }
}

/// Says who keeps a hub from switching.
fn tell(watched: &[Watched], index: usize, stuck: Duration) {
    let this = &watched[index];
    // A green thread is listed where it was spawned.
    let mut live = watched.iter().flat_map(|each| each.hub.registry.snapshot());
    let Some(control) = live.find(|control| this.runs(control)) else {
        return;
    };
    let (who, hub) = (label(&control), this.hub.id);
    match this.trace() {
        Some(trace) => {
            log::warn!(
                "green: {who} has kept hub {hub} from switching for {stuck:.1?}, in\n{trace}"
            );
        }
        None => log::warn!("green: {who} has kept hub {hub} from switching for {stuck:.1?}"),
    }
}

/// Whether a green thread is in the midst of its own code on the calling OS thread, a hub's; if so, how many switches the
/// hub has counted. For the signal handler.
fn running() -> Option<u64> {
    let own = sched::current()?;
    let switches = &own.hub.shared.counters.switches;
    own.is_between_switches()
        .then(|| switches.load(Ordering::Relaxed))
}
