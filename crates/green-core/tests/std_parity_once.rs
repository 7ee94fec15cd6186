//! std's own tests of `sync::Once`, each in four ways.
#![expect(
    clippy::disallowed_methods,
    reason = "std's types and OS threads are two of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

parity! {
    fn smoke_once() {
        static ONCE: Once = Once::new();
        let mut runs = 0;
        ONCE.call_once(|| runs += 1);
        assert_eq!(runs, 1);
        ONCE.call_once(|| runs += 1);
        assert_eq!(runs, 1);
        thread::yield_now();
    }

    fn stampede_once() {
        static ONCE: Once = Once::new();
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        fn call() {
            ONCE.call_once(|| {
                assert_eq!(RUNS.fetch_add(1, Ordering::Relaxed), 0);
            });
            assert_eq!(RUNS.load(Ordering::Relaxed), 1);
        }
        let callers = [(); 10].map(|()| {
            thread::spawn(|| {
                for _ in 0..4 {
                    thread::yield_now();
                }
                call();
            })
        });
        call();
        for caller in callers {
            caller.join().unwrap();
        }
    }

    fn poison_bad() {
        static ONCE: Once = Once::new();
        assert!(catch_unwind(|| ONCE.call_once(|| panic!("expected"))).is_err());
        assert!(catch_unwind(|| ONCE.call_once(|| ())).is_err(), "poisoned");
        let mut called = false;
        ONCE.call_once_force(|state| {
            called = true;
            assert!(state.is_poisoned());
        });
        assert!(called);
        // Not poisoned any more.
        ONCE.call_once(|| ());
    }

    fn wait_for_force_to_finish() {
        static ONCE: Once = Once::new();
        static INSIDE: AtomicBool = AtomicBool::new(false);
        static MAY_LEAVE: AtomicBool = AtomicBool::new(false);
        assert!(catch_unwind(|| ONCE.call_once(|| panic!("expected"))).is_err());
        let forces = thread::spawn(|| {
            ONCE.call_once_force(|state| {
                assert!(state.is_poisoned());
                INSIDE.store(true, Ordering::SeqCst);
                while !MAY_LEAVE.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
            });
        });
        while !INSIDE.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let waits = thread::spawn(|| {
            let mut called = false;
            ONCE.call_once(|| called = true);
            assert!(!called);
        });
        thread::yield_now();
        MAY_LEAVE.store(true, Ordering::SeqCst);
        forces.join().unwrap();
        waits.join().unwrap();
    }

    fn wait() {
        for _ in 0..50 {
            let shared = Arc::new((Once::new(), AtomicBool::new(false)));
            let waiters = [(); 4].map(|()| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.0.wait();
                    assert!(shared.1.load(Ordering::Relaxed));
                })
            });
            shared.0.call_once(|| shared.1.store(true, Ordering::Relaxed));
            for waiter in waiters {
                waiter.join().unwrap();
            }
        }
    }

    fn wait_on_poisoned() {
        let once = Once::new();
        assert!(catch_unwind(|| once.call_once(|| panic!("expected"))).is_err());
        assert!(catch_unwind(|| once.wait()).is_err());
    }

    fn wait_force_on_poisoned() {
        let once = Arc::new(Once::new());
        assert!(catch_unwind(|| once.call_once(|| panic!("expected"))).is_err());
        let theirs = Arc::clone(&once);
        let forces = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            theirs.call_once_force(|_| ());
        });
        once.wait_force();
        assert!(once.is_completed());
        forces.join().unwrap();
    }
}
