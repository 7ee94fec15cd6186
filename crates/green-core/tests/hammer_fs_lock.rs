//! A hammer on the locks of files: unlocks, time limits and kills race, from everywhere at once.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/dir.rs"]
mod dir;
#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dir::Dir;
use green_core::fs::File;
use green_core::{timeout, yield_now};
use hammer::Rng;

const WORKERS: u64 = 12;
const ROUNDS: u64 = 30;

/// An exclusive holder counts as so many shared ones.
const EXCLUSIVE: usize = 1 << 16;

struct Shared {
    paths: [PathBuf; 2],
    inside: [AtomicUsize; 2],
}

/// Counts who is inside, also on the way out by a kill.
struct Inside<'a>(&'a AtomicUsize, usize);

impl<'a> Inside<'a> {
    fn enter(inside: &'a AtomicUsize, weight: usize) -> Self {
        let before = inside.fetch_add(weight, Ordering::SeqCst);
        let allowed = if weight == EXCLUSIVE {
            0
        } else {
            EXCLUSIVE - 1
        };
        assert!(
            before <= allowed,
            "two have the lock: {before:#x} and {weight:#x}"
        );
        Self(inside, weight)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

impl Shared {
    fn pass(&self, rng: &mut Rng) {
        let which = usize::from(rng.below(4) == 0);
        let file = File::open(&self.paths[which]).unwrap();
        let weight = if rng.below(3) == 0 { 1 } else { EXCLUSIVE };
        let locked = match (weight, rng.below(4)) {
            (1, 0) => file.try_lock_shared().is_ok(),
            (1, _) => file.lock_shared().is_ok(),
            (_, 0) => file.try_lock().is_ok(),
            _ => file.lock().is_ok(),
        };
        if locked {
            // Dropped before the file is, so before the lock is given back.
            let inside = Inside::enter(&self.inside[which], weight);
            if rng.below(2) == 0 {
                yield_now();
            }
            drop(inside);
            if rng.below(2) == 0 {
                file.unlock().unwrap();
            }
        }
    }
}

#[test]
fn file_locks() {
    let before = hammer::start();
    let dir = Dir::new();
    let shared = Arc::new(Shared {
        paths: ["a", "b"].map(|name| dir.join(name)),
        inside: [const { AtomicUsize::new(0) }; 2],
    });
    for path in &shared.paths {
        std::fs::File::create(path).unwrap();
    }
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..ROUNDS {
                let limit = rng.limit();
                if rng.below(4) == 0 {
                    timeout(limit * 10, || shared.pass(&mut rng)).ok();
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
    assert!(
        shared
            .inside
            .iter()
            .all(|inside| inside.load(Ordering::SeqCst) == 0)
    );
    hammer::settled(&before);
    for path in &shared.paths {
        File::open(path).unwrap().try_lock().unwrap();
    }
}
