//! `event`, row by row of gevent's: EVT-01 to EVT-10, and the rules of kills and timeouts that reach it.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(clippy::unwrap_used, reason = "the functions are the bodies of tests")]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;

use std::sync::Arc;
use std::time::Duration;

use green_core::event::{AsyncResult, Event};
use green_core::queue::Queue;
use green_core::{Elapsed, Failure, Greenlet, joinall, sleep, spawn, timeout, yield_now};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

on_hubs!(
    one_hub,
    1,
    [
        evt_01_set_releases_in_order_and_the_setter_runs_on,
        evt_02_whoever_waits_again_after_clear_is_not_released,
        evt_03_a_wait_behind_a_notification_is_served_behind_it,
        evt_03_a_set_event_is_no_switch,
        evt_04_ready_is_is_set,
        evt_05_set_wakes_all_in_order,
        rule_08_set_before_kill_is_seen_first,
        rule_08_kill_before_set_goes_first,
    ]
);

on_hubs!(
    two_hubs,
    2,
    [
        evt_03_own_timeout_is_false_and_a_scope_goes_through,
        evt_05_it_is_set_once,
        evt_06_get_by_many,
        evt_06_not_ready_and_timeout,
        evt_07_wait,
        evt_08_what_is_known_of_it,
        evt_09_it_is_a_link,
        evt_10_set_from_an_os_thread,
        rule_26_a_scope_ends_every_wait,
    ]
);

on_hubs!(
    eight_hubs,
    8,
    [
        evt_02_everyone_is_released_wherever_it_runs,
        evt_05_it_is_set_once,
        evt_06_get_by_many,
        evt_10_set_from_an_os_thread,
    ]
);

/// What an OS thread returns; the hub goes on meanwhile.
fn joined<T: Send + 'static>(os_thread: std::thread::JoinHandle<T>) -> T {
    green_core::blocking(|| os_thread.join().unwrap())
}

/// Green threads that wait for the event, and log their number when they are released.
fn waiters(
    event: &Arc<Event>,
    log: &Queue<u32>,
    numbers: std::ops::Range<u32>,
) -> Vec<Greenlet<()>> {
    let waiter = |n| {
        let (event, log) = (Arc::clone(event), log.clone());
        spawn(move || {
            event.wait();
            log.put(n).unwrap();
        })
    };
    let waiters = numbers.map(waiter).collect();
    yield_now();
    waiters
}

fn logged(log: &Queue<u32>) -> Vec<u32> {
    std::iter::from_fn(|| log.try_get().ok()).collect()
}

fn evt_01_set_releases_in_order_and_the_setter_runs_on() {
    let (event, log) = (Arc::new(Event::new()), Queue::unbounded());
    let waiters = waiters(&event, &log, 0..5);
    event.set();
    log.put(100).unwrap();
    joinall(&waiters);
    assert_eq!(logged(&log), [100, 0, 1, 2, 3, 4]);
}

fn evt_02_whoever_waits_again_after_clear_is_not_released() {
    let (event, log) = (Arc::new(Event::new()), Queue::unbounded());
    let (theirs, their_log) = (Arc::clone(&event), log.clone());
    let twice = spawn(move || {
        for n in 0..2 {
            theirs.wait();
            their_log.put(n).unwrap();
        }
    });
    yield_now();
    event.set();
    event.clear();
    yield_now();
    yield_now();
    assert!(!event.is_set() && !twice.ready());
    assert_eq!(logged(&log), [0]);
    event.set();
    twice.join();
}

fn evt_02_everyone_is_released_wherever_it_runs() {
    let event = Arc::new(Event::new());
    let arrived = Arc::new(green_core::lock::Semaphore::new(0));
    let waiters: Vec<_> = (0..400)
        .map(|_| {
            let (event, arrived) = (Arc::clone(&event), Arc::clone(&arrived));
            spawn(move || {
                arrived.release();
                event.wait_timeout(LONG)
            })
        })
        .collect();
    (0..400).for_each(|_| arrived.acquire().forget());
    event.set();
    joinall(&waiters);
    assert!(waiters.iter().all(|waiter| waiter.get().unwrap()));
}

fn evt_03_a_wait_behind_a_notification_is_served_behind_it() {
    let (event, log) = (Arc::new(Event::new()), Queue::unbounded());
    let early = waiters(&event, &log, 1..3);
    event.set();
    event.wait();
    log.put(3).unwrap();
    assert_eq!(logged(&log), [1, 2, 3]);
    joinall(&early);
}

fn evt_03_a_set_event_is_no_switch() {
    let (event, log) = (Event::new(), Queue::unbounded());
    event.set();
    let theirs = log.clone();
    let neighbour = spawn(move || theirs.put(1).unwrap());
    event.wait();
    assert!(event.wait_timeout(Duration::ZERO));
    log.put(0).unwrap();
    neighbour.join();
    assert_eq!(logged(&log), [0, 1]);
}

fn evt_03_own_timeout_is_false_and_a_scope_goes_through() {
    let event = Event::new();
    assert!(!event.wait_timeout(SHORT));
    let limited: Result<bool, Elapsed> = timeout(SHORT, || event.wait_timeout(LONG));
    assert_eq!(limited.unwrap_err().limit(), SHORT);
    assert!(timeout(LONG, || !event.wait_timeout(SHORT)).unwrap());
}

fn evt_04_ready_is_is_set() {
    let event = Event::new();
    assert!(!event.ready() && !event.is_set());
    event.set();
    assert!(event.ready() && event.is_set());
}

