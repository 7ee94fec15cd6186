//! Futures of green things, on any executor: in line with green threads, and nothing is lost if they are dropped.
#![expect(clippy::disallowed_methods, reason = "an OS thread is an executor")]
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use green_core::event::{AsyncResult, Event};
use green_core::lock::{BoundedSemaphore, Semaphore};
use green_core::queue::{Channel, GetError, JoinableQueue, PutError, Queue};
use green_core::sync::mpsc::{channel, sync_channel};
use green_core::{Config, aio, block_on, spawn, stats, yield_now};
use support::eventually;

on_hubs! { on_one_hub, 1, [
    futures_stand_in_line_with_green_threads,
    a_future_that_was_overtaken_keeps_its_place,
    a_dropped_future_passes_its_permit_on,
    a_dropped_future_passes_its_item_on,
    a_dropped_future_passes_its_room_on,
    a_dropped_future_is_in_no_queue,
    a_future_is_woken_by_the_waker_of_its_last_poll,
    a_waker_that_panics_stops_nobody,
    an_event_releases_who_waits_even_if_it_is_cleared,
    closing_a_queue_ends_futures,
    a_channel_hands_items_to_and_from_futures,
    a_dropped_future_takes_its_offer_back_or_passes_its_item_on,
    closing_a_channel_gives_the_offers_of_futures_back,
    a_message_of_a_dropped_send_is_taken_back,
    a_receiver_that_goes_gives_the_message_back,
] }

on_hubs! { on_two_hubs, 2, [
    all_of_them_are_awaited,
    blocking_work_is_awaited_and_its_panic_comes_out,
    a_sleep_that_is_dropped_takes_its_timer_back,
    a_sleep_can_be_polled_late_and_elsewhere,
    a_sleep_of_zero_lets_others_run,
    a_time_limit_of_zero_lets_a_ready_future_pass,
] }

const EVER: Duration = Duration::from_secs(600);

/// Counts how often it was called.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn futures_stand_in_line_with_green_threads() {
    let queue = Queue::unbounded();
    let order = Queue::unbounded();
    let get = |name: &'static str| {
        let (queue, order) = (queue.clone(), order.clone());
        spawn(move || order.put((name, queue.get().unwrap())).unwrap())
    };
    let await_ = |name: &'static str| {
        let (queue, order) = (queue.clone(), order.clone());
        aio::spawn(async move { order.put((name, queue.get_async().await.unwrap())).unwrap() })
    };
    let first = get("first");
    let second = await_("second");
    let third = get("third");
    let fourth = await_("fourth");
    yield_now();
    (1..=4).for_each(|n| queue.put(n).unwrap());
    let names: Vec<_> = order.iter().take(4).collect();
    assert_eq!(
        names,
        [("first", 1), ("second", 2), ("third", 3), ("fourth", 4)]
    );
    first.join();
    third.join();
    block_on(aio::gather([second, fourth])).unwrap();
}

fn a_future_that_was_overtaken_keeps_its_place() {
    let semaphore = Semaphore::new(0);
    let ((first_bell, first_waker), (second_bell, second_waker)) = (bell(), bell());
    let mut first = pin!(semaphore.acquire_async());
    let mut second = pin!(semaphore.acquire_async());
    assert!(poll(first.as_mut(), &first_waker).is_pending());
    assert!(poll(second.as_mut(), &second_waker).is_pending());
    semaphore.release();
    assert_eq!((first_bell.rung(), second_bell.rung()), (1, 0));
    semaphore.try_acquire().unwrap().forget();
    assert!(poll(first.as_mut(), &first_waker).is_pending());
    semaphore.release();
    assert_eq!((first_bell.rung(), second_bell.rung()), (2, 0));
    assert!(poll(first.as_mut(), &first_waker).is_ready());
    assert_eq!(second_bell.rung(), 1, "the permit was dropped");
    assert!(poll(second.as_mut(), &second_waker).is_ready());
}

fn a_dropped_future_passes_its_permit_on() {
    let semaphore = Arc::new(Semaphore::new(0));
    let (_, waker) = bell();
    let mut first = Box::pin(semaphore.acquire_async());
    assert!(poll(first.as_mut(), &waker).is_pending());
    let theirs = Arc::clone(&semaphore);
    let second = spawn(move || drop(theirs.acquire()));
    yield_now();
    semaphore.release();
    assert!(!second.join_timeout(Duration::from_millis(2)));
    drop(first);
    second.join();
    assert_eq!(semaphore.available(), 1);
}

