//! The one loop that turns "would block" into a wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::interrupt;
use crate::park::{Caller, Green, os_scope_deadline};
use crate::reactor::Watch;
use crate::reactor::source::Direction;
#[cfg(feature = "async")]
use crate::reactor::source::Source;
use crate::time::deadline::Deadline;
use crate::time::{sleep_until, yield_now};
use crate::waitq::NotReady;

/// How long to pause before another attempt at what no poller tells of.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// One operation on one descriptor, in one direction.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) watch: &'a Watch,
    pub(super) fd: BorrowedFd<'a>,
    pub(super) direction: Direction,
    pub(super) nonblocking: bool,
}

impl Attempt<'_> {
    /// Runs `op` until it does anything but fail with `WouldBlock`, waiting in between.
    #[inline]
    pub(super) fn run<R>(
        self,
        deadline: impl FnOnce() -> Deadline,
        op: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.run_with(deadline, op, |_| false)
    }

    /// The same for a stream in which moving fewer bytes than `asked` means that no more can move now.
    #[inline]
    pub(super) fn run_stream(
        self,
        asked: usize,
        deadline: impl FnOnce() -> Deadline,
        op: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.run_with(deadline, op, |&moved| 0 < moved && moved < asked)
    }

    /// Runs `op` until it does anything but fail with `WouldBlock`, pausing in between.
    pub(super) fn run_repeatedly<R>(
        self,
        deadline: impl FnOnce() -> Deadline,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let result = op();
        if self.nonblocking || !would_block(&result) {
            if let Some(green) = Green::current() {
                green.spend();
            }
            return result;
        }
        let deadline = deadline();
        let begin = Instant::now();
        // Who makes room may only be waiting for its turn.
        yield_now();
        loop {
            let result = op();
            if !would_block(&result) {
                return result;
            }
            if deadline.is_past() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let next = Instant::now() + pause_after(begin.elapsed());
            sleep_until(deadline.instant().map_or(next, |end| next.min(end)));
        }
    }

    #[inline]
    fn run_with<R>(
        self,
        deadline: impl FnOnce() -> Deadline,
        mut op: impl FnMut() -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        if self.nonblocking {
            return self.only_once(op);
        }
        if let Some(result) = self.try_once(&mut op, &is_short, Sure::No) {
            if let Some(green) = Green::current() {
                green.spend();
            }
            return result;
        }
        let deadline = deadline();
        loop {
            let sure = self.wait(deadline)?;
            if let Some(result) = self.try_once(&mut op, &is_short, sure) {
                return result;
            }
        }
    }

    /// Runs `op`, whatever it returns.
    #[cold]
    fn only_once<R>(self, mut op: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        let result = op();
        if let Some(source) = self.watch.source() {
            source.pass_on(self.direction);
        }
        result
    }

    /// Runs `op` if it may succeed; `None` if it did not or would block.
    #[inline]
    fn try_once<R>(
        self,
        op: &mut impl FnMut() -> io::Result<R>,
        is_short: &impl Fn(&R) -> bool,
        sure: Sure,
    ) -> Option<io::Result<R>> {
        let direction = self.direction;
        let watched = self.watch.source().map(|source| (source, source.seen()));
        if let (Some((_, seen)), Sure::No) = (watched, sure)
            && !seen.is_ready(direction)
        {
            return None;
        }
        let result = op();
        let Some((source, seen)) = watched else {
            return Some(result).filter(|result| !would_block(result));
        };
        match &result {
            Err(_) if would_block(&result) => {
                source.clear(direction, seen);
                return None;
            }
            Ok(value) if is_short(value) => source.clear_short(direction, seen),
            _ => {}
        }
        source.pass_on(direction);
        Some(result)
    }

    /// An attempt for a future.
    #[cfg(feature = "async")]
    #[inline]
    pub(super) fn try_polled<R>(
        self,
        op: &mut impl FnMut() -> io::Result<R>,
        is_short: &impl Fn(&R) -> bool,
    ) -> Option<io::Result<R>> {
        self.try_once(op, is_short, Sure::No)
    }

    /// The source to wait at, for a future.
    #[cfg(feature = "async")]
    #[inline]
    pub(super) fn begin(self) -> io::Result<&'static Source> {
        let hub = crate::sched::local().map(|local| local.shared.id);
        if hub.is_none() {
            crate::hub::start();
        }
        self.watch.begin(hub, self.fd)
    }

    /// Waits until another attempt is worth while.
    #[inline]
    fn wait(self, deadline: Deadline) -> io::Result<Sure> {
        let hub = match Green::current() {
            Some(green) => Some(green.hub().shared.id),
            None => match Caller::foreign() {
                Caller::Os(_) => {
                    return poll_fd(self.fd, self.direction, deadline).map(|()| Sure::Yes);
                }
                _ => {
                    crate::hub::start();
                    None
                }
            },
        };
        let source = self.watch.begin(hub, self.fd)?;
        let fd = u32::try_from(self.fd.as_raw_fd()).unwrap_or(0);
        match source.wait(self.direction, deadline, fd) {
            Ok(()) => Ok(Sure::No),
            Err(NotReady::TimedOut) => Err(io::ErrorKind::TimedOut.into()),
            Err(NotReady::Interrupted(interrupt)) => interrupt::raise(interrupt),
        }
    }
}

