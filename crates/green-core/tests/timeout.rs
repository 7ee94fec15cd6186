//! Time limits over sections of code.

mod support;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::{Condvar, Mutex};
use green_core::{Config, mask_kill, run, sleep, spawn, timeout, yield_now};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

#[test]
fn it_is_not_early_and_tells_its_limit() {
    alone(|| {
        let begun = Instant::now();
        let elapsed = timeout(SHORT, || sleep(Duration::MAX)).unwrap_err();
        assert!(begun.elapsed() >= SHORT);
        assert_eq!(elapsed.limit(), SHORT);
    });
}

#[test]
fn a_body_that_is_done_in_time_is_not_disturbed_later() {
    alone(|| {
        assert_eq!(timeout(SHORT, || 7), Ok(7));
        sleep(SHORT * 2);
        assert_eq!(timeout(LONG, || sleep(SHORT)), Ok(()));
    });
}

#[test]
fn the_inner_limit_ends_the_inner_body_only() {
    alone(|| {
        let outer = timeout(LONG, || {
            timeout(SHORT, || sleep(Duration::MAX)).unwrap_err().limit()
        });
        assert_eq!(outer, Ok(SHORT));
    });
}

#[test]
fn the_outer_limit_passes_through_the_inner_scope() {
    alone(|| {
        let outer = timeout(SHORT, || {
            timeout(LONG, || sleep(Duration::MAX)).ok();
            unreachable!("the outer limit is not the inner scope's");
        });
        assert_eq!(outer.unwrap_err().limit(), SHORT);
    });
}

#[test]
fn equal_limits_are_delivered_one_by_one() {
    alone(|| {
        let outer = timeout(SHORT, || {
            let inner = timeout(Duration::ZERO, || sleep(Duration::MAX));
            assert!(inner.is_err());
            sleep(Duration::MAX);
        });
        assert!(outer.is_err());
    });
}

#[test]
fn an_outer_limit_is_not_lost_in_calls_with_a_limit_of_their_own() {
    alone(|| {
        let target = spawn(|| sleep(Duration::MAX));
        let calls: [Box<dyn Fn()>; 7] = [
            Box::new(|| assert!(!Event::new().wait_timeout(LONG))),
            Box::new(|| assert!(Semaphore::new(0).acquire_timeout(LONG).is_none())),
            Box::new(|| _ = Queue::<u32>::unbounded().get_timeout(LONG)),
            Box::new(|| {
                let full = Queue::bounded(1);
                full.put(1).unwrap();
                full.put_timeout(2, LONG).unwrap_err();
            }),
            Box::new(|| {
                let mutex = Mutex::new(());
                drop(Condvar::new().wait_timeout(mutex.lock().unwrap(), LONG));
            }),
            Box::new(move || assert!(!target.join_timeout(LONG))),
            Box::new(|| sleep(LONG)),
        ];
        for (index, call) in calls.iter().enumerate() {
            assert_eq!(
                timeout(SHORT, call).unwrap_err().limit(),
                SHORT,
                "call {index}"
            );
        }
    });
}

#[test]
fn calls_with_a_limit_of_their_own_report_it_inside_a_longer_scope() {
    alone(|| {
        let in_time = timeout(LONG, || {
            assert!(!Event::new().wait_timeout(SHORT));
            assert!(Semaphore::new(0).acquire_timeout(SHORT).is_none());
            assert!(Queue::<u32>::unbounded().get_timeout(SHORT).is_err());
        });
        assert!(in_time.is_ok());
    });
}

#[test]
fn inside_waits_that_are_contended() {
    alone(|| {
        let mutex = Arc::new(Mutex::new(0));
        let pair = Arc::new((Mutex::new(()), Condvar::new()));
        let held = mutex.lock().unwrap();
        assert!(timeout(SHORT, || drop(mutex.lock().unwrap())).is_err());
        assert!(timeout(SHORT, || drop(pair.1.wait(pair.0.lock().unwrap()))).is_err());
        assert!(
            pair.0.try_lock().is_ok(),
            "an interrupted wait unwinds without the lock"
        );
        assert!(!pair.0.is_poisoned());
        drop(held);
        assert_eq!(*mutex.lock().unwrap(), 0);
        let target = spawn(|| sleep(Duration::MAX));
        assert!(timeout(SHORT, || target.join()).is_err());
        assert!(!target.ready());
        assert!(
            timeout(SHORT, || green_core::blocking(
                || Event::new().wait_timeout(SHORT * 4)
            ))
            .is_err()
        );
        target.kill();
    });
}

