//! How long green threads run between two switches, for those that ask.
//!
//! # Invariants
//!
//! 1. A hub that has a stopwatch is watched: then each switch of a green thread comes by [`Stopwatches::pause`] and
//!    [`Stopwatches::resume`].

use std::cell::RefCell;
use std::ptr;
use std::time::{Duration, Instant};

use super::slot::SlotLocal;
use crate::engine::make_room;

/// Those of one hub.
#[derive(Default)]
pub(crate) struct Stopwatches(RefCell<Vec<Stopwatch>>);

struct Stopwatch {
    /// Whose it is. One green thread may have several, one inside the other.
    own: &'static SlotLocal,
    /// Since when it runs.
    since: Instant,
    times: Times,
}

/// What a stopwatch has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// How often the green thread was switched away from.
    pub(crate) switches: u64,
    /// The longest time that it ran at a stretch.
    pub(crate) longest: Duration,
}

/// Starts a stopwatch of the running green thread.
pub(crate) fn start(own: &'static SlotLocal) -> Started {
    own.hub.stopwatches.0.borrow_mut().push(Stopwatch {
        own,
        since: Instant::now(),
        times: Times::default(),
    });
    own.hub.is_watched.set(true);
    Started { own }
}

/// A stopwatch that runs; stopped when it is dropped. The last one that a green thread started is stopped first.
pub(crate) struct Started {
    own: &'static SlotLocal,
}

impl Started {
    /// Stops it; what it has seen.
    pub(crate) fn stop(self) -> Times {
        let watches = self.own.hub.stopwatches.0.borrow();
        let last = watches.iter().rfind(|watch| watch.is_of(self.own));
        last.map(Stopwatch::times_so_far).unwrap_or_default()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        make_room();
        let hub = self.own.hub;
        let mut watches = hub.stopwatches.0.borrow_mut();
        if let Some(last) = watches.iter().rposition(|watch| watch.is_of(self.own)) {
            watches.remove(last);
        }
        if watches.is_empty() {
            hub.is_watched.set(hub.is_always_watched);
        }
    }
}

impl Stopwatches {
    /// The green thread is about to be switched away from.
    pub(crate) fn pause(&self, own: &SlotLocal) {
        for watch in self.0.borrow_mut().iter_mut() {
            if watch.is_of(own) {
                watch.times = watch.times_so_far();
                watch.times.switches += 1;
            }
        }
    }

    /// It runs again.
    pub(crate) fn resume(&self, own: &SlotLocal) {
        for watch in self.0.borrow_mut().iter_mut() {
            if watch.is_of(own) {
                watch.since = Instant::now();
            }
        }
    }
}

impl Stopwatch {
    /// With the stretch that it runs now.
    fn times_so_far(&self) -> Times {
        Times {
            longest: self.times.longest.max(self.since.elapsed()),
            ..self.times
        }
    }

    fn is_of(&self, own: &SlotLocal) -> bool {
        ptr::eq(self.own, own)
    }
}
