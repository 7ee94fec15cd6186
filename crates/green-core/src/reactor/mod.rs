//! Readiness to wake-ups: one poller per hub, and the sources it watches.
//!
//! A source is registered only when an operation on it would block, with the hub of the green thread
//! that blocks. The poller's tokens are an index and a generation, never an address: an event for a
//! source that has gone finds another generation and is dropped.
//!
//! # Life of a registration
//!
//! 1. [`Registration::new`] lists the source and adds its descriptor, edge-triggered. The kernel reports
//!    at once what is ready already, so nothing that came between the attempt and the registration is
//!    lost.
//! 2. Events reach [`Source::deliver`] on the hub's own stack.
//! 3. Dropping the registration deletes the descriptor from the poller, then takes the source off the
//!    list. Whoever owns the descriptor drops the registration before closing it: a duplicate would
//!    keep it in the poller otherwise.

pub(crate) mod source;
mod sys;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use slab::Slab;

use crate::sched::HubShared;
use source::Source;
use sys::Poller;

pub(crate) use sys::Events;

/// The poller of one hub and the sources it watches.
#[derive(Debug)]
pub(crate) struct Reactor {
    poller: Poller,
    sources: Mutex<Sources>,
}

/// What a poller watches.
#[derive(Debug, Default)]
struct Sources {
    entries: Slab<Entry>,
    /// The generation of the next entry.
    next_generation: u32,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    source: Arc<Source>,
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
    let reactors = REACTORS.get().map_or(&[][..], |reactors| reactors);
    reactors
        .iter()
        .map(|reactor| reactor.sources.lock().entries.len())
        .sum()
}

impl Reactor {
    fn new(hub: &HubShared) -> io::Result<Self> {
        let poller = Poller::new()?;
        // Edge-triggered: each write to the eventfd is an event, and it is never read.
        poller.add(hub.bell(), BELL)?;
        Ok(Self {
            poller,
            sources: Mutex::default(),
        })
    }

    /// Waits for events, at most `timeout`, and wakes who waited for them.
    pub(crate) fn poll(&self, events: &mut Events, timeout: Option<Duration>) {
        self.poller.wait(events, timeout);
        for (token, ready) in events.iter() {
            if token == BELL {
                continue;
            }
            let source = self.sources.lock().get(token);
            if let Some(source) = source {
                source.deliver(ready);
            }
        }
    }
}

impl Sources {
    fn get(&self, token: u64) -> Option<Arc<Source>> {
        let (index, generation) = split(token);
        let entry = self.entries.get(index)?;
        (entry.generation == generation).then(|| Arc::clone(&entry.source))
    }
}

/// The index and the generation in a token.
fn split(token: u64) -> (usize, u32) {
    ((token >> 32) as usize, (token & u64::from(u32::MAX)) as u32)
}

/// A source in a poller.
#[derive(Debug)]
pub(crate) struct Registration {
    /// Whose poller.
    hub: usize,
    /// Its token there.
    token: u64,
}

impl Registration {
    /// Watches `fd` for `source`, with the poller of the hub with this number.
    ///
    /// # Errors
    ///
    /// `EPERM`: this kind of file cannot be polled; or the limits of epoll.
    pub(crate) fn new(hub: usize, fd: BorrowedFd<'_>, source: &Arc<Source>) -> io::Result<Self> {
        let reactor = of(hub);
        let mut sources = reactor.sources.lock();
        let generation = sources.next_generation;
        sources.next_generation = generation.wrapping_add(1);
        let index = sources.entries.insert(Entry {
            generation,
            source: Arc::clone(source),
        });
        drop(sources);
        let token = (index as u64) << 32 | u64::from(generation);
        // Before the descriptor is added: its first event must find the source registered.
        source.set_registered();
        if let Err(error) = reactor.poller.add(fd, token) {
            source.unset_registered();
            reactor.sources.lock().entries.remove(index);
            return Err(error);
        }
        Ok(Self { hub, token })
    }

    /// Stops watching `fd`, the descriptor that was registered.
    pub(crate) fn remove(self, fd: BorrowedFd<'_>) {
        let reactor = of(self.hub);
        // It fails only if the descriptor is not there any more, which is what we want.
        reactor.poller.delete(fd).ok();
        let (index, _) = split(self.token);
        reactor.sources.lock().entries.remove(index);
    }
}
