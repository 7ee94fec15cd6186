//! Which hub a new green thread starts on.
//!
//! A green thread is placed when it is spawned, may be handed to an idle hub until it first runs, and
//! never moves afterwards. Its spawner's hub is preferred (it shares the spawner's cache lines and
//! needs no message) unless that hub has clearly more live green threads than another.

use super::{HubShared, Local, hubs};

/// How many more live green threads the spawner's hub may have before a new one goes elsewhere.
const IMBALANCE: u64 = 64;

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
