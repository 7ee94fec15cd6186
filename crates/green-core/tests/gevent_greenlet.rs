//! `spawn` and its kin, and `Greenlet` (gevent's TOP-01 to TOP-08, GRN-01 to GRN-10, GRN-19 to GRN-24).

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::{
    Builder, Config, Failure, Greenlet, add_spawn_callback, getcurrent, idle, joinall, killall,
    remove_spawn_callback, run, sleep, spawn, spawn_later, spawn_local, spawn_raw, stats, timeout,
    yield_now,
};
use support::eventually;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);
const EVER: Duration = Duration::MAX;

fn on<T: Send + 'static>(hubs: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(hubs).apply().ok();
    run(f)
}

/// Counts how often it is run.
fn counter() -> (Arc<AtomicUsize>, impl Fn() + Clone + Send + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&count);
    (count, move || _ = theirs.fetch_add(1, Ordering::Relaxed))
}

fn read(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

#[test]
fn top_01_spawn_only_schedules() {
    on(1, || {
        let (count, body) = counter();
        let g = spawn(body);
        assert!(g.started() && !g.ready());
        assert_eq!(read(&count), 0);
        yield_now();
        assert_eq!(read(&count), 1);
        assert!(g.ready() && !g.started());
    });
}

#[test]
fn top_02_spawn_later_is_started_and_not_ready() {
    on(1, || {
        let g = spawn_later(SHORT, Instant::now);
        let begun = Instant::now();
        assert!(g.started() && !g.ready() && !g.dead());
        assert!(g.get().unwrap() >= begun + SHORT - Duration::from_millis(1));
        let later = spawn_later(SHORT * 2, || 2);
        let sooner = spawn_later(SHORT, || 1);
        let order = joinall([&later, &sooner]);
        assert_eq!(order[0].id(), sooner.id());
    });
}

#[test]
fn top_03_spawn_raw_runs_and_tells_whether_it_is_dead() {
    on(2, || {
        let done = Queue::unbounded();
        let theirs = done.clone();
        let g = spawn_raw(move || theirs.put(getcurrent().map(|me| me.id())).unwrap());
        assert_eq!(done.get().unwrap(), Some(g.id()));
        eventually("it has ended", || g.dead());
        g.kill_nowait();
        let stuck = spawn_raw(|| sleep(EVER));
        sleep(SHORT);
        assert!(!stuck.dead());
        stuck.kill_nowait();
        eventually("it is killed", || stuck.dead());
        assert!(stuck.spawn_site().file().ends_with("gevent_greenlet.rs"));
    });
}

#[test]
fn top_03_a_raw_one_that_is_killed_unstarted_never_runs_and_is_gone() {
    on(1, || {
        let before = stats().live;
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        let g = spawn_raw(move || unreachable!("killed: {theirs:?}"));
        g.kill_nowait();
        assert!(g.dead(), "it will not run");
        yield_now();
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(stats().live, before);
    });
}

#[test]
fn top_08_a_kill_without_a_handle_ends_an_unstarted_one_for_those_who_wait() {
    on(1, || {
        let g: Greenlet<()> = spawn_later(LONG, || unreachable!("it was killed"));
        let (fired, link) = counter();
        g.link(move |_| link());
        g.raw().kill_nowait();
        assert!(g.dead());
        assert!(matches!(g.get(), Err(Failure::Killed)));
        assert!(g.successful());
        yield_now();
        assert_eq!(read(&fired), 1);
    });
}

#[test]
fn top_08_kill_nowait_does_not_switch() {
    on(1, || {
        let g = spawn(|| sleep(EVER));
        yield_now();
        g.kill_nowait();
        assert!(!g.ready());
        yield_now();
        assert!(g.ready());
        g.kill_nowait();
    });
}

#[test]
fn top_04_getcurrent_is_the_one_that_runs() {
    assert!(getcurrent().is_none());
    on(1, || {
        let g = Builder::new()
            .name("me")
            .spawn(|| getcurrent().map(|me| (me.id(), me.name().map(str::to_owned))))
            .unwrap();
        assert_eq!(g.get().unwrap(), Some((g.id(), Some("me".to_owned()))));
        assert_eq!(g.raw().id(), g.id());
    });
}

#[test]
fn top_06_sleep_zero_goes_to_the_end_of_the_queue_and_a_longer_one_is_not_early() {
    on(1, || {
        let (count, body) = counter();
        spawn(body);
        sleep(Duration::ZERO);
        assert_eq!(read(&count), 1);
        let begun = Instant::now();
        sleep(SHORT);
        assert!(begun.elapsed() >= SHORT);
    });
}

#[test]
fn top_07_idle_comes_after_all_that_is_ready() {
    on(1, || {
        let (count, step) = counter();
        spawn(move || {
            for _ in 0..3 {
                sleep(Duration::ZERO);
                step();
            }
        });
        idle();
        assert_eq!(read(&count), 3);
        idle();
    });
}

#[test]
fn top_07_idle_does_not_wait_for_sleepers_and_can_be_killed_and_timed_out() {
    on(1, || {
        let sleeper = spawn(|| sleep(EVER));
        idle();
        assert!(!sleeper.ready());
        let busy = spawn_local(|| {
            loop {
                yield_now();
            }
        });
        let idler = spawn(idle);
        assert!(timeout(SHORT, idle).is_err());
        idler.kill();
        busy.kill();
        let idlers: Vec<_> = (0..3).map(|_| spawn(idle)).collect();
        assert_eq!(joinall(&idlers).len(), 3);
        sleeper.kill();
    });
}

#[test]
fn top_07_idle_outside_a_green_thread() {
    Config::new().hubs(2).apply().ok();
    idle();
}

#[test]
fn grn_01_a_new_one_is_not_started() {
    on(1, || {
        let (count, body) = counter();
        let g = Greenlet::new(body);
        assert!(!g.started() && !g.ready() && !g.dead());
        yield_now();
        assert_eq!(read(&count), 0);
        assert!(!g.join_timeout(SHORT), "join does not start it");
        g.start();
        assert!(g.started());
        g.join();
        assert_eq!(read(&count), 1);
    });
}

#[test]
fn grn_01_with_a_builder() {
    on(2, || {
        let g = Builder::new()
            .name("later")
            .hub(1)
            .unstarted(|| getcurrent().map(|me| me.id()))
            .unwrap();
        assert_eq!(g.name(), Some("later"));
        g.start();
        assert_eq!(g.get().unwrap(), Some(g.id()));
        assert!(Builder::new().hub(2).unstarted(|| ()).is_err());
    });
}

#[test]
fn grn_01_one_that_nobody_starts_goes_with_its_handles() {
    on(1, || {
        let before = stats().live;
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        let g = Greenlet::new(move || drop(theirs));
        let in_link = Arc::clone(&alive);
        g.link(move |_| drop(in_link));
        assert_eq!(stats().live, before + 1);
        let other = g.clone();
        drop(g);
        assert_eq!(Arc::strong_count(&alive), 3);
        drop(other);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(stats().live, before);
    });
}

#[test]
fn grn_02_start_works_once() {
    on(1, || {
        let (count, body) = counter();
        let g = Greenlet::new(body);
        g.start();
        g.start();
        g.start_later(SHORT);
        g.join();
        g.start();
        sleep(SHORT * 2);
        assert_eq!(read(&count), 1);
        let running = spawn(|| ());
        running.start();
        running.join();
    });
}

#[test]
fn grn_02_start_races_from_many_hubs() {
    on(8, || {
        for _ in 0..50 {
            let (count, body) = counter();
            let g = Greenlet::new(body);
            let starters: Vec<_> = (0..8)
                .map(|n| {
                    let g = g.clone();
                    Builder::new().hub(n).spawn(move || g.start()).unwrap()
                })
                .collect();
            joinall(&starters);
            g.join();
            assert_eq!(read(&count), 1);
        }
    });
}

#[test]
fn grn_03_start_later() {
    on(1, || {
        let g = Greenlet::new(Instant::now);
        let begun = Instant::now();
        g.start_later(SHORT);
        assert!(g.started());
        g.start();
        assert!(g.get().unwrap() - begun >= SHORT);
    });
}

#[test]
fn grn_04_join_tells_nothing_but_the_end() {
    on(1, || {
        let fails: Greenlet<()> = spawn(|| panic!("expected"));
        fails.join();
        assert!(fails.join_timeout(Duration::ZERO));
        let stuck = spawn(|| sleep(EVER));
        assert!(!stuck.join_timeout(Duration::ZERO));
        let foreign = timeout(SHORT, || stuck.join_timeout(LONG));
        assert!(foreign.is_err(), "a foreign limit passes");
        stuck.kill();
    });
}

#[test]
fn grn_05_get_every_time_for_everybody() {
    on(2, || {
        let g = spawn(|| vec![1, 2]);
        let getters: Vec<_> = (0..8)
            .map(|_| {
                let g = g.clone();
                spawn(move || g.get().unwrap())
            })
            .collect();
        assert!(getters.iter().all(|getter| getter.get().unwrap() == [1, 2]));
        let fails: Greenlet<()> = spawn(|| panic!("expected"));
        for _ in 0..2 {
            assert!(matches!(fails.get(), Err(Failure::Panicked(_))));
        }
        let stuck = spawn(|| sleep(EVER));
        assert!(stuck.try_get().is_none());
        assert!(matches!(
            stuck.get_timeout(SHORT),
            Err(Failure::TimedOut(elapsed)) if elapsed.limit() == SHORT
        ));
        stuck.kill();
        assert!(matches!(stuck.try_get(), Some(Err(Failure::Killed))));
        assert_eq!(g.try_get().unwrap().unwrap(), [1, 2]);
    });
}

#[test]
fn grn_06_kill_before_start() {
    on(1, || {
        for start in [false, true] {
            let g: Greenlet<()> = Greenlet::new(|| unreachable!("it was killed"));
            let (fired, link) = counter();
            let link_too = link.clone();
            g.link(move |_| link());
            g.link_value(move |_| link_too());
            if start {
                g.start();
            }
            g.kill();
            assert!(g.dead() && g.ready() && g.successful() && !g.started());
            assert!(matches!(g.get(), Err(Failure::Killed)));
            g.start();
            g.start_later(SHORT);
            yield_now();
            assert_eq!(read(&fired), 2);
        }
        eventually("nothing is left", || stats().live == 1);
    });
}

#[test]
fn grn_06_kill_before_the_time_of_start_later() {
    on(1, || {
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        let g = Greenlet::new(move || drop(theirs));
        g.start_later(LONG);
        g.kill();
        assert!(g.ready());
        eventually("its closure is dropped", || Arc::strong_count(&alive) == 1);
    });
}

#[test]
fn grn_06_kill_timeout_tells_whether_it_died() {
    on(1, || {
        let end = Arc::new(Event::new());
        let theirs = Arc::clone(&end);
        let stubborn = spawn(move || {
            while !theirs.is_set() {
                drop(catch_unwind(AssertUnwindSafe(|| theirs.wait())));
            }
        });
        yield_now();
        assert!(!stubborn.kill_timeout(SHORT));
        end.set();
        assert!(stubborn.kill_timeout(LONG));
        let ready = spawn(|| ());
        ready.join();
        assert!(ready.kill_timeout(Duration::ZERO), "at once");
    });
}

#[test]
fn grn_07_to_10_ready_successful_value_and_exception() {
    on(1, || {
        let value = spawn(|| 7);
        let fails: Greenlet<u32> = spawn(|| panic!("expected"));
        let killed: Greenlet<u32> = spawn(|| {
            sleep(EVER);
            0
        });
        for g in [&value, &fails, &killed] {
            assert!(!g.ready() && !g.successful() && g.started() && !g.dead());
            assert!(g.value().is_none() && g.exception().is_none());
        }
        yield_now();
        killed.kill();
        for g in [&value, &fails, &killed] {
            assert!(g.ready() && !g.started() && g.dead());
        }
        assert_eq!(value.value(), Some(7));
        assert!(value.successful() && value.exception().is_none());
        assert!(!fails.successful() && fails.value().is_none());
        assert!(matches!(fails.exception(), Some(Failure::Panicked(_))));
        assert!(killed.successful() && killed.exception().is_none());
        assert!(killed.value().is_none());
    });
}

#[test]
fn grn_09_the_running_one_is_not_dead() {
    on(1, || {
        let g = spawn(|| getcurrent().is_some_and(|me| !me.dead()));
        assert!(g.get().unwrap());
    });
}

#[test]
fn grn_19_ids_are_unique_and_names_are_given() {
    on(2, || {
        let all: Vec<_> = (0..100).map(|_| spawn(|| ())).collect();
        let mut ids: Vec<_> = all.iter().map(Greenlet::id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 100);
        assert_eq!(all[0].name(), None);
    });
}

#[test]
fn grn_20_the_spawning_green_thread_and_site() {
    assert!(spawn(|| ()).spawning_greenlet().is_none());
    on(2, || {
        let own = getcurrent().map(|me| me.id());
        let line = line!() + 1;
        let g = spawn(|| getcurrent().and_then(|me| me.spawning_greenlet()));
        assert_eq!(g.spawn_site().line(), line);
        assert_eq!(g.spawning_greenlet(), own);
        assert_eq!(g.get().unwrap(), own);
        let starter = Greenlet::new(|| ());
        assert_eq!(starter.spawning_greenlet(), own);
        spawn_local(move || {
            starter.start();
            assert_eq!(
                starter.spawning_greenlet(),
                own,
                "who made it, not who starts it"
            );
        })
        .into_result()
        .unwrap();
    });
}

#[test]
fn grn_21_spawn_callbacks_are_called_at_the_start() {
    on(1, || {
        let seen = Queue::unbounded();
        let theirs = seen.clone();
        let callback = add_spawn_callback(move |g| theirs.put(g.id()).unwrap());
        let panics = add_spawn_callback(|_| panic!("expected"));
        let g = Greenlet::new(|| ());
        assert!(seen.is_empty(), "not when it is made");
        g.start();
        assert_eq!(seen.get().unwrap(), g.id());
        g.start();
        let later = Greenlet::new(|| ());
        later.start_later(LONG);
        assert_eq!(seen.get().unwrap(), later.id());
        let others = [spawn(|| ()), spawn_local(|| ())];
        for other in &others {
            assert_eq!(seen.get().unwrap(), other.id());
        }
        remove_spawn_callback(panics);
        remove_spawn_callback(callback);
        joinall(&others);
        spawn(|| ()).join();
        assert!(seen.is_empty());
        killall([&g, &later]);
    });
}

#[test]
fn grn_22_debug_survives_the_end() {
    on(1, || {
        let g = Builder::new().name("me").spawn(|| ()).unwrap();
        let before = format!("{g:?}");
        g.join();
        assert!(before.contains("me") && format!("{g:?}").contains("me"));
    });
}
