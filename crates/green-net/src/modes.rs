//! What was set on a socket and its operations go by: non-blocking mode and timeouts.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Timeout};

use crate::attempt;

/// The modes of a socket, shared by the handles that `try_clone` makes of it, as in the kernel.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    /// Whether the user asked for non-blocking mode.
    nonblocking: AtomicBool,
    /// How long a read may wait.
    read: Limit,
    /// How long a write may wait.
    write: Limit,
}

impl Modes {
    /// The modes that `fd` came with. A descriptor that does not tell has std's defaults.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Self {
        Self {
            nonblocking: AtomicBool::new(attempt::is_nonblocking(fd)),
            read: Limit::new(sockopt::socket_timeout(fd, Timeout::Recv).unwrap_or(None)),
            write: Limit::new(sockopt::socket_timeout(fd, Timeout::Send).unwrap_or(None)),
        }
    }

    #[inline]
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
        attempt::set_nonblocking(fd, nonblocking)?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn set_timeout(
        &self,
        fd: BorrowedFd<'_>,
        which: Timeout,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        check_timeout(timeout)?;
        // What the kernel would make 0, which is "none" to it, becomes the shortest that it knows.
        let timeout = timeout.map(|timeout| timeout.clamp(Duration::from_micros(1), LONGEST));
        sockopt::set_socket_timeout(fd, which, timeout)?;
        self.limit(which).set(timeout);
        Ok(())
    }

    #[inline]
    pub(crate) fn limit(&self, which: Timeout) -> &Limit {
        match which {
            Timeout::Recv => &self.read,
            Timeout::Send => &self.write,
        }
    }
}

/// A time limit that is read on every operation.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    /// In nanoseconds; [`Limit::NONE`] if there is none.
    nanos: AtomicU64,
}

impl Limit {
    /// A time limit of zero is refused, so the value is free.
    const NONE: u64 = 0;

    fn new(timeout: Option<Duration>) -> Self {
        let limit = Self::default();
        limit.set(timeout);
        limit
    }

    fn set(&self, timeout: Option<Duration>) {
        let nanos = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.nanos
            .store(timeout.map_or(Self::NONE, nanos), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.nanos.load(Ordering::Relaxed) {
            Self::NONE => None,
            nanos => Instant::now().checked_add(Duration::from_nanos(nanos)),
        }
    }
}

/// The longest that fits where the kernel takes it; it means "none" there.
const LONGEST: Duration = Duration::from_secs(i64::MAX.unsigned_abs());

/// Refuses a time limit of zero, in std's words.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<()> {
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot set a 0 duration timeout",
        ));
    }
    Ok(())
}

/// Whether `error` says that a deadline of ours passed; the kernel's `ETIMEDOUT` is not ours.
pub(crate) fn is_deadline(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// What an operation says when its time is up: as on Linux, where it is `EAGAIN`.
pub(crate) fn would_block_at_deadline(error: io::Error) -> io::Error {
    if is_deadline(&error) {
        io::ErrorKind::WouldBlock.into()
    } else {
        error
    }
}
