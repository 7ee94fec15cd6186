//! A storm on `Group`, `Pool` and `ThreadPool`: members and tasks come, end, and are killed from everywhere at once.

#[expect(dead_code, reason = "this one kills in its own way")]
#[path = "support/hammer.rs"]
mod hammer;
#[expect(dead_code, reason = "here everyone ends in the same way")]
#[path = "support/storm.rs"]
mod storm;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use green_core::pool::{Group, Pool};
use green_core::threadpool::ThreadPool;
use green_core::{Failure, sleep, yield_now};
use hammer::Rng;
use storm::{Inside, Storm};

/// Members that run at the same time: more than take part, where there is no limit.
const MOST: i64 = 100_000;

/// What one who takes part does with a group, in which at most `most` are inside.
fn use_group(group: &Group, inside: &Arc<AtomicI64>, most: i64, rng: &mut Rng) {
    let (theirs, limit, turns) = (Arc::clone(inside), rng.limit(), rng.below(3));
    let body = move || {
        let _inside = Inside::new(&theirs, most);
        if turns == 2 {
            sleep(limit);
        }
        (0..turns).for_each(|_| yield_now());
        turns
    };
    let member = match rng.below(8) {
        0 => group.try_spawn(body).ok(),
        1 => group.spawn_timeout(limit, body).ok(),
        2 => {
            let applied = group.apply(body);
            assert!(matches!(applied, Ok(_) | Err(Failure::Killed)));
            None
        }
        3 => {
            group.map(0..3, |n| (0..n).for_each(|_| yield_now())).ok();
            None
        }
        4 => {
            group.imap_unordered_maxsize(2, 0..3, drop).next();
            None
        }
        5 => {
            group.join_timeout(limit);
            None
        }
        6 => {
            group.wait_available_timeout(limit);
            None
        }
        _ => Some(group.spawn(body)),
    };
    if let Some(member) = member {
        match rng.below(4) {
            0 => member.kill_nowait(),
            1 => group.killone(&member),
            2 => member.join(),
            _ => {}
        }
    }
    yield_now();
}

#[test]
fn group() {
    let before = hammer::start();
    let (group, inside) = (Group::new(), Arc::new(AtomicI64::new(0)));
    let (theirs, count) = (group.clone(), Arc::clone(&inside));
    Storm::blow(move |_, rng| use_group(&theirs, &count, MOST, rng)).end_all("those who spawn");
    group.join();
    assert!(group.is_empty() && group.members().is_empty());
    assert_eq!(inside.load(Ordering::SeqCst), 0, "everyone has left");
    hammer::settled(&before);
}

#[test]
fn pool() {
    let before = hammer::start();
    let (pool, inside) = (Pool::new(7), Arc::new(AtomicI64::new(0)));
    let (theirs, count) = (pool.clone(), Arc::clone(&inside));
    let storm = Storm::blow(move |role, rng| {
        if role == 0 && rng.below(20) == 0 {
            theirs.kill_timeout(rng.limit());
        }
        use_group(&theirs, &count, 7, rng);
    });
    storm.end_all("those who spawn");
    pool.join();
    assert_eq!(pool.free_count(), Some(7), "each place comes back once");
    assert!(pool.members().is_empty());
    assert_eq!(inside.load(Ordering::SeqCst), 0, "everyone has left");
    hammer::settled(&before);
}

#[test]
fn thread_pool() {
    let before = hammer::start();
    let (pool, inside) = (ThreadPool::new(3), Arc::new(AtomicI64::new(0)));
    let (theirs, count) = (pool.clone(), Arc::clone(&inside));
    let storm = Storm::blow(move |_, rng| {
        let (pool, inside) = (&theirs, Arc::clone(&count));
        let number = rng.below(1_000);
        let task = move || {
            let _inside = Inside::new(&inside, 3);
            number
        };
        let spawned = match rng.below(6) {
            0 => pool.try_spawn(task).ok(),
            1 => pool.spawn_timeout(rng.limit(), task).ok(),
            2 => {
                assert_eq!(pool.apply(task).ok(), Some(number));
                None
            }
            3 => {
                let squares = pool.map(0..3_u64, |n| n * n);
                assert_eq!(squares.ok(), Some(vec![0, 1, 4]));
                None
            }
            4 => {
                pool.join_timeout(rng.limit());
                None
            }
            _ => Some(pool.spawn(task)),
        };
        if let Some(spawned) = spawned {
            match rng.below(3) {
                // The task runs all the same.
                0 => spawned.kill_nowait(),
                1 => assert_eq!(spawned.get().ok(), Some(number)),
                _ => {}
            }
        }
        yield_now();
    });
    storm.end_all("those who spawn");
    pool.join();
    assert!(pool.is_empty());
    assert_eq!(inside.load(Ordering::SeqCst), 0, "every task has ended");
    pool.kill();
    hammer::settled(&before);
}
