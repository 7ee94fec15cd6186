//! The subtle rules of joins, waits and time limits, by gevent's number: 16 to 31.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::{
    Greenlet, Timeout, Waitable, iwait, joinall_raise, joinall_timeout, sleep, spawn, timeout,
    wait_count, with_timeout,
};

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(5);

macro_rules! on_any_number_of_hubs {
    ($($test:ident)*) => {
        on_hubs!(on_one_hub, 1, [$($test),*]);
        on_hubs!(on_two_hubs, 2, [$($test),*]);
        on_hubs!(on_eight_hubs, 8, [$($test),*]);
    };
}

on_any_number_of_hubs! {
    rule_16_join_tells_nothing_and_get_tells_all
    rule_17_joinall_in_time_returns_those_that_ended_in_their_order
    rule_18_the_first_failure_is_raised_and_nobody_is_cancelled
    rule_19_a_wait_that_is_over_hears_of_nothing_more
    rule_23_a_loop_that_is_left_leaves_no_links
    rule_25_a_limit_inside_does_not_eat_the_callers
    rule_29_a_limit_is_started_again_after_cancel_and_never_after_close
    rule_30_a_default_is_a_value_of_its_own
    rule_31_never_and_zero
}

fn rule_16_join_tells_nothing_and_get_tells_all() {
    let g = spawn(|| -> u32 { panic!("expected") });
    g.join();
    assert!(g.get().unwrap_err().to_string().contains("expected"));
    let g = spawn(|| sleep(EVER));
    assert!(!g.join_timeout(SHORT));
    assert!(g.get_timeout(SHORT).is_err() && !g.ready());
    g.kill();
}

/// A green thread for each gate that returns its number when it is opened.
fn gated<const N: usize>() -> ([Arc<Event>; N], [Greenlet<usize>; N]) {
    let gates = [(); N].map(|()| Arc::new(Event::new()));
    let mut n = 0;
    let all = gates.each_ref().map(|gate| {
        let gate = Arc::clone(gate);
        n += 1;
        let number = n - 1;
        spawn(move || {
            gate.wait();
            number
        })
    });
    (gates, all)
}

fn rule_17_joinall_in_time_returns_those_that_ended_in_their_order() {
    let (gates, all) = gated::<3>();
    for n in [2, 0] {
        gates[n].set();
        all[n].join();
    }
    let twice = [&all[0], &all[1], &all[2], &all[0]];
    let ended = joinall_timeout(twice, SHORT);
    let ended: Vec<_> = ended.iter().map(|g| g.get().unwrap()).collect();
    assert_eq!(ended, [2, 0, 0]);
    all[1].kill();
}

fn rule_18_the_first_failure_is_raised_and_nobody_is_cancelled() {
    let (gates, all) = gated::<2>();
    let fails = spawn(|| panic!("expected"));
    let [first, second] = all.clone();
    let all_of_them = [
        spawn(move || drop(first.get())),
        fails,
        spawn(move || drop(second.get())),
    ];
    let failure = joinall_raise(&all_of_them).unwrap_err();
    assert!(failure.to_string().contains("expected"));
    assert!(!all_of_them[0].ready() && !all_of_them[2].ready());
    gates.iter().for_each(|gate| gate.set());
    assert!(all_of_them[0].get().is_ok() && all_of_them[2].get().is_ok());
}

fn rule_19_a_wait_that_is_over_hears_of_nothing_more() {
    let events = [Event::new(), Event::new()];
    events[1].set();
    let objects: [&dyn Waitable; 2] = [&events[0], &events[1]];
    let mut places = iwait(&objects).take(1);
    assert_eq!(places.next(), Some(1));
    events[1].clear();
    events[1].set();
    events[0].set();
    assert_eq!(places.next(), None);
    assert_eq!(wait_count(&objects, 1).len(), 1);
}

fn rule_23_a_loop_that_is_left_leaves_no_links() {
    let (gates, all) = gated::<2>();
    let event = Event::new();
    event.set();
    let objects: [&dyn Waitable; 3] = [&all[0], &event, &all[1]];
    for place in iwait(&objects) {
        if place == 1 {
            break;
        }
    }
    let unwinds = || iwait(&objects).for_each(|place| assert_ne!(place, 1, "expected"));
    assert!(catch_unwind(AssertUnwindSafe(unwinds)).is_err());
    assert!(all.iter().all(|g| !g.has_links()));
    gates.iter().for_each(|gate| gate.set());
    all.iter().for_each(Greenlet::join);
}

fn rule_25_a_limit_inside_does_not_eat_the_callers() {
    let retries = AtomicUsize::new(0);
    let library = || {
        // It catches whatever it takes for its own.
        while timeout(EVER, || sleep(EVER)).is_err() {
            retries.fetch_add(1, Ordering::SeqCst);
        }
    };
    let limit = timeout(SHORT, library).unwrap_err();
    assert_eq!(limit.limit(), SHORT);
    assert_eq!(retries.load(Ordering::SeqCst), 0);
}

fn rule_29_a_limit_is_started_again_after_cancel_and_never_after_close() {
    let starts = |limit: &Timeout| catch_unwind(AssertUnwindSafe(|| limit.start())).is_ok();
    let limit = Timeout::new(EVER);
    assert!(starts(&limit) && !starts(&limit), "it is pending");
    limit.cancel();
    assert!(starts(&limit));
    limit.close();
    assert!(!starts(&limit) && !limit.pending());
}

fn rule_30_a_default_is_a_value_of_its_own() {
    let nothing = with_timeout(SHORT, None, || (sleep(EVER), Some(1)).1);
    assert_eq!(nothing, None);
    assert_eq!(with_timeout(EVER, 1, || 2), 2);
    let outer = timeout(SHORT, || with_timeout(EVER, 1, || (sleep(EVER), 2).1));
    assert!(outer.is_err(), "the default is for its own limit");
}

fn rule_31_never_and_zero() {
    let never = Timeout::never();
    never.start();
    sleep(Duration::from_micros(1));
    assert!(never.run(|| ()).is_ok());
    assert!(timeout(Duration::ZERO, || sleep(EVER)).is_err());
}
