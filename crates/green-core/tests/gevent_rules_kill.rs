//! The subtle rules of kills, by gevent's number: 1 to 7 and 10 to 15. (8 and 9 are with events, locks and queues.)
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::pool::Group;
use green_core::sync::{Mutex, RwLock};
use green_core::threadpool::ThreadPool;
use green_core::{
    Failure, Greenlet, getcurrent, joinall_raise, killall, killall_timeout, sleep, spawn,
    spawn_later, stats, yield_now,
};
use support::eventually;

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
    rule_02_killed_before_its_time_it_never_runs_and_its_timer_goes
    rule_03_to_be_killed_is_no_failure
    rule_04_each_kill_with_a_limit_says_whether_they_died
    rule_05_the_limit_of_a_kill_runs_from_the_call
    rule_06_a_kill_without_a_limit_waits_for_one_that_catches_it
    rule_07_each_kill_is_delivered_but_a_group_asks_once
    rule_10_killing_oneself_raises_at_the_call
    rule_10_asking_oneself_raises_at_the_next_wait
    rule_11_who_waits_for_the_threadpool_dies_at_once
    rule_12_cleaning_up_may_block_and_return_a_value
    rule_15_a_kill_poisons_nothing_and_gives_everything_back
}

on_hubs!(
    in_order,
    1,
    [
        rule_01_killed_before_its_first_run_it_never_runs,
        rule_13_the_kill_of_one_that_has_ended_is_no_switch,
        rule_14_killall_cancels_all_that_have_not_started_first,
    ]
);

/// Waits for `gate`, whatever interrupts it; how often something did.
fn insist(gate: &Event) -> usize {
    let mut interrupts = 0;
    while catch_unwind(AssertUnwindSafe(|| gate.wait())).is_err() {
        interrupts += 1;
    }
    interrupts
}

/// A green thread that survives every kill until the gate opens, and runs already.
fn stubborn(gate: &Arc<Event>) -> Greenlet<usize> {
    let (gate, runs) = (Arc::clone(gate), Arc::new(Event::new()));
    let theirs = Arc::clone(&runs);
    let g = spawn(move || {
        theirs.set();
        insist(&gate)
    });
    runs.wait();
    g
}

fn rule_01_killed_before_its_first_run_it_never_runs() {
    let (ran, linked) = (Arc::new(AtomicBool::new(false)), Arc::new(Event::new()));
    let (theirs, fires) = (Arc::clone(&ran), Arc::clone(&linked));
    let g = spawn(move || theirs.store(true, Ordering::SeqCst));
    g.link(move |_| fires.set());
    g.kill();
    assert!(g.dead() && g.ready() && g.successful());
    assert!(matches!(g.get(), Err(Failure::Killed)));
    linked.wait();
    g.start();
    g.join();
    assert!(!ran.load(Ordering::SeqCst));
}

fn rule_02_killed_before_its_time_it_never_runs_and_its_timer_goes() {
    let timers = stats().timers;
    let g = spawn_later(EVER, || unreachable!("it was killed"));
    assert!(g.started() && !g.ready());
    g.kill();
    assert!(g.ready() && g.successful());
    eventually("its timer is gone", || stats().timers <= timers);
}

fn rule_03_to_be_killed_is_no_failure() {
    let fired = Arc::new(Semaphore::new(0));
    let g = spawn(|| sleep(EVER));
    let theirs = Arc::clone(&fired);
    g.link_value(move |_| theirs.release());
    g.link_exception(|_| unreachable!("it did not fail"));
    g.kill();
    fired.acquire().forget();
    assert!(g.successful() && g.exception().is_none());
    assert!(matches!(g.get(), Err(Failure::Killed)));
    assert_eq!(joinall_raise([&g]).unwrap().len(), 1);
    // Whatever else ends it is one.
    let g = spawn(|| panic!("expected"));
    g.join();
    assert!(!g.successful() && g.exception().is_some());
    assert!(joinall_raise([&g]).is_err());
}

fn rule_04_each_kill_with_a_limit_says_whether_they_died() {
    let gate = Arc::new(Event::new());
    let (g, group) = (stubborn(&gate), Group::new());
    group.add(&g).unwrap();
    assert!(!g.kill_timeout(SHORT));
    assert!(!killall_timeout([&g], SHORT));
    assert!(!group.kill_timeout(SHORT));
    assert!(!g.ready());
    gate.set();
    assert!(g.kill_timeout(EVER));
    assert!(killall_timeout([&g], EVER));
    assert!(group.kill_timeout(EVER));
}

fn rule_05_the_limit_of_a_kill_runs_from_the_call() {
    let gate = Arc::new(Event::new());
    let g = stubborn(&gate);
    let start = Instant::now();
    assert!(!g.kill_timeout(SHORT));
    assert!(start.elapsed() >= SHORT);
    gate.set();
    assert!(g.get().unwrap() >= 1, "it was delivered, too");
}

fn rule_06_a_kill_without_a_limit_waits_for_one_that_catches_it() {
    let gate = Arc::new(Event::new());
    let g = stubborn(&gate);
    let theirs = g.clone();
    let killer = spawn(move || theirs.kill());
    assert!(!killer.join_timeout(SHORT));
    gate.set();
    killer.join();
    assert!(g.successful());
}

