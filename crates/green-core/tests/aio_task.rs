//! Tasks: futures with a green thread of their own, and waiting for several.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;

use std::cell::Cell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use green_core::aio::{self, ReturnWhen, Task};
use green_core::event::Event;
use green_core::{Failure, block_on, sleep, spawn, yield_now};
use support::eventually;

on_hubs! { on_one_hub, 1, [
    tasks_start_in_order_and_take_turns,
    a_local_task_shares_with_its_spawner,
    a_task_may_block_without_stopping_others,
] }

on_hubs! { on_two_hubs, 2, [
    a_task_stays_on_one_os_thread,
    dropping_a_task_cancels_it_and_runs_destructors,
    dropping_a_task_that_has_not_started_drops_its_future,
    a_cancelled_task_can_still_be_awaited,
    a_detached_task_goes_on,
    a_panic_is_the_result,
    the_result_is_taken_once,
    a_greenlet_is_awaited_and_lives_on_if_that_is_dropped,
    gather_keeps_the_order_and_returns_the_first_failure,
    dropping_gather_cancels_all,
    gather_results_returns_failures_too,
    wait_for_all_for_the_first_and_for_a_while,
    wait_for_the_first_failure,
    futures_of_tasks_are_send,
] }

const EVER: Duration = Duration::from_secs(600);

struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counter() -> (Arc<AtomicUsize>, Counts) {
    let counter = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&counter), Counts(counter))
}

fn tasks_start_in_order_and_take_turns() {
    let order = Rc::new(Cell::new(String::new()));
    let note = |order: &Cell<String>, text| order.set(order.take() + text);
    let tasks = ["a", "b"].map(|name| {
        let order = Rc::clone(&order);
        aio::spawn_local(async move {
            for _ in 0..3 {
                note(&order, name);
                aio::sleep(Duration::ZERO).await;
            }
        })
    });
    block_on(aio::gather(tasks)).unwrap();
    assert_eq!(order.take(), "ababab");
}

fn a_local_task_shares_with_its_spawner() {
    let shared = Rc::new(Cell::new(1));
    let theirs = Rc::clone(&shared);
    let task = aio::spawn_local(async move {
        aio::sleep(Duration::from_millis(1)).await;
        theirs.set(2);
        theirs
    });
    let theirs = block_on(task).unwrap();
    assert!(Rc::ptr_eq(&shared, &theirs) && shared.get() == 2);
}

fn a_task_may_block_without_stopping_others() {
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let blocks = aio::spawn(async move {
        theirs.wait();
        block_on(async { 7 })
    });
    let sets = aio::spawn(async move { event.set() });
    block_on(async {
        sets.await.unwrap();
        assert_eq!(blocks.await.unwrap(), 7);
    });
}

fn a_task_stays_on_one_os_thread() {
    let task = || {
        aio::spawn(async {
            let own = thread::current().id();
            for n in 0..10 {
                aio::sleep(Duration::from_millis(n % 3)).await;
                assert_eq!(thread::current().id(), own);
                aio::blocking(|| ()).await;
                assert_eq!(thread::current().id(), own);
                spawn(yield_now).await.unwrap();
                assert_eq!(thread::current().id(), own);
            }
        })
    };
    block_on(aio::gather((0..10).map(|_| task()))).unwrap();
}

