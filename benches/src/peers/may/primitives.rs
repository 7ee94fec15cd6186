//! `may`'s channels and locks. It has no bounded channel, and a semaphore whose permits are given back by hand.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use may::coroutine;
use may::sync::{Condvar, Mutex, Semphore, mpsc};

use super::{May, join, spawn};
use crate::peers::{Capacity, Primitives, panicked, unsupported};
use crate::semaphore::Holders;

impl Primitives for May {
    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        if matches!(capacity, Capacity::Bounded(_)) {
            return Err(unsupported());
        }
        let (ping, pings) = mpsc::channel::<u64>();
        let (pong, pongs) = mpsc::channel::<u64>();
        drop(spawn(move || {
            while let Ok(number) = pings.recv() {
                if pong.send(number + 1).is_err() {
                    return;
                }
            }
        }));
        join(spawn(move || {
            let start = Instant::now();
            let mut number = 0;
            for _ in 0..round_trips {
                ping.send(number).ok()?;
                number = pongs.recv().ok()?;
            }
            Some((number, start.elapsed()))
        }))?
        .ok_or_else(panicked)
    }

    fn spsc(&self, capacity: Capacity, items: u64) -> io::Result<(u64, Duration)> {
        if matches!(capacity, Capacity::Bounded(_)) {
            return Err(unsupported());
        }
        let (sender, receiver) = mpsc::channel::<u64>();
        let start = Instant::now();
        drop(spawn(move || {
            for item in 0..items {
                if sender.send(item).is_err() {
                    return;
                }
            }
        }));
        join(spawn(move || {
            let mut in_order = 0;
            while let Ok(item) = receiver.recv() {
                in_order += u64::from(item == in_order);
            }
            (in_order, start.elapsed())
        }))
    }

    fn mutex_alone(&self, locks: u64) -> io::Result<(u64, Duration)> {
        join(spawn(move || {
            let number = Mutex::new(0);
            let start = Instant::now();
            for _ in 0..locks {
                *number.lock().ok()? += 1;
            }
            let taken = start.elapsed();
            Some((number.into_inner().ok()?, taken))
        }))?
        .ok_or_else(panicked)
    }

    fn mutex_contended(&self, tasks: u64, locks: u64) -> io::Result<(u64, Duration)> {
        let number = Arc::new(Mutex::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let number = Arc::clone(&number);
                spawn(move || {
                    for _ in 0..locks {
                        let Ok(mut number) = number.lock() else {
                            return;
                        };
                        let read = *number;
                        coroutine::yield_now();
                        *number = read + 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            join(task)?;
        }
        let taken = start.elapsed();
        let number = *number.lock().map_err(|_| panicked())?;
        Ok((number, taken))
    }

    fn semaphore_alone(&self, times: u64) -> io::Result<(bool, Duration)> {
        join(spawn(move || {
            let semaphore = Semphore::new(1);
            let start = Instant::now();
            for _ in 0..times {
                semaphore.wait();
                semaphore.post();
            }
            let taken = start.elapsed();
            (semaphore.try_wait(), taken)
        }))
    }

    fn semaphore_contended(
        &self,
        holders: &Arc<Holders>,
        tasks: u64,
        times: u64,
    ) -> io::Result<Duration> {
        let semaphore = Arc::new(Semphore::new(2));
        let start = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let (semaphore, holders) = (Arc::clone(&semaphore), Arc::clone(holders));
                spawn(move || {
                    for _ in 0..times {
                        semaphore.wait();
                        holders.enter();
                        coroutine::yield_now();
                        holders.leave();
                        semaphore.post();
                    }
                })
            })
            .collect();
        for task in tasks {
            join(task)?;
        }
        Ok(start.elapsed())
    }

    fn event(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        let (ping, pong) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
        let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
        let ponging = spawn(move || {
            let mut woken = 0;
            while woken < round_trips {
                pinged.wait()?;
                woken += 1;
                pong.set()?;
            }
            Some(woken)
        });
        let pinging = spawn(move || {
            let start = Instant::now();
            for _ in 0..round_trips {
                ping.set()?;
                ponged.wait()?;
            }
            Some(start.elapsed())
        });
        let taken = join(pinging)?.ok_or_else(panicked)?;
        Ok((join(ponging)?.ok_or_else(panicked)?, taken))
    }
}

/// An event as one writes it without a type for it. `None` if a panic has poisoned it.
#[derive(Default)]
struct Flag {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn set(&self) -> Option<()> {
        *self.is_set.lock().ok()? = true;
        self.changed.notify_one();
        Some(())
    }

    /// Waits until it is set, and unsets it.
    fn wait(&self) -> Option<()> {
        let mut is_set = self.is_set.lock().ok()?;
        while !*is_set {
            is_set = self.changed.wait(is_set).ok()?;
        }
        *is_set = false;
        Some(())
    }
}
