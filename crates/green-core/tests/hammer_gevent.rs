//! A storm on every queue, lock and event: a thousand green threads and four OS threads, kills and time limits at random.
//!
//! `GREEN_HAMMER_SECONDS` says how long each storm lasts: one second, if it is not set.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[expect(dead_code, reason = "this one kills in its own way")]
#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use green_core::event::{AsyncResult, Event};
use green_core::lock::{BoundedSemaphore, RLock, Semaphore};
use green_core::queue::{Channel, GetError, LifoQueue, PriorityQueue, PutError, Queue};
use green_core::{Greenlet, timeout, yield_now};
use hammer::Rng;

const GREEN_THREADS: u64 = 1_000;
const OS_THREADS: u64 = 4;

fn length() -> Duration {
    let seconds = std::env::var("GREEN_HAMMER_SECONDS").ok();
    Duration::from_secs(seconds.map_or(1, |seconds| seconds.parse().expect("seconds")))
}

/// What one of those who take part does all the time: it is told its number.
type Step = dyn Fn(u64, &mut Rng) + Send + Sync;

/// Everyone who takes part.
struct Storm {
    stop: Arc<AtomicBool>,
    workers: Vec<(u64, Greenlet<()>)>,
    os_threads: Vec<std::thread::JoinHandle<()>>,
    step: Arc<Step>,
}

impl Storm {
    /// Blows for the given time, and then stops everyone; they end when what they wait for is there.
    fn blow(step: impl Fn(u64, &mut Rng) + Send + Sync + 'static) -> Self {
        let (stop, step) = (Arc::new(AtomicBool::new(false)), Arc::new(step));
        let mut storm = Self {
            stop: Arc::clone(&stop),
            workers: Vec::new(),
            os_threads: (0..OS_THREADS)
                .map(|role| {
                    let (stop, step) = (Arc::clone(&stop), Arc::clone(&step));
                    std::thread::spawn(move || work(role, role + 5_000, &stop, &*step))
                })
                .collect(),
            step,
        };
        let first = hammer::on_all_hubs(GREEN_THREADS, |role| storm.worker(role, role));
        storm.workers = (0..GREEN_THREADS).zip(first).collect();
        storm.kill_at_random();
        storm.stop.store(true, Ordering::SeqCst);
        storm
    }

    fn worker(&self, role: u64, seed: u64) -> impl FnOnce() + Send + 'static {
        let (stop, step) = (Arc::clone(&self.stop), Arc::clone(&self.step));
        move || work(role, seed, &stop, &*step)
    }

    /// Each one who is killed has a successor.
    fn kill_at_random(&mut self) {
        let (end, mut rng) = (Instant::now() + length(), Rng::new(9));
        let mut seed = 10_000;
        while Instant::now() < end {
            let place = usize::try_from(rng.below(GREEN_THREADS)).expect("an index");
            let (role, victim) = &self.workers[place];
            let role = *role;
            assert!(
                victim.kill_timeout(Duration::from_secs(20)),
                "whoever is killed ends"
            );
            seed += 1;
            self.workers[place] = (role, green_core::spawn(self.worker(role, seed)));
            if rng.below(8) == 0 {
                green_core::sleep(rng.limit());
            }
        }
    }

    /// Those whose roles are `these` end, if nothing was lost.
    fn end(&mut self, what: &str, these: impl Fn(u64) -> bool) {
        let (ending, others) = std::mem::take(&mut self.workers)
            .into_iter()
            .partition(|(role, _)| these(*role));
        self.workers = others;
        let ending: Vec<_> = ending.into_iter().map(|(_, worker)| worker).collect();
        hammer::all_end(what, &ending);
        assert!(
            ending.iter().all(Greenlet::successful),
            "{what}: nobody panics"
        );
    }

    /// Everyone ends.
    fn end_all(mut self, what: &str) {
        self.end(what, |_| true);
        for os_thread in self.os_threads {
            let os_thread = green_core::blocking(|| os_thread.join());
            assert!(os_thread.is_ok(), "{what}: nobody panics");
        }
    }
}

fn work(role: u64, seed: u64, stop: &AtomicBool, step: &dyn Fn(u64, &mut Rng)) {
    let mut rng = Rng::new(seed);
    while !stop.load(Ordering::SeqCst) {
        if rng.below(4) == 0 {
            timeout(rng.limit(), || step(role, &mut Rng::new(seed + 77))).ok();
        } else {
            step(role, &mut rng);
        }
        if rng.below(4) == 0 {
            yield_now();
        }
    }
}

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
                    storm.os_threads.iter().step_by(2).all(|os_thread| os_thread.is_finished())
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

/// One of those who are inside at the same time.
struct Inside<'a>(&'a AtomicI64);

impl<'a> Inside<'a> {
    fn new(count: &'a AtomicI64, most: i64) -> Self {
        let inside = Self(count);
        assert!(
            count.fetch_add(1, Ordering::SeqCst) < most,
            "no more than permits"
        );
        inside
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
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
    let storm = Storm::blow(move |role, rng| match role % 10 {
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
