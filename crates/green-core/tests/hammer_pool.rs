//! A hammer on `Pool`: members come, end, and are killed from everywhere at once, and time limits race with them.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use green_core::pool::Pool;
use green_core::{spawn, timeout, yield_now};
use hammer::Rng;

const PLACES: usize = 7;
/// Green threads that spawn into the pool.
const GREEN: u64 = 1_000;
/// OS threads that do.
const OS: u64 = 4;
/// How often each green thread does; each OS thread a hundred times as often. More for a longer hammer.
const ROUNDS: u64 = 10;

/// What happened.
#[derive(Default)]
struct Counts {
    inside: AtomicUsize,
    /// Members that began, and that ended, however they did.
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// Counts who is inside, also on the way out by a kill.
struct Inside<'a>(&'a Counts);

impl<'a> Inside<'a> {
    fn enter(counts: &'a Counts) -> Self {
        counts.begun.fetch_add(1, Ordering::SeqCst);
        let inside = counts.inside.fetch_add(1, Ordering::SeqCst);
        assert!(inside < PLACES, "more inside than places");
        Self(counts)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// One use of the pool; some members are killed.
fn pass(pool: &Pool, counts: &Arc<Counts>, rng: &mut Rng) {
    let theirs = Arc::clone(counts);
    let limit = rng.limit();
    let turns = rng.below(3);
    let body = move || {
        let _inside = Inside::enter(&theirs);
        if turns == 2 {
            green_core::sleep(limit);
        }
        (0..turns).for_each(|_| yield_now());
    };
    let member = match rng.below(6) {
        0 => pool.try_spawn(body).ok(),
        1 => pool.spawn_timeout(limit, body).ok(),
        2 => {
            pool.apply(body).ok();
            None
        }
        3 => {
            drop(timeout(limit, || {
                pool.map(0..3, |n| (0..n).for_each(|_| yield_now()))
            }));
            None
        }
        4 => {
            let counts = Arc::clone(counts);
            let f = move |_| drop(Inside::enter(&counts));
            let mut results = pool.imap_unordered_maxsize(2, 0..3, f);
            results.next();
            None
        }
        _ => Some(pool.spawn(body)),
    };
    let Some(member) = member else { return };
    match rng.below(5) {
        0 => member.kill_nowait(),
        1 => pool.killone(&member),
        2 => {
            // What is let go may be inside without a place: this one does not go inside.
            let guest = spawn(yield_now);
            if pool.add_timeout(&guest, limit).is_ok() && rng.below(2) == 0 {
                pool.discard(&guest);
            }
        }
        3 => member.join(),
        _ => {}
    }
}

#[test]
fn pool() {
    let before = hammer::start();
    let pool = Pool::new(PLACES);
    let counts = Arc::new(Counts::default());
    let workers = hammer::on_all_hubs(GREEN, |seed| {
        let (pool, counts) = (pool.clone(), Arc::clone(&counts));
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..ROUNDS {
                let limit = rng.limit();
                match rng.below(4) {
                    0 => drop(timeout(limit, || pass(&pool, &counts, &mut rng))),
                    1 => _ = pool.join_timeout(limit),
                    _ => pass(&pool, &counts, &mut rng),
                }
            }
        }
    });
    let os_threads: Vec<_> = (0..OS)
        .map(|seed| {
            let (pool, counts) = (pool.clone(), Arc::clone(&counts));
            thread::spawn(move || {
                let mut rng = Rng::new(seed + 5_000);
                for _ in 0..ROUNDS * 100 {
                    pass(&pool, &counts, &mut rng);
                }
            })
        })
        .collect();
    let mut rng = Rng::new(6_000);
    let victims: Vec<_> = workers.iter().step_by(3).cloned().collect();
    hammer::kill_in_random_order(&victims, &mut rng);
    for _ in 0..20 {
        pool.kill_timeout(rng.limit());
        pool.wait_available_timeout(rng.limit());
    }
    hammer::all_end("workers", &workers);
    os_threads
        .into_iter()
        .for_each(|os_thread| os_thread.join().unwrap());
    pool.join();
    assert_eq!(pool.free_count(), Some(PLACES));
    assert!(pool.members().is_empty());
    drop(victims);
    drop(workers);
    hammer::settled(&before);
    assert_eq!(counts.inside.load(Ordering::SeqCst), 0);
    assert_eq!(
        counts.begun.load(Ordering::SeqCst),
        counts.ended.load(Ordering::SeqCst)
    );
}
