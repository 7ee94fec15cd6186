//! The signal at any moment, not only when a hub is stuck: at switches, on the hub's own stack, in what the program runs on
//! top.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::{Builder, Config, sched, sleep, yield_now};

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

#[inline(never)]
fn deep(depth: usize, f: &dyn Fn()) -> usize {
    let frame = black_box([depth; 8]);
    if depth == 0 {
        f();
        return 0;
    }
    deep(depth - 1, f) + black_box(&frame)[3]
}

#[test]
fn a_hub_that_is_asked_at_any_moment_goes_on() {
    Config::new()
        .hubs(2)
        .watchdog(Duration::from_secs(3600))
        .apply()
        .expect("each test has a process of its own");
    let (stop, turns) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let workers: Vec<_> = (0..16)
        .map(|number: usize| {
            let (stop, turns) = (Arc::clone(&stop), Arc::clone(&turns));
            let body = move || {
                while !stop.load(Ordering::Relaxed) {
                    match number / 2 % 4 {
                        0 => _ = deep(30, &yield_now),
                        1 => sleep(Duration::from_micros(50)),
                        2 => crate::spawn(|| drop(vec![number_of_calls(); 8])).join(),
                        _ => _ = Event::new().wait_timeout(Duration::from_micros(20)),
                    }
                    turns.fetch_add(1, Ordering::Relaxed);
                }
            };
            let worker = Builder::new().hub(number % 2).stack_size(64 * 1024);
            worker.spawn(body).expect("there is room")
        })
        .collect();
    let (mut answers, mut traces) = (0, 0);
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        for hub in sched::hubs() {
            // It may not have begun yet.
            let Some(sample) = hub.sample.get().filter(|sample| sample.ask()) else {
                continue;
            };
            let asked = Instant::now();
            while !sample.is_done() {
                assert!(asked.elapsed() < LONG, "the hub does not answer");
                thread::yield_now();
            }
            answers += 1;
            traces += u64::from(
                sample
                    .answer()
                    .is_some_and(|(_, frames)| !frames.addresses().is_empty()),
            );
        }
    }
    let before = turns.load(Ordering::Relaxed);
    let begun = Instant::now();
    while turns.load(Ordering::Relaxed) < before + 100 {
        assert!(begun.elapsed() < LONG, "nobody runs any more");
        thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    crate::joinall(&workers);
    assert!(
        answers > 100 && traces > 10,
        "{answers} answers, {traces} traces"
    );
}

/// Something to compute.
fn number_of_calls() -> usize {
    deep(5, &|| ())
}
