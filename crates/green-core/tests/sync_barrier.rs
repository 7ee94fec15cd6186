//! `sync::Barrier`.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use green_core::sync::Barrier;
use green_core::{Config, Greenlet, joinall, no_park, run, spawn, timeout, yield_now};

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

fn arrive(barrier: &Arc<Barrier>) -> Greenlet<bool> {
    let barrier = Arc::clone(barrier);
    spawn(move || barrier.wait().is_leader())
}

#[test]
fn one_alone_does_not_wait() {
    for size in [0, 1] {
        let barrier = Barrier::new(size);
        assert!(barrier.wait().is_leader() && barrier.wait().is_leader());
    }
}

#[test]
fn it_serves_round_after_round() {
    const SIZE: usize = 5;
    const ROUNDS: usize = 50;
    let shared = Arc::new((Barrier::new(SIZE), AtomicUsize::new(0)));
    let members: Vec<_> = (0..SIZE)
        .map(|_| {
            let shared = Arc::clone(&shared);
            spawn(move || {
                let mut led = 0;
                for round in 1..=ROUNDS {
                    shared.1.fetch_add(1, Ordering::SeqCst);
                    led += usize::from(shared.0.wait().is_leader());
                    // Nobody is a whole round ahead.
                    let arrivals = shared.1.load(Ordering::SeqCst);
                    assert!((SIZE * round..SIZE * (round + 1)).contains(&arrivals));
                }
                led
            })
        })
        .collect();
    let led: usize = members.iter().map(|member| member.get().unwrap()).sum();
    assert_eq!(led, ROUNDS);
}

#[test]
fn the_one_that_comes_last_leads() {
    alone(|| {
        let barrier = Arc::new(Barrier::new(3));
        let waiters = [arrive(&barrier), arrive(&barrier)];
        yield_now();
        assert!(barrier.wait().is_leader());
        joinall(&waiters);
        assert!(waiters.iter().all(|waiter| !waiter.get().unwrap()));
    });
}

#[test]
fn one_that_is_killed_takes_its_arrival_back() {
    alone(|| {
        let barrier = Arc::new(Barrier::new(3));
        let waiters = [arrive(&barrier), arrive(&barrier)];
        yield_now();
        waiters[0].kill();
        let third = arrive(&barrier);
        yield_now();
        assert!(!third.ready(), "one is missing");
        assert!(barrier.wait().is_leader());
        joinall([&waiters[1], &third]);
        // The next round is whole, too.
        let waiters = [arrive(&barrier), arrive(&barrier)];
        yield_now();
        assert!(!waiters[0].ready() && !waiters[1].ready());
        assert!(barrier.wait().is_leader());
        joinall(&waiters);
    });
}

#[test]
fn one_that_is_killed_as_the_last_one_comes_counts_for_that_round_only() {
    alone(|| {
        let barrier = Arc::new(Barrier::new(2));
        let dies = arrive(&barrier);
        yield_now();
        dies.kill_nowait();
        assert!(barrier.wait().is_leader());
        dies.join();
        let waits = arrive(&barrier);
        yield_now();
        assert!(!waits.ready());
        assert!(barrier.wait().is_leader());
        waits.join();
    });
}

#[test]
fn a_time_limit_takes_the_arrival_back() {
    let check = || {
        let barrier = Arc::new(Barrier::new(2));
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || barrier.wait()).is_err());
        assert!(timeout(limit, || barrier.wait()).is_err());
        let waits = arrive(&barrier);
        let led = barrier.wait().is_leader();
        assert_ne!(waits.get().unwrap(), led);
    };
    check();
    run(check);
}

#[test]
fn a_wait_that_is_forbidden_does_not_count() {
    alone(|| {
        let barrier = Arc::new(Barrier::new(2));
        let caught = catch_unwind(AssertUnwindSafe(|| no_park(|| barrier.wait())));
        assert!(caught.is_err());
        let waits = arrive(&barrier);
        yield_now();
        assert!(!waits.ready());
        barrier.wait();
        waits.join();
    });
}

#[test]
fn every_kind_of_caller_takes_part() {
    const ROUNDS: usize = 30;
    let barrier = Arc::new(Barrier::new(6));
    let work =
        |barrier: Arc<Barrier>| move || (0..ROUNDS).filter(|_| barrier.wait().is_leader()).count();
    let green = [(); 2].map(|()| spawn(work(Arc::clone(&barrier))));
    let os_threads = [(); 2].map(|()| thread::spawn(work(Arc::clone(&barrier))));
    let migrating = [(); 2].map(|()| {
        let work = work(Arc::clone(&barrier));
        // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
        unsafe { green_core::may::spawn(work) }
    });
    let mut led = 0;
    for member in green.iter().chain(&migrating) {
        led += member.get().unwrap();
    }
    for os_thread in os_threads {
        led += os_thread.join().unwrap();
    }
    assert_eq!(led, ROUNDS);
}

#[test]
fn a_migrating_waiter_that_is_killed_or_cancelled_takes_its_arrival_back() {
    let shared = Arc::new((Barrier::new(2), AtomicUsize::new(0)));
    let work = |shared: Arc<(Barrier, AtomicUsize)>| {
        move || {
            shared.1.fetch_add(1, Ordering::SeqCst);
            shared.0.wait();
            unreachable!("it is not let through");
        }
    };
    let begun = |count| {
        support::eventually("it waits", || shared.1.load(Ordering::SeqCst) == count);
        green_core::sleep(Duration::from_millis(20));
    };
    let killed = work(Arc::clone(&shared));
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let killed = unsafe { green_core::may::spawn(killed) };
    begun(1);
    killed.kill();
    let cancelled = work(Arc::clone(&shared));
    // SAFETY: as above.
    let cancelled = unsafe { may::coroutine::spawn(cancelled) };
    begun(2);
    // SAFETY: the coroutine has nothing that must not be unwound.
    unsafe { cancelled.coroutine().cancel() };
    assert!(cancelled.join().is_err());
    let limit = Duration::from_millis(5);
    assert!(timeout(limit, || shared.0.wait()).is_err());
}

#[test]
fn debug_is_as_stds() {
    let (ours, theirs) = (Barrier::new(1), std::sync::Barrier::new(1));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    let results = (ours.wait(), theirs.wait());
    assert_eq!(format!("{:?}", results.0), format!("{:?}", results.1));
}
