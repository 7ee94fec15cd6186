//! tokio's tasks and timers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{self, JoinSet};
use tokio::time;

use super::Tokio;
use crate::peers::Tasks;
use crate::sleep::Naps;
use crate::yield_now::Turns;

impl Tasks for Tokio {
    fn yield_now(&self, turns: &Arc<Turns>, yields: u64) -> io::Result<Duration> {
        self.runtime.block_on(async {
            let start = Instant::now();
            let tasks = [1, 2].map(|name| {
                let turns = Arc::clone(turns);
                task::spawn(async move {
                    for _ in 0..yields {
                        turns.take(name);
                        task::yield_now().await;
                    }
                })
            });
            for task in tasks {
                task.await?;
            }
            Ok(start.elapsed())
        })
    }

    fn spawn_join(
        &self,
        batches: usize,
        tasks: usize,
        ran: &Arc<AtomicU64>,
    ) -> io::Result<Duration> {
        self.runtime.block_on(async {
            let mut handles = Vec::with_capacity(tasks);
            let start = Instant::now();
            for _ in 0..batches {
                for _ in 0..tasks {
                    let ran = Arc::clone(ran);
                    handles.push(task::spawn(async move {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }));
                }
                for handle in handles.drain(..) {
                    handle.await?;
                }
            }
            Ok(start.elapsed())
        })
    }

    fn pool_map(&self, items: u64) -> io::Result<(u64, Duration)> {
        self.runtime.block_on(async {
            let start = Instant::now();
            let mut tasks = JoinSet::new();
            for item in 0..items {
                tasks.spawn(async move { item + 1 });
            }
            let mut sum = 0;
            while let Some(value) = tasks.join_next().await {
                sum += value?;
            }
            Ok((sum, start.elapsed()))
        })
    }

    fn spawn(&self, batches: usize, tasks: usize, ran: &Arc<AtomicU64>) -> io::Result<Duration> {
        self.runtime.block_on(async {
            let over = Arc::new(Notify::new());
            let start = Instant::now();
            for batch in 1..=batches {
                let all = (batch * tasks) as u64;
                for _ in 0..tasks {
                    let (ran, over) = (Arc::clone(ran), Arc::clone(&over));
                    task::spawn(async move {
                        if ran.fetch_add(1, Ordering::Relaxed) + 1 == all {
                            over.notify_one();
                        }
                    });
                }
                over.notified().await;
            }
            Ok(start.elapsed())
        })
    }

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<Duration> {
        let parked = Arc::new(AtomicU64::new(0));
        self.runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..tasks {
                let parked = Arc::clone(&parked);
                task::spawn(async move {
                    parked.fetch_add(1, Ordering::Relaxed);
                    time::sleep(duration).await;
                });
            }
            while parked.load(Ordering::Relaxed) < tasks as u64 {
                task::yield_now().await;
            }
            Ok(start.elapsed())
        })
    }

    fn sleep(&self, naps: &Arc<Naps>) -> io::Result<()> {
        self.runtime.block_on(async {
            let over = Arc::new(Notify::new());
            for index in 0..naps.len() {
                let (naps, over) = (Arc::clone(naps), Arc::clone(&over));
                task::spawn(async move {
                    let nap = naps.begin(index);
                    time::sleep(nap.length).await;
                    if naps.end(nap) {
                        over.notify_one();
                    }
                });
            }
            over.notified().await;
        });
        Ok(())
    }
}
