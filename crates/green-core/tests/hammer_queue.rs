//! A hammer on `Queue`: notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use green_core::queue::{PutError, Queue};
use green_core::timeout;
use hammer::Rng;

const ITEMS: u64 = 300;

/// What went in, and what came out; both counted by whoever did it, without a blocking call between.
#[derive(Default)]
struct Books {
    put: AtomicU64,
    put_sum: AtomicU64,
    got: AtomicU64,
    got_sum: AtomicU64,
}

impl Books {
    fn put_some(&self, queue: &Queue<u64>, count: u64, rng: &mut Rng) {
        for _ in 0..count {
            let item = rng.below(1_000_000);
            let put = match rng.below(3) {
                0 => queue.put_timeout(item, rng.limit()),
                1 => queue.try_put(item),
                _ => queue.put(item),
            };
            match put {
                Ok(()) => {
                    self.put.fetch_add(1, Ordering::Relaxed);
                    self.put_sum.fetch_add(item, Ordering::Relaxed);
                }
                Err(PutError::Full(back)) => assert_eq!(back, item),
                Err(PutError::Closed(_)) => return,
            }
        }
    }

    /// Takes until the queue is closed and empty.
    fn get_all(&self, queue: &Queue<u64>, rng: &mut Rng) {
        for _ in 0..100_000_000_u64 {
            let got = if rng.below(2) == 0 {
                queue.get_timeout(rng.limit())
            } else {
                queue.get()
            };
            match got {
                Ok(item) => {
                    self.got.fetch_add(1, Ordering::Relaxed);
                    self.got_sum.fetch_add(item, Ordering::Relaxed);
                }
                Err(green_core::queue::GetError::Empty) => {}
                Err(green_core::queue::GetError::Closed) => return,
            }
        }
    }

    fn balance(&self) -> [u64; 4] {
        [&self.put, &self.got, &self.put_sum, &self.got_sum].map(|n| n.load(Ordering::Relaxed))
    }
}

fn hammer(queue: &Queue<u64>) {
    let before = hammer::start();
    let books = Arc::new(Books::default());
    let shared = || (Arc::clone(&books), queue.clone());
    let getters = hammer::on_all_hubs(8, |seed| {
        let (books, queue) = shared();
        move || books.get_all(&queue, &mut Rng::new(seed))
    });
    let victims = hammer::on_all_hubs(12, |seed| {
        let (books, queue) = shared();
        move || books.get_all(&queue, &mut Rng::new(seed + 100))
    });
    let limited = hammer::on_all_hubs(8, |seed| {
        let (books, queue) = shared();
        move || {
            let mut rng = Rng::new(seed + 200);
            for _ in 0..40 {
                timeout(rng.limit(), || {
                    books.get_all(&queue, &mut Rng::new(seed + 250));
                })
                .ok();
            }
        }
    });
    let putters = hammer::on_all_hubs(8, |seed| {
        let (books, queue) = shared();
        move || books.put_some(&queue, ITEMS, &mut Rng::new(seed + 300))
    });
    let killed_putters = hammer::on_all_hubs(8, |seed| {
        let (books, queue) = shared();
        move || books.put_some(&queue, ITEMS * 100, &mut Rng::new(seed + 400))
    });
    let (books_there, queue_there) = shared();
    let os_putter =
        thread::spawn(move || books_there.put_some(&queue_there, ITEMS, &mut Rng::new(500)));
    let (books_there, queue_there) = shared();
    let os_getter = thread::spawn(move || books_there.get_all(&queue_there, &mut Rng::new(501)));
    let (books_there, queue_there) = shared();
    // SAFETY: the coroutine uses no thread-local of its own and little stack.
    let may_putter = unsafe {
        may::coroutine::spawn(move || {
            books_there.put_some(&queue_there, ITEMS, &mut Rng::new(600));
        })
    };
    let (books_there, queue_there) = shared();
    // SAFETY: as above.
    let may_getter = unsafe {
        may::coroutine::spawn(move || books_there.get_all(&queue_there, &mut Rng::new(601)))
    };
    let mut rng = Rng::new(700);
    hammer::kill_in_random_order(&victims, &mut rng);
    hammer::kill_in_random_order(&killed_putters, &mut rng);
    victims
        .iter()
        .chain(&killed_putters)
        .for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("killed putters", &killed_putters);
    hammer::all_end("putters", &putters);
    os_putter.join().expect("nothing panics");
    may_putter.join().expect("nothing panics");
    hammer::all_end("limited", &limited);
    queue.close();
    hammer::all_end("getters", &getters);
    os_getter.join().expect("nothing panics");
    may_getter.join().expect("nothing panics");
    let [put, got, put_sum, got_sum] = books.balance();
    assert_eq!((put, put_sum), (got, got_sum), "every item comes out once");
    assert!(queue.is_empty());
    hammer::settled(&before);
}

#[test]
fn unbounded() {
    hammer(&Queue::unbounded());
}

#[test]
fn bounded_by_one() {
    hammer(&Queue::bounded(1));
}

#[test]
fn bounded_by_five() {
    hammer(&Queue::bounded(5));
}
