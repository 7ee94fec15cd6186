//! `wait`, `iwait` and `joinall` (gevent's TOP-09 to TOP-12).

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{
    Config, Failure, Greenlet, JoinAll, Waitable, iwait, joinall, joinall_raise, joinall_timeout,
    killall, killall_nowait, killall_timeout, run, sleep, spawn, spawn_later, timeout, wait,
    wait_count, wait_timeout, yield_now,
};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);

fn on<T: Send + 'static>(hubs: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(hubs).apply().ok();
    run(f)
}

fn parked() -> Greenlet<u32> {
    spawn(|| {
        sleep(Duration::MAX);
        0
    })
}

/// An event for each of `n` green threads that returns its number once it is set.
fn gated(n: usize) -> (Arc<Vec<Event>>, Vec<Greenlet<usize>>) {
    let gates: Arc<Vec<Event>> = Arc::new((0..n).map(|_| Event::new()).collect());
    let all = (0..n)
        .map(|n| {
            let gates = Arc::clone(&gates);
            spawn(move || {
                gates[n].wait();
                n
            })
        })
        .collect();
    (gates, all)
}

#[test]
fn top_09_killall_takes_any_iterable_duplicates_and_none() {
    on(1, || {
        killall::<(), Greenlet<()>>([]);
        let all = [parked(), parked()];
        yield_now();
        killall([&all[0], &all[1], &all[0]]);
        assert!(all.iter().all(|g| g.ready() && g.successful()));
        killall(all);
    });
}

#[test]
fn top_09_killall_nowait_returns_at_once() {
    on(1, || {
        let started = parked();
        yield_now();
        let unstarted = parked();
        killall_nowait([&started, &unstarted]);
        assert!(unstarted.ready(), "it had not started");
        assert!(!started.ready(), "the caller has not waited");
        yield_now();
        assert!(started.ready());
    });
}

#[test]
fn top_09_killall_timeout_leaves_those_that_do_not_die() {
    on(1, || {
        let end = Arc::new(Event::new());
        let theirs = Arc::clone(&end);
        let stubborn = spawn(move || {
            while !theirs.is_set() {
                drop(catch_unwind(AssertUnwindSafe(|| theirs.wait())));
            }
        });
        yield_now();
        assert!(!killall_timeout([&stubborn], SHORT));
        assert!(!stubborn.ready());
        end.set();
        stubborn.join();
    });
}

#[test]
fn top_10_joinall_is_in_order_of_the_ends() {
    on(1, || {
        let (gates, all) = gated(3);
        yield_now();
        for n in [2, 0, 1] {
            gates[n].set();
            yield_now();
        }
        let order = |ended: Vec<Greenlet<usize>>| -> Vec<usize> {
            ended.iter().map(|g| g.get().unwrap()).collect()
        };
        assert_eq!(order(joinall(&all)), [2, 0, 1]);
        assert_eq!(order(joinall([&all[0], &all[0]])), [0, 0], "duplicates");
    });
}

#[test]
fn top_10_joinall_timeout_returns_a_subset_and_failed_ones_too() {
    on(2, || {
        let stuck = parked();
        let fails: Greenlet<u32> = spawn(|| panic!("expected"));
        fails.join();
        let ended = joinall_timeout([&stuck, &fails], SHORT);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].id(), fails.id());
        assert!(joinall_timeout([&stuck], Duration::ZERO).is_empty());
        assert!(fails.get().is_err());
        stuck.kill();
    });
}

#[test]
fn top_10_joinall_raise_is_the_first_failure_in_order_of_the_ends() {
    on(1, || {
        let gates = Arc::new([const { Event::new() }; 2]);
        let all: Vec<Greenlet<()>> = (0..2)
            .map(|n| {
                let gates = Arc::clone(&gates);
                spawn(move || {
                    gates[n].wait();
                    panic!("expected: {n}");
                })
            })
            .collect();
        let stuck = spawn(|| sleep(Duration::MAX));
        yield_now();
        gates[1].set();
        let failure = joinall_raise([&all[0], &stuck, &all[1]]).unwrap_err();
        assert_eq!(message(&failure), "expected: 1");
        assert!(!stuck.ready() && !all[0].ready());
        killall([&stuck, &all[0]]);
        assert_eq!(joinall_raise([&stuck, &all[0]]).unwrap().len(), 2);
    });
}

fn message(failure: &Failure) -> &str {
    match failure {
        Failure::Panicked(panic) => panic.message(),
        _ => "",
    }
}

#[test]
fn top_10_joinall_with_a_count() {
    on(1, || {
        let (gates, all) = gated(3);
        gates[1].set();
        let first = JoinAll::new().count(1).join(&all);
        assert_eq!(first[0].get().unwrap(), 1);
        assert_eq!(first.len(), 1);
        assert!(JoinAll::new().count(0).join(&all).is_empty());
        let in_time = JoinAll::new().count(2).timeout(SHORT).join(&all);
        assert_eq!(in_time.len(), 1);
        let fails: Greenlet<usize> = spawn(|| panic!("expected"));
        // The failure comes after the count.
        let raised = JoinAll::new().count(1).raise([&all[1], &fails]).unwrap();
        assert_eq!(raised.len(), 1);
        assert!(JoinAll::new().count(2).raise([&all[1], &fails]).is_err());
        killall(&all);
    });
}

