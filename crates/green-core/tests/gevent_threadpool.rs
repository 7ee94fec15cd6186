//! `ThreadPool` (gevent's THP-01 to THP-06, and rule 11 of kills).
#![expect(
    clippy::disallowed_methods,
    reason = "tasks that block their OS thread"
)]
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[path = "support/refusal.rs"]
mod refusal;
mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use green_core::event::Event;
use green_core::pool::Refused;
use green_core::threadpool::ThreadPool;
use green_core::{Config, Failure, no_park, run, spawn, timeout, yield_now};
use support::eventually;

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

fn on(hubs: usize, f: fn()) {
    Config::new().hubs(hubs).apply().ok();
    run(f);
}

/// Each of these holds on any number of hubs, and on an OS thread.
macro_rules! everywhere {
    ($($name:ident)*) => {
        mod on_one_hub {
            $(#[test] fn $name() { super::on(1, super::$name); })*
        }
        mod on_two_hubs {
            $(#[test] fn $name() { super::on(2, super::$name); })*
        }
        mod on_eight_hubs {
            $(#[test] fn $name() { super::on(8, super::$name); })*
        }
        mod on_an_os_thread {
            $(#[test] fn $name() { super::$name(); })*
        }
    };
}

everywhere! {
    thp_01_there_are_at_most_so_many_os_threads
    thp_02_spawn_begins_though_the_caller_does_not_wait
    thp_02_spawn_waits_while_one_too_many_is_unfinished
    thp_03_apply_returns_the_value_or_the_failure
    thp_03_apply_on_an_os_thread_of_the_pool_runs_there
    thp_03_apply_async_does_not_wait
    thp_03_map_and_imap
    thp_04_a_pool_without_os_threads_waits_until_there_are_some
    thp_04_fewer_os_threads
    thp_04_join_waits_for_all_tasks
    thp_04_kill_drops_what_has_not_begun
    thp_04_the_last_handle_leaves_the_queue_to_the_os_threads
    thp_05_who_gives_up_leaves_the_task_alone
    thp_06_a_panic_is_the_handles_failure
    a_task_for_which_there_is_no_os_thread_is_refused_and_never_done
    os_threads_that_are_refused_when_there_may_be_more_change_nothing
    a_value_that_nobody_wants_is_dropped_on_an_os_thread_of_the_pool
    what_a_killed_pool_has_not_begun_is_dropped_on_an_os_thread
    the_last_handle_drops_what_no_os_thread_will_do
}

/// An event, and a task that waits for it.
fn gate() -> (Arc<Event>, impl FnOnce() + Send + 'static) {
    let gate = Arc::new(Event::new());
    let theirs = Arc::clone(&gate);
    (gate, move || theirs.wait())
}

fn thp_01_there_are_at_most_so_many_os_threads() {
    let pool = ThreadPool::new(2);
    assert_eq!((pool.maxsize(), pool.size(), pool.len()), (2, 0, 0));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let theirs = Arc::clone(&most);
    let ids = pool.map(0..20, move |_| {
        theirs.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(1));
        now.fetch_sub(1, Ordering::SeqCst);
        thread::current().id()
    });
    let ids: HashSet<_> = ids.unwrap().into_iter().collect();
    assert!(ids.len() <= 2 && !ids.contains(&thread::current().id()));
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert!(pool.size() <= 2);
}

fn thp_02_spawn_begins_though_the_caller_does_not_wait() {
    let pool = ThreadPool::new(1);
    let ran = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&ran);
    let task = no_park(|| pool.spawn(move || theirs.store(true, Ordering::SeqCst)));
    while !ran.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_micros(100));
    }
    task.get().unwrap();
}