fn evt_05_set_wakes_all_in_order() {
    let (result, log) = (Arc::new(AsyncResult::new()), Queue::unbounded());
    let getters: Vec<_> = (0..50)
        .map(|n| {
            let (result, log) = (Arc::clone(&result), log.clone());
            spawn(move || {
                assert_eq!(result.get().unwrap(), "value");
                log.put(n).unwrap();
            })
        })
        .collect();
    yield_now();
    result.set("value").unwrap();
    assert!(log.is_empty(), "the setter runs on");
    joinall(&getters);
    assert!(logged(&log).into_iter().eq(0..50));
}

fn evt_05_it_is_set_once() {
    let result = AsyncResult::new();
    result.set(1).unwrap();
    assert_eq!(result.set(2).unwrap_err().into_inner(), 2);
    let back = result.set_exception("late").unwrap_err();
    assert_eq!(back.to_string(), "the result is set already");
    assert_eq!(back.into_inner().to_string(), "late");
    assert_eq!(result.get().unwrap(), 1);
    let racing = Arc::new(AsyncResult::new());
    let setters: Vec<_> = (0..40)
        .map(|n| {
            let racing = Arc::clone(&racing);
            spawn(move || racing.set(n).is_ok())
        })
        .collect();
    let first = racing.get().unwrap();
    joinall(&setters);
    let winners = setters.iter().filter(|setter| setter.get().unwrap());
    assert_eq!(winners.count(), 1);
    assert!(setters[first].get().unwrap());
}

fn evt_06_get_by_many() {
    let result = Arc::new(AsyncResult::new());
    let getters: Vec<_> = (0..100)
        .map(|_| {
            let result = Arc::clone(&result);
            spawn(move || result.get().unwrap_err().to_string())
        })
        .collect();
    result
        .set_exception(std::io::Error::other("broken"))
        .unwrap();
    joinall(&getters);
    assert!(
        getters
            .iter()
            .all(|getter| getter.get().unwrap() == "broken")
    );
    assert!(matches!(result.get(), Err(Failure::Raised(_))));
    result.set(()).unwrap_err();
}

fn evt_06_not_ready_and_timeout() {
    let result = AsyncResult::<u32>::new();
    assert!(result.try_get().is_none());
    match result.get_timeout(SHORT) {
        Err(Failure::TimedOut(elapsed)) => assert_eq!(elapsed.limit(), SHORT),
        other => panic!("{other:?}"),
    }
    result.set(5).unwrap();
    assert_eq!(result.get_timeout(Duration::ZERO).unwrap(), 5);
    assert_eq!(result.try_get().unwrap().unwrap(), 5);
}

fn evt_07_wait() {
    let result = AsyncResult::new();
    assert!(!result.wait_timeout(SHORT));
    result.set("there").unwrap();
    assert!(result.wait_timeout(Duration::ZERO));
    assert_eq!(result.wait().ok(), Some(&"there"));
    assert_eq!(result.into_inner().unwrap().unwrap(), "there");
}

fn evt_08_what_is_known_of_it() {
    let result = AsyncResult::<u32>::default();
    assert!(!result.ready() && !result.successful() && result.peek().is_none());
    assert!(result.value().is_none() && result.exception().is_none());
    assert_eq!(format!("{result:?}"), "AsyncResult { result: None, .. }");
    result.set_exception("no").unwrap();
    assert!(result.ready() && !result.successful() && result.value().is_none());
    assert_eq!(result.exception().unwrap().to_string(), "no");
}

fn evt_09_it_is_a_link() {
    let done = AsyncResult::new();
    done.set_from(&spawn(|| {
        sleep(SHORT);
        "done"
    }))
    .unwrap();
    assert_eq!(done.value(), Some(&"done"));
    let failed = AsyncResult::<u32>::new();
    failed.set_from(&spawn(|| panic!("on purpose"))).unwrap();
    assert!(
        matches!(failed.exception(), Some(Failure::Panicked(panic)) if panic.message() == "on purpose")
    );
    let killed = AsyncResult::new();
    let victim = spawn(|| sleep(LONG));
    victim.kill();
    killed.set_from(&victim).unwrap();
    assert!(killed.successful() && killed.exception().is_none());
    assert!(matches!(killed.get(), Err(Failure::Killed)));
}

fn evt_10_set_from_an_os_thread() {
    let (event, result) = (Arc::new(Event::new()), Arc::new(AsyncResult::new()));
    let theirs = (Arc::clone(&event), Arc::clone(&result));
    let os_thread = std::thread::spawn(move || {
        theirs.0.wait();
        theirs.1.set(7).unwrap();
    });
    event.set();
    assert_eq!(result.get().unwrap(), 7);
    joined(os_thread);
}

fn rule_08_set_before_kill_is_seen_first() {
    let (event, log) = (Arc::new(Event::new()), Queue::unbounded());
    let (theirs, their_log) = (Arc::clone(&event), log.clone());
    let victim = spawn(move || {
        theirs.wait();
        their_log.put(1).unwrap();
        sleep(LONG);
        their_log.put(2).unwrap();
    });
    yield_now();
    event.set();
    victim.kill();
    assert_eq!(logged(&log), [1]);
    assert!(matches!(victim.get(), Err(Failure::Killed)));
}

fn rule_08_kill_before_set_goes_first() {
    let (event, log) = (Arc::new(Event::new()), Queue::unbounded());
    let victims = waiters(&event, &log, 0..1);
    victims[0].kill_nowait();
    event.set();
    victims[0].join();
    assert!(log.is_empty() && matches!(victims[0].get(), Err(Failure::Killed)));
}

fn rule_26_a_scope_ends_every_wait() {
    let result = AsyncResult::<u32>::new();
    assert!(timeout(SHORT, || result.get_timeout(LONG)).is_err());
    assert!(timeout(SHORT, || result.wait_timeout(LONG)).is_err());
    assert!(timeout(SHORT, || result.wait().is_ok()).is_err());
    assert!(!result.ready());
}
