//! gevent's signal handlers: TOP-14, SIG-01, SIG-02, rule 48.

#![expect(
    clippy::disallowed_methods,
    reason = "a process is asked to end by a signal from an OS thread"
)]

mod support;

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::signal::{
    self, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGSEGV, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
    SignalHandler, signal_handler,
};
use green_core::sync::Mutex;
use green_core::{
    Config, RawGreenlet, add_spawn_callback, getcurrent, remove_spawn_callback, run, sleep, spawn,
    stats, wait_idle_timeout,
};
use rustix::process::{Signal, getpid, kill_process};
use support::eventually;

fn raise(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
}

/// A handler of `signum` that counts.
fn counter(signum: i32) -> (SignalHandler, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&count);
    let handler = signal_handler(signum, move || {
        theirs.fetch_add(1, Ordering::SeqCst);
    });
    (handler.expect("it can be handled"), count)
}

fn counts(count: &AtomicU32, n: u32) {
    eventually("the handler is called", || {
        count.load(Ordering::SeqCst) >= n
    });
    assert_eq!(count.load(Ordering::SeqCst), n);
}

#[test]
fn top14_runs_in_a_green_thread_of_its_own_and_may_wait() {
    let answer = Queue::unbounded();
    let theirs = answer.clone();
    let _handler = signal_handler(SIGUSR1, move || {
        sleep(Duration::from_millis(5));
        theirs
            .put(getcurrent().map(|me| me.id()))
            .expect("it is open");
    })
    .unwrap();
    raise(Signal::USR1);
    let first = answer.get().unwrap();
    raise(Signal::USR1);
    let second = answer.get().unwrap();
    assert!(first.is_some() && second.is_some() && first != second);
}

#[test]
fn top14_starts_the_hubs() {
    assert_eq!(stats().hubs, 0);
    let (_handler, count) = counter(SIGUSR1);
    raise(Signal::USR1);
    counts(&count, 1);
}

#[test]
fn top14_can_be_set_from_a_green_thread() {
    run(|| {
        let (_handler, count) = counter(SIGUSR2);
        raise(Signal::USR2);
        counts(&count, 1);
    });
}

#[test]
fn top14_stays_set() {
    let (_handler, count) = counter(SIGUSR1);
    for n in 1..=20 {
        raise(Signal::USR1);
        counts(&count, n);
    }
}

