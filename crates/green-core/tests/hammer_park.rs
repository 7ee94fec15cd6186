//! A hammer on the park token: unparks, time limits and kills race, from everywhere at once, and no token is lost.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use green_core::queue::Queue;
use green_core::thread::{self, Thread};
use green_core::{sleep, timeout, yield_now};
use hammer::Rng;

const PAIRS: u64 = 24;
const ROUNDS: usize = 100;
const VICTIMS: u64 = 16;

/// What one who parks shares with the one who wakes it.
#[derive(Default)]
struct Pair {
    /// How often it was woken.
    given: AtomicUsize,
    /// How much of that it has seen.
    seen: AtomicUsize,
}

/// Parks until it has seen everything; whatever ends its waits, a token that was given ends the next one.
fn sleeper(pair: &Pair, rng: &mut Rng) {
    while pair.seen.load(Ordering::Relaxed) < ROUNDS {
        let wait = match rng.below(3) {
            0 => timeout(rng.limit(), thread::park).is_ok(),
            1 => {
                thread::park_timeout(rng.limit());
                true
            }
            _ => {
                thread::park();
                true
            }
        };
        if wait || rng.below(2) == 0 {
            let given = pair.given.load(Ordering::Acquire);
            pair.seen.store(given, Ordering::Release);
        }
    }
}

/// Wakes `sleeper` again and again, each time when it has seen the time before. Were a token lost, both would wait for
/// ever.
fn waker(pair: &Pair, sleeper: &Thread, rng: &mut Rng) {
    for round in 1..=ROUNDS {
        if rng.below(4) == 0 {
            sleep(rng.limit());
        }
        pair.given.store(round, Ordering::Release);
        for _ in 0..=rng.below(3) {
            sleeper.unpark();
        }
        support::eventually("the token was seen", || {
            pair.seen.load(Ordering::Acquire) >= round
        });
    }
}

#[test]
fn park() {
    let before = hammer::start();
    let threads = Arc::new(Queue::unbounded());
    let sleepers = |kind: u64| {
        let threads = Arc::clone(&threads);
        move |seed: u64| {
            let threads = Arc::clone(&threads);
            move || {
                let pair = Arc::new(Pair::default());
                threads
                    .put((Arc::clone(&pair), thread::current()))
                    .expect("it is open");
                sleeper(&pair, &mut Rng::new(seed + kind * 100));
            }
        }
    };
    let green = hammer::on_all_hubs(PAIRS, sleepers(1));
    let os = [1, 2].map(|seed| std::thread::spawn(sleepers(2)(seed)));
    let coroutines = [1, 2].map(|seed| {
        let threads = Arc::clone(&threads);
        let body = move || {
            let pair = Arc::new(Pair::default());
            threads
                .put((Arc::clone(&pair), thread::current()))
                .expect("it is open");
            let mut rng = Rng::new(seed + 300);
            while pair.seen.load(Ordering::Relaxed) < ROUNDS {
                // No time limits of ours in a coroutine.
                match rng.below(2) {
                    0 => thread::park_timeout(rng.limit()),
                    _ => thread::park(),
                }
                let given = pair.given.load(Ordering::Acquire);
                pair.seen.store(given, Ordering::Release);
            }
        };
        // SAFETY: the coroutine keeps nothing of an OS thread across a wait, and is shallow.
        unsafe { may::coroutine::spawn(body) }
    });
    let wakers = hammer::on_all_hubs(PAIRS + 4, |seed| {
        let threads = Arc::clone(&threads);
        move || {
            let (pair, sleeper) = threads.get().expect("one for each");
            waker(&pair, &sleeper, &mut Rng::new(seed + 400));
        }
    });
    let victims = hammer::on_all_hubs(VICTIMS, |seed| {
        move || {
            let mut rng = Rng::new(seed + 500);
            (0..1_000_000).for_each(|_| thread::park_timeout(rng.limit()));
        }
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(600));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("wakers", &wakers);
    hammer::all_end("green sleepers", &green);
    assert!(wakers.iter().chain(&green).all(|one| one.get().is_ok()));
    os.into_iter().for_each(|one| one.join().unwrap());
    coroutines.into_iter().for_each(|one| one.join().unwrap());
    hammer::settled(&before);
}

#[test]
fn a_killed_park_leaves_the_token() {
    let before = hammer::start();
    for round in 0..ROUNDS as u64 / 4 {
        let threads = Arc::new(Queue::unbounded());
        let begun = Arc::new(AtomicUsize::new(0));
        let victims = hammer::on_all_hubs(VICTIMS, |_| {
            let (threads, begun) = (Arc::clone(&threads), Arc::clone(&begun));
            move || {
                begun.fetch_add(1, Ordering::Relaxed);
                threads.put(thread::current()).expect("it is open");
                // Either the kill ends the first park, and the token the second, or the other way round.
                let first = catch_unwind(thread::park);
                let second = catch_unwind(thread::park);
                (first.is_ok(), second.is_ok())
            }
        });
        let wakers = hammer::on_all_hubs(VICTIMS, |seed| {
            let threads = Arc::clone(&threads);
            move || {
                let victim = threads.get().expect("one for each");
                (0..Rng::new(seed + round).below(4)).for_each(|_| yield_now());
                victim.unpark();
            }
        });
        let all = usize::try_from(VICTIMS).expect("few");
        support::eventually("all have begun", || begun.load(Ordering::Relaxed) == all);
        for victim in &victims {
            victim.kill_nowait();
        }
        hammer::all_end("victims", &victims);
        hammer::all_end("wakers", &wakers);
        for victim in &victims {
            let (first, second) = victim.get().expect("it catches the kill");
            assert!(first != second, "one token and one kill end one park each");
        }
    }
    hammer::settled(&before);
}
