//! `wait` without objects: until nothing is left to do (gevent's TOP-11, HUB-04 and rule 21).
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

mod support;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{
    Config, Greenlet, blocking, run, sleep, spawn, spawn_later, spawn_raw, stats, timeout,
    wait_idle, wait_idle_timeout, yield_now,
};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);

fn hubs(hubs: usize) {
    Config::new().hubs(hubs).apply().ok();
}

#[test]
fn top_11_nothing_was_ever_to_do() {
    hubs(2);
    wait_idle();
    assert!(wait_idle_timeout(SHORT));
    run(wait_idle);
    assert!(run(|| wait_idle_timeout(LONG)));
}

#[test]
fn top_11_it_waits_for_what_runs_and_sleeps() {
    hubs(3);
    for _ in 0..50 {
        let all: Vec<_> = (0..10)
            .map(|n| {
                spawn(move || {
                    sleep(Duration::from_micros(100 * n));
                    spawn_raw(|| (0..3).for_each(|_| yield_now()));
                })
            })
            .collect();
        wait_idle();
        assert_eq!(stats().live, 0);
        assert!(all.iter().all(Greenlet::ready));
    }
}

#[test]
fn top_11_in_a_green_thread_with_and_without_a_limit() {
    hubs(2);
    run(|| {
        for _ in 0..20 {
            let g = spawn(|| sleep(Duration::from_millis(1)));
            wait_idle();
            assert!(g.ready());
            let g = spawn(|| sleep(Duration::from_millis(1)));
            assert!(wait_idle_timeout(LONG));
            assert!(g.ready());
            let g = spawn(|| sleep(Duration::from_millis(1)));
            timeout(LONG, wait_idle).unwrap();
            assert!(g.ready());
        }
    });
}

#[test]
fn rule_21_who_is_parked_for_good_does_not_count() {
    hubs(2);
    let never = Arc::new(Event::new());
    let theirs = Arc::clone(&never);
    let parked = spawn(move || theirs.wait());
    let joins = parked.clone();
    let joiner = spawn(move || joins.join());
    let unstarted = Greenlet::new(|| ());
    wait_idle();
    assert!(!parked.ready() && !joiner.ready() && !unstarted.ready());
    never.set();
    wait_idle();
    assert!(parked.ready() && joiner.ready());
}

#[test]
fn rule_21_timers_io_and_blocking_jobs_do() {
    hubs(2);
    let begun = Instant::now();
    let timed = spawn(|| Event::new().wait_timeout(SHORT * 4));
    // The machine may be so slow that the time is over.
    assert!(!wait_idle_timeout(SHORT) || timed.ready());
    wait_idle();
    assert!(timed.ready() && begun.elapsed() >= SHORT * 4);
    let later = spawn_later(LONG, || ());
    assert!(!wait_idle_timeout(SHORT));
    later.kill();
    support::eventually("the timer is gone", || wait_idle_timeout(SHORT));
    let (reader, writer) = std::io::pipe().unwrap();
    let reads = spawn(move || green_core::io::wait_readable(reader.as_fd(), None).is_ok());
    assert!(!wait_idle_timeout(SHORT * 2));
    drop(writer);
    wait_idle();
    assert!(reads.get().unwrap());
    let job = spawn(|| blocking(|| std::thread::sleep(SHORT * 4)));
    assert!(!wait_idle_timeout(SHORT) || job.ready());
    wait_idle();
    assert!(job.ready());
}

#[test]
fn many_wait_at_once_and_some_are_killed() {
    hubs(3);
    let waiters: Vec<_> = (0..6).map(|_| spawn(wait_idle)).collect();
    let busy = spawn(|| sleep(SHORT * 2));
    waiters[0].kill();
    let os_waiter = std::thread::spawn(wait_idle);
    os_waiter.join().unwrap();
    assert!(busy.ready());
    support::eventually("all have waited", || {
        waiters
            .iter()
            .all(|waiter| waiter.ready() && waiter.successful())
    });
}
