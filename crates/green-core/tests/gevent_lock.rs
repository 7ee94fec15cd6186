//! `lock`, row by row of gevent's: LCK-01 to LCK-10, and the rules of kills and timeouts that reach it.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(clippy::unwrap_used, reason = "the functions are the bodies of tests")]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::{BoundedSemaphore, DummySemaphore, NotOwner, OverRelease, RLock, Semaphore};
use green_core::queue::Queue;
use green_core::{Greenlet, joinall, run, sleep, spawn, spawn_local, timeout, yield_now};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

on_hubs!(
    one_hub,
    1,
    [
        lck_02_a_free_permit_is_no_switch,
        lck_02_who_releases_may_take_again_ahead_of_those_who_wait,
        lck_03_one_waiter_per_permit_in_order,
        lck_04_those_who_only_look_stand_in_line,
        lck_06_nobody_is_overtaken_for_ever,
        lck_06_many_who_are_overtaken_have_their_turns,
        lck_09_the_owner_is_the_green_thread,
        lck_09_waiters_in_order,
        lck_09_nobody_is_overtaken_for_ever,
        lck_09_a_guard_that_another_drops_counts,
        rule_09_a_granted_permit_goes_to_the_killed_one,
    ]
);

on_hubs!(
    two_hubs,
    2,
    [
        lck_01_it_can_be_released_more_often_than_acquired,
        lck_02_own_timeout_is_none_and_a_scope_goes_through,
        lck_04_wait_takes_nothing,
        lck_05_a_kill_gives_the_permit_back,
        lck_05_owned_permits,
        lck_07_bounded,
        lck_08_everybody_at_once,
        lck_09_recursion,
        lck_09_everybody_at_once,
        lck_10_dummy,
    ]
);

on_hubs!(
    eight_hubs,
    8,
    [
        lck_05_a_kill_gives_the_permit_back,
        lck_08_everybody_at_once,
        lck_09_everybody_at_once,
    ]
);

/// What an OS thread returns; the hub goes on meanwhile.
fn joined<T: Send + 'static>(os_thread: std::thread::JoinHandle<T>) -> T {
    green_core::blocking(|| os_thread.join().unwrap())
}

fn logged(log: &Queue<u32>) -> Vec<u32> {
    std::iter::from_fn(|| log.try_get().ok()).collect()
}

/// Green threads that acquire a permit, log their number, and keep it.
fn takers(
    semaphore: &Arc<Semaphore>,
    log: &Queue<u32>,
    numbers: std::ops::Range<u32>,
) -> Vec<Greenlet<()>> {
    let taker = |n| {
        let (semaphore, log) = (Arc::clone(semaphore), log.clone());
        spawn(move || {
            semaphore.acquire().forget();
            log.put(n).unwrap();
        })
    };
    let takers = numbers.map(taker).collect();
    yield_now();
    takers
}

fn lck_01_it_can_be_released_more_often_than_acquired() {
    let semaphore = Semaphore::new(0);
    semaphore.release();
    semaphore.release();
    assert_eq!(semaphore.available(), 2);
    let none = Semaphore::new(0);
    assert!(none.try_acquire().is_none() && none.locked());
}

fn lck_02_a_free_permit_is_no_switch() {
    let semaphore = Semaphore::new(1);
    let neighbour = spawn(|| ());
    drop(semaphore.acquire());
    drop(semaphore.acquire_timeout(LONG).unwrap());
    assert!(!neighbour.ready());
}

fn lck_02_who_releases_may_take_again_ahead_of_those_who_wait() {
    let (semaphore, log) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
    let waiters = takers(&semaphore, &log, 0..1);
    semaphore.release();
    let again = semaphore.acquire();
    yield_now();
    assert!(log.is_empty(), "the one that waits was overtaken");
    drop(again);
    joinall(&waiters);
    assert_eq!(logged(&log), [0]);
}

