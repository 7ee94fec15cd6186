//! `queue`, row by row of gevent's, and the rules of kills and timeouts that reach it.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(clippy::unwrap_used, reason = "the functions are the bodies of tests")]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;

use std::cmp::Ordering;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering as AtomicOrdering};
use std::time::{Duration, Instant};

use green_core::queue::{
    Channel, GetError, JoinableQueue, LifoQueue, PriorityQueue, PutError, Queue, SimpleQueue,
};
use green_core::{Failure, Greenlet, joinall, sleep, spawn, timeout, yield_now};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

on_hubs!(
    one_hub,
    1,
    [
        q_01_a_lowered_maxsize_evicts_nothing,
        q_02_with_room_put_is_no_switch,
        q_02_parked_putters_are_served_in_order,
        q_03_with_an_item_get_is_no_switch_and_goes_ahead,
        q_03_parked_getters_are_served_in_order,
        q_04_a_peek_passes_its_turn_on,
        q_04_a_clone_that_panics_passes_its_turn_on,
        q_08_join_returns_though_more_is_put,
        q_10_a_comparison_that_panics_loses_nobody,
        q_10_a_get_whose_comparison_panics_loses_nobody,
        q_10_a_comparison_that_waits_panics,
        q_11_the_getter_goes_first,
        q_11_put_without_waiting_needs_a_getter,
        q_11_balance,
        q_11_waiters_in_order,
        rule_08_a_putter_killed_first_gives_nothing,
        rule_09_an_item_goes_to_the_killed_getter,
        rule_46_nobody_is_overtaken_for_ever,
        rule_46_no_putter_is_overtaken_for_ever,
    ]
);

on_hubs!(
    two_hubs,
    2,
    [
        q_01_sizes,
        q_01_a_raised_maxsize_lets_putters_in,
        q_01_copy,
        q_02_full_and_closed_give_the_item_back,
        q_02_an_interrupted_put_puts_nothing,
        q_03_empty_and_a_scope,
        q_04_peek,
        q_05_from_an_os_thread,
        q_06_snapshots,
        q_07_iteration_ends_at_close,
        q_08_task_done_and_join,
        q_08_task_done_too_often,
        q_09_close_wakes_everyone_and_leaves_the_items,
        q_09_close_now_drops_the_items,
        q_09_closed_and_reserved,
        q_10_lifo,
        q_10_priority,
        q_11_a_timed_out_putter_takes_its_item_back,
        q_11_close_gives_offers_back,
        q_11_everybody_at_once,
        q_12_unbounded_is_never_full,
        q_13_errors,
        everything_comes_out_once,
    ]
);

on_hubs!(
    eight_hubs,
    8,
    [
        q_05_from_an_os_thread,
        q_08_task_done_and_join,
        q_11_everybody_at_once,
        everything_comes_out_once,
    ]
);

/// What an OS thread returns; the hub goes on meanwhile.
fn joined<T: Send + 'static>(os_thread: std::thread::JoinHandle<T>) -> T {
    green_core::blocking(|| os_thread.join().unwrap())
}

/// Green threads that each take an item, and return it with their number.
fn getters(queue: &Queue<u32>, numbers: Range<u32>) -> Vec<Greenlet<(u32, u32)>> {
    let getter = |n| {
        let queue = queue.clone();
        spawn(move || (n, queue.get().unwrap()))
    };
    let getters = numbers.map(getter).collect();
    yield_now();
    getters
}

/// Green threads that each put their number.
fn putters(queue: &Queue<u32>, numbers: Range<u32>) -> Vec<Greenlet<bool>> {
    let putter = |n| {
        let queue = queue.clone();
        spawn(move || queue.put(n).is_ok())
    };
    let putters = numbers.map(putter).collect();
    yield_now();
    putters
}

fn drained<T>(queue: &Queue<T>) -> Vec<T> {
    std::iter::from_fn(|| queue.try_get().ok()).collect()
}

fn q_01_sizes() {
    assert_eq!(Queue::<u32>::unbounded().maxsize(), None);
    assert_eq!(Queue::<u32>::bounded(3).maxsize(), Some(3));
    assert_eq!(Queue::<u32>::bounded(0).maxsize(), Some(1));
    let queue: SimpleQueue<_> = (0..5).collect();
    assert_eq!((queue.len(), queue.maxsize()), (5, None));
    queue.set_maxsize(Some(0));
    assert_eq!(queue.maxsize(), Some(1));
    queue.set_maxsize(None);
    assert!(!queue.is_full() && drained(&queue).into_iter().eq(0..5));
}

