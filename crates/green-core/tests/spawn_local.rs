//! Green threads that are not `Send`.

mod support;

use std::cell::Cell;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::{Builder, run, spawn, spawn_local, yield_now};

/// Tells where it is dropped.
struct Told(
    Queue<ThreadId>,
    #[expect(dead_code, reason = "not `Send`")] Rc<()>,
);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.put(thread::current().id()).ok();
    }
}

#[test]
fn they_share_an_rc_on_one_os_thread() {
    run(|| {
        let here = thread::current().id();
        let counter = Rc::new(Cell::new(0));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let counter = Rc::clone(&counter);
                spawn_local(move || {
                    counter.set(counter.get() + 1);
                    yield_now();
                    assert_eq!(thread::current().id(), here);
                    Rc::clone(&counter)
                })
            })
            .collect();
        green_core::joinall(&all);
        assert_eq!(counter.get(), 100);
        assert!(Rc::ptr_eq(&all[0].get().unwrap(), &counter));
    });
}

#[test]
fn killed_unstarted_its_closure_is_dropped_on_its_own_hub() {
    let dropped = Queue::unbounded();
    let theirs = dropped.clone();
    let home = run(move || {
        let told = Told(theirs, Rc::new(()));
        let g = spawn_local(move || drop(told));
        let killer = spawn(move || ());
        g.kill_nowait();
        assert!(g.ready());
        killer.join();
        thread::current().id()
    });
    assert_eq!(dropped.get(), Ok(home));
}

#[test]
fn killed_from_another_hub_it_is_still_dropped_at_home() {
    let dropped = Queue::unbounded();
    let theirs = dropped.clone();
    let home = run(move || {
        let told = Told(theirs, Rc::new(()));
        // `()` is `Send`, so the handle may travel.
        let g = spawn_local(move || drop(told));
        let killed = Arc::new(Event::new());
        let their_killed = Arc::clone(&killed);
        let elsewhere = green_core::stats().hubs - 1;
        let killer = Builder::new().hub(elsewhere).spawn(move || {
            g.kill_nowait();
            their_killed.set();
        });
        killed.wait();
        killer.unwrap().join();
        thread::current().id()
    });
    assert_eq!(dropped.get(), Ok(home));
}

#[test]
fn outside_a_green_thread_it_panics() {
    let payload = catch_unwind(|| spawn_local(|| ())).map(drop).unwrap_err();
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
    assert!(message.unwrap().contains("green::run"));
}

#[test]
fn many_never_move_to_an_idle_hub() {
    run(|| {
        let here = thread::current().id();
        let all: Vec<_> = (0..2_000)
            .map(|_| spawn_local(|| thread::current().id()))
            .collect();
        assert!(
            green_core::joinall(&all)
                .iter()
                .all(|g| g.get().unwrap() == here)
        );
    });
    support::eventually("all are gone", || green_core::stats().live == 0);
}
