//! `may`: its coroutines on its own runtime, one worker, not pinned (pinning hurts where cores are shared).
//!
//! # Safety
//!
//! `may::coroutine::spawn` wants coroutines that do not hold a thread-local across a blocking call, because
//! they may go on on another OS thread, and that do not outgrow their stack.
//! 1. The coroutines here use no thread-local of their own and hold nothing of one across a blocking call.
//! 2. Their frames are a few hundred bytes; buffers are on the heap. The stack is `may`'s default, 32 KiB.

#![expect(unsafe_code, reason = "may's own spawn is unsafe")]

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};
use may::net::{TcpListener, TcpStream};
use may::sync::mpsc;

use super::{ANY_LOCAL_PORT, Announce, Capacity, Runtime, panicked, unsupported};
use crate::server::BUFFER_SIZE;
use crate::yield_now::Turns;

pub(super) struct May;

impl May {
    pub(super) fn start() -> Self {
        may::config().set_workers(1).set_worker_pin(false);
        Self
    }
}

impl Runtime for May {
    fn serve_echo(&self, announce: &Announce) -> io::Result<()> {
        let listener = TcpListener::bind(ANY_LOCAL_PORT)?;
        announce(listener.local_addr()?)?;
        join(spawn(move || {
            loop {
                if let Ok((stream, _)) = listener.accept() {
                    drop(spawn(move || echo(stream)));
                }
            }
        }))
    }

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

    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        if matches!(capacity, Capacity::One) {
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

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<()> {
        let parked = Arc::new(AtomicU64::new(0));
        for _ in 0..tasks {
            let parked = Arc::clone(&parked);
            drop(spawn(move || {
                parked.fetch_add(1, Ordering::Relaxed);
                coroutine::sleep(duration);
            }));
        }
        // Not in a coroutine that yields: it would be resumed before any that was newly spawned.
        while parked.load(Ordering::Relaxed) < tasks as u64 {
            thread::sleep(Duration::from_millis(1));
        }
        // The last one has counted itself, and parks within microseconds.
        thread::sleep(Duration::from_millis(20));
        Ok(())
    }
}

fn echo(mut stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
        }
    }
}

/// Spawns a coroutine; only for the closures of this file, which keep to the module's rules.
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: by rules 1 and 2 of the module.
    unsafe { coroutine::spawn(body) }
}

fn join<T>(handle: JoinHandle<T>) -> io::Result<T> {
    handle.join().map_err(|_| panicked())
}
