//! `sync::Condvar`.
#![expect(
    clippy::disallowed_types,
    reason = "std's type is what ours is compared with"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::queue::Queue;
use green_core::sync::{Condvar, Mutex};
use green_core::{Config, joinall, run, spawn, yield_now};

type Pair = Arc<(Mutex<u32>, Condvar)>;

fn pair() -> Pair {
    Arc::default()
}

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

#[test]
fn notify_one_wakes_the_one_that_waited_longest() {
    alone(|| {
        let (pair, woken) = (pair(), Queue::unbounded());
        let waiters: Vec<_> = (0..10)
            .map(|n: u32| {
                let (pair, woken) = (Arc::clone(&pair), woken.clone());
                spawn(move || {
                    let guard = pair.0.lock().unwrap();
                    drop(pair.1.wait(guard).unwrap());
                    woken.put(n).unwrap();
                })
            })
            .collect();
        yield_now();
        for n in 0..10 {
            pair.1.notify_one();
            assert_eq!(woken.get(), Ok(n));
            assert!(woken.is_empty());
        }
        joinall(&waiters);
        pair.1.notify_one();
    });
}

#[test]
fn notify_all_wakes_those_who_wait_now() {
    alone(|| {
        let pair = pair();
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let pair = Arc::clone(&pair);
                spawn(move || drop(pair.1.wait(pair.0.lock().unwrap()).unwrap()))
            })
            .collect();
        yield_now();
        pair.1.notify_all();
        assert_eq!(joinall(&waiters).len(), 100);
    });
}

#[test]
fn wait_while_looks_again() {
    let pair = pair();
    let theirs = Arc::clone(&pair);
    let counter = spawn(move || {
        for _ in 0..10 {
            *theirs.0.lock().unwrap() += 1;
            theirs.1.notify_one();
            yield_now();
        }
    });
    let guard = pair
        .1
        .wait_while(pair.0.lock().unwrap(), |n| *n < 10)
        .unwrap();
    assert_eq!(*guard, 10);
    drop(guard);
    counter.join();
}

#[test]
fn time_limits() {
    let check = || {
        let pair = pair();
        let begun = Instant::now();
        let limit = Duration::from_millis(5);
        let (guard, result) = pair.1.wait_timeout(pair.0.lock().unwrap(), limit).unwrap();
        assert!(result.timed_out() && begun.elapsed() >= limit);
        let (guard, result) = pair.1.wait_timeout(guard, Duration::ZERO).unwrap();
        assert!(result.timed_out());
        let (guard, result) = pair.1.wait_timeout_while(guard, limit, |_| true).unwrap();
        assert!(result.timed_out());
        let (guard, result) = pair
            .1
            .wait_timeout_while(guard, Duration::MAX, |_| false)
            .unwrap();
        assert!(!result.timed_out());
        drop(guard);
    };
    check();
    run(check);
}

#[test]
fn wait_timeout_while_for_ever() {
    let pair = pair();
    let theirs = Arc::clone(&pair);
    spawn(move || {
        *theirs.0.lock().unwrap() = 1;
        theirs.1.notify_all();
    });
    let guard = pair.0.lock().unwrap();
    let (guard, result) = pair
        .1
        .wait_timeout_while(guard, Duration::MAX, |n| *n == 0)
        .unwrap();
    assert_eq!((*guard, result.timed_out()), (1, false));
}

#[test]
fn a_killed_waiter_takes_no_notification() {
    alone(|| {
        let pair = pair();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let pair = Arc::clone(&pair);
                spawn(move || drop(pair.1.wait(pair.0.lock().unwrap()).unwrap()))
            })
            .collect();
        yield_now();
        waiters[0].kill_nowait();
        pair.1.notify_one();
        waiters[1].join();
        assert!(waiters[1].get().is_ok() && waiters[0].get().is_err());
        assert!(pair.0.try_lock().is_ok());
    });
}

#[test]
fn one_that_was_notified_and_then_killed_still_gets_the_lock() {
    alone(|| {
        let (pair, woken) = (pair(), Queue::unbounded());
        let theirs = (Arc::clone(&pair), woken.clone());
        let waiter = spawn(move || {
            let guard = theirs.0.1.wait(theirs.0.0.lock().unwrap()).unwrap();
            theirs.1.put(*guard).unwrap();
            drop(guard);
            yield_now();
        });
        yield_now();
        let held = pair.0.lock().unwrap();
        pair.1.notify_one();
        yield_now();
        waiter.kill_nowait();
        yield_now();
        drop(held);
        assert_eq!(woken.get(), Ok(0));
        waiter.join();
        assert!(matches!(waiter.get(), Err(green_core::Failure::Killed)));
        assert!(pair.0.try_lock().is_ok());
    });
}

#[test]
fn several_mutexes_may_share_one() {
    alone(|| {
        let shared = Arc::new((Mutex::new(1), Mutex::new(2), Condvar::new()));
        let (one, two) = (Arc::clone(&shared), Arc::clone(&shared));
        let first = spawn(move || *one.2.wait(one.0.lock().unwrap()).unwrap());
        let second = spawn(move || *two.2.wait(two.1.lock().unwrap()).unwrap());
        yield_now();
        shared.2.notify_all();
        assert_eq!((first.get().unwrap(), second.get().unwrap()), (1, 2));
    });
}

#[test]
fn a_poisoned_lock_is_an_error_with_all_that_is_known() {
    let pair = pair();
    let theirs = Arc::clone(&pair);
    let panics = spawn(move || {
        let _guard = theirs.0.lock().unwrap();
        panic!("expected");
    });
    assert!(panics.into_result().is_err());
    let limit = Duration::from_millis(5);
    let guard = pair.0.lock().unwrap_err().into_inner();
    let (guard, result) = pair.1.wait_timeout(guard, limit).unwrap_err().into_inner();
    assert!(result.timed_out());
    let waited = pair.1.wait_timeout_while(guard, limit, |_| true);
    let (guard, result) = waited.unwrap_err().into_inner();
    assert!(result.timed_out());
    let theirs = Arc::clone(&pair);
    spawn(move || {
        drop(theirs.0.lock());
        theirs.1.notify_one();
    });
    assert!(pair.1.wait(guard).is_err());
}

#[test]
fn limits_in_milliseconds() {
    let pair = pair();
    #[expect(deprecated, reason = "std has it")]
    let (guard, in_time) = pair.1.wait_timeout_ms(pair.0.lock().unwrap(), 1).unwrap();
    assert!(!in_time);
    drop(guard);
}

#[test]
fn generic_parameters_are_stds() {
    type Condition = fn(&mut u32) -> bool;
    let pair = pair();
    let never: Condition = |_| false;
    let guard = pair.0.lock().unwrap();
    let guard = pair.1.wait_while::<u32, Condition>(guard, never).unwrap();
    let waited = pair
        .1
        .wait_timeout_while::<u32, Condition>(guard, Duration::ZERO, never);
    assert!(!waited.unwrap().1.timed_out());
}

#[test]
fn debug_is_as_stds() {
    let (ours, theirs) = (Condvar::new(), std::sync::Condvar::new());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    let pair = pair();
    let (_guard, result) = pair
        .1
        .wait_timeout(pair.0.lock().unwrap(), Duration::ZERO)
        .unwrap();
    assert_eq!(format!("{result:?}"), "WaitTimeoutResult(true)");
}
