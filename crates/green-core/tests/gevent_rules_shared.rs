//! The subtle rules of pools, events, locks, queues, locals and links, by gevent's number: 35 to 60.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;
#[path = "support/waits.rs"]
mod waits;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::lock::{RLock, Semaphore};
use green_core::pool::Pool;
use green_core::queue::{Channel, GetError, PutError, Queue};
use green_core::{Greenlet, add_spawn_callback, remove_spawn_callback, sleep, spawn, yield_now};
use support::eventually;
use waits::wait_begins;

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(5);

macro_rules! on_any_number_of_hubs {
    ($($test:ident)*) => {
        on_hubs!(on_one_hub, 1, [$($test),*]);
        on_hubs!(on_two_hubs, 2, [$($test),*]);
        on_hubs!(on_eight_hubs, 8, [$($test),*]);
    };
}

on_any_number_of_hubs! {
    rule_35_join_sees_that_the_pool_was_empty_once
    rule_38_failures_of_map_and_imap
    rule_39_imap_runs_ahead_as_far_as_maxsize_lets_it
    rule_41_set_and_clear_releases_those_who_waited
    rule_44_locks_belong_to_green_threads_and_permits_to_nobody
    rule_45_what_was_not_taken_from_a_channel_in_time_is_withdrawn
    rule_50_locals_are_not_inherited_and_go_with_their_green_thread
    rule_51_links_after_the_end_and_from_links
    rule_52_spawn_callbacks_are_called_at_the_start
}

on_hubs!(
    in_order,
    1,
    [
        rule_42_the_setter_runs_on_and_those_who_wait_follow_in_order,
        rule_43_who_was_overtaken_keeps_its_place,
        rule_45_the_getter_of_a_channel_goes_on_first,
        rule_60_code_between_two_waits_is_atomic,
    ]
);

fn rule_35_join_sees_that_the_pool_was_empty_once() {
    let (pool, gate) = (Pool::new(1), Arc::new(Event::new()));
    let theirs = Arc::clone(&gate);
    pool.spawn(move || theirs.wait());
    let joins = pool.clone();
    let joiner = spawn(move || joins.join());
    wait_begins(joiner.id(), "join");
    gate.set();
    // Another one may be in by the time the joiner runs: it has been empty all the same.
    let next = pool.spawn(|| sleep(EVER));
    joiner.join();
    assert!(!next.ready());
    next.kill();
}

fn rule_38_failures_of_map_and_imap() {
    let pool = Pool::new(4);
    let ran = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ran);
    let body = move |n: u64| {
        // The second failure comes first.
        sleep(Duration::from_micros(500 * (4 - n)));
        theirs.fetch_add(1, Ordering::SeqCst);
        assert!(n.is_multiple_of(2), "failure {n}");
        n
    };
    let failure = pool.map(0..4, body.clone()).unwrap_err();
    assert!(failure.to_string().contains("failure 1"), "{failure}");
    pool.join();
    assert_eq!(ran.load(Ordering::SeqCst), 4, "the others have run on");
    let values: Vec<_> = pool.imap(0..4, body.clone()).map(Result::ok).collect();
    assert_eq!(values, [Some(0), None, Some(2), None]);
    let mut values: Vec<_> = pool.imap_unordered(0..4, body).flatten().collect();
    values.sort_unstable();
    assert_eq!(values, [0, 2]);
    let items = (0..3).map(|n| if n == 2 { panic!("no more") } else { n });
    let values: Vec<_> = pool.imap(items, |n| n).map(Result::ok).collect();
    assert_eq!(values, [Some(0), Some(1), None]);
    assert_eq!(pool.map([0; 0], |n| n).unwrap(), [0; 0]);
    assert!(pool.imap([0; 0], |n| n).next().is_none());
}

fn rule_39_imap_runs_ahead_as_far_as_maxsize_lets_it() {
    let run = |maxsize: Option<usize>| {
        let (pool, ran) = (Pool::new(None), Arc::new(AtomicUsize::new(0)));
        let theirs = Arc::clone(&ran);
        let body = move |n: usize| {
            theirs.fetch_add(1, Ordering::SeqCst);
            n
        };
        let results = match maxsize {
            Some(maxsize) => pool.imap_maxsize(maxsize, 0..6, body),
            None => pool.imap(0..6, body),
        };
        let most = maxsize.unwrap_or(6);
        eventually("it has begun without anybody who takes the results", || {
            ran.load(Ordering::SeqCst) == most
        });
        sleep(SHORT);
        assert_eq!(ran.load(Ordering::SeqCst), most);
        assert!(results.map(Result::unwrap).eq(0..6));
    };
    run(None);
    run(Some(2));
}

fn rule_41_set_and_clear_releases_those_who_waited() {
    let event = Arc::new(Event::new());
    let waiters = [(); 3].map(|()| {
        let event = Arc::clone(&event);
        spawn(move || event.wait_timeout(EVER))
    });
    waiters
        .iter()
        .for_each(|waiter| wait_begins(waiter.id(), "event"));
    event.set();
    event.clear();
    assert!(waiters.iter().all(|waiter| waiter.get().unwrap()));
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
}

/// What happened, in order.
#[derive(Clone)]
struct Log(Queue<&'static str>);

impl Log {
    fn new() -> Self {
        Self(Queue::unbounded())
    }

    fn add(&self, what: &'static str) {
        self.0.put(what).unwrap();
    }

    fn read(&self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.0.try_get().ok()).collect()
    }
}

