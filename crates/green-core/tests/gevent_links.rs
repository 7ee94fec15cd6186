//! Links: what happens when a green thread has ended (gevent's GRN-11 to GRN-16).

mod support;

use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::{Config, Failure, Greenlet, killall, run, sleep, spawn, spawn_local, yield_now};
use support::eventually;

const EVER: Duration = Duration::MAX;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, what: &'static str) {
        self.0
            .lock()
            .expect("nobody panics with the lock")
            .push(what);
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().expect("nobody panics with the lock").clone()
    }

    /// A link that adds `what`.
    fn adds<T>(&self, what: &'static str) -> impl FnOnce(&Greenlet<T>) + Send + 'static {
        let log = self.clone();
        move |_| log.add(what)
    }
}

fn on<T: Send + 'static>(hubs: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(hubs).apply().ok();
    run(f)
}

#[test]
fn grn_11_a_link_runs_in_a_green_thread_of_its_own_and_may_block() {
    on(1, a_link_may_block);
}

#[test]
fn grn_11_a_link_may_block_on_eight_hubs() {
    on(8, a_link_may_block);
}

fn a_link_may_block() {
    let ids = Queue::unbounded();
    let theirs = ids.clone();
    let g = spawn(|| 7);
    g.link(move |g| {
        sleep(Duration::from_millis(1));
        let own = green_core::getcurrent().map(|me| me.id());
        theirs.put((own, g.value())).expect("room");
    });
    let (own, value) = ids.get().expect("an item");
    assert_ne!(own, Some(g.id()));
    assert_eq!(value, Some(7));
    assert!(!g.has_links());
}

#[test]
fn grn_11_a_link_after_the_end_runs_too_and_again() {
    on(1, || {
        let log = Log::default();
        let g = spawn(|| ());
        g.join();
        g.link(log.adds("first"));
        g.link(log.adds("second"));
        g.rawlink(log.adds("raw"));
        assert!(log.read().is_empty(), "not before the caller waits");
        yield_now();
        assert_eq!(log.read(), ["first", "second", "raw"]);
    });
}

#[test]
fn grn_11_a_link_may_be_added_from_a_link() {
    on(1, || {
        let done = Queue::unbounded();
        let theirs = done.clone();
        let g = spawn(|| ());
        g.link(move |g| {
            g.link(move |_| theirs.put(1).unwrap());
        });
        assert_eq!(done.get().unwrap(), 1);
    });
}

#[test]
fn grn_12_a_raw_link_runs_where_the_green_thread_ended() {
    on(2, || {
        let seen = Queue::unbounded();
        let theirs = seen.clone();
        let g = spawn(|| 7);
        let id = g.id();
        g.rawlink(move |g| {
            let own = green_core::getcurrent().map(|me| me.id());
            theirs.put((own, g.value())).unwrap();
        });
        assert_eq!(seen.get().unwrap(), (Some(id), Some(7)));
    });
}

#[test]
fn grn_12_a_raw_link_that_panics_or_blocks_is_reported_and_the_others_run() {
    on(1, || {
        let log = Log::default();
        let g = spawn(|| ());
        g.rawlink(|_| panic!("expected"));
        g.rawlink(|_| sleep(EVER));
        g.rawlink(log.adds("third"));
        g.join();
        assert_eq!(log.read(), ["third"]);
        assert!(g.successful());
    });
}

#[test]
fn grn_13_link_value_fires_on_success_and_on_a_kill() {
    on(1, || {
        let log = Log::default();
        let (value, killed) = (spawn(|| ()), spawn(|| sleep(EVER)));
        let fails: Greenlet<()> = spawn(|| panic!("expected"));
        value.link_value(log.adds("value"));
        killed.link_value(log.adds("killed"));
        fails.link_value(log.adds("failed"));
        fails.join();
        killed.kill();
        yield_now();
        assert_eq!(log.read(), ["value", "killed"]);
        fails.link_value(log.adds("failed before"));
        killed.link_value(log.adds("killed before"));
        yield_now();
        assert_eq!(log.read(), ["value", "killed", "killed before"]);
        assert!(!fails.has_links());
    });
}

#[test]
fn grn_13_link_exception_fires_on_a_failure_only() {
    on(1, || {
        let log = Log::default();
        let (value, killed) = (spawn(|| ()), spawn(|| sleep(EVER)));
        let fails: Greenlet<()> = spawn(|| panic!("expected"));
        for g in [&value, &killed] {
            g.link_exception(log.adds("no failure"));
        }
        fails.link_exception(log.adds("failed"));
        fails.join();
        killed.kill();
        yield_now();
        assert_eq!(log.read(), ["failed"]);
        assert!(matches!(fails.exception(), Some(Failure::Panicked(_))));
    });
}

#[test]
fn grn_14_unlink_takes_back_once() {
    on(1, || {
        let log = Log::default();
        let g = spawn(|| ());
        let first = g.link(log.adds("first"));
        let second = g.rawlink(log.adds("second"));
        g.link(log.adds("third"));
        assert!(g.has_links());
        assert!(g.unlink(first));
        assert!(!g.unlink(first), "it is not there any more");
        assert!(g.unlink(second));
        g.join();
        yield_now();
        assert_eq!(log.read(), ["third"]);
    });
}

#[test]
fn grn_14_unlink_all_leaves_those_who_wait() {
    on(1, || {
        let log = Log::default();
        let go = Arc::new(Event::new());
        let theirs = Arc::clone(&go);
        let g = spawn(move || theirs.wait());
        g.link(log.adds("link"));
        g.rawlink(log.adds("raw"));
        let waited = g.clone();
        let waiter = spawn(move || green_core::wait(&[&waited]));
        yield_now();
        g.unlink_all();
        assert!(!g.has_links());
        go.set();
        assert_eq!(waiter.get().unwrap(), [0]);
        assert!(log.read().is_empty());
    });
}