fn a_dropped_future_passes_its_item_on() {
    let queue = Queue::unbounded();
    let (_, waker) = bell();
    let mut first = Box::pin(queue.get_async());
    assert!(poll(first.as_mut(), &waker).is_pending());
    let ((bell, waker), theirs) = (bell(), queue.clone());
    let mut second = pin!(theirs.get_async());
    assert!(poll(second.as_mut(), &waker).is_pending());
    queue.put(7).unwrap();
    assert_eq!(bell.rung(), 0);
    drop(first);
    assert_eq!(bell.rung(), 1);
    assert_eq!(poll(second.as_mut(), &waker), Poll::Ready(Ok(7)));
}

fn a_dropped_future_passes_its_room_on() {
    let queue = Queue::bounded(1);
    queue.put(0).unwrap();
    let (_, waker) = bell();
    let mut first = Box::pin(queue.put_async(1));
    assert!(poll(first.as_mut(), &waker).is_pending());
    let theirs = queue.clone();
    let second = spawn(move || theirs.put(2));
    yield_now();
    assert_eq!(queue.get(), Ok(0));
    drop(first);
    second.get().unwrap().unwrap();
    assert_eq!(queue.get(), Ok(2));
}

fn a_dropped_future_is_in_no_queue() {
    let event = Event::new();
    let (bell, waker) = bell();
    for _ in 0..3 {
        let mut wait = Box::pin(event.wait_async());
        assert!(poll(wait.as_mut(), &waker).is_pending());
        drop(wait);
    }
    event.set();
    assert_eq!(bell.rung(), 0);
    block_on(event.wait_async());
}

fn a_future_is_woken_by_the_waker_of_its_last_poll() {
    let event = Event::new();
    let ((first, first_waker), (second, second_waker)) = (bell(), bell());
    let mut wait = pin!(event.wait_async());
    assert!(poll(wait.as_mut(), &first_waker).is_pending());
    assert!(poll(wait.as_mut(), &second_waker).is_pending());
    event.set();
    assert_eq!((first.rung(), second.rung()), (0, 1));
    assert!(poll(wait.as_mut(), &first_waker).is_ready());
}

fn a_waker_that_panics_stops_nobody() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let event = Arc::new(Event::new());
    let waker = Waker::from(Arc::new(Panics));
    let mut wait = pin!(event.wait_async());
    assert!(poll(wait.as_mut(), &waker).is_pending());
    let theirs = Arc::clone(&event);
    let other = spawn(move || theirs.wait());
    yield_now();
    event.set();
    other.join();
    // A timer calls it, too: a hub's loop.
    let mut sleep = pin!(aio::sleep(Duration::from_millis(1)));
    assert!(poll(sleep.as_mut(), &waker).is_pending());
    green_core::sleep(Duration::from_millis(5));
    assert!(poll(sleep.as_mut(), &waker).is_ready());
}

fn an_event_releases_who_waits_even_if_it_is_cleared() {
    let event = Event::new();
    let (bell, waker) = bell();
    let mut wait = pin!(event.wait_async());
    assert!(poll(wait.as_mut(), &waker).is_pending());
    event.set();
    event.clear();
    assert_eq!(bell.rung(), 1);
    assert!(poll(wait.as_mut(), &waker).is_ready());
    let mut late = pin!(event.wait_async());
    assert!(poll(late.as_mut(), &waker).is_pending());
}

fn closing_a_queue_ends_futures() {
    let queue = Queue::bounded(1);
    let (_, waker) = bell();
    queue.put(0).unwrap();
    let mut put = pin!(queue.put_async(1));
    assert!(poll(put.as_mut(), &waker).is_pending());
    queue.close();
    assert_eq!(
        poll(put.as_mut(), &waker),
        Poll::Ready(Err(PutError::Closed(1)))
    );
    assert_eq!(block_on(queue.get_async()), Ok(0));
    assert_eq!(block_on(queue.get_async()), Err(GetError::Closed));
}

