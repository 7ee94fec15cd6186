//! A hammer on `Condvar`: notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::thread;

use green_core::sync::{Condvar, Mutex};
use green_core::timeout;
use hammer::Rng;

const TOKENS: u64 = 1_500;
const TAKERS: u64 = 16;

/// Tokens to take, tokens taken, and whether no more will come.
type Shared = Arc<(Mutex<(u64, u64, bool)>, Condvar)>;

/// Takes tokens until there are no more to come.
fn take_all(shared: &Shared, rng: &mut Rng) {
    for _ in 0..10_000_000 {
        let guard = shared.0.lock().expect("nobody panics");
        let empty = |state: &mut (u64, u64, bool)| state.0 == 0 && !state.2;
        let mut guard = if rng.below(3) == 0 {
            shared
                .1
                .wait_timeout_while(guard, rng.limit(), empty)
                .expect("nobody panics")
                .0
        } else {
            shared.1.wait_while(guard, empty).expect("nobody panics")
        };
        if guard.0 > 0 {
            guard.0 -= 1;
            guard.1 += 1;
        } else if guard.2 {
            return;
        }
    }
}

/// Puts tokens, with one notification each.
fn put(shared: &Shared, count: u64) {
    for _ in 0..count {
        shared.0.lock().expect("nobody panics").0 += 1;
        shared.1.notify_one();
        green_core::yield_now();
    }
}

#[test]
fn condvar() {
    let before = hammer::start();
    let shared = Shared::default();
    let takers = hammer::on_all_hubs(TAKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || take_all(&shared, &mut Rng::new(seed))
    });
    let limited = hammer::on_all_hubs(TAKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed + 100);
            for _ in 0..50 {
                timeout(rng.limit(), || take_all(&shared, &mut Rng::new(seed + 150))).ok();
            }
        }
    });
    let victims = hammer::on_all_hubs(TAKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || take_all(&shared, &mut Rng::new(seed + 200))
    });
    let putters = hammer::on_all_hubs(4, |_| {
        let shared = Arc::clone(&shared);
        move || put(&shared, TOKENS / 6)
    });
    let os_putters = [1, 2].map(|_| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || put(&shared, TOKENS / 6))
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(300));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("putters", &putters);
    os_putters
        .into_iter()
        .for_each(|putter| putter.join().unwrap());
    hammer::all_end("victims", &victims);
    hammer::all_end("limited", &limited);
    // Nobody says "no more" before everything was taken: only notifications get the takers there.
    support::eventually("all tokens are taken", || shared.0.lock().unwrap().0 == 0);
    shared.0.lock().unwrap().2 = true;
    shared.1.notify_all();
    hammer::all_end("takers", &takers);
    assert_eq!(shared.0.try_lock().unwrap().1, TOKENS / 6 * 6);
    hammer::settled(&before);
}
