//! Counts and dumps.

mod support;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::io::Io;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::{Condvar, Mutex};
use green_core::{Builder, Greenlet, killall, run, sleep, spawn, spawn_later, stats, yield_now};
use support::eventually;

fn dump() -> String {
    let mut text = Vec::new();
    green_core::dump(&mut text).expect("a vector takes everything");
    String::from_utf8(text).expect("it is text")
}

/// The line for a green thread.
fn line(g: &Greenlet<()>) -> String {
    let dump = dump();
    let start = format!("#{} ", g.id());
    dump.lines()
        .find(|line| line.starts_with(&start))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn nothing_before_the_first_green_thread() {
    if stats().hubs == 0 {
        assert_eq!(stats().live, 0);
        assert!(dump().starts_with("0 green threads"));
    }
}

#[test]
fn who_was_joined_is_off_the_books() {
    for _ in 0..2_000 {
        let g = spawn(yield_now);
        g.join();
        assert_eq!(line(&g), "");
    }
}

#[test]
fn each_says_what_it_waits_for() {
    let mutex = Arc::new(Mutex::new(()));
    let full = Queue::bounded(1);
    full.put(()).unwrap();
    let (a, _b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&a);
    let held = mutex.lock().unwrap();
    let target = Builder::new()
        .name("target")
        .spawn(|| sleep(Duration::MAX))
        .unwrap();
    let joined = target.clone();
    let pool_goes_on = Arc::new(Event::new());
    let theirs = Arc::clone(&pool_goes_on);
    let all = [
        (target, "waits for sleep"),
        (spawn(move || joined.join()), "waits for join"),
        (
            spawn({
                let mutex = Arc::clone(&mutex);
                move || drop(mutex.lock())
            }),
            "waits for mutex",
        ),
        (
            spawn(|| drop(Condvar::new().wait(Mutex::new(()).lock().unwrap()))),
            "waits for condvar",
        ),
        (
            spawn(|| drop(Semaphore::new(0).acquire())),
            "waits for semaphore",
        ),
        (spawn(|| Event::new().wait()), "waits for event"),
        (
            spawn(|| _ = Queue::<()>::unbounded().get()),
            "waits for queue get",
        ),
        (spawn(move || _ = full.put(())), "waits for queue put"),
        (
            spawn(move || drop(Io::new(a).read_with(|| None, |mut a| a.read(&mut [0])))),
            &*format!("waits for read of fd {fd}"),
        ),
        (
            spawn(move || green_core::blocking(move || theirs.wait())),
            "waits for blocking job",
        ),
        (spawn_later(Duration::from_secs(600), || ()), "not started"),
    ];
    for (g, what) in &all {
        eventually(what, || {
            line(g).contains(what) && line(g).contains("stats_dump.rs")
        });
    }
    assert!(line(&all[0].0).contains("target"));
    assert!(stats().live >= all.len() && stats().sources >= 1 && stats().blocking_threads >= 1);
    killall(all.iter().map(|(g, _)| g));
    pool_goes_on.set();
    drop(held);
    eventually("all are gone", || stats().live == 0 && stats().sources == 0);
    assert!(dump().starts_with("0 green threads"));
}

#[test]
fn stacks_are_reused() {
    green_core::Config::new().hubs(1).apply().ok();
    run(|| {
        for _ in 0..1_000 {
            spawn(|| sleep(Duration::ZERO)).join();
        }
    });
    let stats = stats();
    assert!(stats.carriers <= 4, "{stats:?}");
    assert!(
        stats.finished >= 1_000 && stats.switches >= 1_000 && stats.polls > 0,
        "{stats:?}"
    );
}

#[test]
fn a_hub_that_is_stuck_does_not_stop_a_dump() {
    let (in_there, go_on) = (
        Arc::new(Event::new()),
        Arc::new(std::sync::atomic::AtomicBool::new(false)),
    );
    let theirs = (Arc::clone(&in_there), Arc::clone(&go_on));
    let busy = Builder::new()
        .name("busy")
        .spawn(move || {
            theirs.0.set();
            while !theirs.1.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::yield_now();
            }
        })
        .unwrap();
    in_there.wait();
    assert!(line(&busy).contains("busy") && line(&busy).contains("running"));
    go_on.store(true, std::sync::atomic::Ordering::Relaxed);
    busy.join();
}