fn thp_02_spawn_waits_while_one_too_many_is_unfinished() {
    let pool = ThreadPool::new(1);
    let (open, wait) = gate();
    let running = pool.spawn(wait);
    let queued = pool.spawn(|| 1);
    assert!(pool.is_full());
    let refused = pool.try_spawn(|| 7).unwrap_err();
    assert!(matches!(refused, Refused::Full(_)));
    assert_eq!(refused.into_inner()(), 7);
    assert!(matches!(
        pool.spawn_timeout(SHORT, || ()),
        Err(Refused::Full(_))
    ));
    assert!(timeout(SHORT, || pool.spawn(|| ())).is_err());
    let theirs = pool.clone();
    let spawner = spawn(move || theirs.spawn(|| 2).get());
    assert!(!spawner.join_timeout(SHORT));
    open.set();
    assert_eq!(spawner.get().unwrap().unwrap(), 2);
    assert_eq!(queued.get().unwrap(), 1);
    pool.join();
    assert!(running.successful());
    assert!(pool.is_empty() && !pool.is_full());
}

fn thp_03_apply_returns_the_value_or_the_failure() {
    let pool = ThreadPool::new(1);
    assert_eq!(pool.apply(|| 7).unwrap(), 7);
    let failure = pool.apply(|| panic!("in vain")).unwrap_err();
    assert!(matches!(failure, Failure::Panicked(panic) if panic.message() == "in vain"));
    assert_eq!(pool.apply(|| 8).unwrap(), 8);
}

fn thp_03_apply_on_an_os_thread_of_the_pool_runs_there() {
    let (pool, other) = (ThreadPool::new(1), ThreadPool::new(1));
    let theirs = pool.clone();
    let ids = pool.apply(move || {
        let own = thread::current().id();
        let elsewhere = other.apply(|| thread::current().id()).unwrap();
        (
            own,
            theirs.apply(|| thread::current().id()).unwrap(),
            elsewhere,
        )
    });
    let (own, inner, elsewhere) = ids.unwrap();
    assert_eq!(own, inner);
    assert_ne!(own, elsewhere);
}

fn thp_03_apply_async_does_not_wait() {
    let pool = ThreadPool::new(1);
    let (open, wait) = gate();
    pool.spawn(wait);
    pool.spawn(|| ());
    let later = no_park(|| pool.apply_async(|| 7));
    let failing = pool.apply_async(|| panic!("in vain"));
    assert!(!later.join_timeout(SHORT));
    open.set();
    assert_eq!(later.get().unwrap(), 7);
    assert!(matches!(failing.get(), Err(Failure::Panicked(_))));
}

fn thp_03_map_and_imap() {
    let pool = ThreadPool::new(3);
    let double = |n: usize| {
        if n.is_multiple_of(4) {
            thread::sleep(Duration::from_micros(100));
        }
        assert!(n != 7, "seven");
        n * 2
    };
    assert!(
        pool.map(0..7, double)
            .unwrap()
            .into_iter()
            .eq((0..7).map(|n| n * 2))
    );
    assert!(pool.map(0..10, double).is_err());
    assert_eq!(
        pool.map_async(0..3, double).get().unwrap().unwrap(),
        [0, 2, 4]
    );
    let results: Vec<_> = pool.imap(0..10, double).map(Result::ok).collect();
    assert_eq!(results.len(), 10);
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result, (n != 7).then_some(n * 2));
    }
    let mut values: Vec<_> = pool
        .imap_unordered(0..10, double)
        .filter_map(Result::ok)
        .collect();
    values.sort_unstable();
    assert_eq!(values, [0, 2, 4, 6, 8, 10, 12, 16, 18]);
    assert_eq!(pool.imap_maxsize(1, 0..5, double).count(), 5);
    assert_eq!(pool.imap_unordered_maxsize(2, 0..5, double).count(), 5);
    drop(pool.imap(0..1_000_000, double));
    pool.join();
}

fn thp_04_a_pool_without_os_threads_waits_until_there_are_some() {
    let pool = ThreadPool::new(0);
    let task = pool.spawn(|| 7);
    let theirs = pool.clone();
    let spawner = spawn(move || theirs.spawn(|| 8).get());
    assert!(!task.join_timeout(SHORT) && !spawner.ready());
    assert_eq!((pool.size(), pool.len()), (0, 1));
    pool.set_maxsize(2);
    assert_eq!(task.get().unwrap(), 7);
    assert_eq!(spawner.get().unwrap().unwrap(), 8);
    assert_eq!(pool.maxsize(), 2);
}

