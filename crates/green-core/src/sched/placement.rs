//! Which hub a new green thread starts on.
//!
//! A green thread is placed when it is spawned, may be handed to an idle hub until it first runs, and
//! never moves afterwards. Its spawner's hub is preferred (it shares the spawner's cache lines and
//! needs no message) unless that hub has clearly more live green threads than another.

use std::sync::atomic::Ordering;

use super::{HubShared, Local, hubs};
use crate::engine::guard;

/// How many more live green threads the spawner's hub may have before a new one goes elsewhere: few, because a handful of
/// busy connections is a server's whole load; more than none, because a short one is done sooner than another hub has woken.
const IMBALANCE: u64 = 8;

/// The hub for a green thread that the calling OS thread spawns; `local` is its own hub.
pub(crate) fn place(local: Option<&'static Local>) -> &'static HubShared {
    let hubs = hubs();
    let Some(local) = local else {
        return less_loaded(hubs, random(hubs.len()), random(hubs.len()));
    };
    if hubs.len() == 1 {
        return local.shared;
    }
    let other = less_loaded(hubs, random(hubs.len()), random(hubs.len()));
    if local.shared.load() > other.load() + IMBALANCE {
        other
    } else {
        local.shared
    }
}

/// Whether the system has room for the stack of one more green thread, as far as can be told.
pub(crate) fn is_room(stack_size: usize) -> bool {
    let sum = |counter: fn(&HubShared) -> u64| hubs().iter().map(|hub| counter(hub)).sum::<u64>();
    if sum(|hub| hub.counters.held.load(Ordering::Relaxed)) != 0 {
        return false;
    }
    // Those that have not started need one, too.
    let stacks = sum(|hub| hub.counters.carriers.load(Ordering::Relaxed));
    let more = (sum(HubShared::load) + 1).saturating_sub(stacks);
    guard::has_room(stacks, more, stack_size)
}

fn less_loaded(hubs: &[&'static HubShared], a: usize, b: usize) -> &'static HubShared {
    if hubs[b].load() < hubs[a].load() {
        hubs[b]
    } else {
        hubs[a]
    }
}

/// A number below `bound`, from a small generator of the OS thread's own.
fn random(bound: usize) -> usize {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    let mut x = STATE.get();
    if x == 0 {
        x = RandomState::new().hash_one(0) | 1;
    }
    // xorshift64, Marsaglia 2003.
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    STATE.set(x);
    usize::try_from(x % bound as u64).unwrap_or(0)
}