#[test]
fn top_11_wait_for_a_mix_in_order_of_readiness() {
    on(1, || {
        let event = Event::new();
        let (gates, all) = gated(2);
        yield_now();
        gates[1].set();
        yield_now();
        event.set();
        gates[0].set();
        let objects: [&dyn Waitable; 3] = [&all[0], &event, &all[1]];
        assert_eq!(
            wait(&objects),
            [1, 2, 0],
            "those that are ready are in their order"
        );
        assert_eq!(wait(&objects), [0, 1, 2], "and again");
    });
}

#[test]
fn top_11_wait_for_nothing_and_for_a_count_of_none() {
    on(1, || {
        let never = Event::new();
        assert!(wait(&[]).is_empty());
        assert!(wait_count(&[&never], 0).is_empty());
        assert!(wait_timeout(&[], LONG).is_empty());
    });
}

#[test]
fn top_11_wait_count_stops_there_and_unlinks_the_rest() {
    on(1, || {
        let events = [const { Event::new() }; 3];
        let objects: [&dyn Waitable; 3] = [&events[0], &events[1], &events[2]];
        events[2].set();
        assert_eq!(wait_count(&objects, 1), [2]);
        events[0].set();
        assert_eq!(wait_count(&objects, 2), [0, 2]);
        let g = parked();
        assert_eq!(wait_count(&[&g, &events[0]], 1), [1]);
        assert!(!g.has_links());
        g.kill();
    });
}

#[test]
fn top_11_wait_timeout_returns_what_is_ready_even_with_no_time() {
    on(1, || {
        let (set, never) = (Event::new(), Event::new());
        set.set();
        assert_eq!(wait_timeout(&[&never, &set], Duration::ZERO), [1]);
        let begun = Instant::now();
        assert_eq!(wait_timeout(&[&never, &set], SHORT), [1]);
        assert!(begun.elapsed() >= SHORT);
    });
}

#[test]
fn top_11_a_set_event_can_be_waited_for_twice() {
    on(1, || {
        let event = Event::new();
        event.set();
        assert_eq!(wait(&[&event]), [0]);
        assert_eq!(wait(&[&event, &event]), [0, 1]);
    });
}

#[test]
fn top_11_set_and_clear_is_seen() {
    on(1, || {
        let event = Arc::new(Event::new());
        let theirs = Arc::clone(&event);
        let waiter = spawn(move || wait(&[&theirs]));
        yield_now();
        event.set();
        event.clear();
        assert_eq!(waiter.get().unwrap(), [0]);
    });
}

#[test]
fn top_11_many_hubs() {
    on(8, || {
        let all: Vec<_> = (0..200)
            .map(|n| spawn_later(Duration::from_micros(n % 7 * 100), move || n))
            .collect();
        let objects: Vec<&dyn Waitable> = all.iter().map(|g| g as _).collect();
        let mut places = wait(&objects);
        places.sort_unstable();
        assert!(places.into_iter().eq(0..200));
    });
}

#[test]
fn top_12_iwait_is_lazy_and_loses_nothing_between_items() {
    on(1, || {
        let events = [const { Event::new() }; 3];
        let objects: [&dyn Waitable; 3] = [&events[0], &events[1], &events[2]];
        let ready = iwait(&objects);
        drop(ready);
        let mut ready = iwait(&objects);
        events[1].set();
        assert_eq!(ready.next(), Some(1));
        events[2].set();
        events[2].clear();
        sleep(SHORT);
        events[0].set();
        assert_eq!(ready.next(), Some(2));
        assert_eq!(ready.next(), Some(0));
        assert_eq!(ready.next(), None);
        assert_eq!(ready.next(), None);
    });
}

#[test]
fn top_12_the_time_limit_of_iwait_ends_it() {
    on(1, || {
        let (set, never) = (Event::new(), Event::new());
        set.set();
        let objects: [&dyn Waitable; 2] = [&never, &set];
        let mut ready = iwait(&objects).timeout(SHORT);
        assert_eq!(ready.next(), Some(1));
        assert_eq!(ready.next(), None);
        never.set();
        assert_eq!(ready.next(), None, "it has ended");
        let past = iwait(&objects).deadline(Instant::now()).collect::<Vec<_>>();
        assert_eq!(past, [0, 1]);
    });
}

#[test]
fn top_12_the_objects_forget_an_iwait_that_is_left() {
    on(1, || {
        let g = parked();
        let event = Arc::new(Event::new());
        let objects: [&dyn Waitable; 2] = [&g, &event];
        event.set();
        assert_eq!(iwait(&objects).next(), Some(1));
        event.clear();
        assert!(timeout(SHORT, || iwait(&objects).next()).is_err());
        let theirs = Arc::clone(&event);
        let waiter = spawn(move || wait(&[&theirs]));
        yield_now();
        waiter.kill();
        assert_eq!(Arc::strong_count(&event), 1);
        assert!(!format!("{event:?}").is_empty());
        g.kill();
    });
}

#[test]
fn top_12_a_foreign_limit_passes_through_a_wait_with_its_own() {
    on(1, || {
        let never = Event::new();
        let outer = timeout(SHORT, || wait_timeout(&[&never], LONG));
        assert_eq!(outer.unwrap_err().limit(), SHORT);
        let inner = timeout(LONG, || wait_timeout(&[&never], SHORT));
        assert_eq!(inner, Ok(vec![]));
    });
}

#[test]
fn from_an_os_thread() {
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let g = spawn_later(SHORT, move || theirs.set());
    let mut places = wait(&[&g, &event]);
    places.sort_unstable();
    assert_eq!(places, [0, 1]);
    support::eventually("it is gone", || green_core::stats().live == 0);
}
