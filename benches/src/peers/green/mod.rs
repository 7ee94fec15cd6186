//! green: green threads on one hub.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use green_core::queue::Queue;
use green_core::{Config, joinall, sleep, spawn, yield_now};
use green_net::{TcpListener, TcpStream};

use super::{ANY_LOCAL_PORT, Announce, Capacity, Runtime, panicked};
use crate::server::BUFFER_SIZE;
use crate::yield_now::Turns;

pub(super) struct Green;

impl Green {
    pub(super) fn start() -> io::Result<Self> {
        Config::new().hubs(1).apply().map_err(io::Error::other)?;
        Ok(Self)
    }
}

impl Runtime for Green {
    fn serve_echo(&self, announce: &Announce) -> io::Result<()> {
        let listener = TcpListener::bind(ANY_LOCAL_PORT)?;
        announce(listener.local_addr()?)?;
        green_core::run(move || {
            loop {
                if let Ok((stream, _)) = listener.accept() {
                    drop(spawn(move || echo(stream)));
                }
            }
        })
    }

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

    fn ping_pong(&self, capacity: Capacity, round_trips: u64) -> io::Result<(u64, Duration)> {
        let queue = || match capacity {
            Capacity::Unbounded => Queue::<u64>::unbounded(),
            Capacity::One => Queue::<u64>::bounded(1),
        };
        let (pings, pongs) = (queue(), queue());
        green_core::run(move || {
            let (requests, replies) = (pings.clone(), pongs.clone());
            let ponging = spawn(move || {
                while let Ok(number) = requests.get() {
                    if replies.put(number + 1).is_err() {
                        return;
                    }
                }
            });
            let start = Instant::now();
            let mut number = 0;
            for _ in 0..round_trips {
                pings.put(number).ok()?;
                number = pongs.get().ok()?;
            }
            let taken = start.elapsed();
            pings.close();
            ponging.get().ok()?;
            Some((number, taken))
        })
        .ok_or_else(panicked)
    }

    fn park(&self, tasks: usize, duration: Duration) -> io::Result<()> {
        let parked = Arc::new(AtomicU64::new(0));
        green_core::run(move || {
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
        });
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
