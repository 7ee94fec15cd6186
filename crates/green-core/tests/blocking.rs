//! The blocking pool.
#![expect(clippy::disallowed_methods, reason = "jobs that block their OS thread")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use green_core::event::Event;
use green_core::{Config, blocking, run, spawn, stats, yield_now};

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
            green_core::sleep(Duration::from_millis(1));
            g.get().unwrap() + blocking(|| 4)
        })
    });
    assert_eq!(sum, 7);
}
