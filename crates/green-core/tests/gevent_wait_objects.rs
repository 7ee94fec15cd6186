//! What `wait` waits for besides green threads and events: semaphores, results and queues (gevent's TOP-11, rule 20).
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod on_hubs;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::{AsyncResult, Event};
use green_core::lock::{BoundedSemaphore, Semaphore};
use green_core::queue::{LifoQueue, PriorityQueue, Queue};
use green_core::{
    Failure, Greenlet, Waitable, iwait, spawn, timeout, wait, wait_count, wait_timeout, yield_now,
};

const NOW: Duration = Duration::ZERO;
const EVER: Duration = Duration::from_secs(600);

macro_rules! on_any_number_of_hubs {
    ($($test:ident)*) => {
        on_hubs!(on_one_hub, 1, [$($test),*]);
        on_hubs!(on_two_hubs, 2, [$($test),*]);
        on_hubs!(on_eight_hubs, 8, [$($test),*]);
    };
}

on_any_number_of_hubs! {
    rule_20_a_free_semaphore_is_ready_and_not_acquired
    rule_20_a_release_is_seen_and_not_taken
    top_11_a_bounded_semaphore
    top_11_a_result_that_is_set_to_a_value_or_an_error
    top_11_every_queue_with_an_item
    top_11_a_queue_that_is_closed_is_ready
    top_11_a_mix_of_everything
    top_11_who_is_killed_or_too_late_leaves_nothing_behind
    top_11_whoever_is_ahead_and_gives_up_is_stepped_over
}

on_hubs!(
    in_order,
    1,
    [
        top_11_a_permit_goes_to_who_came_before,
        top_11_an_item_goes_to_who_came_before,
        top_11_who_only_looks_leaves_it_to_the_next_ones,
        top_11_who_comes_later_does_not_get_ahead,
        top_11_a_permit_that_is_kept_for_another_one_is_not_ready,
        top_11_an_item_that_is_kept_for_another_one_is_not_ready,
    ]
);

/// A green thread that waits for this one thing, and has begun to, if there is one hub.
fn waits<W: Waitable + Send + Sync + 'static>(thing: &Arc<W>) -> Greenlet<()> {
    let thing = Arc::clone(thing);
    let g = spawn(move || drop(wait(&[&thing])));
    yield_now();
    g
}

/// Whether it is ready now.
fn is_ready(thing: &dyn Waitable) -> bool {
    wait_timeout(&[thing], NOW) == [0]
}

fn rule_20_a_free_semaphore_is_ready_and_not_acquired() {
    let semaphore = Semaphore::new(1);
    assert!(is_ready(&semaphore));
    assert!(is_ready(&semaphore), "nothing was taken");
    let _permit = semaphore.acquire();
    assert!(!is_ready(&semaphore));
}

fn rule_20_a_release_is_seen_and_not_taken() {
    let semaphore = Arc::new(Semaphore::new(0));
    let all = [(); 3].map(|()| waits(&semaphore));
    semaphore.release();
    all.iter().for_each(Greenlet::join);
    assert_eq!(semaphore.available(), 1);
}

fn top_11_a_bounded_semaphore() {
    let semaphore = Arc::new(BoundedSemaphore::new(1));
    assert!(is_ready(&semaphore));
    let permit = semaphore.acquire();
    let g = waits(&semaphore);
    assert!(!is_ready(&semaphore));
    drop(permit);
    g.join();
    assert_eq!(semaphore.available(), 1);
}

fn top_11_a_result_that_is_set_to_a_value_or_an_error() {
    let results = [(); 2].map(|()| Arc::new(AsyncResult::new()));
    let all = results.each_ref().map(waits);
    assert!(!is_ready(&results[0]));
    results[0].set(7).unwrap();
    results[1].set_exception("no answer").unwrap();
    all.iter().for_each(Greenlet::join);
    assert!(results.iter().all(|result| is_ready(result)));
    assert_eq!(results[0].value(), Some(&7));
}

fn top_11_every_queue_with_an_item() {
    macro_rules! each {
        ($($queue:ident)*) => {$(
            let queue = Arc::new($queue::unbounded());
            let g = waits(&queue);
            assert!(!is_ready(&queue));
            queue.put(7).unwrap();
            g.join();
            assert!(is_ready(&queue));
            assert_eq!(queue.try_get(), Ok(7));
            assert!(!is_ready(&queue));
        )*};
    }
    each!(Queue LifoQueue PriorityQueue);
}

fn top_11_a_queue_that_is_closed_is_ready() {
    for close in [Queue::<u32>::close, Queue::close_now] {
        let queue = Arc::new(Queue::unbounded());
        let g = waits(&queue);
        close(&queue);
        g.join();
        assert!(is_ready(&queue));
    }
}

fn top_11_a_mix_of_everything() {
    let (event, semaphore) = (Event::new(), Semaphore::new(0));
    let (result, queue) = (AsyncResult::new(), Queue::unbounded());
    let g = spawn(|| ());
    g.join();
    let objects: [&dyn Waitable; 5] = [&event, &semaphore, &result, &queue, &g];
    let mut ready = iwait(&objects);
    assert_eq!(ready.next(), Some(4));
    queue.put(()).unwrap();
    assert_eq!(ready.next(), Some(3));
    semaphore.release();
    assert_eq!(ready.next(), Some(1));
    result.set(()).unwrap();
    event.set();
    assert_eq!(ready.collect::<Vec<_>>(), [2, 0]);
}

