//! The pool of connections of the examples, with connections that do as they are told.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use green_core::{Failure, Greenlet};
use green_examples::pool::{GetError, ManageConnection, Pool, Pooled};
use green_tests::{Random, eventually};

#[test]
fn a_connection_is_used_again() {
    let (pool, facts) = pool(2);
    let first = pool.get().unwrap().number;
    for _ in 0..10 {
        assert_eq!(pool.get().unwrap().number, first);
    }
    assert_eq!(facts.made.load(Ordering::Relaxed), 1);
    assert_eq!(facts.checked.load(Ordering::Relaxed), 10);
    assert_eq!((pool.idle(), pool.taken()), (1, 0));
}

#[test]
fn there_are_not_more_than_allowed() {
    let (pool, facts) = pool(3);
    let held: Vec<_> = (0..3).map(|_| pool.get().unwrap()).collect();
    let limit = Duration::from_millis(30);
    let start = Instant::now();
    let error = pool.get_timeout(limit).unwrap_err();
    assert!(matches!(error, GetError::TimedOut(_)));
    assert!(start.elapsed() >= limit);
    assert_eq!(pool.taken(), 3, "who gave up has no place");
    drop(held);
    assert_eq!((pool.idle(), pool.taken()), (3, 0));
    assert_eq!(facts.live.load(Ordering::Relaxed), 3);
    drop(pool);
    assert_eq!(facts.live.load(Ordering::Relaxed), 0);
}

#[test]
fn who_came_first_is_served_first() {
    let (pool, _) = pool(1);
    let order = Queue::unbounded();
    let held = pool.get().unwrap();
    let mut waiters = Vec::new();
    for number in 0..10 {
        let (waiting, order) = (pool.clone(), order.clone());
        waiters.push(green_core::spawn(move || {
            let connection = waiting.get().unwrap();
            order.put(number).unwrap();
            drop(connection);
        }));
        eventually("it waits", || debug_shows(&pool, "waiting", number + 1));
    }
    drop(held);
    // A place is on its way to the first of them: whoever comes now comes last.
    drop(pool.get().unwrap());
    order.close();
    assert!(order.iter().eq(0..10));
    for waiter in waiters {
        waiter.into_result().unwrap();
    }
}

#[test]
fn a_broken_connection_is_replaced() {
    let (pool, facts) = pool(1);
    let mut connection = pool.get().unwrap();
    connection.broken = true;
    drop(connection);
    assert_eq!(pool.idle(), 0, "it does not come back");
    assert_eq!(pool.get().unwrap().number, 1);

    facts.all_dead.store(true, Ordering::Relaxed);
    assert_eq!(
        pool.get().unwrap().number,
        2,
        "found dead when it is wanted"
    );
    assert_eq!(facts.live.load(Ordering::Relaxed), 1);
}

#[test]
fn a_connection_that_cannot_be_made_takes_no_place() {
    let (pool, facts) = pool(1);
    facts.refuse.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(pool.get().unwrap_err(), Refused);
        let error = pool.get_timeout(Duration::from_secs(10)).unwrap_err();
        assert!(matches!(error, GetError::Connect(Refused)));
    }
    assert_eq!(pool.taken(), 0);
    facts.refuse.store(false, Ordering::Relaxed);
    pool.get().unwrap();
}

#[test]
fn a_connection_that_takes_too_long_is_out_of_time() {
    let (pool, facts) = pool(1);
    facts.slow.store(true, Ordering::Relaxed);
    let error = pool.get_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, GetError::TimedOut(_)));
    assert_eq!((pool.idle(), pool.taken()), (0, 0));
}

#[test]
fn a_holder_that_ends_badly_gives_its_connection_back() {
    let (pool, _) = pool(1);
    let (taken, holder) = hold(&pool);
    taken.wait();
    holder.kill();
    assert!(matches!(holder.into_result(), Err(Failure::Killed)));
    assert_eq!((pool.idle(), pool.taken()), (1, 0));

    let panicking = {
        let pool = pool.clone();
        green_core::spawn(move || {
            let _connection = pool.get().unwrap();
            std::panic::resume_unwind(Box::new("as asked"))
        })
    };
    let result: Result<(), _> = panicking.into_result();
    assert!(matches!(result, Err(Failure::Panicked(_))));
    assert_eq!((pool.idle(), pool.taken()), (1, 0));
}

