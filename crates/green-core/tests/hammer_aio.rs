//! A hammer on futures: wakes, kills, time limits and drops race, in tasks, green threads, OS threads, and coroutines of `may`.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::{GetError, Queue};
use green_core::{aio, block_on, sleep, spawn, timeout, yield_now};
use hammer::Rng;

const PERMITS: usize = 3;
const WORKERS: u64 = 12;
const ROUNDS: u64 = 60;

struct Shared {
    semaphore: Semaphore,
    inside: AtomicUsize,
}

/// Counts who is inside, also on the way out by a kill.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn enter(inside: &'a AtomicUsize) -> Self {
        assert!(
            inside.fetch_add(1, Ordering::SeqCst) < PERMITS,
            "more inside than permits"
        );
        Self(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    async fn pass(&self, rng: &mut Rng) {
        let permit = match rng.below(4) {
            0 => aio::timeout(rng.limit(), self.semaphore.acquire_async())
                .await
                .ok(),
            1 => Some(self.semaphore.acquire()),
            _ => Some(self.semaphore.acquire_async().await),
        };
        if permit.is_some() {
            let _inside = Inside::enter(&self.inside);
            match rng.below(4) {
                0 => aio::sleep(rng.limit()).await,
                1 => yield_now(),
                _ => {}
            }
        }
    }
}

#[test]
fn permits() {
    let before = hammer::start();
    let shared = Arc::new(Shared {
        semaphore: Semaphore::new(PERMITS),
        inside: AtomicUsize::new(0),
    });
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..ROUNDS {
                let limit = rng.limit();
                match rng.below(4) {
                    0 => drop(timeout(limit, || block_on(shared.pass(&mut rng)))),
                    1 => drop(block_on(aio::timeout(limit, shared.pass(&mut rng)))),
                    2 => {
                        let (shared, seed) = (Arc::clone(&shared), rng.below(1 << 20));
                        let task = aio::spawn(async move {
                            shared.pass(&mut Rng::new(seed)).await;
                        });
                        // Cancelled as it is dropped, unless it is done.
                        drop(block_on(aio::timeout(limit, task)));
                    }
                    _ => block_on(shared.pass(&mut rng)),
                }
            }
        }
    });
    let victims = hammer::on_all_hubs(WORKERS, |seed| {
        let shared = Arc::clone(&shared);
        move || {
            let mut rng = Rng::new(seed + 100);
            for _ in 0..1_000_000 {
                block_on(shared.pass(&mut rng));
                yield_now();
            }
        }
    });
    let os_threads = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let mut rng = Rng::new(seed + 200);
            (0..ROUNDS).for_each(|_| block_on(shared.pass(&mut rng)));
        })
    });
    let coroutines = [1, 2].map(|seed| {
        let shared = Arc::clone(&shared);
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe {
            may::coroutine::spawn(move || {
                let mut rng = Rng::new(seed + 300);
                (0..ROUNDS).for_each(|_| block_on(shared.pass(&mut rng)));
            })
        }
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(400));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("workers", &workers);
    os_threads
        .into_iter()
        .for_each(|os_thread| os_thread.join().unwrap());
    coroutines
        .into_iter()
        .for_each(|coroutine| coroutine.join().unwrap());
    assert!(workers.iter().all(|worker| worker.get().is_ok()));
    // Tasks that were cancelled may still unwind.
    support::eventually("all permits are back", || {
        shared.semaphore.available() == PERMITS
    });
    assert_eq!(shared.inside.load(Ordering::SeqCst), 0);
    hammer::settled(&before);
}

/// Every item that was put is got, by somebody who was not cancelled.
#[test]
fn items() {
    const ITEMS: usize = 2_000;
    let before = hammer::start();
    let queue = Queue::bounded(4);
    let got = Arc::new(AtomicUsize::new(0));
    let getters = hammer::on_all_hubs(WORKERS, |seed| {
        let (queue, got) = (queue.clone(), Arc::clone(&got));
        move || {
            let mut rng = Rng::new(seed);
            loop {
                let item = match rng.below(3) {
                    0 => queue.get_timeout(rng.limit()),
                    1 => block_on(aio::timeout(rng.limit(), queue.get_async()))
                        .unwrap_or(Err(GetError::Empty)),
                    _ => block_on(queue.get_async()),
                };
                match item {
                    Ok(()) => _ = got.fetch_add(1, Ordering::Relaxed),
                    Err(GetError::Empty) => {}
                    Err(_) => return,
                }
            }
        }
    });
    let putters = hammer::on_all_hubs(4, |seed| {
        let queue = queue.clone();
        move || {
            let mut rng = Rng::new(seed + 100);
            let mut put = 0;
            while put < ITEMS / 4 {
                put += match rng.below(3) {
                    0 => usize::from(queue.put_timeout((), rng.limit()).is_ok()),
                    1 => {
                        let put = aio::timeout(rng.limit(), queue.put_async(()));
                        usize::from(matches!(block_on(put), Ok(Ok(()))))
                    }
                    _ => usize::from(block_on(queue.put_async(())).is_ok()),
                };
            }
        }
    });
    hammer::all_end("putters", &putters);
    queue.close();
    hammer::all_end("getters", &getters);
    assert_eq!(got.load(Ordering::Relaxed), ITEMS);
    hammer::settled(&before);
}

/// Wakers of other OS threads, late, early and often, against kills.
#[test]
fn wakers() {
    let before = hammer::start();
    for round in 0..60 {
        let event = Arc::new(Event::new());
        let waiters = hammer::on_all_hubs(8, |seed| {
            let event = Arc::clone(&event);
            move || {
                let mut rng = Rng::new(seed + round);
                block_on(async {
                    let task = aio::spawn({
                        let event = Arc::clone(&event);
                        async move { event.wait_async().await }
                    });
                    aio::sleep(rng.limit()).await;
                    event.wait_async().await;
                    task.await.expect("nobody cancels it");
                });
            }
        });
        let setter = {
            let event = Arc::clone(&event);
            thread::spawn(move || {
                thread::sleep(Rng::new(round + 7).limit());
                event.set();
            })
        };
        let mut rng = Rng::new(round);
        for waiter in waiters.iter().step_by(3) {
            sleep(rng.limit());
            waiter.kill_nowait();
        }
        hammer::all_end("waiters", &waiters);
        spawn(move || green_core::blocking(move || setter.join().is_ok()))
            .into_result()
            .expect("it ends");
    }
    hammer::settled(&before);
}