/// Whether the kernel itself has just said that an attempt is worth while, whatever is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sure {
    Yes,
    No,
}

/// Whether an attempt is to be made again later.
#[inline]
pub(super) fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
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
    let watched = Watched {
        fd: fd.try_clone_to_owned()?,
        watch: Watch::default(),
    };
    let attempt = Attempt {
        watch: &watched.watch,
        fd: watched.fd.as_fd(),
        direction,
        nonblocking: false,
    };
    done(attempt.wait(deadline).map(|_| ()))
}

/// Runs `op` on `fd` until it does anything but fail with `WouldBlock`, waiting in between until the descriptor is ready.
///
/// For descriptors that are not in an [`Io`](super::Io).
pub(crate) fn retry_fd<R>(
    fd: BorrowedFd<'_>,
    direction: Direction,
    mut op: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let result = op();
        if !would_block(&result) {
            if let Some(green) = Green::current() {
                green.spend();
            }
            return result;
        }
        wait_fd(fd, direction, Deadline::Never)?;
    }
}

/// A descriptor that is watched for one wait.
struct Watched {
    fd: OwnedFd,
    watch: Watch,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.end(self.fd.as_fd());
    }
}

/// An OS thread waits in the kernel for one descriptor.
fn poll_fd(fd: BorrowedFd<'_>, direction: Direction, deadline: Deadline) -> io::Result<()> {
    let flags = match direction {
        Direction::Read => PollFlags::IN | PollFlags::RDHUP | PollFlags::PRI,
        Direction::Write => PollFlags::OUT,
    };
    poll_fds(&mut [PollFd::from_borrowed_fd(fd, flags)], deadline)
}

/// An OS thread waits in the kernel until one of them is ready, in steps that let a `Timeout` scope of it come due.
pub(super) fn poll_fds(fds: &mut [PollFd<'_>], deadline: Deadline) -> io::Result<()> {
    let caller = Caller::foreign();
    let scope = os_scope_deadline();
    loop {
        let until = match (deadline.instant(), scope) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let timeout = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        match poll(fds, timeout.as_ref()) {
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

/// How long to pause after so long a wait: an eighth of it, give or take a half. Those who began to wait together
/// would otherwise all come at once, find room for one, and leave what room there is then empty for a whole pause.
pub(super) fn pause_after(waited: Duration) -> Duration {
    let mean = (waited / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    // The last digits of a clock are as good as random.
    let share = waited.subsec_nanos() % 1_024;
    mean / 2 + mean * share / 1_024
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
