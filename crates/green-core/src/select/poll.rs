//! gevent's `poll` object: a set of descriptors that lasts.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use super::{Events, poll_or_yield};

/// A set of descriptors, and what each is waited for; gevent's `poll`.
///
/// It holds the values that own the descriptors, or references to them, so none is closed in it.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::fd::AsRawFd;
/// use green_core::select::{Events, Poll};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let mut poll = Poll::new();
/// poll.register(&reader, Events::IN);
/// assert_eq!(poll.poll(Some(std::time::Duration::ZERO))?, []);
/// writer.write_all(b"!")?;
/// assert_eq!(poll.poll(None)?, [(reader.as_raw_fd(), Events::IN)]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Poll<F: AsFd> {
    registered: BTreeMap<RawFd, (F, Events)>,
}

impl<F: AsFd> Poll<F> {
    /// An empty set.
    pub const fn new() -> Self {
        Self {
            registered: BTreeMap::new(),
        }
    }

    /// Waits for `events` of `fd` from now on, in place of what it was waited for before; returns what stood for the
    /// descriptor before.
    pub fn register(&mut self, fd: F, events: Events) -> Option<F> {
        let number = fd.as_fd().as_raw_fd();
        let before = self.registered.insert(number, (fd, events));
        before.map(|(fd, _)| fd)
    }

    /// Waits for other events of a descriptor that is in the set.
    ///
    /// # Errors
    ///
    /// `NotFound`: it is not.
    pub fn modify(&mut self, fd: RawFd, events: Events) -> io::Result<()> {
        let (_, now) = self
            .registered
            .get_mut(&fd)
            .ok_or(io::ErrorKind::NotFound)?;
        *now = events;
        Ok(())
    }

    /// Takes a descriptor out of the set.
    ///
    /// # Errors
    ///
    /// `NotFound`: it is not in it.
    pub fn unregister(&mut self, fd: RawFd) -> io::Result<F> {
        let (fd, _) = self.registered.remove(&fd).ok_or(io::ErrorKind::NotFound)?;
        Ok(fd)
    }

    /// How many descriptors are in the set.
    pub fn len(&self) -> usize {
        self.registered.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.registered.is_empty()
    }

    /// Waits until one is ready, or has ended or failed; at most `timeout`, for ever without one. Returns those that are, by
    /// their numbers, in the order of these.
    ///
    /// An event that is not taken care of is told again by the next call.
    ///
    /// # Blocking
    ///
    /// As [`select`](super::select()). Any number of callers may wait at once.
    ///
    /// # Errors
    ///
    /// The limits of the system on open files.
    pub fn poll(&self, timeout: Option<Duration>) -> io::Result<Vec<(RawFd, Events)>> {
        let fds: Vec<_> = self
            .registered
            .values()
            .map(|(fd, events)| (fd.as_fd(), events.0))
            .collect();
        let found = poll_or_yield(&fds, timeout)?;
        Ok(self
            .registered
            .keys()
            .zip(found)
            .filter(|(_, flags)| !flags.is_empty())
            .map(|(&fd, flags)| (fd, Events(flags)))
            .collect())
    }
}

impl<F: AsFd> Default for Poll<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: AsFd> fmt::Debug for Poll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.registered.iter().map(|(fd, (_, events))| (fd, events)))
            .finish()
    }
}
