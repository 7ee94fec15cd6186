//! `sync::RwLock`.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, TryLockError};
use std::thread;
use std::time::Duration;

use green_core::queue::Queue;
use green_core::sync::{RwLock, RwLockWriteGuard};
use green_core::{Config, Greenlet, joinall, no_park, run, sleep, spawn, timeout, yield_now};

/// What the lock protects counts writers.
type Shared = Arc<RwLock<u32>>;

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

/// Reads, notes that, and keeps the lock for another turn.
fn reader(lock: &Shared, log: &Queue<&'static str>, name: &'static str) -> Greenlet<()> {
    let (lock, log) = (Arc::clone(lock), log.clone());
    spawn(move || {
        let _guard = lock.read().expect("nobody panics");
        log.put(name).expect("it is open");
        yield_now();
    })
}

/// The same as a writer.
fn writer(lock: &Shared, log: &Queue<&'static str>, name: &'static str) -> Greenlet<()> {
    let (lock, log) = (Arc::clone(lock), log.clone());
    spawn(move || {
        let mut guard = lock.write().expect("nobody panics");
        *guard += 1;
        log.put(name).expect("it is open");
        yield_now();
    })
}

/// What has been noted so far.
fn noted(log: &Queue<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| log.try_get().ok()).collect()
}

/// Nobody has the lock, and nobody waits.
fn assert_free(lock: &Shared) {
    assert!(lock.try_write().is_ok() && lock.try_read().is_ok());
}

#[test]
fn callers_are_served_in_order() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.write().unwrap();
        let waiters = [
            reader(&lock, &log, "r1"),
            reader(&lock, &log, "r2"),
            writer(&lock, &log, "w1"),
            writer(&lock, &log, "w2"),
            reader(&lock, &log, "r3"),
            writer(&lock, &log, "w3"),
        ];
        yield_now();
        drop(held);
        joinall(&waiters);
        assert_eq!(noted(&log), ["r1", "r2", "w1", "w2", "r3", "w3"]);
        assert_free(&lock);
    });
}

#[test]
fn readers_share_the_lock() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.read().unwrap();
        let other = lock.try_read().unwrap();
        let readers = [reader(&lock, &log, "r1"), reader(&lock, &log, "r2")];
        yield_now();
        assert_eq!(noted(&log), ["r1", "r2"]);
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        drop((held, other));
        joinall(&readers);
        assert_free(&lock);
    });
}

#[test]
fn nobody_passes_a_writer_that_waits() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.read().unwrap();
        let writes = writer(&lock, &log, "w");
        yield_now();
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        let reads = reader(&lock, &log, "r");
        yield_now();
        assert!(noted(&log).is_empty());
        drop(held);
        // Handed over already: a running caller does not take it.
        assert!(lock.try_write().is_err() && lock.try_read().is_err());
        joinall([&writes, &reads]);
        assert_eq!(noted(&log), ["w", "r"]);
    });
}

#[test]
fn a_writer_gets_its_turn_among_readers_that_never_leave_a_gap() {
    alone(|| {
        let lock = Shared::default();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let lock = Arc::clone(&lock);
                spawn(move || {
                    let mut guard = lock.read().unwrap();
                    for _ in 0..100_000 {
                        if *guard > 0 {
                            return;
                        }
                        yield_now();
                        drop(guard);
                        guard = lock.read().unwrap();
                    }
                    unreachable!("the writer starves");
                })
            })
            .collect();
        yield_now();
        *lock.write().unwrap() += 1;
        joinall(&readers);
        assert!(readers.iter().all(|reader| reader.get().is_ok()));
    });
}

#[test]
fn downgrade_lets_the_readers_in_that_wait_before_a_writer() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let mut held = lock.write().unwrap();
        let waiters = [
            reader(&lock, &log, "r1"),
            reader(&lock, &log, "r2"),
            writer(&lock, &log, "w"),
            reader(&lock, &log, "r3"),
        ];
        yield_now();
        *held = 10;
        let held = RwLockWriteGuard::downgrade(held);
        joinall(&waiters[..2]);
        assert_eq!((noted(&log), *held), (vec!["r1", "r2"], 10));
        drop(held);
        joinall(&waiters);
        assert_eq!(noted(&log), ["w", "r3"]);
        assert_free(&lock);
    });
}

