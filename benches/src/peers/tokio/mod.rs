//! tokio: async tasks on its current-thread runtime, or on its multi-thread runtime with one worker.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Builder};
use tokio::sync::mpsc;
use tokio::task;
use tokio::time;

use super::{ANY_LOCAL_PORT, Announce, Capacity, Runtime, panicked};
use crate::server::BUFFER_SIZE;
use crate::yield_now::Turns;

pub(super) struct Tokio {
    runtime: runtime::Runtime,
}

impl Tokio {
    pub(super) fn current_thread() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime })
    }

    pub(super) fn multi_thread() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self { runtime })
    }
}

impl Runtime for Tokio {
    fn serve_echo(&self, announce: &Announce) -> io::Result<()> {
        let listener = self.runtime.block_on(TcpListener::bind(ANY_LOCAL_PORT))?;
        announce(listener.local_addr()?)?;
        // A task, not the main future: that one runs outside the worker of the multi-thread runtime.
        let accepting = self.runtime.spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    task::spawn(echo(stream));
                }
            }
        });
        self.runtime.block_on(accepting).map_err(io::Error::other)
    }

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

    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        self.runtime
            .block_on(async {
                match capacity {
                    Capacity::Unbounded => ping_pong_unbounded(round_trips).await,
                    Capacity::One => ping_pong_one(round_trips).await,
                }
            })
            .ok_or_else(panicked)
    }

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<()> {
        let parked = Arc::new(AtomicU64::new(0));
        self.runtime.block_on(async {
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
        });
        Ok(())
    }
}

async fn echo(mut stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if stream.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Both tasks are spawned: the main future is scheduled in another way.
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

/// As [`ping_pong_unbounded`], through channels with room for one.
async fn ping_pong_one(round_trips: u64) -> Option<(u64, Duration)> {
    let (ping, mut pings) = mpsc::channel::<u64>(1);
    let (pong, mut pongs) = mpsc::channel::<u64>(1);
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