fn q_01_a_lowered_maxsize_evicts_nothing() {
    let queue: Queue<u32> = (0..4).collect();
    queue.set_maxsize(Some(2));
    assert!(queue.is_full() && queue.len() == 4);
    let putters = putters(&queue, 10..11);
    (0..2).for_each(|n| assert_eq!(queue.get(), Ok(n)));
    yield_now();
    assert!(!putters[0].ready(), "two are still too many");
    assert_eq!(queue.get(), Ok(2));
    putters[0].join();
    assert_eq!(drained(&queue), [3, 10]);
}

fn q_01_a_raised_maxsize_lets_putters_in() {
    let queue = Queue::bounded(1);
    let putters = putters(&queue, 0..5);
    sleep(SHORT);
    assert_eq!(queue.len(), 1);
    queue.set_maxsize(Some(5));
    joinall(&putters);
    assert!(queue.is_full() && queue.len() == 5);
}

fn q_01_copy() {
    let queue = Queue::bounded(3);
    queue.put(1).unwrap();
    let copy = queue.copy();
    copy.put(2).unwrap();
    assert_eq!((queue.len(), copy.len(), copy.maxsize()), (1, 2, Some(3)));
    assert_eq!(copy.unfinished_tasks(), 2);
    assert_eq!(drained(&copy), [1, 2]);
    assert_eq!(PriorityQueue::from_iter([2, 1]).copy().get(), Ok(1));
}

fn q_02_with_room_put_is_no_switch() {
    let queue = Queue::bounded(2);
    let neighbour = spawn(|| ());
    queue.put(1).unwrap();
    queue.put_timeout(2, LONG).unwrap();
    assert!(!neighbour.ready());
}

fn q_02_full_and_closed_give_the_item_back() {
    let queue = Queue::bounded(1);
    queue.put("kept").unwrap();
    let begun = Instant::now();
    assert_eq!(
        queue.put_timeout("back", SHORT),
        Err(PutError::Full("back"))
    );
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(
        queue.put_deadline("back", begun),
        Err(PutError::Full("back"))
    );
    assert_eq!(queue.try_put("back"), Err(PutError::Full("back")));
    queue.close();
    assert_eq!(queue.put("back"), Err(PutError::Closed("back")));
    assert_eq!(queue.try_put("back"), Err(PutError::Closed("back")));
}

fn q_02_an_interrupted_put_puts_nothing() {
    let queue = Queue::bounded(1);
    queue.put(0_u32).unwrap();
    let theirs = queue.clone();
    let killed = spawn(move || theirs.put(1));
    sleep(SHORT);
    killed.kill();
    assert!(timeout(SHORT, || queue.put(2)).is_err());
    assert!(timeout(SHORT, || queue.put_timeout(3, LONG)).is_err());
    assert_eq!(drained(&queue), [0]);
    assert!(matches!(killed.get(), Err(Failure::Killed)));
}

fn q_02_parked_putters_are_served_in_order() {
    let queue = Queue::bounded(1);
    queue.put(100).unwrap();
    let putters = putters(&queue, 0..10);
    assert_eq!(queue.get(), Ok(100));
    assert!((0..10).map(|_| queue.get().unwrap()).eq(0..10));
    joinall(&putters);
}

fn q_03_with_an_item_get_is_no_switch_and_goes_ahead() {
    let queue = Queue::unbounded();
    let parked = getters(&queue, 0..1);
    queue.put(1).unwrap();
    assert_eq!(queue.get(), Ok(1), "ahead of the one that waits");
    yield_now();
    assert!(!parked[0].ready());
    queue.put(2).unwrap();
    assert_eq!(parked[0].get().unwrap(), (0, 2));
}

fn q_03_parked_getters_are_served_in_order() {
    let queue = Queue::unbounded();
    let getters = getters(&queue, 0..10);
    (0..10).for_each(|n| queue.put(n).unwrap());
    joinall(&getters);
    assert!(
        getters
            .iter()
            .all(|g| g.get().is_ok_and(|(n, item)| n == item))
    );
}

