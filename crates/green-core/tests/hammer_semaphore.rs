//! A hammer on `Semaphore`: notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use green_core::lock::Semaphore;
use green_core::{timeout, yield_now};
use hammer::Rng;

const PERMITS: usize = 3;
const WORKERS: u64 = 24;
const ROUNDS: u64 = 60;

struct Shared {
    semaphore: Semaphore,
    inside: AtomicUsize,
}

/// Counts who is inside, also on the way out by a kill.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn enter(inside: &'a AtomicUsize) -> Self {
        assert!(
            inside.fetch_add(1, Ordering::SeqCst) < PERMITS,
            "more inside than permits"
        );
        Self(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn pass(&self, rng: &mut Rng) {
        let permit = match rng.below(3) {
            0 => self.semaphore.acquire_timeout(rng.limit()),
            1 => self.semaphore.try_acquire(),
            _ => Some(self.semaphore.acquire()),
        };
        if permit.is_some() {
            let _inside = Inside::enter(&self.inside);
            if rng.below(2) == 0 {
                yield_now();
            }
        }
    }
}

#[test]
fn semaphore() {
    let before = hammer::start();
    let shared = Arc::new(Shared {
        semaphore: Semaphore::new(PERMITS),
        inside: AtomicUsize::new(0),
    });
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..ROUNDS {
                let limit = rng.limit();
                if rng.below(4) == 0 {
                    timeout(limit, || shared.pass(&mut rng)).ok();
                } else {
                    shared.pass(&mut rng);
                }
            }
        }
    });
    let victims = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed + 100);
            for _ in 0..1_000_000 {
                shared.pass(&mut rng);
                yield_now();
            }
        }
    });
    let os_threads = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut rng = Rng::new(seed + 200);
            (0..ROUNDS).for_each(|_| shared.pass(&mut rng));
        })
    });
    let coroutines = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe {
            may::coroutine::spawn(move || {
                let mut rng = Rng::new(seed + 300);
                (0..ROUNDS).for_each(|_| shared.pass(&mut rng));
            })
        }
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(400));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("workers", &workers);
    os_threads
        .into_iter()
        .for_each(|os_thread| os_thread.join().unwrap());
    coroutines
        .into_iter()
        .for_each(|coroutine| coroutine.join().unwrap());
    assert!(workers.iter().all(|worker| worker.get().is_ok()));
    assert_eq!(shared.semaphore.available(), PERMITS);
    assert_eq!(shared.inside.load(Ordering::SeqCst), 0);
    hammer::settled(&before);
}
