//! MNR-01: a green thread that keeps its hub from switching is told.

#![expect(
    clippy::disallowed_methods,
    reason = "to block a hub is the point, and to time that from outside"
)]

use std::hint::black_box;
use std::io::{PipeReader, Read, Write, pipe};
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
    watched_by(Config::new().hubs(hubs).watchdog(limit))
}

fn watched_by(config: Config) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    log::set_boxed_logger(Box::new(Log(sender))).expect("there is no other");
    log::set_max_level(log::LevelFilter::Warn);
    config.apply().expect("the runtime has not started");
    receiver
}

/// What is logged next.
fn next(lines: &mpsc::Receiver<String>) -> String {
    let next = lines.recv_timeout(Duration::from_secs(10));
    next.expect("the watchdog tells")
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
        let line = next(&lines);
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
    let line = next(&lines);
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

#[inline(never)]
fn computes_until(release: &AtomicBool) {
    while !black_box(release).load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
}

#[inline(never)]
fn has_it_computed(release: &AtomicBool) -> u32 {
    computes_until(release);
    // So that the call before is no jump.
    black_box(7)
}

#[inline(never)]
fn reads_from(mut pipe: PipeReader) -> [u8; 4] {
    let mut word = [0; 4];
    // Not `read_exact`, which would read again after an error.
    let read = pipe.read(&mut word);
    assert_eq!(black_box(read.expect("it was restarted")), 4);
    word
}

/// The line of a backtrace in which `function` is, and the one after it.
#[track_caller]
fn frame<'a>(text: &'a str, function: &str) -> (&'a str, &'a str) {
    let mut lines = text.lines();
    let line = lines.find(|line| line.contains(function));
    let line = line.unwrap_or_else(|| panic!("{function} is not in\n{text}"));
    (line, lines.next().unwrap_or_default())
}

fn shows_where_a_computation_is(hubs: usize) {
    let lines = watched(hubs, LIMIT);
    for _ in 0..3 {
        let release = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&release);
        let computes = spawn(move || has_it_computed(&theirs));
        let text = next(&lines);
        release.store(true, Ordering::SeqCst);
        computes.join();
        // Without a line, if the compiler knows of none for the very instruction.
        frame(&text, "computes_until");
        // Who called it, and nothing of the runtime.
        let (_, at) = frame(&text, "has_it_computed");
        assert!(at.contains("watchdog.rs:"), "{text}");
        assert!(!text.contains("green_core::"), "{text}");
        assert!(!text.contains("catch_unwind"), "{text}");
    }
}

#[test]
fn mnr01_shows_where_a_computation_is_on_one_hub() {
    shows_where_a_computation_is(1);
}

#[test]
fn mnr01_shows_where_a_computation_is_on_two_hubs() {
    shows_where_a_computation_is(2);
}

#[test]
fn mnr01_shows_where_a_computation_is_on_eight_hubs() {
    shows_where_a_computation_is(8);
}

#[test]
fn mnr01_a_system_call_that_blocks_goes_on_after_it_was_shown() {
    let lines = watched(2, LIMIT);
    let (reader, mut writer) = pipe().unwrap();
    let reads = spawn(move || reads_from(reader));
    let text = next(&lines);
    frame(&text, "reads_from");
    writer.write_all(b"word").unwrap();
    assert_eq!(&reads.get().unwrap(), b"word");
}

#[test]
fn mnr01_shows_one_that_has_used_up_its_stack() {
    /// Computes so many bytes below `top`.
    #[inline(never)]
    fn deep(top: usize, bytes: usize, release: &AtomicBool) -> usize {
        let frame = black_box([0_usize; 64]);
        if top - std::ptr::from_ref(&frame).addr() >= bytes {
            computes_until(release);
            return frame[3];
        }
        deep(top, bytes, release) + black_box(&frame)[7]
    }
    let size = 32 * 1024;
    let lines = watched_by(Config::new().hubs(1).watchdog(LIMIT).stack_size(size));
    let release = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&release);
    let computes = spawn(move || {
        let top = 0_u8;
        deep(std::ptr::from_ref(&top).addr(), size - 6 * 1024, &theirs)
    });
    let text = next(&lines);
    release.store(true, Ordering::SeqCst);
    assert!(computes.get().is_ok());
    assert!(text.matches("deep").count() > 20, "{text}");
}

#[test]
fn mnr01_sends_nothing_to_a_handler_of_the_program() {
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(libc::SIGURG, Arc::clone(&seen)).unwrap();
    tells_no_backtrace(watched(1, LIMIT));
    assert!(!seen.load(Ordering::SeqCst));
}

#[test]
fn mnr01_sends_nothing_to_a_handler_that_came_later() {
    let lines = watched(1, LIMIT);
    run(|| ());
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(libc::SIGURG, Arc::clone(&seen)).unwrap();
    tells_no_backtrace(lines);
    assert!(!seen.load(Ordering::SeqCst));
}

#[test]
fn mnr01_sends_nothing_if_it_is_not_to() {
    let quiet = Config::new().hubs(1).watchdog(LIMIT).watchdog_signal(None);
    tells_no_backtrace(watched_by(quiet));
}

#[test]
fn mnr01_takes_another_signal() {
    let lines = watched_by(
        Config::new()
            .hubs(1)
            .watchdog(LIMIT)
            .watchdog_signal(libc::SIGRTMAX() - 3),
    );
    let (reader, mut writer) = pipe().unwrap();
    let reads = spawn(move || reads_from(reader));
    let text = next(&lines);
    frame(&text, "reads_from");
    writer.write_all(b"word").unwrap();
    assert_eq!(&reads.get().unwrap(), b"word");
}

/// One who blocks is told, without where it is.
fn tells_no_backtrace(lines: mpsc::Receiver<String>) {
    let release = Arc::new(AtomicBool::new(false));
    let blocker = blocker(&release);
    let text = next(&lines);
    release.store(true, Ordering::SeqCst);
    blocker.join();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("green thread 'blocker'"), "{text}");
}
