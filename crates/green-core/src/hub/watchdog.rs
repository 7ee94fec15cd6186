//! An OS thread that tells of green threads which keep their hub from running others.
//!
//! It looks at what each hub counts. A hub that is awake and has counted nothing for the limit is stuck in the green thread
//! that runs there: a computation, a call that blocks the OS thread, a lock of std's. It costs the hubs nothing; and for the
//! same reason it cannot say where in its code the green thread is, only who it is.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::sched::control::{State, label};
use crate::sched::record::ControlRef;
use crate::sched::{HubShared, WaitFor};

/// How many looks there are in the limit.
const LOOKS: u32 = 4;

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// Starts it.
pub(super) fn start(hubs: &[&'static HubShared], limit: Duration) -> io::Result<()> {
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

    /// Whether `control` is the green thread that runs on this hub.
    fn runs(&self, control: &ControlRef) -> bool {
        let is_here = |slot: &crate::sched::slot::Slot| {
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
    if let Some(control) = live.find(|control| this.runs(control)) {
        log::warn!(
            "green: {} has kept hub {} from switching for {stuck:.1?}",
            label(&control),
            this.hub.id
        );
    }
}
