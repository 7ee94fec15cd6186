//! Whether anything can still happen without the outside: gevent's "the loop has nothing left to do".
//!
//! It is *quiet* when every hub sleeps with an empty inbox, no timer runs, and every green thread that has been started is
//! parked where only another one, or the program outside, can wake it: at a lock, an event, a queue, a join. Whether the one
//! that waits for signals counts, is up to who asks.
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

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use parking_lot::Mutex;

use crate::engine::make_room;
use crate::sched::control::{Control, State};
use crate::sched::registry::{MIGRATING, Registry};
use crate::sched::{self, WaitFor};
use crate::waitable::{Waitable, Watcher, Watchers};

/// Ready when it is quiet, once. The greater is the lesser, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quiet {
    /// Nobody does anything, though a signal may come that is handled.
    ButForSignals,
    /// Nor is there a handler of signals.
    Wholly,
}

/// Who waits for it, for each kind.
static WATCHERS: Mutex<[Watchers; 2]> = Mutex::new([const { Watchers::new() }; 2]);

/// Whether anybody does: what every hub looks at before it sleeps.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The id of the green thread that waits for signals; zero, which is none's, before there was one.
static ASIDE: AtomicU64 = AtomicU64::new(0);

/// Timers that do not count: those of green threads that wait for just this.
static OWN_TIMERS: AtomicUsize = AtomicUsize::new(0);

impl Waitable for Quiet {
    fn watch(&self, watcher: &Watcher) {
        make_room();
        let mut watchers = WATCHERS.lock();
        watchers[*self as usize].add(watcher);
        WATCHED.store(true, Ordering::Relaxed);
        drop(watchers);
        fence(Ordering::SeqCst);
        look();
    }

    fn unwatch(&self, watcher: &Watcher) {
        make_room();
        let mut watchers = WATCHERS.lock();
        let removed = watchers[*self as usize].remove(watcher);
        note_watched(&watchers);
        drop(watchers);
        drop(removed);
    }
}

/// From now on it is this green thread that waits for signals.
pub(crate) fn set_aside(id: NonZeroU64) {
    ASIDE.store(id.get(), Ordering::Relaxed);
}

/// From now on it is `next` instead of `before`, unless it is another one already.
pub(crate) fn replace_aside(before: NonZeroU64, next: NonZeroU64) {
    // If it fails, there are new handlers, and who waits for their signals.
    let _ = ASIDE.compare_exchange(
        before.get(),
        next.get(),
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
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
    let before = WATCHERS.lock().each_ref().map(Watchers::snapshot);
    if before.iter().all(Vec::is_empty) {
        return;
    }
    let Some(quiet) = how_quiet() else { return };
    let mut told = Vec::new();
    let mut watchers = WATCHERS.lock();
    for (watchers, before) in watchers.iter_mut().zip(&before).take(quiet as usize + 1) {
        told.extend(before.iter().filter_map(|watcher| watchers.remove(watcher)));
    }
    note_watched(&watchers);
    drop(watchers);
    told.iter().for_each(Watcher::tell);
}

fn note_watched(watchers: &[Watchers; 2]) {
    let is_watched = !watchers.iter().all(Watchers::is_empty);
    WATCHED.store(is_watched, Ordering::Relaxed);
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

fn how_quiet() -> Option<Quiet> {
    let before = switches_of_sleepers()?;
    let timers: u64 = sched::hubs()
        .iter()
        .map(|hub| hub.counters.timers.load(Ordering::Relaxed))
        .sum();
    if timers > OWN_TIMERS.load(Ordering::Relaxed) as u64 {
        return None;
    }
    let hubs = sched::hubs().iter().map(|hub| &hub.registry);
    let mut all = hubs.chain([&MIGRATING]).flat_map(Registry::snapshot);
    let quiet = all.try_fold(Quiet::Wholly, |quiet, control| {
        Some(quiet.min(quiet_of(&control)?))
    })?;
    // Nobody has run meanwhile: what was seen was so at one time.
    (switches_of_sleepers() == Some(before)).then_some(quiet)
}

/// How many switches there have been, if all hubs sleep.
fn switches_of_sleepers() -> Option<u64> {
    fence(Ordering::SeqCst);
    sched::hubs().iter().try_fold(0, |switches, hub| {
        let own = hub.counters.switches.load(Ordering::Relaxed);
        hub.inbox().is_asleep_and_empty().then_some(switches + own)
    })
}

/// Whether only another green thread, or the outside, can go on with this one. A sleep that ends has a timer. What a future
/// waits for nobody knows: it may be I/O.
fn quiet_of(control: &Control) -> Option<Quiet> {
    match (control.state(), control.slot()) {
        (State::Unstarted | State::Finished, _) => Some(Quiet::Wholly),
        (State::Started, Some(slot)) => match slot.waiting().what {
            WaitFor::Read if control.id().get() == ASIDE.load(Ordering::Relaxed) => {
                Some(Quiet::ButForSignals)
            }
            WaitFor::Nothing
            | WaitFor::Yield
            | WaitFor::Read
            | WaitFor::Write
            | WaitFor::Blocking
            | WaitFor::Idle
            | WaitFor::Future => None,
            _ => Some(Quiet::Wholly),
        },
        _ => None,
    }
}
