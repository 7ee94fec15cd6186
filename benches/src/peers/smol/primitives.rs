//! smol's channels and locks, and `event-listener`, on which they are built.

use std::future::ready;
use std::hint::black_box;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event_listener::Event;
use smol::channel::{self, Receiver, Sender};
use smol::future::yield_now;
use smol::lock::{Mutex, Semaphore};

use super::Smol;
use crate::peers::{Capacity, Primitives, panicked};
use crate::semaphore::Holders;

impl Primitives for Smol {
    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        let executor = Rc::clone(&self.executor);
        self.run(async move {
            let (ping, pings) = queue(capacity);
            let (pong, pongs) = queue(capacity);
            let ponging = async move {
                while let Ok(number) = pings.recv().await {
                    if pong.send(number + 1).await.is_err() {
                        return;
                    }
                }
            };
            executor.spawn(ponging).detach();
            let start = Instant::now();
            let mut number = 0;
            for _ in 0..round_trips {
                ping.send(number).await.ok()?;
                number = pongs.recv().await.ok()?;
            }
            Some((number, start.elapsed()))
        })
        .ok_or_else(panicked)
    }

    fn spsc(&self, capacity: Capacity, items: u64) -> io::Result<(u64, Duration)> {
        let executor = Rc::clone(&self.executor);
        Ok(self.run(async move {
            let (sender, receiver) = queue(capacity);
            let start = Instant::now();
            let sending = async move {
                for item in 0..items {
                    if sender.send(item).await.is_err() {
                        return;
                    }
                }
            };
            executor.spawn(sending).detach();
            let mut in_order = 0;
            while let Ok(item) = receiver.recv().await {
                in_order += u64::from(item == in_order);
            }
            (in_order, start.elapsed())
        }))
    }

    fn mutex_alone(&self, locks: u64) -> io::Result<(u64, Duration)> {
        Ok(self.run(async move {
            let number = Mutex::new(0);
            let start = Instant::now();
            for _ in 0..locks {
                *number.lock().await += 1;
            }
            (number.into_inner(), start.elapsed())
        }))
    }

    fn mutex_contended(&self, tasks: u64, locks: u64) -> io::Result<(u64, Duration)> {
        let executor = Rc::clone(&self.executor);
        Ok(self.run(async move {
            let number = Arc::new(Mutex::new(0));
            let start = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let number = Arc::clone(&number);
                    executor.spawn(async move {
                        for _ in 0..locks {
                            let mut number = number.lock().await;
                            let read = *number;
                            yield_now().await;
                            *number = read + 1;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            let taken = start.elapsed();
            let number = *number.lock().await;
            (number, taken)
        }))
    }

    fn semaphore_alone(&self, times: u64) -> io::Result<(bool, Duration)> {
        Ok(self.run(async move {
            let semaphore = Semaphore::new(1);
            let start = Instant::now();
            for _ in 0..times {
                drop(semaphore.acquire().await);
            }
            let taken = start.elapsed();
            (semaphore.try_acquire().is_some(), taken)
        }))
    }

    fn semaphore_contended(
        &self,
        holders: &Arc<Holders>,
        tasks: u64,
        times: u64,
    ) -> io::Result<Duration> {
        let (executor, holders) = (Rc::clone(&self.executor), Arc::clone(holders));
        Ok(self.run(async move {
            let semaphore = Arc::new(Semaphore::new(2));
            let start = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let (semaphore, holders) = (Arc::clone(&semaphore), Arc::clone(&holders));
                    executor.spawn(async move {
                        for _ in 0..times {
                            let permit = semaphore.acquire().await;
                            holders.enter();
                            yield_now().await;
                            holders.leave();
                            drop(permit);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            start.elapsed()
        }))
    }

    fn block_on_ready(&self, times: u64) -> io::Result<(u64, Duration)> {
        let start = Instant::now();
        let sum = (0..times)
            .map(|number| smol::block_on(ready(black_box(number))))
            .sum();
        Ok((sum, start.elapsed()))
    }

    fn event(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        let executor = Rc::clone(&self.executor);
        Ok(self.run(async move {
            let (ping, pong) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
            let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
            let ponging = executor.spawn(async move {
                let mut woken = 0;
                while woken < round_trips {
                    pinged.wait().await;
                    woken += 1;
                    pong.set();
                }
                woken
            });
            let start = Instant::now();
            for _ in 0..round_trips {
                ping.set();
                ponged.wait().await;
            }
            let taken = start.elapsed();
            (ponging.await, taken)
        }))
    }
}

fn queue(capacity: Capacity) -> (Sender<u64>, Receiver<u64>) {
    match capacity {
        Capacity::Unbounded => channel::unbounded(),
        Capacity::Bounded(room) => channel::bounded(room),
    }
}

/// A flag with an event, as the documentation of `event-listener` writes it.
#[derive(Default)]
struct Flag {
    is_set: AtomicBool,
    changed: Event,
}

impl Flag {
    fn set(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        self.changed.notify(1);
    }

    /// Waits until it is set, and unsets it.
    async fn wait(&self) {
        loop {
            if self.is_set.swap(false, Ordering::SeqCst) {
                return;
            }
            let change = self.changed.listen();
            // It may have been set before there was a listener.
            if self.is_set.swap(false, Ordering::SeqCst) {
                return;
            }
            change.await;
        }
    }
}
