//! `debug::trace` and `debug::kill`; gevent's `print_run_info` shows stacks, too (UTL-01).

#![expect(unsafe_code, reason = "may's spawn is unsafe")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use green_core::debug::{TraceError, kill, trace};
use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::{
    Builder, Config, Failure, Greenlet, killall, sleep, spawn, spawn_later, timeout, yield_now,
};
use support::eventually;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

fn on(hubs: usize, body: fn()) {
    Config::new()
        .hubs(hubs)
        .apply()
        .expect("each test has a process of its own");
    let body = Builder::new().hub(0).spawn(body).expect("room");
    body.into_result().unwrap();
}

macro_rules! on_every_number_of_hubs {
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
    };
}

on_every_number_of_hubs! {
    utl_01_a_trace_shows_where_one_waits
    utl_01_a_trace_shows_the_calls_of_the_program_only
    utl_01_a_trace_of_oneself
    utl_01_a_wait_does_not_notice
    utl_01_a_time_limit_is_reached_in_time
    utl_01_a_wake_up_is_not_lost
    utl_01_who_does_not_wait_says_so
    utl_01_one_that_yields_is_traced
    utl_01_one_that_unwinds_is_traced_and_unwinds_on
    utl_01_a_stack_without_room_is_left_alone
    utl_01_what_waits_inside_a_coroutine_is_left_alone
    utl_01_a_trace_can_be_interrupted
    utl_01_kill_by_id
    utl_01_kill_of_who_has_not_started
    utl_01_kill_of_who_is_not_there
}