fn a_message_of_a_dropped_send_is_taken_back() {
    let (sender, mut receiver) = sync_channel(1);
    sender.send(0).unwrap();
    let (_, waker) = bell();
    let mut send = Box::pin(sender.send_async(1));
    assert!(poll(send.as_mut(), &waker).is_pending());
    drop(send);
    assert_eq!(block_on(receiver.recv_async()), Ok(0));
    assert!(receiver.try_recv().is_err());
    let mut recv = Box::pin(receiver.recv_async());
    assert!(poll(recv.as_mut(), &waker).is_pending());
    drop(recv);
    sender.send(2).unwrap();
    assert_eq!(receiver.recv(), Ok(2));
}

fn a_receiver_that_goes_gives_the_message_back() {
    let (sender, receiver) = sync_channel(0);
    let (bell, waker) = bell();
    let mut send = pin!(sender.send_async(7));
    assert!(poll(send.as_mut(), &waker).is_pending());
    drop(receiver);
    assert_eq!(bell.rung(), 1);
    match poll(send.as_mut(), &waker) {
        Poll::Ready(Err(error)) => assert_eq!(error.0, 7),
        other => panic!("{other:?}"),
    }
}

fn all_of_them_are_awaited() {
    let event = Arc::new(Event::new());
    let result = Arc::new(AsyncResult::new());
    let (one, other) = (Arc::new(Semaphore::new(0)), BoundedSemaphore::new(1));
    let jobs = JoinableQueue::unbounded();
    jobs.put(1).unwrap();
    let (sender, mut receiver) = channel();
    let (sync_sender, mut sync_receiver) = sync_channel(0);
    let theirs = (
        Arc::clone(&event),
        Arc::clone(&result),
        Arc::clone(&one),
        jobs.clone(),
    );
    let giver = spawn(move || {
        let (event, result, one, jobs) = theirs;
        for step in 0..6 {
            green_core::sleep(Duration::from_millis(1));
            match step {
                0 => event.set(),
                1 => result.set(7).unwrap(),
                2 => one.release(),
                3 => jobs.task_done(),
                4 => sender.send(8).unwrap(),
                _ => sync_sender.send(9).unwrap(),
            }
        }
    });
    block_on(async {
        event.wait_async().await;
        assert_eq!(result.wait_async().await.unwrap(), &7);
        drop(one.acquire_owned_async().await);
        drop(other.acquire_async().await);
        jobs.join_async().await;
        assert_eq!(receiver.recv_async().await, Ok(8));
        assert_eq!(sync_receiver.recv_async().await, Ok(9));
        assert!(receiver.recv_async().await.is_err());
    });
    giver.join();
}

fn blocking_work_is_awaited_and_its_panic_comes_out() {
    assert_eq!(block_on(aio::blocking(|| 42)), 42);
    let task = aio::spawn(aio::blocking(|| panic!("in the pool")));
    match block_on(task) {
        Err(green_core::Failure::Panicked(panic)) => assert_eq!(panic.message(), "in the pool"),
        other => panic!("{other:?}"),
    }
    let (go, theirs) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let (wait, done) = (Arc::clone(&go), Arc::clone(&theirs));
    let work = aio::blocking(move || {
        wait.wait();
        done.set();
    });
    assert!(block_on(aio::timeout(Duration::from_millis(2), work)).is_err());
    go.set();
    theirs.wait();
}

fn a_sleep_that_is_dropped_takes_its_timer_back() {
    let before = stats().timers;
    let (bell, waker) = bell();
    let mut sleep = Box::pin(aio::sleep(EVER));
    assert!(poll(sleep.as_mut(), &waker).is_pending());
    eventually("it has a timer", || stats().timers > before);
    drop(sleep);
    // `eventually` sleeps, which is a timer only while it looks elsewhere.
    eventually("it has none", || stats().timers <= before);
    assert_eq!(bell.rung(), 0);
}

fn a_sleep_can_be_polled_late_and_elsewhere() {
    let begun = Instant::now();
    let mut sleep = Box::pin(aio::sleep(Duration::from_millis(5)));
    let (bell, waker) = bell();
    assert!(poll(sleep.as_mut(), &waker).is_pending());
    eventually("its waker was called", || bell.rung() == 1);
    spawn(move || block_on(sleep)).join();
    assert!(begun.elapsed() >= Duration::from_millis(5));
}

fn a_sleep_of_zero_lets_others_run() {
    let (bell, waker) = bell();
    let mut sleep = pin!(aio::sleep(Duration::ZERO));
    assert!(poll(sleep.as_mut(), &waker).is_pending());
    assert_eq!(bell.rung(), 1);
    assert!(poll(sleep.as_mut(), &waker).is_ready());
    let never = aio::timeout(Duration::from_millis(2), aio::sleep(Duration::MAX));
    assert!(block_on(never).is_err());
}

