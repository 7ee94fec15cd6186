//! gevent's `select`: waiting for several descriptors at once.
//!
//! [`select`] for a few, [`Poll`] for a set that lasts. Both ask the kernel each time, so they tell what is true, not what
//! once was; neither reads or writes anything. A green thread for each descriptor is the simpler and faster way to
//! serve many.

mod poll;

use std::collections::BTreeMap;
use std::io;
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::io::poll_several;
use crate::time::deadline::Deadline;
use crate::time::yield_now;

pub use poll::Poll;

/// Waits until one of `read` can be read, one of `write` written to, or one of `except` has urgent data; at most `timeout`,
/// for ever without one. Returns which, by their places.
///
/// A descriptor whose stream has ended or failed counts as readable and writable: the operation will not wait. It may be there
/// several times.
///
/// # Blocking
///
/// Parks the caller only, and lets others run once if it need not wait, with a timeout of zero as well; a cancellation
/// point.
///
/// # Errors
///
/// `EBADF`: one is not open. The limits of the system on open files.
///
/// # Examples
///
/// ```
/// use std::io::{PipeReader, Write};
/// use std::time::Duration;
/// use green_core::select::select;
///
/// let none: [&PipeReader; 0] = [];
/// let (quiet, _keep) = std::io::pipe()?;
/// let (reader, mut writer) = std::io::pipe()?;
/// writer.write_all(b"!")?;
/// let ready = select(&[&quiet, &reader], &none, &none, Some(Duration::from_secs(1)))?;
/// assert_eq!(ready.read, [1]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn select<R: AsFd, W: AsFd, X: AsFd>(
    read: &[R],
    write: &[W],
    except: &[X],
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    let sets = [
        fds(read, PollFlags::IN),
        fds(write, PollFlags::OUT),
        fds(except, PollFlags::PRI),
    ];
    // Each descriptor once, with all that is asked of it.
    let mut asked = BTreeMap::new();
    for &(fd, flags) in sets.iter().flatten() {
        let (_, all) = asked
            .entry(fd.as_raw_fd())
            .or_insert((fd, PollFlags::empty()));
        *all |= flags;
    }
    let all: Vec<_> = asked.values().copied().collect();
    let found = poll_or_yield(&all, timeout)?;
    let found: BTreeMap<RawFd, PollFlags> = asked.into_keys().zip(found).collect();
    if found.values().any(|flags| flags.contains(PollFlags::NVAL)) {
        return Err(Errno::BADF.into());
    }
    let [read, write, except] = sets.map(|set| ready_of(&set, &found));
    Ok(Ready {
        read,
        write,
        except,
    })
}

/// What [`select`] found: the places of those that are ready, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// In `read`.
    pub read: Vec<usize>,
    /// In `write`.
    pub write: Vec<usize>,
    /// In `except`.
    pub except: Vec<usize>,
}

impl Ready {
    /// Whether none is ready: the time was over.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && self.except.is_empty()
    }
}

/// What a descriptor can be ready for: a set.
///
/// # Examples
///
/// ```
/// use green_core::select::Events;
///
/// let both = Events::IN | Events::OUT;
/// assert!(both.contains(Events::IN) && !both.contains(Events::HUP));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events(PollFlags);

impl Events {
    /// Nothing.
    pub const NONE: Self = Self(PollFlags::empty());
    /// Data to read, a connection to accept, or the end of the stream.
    #[doc(alias = "POLLIN")]
    pub const IN: Self = Self(PollFlags::IN);
    /// Room to write.
    #[doc(alias = "POLLOUT")]
    pub const OUT: Self = Self(PollFlags::OUT);
    /// Urgent data.
    #[doc(alias = "POLLPRI")]
    pub const PRI: Self = Self(PollFlags::PRI);
    /// Something has failed; told whether asked for or not.
    #[doc(alias = "POLLERR")]
    pub const ERR: Self = Self(PollFlags::ERR);
    /// The other end is closed; told whether asked for or not.
    #[doc(alias = "POLLHUP")]
    pub const HUP: Self = Self(PollFlags::HUP);
    /// The descriptor is not open; told whether asked for or not.
    #[doc(alias = "POLLNVAL")]
    pub const NVAL: Self = Self(PollFlags::NVAL);

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0.contains(other.0)
    }

    /// Whether any of `other` is in it.
    pub const fn intersects(self, other: Self) -> bool {
        self.0.intersects(other.0)
    }

    /// Whether there are none in it.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::NONE
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// Waits, or lets others run once.
fn poll_or_yield(
    fds: &[(BorrowedFd<'_>, PollFlags)],
    timeout: Option<Duration>,
) -> io::Result<Vec<PollFlags>> {
    let now = poll_several(fds, Deadline::after(Duration::ZERO))?;
    let is_any = now.iter().any(|flags| !flags.is_empty());
    if is_any || timeout == Some(Duration::ZERO) {
        yield_now();
        return Ok(now);
    }
    poll_several(fds, timeout.map_or(Deadline::Never, Deadline::after))
}

/// One of the sets.
fn fds<F: AsFd>(set: &[F], flags: PollFlags) -> Vec<(BorrowedFd<'_>, PollFlags)> {
    set.iter().map(|fd| (fd.as_fd(), flags)).collect()
}

/// The places in a set of those that are ready for what it stands for.
fn ready_of(set: &[(BorrowedFd<'_>, PollFlags)], found: &BTreeMap<RawFd, PollFlags>) -> Vec<usize> {
    let is_ready = |&(fd, flags): &(BorrowedFd<'_>, PollFlags)| {
        let ended = match flags {
            PollFlags::PRI => PollFlags::empty(),
            _ => PollFlags::HUP | PollFlags::ERR,
        };
        found
            .get(&fd.as_raw_fd())
            .is_some_and(|found| found.intersects(flags | ended))
    };
    (0..set.len())
        .filter(|&place| is_ready(&set[place]))
        .collect()
}