#[test]
fn a_waiter_that_is_killed_takes_nothing() {
    let (pool, _) = pool(1);
    let (taken, holder) = hold(&pool);
    taken.wait();
    let (_, waiter) = hold(&pool);
    eventually("it waits", || debug_shows(&pool, "waiting", 1));
    waiter.kill();
    assert!(debug_shows(&pool, "waiting", 0));
    holder.kill();
    pool.get_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn it_works_on_os_threads_too() {
    let (pool, facts) = pool(2);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    pool.get_timeout(Duration::from_secs(20)).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..50 {
        pool.get().unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(facts.made.load(Ordering::Relaxed) <= 2);
}

/// Holders and waiters that are killed or run out of time at any moment, for a while.
#[test]
fn no_place_and_no_connection_is_lost() {
    let (pool, facts) = pool(4);
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..40)
        .map(|seed| {
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            green_core::spawn(move || {
                let mut random = Random::new(seed);
                while !stop.load(Ordering::Relaxed) {
                    let limit = Duration::from_micros(random.below(3_000));
                    let pool = pool.clone();
                    let broken = random.below(10) == 0;
                    let user = green_core::spawn(move || {
                        if let Ok(mut connection) = pool.get_timeout(limit) {
                            connection.broken = broken;
                            green_core::sleep(limit / 4);
                        }
                    });
                    if random.below(3) == 0 {
                        green_core::sleep(limit / 2);
                        user.kill();
                    } else {
                        user.join();
                    }
                }
            })
        })
        .collect();
    green_core::sleep(Duration::from_secs(2));
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.into_result().unwrap();
    }
    assert!(debug_shows(&pool, "waiting", 0), "{pool:?}");
    assert_eq!(pool.taken(), 0);
    assert_eq!(pool.idle(), facts.live.load(Ordering::Relaxed));
    assert!(facts.most.load(Ordering::Relaxed) <= 4);
}

/// A green thread that holds a connection until it is killed.
fn hold(pool: &Pool<Manager>) -> (Arc<Event>, Greenlet<()>) {
    let taken = Arc::new(Event::new());
    let holder = {
        let (pool, taken) = (pool.clone(), Arc::clone(&taken));
        green_core::spawn(move || {
            let _connection: Pooled<_> = pool.get().unwrap();
            taken.set();
            green_core::sleep(Duration::from_secs(600));
        })
    };
    (taken, holder)
}

fn debug_shows(pool: &Pool<Manager>, field: &str, value: usize) -> bool {
    format!("{pool:?}").contains(&format!("{field}: {value}"))
}

fn pool(max_size: usize) -> (Pool<Manager>, Arc<Facts>) {
    let facts = Arc::new(Facts::default());
    let manager = Manager(Arc::clone(&facts));
    (Pool::new(manager, max_size), facts)
}

/// Makes connections as it is told.
struct Manager(Arc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    made: AtomicUsize,
    checked: AtomicUsize,
    live: Arc<AtomicUsize>,
    most: AtomicUsize,
    refuse: AtomicBool,
    slow: AtomicBool,
    /// What is checked next is found dead.
    all_dead: AtomicBool,
}

#[derive(Debug)]
struct Connection {
    number: usize,
    broken: bool,
    live: Arc<AtomicUsize>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, PartialEq)]
struct Refused;

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Refused;

    fn connect(&self) -> Result<Connection, Refused> {
        green_core::yield_now();
        if self.0.slow.load(Ordering::Relaxed) {
            green_core::sleep(Duration::from_secs(600));
        }
        if self.0.refuse.load(Ordering::Relaxed) {
            return Err(Refused);
        }
        let live = self.0.live.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.most.fetch_max(live, Ordering::Relaxed);
        Ok(Connection {
            number: self.0.made.fetch_add(1, Ordering::Relaxed),
            broken: false,
            live: Arc::clone(&self.0.live),
        })
    }

    fn is_valid(&self, _: &mut Connection) -> Result<(), Refused> {
        green_core::yield_now();
        self.0.checked.fetch_add(1, Ordering::Relaxed);
        if self.0.all_dead.swap(false, Ordering::Relaxed) {
            return Err(Refused);
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.broken
    }
}
