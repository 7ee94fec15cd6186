//! Whether anything can still happen without the outside: gevent's "the loop has nothing left to do".
//!
//! It is *quiet* when every hub sleeps with an empty inbox, no timer runs, and every green thread that has been started is
//! parked where only another one, or the program outside, can wake it: at a lock, an event, a queue, a join.
//!
//! # Protocol
//!
//! 1. Whoever waits for it leaves a watcher, says so in [`WATCHED`], and looks.
//! 2. A hub that is about to sleep announces that (`sched::inbox`), and looks if [`WATCHED`] says that somebody waits.
//! 3. Whoever finds it quiet tells the watchers.
//!
//! Whatever ends a quiet time wakes a hub, and whatever begins one is a hub that falls asleep, so 2 misses none; and by the
//! fences between the writes and the reads of 1 and 2, either the hub sees the watcher or the one who waits sees the hub asleep.
//!
//! # Not seen
//!
//! What OS threads and `may` coroutines will do, and blocking jobs whose callers were killed. Migrating green threads are never
//! quiet.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use parking_lot::Mutex;

use crate::engine::make_room;
use crate::sched::control::{Control, State};
use crate::sched::registry::{MIGRATING, Registry};
use crate::sched::{self, WaitFor};
use crate::waitable::{Waitable, Watcher, Watchers};

/// Ready when it is quiet, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet;

/// Who waits for it.
static WATCHERS: Mutex<Watchers> = Mutex::new(Watchers::new());

/// Whether anybody does: what every hub looks at before it sleeps.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Timers that do not count: those of green threads that wait for just this.
static OWN_TIMERS: AtomicUsize = AtomicUsize::new(0);

impl Waitable for Quiet {
    fn watch(&self, watcher: &Watcher) {
        make_room();
        let mut watchers = WATCHERS.lock();
        watchers.add(watcher);
        WATCHED.store(true, Ordering::Relaxed);
        drop(watchers);
        fence(Ordering::SeqCst);
        look();
    }

    fn unwatch(&self, watcher: &Watcher) {
        let mut watchers = WATCHERS.lock();
        let removed = watchers.remove(watcher);
        WATCHED.store(!watchers.is_empty(), Ordering::Relaxed);
        drop(watchers);
        drop(removed);
    }
}

/// Whether a hub that is about to sleep is to look.
#[inline]
pub(super) fn is_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

/// Tells the watchers if it is quiet.
#[cold]
pub(super) fn look() {
    // Who comes later may have made work first, which this look has not seen: they look themselves.
    make_room();
    let before = WATCHERS.lock().snapshot();
    if before.is_empty() || !is_quiet() {
        return;
    }
    let mut watchers = WATCHERS.lock();
    let told: Vec<Watcher> = before
        .iter()
        .filter_map(|watcher| watchers.remove(watcher))
        .collect();
    WATCHED.store(!watchers.is_empty(), Ordering::Relaxed);
    drop(watchers);
    told.iter().for_each(Watcher::tell);
}

/// A green thread waits for this with a timer of its own.
#[derive(Debug)]
pub(crate) struct OwnTimer(());

impl OwnTimer {
    pub(crate) fn new() -> Self {
        OWN_TIMERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for OwnTimer {
    fn drop(&mut self) {
        OWN_TIMERS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_quiet() -> bool {
    let Some(before) = switches_of_sleepers() else {
        return false;
    };
    let timers: u64 = sched::hubs()
        .iter()
        .map(|hub| hub.counters.timers.load(Ordering::Relaxed))
        .sum();
    if timers > OWN_TIMERS.load(Ordering::Relaxed) as u64 {
        return false;
    }
    let is_all_parked = |registry: &Registry| {
        let all = registry.snapshot();
        all.iter().all(|control| is_parked(control))
    };
    let hubs = sched::hubs().iter().map(|hub| &hub.registry);
    // Nobody has run meanwhile: what was seen was so at one time.
    hubs.chain([&MIGRATING]).all(is_all_parked) && switches_of_sleepers() == Some(before)
}

/// How many switches there have been, if all hubs sleep.
fn switches_of_sleepers() -> Option<u64> {
    fence(Ordering::SeqCst);
    sched::hubs().iter().try_fold(0, |switches, hub| {
        let own = hub.counters.switches.load(Ordering::Relaxed);
        hub.inbox().is_asleep_and_empty().then_some(switches + own)
    })
}

/// Whether only another green thread, or the outside, can go on with this one. A sleep that ends has a timer.
fn is_parked(control: &Control) -> bool {
    match (control.state(), control.slot()) {
        (State::Unstarted | State::Finished, _) => true,
        (State::Started, Some(slot)) => !matches!(
            slot.waiting().what,
            WaitFor::Nothing
                | WaitFor::Yield
                | WaitFor::Read
                | WaitFor::Write
                | WaitFor::Blocking
                | WaitFor::Idle
        ),
        _ => false,
    }
}
