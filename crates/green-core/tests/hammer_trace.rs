//! Traces, kills, notifications and time limits race on 200 green threads.

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use green_core::debug::{TraceError, kill, trace};
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::{Config, Failure, sleep, timeout, yield_now};
use hammer::Rng;

const WORKERS: u64 = 200;
const ROUNDS: u64 = 60;

/// From an OS thread: a green thread would not be at rest when the hammer begins.
fn on(hubs: usize, hammer: fn()) {
    Config::new()
        .hubs(hubs)
        .apply()
        .expect("each test has a process of its own");
    hammer();
}

macro_rules! on_every_number_of_hubs {
    ($($name:ident)*) => {
        mod on_one_hub {
            $(#[test] fn $name() { super::on(1, super::$name); })*
        }
        mod on_two_hubs {
            $(#[test] fn $name() { super::on(2, super::$name); })*
        }
        mod on_eight_hubs {
            $(#[test] fn $name() { super::on(8, super::$name); })*
        }
    };
}

on_every_number_of_hubs! {
    nothing_is_lost
    permits_and_items_are_conserved
}

/// What a tracer does until it is killed; it counts what it has seen.
fn traces(ids: Vec<std::num::NonZeroU64>, seed: u64, seen: Arc<AtomicU64>) {
    let mut rng = Rng::new(seed);
    loop {
        let id = ids[usize::try_from(rng.below(ids.len() as u64)).expect("an index")];
        match trace(id, Duration::from_millis(rng.below(3))) {
            Ok(trace) => {
                drop(trace);
                seen.fetch_add(1, Ordering::Relaxed);
            }
            Err(TraceError::NoRoom | TraceError::Migrating) => panic!("neither is there"),
            Err(_) => yield_now(),
        }
    }
}

fn tracers(ids: &[std::num::NonZeroU64], seen: &Arc<AtomicU64>) -> Vec<green_core::Greenlet<()>> {
    hammer::on_all_hubs(4, |number| {
        let (ids, seen) = (ids.to_vec(), Arc::clone(seen));
        move || traces(ids, number + 1, seen)
    })
}

fn nothing_is_lost() {
    let before = hammer::start();
    let (gate, seen) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let workers = hammer::on_all_hubs(WORKERS, |number| {
        let gate = Arc::clone(&gate);
        move || {
            let mut rng = Rng::new(number);
            for _ in 0..ROUNDS {
                match rng.below(4) {
                    0 => sleep(rng.limit()),
                    1 => drop(timeout(rng.limit(), || gate.acquire().forget())),
                    2 => drop(gate.acquire_timeout(rng.limit())),
                    _ => yield_now(),
                }
            }
            // For ever, but for a kill.
            gate.acquire().forget();
        }
    });
    let ids: Vec<_> = workers.iter().map(green_core::Greenlet::id).collect();
    let tracers = tracers(&ids, &seen);
    let mut rng = Rng::new(99);
    for _ in 0..ROUNDS {
        gate.release();
        sleep(rng.limit());
        let id = ids[usize::try_from(rng.below(WORKERS)).expect("an index")];
        kill(id);
    }
    hammer::kill_in_random_order(&workers, &mut rng);
    for id in ids {
        kill(id);
    }
    hammer::all_end("workers", &workers);
    let ended_well =
        |worker: &green_core::Greenlet<()>| matches!(worker.get(), Ok(()) | Err(Failure::Killed));
    assert!(workers.iter().all(ended_well));
    assert!(seen.load(Ordering::Relaxed) > 0);
    green_core::killall(&tracers);
    drop((workers, tracers));
    hammer::settled(&before);
}

fn permits_and_items_are_conserved() {
    let before = hammer::start();
    let (items, permits) = (Queue::bounded(4), Arc::new(Semaphore::new(3)));
    let (sum, seen) = (Arc::new(Mutex::new(0_u64)), Arc::new(AtomicU64::new(0)));
    let workers = hammer::on_all_hubs(WORKERS, |number| {
        let (items, permits, sum) = (items.clone(), Arc::clone(&permits), Arc::clone(&sum));
        move || {
            let mut rng = Rng::new(number);
            for _ in 0..ROUNDS / 4 {
                let permit = permits.acquire();
                if rng.below(3) == 0 {
                    yield_now();
                }
                drop(permit);
                if number % 2 == 0 {
                    items.put(1).expect("it is open");
                } else {
                    *sum.lock().expect("nobody panics") += items.get().expect("it is open");
                }
            }
        }
    });
    let ids: Vec<_> = workers.iter().map(green_core::Greenlet::id).collect();
    let tracers = tracers(&ids, &seen);
    hammer::all_end("workers", &workers);
    green_core::killall(&tracers);
    assert!(seen.load(Ordering::Relaxed) > 0);
    assert_eq!(
        *sum.lock().expect("nobody panics"),
        WORKERS / 2 * (ROUNDS / 4)
    );
    assert_eq!(items.len(), 0);
    assert_eq!(permits.available(), 3);
    drop((workers, tracers));
    hammer::settled(&before);
}