fn q_03_empty_and_a_scope() {
    let queue = Queue::<u32>::unbounded();
    let begun = Instant::now();
    assert_eq!(queue.get_timeout(SHORT), Err(GetError::Empty));
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(queue.get_deadline(begun), Err(GetError::Empty));
    assert_eq!(queue.try_get(), Err(GetError::Empty));
    assert!(timeout(SHORT, || queue.get_timeout(LONG)).is_err());
    queue.put(1).unwrap();
    assert_eq!(queue.get_timeout(Duration::ZERO), Ok(1));
}

fn q_04_peek() {
    let queue = Queue::bounded(1);
    assert_eq!(queue.try_peek(), Err(GetError::Empty));
    assert_eq!(queue.peek_timeout(SHORT), Err(GetError::Empty));
    assert_eq!(queue.peek_deadline(Instant::now()), Err(GetError::Empty));
    assert!(timeout(SHORT, || queue.peek()).is_err());
    let theirs = queue.clone();
    let peeks = spawn(move || theirs.peek());
    queue.put(5).unwrap();
    assert_eq!(peeks.get().unwrap(), Ok(5));
    assert_eq!((queue.peek(), queue.try_peek()), (Ok(5), Ok(5)));
    assert!(queue.is_full(), "a look makes no room");
    queue.close();
    assert_eq!((queue.peek(), queue.get()), (Ok(5), Ok(5)));
    assert_eq!(
        (queue.peek(), queue.try_peek()),
        (Err(GetError::Closed), Err(GetError::Closed))
    );
    assert_eq!(LifoQueue::from_iter([1, 2]).peek(), Ok(2));
    assert_eq!(PriorityQueue::from_iter([2, 1]).peek(), Ok(1));
}

fn q_04_a_peek_passes_its_turn_on() {
    let queue = Queue::unbounded();
    let theirs = queue.clone();
    let peeks = spawn(move || theirs.peek());
    yield_now();
    let getters = getters(&queue, 0..1);
    queue.put(7).unwrap();
    assert_eq!(getters[0].get().unwrap(), (0, 7));
    assert_eq!(peeks.get().unwrap(), Ok(7));
}

/// What cannot be cloned.
#[derive(Debug)]
struct Precious;

impl Clone for Precious {
    fn clone(&self) -> Self {
        panic!("not to be cloned")
    }
}

fn q_04_a_clone_that_panics_passes_its_turn_on() {
    let queue = Queue::unbounded();
    let theirs = queue.clone();
    let peeks = spawn(move || theirs.peek().is_ok());
    yield_now();
    let theirs = queue.clone();
    let gets = spawn(move || theirs.get().is_ok());
    yield_now();
    queue.put(Precious).unwrap();
    assert!(gets.get().unwrap());
    assert!(matches!(peeks.get(), Err(Failure::Panicked(_))));
    queue.put(Precious).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| queue.copy())).is_err());
    assert!(queue.try_get().is_ok());
}

fn q_05_from_an_os_thread() {
    let (there, back) = (Queue::bounded(2), Queue::unbounded());
    let theirs = (there.clone(), back.clone());
    let os_thread = std::thread::spawn(move || {
        while theirs.0.try_get().is_err() {
            std::thread::yield_now();
        }
        for n in theirs.0.iter() {
            theirs.1.try_put(n + 1).unwrap();
        }
    });
    (0..100).for_each(|n| there.put(n).unwrap());
    there.close();
    joined(os_thread);
    assert!(drained(&back).into_iter().eq(2..101));
}

fn q_06_snapshots() {
    let queue = Queue::bounded(2);
    assert!(queue.is_empty() && !queue.is_full());
    assert_eq!(queue.len(), 0);
    queue.put(1).unwrap();
    assert!(!queue.is_empty() && !queue.is_full() && queue.len() == 1);
    queue.put(2).unwrap();
    assert!(!queue.is_empty() && queue.is_full() && queue.len() == 2);
    assert_eq!(format!("{queue:?}"), "Queue { len: 2, closed: false, .. }");
    assert_eq!(
        format!("{:?}", LifoQueue::<u32>::unbounded()),
        "LifoQueue { len: 0, closed: false, .. }"
    );
}

