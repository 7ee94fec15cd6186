//! tokio's channels and locks.

use std::future::ready;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify, RwLock, Semaphore, mpsc};
use tokio::task;

use super::Tokio;
use crate::peers::{Access, Capacity, Primitives, panicked};
use crate::semaphore::Holders;

/// Both ends are spawned tasks, never the main future: that one is scheduled in another way.
impl Primitives for Tokio {
    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        self.runtime
            .block_on(async {
                match capacity {
                    Capacity::Unbounded => ping_pong_unbounded(round_trips).await,
                    Capacity::Bounded(room) => ping_pong_bounded(room.max(1), round_trips).await,
                }
            })
            .ok_or_else(panicked)
    }

    fn spsc(&self, capacity: Capacity, items: u64) -> io::Result<(u64, Duration)> {
        self.runtime
            .block_on(async {
                match capacity {
                    Capacity::Unbounded => spsc_unbounded(items).await,
                    Capacity::Bounded(room) => spsc_bounded(room, items).await,
                }
            })
            .ok_or_else(panicked)
    }

    fn channel_alone(&self, capacity: Capacity, messages: u64) -> io::Result<(u64, Duration)> {
        let alone = match capacity {
            Capacity::Unbounded => self.runtime.spawn(channel_alone_unbounded(messages)),
            Capacity::Bounded(room) => self.runtime.spawn(channel_alone_bounded(room, messages)),
        };
        self.runtime.block_on(alone)?.ok_or_else(panicked)
    }

    fn block_on_ready(&self, times: u64) -> io::Result<(u64, Duration)> {
        let start = Instant::now();
        let sum = (0..times)
            .map(|number| self.runtime.block_on(ready(black_box(number))))
            .sum();
        Ok((sum, start.elapsed()))
    }

    fn wake_across(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
        let ponging = thread::spawn(move || {
            Self::current_thread()?.runtime.block_on(async {
                let mut woken = 0;
                while woken < round_trips {
                    pinged.notified().await;
                    woken += 1;
                    pong.notify_one();
                }
                Ok::<_, io::Error>(woken)
            })
        });
        let taken = self.runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..round_trips {
                ping.notify_one();
                ponged.notified().await;
            }
            start.elapsed()
        });
        Ok((ponging.join().map_err(|_| panicked())??, taken))
    }

    fn tokio_sleeps(&self, tasks: u64, span: Duration) -> io::Result<Duration> {
        self.runtime.block_on(async {
            let start = Instant::now();
            let sleepers: Vec<_> = (0..tasks)
                .map(|_| task::spawn(tokio::time::sleep(span)))
                .collect();
            for sleeper in sleepers {
                sleeper.await?;
            }
            Ok(start.elapsed())
        })
    }

    fn mutex_alone(&self, locks: u64) -> io::Result<(u64, Duration)> {
        let locking = self.runtime.spawn(async move {
            let number = Mutex::new(0);
            let start = Instant::now();
            for _ in 0..locks {
                *number.lock().await += 1;
            }
            (number.into_inner(), start.elapsed())
        });
        Ok(self.runtime.block_on(locking)?)
    }

    fn rwlock_alone(&self, access: Access, locks: u64) -> io::Result<(u64, Duration)> {
        let locking = self.runtime.spawn(async move {
            let number = RwLock::new(1);
            let mut had = 0;
            let start = Instant::now();
            match access {
                Access::Read => {
                    for _ in 0..locks {
                        had += *number.read().await;
                    }
                }
                Access::Write => {
                    for _ in 0..locks {
                        *number.write().await += 1;
                    }
                    had = *number.read().await - 1;
                }
            }
            (had, start.elapsed())
        });
        Ok(self.runtime.block_on(locking)?)
    }

    fn mutex_contended(&self, tasks: u64, locks: u64) -> io::Result<(u64, Duration)> {
        self.runtime.block_on(async {
            let number = Arc::new(Mutex::new(0));
            let start = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let number = Arc::clone(&number);
                    task::spawn(async move {
                        for _ in 0..locks {
                            let mut number = number.lock().await;
                            let read = *number;
                            task::yield_now().await;
                            *number = read + 1;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await?;
            }
            let taken = start.elapsed();
            let number = *number.lock().await;
            Ok((number, taken))
        })
    }

    fn semaphore_alone(&self, times: u64) -> io::Result<(bool, Duration)> {
        let acquiring = self.runtime.spawn(async move {
            let semaphore = Semaphore::new(1);
            let start = Instant::now();
            for _ in 0..times {
                drop(semaphore.acquire().await);
            }
            let taken = start.elapsed();
            (semaphore.try_acquire().is_ok(), taken)
        });
        Ok(self.runtime.block_on(acquiring)?)
    }

    fn semaphore_contended(
        &self,
        holders: &Arc<Holders>,
        tasks: u64,
        times: u64,
    ) -> io::Result<Duration> {
        self.runtime.block_on(async {
            let semaphore = Arc::new(Semaphore::new(2));
            let start = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let (semaphore, holders) = (Arc::clone(&semaphore), Arc::clone(holders));
                    task::spawn(async move {
                        for _ in 0..times {
                            let permit = semaphore.acquire().await;
                            holders.enter();
                            task::yield_now().await;
                            holders.leave();
                            drop(permit);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await?;
            }
            Ok(start.elapsed())
        })
    }

    fn event(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        self.runtime.block_on(async {
            let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
            let ponging = task::spawn(async move {
                let mut woken = 0;
                while woken < round_trips {
                    pinged.notified().await;
                    woken += 1;
                    pong.notify_one();
                }
                woken
            });
            let pinging = task::spawn(async move {
                let start = Instant::now();
                for _ in 0..round_trips {
                    ping.notify_one();
                    ponged.notified().await;
                }
                start.elapsed()
            });
            let taken = pinging.await?;
            Ok((ponging.await?, taken))
        })
    }

    fn event_crowd(&self, tasks: u64, rounds: u64) -> io::Result<(u64, Duration)> {
        self.runtime.block_on(async {
            let (start, all_ran) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let ran = Arc::new(AtomicU64::new(0));
            let wait = |_| {
                let (start, all_ran, ran) =
                    (Arc::clone(&start), Arc::clone(&all_ran), Arc::clone(&ran));
                task::spawn(async move {
                    for _ in 0..rounds {
                        start.notified().await;
                        if (ran.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(tasks) {
                            all_ran.notify_one();
                        }
                    }
                })
            };
            let waiting: Vec<_> = (0..tasks).map(wait).collect();
            let waking = task::spawn(async move {
                task::yield_now().await;
                let begun = Instant::now();
                for _ in 0..rounds {
                    start.notify_waiters();
                    all_ran.notified().await;
                }
                begun.elapsed()
            });
            let taken = waking.await?;
            for task in waiting {
                task.await?;
            }
            Ok((ran.load(Ordering::Relaxed), taken))
        })
    }
}

async fn ping_pong_unbounded(round_trips: u64) -> Option<(u64, Duration)> {
    let (ping, mut pings) = mpsc::unbounded_channel::<u64>();
    let (pong, mut pongs) = mpsc::unbounded_channel::<u64>();
    task::spawn(async move {
        while let Some(number) = pings.recv().await {
            if pong.send(number + 1).is_err() {
                return;
            }
        }
    });
    let pinging = task::spawn(async move {
        let start = Instant::now();
        let mut number = 0;
        for _ in 0..round_trips {
            ping.send(number).ok()?;
            number = pongs.recv().await?;
        }
        Some((number, start.elapsed()))
    });
    pinging.await.ok()?
}

async fn ping_pong_bounded(room: usize, round_trips: u64) -> Option<(u64, Duration)> {
    let (ping, mut pings) = mpsc::channel::<u64>(room);
    let (pong, mut pongs) = mpsc::channel::<u64>(room);
    task::spawn(async move {
        while let Some(number) = pings.recv().await {
            if pong.send(number + 1).await.is_err() {
                return;
            }
        }
    });
    let pinging = task::spawn(async move {
        let start = Instant::now();
        let mut number = 0;
        for _ in 0..round_trips {
            ping.send(number).await.ok()?;
            number = pongs.recv().await?;
        }
        Some((number, start.elapsed()))
    });
    pinging.await.ok()?
}

async fn spsc_unbounded(items: u64) -> Option<(u64, Duration)> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
    let start = Instant::now();
    task::spawn(async move {
        for item in 0..items {
            if sender.send(item).is_err() {
                return;
            }
        }
    });
    let receiving = task::spawn(async move {
        let mut in_order = 0;
        while let Some(item) = receiver.recv().await {
            in_order += u64::from(item == in_order);
        }
        (in_order, start.elapsed())
    });
    receiving.await.ok()
}

async fn spsc_bounded(room: usize, items: u64) -> Option<(u64, Duration)> {
    let (sender, mut receiver) = mpsc::channel::<u64>(room);
    let start = Instant::now();
    task::spawn(async move {
        for item in 0..items {
            if sender.send(item).await.is_err() {
                return;
            }
        }
    });
    let receiving = task::spawn(async move {
        let mut in_order = 0;
        while let Some(item) = receiver.recv().await {
            in_order += u64::from(item == in_order);
        }
        (in_order, start.elapsed())
    });
    receiving.await.ok()
}

async fn channel_alone_unbounded(messages: u64) -> Option<(u64, Duration)> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
    let mut in_order = 0;
    let start = Instant::now();
    for number in 0..messages {
        sender.send(number).ok()?;
        in_order += u64::from(receiver.recv().await? == number);
    }
    Some((in_order, start.elapsed()))
}

async fn channel_alone_bounded(room: usize, messages: u64) -> Option<(u64, Duration)> {
    let (sender, mut receiver) = mpsc::channel::<u64>(room);
    let mut in_order = 0;
    let start = Instant::now();
    for number in 0..messages {
        sender.send(number).await.ok()?;
        in_order += u64::from(receiver.recv().await? == number);
    }
    Some((in_order, start.elapsed()))
}