#[test]
fn zero_takes_effect_at_the_first_wait() {
    alone(|| {
        assert_eq!(timeout(Duration::ZERO, || 7), Ok(7));
        assert!(timeout(Duration::ZERO, || sleep(Duration::MAX)).is_err());
        assert!(timeout(Duration::ZERO, || Event::new().wait()).is_err());
        assert!(!Event::new().wait_timeout(Duration::ZERO));
        assert!(Semaphore::new(0).acquire_timeout(Duration::ZERO).is_none());
        assert!(
            Queue::<u32>::unbounded()
                .get_timeout(Duration::ZERO)
                .is_err()
        );
    });
}

#[test]
fn for_ever_is_accepted() {
    alone(|| {
        assert_eq!(timeout(Duration::MAX, || sleep(SHORT)), Ok(()));
        let set = Event::new();
        set.set();
        assert!(set.wait_timeout(Duration::MAX));
    });
}

#[test]
fn a_limit_reached_while_computing_takes_effect_at_the_next_wait() {
    alone(|| {
        let spin = || {
            let end = Instant::now() + SHORT * 2;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        };
        assert_eq!(timeout(SHORT, spin), Ok(()));
        let waits_after = timeout(SHORT, || {
            spin();
            sleep(Duration::MAX);
        });
        assert!(waits_after.is_err());
    });
}

#[test]
fn a_caught_expiry_is_not_raised_again() {
    alone(|| {
        let result = timeout(SHORT, || {
            catch_unwind(|| sleep(Duration::MAX)).unwrap_err();
            sleep(SHORT);
            7
        });
        assert_eq!(result, Ok(7));
    });
}

#[test]
fn mask_kill_defers_it_to_the_end_of_the_section() {
    alone(|| {
        let begun = Instant::now();
        let masked = timeout(SHORT, || {
            mask_kill(|| sleep(SHORT * 4));
            unreachable!("delivered at the end of the section");
        });
        assert!(masked.is_err());
        assert!(begun.elapsed() >= SHORT * 4);
    });
}

#[test]
fn a_panic_of_the_body_passes() {
    alone(|| {
        let caught = catch_unwind(|| timeout(LONG, || panic!("expected")));
        assert_eq!(
            caught.unwrap_err().downcast_ref::<&str>(),
            Some(&"expected")
        );
    });
}

#[test]
fn a_kill_passes_through() {
    alone(|| {
        let g = spawn(|| timeout(LONG, || sleep(Duration::MAX)).is_ok());
        yield_now();
        g.kill();
        assert!(matches!(g.get(), Err(green_core::Failure::Killed)));
    });
}

#[test]
fn it_works_on_an_os_thread() {
    assert!(timeout(SHORT, || sleep(LONG)).is_err());
    assert!(timeout(SHORT, || Event::new().wait()).is_err());
    let outer = timeout(SHORT, || {
        timeout(LONG, || Event::new().wait_timeout(LONG)).is_ok()
    });
    assert_eq!(outer.unwrap_err().limit(), SHORT);
    let (reader, _writer) = std::io::pipe().unwrap();
    let io = timeout(SHORT, || {
        green_core::io::wait_readable(std::os::fd::AsFd::as_fd(&reader), None)
    });
    assert!(io.is_err());
}

#[test]
fn it_leaves_no_timer_behind() {
    alone(|| {
        for _ in 0..1_000 {
            timeout(LONG, yield_now).unwrap();
            let event = Arc::new(Event::new());
            let theirs = Arc::clone(&event);
            spawn(move || theirs.set());
            timeout(LONG, || event.wait()).unwrap();
        }
        sleep(Duration::from_millis(1));
    });
    support::eventually("the timers are gone", || green_core::stats().timers == 0);
}
