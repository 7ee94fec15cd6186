//! What stands for gevent's hub (HUB-02 to HUB-10, TOP-13, TOP-18, GRN-17, GRN-24; rules 49 and 59).
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/child.rs"]
mod child;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use green_core::event::Event;
use green_core::{
    Builder, Config, Failure, Timeout, no_park, run, sleep, spawn, stats, thread, timeout,
    wait_idle, wait_idle_timeout, yield_now,
};
use support::eventually;

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(5);

fn on<T: Send + 'static>(hubs: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(hubs).apply().ok();
    run(f)
}

/// Keeps what is logged.
struct Log(mpsc::Sender<String>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.send(record.args().to_string()).ok();
    }

    fn flush(&self) {}
}

/// What is logged from now on.
fn logged() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    log::set_boxed_logger(Box::new(Log(sender))).expect("there is no other");
    log::set_max_level(log::LevelFilter::Error);
    receiver
}

#[test]
fn hub_02_rule_59_a_failure_that_nobody_asks_for_is_logged_once() {
    let logged = logged();
    on(2, || {
        let named = |name: &str| Builder::new().name(name).spawn(|| panic!("expected"));
        let asked = named("asked for").unwrap();
        assert!(asked.get().is_err());
        let ignored = named("ignored").unwrap();
        ignored.join();
        let other = ignored.clone();
        drop((asked, ignored));
        assert!(other.ready(), "there is a handle yet that may ask");
        drop(other);
        drop(named("left alone").unwrap());
        eventually("all are gone", || stats().live == 1);
    });
    let mut lines: Vec<_> = logged.try_iter().collect();
    eventually("the last one is logged", || {
        lines.extend(logged.try_iter());
        lines.len() >= 2
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    for name in ["ignored", "left alone"] {
        let lines = lines.iter().filter(|line| line.contains(name));
        let line = lines.collect::<Vec<_>>();
        assert!(
            line.len() == 1 && line[0].contains("gevent_hub.rs"),
            "{line:?}"
        );
    }
}

#[test]
fn grn_24_a_kill_is_not_reported() {
    let logged = logged();
    on(1, || {
        let g = spawn(|| sleep(EVER));
        yield_now();
        g.kill();
        drop(g);
        spawn(|| ()).join();
    });
    assert_eq!(logged.try_iter().next(), None);
}

#[test]
fn hub_03_a_panic_goes_to_the_programs_hook() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(|_| _ = CALLS.fetch_add(1, Ordering::SeqCst)));
    on(1, || {
        assert!(spawn(|| panic!("expected")).get().is_err());
        // A kill and a limit unwind, and are no panics.
        let g = spawn(|| sleep(EVER));
        yield_now();
        g.kill();
        timeout(SHORT, || sleep(EVER)).unwrap_err();
    });
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

#[test]
fn hub_04_join_is_wait_idle() {
    spawn(|| sleep(SHORT));
    wait_idle();
    assert_eq!(stats().live, 0);
    spawn(|| sleep(EVER));
    assert!(!wait_idle_timeout(SHORT));
}

#[test]
fn hub_06_what_the_configuration_says_is_what_runs() {
    on(3, || {
        assert_eq!(stats().hubs, 3);
        let names = (0..3).map(|hub| {
            let name = || std::thread::current().name().unwrap_or_default().to_owned();
            Builder::new().hub(hub).spawn(name).unwrap().get().unwrap()
        });
        let names: Vec<_> = names.collect();
        assert_eq!(names, ["green-hub-0", "green-hub-1", "green-hub-2"]);
    });
}

#[test]
fn hub_07_a_wake_up_that_comes_early_is_kept() {
    on(1, || {
        let me = thread::current();
        me.unpark();
        thread::park();
        let (sender, receiver) = mpsc::channel();
        let waiter = thread::spawn(move || {
            sender.send(thread::current()).unwrap();
            thread::park();
        });
        yield_now();
        receiver.try_recv().unwrap().unpark();
        waiter.join().unwrap();
    });
}

#[test]
fn hub_08_a_wait_where_none_is_allowed_panics() {
    on(1, || {
        let waits = || no_park(|| sleep(SHORT));
        let payload = catch_unwind(waits).unwrap_err();
        let said = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        assert!(said.unwrap().contains("no_park"));
        sleep(SHORT);
    });
}

#[test]
fn hub_10_callbacks_run_in_the_order_in_which_they_were_made() {
    on(1, || {
        let order = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..10)
            .map(|n| {
                let order = Arc::clone(&order);
                spawn(move || assert_eq!(order.fetch_add(1, Ordering::SeqCst), n))
            })
            .collect();
        all.iter().for_each(|g| g.get().unwrap());
        // From elsewhere, too.
        let here = Arc::new(Event::new());
        let there = Arc::clone(&here);
        std::thread::spawn(move || drop(spawn(move || there.set())));
        here.wait();
    });
}

#[test]
fn top_13_a_limit_by_name() {
    on(1, || {
        let limit = Timeout::start_new(SHORT);
        let payload = catch_unwind(AssertUnwindSafe(|| sleep(EVER))).unwrap_err();
        assert!(limit.is_cause_of(&*payload));
    });
}

#[test]
fn top_18_what_a_kill_leaves() {
    on(1, || {
        let g = spawn(|| sleep(EVER));
        yield_now();
        g.kill();
        assert!(matches!(g.get(), Err(Failure::Killed)) && g.successful());
    });
}

#[test]
fn grn_17_a_scope_waits_for_its_own_and_takes_them_with_it() {
    on(1, || {
        let mut numbers = [1, 2, 3];
        thread::scope(|scope| {
            for number in &mut numbers {
                scope.spawn(move || {
                    yield_now();
                    *number *= 2;
                });
            }
        });
        assert_eq!(numbers, [2, 4, 6]);
        let ended = Arc::new(Event::new());
        let theirs = Arc::clone(&ended);
        let owner = spawn(move || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let killed = catch_unwind(|| sleep(EVER));
                    theirs.set();
                    assert!(killed.is_err());
                });
                sleep(EVER);
            });
        });
        (0..3).for_each(|_| yield_now());
        owner.kill();
        assert!(ended.is_set(), "its own have ended before it");
    });
}

#[test]
fn rule_49_the_end_of_main_abandons_the_others() {
    const NAME: &str = "rule_49_the_end_of_main_abandons_the_others";
    struct Speaks;
    impl Drop for Speaks {
        #[expect(clippy::print_stderr, reason = "for the other process")]
        fn drop(&mut self) {
            eprintln!("it was unwound");
        }
    }
    if child::is_child(NAME) {
        let begun = Arc::new(Event::new());
        let theirs = Arc::clone(&begun);
        spawn(move || {
            let _speaks = Speaks;
            theirs.set();
            sleep(EVER);
        });
        begun.wait();
        return;
    }
    let ended = child::child(NAME);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success() && !stderr.contains("unwound"),
        "{stderr}"
    );
}
