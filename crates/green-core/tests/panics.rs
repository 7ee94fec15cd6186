//! Panics of green threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::sync::Mutex;
use green_core::{Config, Failure, blocking, run, sleep, spawn, spawn_local, yield_now};

/// Waits when it is dropped.
struct WaitsInDrop(Arc<Event>);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[test]
fn the_payload_is_kept_for_the_first_who_asks() {
    let g = spawn(|| -> u32 { std::panic::panic_any(7_u64) });
    let Err(Failure::Panicked(panic)) = g.get() else {
        unreachable!("it panicked")
    };
    assert_eq!(panic.message(), "Box<dyn Any>");
    assert_eq!(
        panic.take_payload().unwrap().downcast_ref::<u64>(),
        Some(&7)
    );
    assert!(panic.take_payload().is_none());
    let text = catch_unwind(AssertUnwindSafe(|| panic.resume())).unwrap_err();
    assert_eq!(
        text.downcast_ref::<String>().map(String::as_str),
        Some("Box<dyn Any>")
    );
}

#[test]
fn messages_of_both_kinds_are_kept() {
    for g in [
        spawn(|| panic!("expected")),
        spawn(|| panic!("{}", String::from("expected"))),
    ] {
        let Err(Failure::Panicked(panic)) = g.into_result() else {
            unreachable!("it panicked")
        };
        assert_eq!(panic.message(), "expected");
    }
}

#[test]
fn run_and_blocking_pass_the_payload_on() {
    let payload = catch_unwind(|| run(|| std::panic::panic_any(7_u64))).unwrap_err();
    assert_eq!(payload.downcast_ref::<u64>(), Some(&7));
    let through = || run(|| blocking(|| std::panic::panic_any(8_u64)));
    let payload = catch_unwind(through).unwrap_err();
    assert_eq!(payload.downcast_ref::<u64>(), Some(&8));
}

#[test]
fn one_panic_leaves_the_hub_and_the_stack_usable() {
    Config::new().hubs(1).apply().ok();
    for n in 0..200 {
        assert!(spawn(|| panic!("expected")).into_result().is_err());
        assert_eq!(spawn(move || n).get().unwrap(), n);
        assert!(!spawn(std::thread::panicking).get().unwrap());
    }
}

#[test]
fn a_panic_may_park_in_its_destructors_while_others_panic_too() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let go_on = Arc::new(Event::new());
        let theirs = Arc::clone(&go_on);
        let first = spawn_local(move || {
            let _wait = WaitsInDrop(theirs);
            panic!("expected: first");
        });
        yield_now();
        let second = spawn_local(|| {
            let caught = catch_unwind(|| panic!("expected: second"));
            sleep(Duration::from_millis(1));
            caught.is_err()
        });
        let third = spawn_local(|| panic!("expected: third"));
        assert!(second.get().unwrap());
        third.join();
        assert!(!third.successful() && !first.ready());
        go_on.set();
        first.join();
        assert!(!first.successful());
    });
}

#[test]
fn a_neighbour_of_one_that_unwinds_poisons_nothing() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let go_on = Arc::new(Event::new());
        let theirs = Arc::clone(&go_on);
        let before = Mutex::new(0);
        let held_before = before.lock().unwrap();
        let first = spawn(move || {
            let _wait = WaitsInDrop(theirs);
            panic!("expected");
        });
        yield_now();
        drop(held_before);
        let during = Mutex::new(0);
        drop(during.lock().unwrap());
        assert!(!before.is_poisoned() && !during.is_poisoned());
        go_on.set();
        first.join();
    });
}

#[test]
fn one_that_caught_its_own_panic_poisons_nothing_beside_a_neighbour_that_unwinds() {
    // Cause: a yield did not notice that the green thread unwinds no more.
    Config::new().hubs(1).apply().ok();
    run(|| {
        let go_on = Arc::new(Event::new());
        let theirs = Arc::clone(&go_on);
        let mutex = Mutex::new(0);
        let first = spawn(move || {
            let _wait = WaitsInDrop(theirs);
            panic!("expected: a neighbour");
        });
        let held = mutex.lock().unwrap();
        catch_unwind(|| panic!("expected: caught")).unwrap_err();
        yield_now();
        drop(held);
        assert!(!mutex.is_poisoned());
        go_on.set();
        first.join();
    });
}

#[test]
fn a_panic_poisons_also_beside_a_neighbour_that_unwinds() {
    // Cause: the neighbour's panic counted as the holder's own when the guard was made.
    Config::new().hubs(1).apply().ok();
    run(|| {
        let go_on = Arc::new(Event::new());
        let theirs = Arc::clone(&go_on);
        let first = spawn(move || {
            let _wait = WaitsInDrop(theirs);
            panic!("expected: a neighbour");
        });
        yield_now();
        let mutex = Mutex::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = mutex.lock().unwrap();
            panic!("expected: the holder");
        }));
        assert!(caught.is_err());
        assert!(mutex.is_poisoned());
        go_on.set();
        first.join();
    });
}

#[test]
fn a_panic_of_a_destructor_at_the_end_does_not_stop_the_hub() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("expected: a destructor");
        }
    }
    Config::new().hubs(1).apply().ok();
    let g = spawn(|| PanicsInDrop);
    g.join();
    drop(catch_unwind(AssertUnwindSafe(|| drop(g))));
    // Nobody holds the handle: the value is dropped by its green thread.
    let detached = spawn(|| PanicsInDrop);
    drop(catch_unwind(AssertUnwindSafe(|| drop(detached))));
    let unstarted = PanicsInDrop;
    run(move || {
        let g = spawn(move || drop(unstarted));
        g.kill_nowait();
        yield_now();
    });
    assert_eq!(spawn(|| 7).get().unwrap(), 7);
}
