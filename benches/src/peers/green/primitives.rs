//! green's queues, channels and locks.

use std::future::ready;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::{Channel, Queue};
use green_core::sync::mpsc::{Receiver, channel, sync_channel};
use green_core::sync::{Mutex, RwLock};
use green_core::{Builder, joinall, spawn, stats, yield_now};

use super::Green;
use crate::peers::{Access, Capacity, Primitives, panicked};
use crate::semaphore::Holders;

impl Primitives for Green {
    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        green_core::run(move || match capacity {
            Capacity::Unbounded => ping_pong(round_trips, &Queue::unbounded(), &Queue::unbounded()),
            Capacity::Bounded(0) => ping_pong(round_trips, &Channel::new(), &Channel::new()),
            Capacity::Bounded(room) => {
                ping_pong(round_trips, &Queue::bounded(room), &Queue::bounded(room))
            }
        })
        .ok_or_else(panicked)
    }

    fn spsc(&self, capacity: Capacity, items: u64) -> io::Result<(u64, Duration)> {
        Ok(green_core::run(move || match capacity {
            Capacity::Unbounded => {
                let (sender, receiver) = channel();
                spsc(items, move |item| sender.send(item).ok(), &receiver)
            }
            Capacity::Bounded(room) => {
                let (sender, receiver) = sync_channel(room);
                spsc(items, move |item| sender.send(item).ok(), &receiver)
            }
        }))
    }

    fn channel_alone(&self, capacity: Capacity, messages: u64) -> io::Result<(u64, Duration)> {
        green_core::run(move || match capacity {
            Capacity::Unbounded => {
                let (sender, receiver) = channel();
                channel_alone(messages, |number| sender.send(number).ok(), &receiver)
            }
            Capacity::Bounded(room) => {
                let (sender, receiver) = sync_channel(room);
                channel_alone(messages, |number| sender.send(number).ok(), &receiver)
            }
        })
        .ok_or_else(panicked)
    }

    fn mutex_alone(&self, locks: u64) -> io::Result<(u64, Duration)> {
        green_core::run(move || {
            let number = Mutex::new(0);
            let start = Instant::now();
            for _ in 0..locks {
                *number.lock().ok()? += 1;
            }
            let taken = start.elapsed();
            Some((number.into_inner().ok()?, taken))
        })
        .ok_or_else(panicked)
    }

    fn rwlock_alone(&self, access: Access, locks: u64) -> io::Result<(u64, Duration)> {
        green_core::run(move || {
            let number = RwLock::new(1);
            let mut had = 0;
            let start = Instant::now();
            match access {
                Access::Read => {
                    for _ in 0..locks {
                        had += *number.read().ok()?;
                    }
                }
                Access::Write => {
                    for _ in 0..locks {
                        *number.write().ok()? += 1;
                    }
                    had = *number.read().ok()? - 1;
                }
            }
            Some((had, start.elapsed()))
        })
        .ok_or_else(panicked)
    }

    fn mutex_contended(&self, tasks: u64, locks: u64) -> io::Result<(u64, Duration)> {
        green_core::run(move || {
            let number = Arc::new(Mutex::new(0));
            let start = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .enumerate()
                .map(|(task, _)| {
                    let number = Arc::clone(&number);
                    let builder = Builder::new().hub(task % stats().hubs);
                    builder.spawn(move || {
                        for _ in 0..locks {
                            let Ok(mut number) = number.lock() else {
                                return;
                            };
                            let read = *number;
                            yield_now();
                            *number = read + 1;
                        }
                    })
                })
                .collect::<io::Result<_>>()
                .ok()?;
            joinall(tasks);
            let taken = start.elapsed();
            let number = *number.lock().ok()?;
            Some((number, taken))
        })
        .ok_or_else(panicked)
    }

    fn semaphore_alone(&self, times: u64) -> io::Result<(bool, Duration)> {
        Ok(green_core::run(move || {
            let semaphore = Semaphore::new(1);
            let start = Instant::now();
            for _ in 0..times {
                drop(semaphore.acquire());
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
        let holders = Arc::clone(holders);
        Ok(green_core::run(move || {
            let semaphore = Arc::new(Semaphore::new(2));
            let start = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let (semaphore, holders) = (Arc::clone(&semaphore), Arc::clone(&holders));
                    spawn(move || {
                        for _ in 0..times {
                            let permit = semaphore.acquire();
                            holders.enter();
                            yield_now();
                            holders.leave();
                            drop(permit);
                        }
                    })
                })
                .collect();
            joinall(tasks);
            start.elapsed()
        }))
    }

    fn block_on_ready(&self, times: u64) -> io::Result<(u64, Duration)> {
        Ok(green_core::run(move || {
            let start = Instant::now();
            let sum = (0..times)
                .map(|number| green_core::block_on(ready(black_box(number))))
                .sum();
            (sum, start.elapsed())
        }))
    }

    fn wake_across(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        let (ping, pong) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
        let ponging = Builder::new().hub(0).spawn(move || {
            let mut woken = 0;
            while woken < round_trips {
                green_core::block_on(pinged.wait_async());
                pinged.clear();
                woken += 1;
                pong.set();
            }
            woken
        })?;
        let pinging = Builder::new().hub(1).spawn(move || {
            let start = Instant::now();
            for _ in 0..round_trips {
                ping.set();
                green_core::block_on(ponged.wait_async());
                ponged.clear();
            }
            start.elapsed()
        })?;
        let taken = pinging.into_result().map_err(io::Error::other)?;
        Ok((ponging.into_result().map_err(io::Error::other)?, taken))
    }

    fn tokio_sleeps(&self, tasks: u64, span: Duration) -> io::Result<Duration> {
        // The runtime has started, as the others' has.
        green_async::tokio::run(async {});
        let start = Instant::now();
        let sleepers: Vec<_> = (0..tasks)
            .map(|_| {
                spawn(move || {
                    green_async::tokio::run(async move { tokio::time::sleep(span).await });
                })
            })
            .collect();
        joinall(&sleepers);
        let all = sleepers.iter().all(|sleeper| sleeper.successful());
        all.then(|| start.elapsed()).ok_or_else(panicked)
    }

    fn event(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        green_core::run(move || {
            let (ping, pong) = (Arc::new(Event::new()), Arc::new(Event::new()));
            let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
            let ponging = spawn(move || {
                let mut woken = 0;
                while woken < round_trips {
                    pinged.wait();
                    pinged.clear();
                    woken += 1;
                    pong.set();
                }
                woken
            });
            let start = Instant::now();
            for _ in 0..round_trips {
                ping.set();
                ponged.wait();
                ponged.clear();
            }
            let taken = start.elapsed();
            Some((ponging.into_result().ok()?, taken))
        })
        .ok_or_else(panicked)
    }

    fn event_crowd(&self, tasks: u64, rounds: u64) -> io::Result<(u64, Duration)> {
        Ok(green_core::run(move || {
            let (start, all_ran) = (Arc::new(Event::new()), Arc::new(Event::new()));
            let ran = Arc::new(AtomicU64::new(0));
            let wait = |_| {
                let (start, all_ran, ran) =
                    (Arc::clone(&start), Arc::clone(&all_ran), Arc::clone(&ran));
                spawn(move || {
                    for _ in 0..rounds {
                        start.wait();
                        if (ran.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(tasks) {
                            all_ran.set();
                        }
                    }
                })
            };
            let waiting: Vec<_> = (0..tasks).map(wait).collect();
            yield_now();
            let begun = Instant::now();
            for _ in 0..rounds {
                start.set();
                start.clear();
                all_ran.wait();
                all_ran.clear();
            }
            let taken = begun.elapsed();
            joinall(&waiting);
            (ran.load(Ordering::Relaxed), taken)
        }))
    }
}

/// A queue or a channel.
trait Way: Clone + Send + 'static {
    fn put(&self, number: u64) -> Option<()>;
    fn get(&self) -> Option<u64>;
    fn close(&self);
}

impl Way for Queue<u64> {
    fn put(&self, number: u64) -> Option<()> {
        self.put(number).ok()
    }

    fn get(&self) -> Option<u64> {
        self.get().ok()
    }

    fn close(&self) {
        self.close();
    }
}

impl Way for Channel<u64> {
    fn put(&self, number: u64) -> Option<()> {
        self.put(number).ok()
    }

    fn get(&self) -> Option<u64> {
        self.get().ok()
    }

    fn close(&self) {
        self.close();
    }
}

fn ping_pong<W: Way>(round_trips: u64, pings: &W, pongs: &W) -> Option<(u64, Duration)> {
    let (requests, replies) = (pings.clone(), pongs.clone());
    let ponging = spawn(move || {
        while let Some(number) = requests.get() {
            if replies.put(number + 1).is_none() {
                return;
            }
        }
    });
    let start = Instant::now();
    let mut number = 0;
    for _ in 0..round_trips {
        pings.put(number)?;
        number = pongs.get()?;
    }
    let taken = start.elapsed();
    pings.close();
    ponging.get().ok()?;
    Some((number, taken))
}

/// The two kinds of sender have no common type, so they come as closures.
fn spsc(
    items: u64,
    send: impl Fn(u64) -> Option<()> + Send + 'static,
    receiver: &Receiver<u64>,
) -> (u64, Duration) {
    let start = Instant::now();
    let sending = spawn(move || {
        for item in 0..items {
            if send(item).is_none() {
                return;
            }
        }
    });
    let mut in_order = 0;
    while let Ok(item) = receiver.recv() {
        in_order += u64::from(item == in_order);
    }
    let taken = start.elapsed();
    sending.join();
    (in_order, taken)
}

fn channel_alone(
    messages: u64,
    send: impl Fn(u64) -> Option<()>,
    receiver: &Receiver<u64>,
) -> Option<(u64, Duration)> {
    let mut in_order = 0;
    let start = Instant::now();
    for number in 0..messages {
        send(number)?;
        in_order += u64::from(receiver.recv().ok()? == number);
    }
    Some((in_order, start.elapsed()))
}