fn dropping_a_task_cancels_it_and_runs_destructors() {
    let (dropped, counts) = counter();
    let started = Arc::new(Event::new());
    let theirs = Arc::clone(&started);
    let task = aio::spawn(async move {
        let _counts = counts;
        theirs.set();
        pending::<()>().await;
    });
    started.wait();
    let g = task.greenlet().clone();
    drop(task);
    g.join();
    assert!(matches!(g.get(), Err(Failure::Killed)));
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

fn dropping_a_task_that_has_not_started_drops_its_future() {
    let (dropped, counts) = counter();
    let task = aio::spawn_local(async move {
        let _counts = counts;
        unreachable!("it was cancelled");
    });
    drop::<Task<()>>(task);
    eventually("the future is dropped", || {
        dropped.load(Ordering::Relaxed) == 1
    });
}

fn a_cancelled_task_can_still_be_awaited() {
    let task = aio::spawn(aio::sleep(EVER));
    task.abort();
    assert!(matches!(block_on(task), Err(Failure::Killed)));
}

fn a_detached_task_goes_on() {
    let done = Arc::new(Event::new());
    let theirs = Arc::clone(&done);
    aio::spawn(async move {
        aio::sleep(Duration::from_millis(2)).await;
        theirs.set();
    })
    .detach();
    done.wait();
}

fn a_panic_is_the_result() {
    let task = aio::spawn(async { panic!("in the task") });
    match block_on(task) {
        Err(Failure::Panicked(panic)) => assert_eq!(panic.message(), "in the task"),
        other => panic!("{other:?}"),
    }
}

fn the_result_is_taken_once() {
    let mut task = aio::spawn(async { 7 });
    block_on(async {
        assert_eq!((&mut task).await.unwrap(), 7);
        assert!(matches!((&mut task).await, Err(Failure::Taken)));
    });
}

fn a_greenlet_is_awaited_and_lives_on_if_that_is_dropped() {
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let g = spawn(move || {
        theirs.wait();
        7
    });
    let awaited = aio::timeout(Duration::from_millis(2), g.clone());
    assert!(block_on(awaited).is_err());
    assert!(!g.ready());
    event.set();
    assert_eq!(block_on(g).unwrap(), 7);
}

fn gather_keeps_the_order_and_returns_the_first_failure() {
    let task = |n: u64| {
        aio::spawn(async move {
            aio::sleep(Duration::from_millis(5 - n)).await;
            n
        })
    };
    assert_eq!(
        block_on(aio::gather((0..5).map(task))).unwrap(),
        [0, 1, 2, 3, 4]
    );
    let (dropped, counts) = counter();
    let go = Arc::new(Event::new());
    let theirs = Arc::clone(&go);
    let others = aio::spawn(async move {
        let _counts = counts;
        theirs.wait_async().await;
    });
    let other = others.greenlet().clone();
    let failed = block_on(aio::gather([others, aio::spawn(async { panic!("first") })]));
    assert!(matches!(failed, Err(Failure::Panicked(_))));
    assert_eq!(dropped.load(Ordering::Relaxed), 0, "the others run on");
    go.set();
    other.join();
    assert!(other.get().is_ok());
    let none = aio::gather(Vec::<Task<()>>::new());
    assert!(block_on(none).unwrap().is_empty());
}

fn dropping_gather_cancels_all() {
    let (dropped, counts) = counter();
    let counts = Arc::new(counts);
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let counts = Arc::clone(&counts);
            aio::spawn(async move {
                let _counts = counts;
                pending::<()>().await;
            })
        })
        .collect();
    drop(counts);
    let limited = aio::timeout(Duration::from_millis(2), aio::gather(tasks));
    assert!(block_on(limited).is_err());
    eventually("all are gone", || dropped.load(Ordering::Relaxed) == 1);
}

fn gather_results_returns_failures_too() {
    let tasks = (0..3).map(|n| {
        aio::spawn(async move {
            assert_ne!(n, 1);
            n
        })
    });
    let results = block_on(aio::gather_results(tasks));
    assert!(matches!(
        results[..],
        [Ok(0), Err(Failure::Panicked(_)), Ok(2)]
    ));
}

fn wait_for_all_for_the_first_and_for_a_while() {
    block_on(async {
        let tasks = (0..3).map(|n| aio::spawn(aio::sleep(Duration::from_millis(n))));
        let (done, pending) = aio::wait(tasks, ReturnWhen::AllCompleted, None).await;
        assert_eq!((done.len(), pending.len()), (3, 0));

        let tasks = [aio::spawn(aio::sleep(EVER)), aio::spawn(async {})].map(|task| task);
        let (done, pending) = aio::wait(tasks, ReturnWhen::FirstCompleted, None).await;
        assert_eq!((done.len(), pending.len()), (1, 1));

        let begun = Instant::now();
        let limit = Duration::from_millis(3);
        let (done, pending) = aio::wait(pending, ReturnWhen::AllCompleted, Some(limit)).await;
        assert_eq!((done.len(), pending.len()), (0, 1));
        assert!(begun.elapsed() >= limit);
        assert!(!pending[0].is_finished(), "nobody cancels them");
    });
}

fn wait_for_the_first_failure() {
    block_on(async {
        let cancelled = aio::spawn(pending());
        cancelled.abort();
        let tasks = [
            aio::spawn(pending()),
            cancelled,
            aio::spawn(async { panic!("a failure") }),
        ];
        let (done, pending) = aio::wait(tasks, ReturnWhen::FirstException, None).await;
        let done: Vec<Result<(), Failure>> = aio::gather_results(done).await;
        assert!(matches!(done.last(), Some(Err(Failure::Panicked(_)))));
        assert!(!pending.is_empty());
    });
}

fn futures_of_tasks_are_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    fn is_sync<T: Sync>(value: T) -> T {
        value
    }
    let task = is_send(is_sync(aio::spawn(async { 7 })));
    let gathered = is_send(aio::gather([task]));
    assert_eq!(block_on(gathered).unwrap(), [7]);
    drop(is_send(is_sync(aio::sleep(EVER))));
    drop(is_send(aio::timeout(EVER, aio::sleep(EVER))));
    drop(is_send(aio::wait(
        [aio::spawn(async {})],
        ReturnWhen::AllCompleted,
        Some(EVER),
    )));
    drop(is_send(aio::blocking(|| ())));
    let event = Event::new();
    drop(is_send(event.wait_async()));
    let queue = green_core::queue::Queue::<u8>::unbounded();
    drop(is_send(queue.get_async()));
    drop(is_send(queue.put_async(7)));
    let (sender, mut receiver) = green_core::sync::mpsc::sync_channel::<u8>(1);
    drop(is_send(sender.send_async(7)));
    drop(is_send(receiver.recv_async()));
    sleep(Duration::ZERO);
    fn is_future<F: Future>(_: &F) {}
    is_future(&receiver.recv_async());
}
