//! A hammer on `Mutex`: notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use green_core::sync::Mutex;
use green_core::{sleep, timeout, yield_now};
use hammer::Rng;

const WORKERS: u64 = 24;
const VICTIMS: u64 = 24;
const ROUNDS: u64 = 60;

/// Two counters that are equal whenever the lock is free.
type Shared = Arc<Mutex<(u64, u64)>>;

/// Adds to both, with a pause in between.
fn add(shared: &Shared, rng: &mut Rng) {
    let mut guard = shared.lock().expect("nobody panics");
    let before = guard.0;
    assert_eq!(guard.0, guard.1, "the holder is alone");
    if rng.below(3) == 0 {
        yield_now();
    }
    guard.0 = before + 1;
    guard.1 = before + 1;
}

#[test]
fn mutex() {
    let before = hammer::start();
    let shared = Shared::default();
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed);
            (0..ROUNDS).for_each(|_| add(&shared, &mut rng));
        }
    });
    let impatient = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed + 100);
            // A limit that ends the wait leaves the lock alone.
            let wait = |limit| timeout(limit, || drop(shared.lock().expect("nobody panics")));
            (0..ROUNDS).filter(|_| wait(rng.limit()).is_err()).count()
        }
    });
    let victims = hammer::on_all_hubs(VICTIMS, |_| {
        let shared = Arc::clone(&shared);
        move || {
            for _ in 0..1_000_000 {
                drop(shared.lock().expect("nobody panics"));
                yield_now();
            }
        }
    });
    let os_threads = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut rng = Rng::new(seed + 200);
            (0..ROUNDS).for_each(|_| add(&shared, &mut rng));
        })
    });
    let coroutines = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe {
            may::coroutine::spawn(move || {
                let mut rng = Rng::new(seed + 300);
                (0..ROUNDS).for_each(|_| add(&shared, &mut rng));
            })
        }
    });
    let cancelled = [1, 2, 3, 4].map(|_| {
        let shared = Arc::clone(&shared);
        let begun = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&begun);
        let work = move || {
            for round in 0..1_000_000 {
                theirs.store(round, Ordering::Relaxed);
                drop(shared.lock());
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
    os_threads
        .into_iter()
        .for_each(|os_thread| os_thread.join().unwrap());
    coroutines
        .into_iter()
        .for_each(|coroutine| coroutine.join().unwrap());
    for (_, coroutine) in cancelled {
        assert!(coroutine.join().is_err(), "it was cancelled");
    }
    assert!(workers.iter().all(|worker| worker.get().is_ok()));
    let expected = (WORKERS + 4) * ROUNDS;
    assert!(!shared.is_poisoned());
    assert_eq!(*shared.try_lock().unwrap(), (expected, expected));
    hammer::settled(&before);
}
