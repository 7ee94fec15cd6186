//! A process of this same binary, and the line protocol between it and its parent.
//!
//! The parent writes commands to the child's stdin and the child answers on its stdout: one JSON value per
//! line each way. A child ends when its stdin closes. Its stderr is the parent's.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The parent's end. Dropping it ends the child.
pub(crate) struct Child {
    /// What to call it in errors: its command line.
    name: String,
    process: process::Child,
    /// Open until the child shall end.
    commands: Option<ChildStdin>,
    /// Lines of the child's stdout, read by a thread so that waiting for one can time out.
    answers: Receiver<String>,
}

impl Child {
    /// Starts this binary again with `arguments`, pinned to `core` if there is one.
    pub(crate) fn start(arguments: &[String], core: Option<usize>) -> io::Result<Self> {
        let pin = core.map(|core| format!("--core={core}"));
        let mut process = Command::new(env::current_exe()?)
            .args(arguments)
            .args(pin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = process.stdin.take();
        let (sender, answers) = channel();
        if let Some(stdout) = process.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            name: arguments.join(" "),
            process,
            commands,
            answers,
        })
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends `command` and waits for its answer, at most [`ANSWER_LIMIT`] longer than `duration`.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        command: &impl Serialize,
        duration: Duration,
    ) -> io::Result<T> {
        let commands = self
            .commands
            .as_mut()
            .ok_or_else(|| io::Error::other("the child's stdin is closed"))?;
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        if let Err(error) = commands.write_all(line.as_bytes()) {
            return Err(self.failed(&format!("took no command: {error}")));
        }
        self.answer(duration)
    }

    /// Waits for the next answer, at most [`ANSWER_LIMIT`] longer than `duration`.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self, duration: Duration) -> io::Result<T> {
        let limit = duration + ANSWER_LIMIT;
        match self.answers.recv_timeout(limit) {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|error| self.failed(&format!("answered `{line}`: {error}"))),
            Err(RecvTimeoutError::Timeout) => {
                Err(self.failed(&format!("gave no answer within {} s", limit.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.process.wait()?;
                Err(self.failed(&format!("ended early: {status}")))
            }
        }
    }

    fn failed(&self, what: &str) -> io::Error {
        io::Error::other(format!("`{}` {what}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.commands.take());
        let start = Instant::now();
        while start.elapsed() < EXIT_LIMIT {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        // Both fail only if the process is already gone.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The child's end: the commands from stdin until it closes.
pub(crate) fn commands<T: DeserializeOwned>() -> impl Iterator<Item = io::Result<T>> {
    io::stdin().lines().map(|line| {
        let line = line?;
        serde_json::from_str(&line)
            .map_err(|error| io::Error::other(format!("bad command `{line}`: {error}")))
    })
}

/// The child's end: writes one answer.
pub(crate) fn answer(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// How much longer than its work a child may take to answer before it counts as hung.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long a child may take to end after its stdin was closed before it is killed.
const EXIT_LIMIT: Duration = Duration::from_secs(5);
