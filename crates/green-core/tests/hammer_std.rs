//! A storm on each of std's locks: `Mutex`, `RwLock`, `Condvar`, `Barrier`.

#[expect(dead_code, reason = "this one kills in its own way")]
#[path = "support/hammer.rs"]
mod hammer;
#[path = "support/storm.rs"]
mod storm;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use green_core::sync::{Barrier, Condvar, Mutex, RwLock, TryLockError};
use green_core::yield_now;
use hammer::Rng;
use storm::{Inside, Storm};

/// The guard, unless somebody else has the lock: neither kills nor time limits poison.
fn taken<G>(tried: Result<G, TryLockError<G>>) -> Option<G> {
    match tried {
        Ok(guard) => Some(guard),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Poisoned(_)) => panic!("nobody panics"),
    }
}

#[test]
fn mutex() {
    let before = hammer::start();
    let shared = Arc::new((Mutex::new(0_u64), AtomicU64::new(0), AtomicI64::new(0)));
    let theirs = Arc::clone(&shared);
    let storm = Storm::blow(move |_, rng| {
        let (mutex, count, inside) = &*theirs;
        let guard = match rng.below(3) {
            0 => taken(mutex.try_lock()),
            _ => Some(mutex.lock().expect("nobody panics")),
        };
        let Some(mut guard) = guard else {
            return yield_now();
        };
        let _inside = Inside::new(inside, 1);
        *guard += 1;
        count.fetch_add(1, Ordering::Relaxed);
        if rng.below(2) == 0 {
            yield_now();
        }
    });
    storm.end_all("those who lock");
    let (mutex, count, _) = &*shared;
    let guard = taken(mutex.try_lock()).expect("nobody has it");
    assert_eq!(*guard, count.load(Ordering::Relaxed), "no addition is lost");
    drop(guard);
    hammer::settled(&before);
}

/// How many readers there are at most: more than take part.
const READERS: i64 = 2_000;

#[test]
fn rwlock() {
    let before = hammer::start();
    let shared = Arc::new((RwLock::new(0_u64), AtomicU64::new(0), AtomicI64::new(0)));
    let theirs = Arc::clone(&shared);
    let storm = Storm::blow(move |_, rng| {
        let (lock, count, inside) = &*theirs;
        if rng.below(4) > 0 {
            let guard = match rng.below(3) {
                0 => taken(lock.try_read()),
                _ => Some(lock.read().expect("nobody panics")),
            };
            let Some(guard) = guard else {
                return yield_now();
            };
            let seen = *guard;
            let _inside = Inside::new(inside, READERS);
            if rng.below(2) == 0 {
                yield_now();
            }
            assert_eq!(*guard, seen, "nobody writes beside a reader");
            return;
        }
        let guard = match rng.below(3) {
            0 => taken(lock.try_write()),
            _ => Some(lock.write().expect("nobody panics")),
        };
        let Some(mut guard) = guard else {
            return yield_now();
        };
        let _inside = Inside::new(inside, 1);
        *guard += 1;
        count.fetch_add(1, Ordering::Relaxed);
        if rng.below(2) == 0 {
            yield_now();
        }
        assert_eq!(inside.load(Ordering::SeqCst), 1, "a writer is alone");
    });
    storm.end_all("those who read and write");
    let (lock, count, _) = &*shared;
    let guard = taken(lock.try_write()).expect("nobody has it");
    assert_eq!(*guard, count.load(Ordering::Relaxed), "no addition is lost");
    drop(guard);
    hammer::settled(&before);
}

/// Tokens that are put with a notification each, and taken; and how many of each there were.
#[derive(Default)]
struct Tokens {
    left: u64,
    put: u64,
    taken: u64,
    /// Whether no more come.
    is_over: bool,
}

#[test]
fn condvar() {
    let before = hammer::start();
    let shared = Arc::new((Mutex::new(Tokens::default()), Condvar::new()));
    let theirs = Arc::clone(&shared);
    let mut storm = Storm::blow(move |role, rng| {
        let (mutex, more) = &*theirs;
        let mut tokens = mutex.lock().expect("nobody panics");
        if role % 2 == 0 {
            tokens.left += 1;
            tokens.put += 1;
            drop(tokens);
            // Neither a kill nor a limit reaches it here: that would be a token without a notification.
            more.notify_one();
            return yield_now();
        }
        let is_empty = |tokens: &mut Tokens| tokens.left == 0 && !tokens.is_over;
        let mut tokens = match rng.below(2) {
            0 => {
                let waited = more.wait_timeout_while(tokens, rng.limit(), is_empty);
                waited.expect("nobody panics").0
            }
            _ => more.wait_while(tokens, is_empty).expect("nobody panics"),
        };
        if tokens.left > 0 {
            tokens.left -= 1;
            tokens.taken += 1;
        }
    });
    let (mutex, more) = &*shared;
    storm.end("putters", |role| role % 2 == 0);
    support::eventually("the OS threads that put have ended", || {
        storm.os_threads_have_ended(|role| role % 2 == 0)
    });
    let mut tokens = mutex.lock().expect("nobody panics");
    tokens.is_over = true;
    drop(tokens);
    more.notify_all();
    storm.end_all("takers");
    let tokens = mutex.lock().expect("nobody panics");
    assert_eq!(tokens.put, tokens.taken + tokens.left);
    drop(tokens);
    hammer::settled(&before);
}

/// How many the barrier takes.
const PARTIES: usize = 5;

#[test]
fn barrier() {
    let before = hammer::start();
    let shared = Arc::new((Barrier::new(PARTIES), AtomicU64::new(0), AtomicU64::new(0)));
    let pass = |shared: &(Barrier, AtomicU64, AtomicU64)| {
        let (barrier, passed, led) = shared;
        if barrier.wait().is_leader() {
            led.fetch_add(1, Ordering::SeqCst);
        }
        passed.fetch_add(1, Ordering::SeqCst);
    };
    let theirs = Arc::clone(&shared);
    let storm = Storm::blow(move |_, rng: &mut Rng| {
        pass(&theirs);
        if rng.below(2) == 0 {
            yield_now();
        }
    });
    // The last ones have nobody to wait for: a few more come until they are through.
    let theirs = Arc::clone(&shared);
    let helpers = hammer::on_all_hubs(PARTIES as u64, |_| {
        let shared = Arc::clone(&theirs);
        move || {
            let end = Instant::now() + Duration::from_millis(200);
            while Instant::now() < end {
                green_core::timeout(Duration::from_millis(1), || pass(&shared)).ok();
            }
        }
    });
    storm.end_all("parties");
    hammer::all_end("helpers", &helpers);
    let (_, passed, led) = &*shared;
    let (passed, led) = (passed.load(Ordering::SeqCst), led.load(Ordering::SeqCst));
    // Who is interrupted when its round is over already does not pass.
    assert!(led > 0 && passed <= led * PARTIES as u64);
    hammer::settled(&before);
}
