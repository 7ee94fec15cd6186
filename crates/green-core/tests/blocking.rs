//! The blocking pool.
#![expect(clippy::disallowed_methods, reason = "jobs that block their OS thread")]

#[path = "support/refusal.rs"]
mod refusal;

use std::io::ErrorKind;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use green_core::event::Event;
use green_core::{Config, blocking, run, sleep, spawn, stats, try_blocking, yield_now};

#[test]
fn the_hub_goes_on_meanwhile() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let done = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&done);
        let job = spawn(move || {
            blocking(move || {
                while !theirs.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
                7
            })
        });
        yield_now();
        assert!(!job.ready());
        done.store(true, Ordering::SeqCst);
        assert_eq!(job.get().unwrap(), 7);
    });
}

#[test]
fn on_an_os_thread_it_runs_inline() {
    let here = thread::current().id();
    assert_eq!(blocking(|| thread::current().id()), here);
}

#[test]
fn a_killed_caller_leaves_at_once_and_its_job_runs_on() {
    Config::new().hubs(1).apply().ok();
    let (go_on, finished) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&go_on), Arc::clone(&finished));
    run(move || {
        let caller = spawn(move || {
            blocking(move || {
                theirs.0.wait();
                theirs.1.set();
            });
        });
        yield_now();
        caller.kill();
        assert!(caller.ready());
    });
    assert!(!finished.is_set());
    go_on.set();
    assert!(finished.wait_timeout(Duration::from_secs(10)));
}

#[test]
fn there_are_at_most_as_many_os_threads_as_configured() {
    let limited = Config::new().blocking_threads(2).apply().is_ok();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..20)
        .map(|n| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            spawn(move || {
                blocking(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    now.fetch_sub(1, Ordering::SeqCst);
                    n
                })
            })
        })
        .collect();
    assert!(jobs.iter().map(|g| g.get().unwrap()).eq(0..20));
    assert!(!limited || most.load(Ordering::SeqCst) <= 2);
    assert!(!limited || stats().blocking_threads <= 2);
}

#[test]
fn a_job_may_use_everything() {
    let sum = run(|| {
        blocking(|| {
            let g = spawn(|| 3);
            sleep(Duration::from_millis(1));
            g.get().unwrap() + blocking(|| 4)
        })
    });
    assert_eq!(sum, 7);
}

/// Panics when it is dropped, and tells where.
struct Noisy(Arc<std::sync::OnceLock<String>>);

impl Drop for Noisy {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        self.0.set(name).ok();
        panic!("a destructor");
    }
}

#[test]
fn a_value_whose_destructor_panics_does_not_end_the_pool() {
    Config::new().hubs(1).blocking_threads(2).apply().ok();
    run(|| {
        let dropped: [Arc<std::sync::OnceLock<String>>; 2] = Default::default();
        let go_on = Arc::new(Event::new());
        for place in &dropped {
            let (place, go_on) = (Arc::clone(place), Arc::clone(&go_on));
            let caller = spawn(move || {
                blocking(move || {
                    go_on.wait();
                    Noisy(place)
                });
            });
            yield_now();
            caller.kill();
            assert!(caller.ready());
        }
        go_on.set();
        assert_eq!(blocking(|| 1), 1);
        while dropped.iter().any(|place| place.get().is_none()) {
            sleep(Duration::from_millis(1));
        }
        assert_eq!([blocking(|| 1), blocking(|| 2)], [1, 2]);
        assert!(
            dropped
                .iter()
                .all(|place| place.get().unwrap() == "green-blocking")
        );
    });
}

#[test]
fn a_value_that_comes_after_the_kill_is_dropped_in_the_pool() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let dropped = Arc::new(std::sync::OnceLock::new());
        let finished = Arc::new(AtomicBool::new(false));
        let theirs = (Arc::clone(&dropped), Arc::clone(&finished));
        let go_on = Arc::new(AtomicBool::new(false));
        let goes_on = Arc::clone(&go_on);
        let caller = spawn(move || {
            blocking(move || {
                while !goes_on.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
                theirs.1.store(true, Ordering::SeqCst);
                Noisy(theirs.0)
            });
        });
        yield_now();
        // It has been chosen to unwind, and does so only when this hub comes to it.
        caller.kill_nowait();
        go_on.store(true, Ordering::SeqCst);
        while !finished.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        assert!(dropped.get().is_none());
        while dropped.get().is_none() {
            sleep(Duration::from_millis(1));
        }
        assert_eq!(dropped.get().unwrap(), "green-blocking");
        caller.join();
    });
}

#[test]
fn work_for_which_there_is_no_os_thread_is_refused_and_never_done() {
    let done = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&done);
    run(move || {
        let count = move || {
            let done = Arc::clone(&theirs);
            move || done.fetch_add(1, Ordering::SeqCst)
        };
        refusal::without_os_threads(|| {
            let error = try_blocking(count()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let work = std::panic::AssertUnwindSafe(count());
            assert!(catch_unwind(|| blocking({ work }.0)).is_err());
        });
        assert_eq!(blocking(count()), 0);
    });
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[test]
fn with_an_os_thread_in_the_pool_work_waits_for_it() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let go_on = Arc::new(Event::new());
        let theirs = Arc::clone(&go_on);
        let first = spawn(move || blocking(move || theirs.wait()));
        yield_now();
        let second = refusal::without_os_threads(|| {
            let second = spawn(|| try_blocking(|| 2).unwrap());
            yield_now();
            second
        });
        assert!(!second.ready());
        go_on.set();
        assert_eq!(second.get().unwrap(), 2);
        first.join();
        assert_eq!(refusal::os_threads("green-blocking"), 1);
    });
}
