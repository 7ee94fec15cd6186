//! A storm on every queue, lock and event: a thousand green threads and four OS threads, kills and time limits at random.

#[expect(dead_code, reason = "this one kills in its own way")]
#[path = "support/hammer.rs"]
mod hammer;
#[path = "support/storm.rs"]
mod storm;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use green_core::event::{AsyncResult, Event};
use green_core::lock::{BoundedSemaphore, RLock, Semaphore};
use green_core::queue::{Channel, GetError, LifoQueue, PriorityQueue, PutError, Queue};
use green_core::yield_now;
use hammer::Rng;
use storm::{Inside, Storm};

/// What went in less what came out; changed without a blocking call in between.
#[derive(Default)]
struct Balance {
    count: AtomicI64,
    sum: AtomicI64,
}

impl Balance {
    fn put(&self, item: i64) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.sum.fetch_add(item, Ordering::SeqCst);
    }

    fn got(&self, item: i64) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.sum.fetch_sub(item, Ordering::SeqCst);
    }
}

/// The storm on a queue of any kind: even numbers put, odd ones get.
macro_rules! queues {
    ($($name:ident: $queue:expr, $peek:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let before = hammer::start();
                let (queue, balance) = ($queue, Arc::new(Balance::default()));
                let peek = $peek;
                let (theirs, books) = (queue.clone(), Arc::clone(&balance));
                let step = move |role: u64, rng: &mut Rng| {
                    if role % 2 == 1 {
                        peek(&theirs, rng);
                        let got = match rng.below(3) {
                            0 => theirs.get_timeout(rng.limit()),
                            1 => theirs.try_get(),
                            _ => theirs.get(),
                        };
                        match got {
                            Ok(item) => books.got(item),
                            Err(GetError::Empty | GetError::Closed) => yield_now(),
                        }
                        return;
                    }
                    let item = i64::try_from(rng.below(1_000_000)).expect("a small number");
                    let put = match rng.below(3) {
                        0 => theirs.put_timeout(item, rng.limit()),
                        1 => theirs.try_put(item),
                        _ => theirs.put(item),
                    };
                    match put {
                        Ok(()) => books.put(item),
                        Err(PutError::Full(back)) => {
                            assert_eq!(back, item);
                            yield_now();
                        }
                        Err(PutError::Closed(_)) => unreachable!("only getters are left then"),
                    }
                };
                let mut storm = Storm::blow(step);
                // Getters stop, too: so their items are taken here. Nobody who waits for room is forgotten.
                let (drain, books) = (queue.clone(), Arc::clone(&balance));
                let drainer = green_core::spawn(move || {
                    for item in drain.iter() {
                        books.got(item);
                    }
                });
                storm.end("putters", |role| role % 2 == 0);
                support::eventually("the last items are taken", || queue.is_empty());
                support::eventually("the OS threads that put have ended", || {
                    storm.os_threads_have_ended(|role| role % 2 == 0)
                });
                queue.close();
                storm.end_all("getters");
                drainer.join();
                assert_eq!(balance.count.load(Ordering::SeqCst), 0, "every item comes out once");
                assert_eq!(balance.sum.load(Ordering::SeqCst), 0, "every item comes out as it went in");
                hammer::settled(&before);
            }
        )*
    };
}

queues! {
    queue_unbounded: Queue::unbounded(), |queue: &Queue<i64>, rng: &mut Rng| look(rng, || queue.peek_timeout(LOOK));
    queue_bounded: Queue::bounded(5), |queue: &Queue<i64>, rng: &mut Rng| look(rng, || queue.peek_timeout(LOOK));
    queue_of_one: Queue::bounded(1), |queue: &Queue<i64>, rng: &mut Rng| look(rng, || queue.peek());
    lifo: LifoQueue::bounded(5), |queue: &LifoQueue<i64>, rng: &mut Rng| look(rng, || queue.peek_timeout(LOOK));
    priority: PriorityQueue::bounded(5), |queue: &PriorityQueue<i64>, rng: &mut Rng| look(rng, || queue.peek());
    channel: Channel::new(), |_: &Channel<i64>, _: &mut Rng| ();
}

const LOOK: Duration = Duration::from_micros(50);

/// Sometimes only looks.
fn look<R>(rng: &mut Rng, peek: impl FnOnce() -> R) {
    if rng.below(8) == 0 {
        peek();
    }
}

