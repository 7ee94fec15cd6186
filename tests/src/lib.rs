//! What the system tests share. The tests themselves are in `tests/`, one file for each promise.
//!
//! # Processes
//!
//! A test that needs a process of its own, a server or one that is to run out of something, starts its
//! own executable again: [`Process::start`] runs one `#[test]` function of the same file with
//! [`ROLE`] set. That function does nothing when the variable is missing, so that the harness may run
//! it, too; see [`serve_if_asked`].

#![forbid(unsafe_code)]

pub mod manifest;

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use green_core::Stats;
use green_examples::cli;
use green_examples::echo::{self, Handler};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// The variable that tells a process that a test has started it: the arguments, one a line.
pub const ROLE: &str = "GREEN_TESTS_ROLE";

/// In a process that [`Process::start`] started: the arguments.
pub fn role() -> Option<Vec<OsString>> {
    let arguments = std::env::var(ROLE).ok()?;
    // Whatever becomes of the test, nothing is left running.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    Some(arguments.lines().map(OsString::from).collect())
}

/// Becomes `green-echo`, with `handler` for the connections, if this process was started for that.
pub fn serve_if_asked(handler: Handler) {
    if let Some(arguments) = role() {
        let program = OsString::from("green-echo");
        let status = echo::main_with([program].into_iter().chain(arguments), handler);
        std::process::exit(status.into());
    }
}

/// A process that a test has started; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Its standard error so far. Read by an OS thread: a process that fills the pipe would stop.
    errors: Arc<Mutex<String>>,
}

impl Process {
    /// Runs the `#[test]` function `test` of this executable in a process, with `arguments` for
    /// [`role`].
    pub fn start(test: &str, arguments: &[&str]) -> Self {
        Self::start_with(test, arguments, &[])
    }

    /// The same, with more environment variables.
    pub fn start_with(test: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, arguments.join("\n"))
            .envs(environment.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let errors = Arc::new(Mutex::new(String::new()));
        let theirs = Arc::clone(&errors);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut errors = theirs.lock().unwrap();
                errors.push_str(&line);
                errors.push('\n');
            }
        });
        Self {
            child,
            stdout,
            errors,
        }
    }

    /// Starts `green-echo` in the test function `server_process`, on a free port, with more arguments;
    /// returns when it listens.
    pub fn start_server(arguments: &[&str]) -> (Self, SocketAddr) {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut process = Self::start("server_process", &all);
        let line = process.line_with("listening on ");
        let (_, address) = line.split_once("listening on ").unwrap();
        (process, address.parse().unwrap())
    }

    /// The next line of its output that contains `text`. The harness writes lines of its own.
    pub fn line_with(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "no line with '{text}'; errors: {}", self.errors());
        }
        line.trim_end().to_owned()
    }

    /// What else it writes, until it has ended.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < limit, "still running after {limit:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks the server to end, and checks that it does so properly; returns what it has served.
    pub fn stop_server(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.wait(Duration::from_secs(10));
        assert!(status.success(), "{status}; errors: {}", self.errors());
        self.line_with("served ")
    }

    /// Its standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Keeps the other tests of this process waiting, where the harness runs several at once: they would
/// be in each other's counts.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `done` returns true.
///
/// # Panics
///
/// If it does not within [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        green_core::sleep(Duration::from_millis(5));
    }
}

/// How long `eventually` waits.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How many hubs there are; starts them.
pub fn hubs() -> usize {
    green_core::spawn(|| ()).join();
    green_core::stats().hubs
}

/// Raises the limit on open files; returns how many sockets a test may have, `wanted` at most.
pub fn sockets(wanted: usize) -> usize {
    wanted.min(cli::raise_file_limit().saturating_sub(200) / 2 * 2)
}

/// What must be as it was when a test is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Open file descriptors.
    pub files: usize,
    /// Green threads that have not ended.
    pub live: usize,
    /// Timers.
    pub timers: u64,
    /// Registered file descriptors.
    pub sources: usize,
}

impl Held {
    /// What is held now.
    pub fn now() -> Self {
        // A hub that has answered has done what it was asked before, such as to forget a timer.
        for hub in 0..hubs() {
            let answers = green_core::Builder::new().hub(hub).spawn(|| ()).unwrap();
            answers.join();
        }
        let Stats {
            live,
            timers,
            sources,
            ..
        } = green_core::stats();
        Self {
            files: open_files().unwrap(),
            live,
            timers,
            sources,
        }
    }

    /// Checks that this is what is held again, soon.
    #[track_caller]
    pub fn check(self) {
        let mut now = Self::now();
        let start = Instant::now();
        while now != self {
            assert!(
                start.elapsed() < PATIENCE,
                "{self:?} at the start, {now:?} at the end"
            );
            green_core::sleep(Duration::from_millis(20));
            now = Self::now();
        }
    }
}

fn open_files() -> io::Result<usize> {
    // One of them is the directory itself.
    Ok(std::fs::read_dir("/proc/self/fd")?.count() - 1)
}

/// A small generator of numbers that look random: the same ones in every run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers that belong to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next one, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}