fn lck_02_own_timeout_is_none_and_a_scope_goes_through() {
    let semaphore = Semaphore::new(0);
    let begun = Instant::now();
    assert!(semaphore.acquire_timeout(SHORT).is_none());
    assert!(begun.elapsed() >= SHORT);
    assert!(timeout(SHORT, || semaphore.acquire_timeout(LONG).is_some()).is_err());
    assert!(timeout(SHORT, || semaphore.wait_timeout(LONG)).is_err());
    semaphore.release();
    assert!(semaphore.acquire_deadline(Instant::now()).is_some());
}

fn lck_03_one_waiter_per_permit_in_order() {
    let (semaphore, log) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
    let waiters = takers(&semaphore, &log, 0..10);
    (0..4).for_each(|_| semaphore.release());
    yield_now();
    yield_now();
    assert_eq!(logged(&log), [0, 1, 2, 3]);
    assert_eq!(semaphore.available(), 0);
    (4..10).for_each(|_| semaphore.release());
    joinall(&waiters);
    assert_eq!(logged(&log), [4, 5, 6, 7, 8, 9]);
}

fn lck_04_wait_takes_nothing() {
    let semaphore = Arc::new(Semaphore::new(2));
    assert_eq!(semaphore.wait(), 2);
    assert_eq!(semaphore.available(), 2);
    let none = Arc::new(Semaphore::new(0));
    assert_eq!(none.wait_timeout(SHORT), 0);
    let theirs = Arc::clone(&none);
    let looks = spawn(move || theirs.wait());
    none.release();
    assert_eq!(looks.get().unwrap(), 1);
    assert_eq!(none.available(), 1);
}

fn lck_04_those_who_only_look_stand_in_line() {
    let (semaphore, log) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
    let looker = |n| {
        let (semaphore, log) = (Arc::clone(&semaphore), log.clone());
        let looker = spawn(move || {
            semaphore.wait();
            log.put(n).unwrap();
        });
        yield_now();
        looker
    };
    let first = looker(0);
    let mut all = takers(&semaphore, &log, 1..2);
    all.push(first);
    all.push(looker(2));
    semaphore.release();
    // Who looks, then who takes; the last one waits on.
    yield_now();
    yield_now();
    yield_now();
    assert_eq!(logged(&log), [0, 1]);
    semaphore.release();
    joinall(&all);
    assert_eq!(logged(&log), [2]);
}

fn lck_05_a_kill_gives_the_permit_back() {
    let semaphore = Arc::new(Semaphore::new(3));
    let victims: Vec<_> = (0..30)
        .map(|_| {
            let semaphore = Arc::clone(&semaphore);
            spawn(move || {
                let _permit = semaphore.acquire();
                sleep(LONG);
            })
        })
        .collect();
    sleep(SHORT);
    assert!(semaphore.locked() && !semaphore.ready());
    green_core::killall(&victims);
    assert_eq!(semaphore.available(), 3);
    assert!(!semaphore.locked() && semaphore.ready());
}

fn lck_05_owned_permits() {
    let semaphore = Arc::new(Semaphore::new(1));
    let permit = semaphore.acquire_owned();
    assert!(semaphore.try_acquire_owned().is_none());
    let holder = spawn(move || drop(permit));
    assert_eq!(semaphore.wait(), 1);
    holder.join();
    drop(semaphore.try_acquire_owned().unwrap());
    assert_eq!(semaphore.available(), 1);
}

/// Takes and gives back so that whoever waits is always overtaken, until `stop`.
fn overtake(semaphore: &Semaphore, stop: impl Fn() -> bool) -> u32 {
    let mut rounds = 0;
    let mut permit = semaphore.acquire();
    while !stop() {
        yield_now();
        drop(permit);
        permit = semaphore.acquire();
        rounds += 1;
        assert!(rounds < 1_000, "somebody is overtaken for ever");
    }
    rounds
}

