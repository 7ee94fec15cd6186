//! A child, and how to wait for it.
//!
//! # Protocol
//!
//! std's handle reaps the child, and remembers that it has: `try_wait` asks the kernel about this one process, without
//! waiting. In between, the caller waits until that is worth while:
//!
//! 1. by a pidfd, which a hub's poller reports readable once the process has ended;
//! 2. where the system gives none (an old kernel, a filter, no descriptors left), by a job on an OS thread of its own that
//!    waits for the end of the process and leaves it to be reaped.
//!
//! No signal is involved, so nothing here minds what the program does about `SIGCHLD`. A wait that is given up leaves
//! the pidfd or the job for the next one, so that waits with a time limit do not pile up jobs.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::{self, ExitStatus, Output};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::interrupt::OrRaise;
use crate::io::{Io, read_both_to_end};
use crate::sched::WaitFor;
use crate::threadpool::{self, Job};
use crate::time::deadline::Deadline;
use crate::waitq::Wait;

/// A child that was started; [`std::process::Child`].
///
/// Dropping it neither ends nor reaps the child, as with std's: that goes for a green thread that is killed while it
/// waits, too.
///
/// # Differences from std
///
/// [`wait_with_output`](Child::wait_with_output) returns the error of a pipe that cannot be read, where std's panics.
///
/// # Examples
///
/// ```
/// use green_core::process::{Command, Stdio};
/// use std::io::Write;
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.as_mut().unwrap().write_all(b"hello")?;
/// assert_eq!(child.wait_with_output()?.stdout, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Child {
    /// Where its standard input comes from, if that is piped.
    pub stdin: Option<ChildStdin>,
    /// Where its standard output goes, if that is piped.
    pub stdout: Option<ChildStdout>,
    /// Where its standard error goes, if that is piped.
    pub stderr: Option<ChildStderr>,
    /// Reaps it, once.
    process: process::Child,
    /// How its end is waited for, once somebody has had to.
    end: Option<End>,
}

impl Child {
    /// Ends it by `SIGKILL`; [`std::process::Child::kill`]. Nothing happens if it was waited for.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Its process number; [`std::process::Child::id`].
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Closes its input and waits until it has ended; [`std::process::Child::wait`].
    ///
    /// # Blocking
    ///
    /// Parks the caller only; a cancellation point. A caller that is killed leaves the child running.
    ///
    /// # Errors
    ///
    /// Somebody else has reaped it, or `SIGCHLD` is ignored.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.wait_until(Deadline::Never)? {
                return Ok(status);
            }
        }
    }

    /// As [`Child::wait`], at most so long: `None` if it runs on then. std has no such method.
    ///
    /// # Errors
    ///
    /// As [`Child::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::process::Command;
    /// use std::time::Duration;
    ///
    /// let mut child = Command::new("sleep").arg("1000").spawn()?;
    /// if child.wait_timeout(Duration::from_millis(5))?.is_none() {
    ///     child.kill()?;
    ///     child.wait()?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Deadline::after(timeout);
        drop(self.stdin.take());
        self.wait_until(deadline)
    }

    /// Its exit status, if it has ended; [`std::process::Child::try_wait`].
    ///
    /// # Errors
    ///
    /// As [`Child::wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Closes its input, reads its output and its errors to their ends, and waits for it;
    /// [`std::process::Child::wait_with_output`].
    ///
    /// # Blocking
    ///
    /// As [`Child::wait`].
    ///
    /// # Errors
    ///
    /// As [`Child::wait`], and what reading the pipes says.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        self.collect()
    }

    fn collect(&mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let streams = [
            self.stdout.take().map(ChildStdout::into_nonblocking_fd),
            self.stderr.take().map(ChildStderr::into_nonblocking_fd),
        ];
        let [stdout, stderr] = read_both_to_end(streams)?;
        let status = self.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Waits until it has ended, and reaps it; `None` if the deadline passes.
    fn wait_until(&mut self, deadline: Deadline) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(Some(status));
            }
            if self.end.is_none() {
                self.end = Some(End::of(self.process.id())?);
            }
            match self.end.as_mut().expect("made above") {
                End::Pidfd(pidfd) => {
                    let status = pidfd.read_with(
                        || deadline.instant(),
                        |_| match self.process.try_wait()? {
                            Some(status) => Ok(status),
                            None => Err(io::ErrorKind::WouldBlock.into()),
                        },
                    );
                    return in_time(status);
                }
                End::Job(job) => {
                    let wait = Wait::new(WaitFor::Blocking, deadline);
                    if job.wait(wait).or_raise().is_none() {
                        return Ok(None);
                    }
                    self.end = None;
                }
            }
        }
    }
}

impl From<process::Child> for Child {
    fn from(mut process: process::Child) -> Self {
        Self {
            stdin: process.stdin.take().map(Into::into),
            stdout: process.stdout.take().map(Into::into),
            stderr: process.stderr.take().map(Into::into),
            process,
            end: None,
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}

/// A child of which nobody else has a handle: if its caller gives up, it is reaped when it ends.
pub(super) struct Reaped {
    /// Invariant: `None` only while it is dropped.
    child: Option<Child>,
}

impl Reaped {
    pub(super) fn new(child: Child) -> Self {
        Self { child: Some(child) }
    }

    /// See [`Child::wait`].
    pub(super) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child_mut().wait()
    }

    /// See [`Child::wait_with_output`].
    pub(super) fn collect(mut self) -> io::Result<Output> {
        self.child_mut().collect()
    }

    fn child_mut(&mut self) -> &mut Child {
        self.child.as_mut().expect("it is not being dropped")
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take()
            && matches!(child.try_wait(), Ok(None))
        {
            let mut process = child.process;
            threadpool::start_apart(move || drop(process.wait()));
        }
    }
}

/// How the end of a child is waited for.
enum End {
    /// The pidfd is readable then.
    Pidfd(Io<OwnedFd>),
    /// The job is done then.
    Job(Job<()>),
}

impl End {
    /// The best way for the child `id`, which has not been reaped.
    ///
    /// # Errors
    ///
    /// The system refuses even an OS thread.
    fn of(id: u32) -> io::Result<Self> {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let pid = pid.expect("the number of a child is positive");
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self::Pidfd(Io::new(pidfd))),
            Err(_) => Ok(Self::Job(Job::start_apart(move || {
                let end = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                // It fails only if the child is gone already.
                retry_on_intr(|| waitid(WaitId::Pid(pid), end)).ok();
            })?)),
        }
    }
}

// What a panic can leave behind is a wake-up too many.
impl UnwindSafe for End {}
impl RefUnwindSafe for End {}

/// `None` for what has run into its deadline.
fn in_time<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(error),
    }
}
