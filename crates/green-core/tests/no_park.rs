//! Sections in which nothing may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::{no_park, run, sleep, spawn, yield_now};

/// Whether `call` panics inside `no_park`, before it waits.
fn panics(call: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| no_park(call))) else {
        return false;
    };
    payload
        .downcast_ref::<&str>()
        .is_some_and(|message| message.contains("no_park"))
}

#[test]
fn blocking_calls_panic_in_a_green_thread() {
    run(|| {
        let mutex = Mutex::new(());
        let held = mutex.lock().unwrap();
        assert!(panics(|| sleep(Duration::from_millis(1))));
        assert!(panics(yield_now));
        assert!(panics(|| Event::new().wait()));
        assert!(panics(|| drop(mutex.lock().unwrap())));
        assert!(panics(|| drop(Semaphore::new(0).acquire())));
        assert!(panics(|| _ = Queue::<u32>::unbounded().get()));
        let never_ends = spawn(|| sleep(Duration::MAX));
        assert!(panics(|| never_ends.join()));
        never_ends.kill();
        let job_ends = Arc::new(Event::new());
        let theirs = Arc::clone(&job_ends);
        assert!(panics(|| green_core::blocking(move || theirs.wait())));
        job_ends.set();
        assert!(panics(|| no_park(|| Event::new().wait())), "it nests");
        drop(held);
        sleep(Duration::from_millis(1));
    });
}

#[test]
fn blocking_calls_panic_on_an_os_thread() {
    assert!(panics(|| Event::new().wait()));
    assert!(panics(|| sleep(Duration::from_millis(1))));
    sleep(Duration::from_millis(1));
}

#[test]
fn what_does_not_wait_is_allowed() {
    run(|| {
        let event = Arc::new(Event::new());
        let total = no_park(|| {
            event.set();
            event.wait();
            let queue = Queue::unbounded();
            queue.put(1).unwrap();
            let permit = Semaphore::new(1);
            let _permit = permit.acquire();
            spawn(|| ());
            *Mutex::new(6).lock().unwrap() + queue.get().unwrap()
        });
        assert_eq!(total, 7);
    });
}

#[test]
fn the_locks_inside_stay_usable_after_the_panic() {
    run(|| {
        let semaphore = Semaphore::new(0);
        assert!(panics(|| drop(semaphore.acquire())));
        semaphore.release();
        drop(semaphore.acquire());
        assert_eq!(semaphore.available(), 1);
    });
}
