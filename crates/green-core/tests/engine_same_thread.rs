//! A green thread never leaves its OS thread.
#![expect(
    clippy::disallowed_methods,
    reason = "asks which OS thread runs, and starts one"
)]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use generator::{Gn, Scope, done};
use green_core::event::Event;
use green_core::io::Io;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::{Condvar, Mutex};
use green_core::{blocking, sleep, spawn, spawn_local, yield_now};

const SHORT: Duration = Duration::from_millis(2);

/// Runs `operation` in several green threads; each must stay where it is.
fn stays(operation: impl Fn() + Send + Sync + 'static) {
    let operation = Arc::new(operation);
    let movers: Vec<_> = (0..8)
        .map(|_| {
            let operation = Arc::clone(&operation);
            spawn(move || {
                let before = thread::current().id();
                operation();
                (before, thread::current().id())
            })
        })
        .collect();
    for mover in movers {
        let (before, after): (ThreadId, ThreadId) = mover.into_result().expect("it ends well");
        assert_eq!(before, after);
    }
}

#[test]
fn sleep_and_yield() {
    stays(|| {
        sleep(SHORT);
        yield_now();
        sleep(Duration::ZERO);
    });
}

#[test]
fn join_of_a_green_thread_elsewhere() {
    stays(|| {
        let others: Vec<_> = (0..4).map(|_| spawn(|| sleep(SHORT))).collect();
        others.iter().for_each(|other| other.join());
        spawn_local(yield_now).join();
    });
}

#[test]
fn mutex() {
    let mutex = Mutex::new(());
    stays(move || {
        let _guard = mutex.lock().unwrap();
        sleep(SHORT);
    });
}

#[test]
fn condvar() {
    let pair = (Mutex::new(()), Condvar::new());
    stays(move || {
        let guard = pair.0.lock().unwrap();
        assert!(pair.1.wait_timeout(guard, SHORT).unwrap().1.timed_out());
    });
}

#[test]
fn semaphore() {
    let semaphore = Semaphore::new(1);
    stays(move || {
        let _permit = semaphore.acquire();
        sleep(SHORT);
    });
}

#[test]
fn event_set_by_an_os_thread() {
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let setter = thread::spawn(move || {
        sleep(SHORT);
        theirs.set();
    });
    stays(move || event.wait());
    setter.join().unwrap();
}

#[test]
fn queue() {
    let queue = Queue::bounded(1);
    let theirs = queue.clone();
    let producer = thread::spawn(move || (0..8).for_each(|n| theirs.put(n).unwrap()));
    stays(move || _ = queue.get().unwrap());
    producer.join().unwrap();
}

#[test]
fn blocking_pool() {
    stays(|| {
        let here = thread::current().id();
        assert_ne!(blocking(|| thread::current().id()), here);
    });
}

#[test]
fn io() {
    stays(|| {
        let (a, mut b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        let writer = spawn(move || {
            sleep(SHORT);
            b.write_all(b"x").unwrap();
        });
        let a = Io::new(a);
        assert_eq!(a.read_with(|| None, |mut a| a.read(&mut [0])).unwrap(), 1);
        writer.join();
    });
}

#[test]
fn blocking_calls_of_may() {
    stays(|| {
        assert!(!may::coroutine::is_coroutine());
        may::coroutine::sleep(SHORT);
        may::coroutine::yield_now();
        let semaphore = may::sync::Semphore::new(1);
        semaphore.wait();
        let mutex = may::sync::Mutex::new(());
        drop(mutex.lock().unwrap());
    });
}

#[test]
fn parking_inside_a_nested_generator_suspends_the_whole_green_thread() {
    green_core::Config::new().hubs(1).apply().ok();
    let (neighbour_ran, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&neighbour_ran), Arc::clone(&go));
    let nested = spawn(move || {
        let here = thread::current().id();
        let numbers = Gn::new_scoped(move |mut scope: Scope<'_, '_, (), u32>| {
            scope.yield_(1);
            theirs.1.set();
            theirs.0.wait();
            sleep(SHORT);
            scope.yield_(2);
            yield_now();
            scope.yield_(3);
            done!()
        });
        let sum: u32 = numbers.inspect(|_| yield_now()).sum();
        assert_eq!(thread::current().id(), here);
        sum
    });
    let neighbour = spawn(move || {
        go.wait();
        neighbour_ran.set();
    });
    neighbour.join();
    assert_eq!(nested.get().unwrap(), 6);
}

#[test]
fn a_green_thread_killed_inside_a_nested_generator_ends() {
    let inside = Arc::new(Event::new());
    let theirs = Arc::clone(&inside);
    let nested = spawn(move || {
        let numbers = Gn::new_scoped(move |mut scope: Scope<'_, '_, (), u32>| {
            scope.yield_(1);
            theirs.set();
            sleep(Duration::MAX);
            done!()
        });
        numbers.count()
    });
    inside.wait();
    nested.kill_nowait();
    support::eventually("the green thread ends", || nested.ready());
}