fn thp_04_fewer_os_threads() {
    let pool = ThreadPool::new(3);
    let gates: Vec<_> = (0..3)
        .map(|_| {
            let (open, wait) = gate();
            pool.spawn(wait);
            open
        })
        .collect();
    assert_eq!(pool.size(), 3);
    pool.set_maxsize(1);
    assert!(pool.is_full());
    gates.iter().for_each(|open| open.set());
    eventually("two have ended", || pool.size() == 1);
    assert_eq!(pool.apply(|| 7).unwrap(), 7);
    pool.set_maxsize(0);
    eventually("the last has ended", || pool.size() == 0);
    let task = pool.spawn(|| 8);
    pool.set_maxsize(1);
    assert_eq!(task.get().unwrap(), 8);
}

fn thp_04_join_waits_for_all_tasks() {
    let pool = ThreadPool::new(2);
    no_park(|| pool.join());
    let (open, wait) = gate();
    let tasks = [pool.spawn(wait), pool.spawn(|| ()), pool.spawn(|| ())];
    assert!(!pool.join_timeout(SHORT));
    open.set();
    pool.join();
    assert!(tasks.iter().all(|task| task.ready() && task.successful()));
}

fn thp_04_kill_drops_what_has_not_begun() {
    let pool = ThreadPool::new(1);
    let (open, wait) = gate();
    let begun = Arc::new(Event::new());
    let signal = Arc::clone(&begun);
    let running = pool.spawn(move || {
        signal.set();
        wait();
        7
    });
    begun.wait();
    let dropped = pool.spawn(|| 8);
    let theirs = pool.clone();
    let waiting = spawn(move || theirs.spawn(|| 9).get());
    let theirs = pool.clone();
    let applying = spawn(move || theirs.apply(|| 10).map_err(|_| ()));
    assert!(!waiting.join_timeout(SHORT) && !applying.ready());
    assert!(!pool.kill_timeout(SHORT));
    assert!(matches!(dropped.get(), Err(Failure::Killed)));
    assert!(matches!(waiting.get().unwrap(), Err(Failure::Killed)));
    assert_eq!(applying.get().unwrap(), Err(()));
    assert!(!running.ready());
    open.set();
    pool.kill();
    assert_eq!(running.get().unwrap(), 7);
    assert!(matches!(pool.spawn(|| ()).get(), Err(Failure::Killed)));
    assert!(matches!(pool.apply(|| ()), Err(Failure::Killed)));
    assert!(matches!(pool.try_spawn(|| ()), Err(Refused::Closed(_))));
    assert!(matches!(
        pool.imap(0.., |n| n).next(),
        Some(Err(Failure::Killed))
    ));
    eventually("the OS thread has ended", || pool.size() == 0);
}

fn thp_04_the_last_handle_leaves_the_queue_to_the_os_threads() {
    let pool = ThreadPool::new(1);
    let (open, wait) = gate();
    pool.spawn(wait);
    let queued = pool.spawn(|| 7);
    drop(pool);
    open.set();
    assert_eq!(queued.get().unwrap(), 7);
}

fn thp_05_who_gives_up_leaves_the_task_alone() {
    let pool = ThreadPool::new(1);
    let (open, wait) = gate();
    let done = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&done);
    let task = pool.spawn(move || {
        wait();
        theirs.store(true, Ordering::SeqCst);
    });
    task.kill();
    assert!(matches!(task.get(), Err(Failure::Killed)));
    assert!(timeout(SHORT, || pool.apply(|| ())).is_err());
    let theirs = pool.clone();
    let killed = spawn(move || theirs.apply(|| ()).is_ok());
    yield_now();
    killed.kill();
    assert_eq!(pool.len(), 2);
    assert!(!pool.join_timeout(SHORT) && !done.load(Ordering::SeqCst));
    open.set();
    assert!(pool.join_timeout(EVER));
    assert!(done.load(Ordering::SeqCst));
}

