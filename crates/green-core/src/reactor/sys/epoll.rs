//! Bindings to epoll (Linux).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

use crate::reactor::source::Ready;

/// One epoll instance.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

/// What one wait returned.
pub(crate) struct Events {
    events: Vec<epoll::Event>,
}

/// How many events one wait returns at most.
const EVENTS: usize = 1024;

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            events: Vec::with_capacity(EVENTS),
        }
    }

    /// The token and the readiness of each event.
    pub(in crate::reactor) fn iter(&self) -> impl Iterator<Item = (u64, Ready)> + '_ {
        self.events.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            (data.u64(), readiness(flags))
        })
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches `fd` for everything, edge-triggered.
    pub(in crate::reactor) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.add_for(fd, token, Ready::READ | Ready::WRITE | Ready::URGENT)
    }

    /// Watches `fd` for what is in `interest`, its ends and errors, edge-triggered.
    pub(crate) fn add_for(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        interest: Ready,
    ) -> io::Result<()> {
        let flags = [
            (Ready::READ, EventFlags::IN | EventFlags::RDHUP),
            (Ready::WRITE, EventFlags::OUT),
            (Ready::URGENT, EventFlags::PRI),
        ]
        .into_iter()
        .filter(|&(ready, _)| interest.intersects(ready))
        .fold(EventFlags::ET, |flags, (_, more)| flags | more);
        Ok(epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(token),
            flags,
        )?)
    }

    /// Stops watching `fd`.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits for events, at most `timeout`; for ever without one.
    pub(in crate::reactor) fn wait(&self, events: &mut Events, timeout: Option<Duration>) {
        events.events.clear();
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        // A signal may interrupt the wait: then there are no events, and the loop comes round again.
        let _ = epoll::wait(
            &self.epoll,
            spare_capacity(&mut events.events),
            timeout.as_ref(),
        );
    }
}

impl AsFd for Poller {
    /// A descriptor that is readable while one of those watched has news that no wait has returned.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn readiness(flags: EventFlags) -> Ready {
    let mut ready = Ready::EMPTY;
    if flags.intersects(EventFlags::IN | EventFlags::PRI) {
        ready = ready | Ready::READ;
    }
    if flags.contains(EventFlags::OUT) {
        ready = ready | Ready::WRITE;
    }
    if flags.contains(EventFlags::RDHUP) {
        ready = ready | Ready::READ_CLOSED;
    }
    if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
        ready = ready | Ready::READ_CLOSED | Ready::WRITE_CLOSED;
    }
    if flags.contains(EventFlags::PRI) {
        ready = ready | Ready::URGENT;
    }
    ready
}
