//! std's own tests of `sync::Condvar`, each in four ways.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "std's types and OS threads are two of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

parity! {
    fn smoke() {
        let condvar = Condvar::new();
        condvar.notify_one();
        condvar.notify_all();
    }

    fn notify_one() {
        let pair = Arc::new((Mutex::new(()), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let guard = pair.0.lock().unwrap();
        let notifier = thread::spawn(move || {
            let _guard = theirs.0.lock().unwrap();
            theirs.1.notify_one();
        });
        drop(pair.1.wait(guard).unwrap());
        notifier.join().unwrap();
    }

    fn notify_all() {
        const WAITERS: usize = 10;
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let waiters: Vec<_> = (0..WAITERS)
            .map(|_| {
                let pair = Arc::clone(&pair);
                thread::spawn(move || {
                    let mut count = pair.0.lock().unwrap();
                    *count += 1;
                    while *count != 0 {
                        count = pair.1.wait(count).unwrap();
                    }
                })
            })
            .collect();
        let mut count = pair.0.lock().unwrap();
        while *count != WAITERS {
            drop(count);
            thread::yield_now();
            count = pair.0.lock().unwrap();
        }
        *count = 0;
        pair.1.notify_all();
        drop(count);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    }

    fn test_mutex_arc_condvar() {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let mut done = pair.0.lock().unwrap();
        let child = thread::spawn(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_one();
        });
        assert!(!*done);
        while !*done {
            done = pair.1.wait(done).unwrap();
        }
        drop(done);
        child.join().unwrap();
    }

    fn wait_while() {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        thread::spawn(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_one();
        });
        let started = pair.0.lock().unwrap();
        let started = pair.1.wait_while(started, |started| !*started).unwrap();
        assert!(*started);
    }

    fn wait_timeout_wait() {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        loop {
            let guard = mutex.lock().unwrap();
            let (_guard, result) = condvar.wait_timeout(guard, Duration::from_millis(1)).unwrap();
            // A wake-up without a cause is allowed: once more.
            if result.timed_out() {
                break;
            }
        }
    }

    fn wait_timeout_while_wait() {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let guard = mutex.lock().unwrap();
        let limit = Duration::from_millis(1);
        let (_guard, result) = condvar.wait_timeout_while(guard, limit, |()| true).unwrap();
        assert!(result.timed_out());
    }

    fn wait_timeout_while_instant_satisfy() {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let guard = mutex.lock().unwrap();
        let (_guard, result) = condvar.wait_timeout_while(guard, Duration::ZERO, |()| false).unwrap();
        assert!(!result.timed_out());
    }

    fn wait_timeout_while_wake() {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let started = pair.0.lock().unwrap();
        thread::spawn(move || {
            let mut started = theirs.0.lock().unwrap();
            thread::sleep(Duration::from_millis(1));
            *started = true;
            theirs.1.notify_one();
        });
        let for_ever = Duration::from_millis(u64::MAX);
        let (started, result) = pair
            .1
            .wait_timeout_while(started, for_ever, |&mut started| !started)
            .unwrap();
        assert!(!result.timed_out() && *started);
    }

    fn wait_timeout_wake() {
        let pair = Arc::new((Mutex::new(()), Condvar::new()));
        loop {
            let guard = pair.0.lock().unwrap();
            let (theirs, notified) = (Arc::clone(&pair), Arc::new(AtomicBool::new(false)));
            let sets = Arc::clone(&notified);
            let notifier = thread::spawn(move || {
                let _guard = theirs.0.lock().unwrap();
                thread::sleep(Duration::from_millis(1));
                sets.store(true, Ordering::Relaxed);
                theirs.1.notify_one();
            });
            let for_ever = Duration::from_millis(u64::MAX);
            let (guard, result) = pair.1.wait_timeout(guard, for_ever).unwrap();
            assert!(!result.timed_out());
            // A wake-up without a cause is allowed: once more.
            let was_notified = notified.load(Ordering::Relaxed);
            drop(guard);
            notifier.join().unwrap();
            if was_notified {
                break;
            }
        }
    }

    fn timeout_nanoseconds() {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let mut sent = pair.0.lock().unwrap();
        let sender = thread::spawn(move || {
            // Long enough for a limit that has overflowed to end before.
            thread::sleep(Duration::from_millis(500));
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_all();
        });
        let more_than_64_bits_of_nanoseconds = Duration::from_secs(u64::MAX.div_ceil(1_000_000_000));
        while !*sent {
            let (guard, result) = pair.1.wait_timeout(sent, more_than_64_bits_of_nanoseconds).unwrap();
            assert!(!result.timed_out());
            sent = guard;
        }
        drop(sent);
        sender.join().unwrap();
    }

    fn test_arc_condvar_poison() {
        let pair = Arc::new((Mutex::new(1), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let mut guard = pair.0.lock().unwrap();
        let panics = thread::spawn(move || {
            let _guard = theirs.0.lock().unwrap();
            theirs.1.notify_one();
            panic!("expected");
        });
        while *guard == 1 {
            match pair.1.wait(guard) {
                Ok(again) => guard = again,
                Err(_) => break,
            }
        }
        assert!(panics.join().is_err());
    }
}
