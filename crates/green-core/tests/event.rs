//! `Event`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::{Config, run, spawn, yield_now};

#[test]
fn set_is_remembered_until_it_is_cleared() {
    let event = Event::default();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
    event.set();
    event.set();
    event.wait();
    assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
    event.clear();
    assert!(!event.is_set() && !event.wait_deadline(Instant::now()));
    assert_eq!(format!("{event:?}"), "Event { set: false, .. }");
}

#[test]
fn set_then_clear_releases_those_who_wait_in_order_and_nobody_later() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (event, released) = (Arc::new(Event::new()), Queue::unbounded());
        let waiter = |n: u32| {
            let (event, released) = (Arc::clone(&event), released.clone());
            spawn(move || {
                event.wait();
                released.put(n).unwrap();
            })
        };
        let early: Vec<_> = (0..100).map(waiter).collect();
        yield_now();
        event.set();
        event.clear();
        let late = waiter(100);
        green_core::joinall(&early);
        yield_now();
        assert!(!late.ready());
        late.kill();
        released.close();
        assert!(released.iter().eq(0..100));
    });
}

#[test]
fn an_os_thread_and_a_green_thread_set_it_for_each_other() {
    let (there, back) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&there), Arc::clone(&back));
    let echo = spawn(move || {
        for _ in 0..200 {
            theirs.0.wait();
            theirs.0.clear();
            theirs.1.set();
        }
    });
    for _ in 0..200 {
        there.set();
        assert!(back.wait_timeout(Duration::from_secs(10)));
        back.clear();
    }
    echo.join();
}

#[test]
fn a_wait_that_times_out_is_not_early() {
    let check = || {
        let begun = Instant::now();
        assert!(!Event::new().wait_timeout(Duration::from_millis(5)));
        assert!(begun.elapsed() >= Duration::from_millis(5));
    };
    check();
    run(check);
}
