//! `block_on`: waiting for a future in a green thread, and what wakers may do.
#![expect(clippy::disallowed_methods, reason = "OS threads call wakers")]
#![expect(unsafe_code, reason = "a coroutine of `may` waits for a future")]
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use green_core::{Failure, await_, block_on, dump, no_park, spawn, timeout, yield_now};
use support::eventually;

on_hubs! { on_one_hub, 1, [
    a_future_that_is_ready_needs_no_waker,
    it_need_not_be_send,
    one_that_wakes_itself_lets_others_run,
    one_that_always_wakes_itself_can_be_killed,
    one_in_another_ones_poll_has_its_own_wakes,
    inside_no_park_it_panics_only_if_it_would_wait,
] }

on_hubs! { on_two_hubs, 2, [
    a_waker_works_from_any_os_thread,
    a_waker_that_is_called_during_the_poll_is_not_lost,
    one_that_never_wakes_is_listed_and_can_be_killed,
    killed_it_drops_its_future_once,
    a_time_limit_ends_it,
    a_panic_inside_the_poll_comes_out_once,
    a_waker_of_an_earlier_call_wakes_nobody_later,
    a_waker_that_is_called_often_polls_no_more_than_it_wakes,
] }

/// Ready when it was woken by somebody who has its waker; counts its polls.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    polls: AtomicUsize,
}

impl Gate {
    /// Waits until it is open; the first poll gives the waker to `hand`.
    fn wait(self: &Arc<Self>, hand: impl FnOnce(Waker)) -> impl Future<Output = ()> {
        let gate = Arc::clone(self);
        let mut hand = Some(hand);
        poll_fn(move |context| {
            gate.polls.fetch_add(1, Ordering::Relaxed);
            if gate.open.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            if let Some(hand) = hand.take() {
                hand(context.waker().clone());
            }
            Poll::Pending
        })
    }

    fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }
}

/// Pending once.
#[derive(Default)]
struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The line of the green thread in a dump.
fn line_of(id: impl std::fmt::Display) -> String {
    let mut text = Vec::new();
    dump(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let start = format!("#{id} ");
    text.lines()
        .find(|line| line.starts_with(&start))
        .unwrap_or_default()
        .to_owned()
}

fn a_future_that_is_ready_needs_no_waker() {
    assert_eq!(block_on(ready(7)), 7);
    assert_eq!(await_(async { 6 * 7 }), 42);
}

fn it_need_not_be_send() {
    let shared = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&shared);
    block_on(async move {
        YieldOnce::default().await;
        theirs.set(7);
    });
    assert_eq!(shared.get(), 7);
}

fn one_that_wakes_itself_lets_others_run() {
    let ran = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&ran);
    let other = spawn(move || theirs.store(true, Ordering::Relaxed));
    block_on(YieldOnce::default());
    assert!(ran.load(Ordering::Relaxed));
    other.join();
}