fn q_07_iteration_ends_at_close() {
    let queue = Queue::bounded(1);
    let theirs = queue.clone();
    let producer = spawn(move || {
        (0..20).for_each(|n| theirs.put(n).unwrap());
        theirs.close();
    });
    assert!(queue.iter().eq(0..20));
    producer.join();
}

fn q_08_task_done_and_join() {
    let queue = JoinableQueue::from_iter([0, 1]);
    assert_eq!(queue.unfinished_tasks(), 2, "initial items count");
    assert!(!queue.join_timeout(SHORT) && !queue.join_deadline(Instant::now()));
    assert!(timeout(SHORT, || queue.join()).is_err());
    (2..100).for_each(|n| queue.put(n).unwrap());
    let joiners: Vec<_> = (0..100)
        .map(|_| {
            let queue = queue.clone();
            spawn(move || queue.join())
        })
        .collect();
    let workers = [(); 4].map(|()| {
        let queue = queue.clone();
        spawn(move || {
            while queue.try_get().is_ok() {
                yield_now();
                queue.task_done();
            }
        })
    });
    queue.join();
    assert_eq!(queue.unfinished_tasks(), 0);
    joinall(&joiners);
    joinall(&workers);
    assert!(queue.join_timeout(Duration::ZERO), "at once");
}

fn q_08_task_done_too_often() {
    let queue = Queue::unbounded();
    queue.put(1).unwrap();
    queue.task_done();
    let theirs = queue.clone();
    let wrong = spawn(move || theirs.task_done());
    match wrong.into_result() {
        Err(Failure::Panicked(panic)) => assert!(panic.message().contains("more often")),
        other => panic!("{other:?}"),
    }
    assert_eq!(queue.get(), Ok(1), "and the queue goes on");
}

fn q_08_join_returns_though_more_is_put() {
    let queue = Queue::unbounded();
    queue.put(1).unwrap();
    let theirs = queue.clone();
    let joiner = spawn(move || theirs.join());
    yield_now();
    queue.task_done();
    queue.put(2).unwrap();
    let theirs = queue.clone();
    let late = spawn(move || theirs.join());
    joiner.join();
    yield_now();
    assert!(!late.ready());
    queue.task_done();
    late.join();
}

fn q_09_close_wakes_everyone_and_leaves_the_items() {
    let (empty, full) = (Queue::<u32>::unbounded(), Queue::bounded(1));
    full.put(100).unwrap();
    let waiters: Vec<_> = (0..100)
        .map(|n| {
            let (empty, full) = (empty.clone(), full.clone());
            spawn(move || match n % 3 {
                0 => empty.get() == Err(GetError::Closed),
                1 => empty.peek() == Err(GetError::Closed),
                _ => full.put(n) == Err(PutError::Closed(n)),
            })
        })
        .collect();
    sleep(SHORT);
    empty.close();
    full.close();
    full.close();
    assert!(joinall(&waiters).iter().all(|g| g.get().unwrap()));
    assert!(full.is_closed());
    assert_eq!((full.get(), full.get()), (Ok(100), Err(GetError::Closed)));
    assert_eq!(full.unfinished_tasks(), 1);
    full.task_done();
    full.join();
}

fn q_09_close_now_drops_the_items() {
    let item = std::sync::Arc::new(());
    let queue = Queue::bounded(3);
    (0..3).for_each(|_| queue.put(item.clone()).unwrap());
    drop(queue.get());
    queue.put(item.clone()).unwrap();
    let (theirs, more) = (queue.clone(), item.clone());
    let putter = spawn(move || theirs.put(more).is_err());
    let theirs = queue.clone();
    let joiner = spawn(move || theirs.join());
    sleep(SHORT);
    queue.close_now();
    assert!(putter.get().unwrap());
    assert_eq!((queue.len(), queue.unfinished_tasks()), (0, 1));
    assert_eq!(std::sync::Arc::strong_count(&item), 1, "they are gone");
    assert_eq!(queue.get(), Err(GetError::Closed));
    assert!(!joiner.ready());
    queue.task_done();
    joiner.join();
}