fn thp_06_a_panic_is_the_handles_failure() {
    let pool = ThreadPool::new(1);
    let task = pool.spawn(|| panic!("in vain"));
    for _ in 0..2 {
        let failure = task.get().unwrap_err();
        assert!(matches!(failure, Failure::Panicked(panic) if panic.message() == "in vain"));
    }
    assert_eq!(pool.apply(|| 7).unwrap(), 7);
}

/// Whether `f` panics for want of an OS thread.
fn is_refused<R>(f: impl FnOnce() -> R) -> bool {
    let panicked = catch_unwind(AssertUnwindSafe(f)).err();
    panicked.is_some_and(|payload| {
        let message = payload.downcast_ref::<String>();
        message.is_some_and(|message| message.contains("cannot start an OS thread"))
    })
}

fn a_task_for_which_there_is_no_os_thread_is_refused_and_never_done() {
    let pool = ThreadPool::new(1);
    let done = Arc::new(AtomicUsize::new(0));
    let count = || {
        let done = Arc::clone(&done);
        move || done.fetch_add(1, Ordering::SeqCst)
    };
    refusal::without_os_threads(|| {
        assert!(is_refused(|| pool.spawn(count())));
        assert!(is_refused(|| pool.try_spawn(count()).is_ok()));
        assert!(is_refused(|| pool.apply(count())));
        assert!(is_refused(|| pool.apply_async(count())));
    });
    assert_eq!((pool.len(), pool.size()), (0, 0));
    assert_eq!(refusal::os_threads("green-pool"), 0);
    assert_eq!(pool.apply(count()).unwrap(), 0);
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

fn os_threads_that_are_refused_when_there_may_be_more_change_nothing() {
    let pool = ThreadPool::new(0);
    let task = pool.spawn(|| 7);
    refusal::without_os_threads(|| assert!(is_refused(|| pool.set_maxsize(1))));
    assert_eq!((pool.maxsize(), pool.size(), pool.len()), (0, 0, 1));
    assert!(pool.is_full() && !task.ready());
    pool.set_maxsize(1);
    assert_eq!(task.get().unwrap(), 7);
}

/// Panics when it is dropped, and tells where.
struct Noisy(Arc<std::sync::OnceLock<String>>);

impl Drop for Noisy {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        self.0.set(name).ok();
        panic!("a destructor");
    }
}

fn a_value_that_nobody_wants_is_dropped_on_an_os_thread_of_the_pool() {
    let pool = ThreadPool::new(1);
    let dropped = Arc::new(std::sync::OnceLock::new());
    let (open, wait) = gate();
    let place = Arc::clone(&dropped);
    let task = pool.spawn(move || {
        wait();
        Noisy(place)
    });
    task.kill();
    open.set();
    eventually("it is dropped", || dropped.get().is_some());
    assert_eq!(dropped.get().unwrap(), "green-pool");
    assert_eq!(pool.apply(|| 7).unwrap(), 7);
    assert_eq!(pool.size(), 1);
}

fn what_a_killed_pool_has_not_begun_is_dropped_on_an_os_thread() {
    let pool = ThreadPool::new(1);
    let (open, wait) = gate();
    pool.spawn(wait);
    let dropped = Arc::new(std::sync::OnceLock::new());
    let noisy = Noisy(Arc::clone(&dropped));
    let task = pool.spawn(move || drop(noisy));
    pool.kill_nowait();
    assert!(matches!(task.get(), Err(Failure::Killed)));
    eventually("it is dropped", || dropped.get().is_some());
    assert_eq!(dropped.get().unwrap(), "green-apart");
    open.set();
    pool.join();
}

fn the_last_handle_drops_what_no_os_thread_will_do() {
    let pool = ThreadPool::new(0);
    let task = pool.spawn(|| 7);
    drop(pool);
    assert!(matches!(task.get(), Err(Failure::Killed)));
}
