//! A hammer on `Event`: notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use green_core::event::Event;
use green_core::{timeout, yield_now};
use hammer::Rng;

const WAITERS: u64 = 24;
const ROUNDS: u64 = 40;

#[derive(Default)]
struct Shared {
    event: Event,
    stop: AtomicBool,
    released: AtomicU64,
}

impl Shared {
    fn wait(&self, rng: &mut Rng) {
        for _ in 0..ROUNDS {
            if rng.below(2) == 0 {
                self.event.wait_timeout(rng.limit());
            } else {
                self.event.wait();
            }
            self.released.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Pulses until told to stop.
    fn pulse(&self) {
        for _ in 0..10_000_000 {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.event.set();
            self.event.clear();
            green_core::sleep(std::time::Duration::from_micros(50));
        }
    }
}

#[test]
fn event() {
    let before = hammer::start();
    let shared = Arc::new(Shared::default());
    let waiters = hammer::on_all_hubs(WAITERS, |seed| {
        let shared = Arc::clone(&shared);
        move || shared.wait(&mut Rng::new(seed))
    });
    let limited = hammer::on_all_hubs(WAITERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed + 100);
            for _ in 0..ROUNDS {
                timeout(rng.limit(), || shared.event.wait()).ok();
            }
        }
    });
    let victims = hammer::on_all_hubs(WAITERS, |_| {
        let shared = Arc::clone(&shared);
        move || {
            for _ in 0..10_000_000 {
                shared.event.wait();
                yield_now();
            }
        }
    });
    let coroutines = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe { may::coroutine::spawn(move || shared.wait(&mut Rng::new(seed + 200))) }
    });
    let os_waiter = thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.wait(&mut Rng::new(300))
    });
    let pulsers = hammer::on_all_hubs(2, |_| {
        let shared = Arc::clone(&shared);
        move || shared.pulse()
    });
    let os_pulser = thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.pulse()
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(400));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("waiters", &waiters);
    hammer::all_end("limited", &limited);
    os_waiter.join().unwrap();
    coroutines
        .into_iter()
        .for_each(|coroutine| coroutine.join().unwrap());
    shared.stop.store(true, Ordering::SeqCst);
    hammer::all_end("pulsers", &pulsers);
    os_pulser.join().unwrap();
    assert_eq!(
        shared.released.load(Ordering::Relaxed),
        (WAITERS + 3) * ROUNDS
    );
    hammer::settled(&before);
}

#[test]
fn every_waiter_of_a_set_is_released() {
    hammer::start();
    for round in 0..50 {
        let event = Arc::new(Event::new());
        let waiters = hammer::on_all_hubs(40, |_| {
            let event = Arc::clone(&event);
            move || event.wait()
        });
        if round % 2 == 0 {
            yield_now();
        }
        event.set();
        hammer::all_end("waiters of one set", &waiters);
    }
}
