//! As many green threads as the system can map stacks for, and one more.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::{Builder, Config, spawn, stats};
use green_tests::{Process, alone, eventually, role};

/// More than this are not tried: a system with a higher limit is not worth the memory.
const MOST: usize = 40_000;

/// What waits for a stack at the end.
const MORE: usize = 100;

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the test that started this process reads it"
)]
fn process() {
    if role().is_none() {
        return;
    }
    Config::new().stack_size(16 * 1024).apply().unwrap();
    let release = Arc::new(Event::new());
    let ended = Arc::new(AtomicUsize::new(0));
    let body = || {
        let (release, ended) = (Arc::clone(&release), Arc::clone(&ended));
        move || {
            release.wait();
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut started = 0;
    let refused = loop {
        if started == MOST {
            println!("no limit");
            std::process::exit(0);
        }
        match Builder::new().spawn(body()) {
            Ok(_) => started += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    assert!(started > 1_000, "refused after {started}");

    for _ in 0..MORE {
        spawn(body());
    }
    eventually("the others wait for a stack", || stats().queued > 0);
    assert_eq!(ended.load(Ordering::Relaxed), 0);
    assert_eq!(stats().live, started + MORE);

    release.set();
    eventually("all have ended", || {
        ended.load(Ordering::Relaxed) == started + MORE && stats().live == 0
    });
    // There is room again.
    Builder::new().spawn(|| ()).unwrap().into_result().unwrap();
    println!("reached the limit");
    std::process::exit(0);
}

#[test]
fn spawning_waits_at_the_limit_on_mappings() {
    let _alone = alone();
    let mut process = Process::start("process", &[]);
    let status = process.wait(Duration::from_secs(24));
    assert!(status.success(), "{status}; {}", process.errors());
    process.line_with("limit");
    let errors = process.errors();
    assert!(!errors.contains("panicked"), "{errors}");
}
