//! OS threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::OsThreads;
use crate::peers::{Tasks, panicked};

impl Tasks for OsThreads {
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

    fn spawn(&self, batches: usize, tasks: usize, ran: &Arc<AtomicU64>) -> io::Result<Duration> {
        let (sender, over) = mpsc::channel();
        let start = Instant::now();
        for batch in 1..=batches {
            let all = (batch * tasks) as u64;
            for _ in 0..tasks {
                let (ran, sender) = (Arc::clone(ran), sender.clone());
                thread::Builder::new().spawn(move || {
                    if ran.fetch_add(1, Ordering::Relaxed) + 1 == all {
                        // The receiver waits.
                        let _ = sender.send(());
                    }
                })?;
            }
            over.recv().map_err(|_| panicked())?;
        }
        Ok(start.elapsed())
    }
}