fn q_09_closed_and_reserved() {
    // Whatever is kept for those who wait can be taken by anybody once the queue is closed.
    for round in 0..50 {
        let queue = Queue::unbounded();
        let parked = getters(&queue, 0..3);
        for n in 0..40 {
            queue.put(n).unwrap();
            if round % 2 == 0 {
                yield_now();
            }
            queue.try_get().ok();
        }
        (0..3).for_each(|n| queue.put(n).unwrap());
        queue.close();
        let left = queue.iter().count();
        joinall(&parked);
        let served = parked.iter().filter(|getter| getter.get().is_ok()).count();
        assert!(left <= 43 && served <= 3);
        assert!(queue.is_empty());
    }
}

fn q_10_lifo() {
    let stack = LifoQueue::bounded(3);
    (0..3).for_each(|n| stack.put(n).unwrap());
    assert_eq!(stack.try_put(3), Err(PutError::Full(3)));
    stack.close();
    assert!(stack.iter().eq([2, 1, 0]));
}

fn q_10_priority() {
    let queue = PriorityQueue::from_iter([5, 1, 4]);
    queue.put(0).unwrap();
    queue.put(9).unwrap();
    queue.close();
    assert!(queue.iter().eq([0, 1, 4, 5, 9]));
    let joinable = PriorityQueue::unbounded();
    joinable.put(1).unwrap();
    assert!(!joinable.join_timeout(SHORT));
    joinable.task_done();
    joinable.join();
}

/// A number whose comparison does something else as well.
#[derive(Clone, Copy)]
struct Odd(u32, fn());

impl PartialEq for Odd {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Odd {}

impl PartialOrd for Odd {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Odd {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.1)();
        (other.1)();
        self.0.cmp(&other.0)
    }
}

fn q_10_a_comparison_that_panics_loses_nobody() {
    let queue = PriorityQueue::unbounded();
    let getters = [(); 2].map(|()| {
        let queue = queue.clone();
        spawn(move || queue.get().is_ok())
    });
    yield_now();
    queue.put(Odd(1, || ())).unwrap();
    let put = catch_unwind(AssertUnwindSafe(|| {
        queue.put(Odd(0, || panic!("on purpose")))
    }));
    assert!(put.is_err());
    // What was put is there all the same, and both are woken.
    assert!(joinall(&getters).iter().all(|getter| getter.ready()));
}

fn q_10_a_get_whose_comparison_panics_loses_nobody() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    let odd = |n| {
        Odd(n, || {
            assert!(!FAILS.load(AtomicOrdering::Relaxed), "on purpose");
        })
    };
    let queue = PriorityQueue::from_iter([0, 1, 2].map(odd));
    queue.set_maxsize(Some(3));
    let theirs = queue.clone();
    let puts = spawn(move || theirs.put(odd(3)).is_ok());
    yield_now();
    assert!(!puts.ready());
    FAILS.store(true, AtomicOrdering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| queue.try_get())).is_err());
    FAILS.store(false, AtomicOrdering::Relaxed);
    // The item is gone, and there is room for another.
    assert!(puts.get().unwrap());
    queue.close();
    assert_eq!(queue.iter().count(), 3);
}

fn q_10_a_comparison_that_waits_panics() {
    let queue = PriorityQueue::from_iter([Odd(1, || ())]);
    let theirs = queue.clone();
    let puts = spawn(move || theirs.put(Odd(0, yield_now)).is_ok());
    match puts.get() {
        Err(Failure::Panicked(panic)) => assert!(panic.message().contains("no_park")),
        other => panic!("{other:?}"),
    }
    assert!(!queue.is_empty());
}

fn q_11_the_getter_goes_first() {
    let (channel, log) = (Channel::new(), Queue::unbounded());
    let (theirs, their_log) = (channel.clone(), log.clone());
    let putter = spawn(move || {
        for n in 0..2 {
            theirs.put(n).unwrap();
            their_log.put(format!("put{n}")).unwrap();
        }
    });
    let their_log = log.clone();
    let getter = spawn(move || {
        for _ in 0..2 {
            let n = channel.get().unwrap();
            their_log.put(format!("got{n}")).unwrap();
        }
    });
    putter.join();
    getter.join();
    assert_eq!(drained(&log), ["got0", "put0", "got1", "put1"]);
}

