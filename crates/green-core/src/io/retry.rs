//! The one loop that turns "would block" into a wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::interrupt;
use crate::park::{Caller, Green, os_scope_deadline};
use crate::reactor::Registration;
use crate::reactor::source::{Direction, Source};
use crate::sched;
use crate::time::deadline::Deadline;
use crate::waitq::NotReady;

/// One operation on one descriptor, in one direction.
pub(super) struct Attempt<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) registration: &'a Mutex<Option<Registration>>,
    pub(super) fd: BorrowedFd<'a>,
    pub(super) direction: Direction,
    pub(super) nonblocking: bool,
}

impl Attempt<'_> {
    /// Runs `op` until it does anything but fail with `WouldBlock`.
    #[inline]
    pub(super) fn run<R>(
        self,
        deadline: Deadline,
        op: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.run_with(deadline, op, |_| false)
    }

    /// The same for a stream in which moving fewer bytes than `asked` means that no more can move now.
    #[inline]
    pub(super) fn run_stream(
        self,
        asked: usize,
        deadline: Deadline,
        op: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.run_with(deadline, op, |&moved| 0 < moved && moved < asked)
    }

    #[inline]
    fn run_with<R>(
        self,
        deadline: Deadline,
        mut op: impl FnMut() -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        let mut woken_by_kernel = false;
        let mut parked = false;
        loop {
            let seen = self.source.seen();
            if woken_by_kernel || self.nonblocking || seen.may_be_ready(self.direction) {
                match op() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.source.clear(self.direction, seen);
                        if self.nonblocking {
                            return Err(error);
                        }
                    }
                    result => {
                        if result.as_ref().is_ok_and(&is_short) {
                            self.source.clear_short(self.direction, seen);
                        }
                        self.source.pass_on(self.direction);
                        if !parked {
                            if let Some(green) = Green::current() {
                                green.spend();
                            }
                        }
                        return result;
                    }
                }
            }
            woken_by_kernel = self.wait(deadline)?;
            parked = true;
        }
    }

    /// Waits until another attempt is worth while; true if the kernel itself said so.
    #[cold]
    fn wait(&self, deadline: Deadline) -> io::Result<bool> {
        let hub = match Caller::current() {
            Caller::Os(_) => return poll_fd(self.fd, self.direction, deadline).map(|()| true),
            Caller::Green(green) => green.hub().shared.id,
            Caller::May(_) => {
                crate::hub::start();
                hub_for(self.fd)
            }
        };
        let mut registration = self.registration.lock();
        if registration.is_none() {
            *registration = Some(Registration::new(hub, self.fd, self.source)?);
        }
        drop(registration);
        let fd = u32::try_from(self.fd.as_raw_fd()).unwrap_or(0);
        match self.source.wait(self.direction, deadline, fd) {
            Ok(()) => Ok(false),
            Err(NotReady::TimedOut) => Err(io::ErrorKind::TimedOut.into()),
            Err(NotReady::Interrupted(interrupt)) => interrupt::raise(interrupt),
        }
    }
}

/// Waits until `fd` is ready in `direction`, or its other end is closed; false if the deadline passes.
pub(super) fn wait_fd(
    fd: BorrowedFd<'_>,
    direction: Direction,
    deadline: Deadline,
) -> io::Result<bool> {
    let done = |result: io::Result<()>| match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
        Err(error) => Err(error),
    };
    if poll_fd(fd, direction, Deadline::At(Instant::now())).is_ok() {
        return Ok(true);
    }
    if matches!(Caller::current(), Caller::Os(_)) {
        return done(poll_fd(fd, direction, deadline));
    }
    // A duplicate of its own: the descriptor may be in a poller already.
    let fd = fd.try_clone_to_owned()?;
    let source = Arc::new(Source::new());
    let registration = Mutex::new(None);
    let watched = Watched {
        fd: fd.as_fd(),
        registration: &registration,
    };
    let attempt = Attempt {
        source: &source,
        registration: watched.registration,
        fd: watched.fd,
        direction,
        nonblocking: false,
    };
    done(attempt.wait(deadline).map(|_| ()))
}

/// Takes a registration back on every way out.
struct Watched<'a> {
    fd: BorrowedFd<'a>,
    registration: &'a Mutex<Option<Registration>>,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(registration) = self.registration.lock().take() {
            registration.remove(self.fd);
        }
    }
}

/// The hub whose poller watches for a caller that has no hub.
fn hub_for(fd: BorrowedFd<'_>) -> usize {
    usize::try_from(fd.as_raw_fd()).unwrap_or(0) % sched::hubs().len().max(1)
}

/// An OS thread waits in the kernel, in steps that let a `Timeout` scope of it come due.
fn poll_fd(fd: BorrowedFd<'_>, direction: Direction, deadline: Deadline) -> io::Result<()> {
    let caller = Caller::current();
    let scope = os_scope_deadline();
    let flags = match direction {
        Direction::Read => PollFlags::IN | PollFlags::RDHUP | PollFlags::PRI,
        Direction::Write => PollFlags::OUT,
    };
    loop {
        let until = match (deadline.instant(), scope) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let timeout = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if let Some(interrupt) = caller.take_interrupt() {
            interrupt::raise(interrupt);
        }
        if deadline.is_past() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
