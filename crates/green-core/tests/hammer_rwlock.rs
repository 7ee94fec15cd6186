//! A hammer on `RwLock`: hand-overs, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use green_core::sync::{RwLock, RwLockWriteGuard};
use green_core::{sleep, timeout, yield_now};
use hammer::Rng;

const WORKERS: u64 = 16;
const ROUNDS: u64 = 60;

/// Two counters that are equal whenever nobody writes.
type Shared = Arc<RwLock<(u64, u64)>>;

/// Adds to both, with a pause in between; then may read on.
fn add(shared: &Shared, rng: &mut Rng) {
    let mut guard = shared.write().expect("nobody panics");
    let before = guard.0;
    assert_eq!(guard.0, guard.1, "the writer is alone");
    guard.0 = before + 1;
    if rng.below(3) == 0 {
        yield_now();
    }
    guard.1 = before + 1;
    if rng.below(3) == 0 {
        let guard = RwLockWriteGuard::downgrade(guard);
        yield_now();
        assert_eq!(*guard, (before + 1, before + 1), "no writer came between");
    }
}

/// Looks at both, with a pause in between.
fn look(shared: &Shared, rng: &mut Rng) {
    let guard = shared.read().expect("nobody panics");
    let before = guard.0;
    if rng.below(3) == 0 {
        yield_now();
    }
    assert_eq!(*guard, (before, before), "nobody writes");
}

/// Mostly looks; returns how often it added.
fn work(shared: &Shared, rng: &mut Rng) -> u64 {
    let mut added = 0;
    for _ in 0..ROUNDS {
        if rng.below(3) == 0 {
            add(shared, rng);
            added += 1;
        } else {
            look(shared, rng);
        }
    }
    added
}

#[test]
fn rwlock() {
    let before = hammer::start();
    let shared = Shared::default();
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || work(&shared, &mut Rng::new(seed))
    });
    let impatient = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed + 100);
            for _ in 0..ROUNDS {
                let limit = rng.limit();
                // A limit that ends the wait leaves the lock alone.
                let limited = if rng.below(2) == 0 {
                    timeout(limit, || drop(shared.write().expect("nobody panics")))
                } else {
                    timeout(limit, || drop(shared.read().expect("nobody panics")))
                };
                limited.ok();
            }
        }
    });
    let victims = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            for round in 0..1_000_000 {
                if (seed + round) % 3 == 0 {
                    drop(shared.write().expect("nobody panics"));
                } else {
                    drop(shared.read().expect("nobody panics"));
                }
                yield_now();
            }
        }
    });
    let os_threads = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || work(&shared, &mut Rng::new(seed + 200)))
    });
    let coroutines = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe { may::coroutine::spawn(move || work(&shared, &mut Rng::new(seed + 300))) }
    });
    let cancelled = [1, 2, 3, 4].map(|seed| {
        let shared = Arc::clone(&shared);
        let begun = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&begun);
        let work = move || {
            for round in 0..1_000_000 {
                theirs.store(round, Ordering::Relaxed);
                if (seed + round) % 2 == 0 {
                    drop(shared.write().expect("nobody panics"));
                } else {
                    drop(shared.read().expect("nobody panics"));
                }
                yield_now();
            }
        };
        // SAFETY: as above.
        (begun, unsafe { may::coroutine::spawn(work) })
    });
    for (begun, coroutine) in &cancelled {
        support::eventually("it is at work", || begun.load(Ordering::Relaxed) > 3);
        // SAFETY: the coroutine has nothing that must not be unwound.
        unsafe { coroutine.coroutine().cancel() };
    }
    hammer::kill_in_random_order(&victims, &mut Rng::new(400));
    sleep(std::time::Duration::from_millis(5));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("workers", &workers);
    hammer::all_end("impatient", &impatient);
    let mut expected: u64 = workers.iter().map(|worker| worker.get().unwrap()).sum();
    for os_thread in os_threads {
        expected += os_thread.join().unwrap();
    }
    for coroutine in coroutines {
        expected += coroutine.join().unwrap();
    }
    for (_, coroutine) in cancelled {
        assert!(coroutine.join().is_err(), "it was cancelled");
    }
    // A cancel that comes while the lock is held for writing is a panic as any other.
    shared.clear_poison();
    assert_eq!(*shared.try_write().unwrap(), (expected, expected));
    hammer::settled(&before);
}
