//! std's channels, mutex and condition variable.

use std::io;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use super::OsThreads;
use crate::peers::{Access, Capacity, Primitives, panicked};
use crate::semaphore::Holders;

impl Primitives for OsThreads {
    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        match capacity {
            Capacity::Unbounded => {
                let (ping, pings) = channel();
                let (pong, pongs) = channel();
                ping_pong(
                    round_trips,
                    move |number| ping.send(number).ok(),
                    pings,
                    move |number| pong.send(number).ok(),
                    pongs,
                )
            }
            Capacity::Bounded(room) => {
                let (ping, pings) = sync_channel(room);
                let (pong, pongs) = sync_channel(room);
                ping_pong(
                    round_trips,
                    move |number| ping.send(number).ok(),
                    pings,
                    move |number| pong.send(number).ok(),
                    pongs,
                )
            }
        }
    }

    fn spsc(&self, capacity: Capacity, items: u64) -> io::Result<(u64, Duration)> {
        match capacity {
            Capacity::Unbounded => {
                let (sender, receiver) = channel();
                spsc(items, move |item| sender.send(item).ok(), receiver)
            }
            Capacity::Bounded(room) => {
                let (sender, receiver) = sync_channel(room);
                spsc(items, move |item| sender.send(item).ok(), receiver)
            }
        }
    }

    fn channel_alone(&self, capacity: Capacity, messages: u64) -> io::Result<(u64, Duration)> {
        match capacity {
            Capacity::Unbounded => {
                let (sender, receiver) = channel();
                channel_alone(messages, |number| sender.send(number).ok(), &receiver)
            }
            Capacity::Bounded(room) => {
                let (sender, receiver) = sync_channel(room);
                channel_alone(messages, |number| sender.send(number).ok(), &receiver)
            }
        }
        .ok_or_else(panicked)
    }

    fn mutex_alone(&self, locks: u64) -> io::Result<(u64, Duration)> {
        let number = Mutex::new(0);
        let start = Instant::now();
        for _ in 0..locks {
            *number.lock().map_err(|_| panicked())? += 1;
        }
        let taken = start.elapsed();
        Ok((number.into_inner().map_err(|_| panicked())?, taken))
    }

    fn rwlock_alone(&self, access: Access, locks: u64) -> io::Result<(u64, Duration)> {
        let number = RwLock::new(1);
        let mut had = 0;
        let start = Instant::now();
        match access {
            Access::Read => {
                for _ in 0..locks {
                    had += *number.read().map_err(|_| panicked())?;
                }
            }
            Access::Write => {
                for _ in 0..locks {
                    *number.write().map_err(|_| panicked())? += 1;
                }
                had = *number.read().map_err(|_| panicked())? - 1;
            }
        }
        Ok((had, start.elapsed()))
    }

    fn mutex_contended(&self, tasks: u64, locks: u64) -> io::Result<(u64, Duration)> {
        let number = Arc::new(Mutex::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let number = Arc::clone(&number);
                thread::spawn(move || {
                    for _ in 0..locks {
                        let Ok(mut number) = number.lock() else {
                            return;
                        };
                        let read = *number;
                        thread::yield_now();
                        *number = read + 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().map_err(|_| panicked())?;
        }
        let taken = start.elapsed();
        let number = *number.lock().map_err(|_| panicked())?;
        Ok((number, taken))
    }

    fn event(&self, round_trips: u64) -> io::Result<(u64, Duration)> {
        let (ping, pong) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
        let (pinged, ponged) = (Arc::clone(&ping), Arc::clone(&pong));
        let ponging = thread::spawn(move || {
            let mut woken = 0;
            while woken < round_trips {
                pinged.wait()?;
                woken += 1;
                pong.set()?;
            }
            Some(woken)
        });
        let start = Instant::now();
        for _ in 0..round_trips {
            ping.set().ok_or_else(panicked)?;
            ponged.wait().ok_or_else(panicked)?;
        }
        let taken = start.elapsed();
        let woken = ponging.join().map_err(|_| panicked())?;
        Ok((woken.ok_or_else(panicked)?, taken))
    }

    fn semaphore_alone(&self, times: u64) -> io::Result<(bool, Duration)> {
        let semaphore = Semaphore::new(1);
        let start = Instant::now();
        for _ in 0..times {
            semaphore.acquire().ok_or_else(panicked)?;
            semaphore.release().ok_or_else(panicked)?;
        }
        let taken = start.elapsed();
        let left = semaphore.permits.into_inner().map_err(|_| panicked())?;
        Ok((left == 1, taken))
    }

    fn semaphore_contended(
        &self,
        holders: &Arc<Holders>,
        tasks: u64,
        times: u64,
    ) -> io::Result<Duration> {
        let semaphore = Arc::new(Semaphore::new(2));
        let start = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let (semaphore, holders) = (Arc::clone(&semaphore), Arc::clone(holders));
                thread::spawn(move || {
                    for _ in 0..times {
                        semaphore.acquire()?;
                        holders.enter();
                        thread::yield_now();
                        holders.leave();
                        semaphore.release()?;
                    }
                    Some(())
                })
            })
            .collect();
        for task in tasks {
            let ended = task.join().map_err(|_| panicked())?;
            ended.ok_or_else(panicked)?;
        }
        Ok(start.elapsed())
    }
}

/// The two kinds of sender have no common type, so they come as closures.
fn ping_pong(
    round_trips: u64,
    ping: impl Fn(u64) -> Option<()>,
    pings: Receiver<u64>,
    pong: impl Fn(u64) -> Option<()> + Send + 'static,
    pongs: Receiver<u64>,
) -> io::Result<(u64, Duration)> {
    let ponging = thread::spawn(move || {
        while let Ok(number) = pings.recv() {
            if pong(number + 1).is_none() {
                return;
            }
        }
    });
    let start = Instant::now();
    let mut number = 0;
    for _ in 0..round_trips {
        ping(number).ok_or_else(panicked)?;
        number = pongs.recv().map_err(|_| panicked())?;
    }
    let taken = start.elapsed();
    drop(ping);
    ponging.join().map_err(|_| panicked())?;
    Ok((number, taken))
}

fn spsc(
    items: u64,
    send: impl Fn(u64) -> Option<()> + Send + 'static,
    receiver: Receiver<u64>,
) -> io::Result<(u64, Duration)> {
    let start = Instant::now();
    let sending = thread::spawn(move || {
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
    sending.join().map_err(|_| panicked())?;
    Ok((in_order, taken))
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
        let is_set = self.is_set.lock().ok()?;
        *self.changed.wait_while(is_set, |is_set| !*is_set).ok()? = false;
        Some(())
    }
}

/// A semaphore as one writes it without a type for it. `None` if a panic has poisoned it.
struct Semaphore {
    permits: Mutex<u64>,
    released: Condvar,
}

impl Semaphore {
    fn new(permits: u64) -> Self {
        Self {
            permits: Mutex::new(permits),
            released: Condvar::new(),
        }
    }

    fn acquire(&self) -> Option<()> {
        let permits = self.permits.lock().ok()?;
        *self.released.wait_while(permits, |free| *free == 0).ok()? -= 1;
        Some(())
    }

    fn release(&self) -> Option<()> {
        *self.permits.lock().ok()? += 1;
        self.released.notify_one();
        Some(())
    }
}
