//! green's green threads and sleep.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::pool::Pool;
use green_core::{joinall, sleep, spawn, yield_now};

use super::Green;
use crate::peers::Tasks;
use crate::sleep::Naps;
use crate::yield_now::Turns;

impl Tasks for Green {
    fn yield_now(&self, turns: &Arc<Turns>, yields: u64) -> io::Result<Duration> {
        let turns = Arc::clone(turns);
        Ok(green_core::run(move || {
            let start = Instant::now();
            let tasks = [1, 2].map(|name| {
                let turns = Arc::clone(&turns);
                spawn(move || {
                    for _ in 0..yields {
                        turns.take(name);
                        yield_now();
                    }
                })
            });
            joinall(tasks);
            start.elapsed()
        }))
    }

    fn spawn_join(
        &self,
        batches: usize,
        tasks: usize,
        ran: &Arc<AtomicU64>,
    ) -> io::Result<Duration> {
        let ran = Arc::clone(ran);
        Ok(green_core::run(move || {
            let mut handles = Vec::with_capacity(tasks);
            let start = Instant::now();
            for _ in 0..batches {
                for _ in 0..tasks {
                    let ran = Arc::clone(&ran);
                    handles.push(spawn(move || {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }));
                }
                joinall(handles.drain(..));
            }
            start.elapsed()
        }))
    }

    fn pool_map(&self, items: u64) -> io::Result<(u64, Duration)> {
        let (sum, taken) = green_core::run(move || {
            let pool = Pool::new(None);
            let start = Instant::now();
            let sum = pool
                .map(0..items, |item| item + 1)
                .map(|values| values.into_iter().sum());
            (sum, start.elapsed())
        });
        Ok((sum.map_err(io::Error::other)?, taken))
    }

    fn spawn(&self, batches: usize, tasks: usize, ran: &Arc<AtomicU64>) -> io::Result<Duration> {
        let ran = Arc::clone(ran);
        Ok(green_core::run(move || {
            let over = Arc::new(Event::new());
            let start = Instant::now();
            for batch in 1..=batches {
                let all = (batch * tasks) as u64;
                for _ in 0..tasks {
                    let (ran, over) = (Arc::clone(&ran), Arc::clone(&over));
                    drop(spawn(move || {
                        if ran.fetch_add(1, Ordering::Relaxed) + 1 == all {
                            over.set();
                        }
                    }));
                }
                over.wait();
                over.clear();
            }
            start.elapsed()
        }))
    }

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<Duration> {
        let parked = Arc::new(AtomicU64::new(0));
        Ok(green_core::run(move || {
            let start = Instant::now();
            for _ in 0..tasks {
                let parked = Arc::clone(&parked);
                drop(spawn(move || {
                    parked.fetch_add(1, Ordering::Relaxed);
                    sleep(duration);
                }));
            }
            while parked.load(Ordering::Relaxed) < tasks as u64 {
                yield_now();
            }
            start.elapsed()
        }))
    }

    fn sleep(&self, naps: &Arc<Naps>) -> io::Result<()> {
        let naps = Arc::clone(naps);
        green_core::run(move || {
            let over = Arc::new(Event::new());
            for index in 0..naps.len() {
                let (naps, over) = (Arc::clone(&naps), Arc::clone(&over));
                drop(spawn(move || {
                    let nap = naps.begin(index);
                    sleep(nap.length);
                    if naps.end(nap) {
                        over.set();
                    }
                }));
            }
            over.wait();
        });
        Ok(())
    }
}
