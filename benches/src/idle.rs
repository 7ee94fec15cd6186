//! Does a server that has nothing to do do nothing?
//!
//! [`CONNECTIONS`] connections have made one request each and are silent from then on. After a while, `strace` counts
//! the server's system calls for a window of time: timers and helper threads that wake up for nothing. Without a
//! `strace` that may attach to processes the question is skipped.
//!
//! All servers are silent at the same time, so that a round waits only once, and are then looked at one by one.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::Question;
use crate::echo;
use crate::load::Load;
use crate::peers::{Peer, external};
use crate::report::{Better, Metric};
use crate::server::Server;
use crate::suite::{Case, Plan, Scale};

pub(crate) fn cases(plan: &Plan) -> Vec<Case> {
    if let Err(error) = probe() {
        // Not worth failing for.
        drop(writeln!(
            io::stderr(),
            "idle: strace does not work here ({error}), skipped"
        ));
        return Vec::new();
    }
    let plan = *plan;
    let (silence, window) = match plan.scale {
        Scale::Smoke => (Duration::from_millis(50), Duration::from_millis(200)),
        Scale::Full => (Duration::from_secs(30), Duration::from_secs(10)),
    };
    // Those that were not looked at yet in this round.
    let silent = RefCell::new(Vec::new());
    let measure = move |peer| {
        let mut silent = silent.borrow_mut();
        if !silent.iter().any(|server: &Silent| server.peer == peer) {
            *silent = Silent::start_all(&plan);
            thread::sleep(silence);
        }
        let index = silent.iter().position(|server| server.peer == peer);
        let index = index.ok_or_else(|| io::Error::other("the peer is not among the servers"))?;
        silent.swap_remove(index).measure(window)
    };
    vec![Case {
        question: Question::Idle,
        name: format!("{CONNECTIONS} silent connections"),
        metrics: METRICS,
        peers: echo::PEERS,
        measure: Box::new(measure),
    }]
}

/// A server that has nothing to do.
struct Silent {
    peer: Peer,
    /// With its load generator; an error if they did not come that far, which concerns this peer only.
    started: io::Result<(Server, Load)>,
}

impl Silent {
    /// One of each peer that is there.
    fn start_all(plan: &Plan) -> Vec<Self> {
        let peers = echo::PEERS.iter().copied();
        let available = peers.filter(|peer| external::is_available(*peer));
        available
            .map(|peer| Self {
                peer,
                started: Self::start(plan, peer),
            })
            .collect()
    }

    fn start(plan: &Plan, peer: Peer) -> io::Result<(Server, Load)> {
        let server = Server::start(peer, plan.cores.server)?;
        let mut load = Load::start(server.address(), plan.cores.client)?;
        load.connect(CONNECTIONS)?;
        Ok((server, load))
    }

    fn measure(self, window: Duration) -> io::Result<Vec<f64>> {
        let (server, mut load) = self.started?;
        let calls = system_calls(server.id(), window)?;
        // It must have been alive all the time.
        load.echo(Duration::from_millis(1))?;
        Ok(vec![calls as f64 / window.as_secs_f64()])
    }
}

/// Whether `strace` is there and may attach to a process that is not its child.
fn probe() -> io::Result<()> {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let counted = system_calls(cat.id(), Duration::ZERO);
    drop(cat.stdin.take());
    cat.wait()?;
    counted.map(drop)
}

/// How many system calls process `id` makes within `window`, all threads together.
fn system_calls(id: u32, window: Duration) -> io::Result<u64> {
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-p", &id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let attached = eventually(|| is_traced(id)).and_then(|()| {
        thread::sleep(window);
        // Makes it detach and print what it has counted.
        kill_process(Pid::from_child(&strace), Signal::INT)?;
        eventually(|| Ok(strace.try_wait()?.is_some()))
    });
    if attached.is_err() {
        // Fails only if it is already gone.
        drop(strace.kill());
    }
    strace.wait()?;
    let mut text = String::new();
    if let Some(mut stderr) = strace.stderr.take() {
        stderr.read_to_string(&mut text)?;
    }
    match attached {
        Ok(()) => count(&text),
        Err(error) => Err(io::Error::other(format!("{error}: {}", text.trim()))),
    }
}

/// Whether all threads of process `id` are traced.
fn is_traced(id: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sums up the calls in the table that `strace -c` prints; none if there is no table.
fn count(text: &str) -> io::Result<u64> {
    let rows = text.lines().skip_while(|line| !line.starts_with("---"));
    let rows = rows.skip(1).take_while(|line| !line.starts_with("---"));
    // Share, seconds, µs per call, calls, perhaps errors, name.
    rows.map(|row| {
        row.split_whitespace()
            .nth(3)
            .and_then(|calls| calls.parse::<u64>().ok())
            .ok_or_else(|| io::Error::other(format!("cannot read `{row}` of strace's table")))
    })
    .sum()
}

/// Waits until `is_done`; an error if that takes longer than [`LIMIT`].
fn eventually(mut is_done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let start = Instant::now();
    while !is_done()? {
        if start.elapsed() > LIMIT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

const CONNECTIONS: usize = 100;

/// How long `strace` may take to attach, and to end.
const LIMIT: Duration = Duration::from_secs(5);

const METRICS: &[Metric] = &[Metric {
    name: "system calls/s",
    better: Better::Neither,
}];

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn calls_are_summed_up_with_and_without_errors() -> std::io::Result<()> {
        let table = "\
strace: Process 7 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 75.00    0.000300         100         3           epoll_wait
 25.00    0.000100          50         2         1 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000400          80         5         1 total
";
        assert_eq!(count(table)?, 5);
        assert_eq!(count("strace: Process 7 attached\n")?, 0);
        Ok(())
    }
}
