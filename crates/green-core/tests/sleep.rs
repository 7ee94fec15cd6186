//! Sleeping and giving way.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::queue::Queue;
use green_core::{Config, killall, run, sleep, sleep_until, spawn, spawn_later, stats, yield_now};

#[test]
fn never_early_on_any_kind_of_caller() {
    let span = Duration::from_millis(10);
    let check = move || {
        let begun = Instant::now();
        sleep(span);
        assert!(begun.elapsed() >= span);
        let at = Instant::now() + span;
        sleep_until(at);
        assert!(Instant::now() >= at);
        sleep_until(begun);
        sleep(Duration::ZERO);
        yield_now();
    };
    check();
    run(check);
}

#[test]
fn spans_beyond_the_clock_do_not_panic() {
    let sleepers = [
        spawn(|| sleep(Duration::MAX)),
        spawn(|| sleep(Duration::from_secs(u64::MAX / 4))),
        spawn(|| sleep(Duration::from_secs(60 * 60 * 24 * 365 * 200))),
    ];
    run(|| sleep(Duration::from_millis(2)));
    assert!(sleepers.iter().all(|sleeper| !sleeper.ready()));
    killall(&sleepers);
}

#[test]
fn sleepers_wake_in_the_order_of_their_times() {
    Config::new().hubs(1).apply().ok();
    let woken = run(|| {
        let woken = Queue::unbounded();
        let begun = Instant::now() + Duration::from_millis(5);
        let sleepers = [40_u64, 0, 30, 10, 20, 10].map(|millis| {
            let woken = woken.clone();
            spawn(move || {
                sleep_until(begun + Duration::from_millis(millis));
                woken.put(millis).unwrap();
            })
        });
        green_core::joinall(&sleepers);
        woken.close();
        woken.iter().collect::<Vec<_>>()
    });
    assert_eq!(woken, [0, 10, 10, 20, 30, 40]);
}

#[test]
fn thousands_sleep_at_once() {
    let begun = Instant::now();
    let sleepers: Vec<_> = (0..2_000)
        .map(|_| spawn(|| sleep(Duration::from_millis(50))))
        .collect();
    green_core::joinall(&sleepers);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn killed_sleepers_leave_no_timer() {
    Config::new().hubs(1).apply().ok();
    let hour = Duration::from_secs(3_600);
    let sleepers: Arc<Vec<_>> = Arc::new((0..100).map(|_| spawn(move || sleep(hour))).collect());
    support::eventually("they sleep", || stats().timers == 100);
    killall(sleepers.iter());
    support::eventually("their timers are gone", || stats().timers == 0);
}

#[test]
fn times_beyond_the_clock_never_come() {
    let far = Duration::from_secs(u64::MAX);
    let sleepers = [
        spawn(move || sleep(far)),
        spawn(move || sleep(far - Duration::from_nanos(1))),
        // As far as an `Instant` goes.
        spawn(|| sleep(Duration::from_secs(i64::MAX as u64 / 2))),
        spawn(|| sleep_until(Instant::now() + Duration::from_secs(1 << 40))),
        spawn_later(far, || ()),
        spawn_later(Duration::from_secs(1 << 62), || ()),
    ];
    // Those that come are not held up.
    for millis in [3, 1, 2] {
        sleep(Duration::from_millis(millis));
    }
    assert!(sleepers.iter().all(|sleeper| !sleeper.ready()));
    killall(&sleepers);
    assert!(sleepers.iter().all(|sleeper| sleeper.ready()));
}

#[test]
fn starts_that_are_cancelled_by_the_thousand() {
    let hour = Duration::from_secs(3_600);
    let begun = Instant::now();
    let all: Vec<_> = (0..50_000).map(|_| spawn_later(hour, || ())).collect();
    killall(&all);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    support::eventually("no timer is left", || stats().timers == 0);
}
