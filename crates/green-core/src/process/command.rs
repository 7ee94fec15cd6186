//! What is to be started, and how.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Child;
use super::child::Reaped;
use crate::engine::make_room;
use crate::threadpool;

/// A program to be started; [`std::process::Command`].
///
/// # Blocking
///
/// `spawn` waits until the child runs the program: `fork` and `exec` are not for a hub, since they take a millisecond,
/// or as long as the program's file takes to come over a network. They are done on one of a few OS threads that live as
/// long as the process, so a child that asks for a signal at its parent's death (`PR_SET_PDEATHSIG`) keeps its parent;
/// a plain OS thread does them itself. Starting a child is not a cancellation point: whoever is killed meanwhile unwinds
/// at the next.
///
/// # Differences from std
///
/// - What a child inherits from an OS thread, such as the signal mask and the CPU affinity, is not its caller's if the
///   caller is a green thread.
/// - After [`output`](Command::output), the alternate `Debug` form shows the streams that it captured.
///
/// # Examples
///
/// ```
/// use green_core::process::Command;
///
/// let said = green_core::run(|| Command::new("echo").arg("hello").output())?;
/// assert!(said.status.success());
/// assert_eq!(said.stdout, b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    pub(super) std: process::Command,
    /// The streams that the user has chosen.
    chosen: Chosen,
    /// Whether `output` has set the others.
    captured: bool,
}

/// Which streams the user has chosen: std tells nobody.
#[derive(Debug, Default)]
struct Chosen {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// A command that starts `program`; [`std::process::Command::new`].
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        Self {
            std: process::Command::new(program),
            chosen: Chosen::default(),
            captured: false,
        }
    }

    /// Adds an argument; [`std::process::Command::arg`].
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.std.arg(arg);
        self
    }

    /// Adds arguments; [`std::process::Command::args`].
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.std.args(args);
        self
    }

    /// Sets an environment variable; [`std::process::Command::env`].
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Self
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.env(key, val);
        self
    }

    /// Sets environment variables; [`std::process::Command::envs`].
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(vars);
        self
    }

    /// Removes an environment variable; [`std::process::Command::env_remove`].
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Self {
        self.std.env_remove(key);
        self
    }

    /// Starts with an empty environment; [`std::process::Command::env_clear`].
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// The directory to start it in; [`std::process::Command::current_dir`].
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Self {
        self.std.current_dir(dir);
        self
    }

    /// Its standard input; [`std::process::Command::stdin`].
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Self {
        self.chosen.stdin = true;
        self.std.stdin(cfg);
        self
    }

    /// Its standard output; [`std::process::Command::stdout`].
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Self {
        self.chosen.stdout = true;
        self.std.stdout(cfg);
        self
    }

    /// Its standard error; [`std::process::Command::stderr`].
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Self {
        self.chosen.stderr = true;
        self.std.stderr(cfg);
        self
    }

    /// Starts it; [`std::process::Command::spawn`]. Streams that were not chosen are inherited.
    ///
    /// # Blocking
    ///
    /// Parks the caller until the child runs the program; not a cancellation point.
    ///
    /// # Errors
    ///
    /// `NotFound`: there is no such program; `InvalidInput`: a NUL in a string; what `fork` and `exec` say; on a hub also
    /// `WouldBlock`: the system refuses the OS thread that is to start it.
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.forget_capture();
        self.start()
    }

    /// Starts it, waits for it, and collects what it writes; [`std::process::Command::output`]. Of the streams that were
    /// not chosen, its output and its errors are captured, and its input is empty.
    ///
    /// # Blocking
    ///
    /// Parks the caller until the child has ended and its streams are closed; a cancellation point once it has started.
    /// The child of a caller that is killed runs on, and is reaped when it has ended.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`].
    pub fn output(&mut self) -> io::Result<Output> {
        self.captured = true;
        self.set_unchosen(Stdio::null, Stdio::piped);
        Reaped::new(self.start()?).collect()
    }

    /// Starts it and waits for it; [`std::process::Command::status`]. Streams that were not chosen are inherited.
    ///
    /// # Blocking
    ///
    /// Parks the caller until the child has ended; a cancellation point once it has started. The child of a caller that
    /// is killed runs on, and is reaped when it has ended.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`].
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        Reaped::new(self.spawn()?).wait()
    }

    /// The program; [`std::process::Command::get_program`].
    pub fn get_program(&self) -> &OsStr {
        self.std.get_program()
    }

    /// The arguments; [`std::process::Command::get_args`].
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.std.get_args()
    }

    /// The environment variables that are set or removed; [`std::process::Command::get_envs`].
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.std.get_envs()
    }

    /// The directory to start it in; [`std::process::Command::get_current_dir`].
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.std.get_current_dir()
    }

    fn start(&mut self) -> io::Result<Child> {
        // The job owns what it works on, and gives it back. The hub itself could do it for one child; when many are
        // started at once, whoever is ready meanwhile would wait for all of them.
        if !threadpool::is_for_pool() {
            return self.std.spawn().map(Child::from);
        }
        let command = mem::replace(&mut self.std, process::Command::new(""));
        let ours = Arc::new(Mutex::new(Some(command)));
        let theirs = Arc::clone(&ours);
        let started = threadpool::try_blocking_for_good(move || {
            let mut command = theirs.lock().take().expect("a job runs once, or never");
            let child = command.spawn();
            (command, child)
        });
        let (command, child) = match started {
            Ok((command, child)) => (command, child),
            Err(error) => {
                make_room();
                let command = ours.lock().take().expect("the job has not run");
                (command, Err(error))
            }
        };
        self.std = command;
        child.map(Child::from)
    }

    /// Undoes what `output` has set.
    pub(super) fn forget_capture(&mut self) {
        if mem::take(&mut self.captured) {
            self.set_unchosen(Stdio::inherit, Stdio::inherit);
        }
    }

    /// Sets the streams that the user has not chosen.
    fn set_unchosen(&mut self, input: fn() -> Stdio, output: fn() -> Stdio) {
        if !self.chosen.stdin {
            self.std.stdin(input());
        }
        if !self.chosen.stdout {
            self.std.stdout(output());
        }
        if !self.chosen.stderr {
            self.std.stderr(output());
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}