fn rule_07_each_kill_is_delivered_but_a_group_asks_once() {
    let gate = Arc::new(Event::new());
    let g = stubborn(&gate);
    for _ in 0..3 {
        assert!(!g.kill_timeout(SHORT));
    }
    gate.set();
    assert_eq!(g.get().unwrap(), 3);

    let gate = Arc::new(Event::new());
    let (g, group) = (stubborn(&gate), Group::new());
    group.add(&g).unwrap();
    for _ in 0..3 {
        assert!(!group.kill_timeout(SHORT));
        assert!(!group.killone_timeout(&g, SHORT));
    }
    gate.set();
    assert_eq!(g.get().unwrap(), 1);
}

/// The handle of the caller, of which `slot` gets to know.
fn me(slot: &Mutex<Option<Greenlet<()>>>) -> Greenlet<()> {
    slot.lock().unwrap().clone().expect("it is there")
}

/// A green thread that knows its own handle.
fn knows_itself(f: impl FnOnce(Greenlet<()>) + Send + 'static) -> Greenlet<()> {
    let slot = Arc::new(Mutex::new(None));
    let (theirs, goes) = (Arc::clone(&slot), Arc::new(Event::new()));
    let gate = Arc::clone(&goes);
    let g = spawn(move || {
        gate.wait();
        f(me(&theirs));
    });
    *slot.lock().unwrap() = Some(g.clone());
    goes.set();
    g
}

fn rule_10_killing_oneself_raises_at_the_call() {
    let g = knows_itself(|me| {
        assert_eq!(getcurrent().unwrap().id(), me.id());
        me.kill();
        unreachable!("it raises");
    });
    assert!(matches!(g.get(), Err(Failure::Killed)));
}

fn rule_10_asking_oneself_raises_at_the_next_wait() {
    let reached = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&reached);
    let g = knows_itself(move |me| {
        me.kill_nowait();
        theirs.store(true, Ordering::SeqCst);
        sleep(SHORT);
        unreachable!("it raises");
    });
    assert!(matches!(g.get(), Err(Failure::Killed)));
    assert!(reached.load(Ordering::SeqCst));
}

fn rule_11_who_waits_for_the_threadpool_dies_at_once() {
    let (pool, gate) = (ThreadPool::new(1), Arc::new(Event::new()));
    let (began, done) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = [&gate, &began, &done].map(Arc::clone);
    let tasks = pool.clone();
    let g = spawn(move || {
        let [gate, began, done] = theirs;
        let task = move || {
            began.set();
            gate.wait();
            done.set();
        };
        tasks.apply(task).ok();
    });
    began.wait();
    g.kill();
    assert!(matches!(g.get(), Err(Failure::Killed)) && !done.is_set());
    gate.set();
    done.wait();
    pool.kill();
}

fn rule_12_cleaning_up_may_block_and_return_a_value() {
    let begun = Arc::new(Event::new());
    let theirs = Arc::clone(&begun);
    let g = spawn(move || {
        theirs.set();
        let killed = catch_unwind(|| sleep(EVER)).is_err();
        sleep(Duration::from_millis(1));
        spawn(yield_now).join();
        killed
    });
    begun.wait();
    g.kill();
    assert!(g.successful());
    assert!(g.get().unwrap(), "it returned after it was killed");
}

fn rule_13_the_kill_of_one_that_has_ended_is_no_switch() {
    let g = spawn(|| 7);
    g.join();
    let ran = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&ran);
    let other = spawn(move || theirs.store(true, Ordering::SeqCst));
    g.kill();
    assert!(!ran.load(Ordering::SeqCst), "nobody else has run meanwhile");
    assert_eq!(g.get().unwrap(), 7);
    other.join();
}

fn rule_14_killall_cancels_all_that_have_not_started_first() {
    let started = Arc::new(AtomicUsize::new(0));
    let parked = Greenlet::new(|| {
        catch_unwind(|| sleep(EVER)).ok();
        // A chance for those who have not started.
        yield_now();
    });
    parked.start();
    yield_now();
    let mut all = vec![parked];
    for _ in 0..3 {
        let theirs = Arc::clone(&started);
        all.push(spawn(move || _ = theirs.fetch_add(1, Ordering::SeqCst)));
    }
    killall(&all);
    assert!(all.iter().all(|g| g.ready() && g.successful()));
    assert_eq!(started.load(Ordering::SeqCst), 0);
}

fn rule_15_a_kill_poisons_nothing_and_gives_everything_back() {
    let all = Arc::new((Mutex::new(1), RwLock::new(2), Semaphore::new(1)));
    let (theirs, holds) = (Arc::clone(&all), Arc::new(Event::new()));
    let begins = Arc::clone(&holds);
    let g = spawn(move || {
        let (mutex, lock, semaphore) = &*theirs;
        let _mutex = mutex.lock().unwrap();
        let _lock = lock.write().unwrap();
        let _permit = semaphore.acquire();
        begins.set();
        sleep(EVER);
    });
    holds.wait();
    let (mutex, lock, semaphore) = &*all;
    assert!(mutex.try_lock().is_err());
    g.kill();
    assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (1, 2));
    assert_eq!(semaphore.available(), 1);
    assert!(!mutex.is_poisoned() && !lock.is_poisoned());
}