#[test]
fn top14_a_burst_is_one() {
    Config::new().hubs(1).apply().unwrap();
    let (_handler, count) = counter(SIGUSR1);
    let theirs = Arc::clone(&count);
    run(move || {
        for _ in 0..5 {
            // To the calling OS thread, which handles it at once.
            signal_hook::low_level::raise(SIGUSR1).unwrap();
        }
        // Nothing else has run on the only hub.
        assert_eq!(theirs.load(Ordering::SeqCst), 0);
        counts(&theirs, 1);
        sleep(Duration::from_millis(20));
    });
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn top14_handlers_start_in_the_order_in_which_they_were_set() {
    Config::new().hubs(1).apply().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let handlers: Vec<_> = (0..4)
        .map(|n| {
            let order = Arc::clone(&order);
            signal_handler(SIGUSR1, move || order.lock().unwrap().push(n)).unwrap()
        })
        .collect();
    raise(Signal::USR1);
    eventually("all are called", || order.lock().unwrap().len() == 4);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    drop(handlers);
}

#[test]
fn top14_signals_are_told_apart() {
    let (_one, first) = counter(SIGUSR1);
    let (_two, second) = counter(SIGUSR2);
    raise(Signal::USR2);
    counts(&second, 1);
    assert_eq!(first.load(Ordering::SeqCst), 0);
    raise(Signal::USR1);
    counts(&first, 1);
    counts(&second, 1);
}

#[test]
fn top14_a_cancelled_handler_is_not_called() {
    let (stays, count) = counter(SIGUSR1);
    let (goes, gone) = counter(SIGUSR1);
    raise(Signal::USR1);
    counts(&count, 1);
    counts(&gone, 1);
    goes.cancel();
    raise(Signal::USR1);
    counts(&count, 2);
    assert_eq!(gone.load(Ordering::SeqCst), 1);
    assert_eq!(stays.signum(), SIGUSR1);
}

#[test]
fn top14_forget_leaves_it_in_place() {
    let (handler, count) = counter(SIGUSR1);
    handler.forget();
    raise(Signal::USR1);
    counts(&count, 1);
}

#[test]
fn top14_a_handler_that_panics_does_not_keep_others_from_running() {
    let _panics = signal_handler(SIGUSR1, || std::panic::resume_unwind(Box::new(())));
    let (_handler, count) = counter(SIGUSR1);
    for n in 1..4 {
        raise(Signal::USR1);
        counts(&count, n);
    }
}

#[test]
fn top14_a_handler_may_cancel_itself() {
    let slot: Arc<Mutex<Option<SignalHandler>>> = Arc::default();
    let (count, theirs) = (Arc::new(AtomicU32::new(0)), Arc::clone(&slot));
    let counted = Arc::clone(&count);
    let handler = signal_handler(SIGUSR1, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        drop(theirs.lock().unwrap().take());
    })
    .unwrap();
    *slot.lock().unwrap() = Some(handler);
    let (_other, others) = counter(SIGUSR1);
    raise(Signal::USR1);
    counts(&others, 1);
    counts(&count, 1);
    raise(Signal::USR1);
    counts(&others, 2);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn top14_what_cannot_be_handled_is_an_error() {
    for signum in [SIGKILL, SIGSEGV, 0, 4_711, -1, i32::MIN] {
        let error = signal_handler(signum, || ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{signum}");
    }
    // Nothing is left of the attempts.
    eventually("nobody waits for signals", || stats().live == 0);
    assert_eq!(stats().sources, 0);
}

#[test]
fn top14_nothing_is_left_after_the_last_one() {
    for _ in 0..3 {
        let (handler, count) = counter(SIGUSR1);
        let (other, _) = counter(SIGWINCH);
        raise(Signal::USR1);
        counts(&count, 1);
        drop(handler);
        assert!(stats().live > 0, "one handler is left");
        drop(other);
        eventually("nobody waits for signals", || stats().live == 0);
        assert_eq!(stats().sources, 0);
    }
}

#[test]
fn rule48_a_child_is_waited_for_all_the_same() {
    let (_handler, count) = counter(SIGCHLD);
    let status = run(|| green_core::process::Command::new("true").status());
    assert!(status.unwrap().success());
    eventually("the handler is called", || count.load(Ordering::SeqCst) > 0);
}

#[test]
fn sig02_wait_returns_which_signal_it_was() {
    let (waits, signalled) = (Arc::new(AtomicBool::new(false)), Arc::new(Event::new()));
    let (theirs, done) = (Arc::clone(&waits), Arc::clone(&signalled));
    // One that was set before says when the others are.
    let waiter = spawn(move || {
        theirs.store(true, Ordering::SeqCst);
        let which = signal::wait([SIGINT, SIGTERM, SIGUSR2]);
        done.set();
        which
    });
    let (_early, _) = counter(SIGUSR2);
    eventually("it waits", || waits.load(Ordering::SeqCst));
    // The signal is harmless before the waiter has come to its handlers.
    while !signalled.wait_timeout(Duration::from_millis(2)) {
        raise(Signal::USR2);
    }
    assert_eq!(waiter.into_result().unwrap().unwrap(), SIGUSR2);
}

#[test]
fn sig02_wait_for_nothing_is_an_error() {
    assert_eq!(
        signal::wait([]).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

/// What is run again as a process of its own: see `sig01_the_default_comes_back`.
#[test]
fn victim() {
    if std::env::var_os("GREEN_TEST_VICTIM").is_none() {
        return;
    }
    let (handler, count) = counter(SIGTERM);
    raise(Signal::TERM);
    counts(&count, 1);
    handler.cancel();
    raise(Signal::TERM);
    // It is delivered to some OS thread.
    std::thread::sleep(Duration::from_secs(10));
}

#[test]
fn sig01_the_default_comes_back() {
    let own = std::env::current_exe().unwrap();
    let status = std::process::Command::new(own)
        .args(["--exact", "victim", "--nocapture"])
        .env("GREEN_TEST_VICTIM", "1")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(SIGTERM), "{status}");
}

/// What is run again as a process of its own: see `sig01_what_was_ignored_is_ignored_again`.
#[test]
fn victim_that_ignores() {
    if std::env::var_os("GREEN_TEST_VICTIM").is_none() {
        return;
    }
    for _ in 0..2 {
        let (handler, count) = counter(SIGHUP);
        raise(Signal::HUP);
        counts(&count, 1);
        handler.cancel();
        // Delivered before this returns: there is one OS thread that does not block it.
        signal_hook::low_level::raise(SIGHUP).unwrap();
    }
}

#[test]
fn sig01_what_was_ignored_is_ignored_again() {
    let own = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(own)
        .args(["--exact", "victim_that_ignores", "--nocapture"])
        .env("GREEN_TEST_VICTIM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn top11_handlers_do_not_keep_wait_idle_from_returning() {
    let (_handler, count) = counter(SIGUSR1);
    assert!(wait_idle_timeout(Duration::from_secs(5)));
    raise(Signal::USR1);
    counts(&count, 1);
    assert!(wait_idle_timeout(Duration::from_secs(5)));
    assert_eq!(stats().live, 1, "it is still there");
}

#[test]
fn top11_handlers_do_not_keep_wait_idle_from_returning_after_others_that_were_killed() {
    Config::new().hubs(1).apply().expect("nothing has started");
    run(|| {
        let all = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&all);
        let callback = add_spawn_callback(move |one| theirs.lock().unwrap().push(one.clone()));
        let (first, _) = counter(SIGUSR1);
        remove_spawn_callback(callback);
        // Before it has run. Its place is taken only after the next one's, which reads another pipe.
        all.lock()
            .unwrap()
            .iter()
            .for_each(RawGreenlet::kill_nowait);
        first.cancel();
        let (_second, count) = counter(SIGUSR1);
        assert!(wait_idle_timeout(Duration::from_secs(5)));
        raise(Signal::USR1);
        counts(&count, 1);
    });
}

#[test]
fn grn21_a_spawn_callback_may_set_and_cancel_handlers() {
    let callback = add_spawn_callback(|_| {
        let handler = signal_handler(SIGWINCH, || ()).expect("it can be handled");
        handler.cancel();
    });
    let sets = spawn(|| {
        let (_handler, count) = counter(SIGUSR1);
        raise(Signal::USR1);
        counts(&count, 1);
    });
    assert!(sets.join_timeout(Duration::from_secs(10)));
    sets.into_result().unwrap();
    remove_spawn_callback(callback);
}

#[test]
fn top14_who_kills_every_green_thread_does_not_end_the_handling() {
    let all = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&all);
    let callback = add_spawn_callback(move |one| theirs.lock().unwrap().push(one.clone()));
    let (handler, count) = counter(SIGUSR1);
    remove_spawn_callback(callback);
    let all = std::mem::take(&mut *all.lock().unwrap());
    assert_eq!(all.len(), 1);
    raise(Signal::USR1);
    counts(&count, 1);
    all.iter().for_each(RawGreenlet::kill_nowait);
    for n in 2..5 {
        raise(Signal::USR1);
        counts(&count, n);
    }
    drop(handler);
    eventually("nobody waits for signals", || stats().live == 0);
}

#[test]
fn a_handler_that_is_refused_is_dropped_without_the_lock() {
    // Its destructor cancels another handler, which takes the same lock.
    let other = signal_handler(SIGUSR1, || ()).unwrap();
    let refused = signal_handler(1000, move || {
        let _held = &other;
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn top14_who_kills_everybody_does_not_end_the_handling_of_signals() {
    Config::new().hubs(1).apply().expect("nothing has started");
    run(|| {
        let (_handler, count) = counter(SIGHUP);
        let own = getcurrent().expect("a green thread").id().get();
        // Before it has run, and after.
        for n in 1..=2 {
            (1..=own + 64)
                .filter(|&id| id != own)
                .filter_map(std::num::NonZeroU64::new)
                .for_each(|id| _ = green_core::debug::kill(id));
            raise(Signal::HUP);
            counts(&count, n);
        }
    });
}
