//! Waiting for several descriptors at once.
//!
//! A poller is itself a descriptor that a hub's poller can watch: it becomes readable whenever one of those in it has news.
//! What the news is, nobody asks it: the attempt that follows goes to the descriptors themselves.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::Io;
use super::retry::{poll_fds, would_block};
use crate::park::Caller;
use crate::reactor::Poller;
use crate::reactor::source::Ready;
use crate::time::deadline::Deadline;

/// Several descriptors, each of them there once, for one caller or more to wait for.
pub(crate) struct Several(Io<Poller>);

impl Several {
    /// Watches each for its readiness. What is ready always, as regular files are, is left out.
    pub(crate) fn new<'a>(
        fds: impl IntoIterator<Item = (BorrowedFd<'a>, Ready)>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        for (fd, ready) in fds {
            match poller.add_for(fd, 0, ready) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {}
                added => added?,
            }
        }
        Ok(Self(Io::new(poller)))
    }

    /// Runs `op` until it does anything but fail with `WouldBlock`, waiting in between until there is news of one of them.
    ///
    /// # Blocking
    ///
    /// Parks the caller only; a cancellation point.
    pub(crate) fn wait_with<R>(
        &self,
        deadline: Deadline,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.read_with(|| deadline.instant(), |_| op())
    }
}

/// `poll(2)`, which parks the caller only: waits until at least one of `fds`, each of them there once, is ready for something
/// that it is asked for; returns what each is ready for. If the deadline passes, none is.
pub(crate) fn poll_several(
    fds: &[(BorrowedFd<'_>, PollFlags)],
    deadline: Deadline,
) -> io::Result<Vec<PollFlags>> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
        .collect();
    let mut result = poll_now(&mut polled);
    if would_block(&result) && !deadline.is_past() {
        result = wait_for(fds, &mut polled, deadline);
    }
    match result {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
        result if would_block(&result) => {}
        result => result?,
    }
    Ok(polled.iter().map(PollFd::revents).collect())
}

fn wait_for(
    fds: &[(BorrowedFd<'_>, PollFlags)],
    polled: &mut [PollFd<'_>],
    deadline: Deadline,
) -> io::Result<()> {
    if matches!(Caller::current(), Caller::Os(_)) {
        return poll_fds(polled, deadline);
    }
    let several = Several::new(fds.iter().map(|&(fd, flags)| (fd, ready(flags))))?;
    several.wait_with(deadline, || poll_now(polled))
}

/// What readiness may fulfil what is asked for.
fn ready(flags: PollFlags) -> Ready {
    let of = |flag, ready| match flags.contains(flag) {
        true => ready,
        false => Ready::EMPTY,
    };
    of(PollFlags::IN, Ready::READ)
        | of(PollFlags::OUT, Ready::WRITE)
        | of(PollFlags::PRI, Ready::URGENT)
}

/// Asks the kernel.
///
/// # Errors
///
/// `WouldBlock`: none is ready.
fn poll_now(polled: &mut [PollFd<'_>]) -> io::Result<()> {
    let now = Timespec::default();
    match retry_on_intr(|| poll(polled, Some(&now)))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}