#[test]
fn grn_14_unlink_is_honoured_while_the_links_are_served() {
    on(1, || {
        let log = Log::default();
        let g = spawn(|| ());
        let ids = Arc::new(Mutex::new(Vec::new()));
        let (theirs, theirs_too) = (Arc::clone(&ids), Arc::clone(&ids));
        g.rawlink(move |g| assert!(g.unlink(theirs.lock().unwrap()[0])));
        ids.lock().unwrap().push(g.rawlink(log.adds("raw")));
        g.link(move |g| assert!(g.unlink(theirs_too.lock().unwrap()[1])));
        ids.lock().unwrap().push(g.link(log.adds("link")));
        g.link(log.adds("last"));
        g.join();
        yield_now();
        assert_eq!(log.read(), ["last"]);
    });
}

#[test]
fn grn_15_links_and_those_who_wait_are_served_in_order() {
    on(1, || {
        let log = Log::default();
        let body = log.clone();
        let g = spawn(move || {
            yield_now();
            body.add("run");
        });
        let early = (g.clone(), log.clone());
        let joins_early = spawn(move || {
            early.0.join();
            early.1.add("joined early");
        });
        yield_now();
        g.link(log.adds("link 1"));
        g.rawlink(log.adds("raw 2"));
        g.link(log.adds("link 3"));
        g.join();
        log.add("joined");
        joins_early.join();
        assert_eq!(
            log.read(),
            ["run", "joined early", "link 1", "raw 2", "link 3", "joined"]
        );
    });
}

#[test]
fn grn_15_a_link_that_blocks_does_not_delay_the_next() {
    on(1, || {
        let log = Log::default();
        let never = Arc::new(Event::new());
        let (theirs, blocked) = (Arc::clone(&never), log.clone());
        let g = spawn(|| ());
        g.link(move |_| {
            theirs.wait();
            blocked.add("first");
        });
        g.link(log.adds("second"));
        g.join();
        assert_eq!(log.read(), ["second"]);
        never.set();
        yield_now();
        assert_eq!(log.read(), ["second", "first"]);
    });
}

#[test]
fn grn_16_a_queue_as_the_target_of_links() {
    on(2, || {
        let ended = Queue::unbounded();
        for n in 0..100 {
            let ended = ended.clone();
            spawn(move || n).rawlink(move |g| ended.put(g.get().unwrap()).unwrap());
        }
        let mut all: Vec<u32> = (0..100).map(|_| ended.get().unwrap()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
    });
}

#[test]
fn links_of_one_that_was_killed_before_it_ran_fire() {
    on(1, || {
        let log = Log::default();
        let g = spawn(|| unreachable!("it was killed"));
        let _: &Greenlet<()> = &g;
        g.link(log.adds("link"));
        g.rawlink(log.adds("raw"));
        g.kill_nowait();
        assert!(g.ready() && g.successful());
        yield_now();
        assert_eq!(log.read(), ["link", "raw"]);
    });
}

#[test]
fn a_local_link_stays_on_its_hub() {
    on(2, || {
        let seen = std::rc::Rc::new(std::cell::Cell::new(0));
        let theirs = std::rc::Rc::clone(&seen);
        let g = spawn_local(|| std::rc::Rc::new(7));
        let linked = g.link_local(move |g| theirs.set(*g.get().unwrap()));
        let unlinked = g.link_local(|_| unreachable!("it was unlinked"));
        unlinked.kill();
        linked.join();
        assert_eq!(seen.get(), 7);
    });
}

#[test]
fn links_are_dropped_with_a_green_thread_that_nobody_waits_for() {
    let alive = Arc::new(());
    let in_link = Arc::clone(&alive);
    let g = spawn(|| ());
    g.link_exception(move |_| drop(in_link));
    drop(g);
    eventually("the link is gone", || Arc::strong_count(&alive) == 1);
}

#[test]
fn from_an_os_thread_links_race_with_the_end() {
    Config::new().hubs(2).apply().ok();
    let fired = Queue::unbounded();
    for _ in 0..500 {
        let fired = fired.clone();
        let g = spawn(|| ());
        g.link(move |_| fired.put(()).unwrap());
    }
    for _ in 0..500 {
        fired.get().unwrap();
    }
    let parked: Vec<_> = (0..500).map(|_| spawn(|| sleep(EVER))).collect();
    for g in &parked {
        let fired = fired.clone();
        g.link_value(move |_| fired.put(()).unwrap());
    }
    killall(&parked);
    for _ in 0..500 {
        fired.get().unwrap();
    }
    assert!(fired.is_empty());
}

/// Panics when it is dropped.
struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {
        panic!("a destructor");
    }
}

#[test]
fn a_link_whose_destructor_panics_keeps_nobody_from_being_served() {
    on(1, || {
        let (log, gate) = (Log::default(), Arc::new(Event::new()));
        let theirs = Arc::clone(&gate);
        let g = spawn(move || theirs.wait());
        // It is not called, but dropped: the green thread does not fail.
        let noisy = Noisy;
        g.link_exception(move |_| drop(noisy));
        g.rawlink(|_| std::panic::resume_unwind(Box::new(Noisy)));
        g.rawlink(log.adds("linked"));
        let joiner = spawn({
            let g = g.clone();
            move || g.join()
        });
        yield_now();
        gate.set();
        joiner.join();
        eventually("the last link is called", || log.read() == ["linked"]);
    });
}