fn lck_06_nobody_is_overtaken_for_ever() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.acquire();
    let theirs = Arc::clone(&semaphore);
    let waiter = spawn(move || drop(theirs.acquire()));
    yield_now();
    drop(held);
    let rounds = overtake(&semaphore, || waiter.ready());
    assert!((30..=36).contains(&rounds), "{rounds}");
    assert_eq!(semaphore.available(), 1);
}

fn lck_06_many_who_are_overtaken_have_their_turns() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.acquire();
    let waiters: Vec<_> = (0..6)
        .map(|_| {
            let theirs = Arc::clone(&semaphore);
            spawn(move || drop(theirs.acquire()))
        })
        .collect();
    yield_now();
    drop(held);
    let rounds = overtake(&semaphore, || waiters.iter().all(Greenlet::ready));
    assert!(rounds <= 6 * 36, "{rounds}");
}

fn lck_07_bounded() {
    let semaphore = BoundedSemaphore::new(2);
    assert_eq!(semaphore.release(), Err(OverRelease));
    let first = semaphore.acquire();
    let second = semaphore.try_acquire().unwrap();
    assert!(semaphore.try_acquire().is_none() && semaphore.locked());
    assert!(semaphore.acquire_timeout(SHORT).is_none());
    assert_eq!(semaphore.wait_timeout(Duration::ZERO), 0);
    second.forget();
    assert_eq!(semaphore.release(), Ok(()));
    assert_eq!(
        semaphore.release(),
        Ok(()),
        "one too many, of the permit that is held"
    );
    drop(first);
    assert_eq!((semaphore.available(), semaphore.wait()), (2, 2));
    assert_eq!(semaphore.release(), Err(OverRelease));
    assert_eq!(
        format!("{semaphore:?}"),
        "BoundedSemaphore { available: 2, .. }"
    );
}

fn lck_08_everybody_at_once() {
    let (semaphore, inside) = (Arc::new(Semaphore::new(3)), Arc::new(AtomicUsize::new(0)));
    let work = move || {
        let most = AtomicUsize::new(0);
        for _ in 0..200 {
            let _permit = semaphore.acquire();
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
        }
        most.into_inner()
    };
    let os_threads = [(); 2].map(|()| std::thread::spawn(work.clone()));
    let green_threads = [(); 8].map(|()| spawn(work.clone()));
    joinall(&green_threads);
    let most = green_threads.iter().map(|g| g.get().unwrap());
    assert!(most.max().unwrap() <= 3);
    for os_thread in os_threads {
        assert!(joined(os_thread) <= 3);
    }
}

fn lck_09_recursion() {
    let lock = RLock::new();
    assert_eq!(lock.release(), Err(NotOwner));
    let outer = lock.acquire();
    let inner = lock.try_acquire().unwrap();
    let innermost = lock.acquire_timeout(Duration::ZERO).unwrap();
    drop(outer);
    drop(innermost);
    assert!(lock.locked());
    inner.forget();
    assert_eq!(lock.release(), Ok(()));
    assert_eq!(lock.release(), Err(NotOwner));
    assert!(!lock.locked());
    drop(lock.acquire_deadline(Instant::now()).unwrap());
    assert_eq!(format!("{lock:?}"), "RLock { locked: false, .. }");
}

fn lck_09_the_owner_is_the_green_thread() {
    let lock = Arc::new(RLock::new());
    let held = lock.acquire();
    let theirs = Arc::clone(&lock);
    let neighbour = spawn(move || {
        assert!(theirs.try_acquire().is_none());
        assert!(theirs.acquire_timeout(SHORT).is_none());
        assert!(timeout(SHORT, || drop(theirs.acquire())).is_err());
        assert_eq!(theirs.release(), Err(NotOwner));
    });
    neighbour.into_result().unwrap();
    drop(held);
    let theirs = Arc::clone(&lock);
    let holder = spawn(move || {
        let _outer = theirs.acquire();
        let _inner = theirs.acquire();
        sleep(LONG);
    });
    yield_now();
    assert!(lock.try_acquire().is_none());
    holder.kill();
    assert!(
        lock.try_acquire().is_some(),
        "a killed owner gives all of it back"
    );
}

