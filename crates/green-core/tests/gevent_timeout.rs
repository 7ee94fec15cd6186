//! `Timeout` (gevent's TMO-01 to TMO-13, and its rules 24 to 31).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::timeout::Timeout;
use green_core::{
    Config, Failure, Greenlet, run, sleep, spawn, spawn_local, timeout, with_timeout, yield_now,
};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);
const EVER: Duration = Duration::MAX;

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn tmo_01_never_and_zero() {
    alone(|| {
        let never = Timeout::never();
        assert_eq!(never.run(|| sleep(SHORT)), Ok(()));
        assert_eq!(never.limit(), None);
        // At the next wait, not at a mere yield.
        let zero = Timeout::start_new(Duration::ZERO);
        yield_now();
        sleep(Duration::ZERO);
        assert!(zero.run(|| sleep(SHORT)).is_err());
    });
}

#[test]
fn tmo_02_a_pending_one_cannot_be_started_nor_a_closed_one() {
    alone(|| {
        let limit = Timeout::start_new(LONG);
        assert!(catch_unwind(AssertUnwindSafe(|| limit.start())).is_err());
        assert!(limit.pending(), "nothing has changed");
        limit.close();
        assert!(catch_unwind(AssertUnwindSafe(|| limit.start())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| limit.restart())).is_err());
        let never = Timeout::never();
        never.start();
        never.start();
        never.close();
        never.start();
        assert!(!never.pending());
    });
}

#[test]
fn tmo_03_cancel_may_be_followed_by_a_start() {
    alone(|| {
        let limit = Timeout::start_new(SHORT);
        limit.cancel();
        limit.cancel();
        assert!(!limit.pending());
        sleep(SHORT * 2);
        limit.start();
        assert!(limit.pending());
        assert!(limit.run(|| sleep(EVER)).is_err());
        limit.close();
        limit.close();
    });
}

#[test]
fn tmo_03_dropping_it_closes_it() {
    alone(|| {
        drop(Timeout::start_new(SHORT));
        sleep(SHORT * 2);
    });
}

#[test]
fn tmo_03_restart_gives_all_of_the_time_again() {
    alone(|| {
        let limit = Timeout::start_new(SHORT * 4);
        for _ in 0..4 {
            sleep(SHORT * 2);
            limit.restart();
        }
        assert!(limit.pending());
        assert!(limit.run(|| sleep(EVER)).is_err());
    });
}

#[test]
fn tmo_04_pending_until_it_has_expired_or_is_cancelled() {
    alone(|| {
        let limit = Timeout::new(SHORT);
        assert!(!limit.pending());
        assert_eq!(limit.limit(), Some(SHORT));
        limit.start();
        assert!(limit.pending());
        let caught = catch_unwind(|| sleep(EVER)).unwrap_err();
        assert!(limit.is_cause_of(&*caught));
        assert!(!limit.pending(), "it has expired");
        limit.start();
        assert!(limit.pending());
    });
}

#[test]
fn tmo_05_nested_ones_are_told_apart_by_identity() {
    alone(|| {
        let outer = Timeout::start_new(SHORT);
        let inner = Timeout::start_new(SHORT);
        let first = catch_unwind(|| sleep(EVER)).unwrap_err();
        assert!(outer.is_cause_of(&*first), "the one that was started first");
        assert!(!inner.is_cause_of(&*first));
        let second = catch_unwind(|| sleep(EVER)).unwrap_err();
        assert!(inner.is_cause_of(&*second) && !outer.is_cause_of(&*second));
        sleep(SHORT);
        let panic = catch_unwind(|| panic!("expected")).unwrap_err();
        assert!(!outer.is_cause_of(&*panic));
    });
}

#[test]
fn tmo_05_another_ones_expiry_is_told_apart_too() {
    alone(|| {
        let own = Rc::new(Timeout::start_new(EVER));
        let theirs = Rc::clone(&own);
        spawn_local(move || {
            let limit = Timeout::start_new(SHORT);
            let expiry = catch_unwind(|| sleep(EVER)).unwrap_err();
            assert!(limit.is_cause_of(&*expiry) && !theirs.is_cause_of(&*expiry));
        })
        .into_result()
        .unwrap();
        assert!(own.pending());
    });
}

#[test]
fn tmo_12_its_time_is_taken_where_a_duration_is() {
    alone(|| {
        let (short, never) = (Timeout::new(SHORT), Timeout::never());
        assert!(!Event::new().wait_timeout((&short).into()));
        let g = spawn(|| 7);
        assert_eq!(g.get_timeout((&never).into()).unwrap(), 7);
        // Or it is the limit itself, told apart from others.
        assert!(short.run(|| Event::new().wait()).is_err());
    });
}

#[test]
fn tmo_06_start_new_is_pending() {
    alone(|| {
        let limit = Timeout::start_new(SHORT);
        assert!(limit.pending());
        assert!(limit.run(|| sleep(EVER)).is_err());
    });
}

