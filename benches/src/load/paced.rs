//! Requests at a fixed rate: an open loop.
//!
//! The times at which requests are due are fixed in advance, and a latency is counted from the time at which its
//! request was due, even if the request had to wait for an earlier one on its connection: a server that stalls is
//! charged for every request that it kept from being sent. The loop spins while requests are due to come.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Connection, Generator, STALL, wait};

/// How long requests took, in microseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Latency {
    /// How many there were.
    pub(crate) requests: u64,
    /// The median.
    pub(crate) p50: f64,
    /// The 99th percentile.
    pub(crate) p99: f64,
    /// The 99.9th percentile.
    pub(crate) p999: f64,
}

impl Generator {
    /// Makes `rate` requests a second for `seconds`, on the open connections in turn.
    pub(super) fn paced(&mut self, rate: f64, seconds: f64) -> io::Result<Latency> {
        let total = (rate * seconds) as usize;
        if self.connections.is_empty() || total == 0 {
            return Err(io::Error::other(
                "pacing needs open connections and at least one request",
            ));
        }
        let due = |request: usize| Duration::from_secs_f64(request as f64 / rate);
        // Per connection: when the requests that were not answered yet were due. The first one is on its way.
        let mut waiting = vec![VecDeque::new(); self.connections.len()];
        let mut latencies = Vec::with_capacity(total);
        let mut issued = 0;
        let start = Instant::now();
        while latencies.len() < total {
            while issued < total && due(issued) <= start.elapsed() {
                let index = issued % waiting.len();
                waiting[index].push_back(due(issued));
                issued += 1;
                if waiting[index].len() == 1 {
                    self.send(index)?;
                }
            }
            let limit = if issued < total { 0 } else { STALL };
            if wait(&self.epoll, &mut self.events, limit)? == 0 && issued == total {
                return Err(io::Error::other(format!(
                    "{} requests got no reply within {STALL} s",
                    total - latencies.len()
                )));
            }
            for event in 0..self.events.len() {
                let index = self.events[event].data.u64() as usize;
                let Connection { socket, exchange } = &mut self.connections[index];
                if !exchange.receive(socket, &mut self.message)? {
                    continue;
                }
                let Some(due) = waiting[index].pop_front() else {
                    return Err(io::Error::other("a reply came to no request"));
                };
                latencies.push(start.elapsed().saturating_sub(due));
                if !waiting[index].is_empty() {
                    self.send(index)?;
                }
            }
        }
        Ok(Latency::of(latencies))
    }

    /// Sends connection `index`'s next message.
    fn send(&mut self, index: usize) -> io::Result<()> {
        let Connection { socket, exchange } = &mut self.connections[index];
        exchange.send(socket, &mut self.message)
    }
}

impl Latency {
    /// Of at least one.
    fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let percentile = |share: f64| {
            let index = ((latencies.len() - 1) as f64 * share) as usize;
            latencies[index].as_nanos() as f64 / 1e3
        };
        Self {
            requests: latencies.len() as u64,
            p50: percentile(0.5),
            p99: percentile(0.99),
            p999: percentile(0.999),
        }
    }
}