fn rule_42_the_setter_runs_on_and_those_who_wait_follow_in_order() {
    let (event, log) = (Arc::new(Event::new()), Log::new());
    let waiters = ["first", "second"].map(|name| {
        let (event, log) = (Arc::clone(&event), log.clone());
        spawn(move || {
            event.wait();
            log.add(name);
        })
    });
    yield_now();
    event.set();
    log.add("setter");
    waiters.iter().for_each(Greenlet::join);
    assert_eq!(log.read(), ["setter", "first", "second"]);
}

fn rule_43_who_was_overtaken_keeps_its_place() {
    let (semaphore, log) = (Arc::new(Semaphore::new(0)), Log::new());
    let waiters = ["first", "second"].map(|name| {
        let (semaphore, log) = (Arc::clone(&semaphore), log.clone());
        spawn(move || {
            semaphore.acquire().forget();
            log.add(name);
        })
    });
    yield_now();
    semaphore.release();
    // Ahead of the one that was woken for it.
    let permit = semaphore.try_acquire().unwrap();
    (0..3).for_each(|_| yield_now());
    assert_eq!(log.read(), [""; 0]);
    drop(permit);
    semaphore.release();
    waiters.iter().for_each(Greenlet::join);
    assert_eq!(log.read(), ["first", "second"]);
}

fn rule_44_locks_belong_to_green_threads_and_permits_to_nobody() {
    let all = Arc::new((RLock::new(), Semaphore::new(0)));
    let guard = all.0.acquire();
    let theirs = Arc::clone(&all);
    let other = spawn(move || {
        assert!(
            theirs.0.try_acquire().is_none(),
            "of somebody else, on whatever hub"
        );
        assert!(theirs.0.release().is_err());
        theirs.1.release();
    });
    other.join();
    assert!(all.0.try_acquire().is_some(), "its own");
    assert!(other.successful() && all.1.try_acquire().is_some());
    drop(guard);
    assert!(!all.0.locked());
}

fn rule_45_what_was_not_taken_from_a_channel_in_time_is_withdrawn() {
    let channel = Channel::new();
    assert_eq!(channel.put_timeout(1, SHORT), Err(PutError::Full(1)));
    assert_eq!(channel.try_put(2), Err(PutError::Full(2)));
    assert_eq!(channel.try_get(), Err(GetError::Empty));
    let theirs = channel.clone();
    let getter = spawn(move || theirs.get());
    eventually("a getter waits", || channel.balance() == -1);
    assert_eq!(channel.try_put(3), Ok(()));
    assert_eq!(getter.get().unwrap(), Ok(3));
}

fn rule_45_the_getter_of_a_channel_goes_on_first() {
    let (channel, log) = (Channel::new(), Log::new());
    let (theirs, says) = (channel.clone(), log.clone());
    let getter = spawn(move || {
        for said in ["got 0", "got 1"] {
            theirs.get().unwrap();
            says.add(said);
        }
    });
    for (n, said) in ["put 0", "put 1"].into_iter().enumerate() {
        channel.put(n).unwrap();
        log.add(said);
    }
    getter.join();
    assert_eq!(log.read(), ["got 0", "put 0", "got 1", "put 1"]);
}

fn rule_50_locals_are_not_inherited_and_go_with_their_green_thread() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    green_core::local! {
        static NUMBER: Cell<u32> = const { Cell::new(1) };
        static KEPT: Cell<Option<Counted>> = const { Cell::new(None) };
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&drops);
    let parent = spawn(move || {
        NUMBER.set(7);
        KEPT.set(Some(Counted(theirs)));
        spawn(|| NUMBER.get()).get().unwrap()
    });
    assert_eq!(parent.get().unwrap(), 1);
    assert_eq!(drops.load(Ordering::SeqCst), 1, "though there is a handle");
}

fn rule_51_links_after_the_end_and_from_links() {
    let fired = Arc::new(Semaphore::new(0));
    let g = spawn(|| ());
    g.join();
    let theirs = Arc::clone(&fired);
    g.link(move |g| {
        theirs.release();
        let theirs = Arc::clone(&theirs);
        g.link(move |_| theirs.release());
    });
    (0..2).for_each(|_| fired.acquire().forget());
}

fn rule_52_spawn_callbacks_are_called_at_the_start() {
    let seen = Arc::new(AtomicUsize::new(0));
    let (g, count) = (Greenlet::new(|| ()), Arc::clone(&seen));
    let id = g.id();
    let callback = add_spawn_callback(move |raw| {
        count.fetch_add(usize::from(raw.id() == id), Ordering::SeqCst);
    });
    assert_eq!(seen.load(Ordering::SeqCst), 0, "it was only made");
    g.start();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    g.start();
    remove_spawn_callback(callback);
    g.join();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

fn rule_60_code_between_two_waits_is_atomic() {
    let count = Arc::new(AtomicUsize::new(0));
    let all: Vec<_> = (0..100)
        .map(|_| {
            let count = Arc::clone(&count);
            spawn(move || {
                for _ in 0..100 {
                    // Two steps, and nobody in between.
                    let before = count.load(Ordering::Relaxed);
                    count.store(before + 1, Ordering::Relaxed);
                    yield_now();
                }
            })
        })
        .collect();
    all.iter().for_each(Greenlet::join);
    assert_eq!(count.load(Ordering::Relaxed), 10_000);
}
