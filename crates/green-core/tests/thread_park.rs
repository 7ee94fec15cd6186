//! The park token: remembered, one however often it is given, and never lost to an interrupt.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::thread;
use green_core::{Failure, mask_kill, run, spawn, timeout, yield_now};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);

/// Whether the caller's token is there; takes it.
fn token_is_there() -> bool {
    let begun = Instant::now();
    thread::park_timeout(SHORT);
    begun.elapsed() < SHORT
}

/// Runs `f` in a green thread, an OS thread and a `may` coroutine.
fn everywhere(f: fn()) {
    run(f);
    std::thread::spawn(f).join().expect("it ends well");
    // SAFETY: the closures of this file keep nothing of an OS thread across a wait, and are shallow.
    unsafe { may::coroutine::spawn(f) }
        .join()
        .expect("it ends well");
    // SAFETY: as above.
    unsafe { green_core::may::spawn(f) }
        .get()
        .expect("it ends well");
}

#[test]
fn many_unparks_are_one_token() {
    everywhere(|| {
        assert!(!token_is_there());
        for _ in 0..5 {
            thread::current().unpark();
        }
        thread::park();
        assert!(!token_is_there());
    });
}

#[test]
fn a_thread_that_has_not_started_has_a_token_too() {
    run(|| {
        let parks = thread::spawn(thread::park);
        parks.thread().unpark();
        parks.join().unwrap();
    });
}

#[test]
fn everybody_unparks_everybody() {
    // Each waits for its turn by parking, and hands over to the next: three kinds in a ring.
    const ROUNDS: usize = 200;
    struct Ring {
        turn: AtomicUsize,
        threads: [std::sync::OnceLock<thread::Thread>; 4],
    }
    fn member(ring: &Ring, own: usize) {
        ring.threads[own].get_or_init(thread::current);
        for _ in 0..ROUNDS {
            while ring.turn.load(Ordering::Relaxed) % 4 != own {
                thread::park();
            }
            ring.turn.fetch_add(1, Ordering::Relaxed);
            let next = &ring.threads[(own + 1) % 4];
            support::eventually("the next one is there", || next.get().is_some());
            next.get().unwrap().unpark();
        }
    }
    let ring = Arc::new(Ring {
        turn: AtomicUsize::new(0),
        threads: [const { std::sync::OnceLock::new() }; 4],
    });
    let ours = |own| {
        let ring = Arc::clone(&ring);
        move || member(&ring, own)
    };
    let green = [thread::spawn(ours(0)), thread::spawn(ours(1))];
    let os = std::thread::spawn(ours(2));
    // SAFETY: the closure keeps nothing of an OS thread across a wait, and is shallow.
    let coroutine = unsafe { may::coroutine::spawn(ours(3)) };
    green.into_iter().for_each(|one| one.join().unwrap());
    os.join().unwrap();
    coroutine.join().unwrap();
    assert_eq!(ring.turn.load(Ordering::Relaxed), 4 * ROUNDS);
}

#[test]
fn a_kill_ends_a_park_and_leaves_the_token() {
    let own = Arc::new(Queue::unbounded());
    let theirs = Arc::clone(&own);
    let killed = spawn(move || {
        theirs.put(thread::current()).unwrap();
        assert!(std::panic::catch_unwind(thread::park).is_err());
        // Nobody has given a token yet.
        assert!(!token_is_there());
        theirs.put(thread::current()).unwrap();
        thread::park();
        7
    });
    own.get().unwrap();
    killed.kill_nowait();
    let handle = own.get().unwrap();
    assert!(!killed.join_timeout(SHORT));
    handle.unpark();
    assert_eq!(killed.get().unwrap(), 7);
    // The other way round: the token is there, and the kill ends the next wait.
    let (theirs, go) = (Arc::clone(&own), Arc::new(AtomicUsize::new(0)));
    let goes = Arc::clone(&go);
    let killed = spawn(move || {
        theirs.put(thread::current()).unwrap();
        while goes.load(Ordering::Acquire) == 0 {
            std::hint::spin_loop();
        }
        thread::park();
        assert!(std::panic::catch_unwind(thread::park).is_err());
        8
    });
    let handle = own.get().unwrap();
    killed.kill_nowait();
    handle.unpark();
    go.store(1, Ordering::Release);
    assert_eq!(killed.get().unwrap(), 8);
}

#[test]
fn a_time_limit_ends_a_park_and_leaves_the_token() {
    let f = || {
        assert!(timeout(SHORT, thread::park).is_err());
        assert!(!token_is_there());
        thread::current().unpark();
        // The token that is there is taken at once, whatever has expired.
        let taken = timeout(Duration::ZERO, thread::park);
        assert!(taken.is_ok());
        assert!(!token_is_there());
    };
    run(f);
    std::thread::spawn(f).join().unwrap();
}

#[test]
fn a_masked_park_is_not_killed() {
    let (parks, wakes) = (Arc::new(Event::new()), Arc::new(std::sync::OnceLock::new()));
    let (theirs, handle) = (Arc::clone(&parks), Arc::clone(&wakes));
    let masked = spawn(move || {
        mask_kill(|| {
            handle.get_or_init(thread::current);
            theirs.set();
            thread::park();
        });
        unreachable!("the kill is delivered at the end of the section");
    });
    parks.wait();
    masked.kill_nowait();
    assert!(!masked.join_timeout(SHORT));
    wakes.get().unwrap().unpark();
    assert!(matches!(
        masked.into_result(),
        Err::<(), _>(Failure::Killed)
    ));
}

#[test]
fn a_park_with_a_limit_ends() {
    everywhere(|| {
        let begun = Instant::now();
        thread::park_timeout(SHORT);
        assert!(begun.elapsed() >= SHORT);
        thread::park_timeout(Duration::ZERO);
        thread::current().unpark();
        thread::park_timeout(LONG);
        thread::current().unpark();
        thread::park_timeout(Duration::MAX);
    });
}

#[test]
#[expect(deprecated, reason = "std has them still")]
fn the_old_names() {
    let begun = Instant::now();
    thread::park_timeout_ms(5);
    thread::sleep_ms(5);
    assert!(begun.elapsed() >= 2 * SHORT);
    let until = Instant::now() + SHORT;
    thread::sleep_until(until);
    assert!(Instant::now() >= until);
}

#[test]
fn what_was_written_before_an_unpark_is_seen() {
    let flag = Arc::new(AtomicUsize::new(0));
    for round in 1..=100 {
        let (theirs, main) = (Arc::clone(&flag), thread::current());
        let writer = thread::spawn(move || {
            theirs.store(round, Ordering::Relaxed);
            main.unpark();
        });
        thread::park();
        assert_eq!(flag.load(Ordering::Relaxed), round);
        writer.join().unwrap();
    }
}

#[test]
fn an_unpark_of_one_that_ended_is_harmless() {
    let ended = thread::spawn(|| ());
    let handle = ended.thread().clone();
    ended.join().unwrap();
    // On the same stack, perhaps, the next one parks.
    let next = thread::spawn(|| assert!(!token_is_there()));
    for _ in 0..100 {
        handle.unpark();
        yield_now();
    }
    next.join().unwrap();
}

#[test]
fn a_park_in_the_panic_hook_takes_the_token_of_the_one_that_panics() {
    run(|| ());
    std::panic::set_hook(Box::new(|_| {
        thread::current().unpark();
        thread::park();
    }));
    let panics = thread::spawn(|| panic!("expected"));
    assert!(panics.join().is_err());
}