#[test]
fn a_writer_that_is_killed_lets_those_behind_it_in() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.read().unwrap();
        let dies = writer(&lock, &log, "w");
        let reads = reader(&lock, &log, "r");
        yield_now();
        assert!(noted(&log).is_empty());
        dies.kill();
        assert!(reads.join_timeout(Duration::from_secs(5)));
        assert_eq!(noted(&log), ["r"]);
        assert!(lock.try_read().is_ok(), "nobody waits any more");
        drop(held);
        assert_free(&lock);
    });
}

#[test]
fn waiters_that_are_killed_take_nothing() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.write().unwrap();
        let waiters = [
            writer(&lock, &log, "w1"),
            reader(&lock, &log, "r1"),
            writer(&lock, &log, "w2"),
            reader(&lock, &log, "r2"),
        ];
        yield_now();
        waiters[0].kill_nowait();
        waiters[1].kill_nowait();
        // The two are still in the queue.
        drop(held);
        waiters[3].kill_nowait();
        assert!(waiters[2].join_timeout(Duration::from_secs(5)));
        assert_eq!(noted(&log), ["w2"]);
        joinall(&waiters);
        assert_free(&lock);
        assert!(!lock.is_poisoned());
    });
}

#[test]
fn one_that_has_been_let_in_and_is_killed_then_has_the_lock() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.write().unwrap();
        let waiters = [writer(&lock, &log, "w"), reader(&lock, &log, "r")];
        yield_now();
        drop(held);
        waiters[0].kill_nowait();
        joinall(&waiters);
        assert_eq!(noted(&log), ["w", "r"]);
        assert!(!lock.is_poisoned());
        assert_free(&lock);
    });
}

#[test]
fn a_time_limit_ends_a_wait() {
    let check = || {
        let lock = Shared::default();
        let held = lock.read().unwrap();
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || drop(lock.write())).is_err());
        assert!(lock.try_read().is_ok(), "nobody waits any more");
        drop(held);
        let held = lock.write().unwrap();
        assert!(timeout(limit, || drop(lock.read())).is_err());
        assert!(timeout(limit, || drop(lock.write())).is_err());
        drop(held);
        assert_free(&lock);
        // A limit that ends while the lock is held does not poison it.
        let limited = timeout(limit, || {
            let _held = lock.write().unwrap();
            run(|| sleep(Duration::from_secs(600)));
        });
        assert!(limited.is_err() && !lock.is_poisoned());
        assert_free(&lock);
    };
    check();
    run(check);
}

#[test]
fn a_wait_that_is_forbidden_leaves_no_mark() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.read().unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| no_park(|| drop(lock.write()))));
        assert!(caught.is_err());
        let reads = reader(&lock, &log, "r");
        reads.join();
        drop(held);
        assert_free(&lock);
    });
}

#[test]
fn a_kill_of_a_holder_does_not_poison() {
    alone(|| {
        let lock = Shared::default();
        let theirs = Arc::clone(&lock);
        let writes = spawn(move || {
            let _guard = theirs.write().unwrap();
            sleep(Duration::MAX);
        });
        yield_now();
        assert!(lock.try_read().is_err());
        writes.kill();
        assert!(!lock.is_poisoned());
        assert_free(&lock);
    });
}

#[test]
fn a_panic_of_a_writer_poisons_and_one_of_a_reader_does_not() {
    let lock = Shared::default();
    for (is_writer, poisons) in [(false, false), (true, true)] {
        let theirs = Arc::clone(&lock);
        let panics = spawn(move || {
            let guards = match is_writer {
                true => (Some(theirs.write().unwrap()), None),
                false => (None, Some(theirs.read().unwrap())),
            };
            sleep(Duration::from_millis(1));
            panic!("expected, with {}", guards.0.is_some());
        });
        assert!(panics.into_result().is_err());
        assert_eq!(lock.is_poisoned(), poisons);
    }
    assert!(lock.read().is_err() && lock.write().is_err());
    assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
    let guard = RwLockWriteGuard::downgrade(lock.write().unwrap_err().into_inner());
    assert_eq!(*guard, 0);
    drop(guard);
    lock.clear_poison();
    assert_free(&lock);
}