#[test]
fn tmo_07_run_starts_and_closes() {
    alone(|| {
        let limit = Timeout::new(SHORT);
        assert_eq!(limit.run(|| limit.pending()), Ok(true));
        assert!(!limit.pending());
        sleep(SHORT * 2);
        assert!(catch_unwind(AssertUnwindSafe(|| limit.start())).is_err());
    });
}

#[test]
fn tmo_07_the_inner_end_of_one_that_is_entered_twice_closes_it() {
    alone(|| {
        let limit = Timeout::new(SHORT);
        let ran = limit.run(|| {
            limit.run(|| ()).unwrap();
            assert!(!limit.pending());
            sleep(SHORT * 2);
            7
        });
        assert_eq!(ran, Ok(7));
    });
}

#[test]
fn tmo_07_a_panic_closes_it_too() {
    alone(|| {
        let limit = Timeout::new(SHORT);
        let panicked = catch_unwind(AssertUnwindSafe(|| limit.run(|| panic!("expected"))));
        assert!(panicked.is_err() && !limit.pending());
        sleep(SHORT * 2);
    });
}

#[test]
fn tmo_08_a_silent_one_swallows_only_itself() {
    alone(|| {
        let outer = timeout(SHORT, || {
            timeout(LONG, || sleep(EVER)).ok();
            unreachable!("the outer limit passes through");
        });
        assert_eq!(outer.unwrap_err().limit(), SHORT);
        assert_eq!(timeout(SHORT, || sleep(EVER)).ok(), None);
    });
}

#[test]
fn tmo_09_with_timeout_has_a_default_for_its_own_limit_only() {
    alone(|| {
        assert_eq!(with_timeout(LONG, None, || Some(7)), Some(7));
        let none = with_timeout(SHORT, None, || {
            sleep(EVER);
            Some(7)
        });
        assert_eq!(none, None);
        let outer = timeout(SHORT, || with_timeout(LONG, (), || sleep(EVER)));
        assert!(outer.is_err());
    });
}

#[test]
fn tmo_10_powerless_without_a_wait() {
    alone(|| {
        let computed = timeout(SHORT, || {
            spin(SHORT * 2);
            yield_now();
            7
        });
        assert_eq!(computed, Ok(7));
    });
}

#[test]
fn tmo_11_display() {
    let text = |limit| Timeout::new(limit).to_string();
    assert_eq!(text(Duration::from_secs(1)), "1 second");
    assert_eq!(text(Duration::from_secs(2)), "2 seconds");
    assert_eq!(text(Duration::from_millis(500)), "0.5 seconds");
    assert_eq!(Timeout::never().to_string(), "");
}

#[test]
fn tmo_13_one_that_escapes_is_a_failure() {
    alone(|| {
        let g: Greenlet<()> = spawn(|| {
            let _limit = Timeout::start_new(SHORT);
            sleep(EVER);
        });
        let Err(Failure::TimedOut(elapsed)) = g.get() else {
            panic!("it fails");
        };
        assert_eq!(elapsed.limit(), SHORT);
        assert!(g.ready() && !g.successful());
    });
}

#[test]
fn rule_24_an_outer_one_that_passes_closes_the_inner() {
    alone(|| {
        let inner = Timeout::new(SHORT * 4);
        let outer = timeout(SHORT, || inner.run(|| sleep(EVER)));
        assert!(outer.is_err());
        assert!(!inner.pending());
        sleep(SHORT * 8);
    });
}

#[test]
fn rule_27_nothing_is_raised_if_the_section_ends_first() {
    alone(|| {
        assert_eq!(timeout(SHORT, || spin(SHORT * 2)), Ok(()));
        sleep(SHORT);
        Event::new().wait_timeout(SHORT);
    });
}

#[test]
fn rule_28_bound_to_the_green_thread_that_started_it() {
    alone(|| {
        let limit = Rc::new(Timeout::new(SHORT));
        let theirs = Rc::clone(&limit);
        let g = spawn_local(move || {
            theirs.start();
            yield_now();
            drop(theirs);
        });
        yield_now();
        assert!(limit.pending());
        sleep(SHORT * 2);
        g.join();
        assert!(!limit.pending(), "its green thread is gone");
        // Another one on the same stack has scopes of its own.
        let other = spawn_local(|| timeout(SHORT, || sleep(EVER)));
        yield_now();
        limit.cancel();
        assert!(other.get().unwrap().is_err());
        limit.start();
        assert!(limit.run(|| sleep(EVER)).is_err());
    });
}

#[test]
fn a_forgotten_one_is_harmless() {
    alone(|| {
        let g = spawn(|| {
            Box::leak(Box::new(Timeout::start_new(SHORT)));
            yield_now();
        });
        g.join();
        let next = spawn(|| sleep(SHORT * 2));
        assert!(next.get().is_ok());
    });
}

#[test]
fn on_an_os_thread() {
    let limit = Timeout::start_new(SHORT);
    assert!(limit.pending());
    assert!(limit.run(|| sleep(LONG)).is_err());
    assert_eq!(with_timeout(SHORT, 1, || 2), 2);
    let outer = Timeout::start_new(SHORT);
    let caught = catch_unwind(|| timeout(LONG, || sleep(LONG))).unwrap_err();
    assert!(outer.is_cause_of(&*caught));
}
