//! `Config::detect_deadlock`: gevent's `LoopExit` (HUB-08, rule 22).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::signal::{SIGUSR1, signal_handler};
use green_core::sync::Mutex;
use green_core::{Builder, Config, blocking, run, sleep, spawn, spawn_later};
use rustix::process::{Signal, getpid, kill_process};

const SHORT: Duration = Duration::from_millis(5);

fn detecting(hubs: usize) {
    Config::new().hubs(hubs).detect_deadlock(true).apply().ok();
}

fn message(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("a deadlock");
    *payload.downcast().expect("a message")
}

#[test]
fn rule_22_main_that_nobody_can_wake_panics_and_the_runtime_stays_usable() {
    detecting(2);
    for _ in 0..3 {
        let text = message(|| run(|| Event::new().wait()));
        assert!(text.contains("LoopExit"), "{text}");
        assert!(text.contains("waits for event"), "{text}");
        assert_eq!(run(|| spawn(|| 7).get().unwrap()), 7);
    }
}

#[test]
fn rule_22_a_cycle_of_joins_and_locks_is_found_and_named() {
    detecting(3);
    let text = message(|| {
        run(|| {
            let pair = Arc::new((Mutex::new(()), Mutex::new(()), Event::new()));
            let theirs = Arc::clone(&pair);
            let _first = pair.0.lock().unwrap();
            let other = Builder::new()
                .name("other")
                .spawn(move || {
                    let _second = theirs.1.lock().unwrap();
                    theirs.2.set();
                    drop(theirs.0.lock().unwrap());
                })
                .unwrap();
            pair.2.wait();
            drop(pair.1.lock().unwrap());
            other.join();
        });
    });
    assert!(
        text.contains("other") && text.contains("waits for mutex"),
        "{text}"
    );
}

#[test]
fn what_can_still_happen_is_no_deadlock() {
    detecting(2);
    for _ in 0..20 {
        run(|| {
            let event = Arc::new(Event::new());
            let theirs = Arc::clone(&event);
            spawn_later(Duration::from_millis(1), move || theirs.set());
            event.wait();
            sleep(Duration::from_millis(1));
            assert!(!Event::new().wait_timeout(Duration::from_millis(1)));
            let theirs = Arc::clone(&event);
            event.clear();
            blocking(move || theirs.set());
            event.wait();
        });
    }
}

#[test]
fn a_child_that_is_stuck_is_not_mains_deadlock() {
    detecting(2);
    let value = run(|| {
        spawn(|| Event::new().wait());
        sleep(SHORT);
        7
    });
    assert_eq!(value, 7);
}

#[test]
fn off_by_default() {
    Config::new().hubs(1).apply().ok();
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    // Nothing in the hubs will wake it: the OS thread that waits here does.
    let waits = spawn(move || run(move || theirs.wait()));
    assert!(!waits.join_timeout(SHORT));
    event.set();
    waits.join();
    assert!(waits.successful());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the signal comes from outside, when a false alarm has had time to be raised"
)]
fn a_signal_handler_may_wake_main_yet() {
    detecting(2);
    run(|| {
        let came = Arc::new(Event::new());
        let theirs = Arc::clone(&came);
        let _handler = signal_handler(SIGUSR1, move || theirs.set()).unwrap();
        let sender = std::thread::spawn(|| {
            std::thread::sleep(SHORT * 10);
            kill_process(getpid(), Signal::USR1)
        });
        came.wait();
        sender.join().unwrap().unwrap();
    });
}