/// Whether the dump says that `g` waits for this.
fn waits<T>(g: &Greenlet<T>, what: &str) -> bool {
    let mut text = Vec::new();
    green_core::dump(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let start = format!("#{} ", g.id());
    let line = text.lines().find(|line| line.starts_with(&start));
    line.is_some_and(|line| line.contains(&format!("waits for {what}")))
}

#[inline(never)]
fn takes_from(queue: &Queue<u32>) -> u32 {
    queue.get().unwrap()
}

/// One that waits in `takes_from`, and its queue.
fn taker() -> (Greenlet<u32>, Queue<u32>) {
    let queue = Queue::unbounded();
    let theirs = queue.clone();
    let taker = spawn(move || takes_from(&theirs));
    eventually("it waits", || waits(&taker, "queue get"));
    (taker, queue)
}

fn utl_01_a_trace_shows_where_one_waits() {
    let (taker, queue) = taker();
    for _ in 0..3 {
        let text = trace(taker.id(), LONG).unwrap().to_string();
        assert!(text.contains("takes_from"), "{text}");
        assert!(text.contains("debug_trace.rs:"), "{text}");
    }
    queue.put(7).unwrap();
    assert_eq!(taker.get().unwrap(), 7);
}

fn utl_01_a_trace_shows_the_calls_of_the_program_only() {
    let (taker, queue) = taker();
    let trace = trace(taker.id(), LONG).unwrap();
    let text = trace.to_string();
    let (first, at) = (text.lines().next().unwrap(), text.lines().nth(1).unwrap());
    assert!(first.contains("queue") || at.contains("queue"), "{text}");
    for hidden in [
        "show_frames",
        "run_green_thread",
        "catch_unwind",
        "carrier_body",
    ] {
        assert!(!text.contains(hidden), "{text}");
        assert!(format!("{trace:#}").contains(hidden), "{trace:#}");
    }
    assert!(
        text.lines().last().unwrap().contains("debug_trace.rs:"),
        "{text}"
    );
    assert!(format!("{trace:?}").contains("takes_from"));
    drop(queue);
    taker.kill();
}

#[inline(never)]
fn traces_itself() -> String {
    let me = green_core::getcurrent().unwrap().id();
    // No patience: nobody is asked.
    trace(me, Duration::ZERO).unwrap().to_string()
}

fn utl_01_a_trace_of_oneself() {
    let text = spawn(traces_itself).get().unwrap();
    assert!(
        text.lines().next().unwrap().contains("traces_itself"),
        "{text}"
    );
    assert!(!text.contains("run_green_thread"), "{text}");
}

fn utl_01_a_wait_does_not_notice() {
    let gate = Arc::new(Semaphore::new(0));
    let woken = Arc::new(AtomicU32::new(0));
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (gate, woken) = (Arc::clone(&gate), Arc::clone(&woken));
            spawn(move || {
                gate.acquire().forget();
                woken.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for waiter in &waiters {
        eventually("it waits", || waits(waiter, "semaphore"));
    }
    for _ in 0..20 {
        for waiter in &waiters {
            trace(waiter.id(), LONG).unwrap();
        }
    }
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    // Each permit wakes one.
    for count in 1..=8 {
        gate.release();
        eventually("one more is awake", || {
            woken.load(Ordering::SeqCst) == count
        });
        for waiter in &waiters {
            let traced = trace(waiter.id(), LONG);
            assert!(
                matches!(traced, Ok(_) | Err(TraceError::Ended)),
                "{traced:?}"
            );
        }
    }
}

fn utl_01_a_time_limit_is_reached_in_time() {
    const LIMIT: Duration = Duration::from_millis(60);
    let begun = Instant::now();
    let sleeper = spawn(|| {
        sleep(LIMIT);
        Instant::now()
    });
    let limited = spawn(|| {
        let event = Event::new();
        let in_time = event.wait_timeout(LIMIT);
        let ended = timeout(LIMIT, || event.wait());
        (in_time, ended.is_err(), Instant::now())
    });
    let (ids, mut traces) = ([sleeper.id(), limited.id()], 0_u64);
    while !(sleeper.ready() && limited.ready()) {
        for id in ids {
            traces += u64::from(trace(id, LONG).is_ok());
        }
        yield_now();
    }
    assert!(traces > 0);
    assert!(sleeper.get().unwrap() - begun >= LIMIT);
    let (in_time, expired, at) = limited.get().unwrap();
    assert!(!in_time && expired && at - begun >= 2 * LIMIT);
}

fn utl_01_a_wake_up_is_not_lost() {
    for round in 0..200 {
        let (taker, queue) = taker();
        let id = taker.id();
        let tracer = spawn(move || trace(id, LONG));
        if round % 2 == 0 {
            queue.put(round).unwrap();
            assert_eq!(taker.get().unwrap(), round);
        } else {
            taker.kill_nowait();
            assert!(matches!(taker.get(), Err(Failure::Killed)));
        }
        let traced = tracer.get().unwrap();
        assert!(
            matches!(traced, Ok(_) | Err(TraceError::Ended)),
            "{traced:?}"
        );
    }
}

fn utl_01_who_does_not_wait_says_so() {
    let unstarted = Greenlet::new(|| ());
    assert_eq!(
        trace(unstarted.id(), LONG).unwrap_err(),
        TraceError::NotStarted
    );
    let later = spawn_later(Duration::from_secs(600), || ());
    assert_eq!(trace(later.id(), LONG).unwrap_err(), TraceError::NotStarted);
    later.kill();
    assert_eq!(trace(later.id(), LONG).unwrap_err(), TraceError::Ended);
    let ended = spawn(|| ());
    ended.join();
    assert_eq!(trace(ended.id(), LONG).unwrap_err(), TraceError::Ended);
    assert_eq!(trace(NonZeroU64::MAX, LONG).unwrap_err(), TraceError::Ended);
}

fn utl_01_one_that_yields_is_traced() {
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let yields = spawn(move || {
        let mut turns = 0_u64;
        while !theirs.load(Ordering::SeqCst) {
            yield_now();
            turns += 1;
        }
        turns
    });
    eventually("it has started", || yields.started());
    eventually("it was at its wait", || {
        trace(yields.id(), LONG).is_ok_and(|trace| trace.to_string().contains("yield_now"))
    });
    stop.store(true, Ordering::SeqCst);
    assert!(yields.get().unwrap() > 0);
}

fn utl_01_one_that_unwinds_is_traced_and_unwinds_on() {
    struct WaitsAtDrop(Arc<Event>);
    impl Drop for WaitsAtDrop {
        fn drop(&mut self) {
            self.0.wait();
            assert!(std::thread::panicking());
        }
    }
    let go_on = Arc::new(Event::new());
    let theirs = Arc::clone(&go_on);
    let unwinds = spawn(move || {
        let _waits = WaitsAtDrop(theirs);
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    eventually("it waits", || waits(&unwinds, "event"));
    for _ in 0..3 {
        let text = trace(unwinds.id(), LONG).unwrap().to_string();
        assert!(text.contains("WaitsAtDrop"), "{text}");
    }
    go_on.set();
    assert!(matches!(unwinds.get(), Err(Failure::Panicked(_))));
}

fn utl_01_a_stack_without_room_is_left_alone() {
    /// Waits so many bytes below `top`.
    #[inline(never)]
    fn deep(top: usize, bytes: usize, event: &Event) -> usize {
        let frame = std::hint::black_box([0_usize; 16]);
        if top - std::ptr::from_ref(&frame).addr() >= bytes {
            event.wait();
            return frame[0];
        }
        deep(top, bytes, event) + std::hint::black_box(&frame)[1]
    }
    const SIZE: usize = 64 * 1024;
    let mut results = Vec::new();
    // Ever deeper, until there is no room; that it waits shows that it has not overflowed.
    for bytes in (SIZE / 2..SIZE).step_by(512) {
        let event = Arc::new(Event::new());
        let theirs = Arc::clone(&event);
        let waits_deep = Builder::new().stack_size(SIZE).spawn(move || {
            let top = 0_u8;
            deep(std::ptr::from_ref(&top).addr(), bytes, &theirs)
        });
        let waits_deep = waits_deep.unwrap();
        eventually("it waits", || waits(&waits_deep, "event"));
        results.push(trace(waits_deep.id(), LONG).map(drop));
        event.set();
        waits_deep.join();
        if results.last() == Some(&Err(TraceError::NoRoom)) {
            break;
        }
    }
    let (last, others) = results.split_last().unwrap();
    assert_eq!(*last, Err(TraceError::NoRoom));
    assert!(
        others.len() > 8 && others.iter().all(Result::is_ok),
        "{results:?}"
    );
}

fn utl_01_what_waits_inside_a_coroutine_is_left_alone() {
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let inside = spawn(move || {
        let mut numbers = generator::Gn::new_scoped(move |mut scope| {
            theirs.wait();
            scope.yield_(7);
            8
        });
        numbers.next()
    });
    eventually("it waits", || waits(&inside, "event"));
    assert_eq!(trace(inside.id(), LONG).unwrap_err(), TraceError::NoRoom);
    event.set();
    assert_eq!(inside.get().unwrap(), Some(7));
}

fn utl_01_a_trace_can_be_interrupted() {
    let hub = green_core::stats().hubs - 1;
    let (in_there, go_on) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let there = Builder::new()
        .hub(hub)
        .spawn(|| Event::new().wait())
        .unwrap();
    eventually("it waits", || waits(&there, "event"));
    if hub == 0 {
        // Who keeps the only hub keeps the asker, too.
        there.kill();
        return;
    }
    let theirs = (Arc::clone(&in_there), Arc::clone(&go_on));
    let busy = Builder::new().hub(hub).spawn(move || {
        theirs.0.store(true, Ordering::SeqCst);
        while !theirs.1.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    let busy = busy.unwrap();
    eventually("the hub is busy", || in_there.load(Ordering::SeqCst));
    let short = Duration::from_millis(30);
    let begun = Instant::now();
    assert_eq!(trace(there.id(), short).unwrap_err(), TraceError::HubBusy);
    assert_eq!(trace(busy.id(), short).unwrap_err(), TraceError::Running);
    assert!(begun.elapsed() >= 2 * short);
    let id = there.id();
    let asks = Builder::new()
        .hub(0)
        .spawn(move || trace(id, LONG).map(drop))
        .unwrap();
    eventually("it asks", || waits(&asks, "event"));
    asks.kill();
    assert!(matches!(asks.get(), Err(Failure::Killed)));
    go_on.store(true, Ordering::SeqCst);
    busy.join();
    // The questions of before are answered to nobody.
    assert!(trace(there.id(), LONG).is_ok());
    there.kill();
}

fn utl_01_kill_by_id() {
    let (taker, _queue) = taker();
    assert!(kill(taker.id()));
    assert!(matches!(taker.get(), Err(Failure::Killed)));
    assert!(!kill(taker.id()));
}

fn utl_01_kill_of_who_has_not_started() {
    let unstarted = Greenlet::new(|| ());
    assert!(!kill(unstarted.id()));
    let later = spawn_later(Duration::from_secs(600), || ());
    assert!(kill(later.id()));
    assert!(matches!(later.get(), Err(Failure::Killed)));
}

fn utl_01_kill_of_who_is_not_there() {
    assert!(!kill(NonZeroU64::MAX));
}

#[test]
fn utl_01_from_an_os_thread_and_from_may() {
    let (taker, _queue) = taker();
    assert!(trace(taker.id(), LONG).is_ok());
    let id = taker.id();
    // SAFETY: neither touches a thread-local, and both have a stack of the usual size.
    let migrating = unsafe { green_core::may::spawn(move || trace(id, LONG).is_ok()) };
    assert!(migrating.get().unwrap());
    let (runs, go_on) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&runs), Arc::clone(&go_on));
    let body = move || {
        theirs.0.set();
        theirs.1.wait();
    };
    // SAFETY: as above.
    let migrating = unsafe { green_core::may::spawn(body) };
    runs.wait();
    assert_eq!(
        trace(migrating.id(), LONG).unwrap_err(),
        TraceError::Migrating
    );
    go_on.set();
    migrating.join();
    killall([&taker]);
}
