//! `sync::Once`.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use green_core::event::Event;
use green_core::sync::Once;
use green_core::{Config, joinall, run, sleep, spawn, timeout, yield_now};

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

#[test]
fn the_closure_may_block() {
    alone(|| {
        let shared = Arc::new((Once::new(), Event::new(), AtomicUsize::new(0)));
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let shared = Arc::clone(&shared);
                spawn(move || {
                    shared.0.call_once(|| {
                        shared.1.wait();
                        shared.2.fetch_add(1, Ordering::Relaxed);
                    });
                    assert_eq!(shared.2.load(Ordering::Relaxed), 1);
                })
            })
            .collect();
        yield_now();
        assert!(!shared.0.is_completed() && callers.iter().all(|caller| !caller.ready()));
        shared.1.set();
        joinall(&callers);
        assert!(callers.iter().all(|caller| caller.get().is_ok()) && shared.0.is_completed());
    });
}

#[test]
fn a_kill_in_the_closure_lets_the_next_one_run_its_own() {
    alone(|| {
        let once = Arc::new(Once::new());
        let theirs = Arc::clone(&once);
        let dies = spawn(move || theirs.call_once(|| sleep(Duration::MAX)));
        yield_now();
        // Who only waits does not take the turn of those who have a closure.
        let theirs = Arc::clone(&once);
        let looks_on = spawn(move || theirs.wait());
        let callers = [0, 1].map(|_| {
            let once = Arc::clone(&once);
            spawn(move || {
                let mut ran = false;
                once.call_once(|| ran = true);
                ran
            })
        });
        yield_now();
        dies.kill();
        assert!(callers[0].get().unwrap() && !callers[1].get().unwrap());
        looks_on.join();
        assert!(once.is_completed());
    });
}

#[test]
fn a_time_limit_in_the_closure_does_not_poison() {
    let check = || {
        let once = Once::new();
        let limited = timeout(Duration::from_millis(5), || {
            once.call_once(|| run(|| sleep(Duration::from_secs(600))));
        });
        assert!(limited.is_err() && !once.is_completed());
        let mut found = None;
        once.call_once_force(|state| found = Some(state.is_poisoned()));
        assert_eq!(found, Some(false));
    };
    run(check);
}

#[test]
fn an_interrupt_leaves_a_poisoned_one_poisoned() {
    alone(|| {
        let once = Arc::new(Once::new());
        let caught = catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("expected"))));
        assert!(caught.is_err());
        let limited = timeout(Duration::from_millis(1), || {
            once.call_once_force(|_| sleep(Duration::MAX));
        });
        assert!(limited.is_err());
        let caught = catch_unwind(AssertUnwindSafe(|| once.call_once(|| ())));
        let payload = caught.unwrap_err();
        let message = payload.downcast_ref::<&str>().unwrap();
        assert_eq!(*message, "Once instance has previously been poisoned");
    });
}

#[test]
fn a_waiter_that_is_killed_leaves_the_others_alone() {
    alone(|| {
        let shared = Arc::new((Once::new(), Event::new()));
        let theirs = Arc::clone(&shared);
        let runs = spawn(move || theirs.0.call_once(|| theirs.1.wait()));
        yield_now();
        let waiters = [0, 1, 2].map(|number| {
            let shared = Arc::clone(&shared);
            spawn(move || match number {
                0 => shared.0.call_once(|| unreachable!("it has run")),
                1 => shared.0.wait(),
                _ => shared.0.wait_force(),
            })
        });
        yield_now();
        waiters[0].kill();
        let limited = timeout(Duration::from_millis(1), || shared.0.wait());
        assert!(limited.is_err());
        shared.1.set();
        joinall(&waiters);
        runs.join();
        assert!(waiters[0].get().is_err() && waiters[1].get().is_ok() && waiters[2].get().is_ok());
    });
}

#[test]
fn a_panic_in_the_closure_reaches_those_who_wait() {
    alone(|| {
        let shared = Arc::new((Once::new(), Event::new()));
        let theirs = Arc::clone(&shared);
        let panics = spawn(move || {
            theirs.0.call_once(|| {
                theirs.1.wait();
                panic!("expected");
            });
        });
        yield_now();
        let theirs = Arc::clone(&shared);
        let waits = spawn(move || theirs.0.wait());
        yield_now();
        shared.1.set();
        assert!(panics.into_result().is_err() && waits.into_result().is_err());
    });
}

#[test]
fn a_closure_that_waits_for_itself_panics() {
    let check = || {
        for way in 0..4 {
            let once = Once::new();
            let caught = catch_unwind(AssertUnwindSafe(|| {
                once.call_once(|| match way {
                    0 => once.call_once(|| ()),
                    1 => once.call_once_force(|_| ()),
                    2 => once.wait(),
                    _ => once.wait_force(),
                });
            }));
            let payload = caught.unwrap_err();
            let message = payload.downcast_ref::<&str>().unwrap();
            assert_eq!(*message, "what is to run once waits for itself");
            assert!(!once.is_completed());
        }
    };
    check();
    run(check);
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let migrating = unsafe { green_core::may::spawn(check) };
    assert!(migrating.get().is_ok());
}

#[test]
fn every_kind_of_caller_takes_part() {
    for _ in 0..20 {
        let shared = Arc::new((Once::new(), AtomicUsize::new(0)));
        let work = |shared: Arc<(Once, AtomicUsize)>| {
            move || {
                shared.0.call_once(|| {
                    yield_now();
                    shared.1.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(shared.1.load(Ordering::Relaxed), 1);
            }
        };
        let green = [(); 3].map(|()| spawn(work(Arc::clone(&shared))));
        let os_threads = [(); 2].map(|()| thread::spawn(work(Arc::clone(&shared))));
        let migrating = [(); 2].map(|()| {
            let work = work(Arc::clone(&shared));
            // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
            unsafe { green_core::may::spawn(work) }
        });
        shared.0.wait();
        for os_thread in os_threads {
            os_thread.join().unwrap();
        }
        assert!(green.iter().chain(&migrating).all(|g| g.get().is_ok()));
    }
}

#[test]
fn a_kill_of_a_migrating_runner_does_not_poison() {
    let shared = Arc::new((Once::new(), Event::new()));
    let theirs = Arc::clone(&shared);
    let work = move || {
        theirs.0.call_once(|| {
            theirs.1.set();
            sleep(Duration::MAX);
        });
    };
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let runner = unsafe { green_core::may::spawn(work) };
    shared.1.wait();
    runner.kill();
    let mut ran = false;
    shared.0.call_once(|| ran = true);
    assert!(ran);
}

#[test]
fn debug_is_as_stds() {
    let (ours, theirs) = (Once::new(), std::sync::Once::new());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    let mut texts = (String::new(), String::new());
    ours.call_once_force(|state| texts.0 = format!("{state:?}"));
    theirs.call_once_force(|state| texts.1 = format!("{state:?}"));
    assert_eq!(texts.0, texts.1);
}
