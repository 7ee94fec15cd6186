//! Readiness to wake-ups: one poller per hub, and the sources it watches.
//!
//! A source is registered only when an operation on it would block, with the hub of the green thread
//! that blocks. If only green threads of another hub wait for it, it moves there.
//!
//! # Life of a registration
//!
//! 1. [`Watch::begin`] takes a source from the table and adds the descriptor to a poller, edge-triggered. The
//!    kernel reports at once what is ready already, so nothing that came between the attempt and the
//!    registration is lost.
//! 2. Events reach [`Source::deliver`] on the hub's own stack. Their token is an index and a generation, never
//!    an address: one that comes too late finds another generation and is dropped.
//! 3. To move, the descriptor is deleted from one poller and added to another, which reports again what is
//!    ready. An event that the first one had reported already says at most what is known.
//! 4. [`Watch::end`] deletes the descriptor from the poller, then gives the source back. Whoever owns the
//!    descriptor does that before closing it: a duplicate would keep it in the poller otherwise.

pub(crate) mod source;
mod sys;
mod table;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;

use crate::atomic_ref::AtomicRef;
use crate::engine::make_room;
use crate::sched::HubShared;
use source::Source;

pub(crate) use sys::{Events, Poller};

/// The poller of one hub.
#[derive(Debug)]
pub(crate) struct Reactor {
    poller: Poller,
}

/// The token of the hub's own eventfd.
const BELL: u64 = u64::MAX;

/// The reactors, by hub.
static REACTORS: OnceLock<Box<[Reactor]>> = OnceLock::new();

/// Makes a reactor for each hub, once.
pub(crate) fn start(hubs: &[&'static HubShared]) -> io::Result<()> {
    let reactors = hubs
        .iter()
        .map(|hub| Reactor::new(hub))
        .collect::<io::Result<Box<[_]>>>()?;
    assert!(REACTORS.set(reactors).is_ok(), "the reactors start once");
    Ok(())
}

/// The reactor of the hub with this number.
///
/// # Panics
///
/// Before the hubs have started.
#[inline]
pub(crate) fn of(hub: usize) -> &'static Reactor {
    &REACTORS
        .get()
        .expect("a hub runs only after its reactor was made")[hub]
}

/// How many sources all the pollers watch.
pub(crate) fn registered() -> usize {
    table::used()
}

impl Reactor {
    fn new(hub: &HubShared) -> io::Result<Self> {
        let poller = Poller::new()?;
        // Edge-triggered: each write to the eventfd is an event, and it is never read.
        poller.add(hub.bell(), BELL)?;
        Ok(Self { poller })
    }

    /// Waits for events, at most `timeout`, and wakes who waited for them.
    pub(crate) fn poll(&self, events: &mut Events, timeout: Option<Duration>) {
        self.poller.wait(events, timeout);
        for (token, ready) in events.iter() {
            if token == BELL {
                continue;
            }
            let (index, generation) = split(token);
            if let Some(source) = table::get(index) {
                source.deliver(generation, ready);
            }
        }
    }
}

/// The index and the generation in a token.
fn split(token: u64) -> (u32, u32) {
    let low = |half: u64| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(0);
    (low(token >> 32), low(token))
}

/// Whether, and by what source, a descriptor is watched.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The source, once an operation has had to wait.
    source: AtomicRef<Source>,
    /// Held while the descriptor is added to a poller, or moved to another.
    changing: Mutex<()>,
}

impl Watch {
    /// The source, if a poller watches the descriptor.
    #[inline]
    pub(crate) fn source(&self) -> Option<&'static Source> {
        self.source.get()
    }

    /// The source of `fd`, for somebody who is about to wait for it on the hub with this number, or (`None`) on no
    /// hub. Adds it to a poller if it is in none.
    ///
    /// # Errors
    ///
    /// `EPERM`: this kind of file cannot be polled; or the limits of epoll.
    #[inline]
    pub(crate) fn begin(
        &self,
        hub: Option<usize>,
        fd: BorrowedFd<'_>,
    ) -> io::Result<&'static Source> {
        match (self.source(), hub) {
            (Some(source), Some(hub)) if source.visit(hub) => self.change(hub, fd),
            (Some(source), _) => Ok(source),
            (None, hub) => self.change(hub.unwrap_or_else(any_hub), fd),
        }
    }

    /// Has the hub with this number watch the descriptor.
    #[cold]
    fn change(&self, hub: usize, fd: BorrowedFd<'_>) -> io::Result<&'static Source> {
        make_room();
        let _changing = self.changing.lock();
        if let Some(source) = self.source() {
            if source.home() != hub {
                move_to(source, hub, fd);
            }
            return Ok(source);
        }
        let source = table::take();
        source.begin(hub);
        if let Err(error) = of(hub).poller.add(fd, source.token()) {
            table::give_back(source);
            return Err(error);
        }
        self.source.set(source);
        Ok(source)
    }

    /// Stops watching `fd`, the descriptor that was given to `begin`. Nobody waits for it.
    pub(crate) fn end(&mut self, fd: BorrowedFd<'_>) {
        if let Some(source) = self.source.take() {
            // It fails only if the descriptor is not there any more, which is what we want.
            of(source.home()).poller.delete(fd).ok();
            source.end();
            table::give_back(source);
        }
    }
}

/// Moves a source to another hub's poller; if that refuses, it stays where it is.
fn move_to(source: &'static Source, hub: usize, fd: BorrowedFd<'_>) {
    if of(hub).poller.add(fd, source.token()).is_ok() {
        of(source.home()).poller.delete(fd).ok();
        source.set_home(hub);
    }
}

/// The hub whose poller watches for callers that have none: each in turn.
fn any_hub() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) % crate::sched::hubs().len().max(1)
}