fn lck_09_waiters_in_order() {
    let (lock, log) = (Arc::new(RLock::new()), Queue::unbounded());
    let held = lock.acquire();
    let waiters: Vec<_> = (0..10)
        .map(|n| {
            let (lock, log) = (Arc::clone(&lock), log.clone());
            spawn(move || {
                let _guard = lock.acquire();
                log.put(n).unwrap();
                yield_now();
            })
        })
        .collect();
    yield_now();
    drop(held);
    joinall(&waiters);
    assert!(logged(&log).into_iter().eq(0..10));
}

fn lck_09_nobody_is_overtaken_for_ever() {
    let lock = Arc::new(RLock::new());
    let mut guard = lock.acquire();
    let theirs = Arc::clone(&lock);
    let waiter = spawn(move || drop(theirs.acquire()));
    let mut rounds = 0;
    while !waiter.ready() {
        yield_now();
        drop(guard);
        guard = lock.acquire();
        rounds += 1;
        assert!(rounds < 40);
    }
    drop(guard);
}

fn lck_09_a_guard_that_another_drops_counts() {
    let lock = Rc::new(RLock::new());
    // The guard of a lock that lives long enough.
    let leaked: &'static RLock = Box::leak(Box::new(RLock::new()));
    let guard = leaked.acquire();
    spawn_local(move || drop(guard)).join();
    assert!(!leaked.locked());
    assert!(!lock.locked());
}

fn lck_09_everybody_at_once() {
    let (lock, inside) = (Arc::new(RLock::new()), Arc::new(AtomicUsize::new(0)));
    let work = move || {
        for _ in 0..200 {
            let _outer = lock.acquire();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            yield_now();
            let _inner = lock.acquire();
            inside.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let os_threads = [(); 2].map(|()| std::thread::spawn(work.clone()));
    let green_threads = [(); 8].map(|()| spawn(work.clone()));
    assert!(joinall(&green_threads).iter().all(Greenlet::successful));
    for os_thread in os_threads {
        joined(os_thread);
    }
}

fn lck_10_dummy() {
    let semaphore = DummySemaphore::new();
    let permits = [(); 100].map(|()| semaphore.acquire());
    assert!(semaphore.ready() && !semaphore.locked());
    drop(permits);
    semaphore.try_acquire().unwrap().forget();
    drop(semaphore.acquire_timeout(Duration::ZERO).unwrap());
    drop(semaphore.acquire_deadline(Instant::now()).unwrap());
    semaphore.release();
    assert_eq!(
        (semaphore.wait(), semaphore.wait_timeout(Duration::ZERO)),
        (1, 1)
    );
}

fn rule_09_a_granted_permit_goes_to_the_killed_one() {
    let (semaphore, log) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
    let waiters = takers(&semaphore, &log, 0..2);
    semaphore.release();
    waiters[0].kill();
    yield_now();
    assert_eq!(logged(&log), [0], "it got the permit before the kill");
    assert!(waiters[0].ready() && !waiters[1].ready());
    semaphore.release();
    waiters[1].join();
}

#[test]
fn a_guard_of_an_rlock_that_was_released_does_not_free_the_next_owners() {
    run(|| {
        let lock = Arc::new(RLock::new());
        let stale = lock.acquire();
        lock.release().unwrap();
        let theirs = Arc::clone(&lock);
        let (taken, go_on) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let told = (Arc::clone(&taken), Arc::clone(&go_on));
        let owner = spawn(move || {
            let _guard = theirs.acquire();
            told.0.set();
            told.1.wait();
        });
        taken.wait();
        drop(stale);
        assert!(lock.locked() && lock.try_acquire().is_none());
        go_on.set();
        owner.join();
        assert!(!lock.locked());
    });
}