fn q_11_put_without_waiting_needs_a_getter() {
    let channel = Channel::new();
    assert_eq!(channel.try_put(1), Err(PutError::Full(1)));
    assert_eq!(channel.try_get(), Err(GetError::Empty));
    let theirs = channel.clone();
    let getter = spawn(move || theirs.get());
    yield_now();
    assert_eq!(channel.try_put(2), Ok(()));
    assert_eq!(
        channel.try_put(3),
        Err(PutError::Full(3)),
        "that one is taken"
    );
    assert_eq!(getter.get().unwrap(), Ok(2));
    let theirs = channel.clone();
    let putter = spawn(move || theirs.put(4));
    yield_now();
    assert_eq!(channel.try_get(), Ok(4));
    assert_eq!(putter.get().unwrap(), Ok(()));
}

fn q_11_balance() {
    let channel = Channel::new();
    assert_eq!(channel.balance(), 0);
    assert!(channel.is_empty() && channel.is_full());
    assert_eq!(channel.len(), 0);
    let getters = [(); 3].map(|()| {
        let channel = channel.clone();
        spawn(move || channel.get())
    });
    yield_now();
    assert_eq!(channel.balance(), -3);
    assert_eq!(
        format!("{channel:?}"),
        "Channel { balance: -3, closed: false, .. }"
    );
    green_core::killall(&getters);
    assert_eq!(channel.balance(), 0);
    let putters = [(); 2].map(|()| {
        let channel = channel.clone();
        spawn(move || channel.put(1))
    });
    yield_now();
    assert_eq!(channel.balance(), 2);
    green_core::killall(&putters);
    assert_eq!(
        (channel.balance(), channel.try_get()),
        (0, Err(GetError::Empty))
    );
}

fn q_11_waiters_in_order() {
    let channel = Channel::default();
    let putters: Vec<_> = (0..10)
        .map(|n| {
            let channel = channel.clone();
            spawn(move || channel.put(n).unwrap())
        })
        .collect();
    yield_now();
    assert!((0..10).map(|_| channel.get().unwrap()).eq(0..10));
    joinall(&putters);
    let getters: Vec<_> = (0..10)
        .map(|_| {
            let channel = channel.clone();
            spawn(move || channel.get().unwrap())
        })
        .collect();
    yield_now();
    (0..10).for_each(|n| channel.put(n).unwrap());
    assert!(getters.iter().map(|getter| getter.get().unwrap()).eq(0..10));
}

fn q_11_a_timed_out_putter_takes_its_item_back() {
    let channel = Channel::new();
    assert_eq!(channel.put_timeout(1, SHORT), Err(PutError::Full(1)));
    assert_eq!(
        channel.put_deadline(1, Instant::now()),
        Err(PutError::Full(1))
    );
    assert!(timeout(SHORT, || channel.put(2)).is_err());
    assert_eq!(channel.get_timeout(SHORT), Err(GetError::Empty));
    assert_eq!(channel.get_deadline(Instant::now()), Err(GetError::Empty));
    assert!(timeout(SHORT, || channel.get()).is_err());
    assert_eq!(channel.balance(), 0);
}

fn q_11_close_gives_offers_back() {
    let channel = Channel::new();
    let putters: Vec<_> = (0..50)
        .map(|n| {
            let channel = channel.clone();
            spawn(move || channel.put(n) == Err(PutError::Closed(n)))
        })
        .collect();
    sleep(SHORT);
    channel.close();
    assert!(joinall(&putters).iter().all(|g| g.get().unwrap()));
    assert_eq!(channel.get(), Err(GetError::Closed));
    assert_eq!(channel.try_put(1), Err(PutError::Closed(1)));
    assert!(channel.is_closed() && channel.iter().next().is_none());
    let other = Channel::<u32>::new();
    let getters = [(); 50].map(|()| {
        let other = other.clone();
        spawn(move || other.get())
    });
    sleep(SHORT);
    other.close();
    assert!(joinall(&getters).iter().all(|g| g.get().unwrap().is_err()));
}

fn q_11_everybody_at_once() {
    let channel = Channel::new();
    let put = {
        let channel = channel.clone();
        move || (1..=100_u64).for_each(|n| channel.put(n).unwrap())
    };
    let get = {
        let channel = channel.clone();
        move || channel.iter().sum::<u64>()
    };
    let os_threads = (
        std::thread::spawn(put.clone()),
        std::thread::spawn(get.clone()),
    );
    let getters = [(); 4].map(|()| spawn(get.clone()));
    let putters = [(); 4].map(|()| spawn(put.clone()));
    joinall(&putters);
    joined(os_threads.0);
    channel.close();
    let got: u64 = getters.iter().map(|getter| getter.get().unwrap()).sum();
    assert_eq!(got + joined(os_threads.1), 5 * 5050);
}

