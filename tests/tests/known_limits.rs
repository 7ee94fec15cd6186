//! The limits that `docs/blocking-model.md` names, shown. Who makes one of these fail has lifted a
//! limit: the document is to say so.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{Builder, Greenlet, getcurrent, joinall, no_park, sleep, timeout, yield_now};
use green_tests::{Process, role};
use rustix::process::Signal;

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_millis(60);

/// Runs `f` on hub 0.
fn first_hub<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}

#[test]
fn an_interrupt_poisons_the_locks_of_std() {
    let mutex = Arc::new(std::sync::Mutex::new(0));
    let (held, theirs) = (Arc::new(Event::new()), Arc::clone(&mutex));
    let is_held = Arc::clone(&held);
    let g = first_hub(move || {
        let _guard = theirs.lock().unwrap();
        is_held.set();
        sleep(Duration::MAX);
    });
    held.wait();
    g.kill();
    assert!(g.successful() && mutex.is_poisoned());
    mutex.clear_poison();
    let theirs = Arc::clone(&mutex);
    let g = first_hub(move || {
        timeout(SHORT, || {
            let _guard = theirs.lock().unwrap();
            sleep(Duration::MAX);
        })
        .is_err()
    });
    assert!(g.get().unwrap() && mutex.is_poisoned());
}

#[test]
fn child_holds_a_lock_of_std_across_a_park() {
    if role().is_none() {
        return;
    }
    let mutex = Arc::new(std::sync::Mutex::new(0));
    let theirs = Arc::clone(&mutex);
    let holder = first_hub(move || {
        let _guard = theirs.lock().unwrap();
        sleep(SHORT);
    });
    let rival = first_hub(move || drop(mutex.lock().unwrap()));
    writeln!(io::stdout(), "parked").unwrap();
    joinall([holder, rival]);
    writeln!(io::stdout(), "over").unwrap();
}

#[test]
fn a_lock_of_std_across_a_park_deadlocks_the_hub() {
    let mut child = Process::start("child_holds_a_lock_of_std_across_a_park", &[]);
    child.line_with("parked");
    thread::sleep(Duration::from_secs(1));
    child.signal(Signal::KILL);
    let status = child.wait(Duration::from_secs(1));
    assert!(!status.success(), "it has ended by itself");
}

/// How late a green thread is that sleeps for `SHORT` while a neighbour runs `block`.
fn lateness(block: impl FnOnce() + Send + 'static) -> Duration {
    let begun = Instant::now();
    let sleeper = first_hub(move || {
        sleep(SHORT);
        begun.elapsed()
    });
    let blocker = first_hub(move || {
        let here = thread::current().id();
        block();
        assert_eq!(thread::current().id(), here);
    });
    blocker.get().unwrap();
    sleeper.get().unwrap()
}

#[test]
fn what_the_runtime_cannot_see_blocks_the_hub_and_moves_nothing() {
    assert!(lateness(|| thread::sleep(LONG)) >= LONG);
    assert!(lateness(|| may::coroutine::sleep(LONG)) >= LONG);
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        thread::sleep(LONG);
        sender.send(()).unwrap();
    });
    assert!(lateness(move || receiver.recv().unwrap()) >= LONG / 2);
    let semaphore = Arc::new(may::sync::Semphore::new(0));
    let theirs = Arc::clone(&semaphore);
    thread::spawn(move || {
        thread::sleep(LONG);
        theirs.post();
    });
    assert!(lateness(move || semaphore.wait()) >= LONG / 2);
    let computes = || {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            std::hint::spin_loop();
        }
    };
    assert!(lateness(computes) >= LONG);
}

#[test]
fn a_kill_waits_for_what_the_runtime_cannot_see() {
    let running = Arc::new(Event::new());
    let theirs = Arc::clone(&running);
    let begun = Instant::now();
    let g = first_hub(move || {
        theirs.set();
        thread::sleep(LONG);
        yield_now();
    });
    running.wait();
    assert!(!g.kill_timeout(SHORT));
    g.join();
    assert!(begun.elapsed() >= LONG && g.get().is_err());
}

#[test]
fn a_lazy_thread_local_whose_initialiser_blocks_is_for_no_park_to_find() {
    thread_local! {
        static LAZY: u32 = {
            yield_now();
            7
        };
    }
    let g = first_hub(|| no_park(|| LAZY.with(|value| *value)));
    assert!(g.into_result().is_err());
    // Without a neighbour in it, it works.
    assert_eq!(first_hub(|| LAZY.with(|value| *value)).get().unwrap(), 7);
}

#[test]
fn a_panic_of_one_that_is_parked_unwinding_shows_in_the_neighbours() {
    let (inside, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&inside), Arc::clone(&go));
    let first = first_hub(move || {
        struct Waits(Arc<Event>, Arc<Event>);
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.set();
                self.1.wait();
            }
        }
        let _waits = Waits(theirs.0, theirs.1);
        panic!("expected");
    });
    inside.wait();
    // std counts panics per OS thread.
    assert!(first_hub(thread::panicking).get().unwrap());
    go.set();
    first.join();
    assert!(!first_hub(thread::panicking).get().unwrap());
}

#[test]
fn one_that_never_blocks_cannot_be_killed() {
    let g = first_hub(|| {
        getcurrent().unwrap().kill_nowait();
        (0..1000).sum::<u32>()
    });
    assert_eq!(g.get().unwrap(), 499_500);
}
