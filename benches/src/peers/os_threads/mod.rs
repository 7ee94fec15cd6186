//! std alone: one OS thread per task, std's channels. What blocking code costs without a runtime.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Capacity, Runtime, panicked};

pub(super) struct OsThreads;

impl Runtime for OsThreads {
    fn spawn_join(
        &self,
        batches: usize,
        tasks: usize,
        ran: &Arc<AtomicU64>,
    ) -> io::Result<Duration> {
        let mut handles = Vec::with_capacity(tasks);
        let start = Instant::now();
        for _ in 0..batches {
            for _ in 0..tasks {
                let ran = Arc::clone(ran);
                handles.push(thread::Builder::new().spawn(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                })?);
            }
            for handle in handles.drain(..) {
                handle.join().map_err(|_| panicked())?;
            }
        }
        Ok(start.elapsed())
    }

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
            Capacity::One => {
                let (ping, pings) = sync_channel(1);
                let (pong, pongs) = sync_channel(1);
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
