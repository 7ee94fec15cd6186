//! `imap` and `imap_unordered` (gevent's POOL-20 and POOL-21, rules 38 and 39).
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::pool::{Group, IMap, Pool};
use green_core::{Config, Failure, run, sleep, timeout, yield_now};
use support::eventually;

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

fn on(hubs: usize, f: fn()) {
    Config::new().hubs(hubs).apply().ok();
    run(f);
}

/// Each of these holds on any number of hubs.
macro_rules! on_all_hubs {
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

on_all_hubs! {
    pool_20_imap_keeps_the_order
    pool_20_imap_begins_before_anybody_asks
    pool_20_imap_goes_on_after_a_failure
    pool_20_imap_ends_with_the_panic_of_its_items
    pool_20_maxsize_bounds_what_was_not_taken
    pool_20_an_interrupted_next_loses_nothing
    pool_20_a_dropped_imap_ends_its_workers
    pool_20_imap_of_a_closed_pool_ends
    pool_21_imap_unordered_yields_in_the_order_of_the_ends
    pool_21_imap_unordered_goes_on_after_a_failure
    pool_21_imap_unordered_of_nothing
}

fn message(failure: &Failure) -> &str {
    match failure {
        Failure::Panicked(panic) => panic.message(),
        _ => "no panic",
    }
}

fn pool_20_imap_keeps_the_order() {
    let pool = Pool::new(4);
    let squares = pool.imap(0..200_u64, |n| {
        if n % 5 == 0 {
            sleep(Duration::from_micros(10));
        }
        n * n
    });
    assert!(squares.map(Result::unwrap).eq((0..200).map(|n| n * n)));
    assert_eq!(pool.imap([0; 0], |n| n).count(), 0);
    let zipped = [1, 2, 3].into_iter().zip([10, 20]);
    let sums = Group::new().imap(zipped, |(a, b)| a + b);
    assert_eq!(sums.map(Result::unwrap).collect::<Vec<_>>(), [11, 22]);
}

fn pool_20_imap_begins_before_anybody_asks() {
    let pool = Pool::new(2);
    let ran = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ran);
    let imap = pool.imap(0..10, move |_| theirs.fetch_add(1, Ordering::SeqCst));
    eventually("all ran", || ran.load(Ordering::SeqCst) == 10);
    assert_eq!(imap.count(), 10);
}

fn pool_20_imap_goes_on_after_a_failure() {
    let pool = Pool::new(2);
    let mut imap = pool.imap(0..4, |n| {
        assert!(n != 1, "not this one");
        n
    });
    assert_eq!(imap.next().unwrap().unwrap(), 0);
    assert_eq!(message(&imap.next().unwrap().unwrap_err()), "not this one");
    assert_eq!(imap.next().unwrap().unwrap(), 2);
    assert_eq!(imap.next().unwrap().unwrap(), 3);
    assert!(imap.next().is_none() && imap.next().is_none());
}

fn pool_20_imap_ends_with_the_panic_of_its_items() {
    let items = || (0..10).inspect(|&n| assert!(n < 2, "no more"));
    let group = Group::new();
    let both: [IMap<i32>; 2] = [
        group.imap(items(), |n| n),
        group.imap_unordered(items(), |n| n),
    ];
    for mut imap in both {
        assert!(imap.next().unwrap().is_ok() && imap.next().unwrap().is_ok());
        assert_eq!(message(&imap.next().unwrap().unwrap_err()), "no more");
        assert!(imap.next().is_none());
    }
}

fn pool_20_maxsize_bounds_what_was_not_taken() {
    let group = Group::new();
    for unordered in [false, true] {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ran);
        let f = move |n: usize| {
            theirs.fetch_add(1, Ordering::SeqCst);
            n
        };
        let mut imap = if unordered {
            group.imap_unordered_maxsize(3, 0..10, f)
        } else {
            group.imap_maxsize(3, 0..10, f)
        };
        for taken in 0..=7 {
            eventually("as many as there is room for", || {
                ran.load(Ordering::SeqCst) == taken + 3
            });
            (0..5).for_each(|_| yield_now());
            assert_eq!(ran.load(Ordering::SeqCst), taken + 3);
            assert!(imap.next().unwrap().is_ok());
        }
        assert_eq!(imap.count(), 2);
    }
    assert_eq!(group.imap_maxsize(0, 0..5, |n| n).count(), 5);
}

fn pool_20_an_interrupted_next_loses_nothing() {
    let pool = Pool::new(2);
    for unordered in [false, true] {
        let go = Arc::new(Event::new());
        let theirs = Arc::clone(&go);
        let f = move |n: i32| {
            theirs.wait();
            n
        };
        let mut imap = if unordered {
            pool.imap_unordered(0..4, f)
        } else {
            pool.imap(0..4, f)
        };
        for _ in 0..3 {
            assert!(timeout(SHORT, || imap.next()).is_err());
        }
        go.set();
        let mut all: Vec<i32> = imap.map(Result::unwrap).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }
}

fn pool_20_a_dropped_imap_ends_its_workers() {
    let pool = Pool::new(3);
    for taken in 0..2 {
        for unordered in [false, true] {
            let f = |n: usize| {
                if n > 0 {
                    sleep(EVER);
                }
            };
            let mut imap = if unordered {
                pool.imap_unordered(0..10, f)
            } else {
                pool.imap(0..10, f)
            };
            assert_eq!(imap.by_ref().take(taken).count(), taken);
            drop(imap);
            pool.join();
            (0..5).for_each(|_| yield_now());
            assert_eq!(pool.free_count(), Some(3));
        }
    }
    // Also one that is waited for.
    assert!(timeout(SHORT, || pool.imap(0..10, |_| sleep(EVER)).count()).is_err());
    pool.join();
}

fn pool_20_imap_of_a_closed_pool_ends() {
    let pool = Pool::new(1);
    pool.close();
    for mut imap in [pool.imap(0.., |n| n), pool.imap_unordered(0.., |n| n)] {
        assert!(matches!(imap.next(), Some(Err(Failure::Killed))));
        assert!(imap.next().is_none());
    }
}

fn pool_21_imap_unordered_yields_in_the_order_of_the_ends() {
    let pool = Pool::new(None);
    let gates: Vec<_> = (0..5).map(|_| Arc::new(Event::new())).collect();
    let theirs = gates.clone();
    let mut imap = pool.imap_unordered(0..5, move |n: usize| {
        theirs[n].wait();
        n
    });
    for n in [3, 1, 4, 0, 2] {
        gates[n].set();
        assert_eq!(imap.next().unwrap().unwrap(), n);
    }
    assert!(imap.next().is_none());
}

fn pool_21_imap_unordered_goes_on_after_a_failure() {
    let pool = Pool::new(2);
    let results = pool.imap_unordered(0..10, |n| assert!(n % 3 != 0, "a third"));
    let (done, failed): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    assert_eq!((done.len(), failed.len()), (6, 4));
    assert!(
        failed
            .iter()
            .all(|f| message(f.as_ref().unwrap_err()) == "a third")
    );
}

fn pool_21_imap_unordered_of_nothing() {
    assert_eq!(Group::new().imap_unordered([0; 0], |n| n).count(), 0);
}
