//! MNR-01: a green thread that keeps its hub from switching is told.

#![expect(
    clippy::disallowed_methods,
    reason = "to block a hub is the point, and to time that from outside"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use green_core::{Builder, Config, Greenlet, run, sleep, spawn, yield_now};

const LIMIT: Duration = Duration::from_millis(40);

/// Keeps what is logged by the watchdog.
struct Log(mpsc::Sender<String>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        if text.contains("from switching") {
            self.0.send(text).ok();
        }
    }

    fn flush(&self) {}
}

/// The lines that are logged from now on, by a runtime of so many hubs.
fn watched(hubs: usize, limit: Duration) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    log::set_boxed_logger(Box::new(Log(sender))).expect("there is no other");
    log::set_max_level(log::LevelFilter::Warn);
    Config::new()
        .hubs(hubs)
        .watchdog(limit)
        .apply()
        .expect("the runtime has not started");
    receiver
}

/// Has one green thread keep its hub until `release`.
fn blocker(release: &Arc<AtomicBool>) -> Greenlet<()> {
    let release = Arc::clone(release);
    let blocker = Builder::new().name("blocker").spawn(move || {
        while !release.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    });
    blocker.expect("there is room for one")
}

#[test]
fn mnr01_names_the_green_thread_while_it_blocks() {
    let lines = watched(2, LIMIT);
    let release = Arc::new(AtomicBool::new(false));
    // Parked ones, on both hubs, are not meant.
    let parked: Vec<_> = (0..8)
        .map(|_| spawn(|| sleep(Duration::from_secs(600))))
        .collect();
    for _ in 0..2 {
        release.store(false, Ordering::SeqCst);
        let blocker = blocker(&release);
        let begun = Instant::now();
        let line = lines.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(begun.elapsed() >= LIMIT);
        assert!(line.contains("green thread 'blocker'"), "{line}");
        assert!(line.contains("watchdog.rs:"), "{line}");
        assert!(line.contains("has kept hub "), "{line}");
        // Once for each time.
        thread::sleep(3 * LIMIT);
        release.store(true, Ordering::SeqCst);
        blocker.join();
        assert!(lines.try_recv().is_err());
    }
    green_core::killall(&parked);
}

#[test]
fn mnr01_sees_a_computation_without_a_blocking_call() {
    let lines = watched(1, LIMIT);
    let release = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&release);
    let computes = spawn(move || {
        while !theirs.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
    });
    let line = lines.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(
        line.contains(&format!("green thread #{}", computes.id())),
        "{line}"
    );
    release.store(true, Ordering::SeqCst);
    computes.join();
}

#[test]
fn mnr01_says_nothing_of_those_who_wait_or_yield() {
    // So long that no system leaves a hub without a processor meanwhile.
    let limit = Duration::from_millis(600);
    let lines = watched(2, limit);
    let sleeper = spawn(move || sleep(2 * limit));
    run(move || {
        let end = Instant::now() + 2 * limit;
        while Instant::now() < end {
            yield_now();
        }
    });
    sleeper.join();
    assert!(lines.try_recv().is_err());
}
