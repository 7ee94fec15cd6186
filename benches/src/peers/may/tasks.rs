//! `may`'s coroutines and their sleep.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use may::coroutine;
use may::sync::mpsc;

use super::{May, join, spawn};
use crate::peers::{Tasks, panicked};
use crate::sleep::Naps;
use crate::yield_now::Turns;

impl Tasks for May {
    fn yield_now(&self, turns: &Arc<Turns>, yields: u64) -> io::Result<Duration> {
        let turns = Arc::clone(turns);
        join(spawn(move || {
            let start = Instant::now();
            let tasks = [1, 2].map(|name| {
                let turns = Arc::clone(&turns);
                spawn(move || {
                    for _ in 0..yields {
                        turns.take(name);
                        coroutine::yield_now();
                    }
                })
            });
            for task in tasks {
                join(task)?;
            }
            Ok(start.elapsed())
        }))?
    }

    fn spawn_join(
        &self,
        batches: usize,
        tasks: usize,
        ran: &Arc<AtomicU64>,
    ) -> io::Result<Duration> {
        let ran = Arc::clone(ran);
        join(spawn(move || {
            let mut handles = Vec::with_capacity(tasks);
            let start = Instant::now();
            for _ in 0..batches {
                for _ in 0..tasks {
                    let ran = Arc::clone(&ran);
                    handles.push(spawn(move || {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }));
                }
                for handle in handles.drain(..) {
                    join(handle)?;
                }
            }
            Ok(start.elapsed())
        }))?
    }

    fn spawn(&self, batches: usize, tasks: usize, ran: &Arc<AtomicU64>) -> io::Result<Duration> {
        let ran = Arc::clone(ran);
        join(spawn(move || {
            let (sender, over) = mpsc::channel();
            let start = Instant::now();
            for batch in 1..=batches {
                let all = (batch * tasks) as u64;
                for _ in 0..tasks {
                    let (ran, sender) = (Arc::clone(&ran), sender.clone());
                    drop(spawn(move || {
                        if ran.fetch_add(1, Ordering::Relaxed) + 1 == all {
                            // The receiver waits.
                            let _ = sender.send(());
                        }
                    }));
                }
                over.recv().map_err(|_| panicked())?;
            }
            Ok(start.elapsed())
        }))?
    }

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<Duration> {
        let (sender, parked) = mpsc::channel();
        let ran = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        for _ in 0..tasks {
            let (ran, sender) = (Arc::clone(&ran), sender.clone());
            drop(spawn(move || {
                if ran.fetch_add(1, Ordering::Relaxed) + 1 == tasks as u64 {
                    // The receiver waits.
                    let _ = sender.send(());
                }
                drop((ran, sender));
                coroutine::sleep(duration);
            }));
        }
        parked.recv().map_err(|_| panicked())?;
        let taken = start.elapsed();
        // The last one has told, and parks within microseconds.
        thread::sleep(Duration::from_millis(20));
        Ok(taken)
    }

    fn sleep(&self, naps: &Arc<Naps>) -> io::Result<()> {
        let naps = Arc::clone(naps);
        let (sender, over) = mpsc::channel();
        for index in 0..naps.len() {
            let (naps, sender) = (Arc::clone(&naps), sender.clone());
            drop(spawn(move || {
                let nap = naps.begin(index);
                coroutine::sleep(nap.length);
                if naps.end(nap) {
                    // The receiver waits.
                    let _ = sender.send(());
                }
            }));
        }
        over.recv().map_err(|_| panicked())
    }
}
