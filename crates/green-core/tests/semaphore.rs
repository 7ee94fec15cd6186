//! `Semaphore`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::{Config, run, spawn, yield_now};

#[test]
fn permits_are_counted() {
    let semaphore = Semaphore::new(2);
    let first = semaphore.acquire();
    let second = semaphore.try_acquire().unwrap();
    assert!(semaphore.try_acquire().is_none());
    assert!(semaphore.acquire_timeout(Duration::ZERO).is_none());
    assert!(semaphore.acquire_deadline(Instant::now()).is_none());
    drop(first);
    second.forget();
    assert_eq!(semaphore.available(), 1);
    semaphore.release();
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 2, .. }");
}

#[test]
#[should_panic(expected = "released too often")]
fn there_is_a_most() {
    Semaphore::new(usize::MAX).release();
}

#[test]
fn waiters_are_served_in_order() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (semaphore, served) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
        let waiters: Vec<_> = (0..20)
            .map(|n: u32| {
                let (semaphore, served) = (Arc::clone(&semaphore), served.clone());
                spawn(move || {
                    let _permit = semaphore.acquire();
                    served.put(n).unwrap();
                })
            })
            .collect();
        yield_now();
        semaphore.release();
        green_core::joinall(&waiters);
        served.close();
        assert!(served.iter().eq(0..20));
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn one_that_was_woken_in_vain_keeps_its_place() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (semaphore, served) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
        let waiters: Vec<_> = (0..3)
            .map(|n: u32| {
                let (semaphore, served) = (Arc::clone(&semaphore), served.clone());
                spawn(move || {
                    let _permit = semaphore.acquire();
                    served.put(n).unwrap();
                })
            })
            .collect();
        yield_now();
        // The first waiter is chosen, but a caller that runs takes the permit ahead of it.
        semaphore.release();
        let barged = semaphore.try_acquire().unwrap();
        yield_now();
        assert!(served.is_empty());
        drop(barged);
        green_core::joinall(&waiters);
        served.close();
        assert!(served.iter().eq(0..3));
    });
}

#[test]
fn a_waiter_that_times_out_takes_nothing() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let theirs = Arc::clone(&semaphore);
        let hasty = spawn(move || theirs.acquire_timeout(Duration::from_millis(1)).is_some());
        assert!(!hasty.get().unwrap());
        semaphore.release();
        assert_eq!(semaphore.available(), 1);
    });
}