fn top_11_who_is_killed_or_too_late_leaves_nothing_behind() {
    let (semaphore, queue) = (Arc::new(Semaphore::new(0)), Queue::unbounded());
    for _ in 0..10 {
        let g = waits(&semaphore);
        g.kill();
        let late = timeout(Duration::from_micros(100), || wait(&[&*semaphore, &queue]));
        assert!(late.is_err());
    }
    support::eventually("those who were killed are gone", || {
        Arc::strong_count(&semaphore) == 1
    });
    semaphore.release();
    queue.put(7).unwrap();
    assert_eq!(
        (semaphore.try_acquire().is_some(), queue.try_get()),
        (true, Ok(7))
    );
}

fn top_11_whoever_is_ahead_and_gives_up_is_stepped_over() {
    let (semaphore, queue) = (
        Arc::new(Semaphore::new(0)),
        Arc::new(Queue::<u32>::unbounded()),
    );
    let (theirs, other) = (Arc::clone(&semaphore), Arc::clone(&queue));
    let ahead = spawn(move || theirs.acquire_timeout(EVER).is_some());
    let ahead_too = spawn(move || other.get_timeout(EVER).is_ok());
    yield_now();
    let all = [waits(&semaphore), waits(&queue)];
    ahead.kill();
    ahead_too.kill();
    semaphore.release();
    queue.put(7).unwrap();
    all.iter().for_each(Greenlet::join);
    assert!(matches!(ahead.get(), Err(Failure::Killed)));
    assert_eq!((semaphore.available(), queue.len()), (1, 1));
}

fn top_11_a_permit_goes_to_who_came_before() {
    let semaphore = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&semaphore);
    let ahead = spawn(move || theirs.acquire().forget());
    yield_now();
    let watches = waits(&semaphore);
    semaphore.release();
    ahead.join();
    (0..3).for_each(|_| yield_now());
    assert!(!watches.ready(), "nothing was left for it to see");
    semaphore.release();
    watches.join();
    assert_eq!(semaphore.available(), 1);
}

fn top_11_an_item_goes_to_who_came_before() {
    let queue = Arc::new(Queue::unbounded());
    let theirs = Arc::clone(&queue);
    let ahead = spawn(move || theirs.get());
    yield_now();
    let watches = waits(&queue);
    queue.put(1).unwrap();
    assert_eq!(ahead.get().unwrap(), Ok(1));
    (0..3).for_each(|_| yield_now());
    assert!(!watches.ready(), "nothing was left for it to see");
    queue.put(2).unwrap();
    watches.join();
    assert_eq!(queue.len(), 1);
}

fn top_11_who_only_looks_leaves_it_to_the_next_ones() {
    let semaphore = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&semaphore);
    let looks = spawn(move || theirs.wait());
    yield_now();
    let watches = waits(&semaphore);
    let theirs = Arc::clone(&semaphore);
    let acquires = spawn(move || theirs.acquire().forget());
    yield_now();
    semaphore.release();
    assert_eq!(looks.get().unwrap(), 1);
    watches.join();
    acquires.join();
    assert_eq!(semaphore.available(), 0);
}

fn top_11_who_comes_later_does_not_get_ahead() {
    let semaphore = Arc::new(Semaphore::new(0));
    let watches = waits(&semaphore);
    let passed = Arc::new(AtomicUsize::new(0));
    let later = [(); 3].map(|()| {
        let (semaphore, passed) = (Arc::clone(&semaphore), Arc::clone(&passed));
        spawn(move || {
            let _permit = semaphore.acquire();
            passed.fetch_add(1, Ordering::SeqCst);
        })
    });
    yield_now();
    semaphore.release();
    assert_eq!(wait_count(&[&watches, &later[0]], 1), [0]);
    later.iter().for_each(Greenlet::join);
    assert_eq!(passed.load(Ordering::SeqCst), 3);
}

/// How often those who wait are overtaken before something is kept for them; and some more.
const OVERTAKEN: usize = 40;

fn top_11_a_permit_that_is_kept_for_another_one_is_not_ready() {
    let permits = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&permits);
    let waiter = spawn(move || theirs.acquire().forget());
    yield_now();
    let mut looks = 0;
    for _ in 0..OVERTAKEN {
        permits.release();
        while permits
            .try_acquire()
            .map(|permit| permit.forget())
            .is_none()
        {
            if waiter.ready() {
                return;
            }
            assert_eq!(wait_timeout(&[&permits], NOW), [0; 0], "it cannot be had");
            // Whoever waits for real lets the other one run.
            yield_now();
            looks += 1;
            assert!(looks < 10, "neither gets it");
        }
        yield_now();
    }
    unreachable!("the one that waits was overtaken {OVERTAKEN} times");
}

fn top_11_an_item_that_is_kept_for_another_one_is_not_ready() {
    let queue = Arc::new(Queue::unbounded());
    let theirs = Arc::clone(&queue);
    let waiter = spawn(move || theirs.get().unwrap());
    yield_now();
    for n in 0..OVERTAKEN {
        queue.put(n).unwrap();
        if queue.try_get().is_err() {
            assert_eq!(wait_timeout(&[&queue], NOW), [0; 0], "it cannot be had");
            assert_eq!(waiter.get().unwrap(), n);
            return;
        }
        yield_now();
    }
    unreachable!("the one that waits was overtaken {OVERTAKEN} times");
}