#[test]
fn tasks_of_a_queue() {
    let before = hammer::start();
    let queue = Queue::bounded(50);
    let theirs = queue.clone();
    let storm = Storm::blow(move |role, rng| match role % 4 {
        0 | 1 => _ = theirs.put_timeout((), rng.limit()),
        2 => {
            // Taken and not done, if the limit or the kill comes between, would be for ever.
            if theirs.try_get().is_ok() {
                theirs.task_done();
            }
            yield_now();
        }
        _ => _ = theirs.join_timeout(rng.limit()),
    });
    let theirs = queue.clone();
    let joiners: Vec<_> = hammer::on_all_hubs(20, |_| {
        let theirs = theirs.clone();
        move || theirs.join()
    });
    let theirs = queue.clone();
    let drainer = green_core::spawn(move || theirs.iter().for_each(|()| theirs.task_done()));
    storm.end_all("workers");
    hammer::all_end("joiners", &joiners);
    queue.join();
    assert_eq!(queue.unfinished_tasks(), 0);
    queue.close();
    drainer.join();
    hammer::settled(&before);
}

/// The storm on a semaphore with three permits.
macro_rules! semaphores {
    ($($name:ident: $semaphore:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let before = hammer::start();
                let (semaphore, inside) = (Arc::new($semaphore), Arc::new(AtomicI64::new(0)));
                let theirs = Arc::clone(&semaphore);
                let storm = Storm::blow(move |_, rng| {
                    let permit = match rng.below(5) {
                        0 => theirs.acquire_timeout(rng.limit()),
                        1 => theirs.try_acquire(),
                        2 => {
                            theirs.wait_timeout(rng.limit());
                            return;
                        }
                        _ => Some(theirs.acquire()),
                    };
                    let Some(_permit) = permit else {
                        return yield_now();
                    };
                    let _inside = Inside::new(&inside, 3);
                    if rng.below(2) == 0 {
                        yield_now();
                    }
                });
                storm.end_all("those who acquire");
                assert_eq!(semaphore.available(), 3);
                hammer::settled(&before);
            }
        )*
    };
}

semaphores! {
    semaphore: Semaphore::new(3);
    bounded_semaphore: BoundedSemaphore::new(3);
}

#[test]
fn rlock() {
    let before = hammer::start();
    let (lock, inside) = (Arc::new(RLock::new()), AtomicI64::new(0));
    let theirs = Arc::clone(&lock);
    let storm = Storm::blow(move |_, rng| {
        let guard = match rng.below(3) {
            0 => theirs.acquire_timeout(rng.limit()),
            1 => theirs.try_acquire(),
            _ => Some(theirs.acquire()),
        };
        let Some(_guard) = guard else {
            return yield_now();
        };
        let _inside = Inside::new(&inside, 1);
        let _again = theirs.acquire();
        if rng.below(2) == 0 {
            yield_now();
        }
        let _once_more = theirs.try_acquire().expect("it is the caller's own");
    });
    storm.end_all("those who acquire");
    assert!(!lock.locked());
    hammer::settled(&before);
}

#[test]
fn event() {
    let before = hammer::start();
    let event = Arc::new(Event::new());
    let theirs = Arc::clone(&event);
    let mut storm = Storm::blow(move |role, rng| match role % 10 {
        0 => {
            theirs.set();
            if rng.below(2) == 0 {
                theirs.clear();
            }
            yield_now();
        }
        1 => _ = theirs.wait_timeout(rng.limit()),
        _ => theirs.wait(),
    });
    // Who clears it could do that after the last `set`.
    let sets = |role| role % 10 == 0;
    storm.end("those who set", sets);
    support::eventually("the OS thread that sets has ended", || {
        storm.os_threads_have_ended(sets)
    });
    event.set();
    storm.end_all("those who wait");
    // Who runs ahead of a wait is known still: nobody is left to.
    event.wait();
    hammer::settled(&before);
}

#[test]
fn async_result() {
    let before = hammer::start();
    let places: Arc<Vec<AsyncResult<u64>>> =
        Arc::new((0..200).map(|_| AsyncResult::new()).collect());
    let (theirs, next, won) = (
        Arc::clone(&places),
        AtomicU64::new(0),
        Arc::new(AtomicU64::new(0)),
    );
    let winners = Arc::clone(&won);
    let place = |n: u64| usize::try_from(n).expect("an index");
    let storm = Storm::blow(move |role, rng| {
        let n = rng.below(200);
        match role % 10 {
            0 => {
                // Now and then the next one, by many at once.
                let n = next.fetch_add(u64::from(rng.below(50) == 0), Ordering::SeqCst) % 200;
                if theirs[place(n)].set(n).is_ok() {
                    winners.fetch_add(1, Ordering::SeqCst);
                }
                yield_now();
            }
            1 => _ = theirs[place(n)].wait_timeout(rng.limit()),
            _ => assert_eq!(theirs[place(n)].get().expect("nobody sets an error"), n),
        }
    });
    for n in 0..200 {
        if places[place(n)].set(n).is_ok() {
            won.fetch_add(1, Ordering::SeqCst);
        }
    }
    storm.end_all("those who get");
    assert_eq!(won.load(Ordering::SeqCst), 200, "each is set once");
    hammer::settled(&before);
}