fn a_time_limit_of_zero_lets_a_ready_future_pass() {
    assert!(block_on(aio::timeout(Duration::ZERO, async { 7 })).is_ok());
    let never = std::future::pending::<()>();
    let error = block_on(aio::timeout(Duration::ZERO, never)).unwrap_err();
    assert_eq!(error.limit(), Duration::ZERO);
}

/// An OS thread as executor, and the hubs not yet running.
#[test]
fn an_os_thread_awaits_all_of_it_before_the_hubs_run() {
    Config::new().hubs(2).apply().unwrap();
    let begun = Instant::now();
    block_on(aio::sleep(Duration::from_millis(3)));
    assert!(begun.elapsed() >= Duration::from_millis(3));
    let queue = Queue::unbounded();
    let theirs = queue.clone();
    let os_thread = thread::spawn(move || {
        block_on(async {
            let task = aio::spawn(async { 1 });
            task.await.unwrap() + theirs.get_async().await.unwrap()
        })
    });
    queue.put(41).unwrap();
    assert_eq!(os_thread.join().unwrap(), 42);
    assert_eq!(aio::run_until_complete(async { 7 }), 7);
}

fn a_channel_hands_items_to_and_from_futures() {
    let channel = Channel::new();
    let theirs = channel.clone();
    let getter = spawn(move || theirs.get().unwrap());
    yield_now();
    block_on(channel.put_async(1)).unwrap();
    assert_eq!(getter.get().unwrap(), 1);
    let theirs = channel.clone();
    let putter = spawn(move || theirs.put(2).unwrap());
    assert_eq!(block_on(channel.get_async()), Ok(2));
    putter.join();
    let (back, forth) = (channel.clone(), Channel::new());
    let echo = forth.clone();
    let task = aio::spawn(async move {
        while let Ok(n) = echo.get_async().await {
            back.put_async(n + 1).await.unwrap();
        }
    });
    for n in 0..100 {
        forth.put(n).unwrap();
        assert_eq!(channel.get(), Ok(n + 1));
    }
    forth.close();
    block_on(task).unwrap();
}

fn a_dropped_future_takes_its_offer_back_or_passes_its_item_on() {
    let channel = Channel::new();
    let (_, waker) = bell();
    let mut offer = Box::pin(channel.put_async(1));
    assert!(poll(offer.as_mut(), &waker).is_pending());
    assert_eq!(channel.balance(), 1);
    drop(offer);
    assert_eq!(
        (channel.balance(), channel.try_get()),
        (0, Err(GetError::Empty))
    );
    // An offer that was taken is done.
    let mut offer = Box::pin(channel.put_async(2));
    assert!(poll(offer.as_mut(), &waker).is_pending());
    assert_eq!(channel.try_get(), Ok(2));
    assert_eq!(poll(offer.as_mut(), &waker), Poll::Ready(Ok(())));
    let mut first = Box::pin(channel.get_async());
    assert!(poll(first.as_mut(), &waker).is_pending());
    let (bell, waker) = bell();
    let mut second = Box::pin(channel.get_async());
    assert!(poll(second.as_mut(), &waker).is_pending());
    channel.put(3).unwrap();
    drop(first);
    assert_eq!(bell.rung(), 1);
    assert_eq!(poll(second.as_mut(), &waker), Poll::Ready(Ok(3)));
}

fn closing_a_channel_gives_the_offers_of_futures_back() {
    let channel = Channel::new();
    let (bell, waker) = bell();
    let mut offer = Box::pin(channel.put_async(1));
    assert!(poll(offer.as_mut(), &waker).is_pending());
    channel.close();
    assert_eq!(bell.rung(), 1);
    assert_eq!(
        poll(offer.as_mut(), &waker),
        Poll::Ready(Err(PutError::Closed(1)))
    );
    assert_eq!(block_on(channel.get_async()), Err(GetError::Closed));
}

/// They travel between OS threads, as executors have it.
#[test]
fn the_futures_of_a_channel_are_send() {
    fn is_send(_: impl Send) {}
    let channel = Channel::new();
    is_send(channel.put_async(1));
    is_send(channel.get_async());
}