fn q_12_unbounded_is_never_full() {
    let queue = Queue::unbounded();
    (0..10_000).for_each(|n| queue.try_put(n).unwrap());
    assert!(!queue.is_full() && queue.len() == 10_000);
}

fn q_13_errors() {
    assert_eq!(PutError::Full(1).to_string(), "the queue is full");
    assert_eq!(PutError::Closed(1).to_string(), "the queue is closed");
    assert_eq!(PutError::Closed(1).into_inner(), 1);
    assert_eq!(GetError::Empty.to_string(), "the queue is empty");
    assert_eq!(GetError::Closed.to_string(), "the queue is closed");
}

fn rule_08_a_putter_killed_first_gives_nothing() {
    let channel = Channel::new();
    let putters = [1, 2].map(|n| {
        let channel = channel.clone();
        spawn(move || channel.put(n).unwrap())
    });
    yield_now();
    putters[0].kill_nowait();
    assert_eq!(channel.get(), Ok(2));
    joinall(&putters);
    assert!(matches!(putters[0].get(), Err(Failure::Killed)));
    assert_eq!(channel.try_get(), Err(GetError::Empty));
}

fn rule_09_an_item_goes_to_the_killed_getter() {
    let queue = Queue::unbounded();
    let parked = getters(&queue, 0..2);
    queue.put(1).unwrap();
    parked[0].kill();
    assert_eq!(
        parked[0].get().unwrap(),
        (0, 1),
        "it ended before the kill reached it"
    );
    assert!(!parked[1].ready());
    queue.put(2).unwrap();
    assert_eq!(parked[1].get().unwrap(), (1, 2));
}

fn rule_46_nobody_is_overtaken_for_ever() {
    let queue = Queue::unbounded();
    let parked = getters(&queue, 0..3);
    let mut rounds = 0;
    while !parked.iter().all(Greenlet::ready) {
        queue.put(rounds).unwrap();
        // Ahead of those who wait, as long as that goes.
        queue.try_get().ok();
        yield_now();
        rounds += 1;
        assert!(rounds < 3 * 40, "somebody is overtaken for ever");
    }
    assert!(rounds > 3 * 30, "{rounds}");
    assert!(parked.iter().map(|g| g.get().unwrap().0).eq(0..3));
}

fn rule_46_no_putter_is_overtaken_for_ever() {
    let queue = Queue::bounded(1);
    queue.put(100).unwrap();
    let parked = putters(&queue, 0..3);
    let mut rounds = 0;
    while !parked.iter().all(Greenlet::ready) {
        queue.get().unwrap();
        queue.try_put(200).ok();
        yield_now();
        rounds += 1;
        assert!(rounds < 3 * 40, "somebody is overtaken for ever");
    }
}

/// Every queue under load from green threads and OS threads, with and without room.
fn everything_comes_out_once() {
    macro_rules! check {
        ($($queue:expr),*) => {
            $({
                let queue = $queue;
                let put = {
                    let queue = queue.clone();
                    move || (1..=200_u64).for_each(|n| queue.put(n).unwrap())
                };
                let get = {
                    let queue = queue.clone();
                    move || queue.iter().sum::<u64>()
                };
                let os_threads = (std::thread::spawn(put.clone()), std::thread::spawn(get.clone()));
                let getters = [(); 3].map(|()| spawn(get.clone()));
                let putters = [(); 3].map(|()| spawn(put.clone()));
                joinall(&putters);
                joined(os_threads.0);
                queue.close();
                let got: u64 = getters.iter().map(|getter| getter.get().unwrap()).sum();
                assert_eq!(got + joined(os_threads.1), 4 * 20_100);
            })*
        };
    }
    check!(
        Queue::unbounded(),
        Queue::bounded(1),
        Queue::bounded(7),
        LifoQueue::unbounded(),
        LifoQueue::bounded(2),
        PriorityQueue::unbounded(),
        PriorityQueue::bounded(2)
    );
}
