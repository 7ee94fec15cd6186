//! smol's tasks and timers.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use smol::Timer;
use smol::channel;
use smol::future::yield_now;

use super::Smol;
use crate::peers::Tasks;
use crate::sleep::Naps;
use crate::yield_now::Turns;

impl Tasks for Smol {
    fn yield_now(&self, turns: &Arc<Turns>, yields: u64) -> io::Result<Duration> {
        let (executor, turns) = (Rc::clone(&self.executor), Arc::clone(turns));
        Ok(self.run(async move {
            let start = Instant::now();
            let tasks = [1, 2].map(|name| {
                let turns = Arc::clone(&turns);
                executor.spawn(async move {
                    for _ in 0..yields {
                        turns.take(name);
                        yield_now().await;
                    }
                })
            });
            for task in tasks {
                task.await;
            }
            start.elapsed()
        }))
    }

    fn spawn_join(
        &self,
        batches: usize,
        tasks: usize,
        ran: &Arc<AtomicU64>,
    ) -> io::Result<Duration> {
        let (executor, ran) = (Rc::clone(&self.executor), Arc::clone(ran));
        Ok(self.run(async move {
            let mut handles = Vec::with_capacity(tasks);
            let start = Instant::now();
            for _ in 0..batches {
                for _ in 0..tasks {
                    let ran = Arc::clone(&ran);
                    handles.push(executor.spawn(async move {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }));
                }
                for handle in handles.drain(..) {
                    handle.await;
                }
            }
            start.elapsed()
        }))
    }

    fn spawn(&self, batches: usize, tasks: usize, ran: &Arc<AtomicU64>) -> io::Result<Duration> {
        let (executor, ran) = (Rc::clone(&self.executor), Arc::clone(ran));
        self.run(async move {
            let (sender, over) = channel::bounded(1);
            let start = Instant::now();
            for batch in 1..=batches {
                let all = (batch * tasks) as u64;
                for _ in 0..tasks {
                    let (ran, sender) = (Arc::clone(&ran), sender.clone());
                    let task = async move {
                        if ran.fetch_add(1, Ordering::Relaxed) + 1 == all {
                            // There is room, and the receiver waits.
                            let _ = sender.try_send(());
                        }
                    };
                    executor.spawn(task).detach();
                }
                over.recv().await.map_err(io::Error::other)?;
            }
            Ok(start.elapsed())
        })
    }

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<Duration> {
        let executor = Rc::clone(&self.executor);
        let parked = Arc::new(AtomicU64::new(0));
        Ok(self.run(async move {
            let start = Instant::now();
            for _ in 0..tasks {
                let parked = Arc::clone(&parked);
                let task = async move {
                    parked.fetch_add(1, Ordering::Relaxed);
                    Timer::after(duration).await;
                };
                executor.spawn(task).detach();
            }
            while parked.load(Ordering::Relaxed) < tasks as u64 {
                yield_now().await;
            }
            start.elapsed()
        }))
    }

    fn sleep(&self, naps: &Arc<Naps>) -> io::Result<()> {
        let (executor, naps) = (Rc::clone(&self.executor), Arc::clone(naps));
        self.run(async move {
            let (sender, over) = channel::bounded(1);
            for index in 0..naps.len() {
                let (naps, sender) = (Arc::clone(&naps), sender.clone());
                let task = async move {
                    let nap = naps.begin(index);
                    Timer::after(nap.length).await;
                    if naps.end(nap) {
                        // There is room, and the receiver waits.
                        let _ = sender.try_send(());
                    }
                };
                executor.spawn(task).detach();
            }
            over.recv().await.map_err(io::Error::other)
        })
    }
}
