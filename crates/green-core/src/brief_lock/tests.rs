//! One owner at a time, also if there are more OS threads than cores and owners lose theirs.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

use std::sync::mpsc;
use std::thread;

use super::{BriefMutex, LONGEST};

/// More than there are cores on most machines, so that owners are preempted.
const THREADS: u64 = 16;
const ROUNDS: u64 = 20_000;

#[test]
fn there_is_one_owner_at_a_time() {
    // Two halves that agree unless somebody else is between them.
    let lock = BriefMutex::new((0_u64, 0_u64));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut halves = lock.lock();
                    assert_eq!(halves.0, halves.1);
                    halves.0 += 1;
                    halves.1 += 1;
                }
            });
        }
    });
    assert_eq!(lock.into_inner(), (THREADS * ROUNDS, THREADS * ROUNDS));
}

#[test]
fn an_owner_that_stops_is_waited_for() {
    let lock = BriefMutex::new(0);
    let (waiting, told) = mpsc::channel();
    thread::scope(|scope| {
        let mut owned = lock.lock();
        scope.spawn(|| {
            waiting.send(()).expect("somebody listens");
            *lock.lock() += 1;
        });
        told.recv().expect("somebody waits");
        // Long enough for the other one to have gone to sleep, more than once.
        thread::sleep(LONGEST * 10);
        *owned = 41;
    });
    assert_eq!(lock.into_inner(), 42);
}

#[test]
fn a_taken_lock_is_not_taken_by_trying() {
    let lock = BriefMutex::new(());
    let owned = lock.lock();
    assert!(lock.try_lock().is_none());
    drop(owned);
    assert!(lock.try_lock().is_some());
}

#[test]
fn an_owner_that_panics_gives_it_back() {
    let lock = BriefMutex::new(());
    thread::scope(|scope| {
        let owner = scope.spawn(|| {
            let _owned = lock.lock();
            std::panic::resume_unwind(Box::new(()));
        });
        owner.join().unwrap_err();
    });
    assert!(lock.try_lock().is_some());
}