fn one_that_always_wakes_itself_can_be_killed() {
    let spinner = spawn(|| {
        block_on(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
    });
    yield_now();
    spinner.kill();
    assert!(matches!(spinner.get(), Err(Failure::Killed)));
}

fn one_in_another_ones_poll_has_its_own_wakes() {
    let outer = block_on(async {
        let inner = block_on(async {
            YieldOnce::default().await;
            1
        });
        YieldOnce::default().await;
        inner + 1
    });
    assert_eq!(outer, 2);
}

fn inside_no_park_it_panics_only_if_it_would_wait() {
    assert_eq!(no_park(|| block_on(ready(7))), 7);
    assert!(catch_unwind(|| no_park(|| block_on(pending::<()>()))).is_err());
}

fn a_waker_works_from_any_os_thread() {
    for _ in 0..20 {
        let gate = Arc::new(Gate::default());
        let theirs = Arc::clone(&gate);
        block_on(gate.wait(|waker| {
            thread::spawn(move || {
                theirs.open();
                waker.wake();
            });
        }));
        assert_eq!(gate.polls(), 2);
    }
}

fn a_waker_that_is_called_during_the_poll_is_not_lost() {
    let gate = Arc::new(Gate::default());
    let theirs = Arc::clone(&gate);
    block_on(gate.wait(|waker| {
        let os_thread = thread::spawn(move || {
            theirs.open();
            waker.wake();
        });
        os_thread.join().unwrap();
    }));
    assert_eq!(gate.polls(), 2);
}

fn one_that_never_wakes_is_listed_and_can_be_killed() {
    let g = spawn(|| block_on(pending::<()>()));
    let id = g.id();
    eventually("it is listed", || {
        line_of(id).contains("waits for a future since")
    });
    g.kill();
    assert!(matches!(g.get(), Err(Failure::Killed)));
}

fn killed_it_drops_its_future_once() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            // A destructor may wait.
            yield_now();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counts = Counts(Arc::clone(&dropped));
    let g = spawn(move || {
        block_on(async move {
            let _counts = counts;
            pending::<()>().await;
        });
    });
    let id = g.id();
    eventually("it waits", || line_of(id).contains("a future"));
    g.kill();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

fn a_time_limit_ends_it() {
    let limited = timeout(Duration::from_millis(2), || block_on(pending::<()>()));
    assert!(limited.is_err());
}

fn a_panic_inside_the_poll_comes_out_once() {
    let g = spawn(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            block_on(async {
                YieldOnce::default().await;
                panic!("by the future");
            })
        }));
        let payload = caught.unwrap_err();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "by the future");
        // Nothing of it is left.
        block_on(YieldOnce::default());
        7
    });
    assert_eq!(g.get().unwrap(), 7);
}

fn a_waker_of_an_earlier_call_wakes_nobody_later() {
    let (sender, wakers) = mpsc::channel::<Waker>();
    for _ in 0..3 {
        block_on(poll_fn(|context| {
            sender.send(context.waker().clone()).unwrap();
            Poll::Ready(())
        }));
    }
    let gate = Arc::new(Gate::default());
    let theirs = Arc::clone(&gate);
    let (handed, hand) = mpsc::channel();
    let g = spawn(move || block_on(theirs.wait(|waker| handed.send(waker).unwrap())));
    let id = g.id();
    eventually("it waits", || line_of(id).contains("a future"));
    thread::spawn(move || {
        for waker in wakers.try_iter() {
            waker.wake_by_ref();
            waker.wake();
        }
    })
    .join()
    .unwrap();
    assert!(!g.join_timeout(Duration::from_millis(5)));
    assert_eq!(gate.polls(), 1);
    gate.open();
    let waker: Waker = hand.recv().unwrap();
    waker.wake_by_ref();
    g.join();
    assert_eq!(gate.polls(), 2);
    // After its end, and from an OS thread that is about to go.
    thread::spawn(move || waker.wake()).join().unwrap();
    block_on(YieldOnce::default());
}

fn a_waker_that_is_called_often_polls_no_more_than_it_wakes() {
    let gate = Arc::new(Gate::default());
    let theirs = Arc::clone(&gate);
    let (handed, hand) = mpsc::channel();
    let g = spawn(move || block_on(theirs.wait(|waker| handed.send(waker).unwrap())));
    let id = g.id();
    eventually("it waits", || line_of(id).contains("a future"));
    let waker: Waker = hand.recv().unwrap();
    for _ in 0..100 {
        waker.wake_by_ref();
    }
    eventually("it was polled, and waits again", || {
        gate.polls() > 1 && line_of(id).contains("a future")
    });
    assert!(gate.polls() <= 101);
    let before = gate.polls();
    assert!(!g.join_timeout(Duration::from_millis(5)));
    assert_eq!(gate.polls(), before, "nobody polls without a wake");
    gate.open();
    waker.wake();
    g.join();
}

#[test]
fn os_threads_and_coroutines_of_may_wait_too() {
    let wait = || {
        let gate = Arc::new(Gate::default());
        let theirs = Arc::clone(&gate);
        block_on(gate.wait(|waker| {
            spawn(move || {
                theirs.open();
                waker.wake();
            });
        }));
        gate.polls()
    };
    assert_eq!(wait(), 2);
    // SAFETY: the coroutine uses no thread-local of its own and little stack.
    let coroutine = unsafe { may::coroutine::spawn(wait) };
    assert_eq!(coroutine.join().unwrap(), 2);
}