#[test]
fn every_kind_of_caller_takes_part() {
    const ROUNDS: u32 = 50;
    let lock = Shared::default();
    let work = |lock: Shared| {
        move || {
            for round in 0..ROUNDS {
                let before = *lock.read().unwrap();
                let mut guard = lock.write().unwrap();
                assert!(*guard >= before);
                *guard += 1;
                if round % 8 == 0 {
                    let written = *guard;
                    let guard = RwLockWriteGuard::downgrade(guard);
                    yield_now();
                    assert_eq!(*guard, written);
                }
            }
        }
    };
    let green = [(); 4].map(|()| spawn(work(Arc::clone(&lock))));
    let os_threads = [(); 2].map(|()| thread::spawn(work(Arc::clone(&lock))));
    let migrating = [(); 2].map(|()| {
        let work = work(Arc::clone(&lock));
        // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
        unsafe { green_core::may::spawn(work) }
    });
    joinall(&green);
    joinall(&migrating);
    for os_thread in os_threads {
        os_thread.join().unwrap();
    }
    assert!(green.iter().chain(&migrating).all(|g| g.get().is_ok()));
    assert_eq!(*lock.read().unwrap(), 8 * ROUNDS);
    assert_free(&lock);
}

#[test]
fn migrating_waiters_that_go_without_the_lock_let_others_in() {
    let lock = Shared::default();
    let held = lock.read().unwrap();
    let writes = |lock: Shared| move || *lock.write().unwrap() += 1;
    let work = writes(Arc::clone(&lock));
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let killed = unsafe { green_core::may::spawn(work) };
    support::eventually("it waits", || lock.try_read().is_err());
    killed.kill();
    assert!(lock.try_read().is_ok());
    let work = writes(Arc::clone(&lock));
    // SAFETY: as above.
    let cancelled = unsafe { may::coroutine::spawn(work) };
    support::eventually("it waits", || lock.try_read().is_err());
    // SAFETY: the coroutine has nothing that must not be unwound.
    unsafe { cancelled.coroutine().cancel() };
    assert!(cancelled.join().is_err());
    support::eventually("nobody waits", || lock.try_read().is_ok());
    drop(held);
    assert_free(&lock);
    assert_eq!(*lock.read().unwrap(), 0);
}

#[test]
fn a_coroutine_that_is_cancelled_as_it_is_let_in_gives_the_lock_back() {
    let lock = Shared::default();
    for round in 0..200 {
        let held = lock.write().unwrap();
        let theirs = Arc::clone(&lock);
        let work = move || match round % 2 {
            0 => drop(theirs.write().unwrap()),
            _ => drop(theirs.read().unwrap()),
        };
        // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
        let waits = unsafe { may::coroutine::spawn(work) };
        if round % 4 < 2 {
            sleep(Duration::from_micros(100));
        }
        drop(held);
        // SAFETY: the coroutine has nothing that must not be unwound.
        unsafe { waits.coroutine().cancel() };
        // Cancelled or through.
        waits.join().ok();
        assert_free(&lock);
    }
}

#[test]
fn a_dump_says_how_they_wait() {
    alone(|| {
        let (lock, log) = (Shared::default(), Queue::unbounded());
        let held = lock.write().unwrap();
        let waiters = [writer(&lock, &log, "w"), reader(&lock, &log, "r")];
        yield_now();
        let mut text = Vec::new();
        green_core::dump(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("rwlock write") && text.contains("rwlock read"));
        drop(held);
        joinall(&waiters);
    });
}

#[test]
fn debug_is_as_stds() {
    let (ours, theirs) = (RwLock::new(7), std::sync::RwLock::new(7));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    {
        let guards = (ours.read().unwrap(), theirs.read().unwrap());
        assert_eq!(format!("{:?} {}", guards.0, guards.0), "7 7");
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
    let guards = (ours.write().unwrap(), theirs.write().unwrap());
    assert_eq!(format!("{:?} {}", guards.0, guards.0), "7 7");
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
}

#[test]
fn the_value_is_reached_without_locking_by_its_owner() {
    let mut lock = RwLock::from(1);
    *lock.get_mut().unwrap() += 1;
    assert_eq!(lock.into_inner().unwrap(), 2);
    assert_eq!(*RwLock::<u32>::default().read().unwrap(), 0);
}

#[test]
fn the_value_is_copied_set_and_replaced_in_one_step() {
    let lock = RwLock::new(String::from("one"));
    assert_eq!(lock.get_cloned().unwrap(), "one");
    lock.set("two".into()).unwrap();
    assert_eq!(lock.replace("three".into()).unwrap(), "two");
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.write().unwrap();
        panic!("expected");
    }));
    assert!(caught.is_err() && lock.get_cloned().is_err());
    assert_eq!(lock.set("four".into()).unwrap_err().into_inner(), "four");
    let refused = lock.replace("four".into());
    assert_eq!(refused.unwrap_err().into_inner(), "four");
    assert_eq!(lock.into_inner().unwrap_err().into_inner(), "three");
}
