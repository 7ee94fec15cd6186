//! A timer for a wait that no hub's slot belongs to: a hub ends it at its deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::waiter::Unparker;
use super::word::Outcome;
use super::{Call, HubShared, Message, hubs, local};

/// A hub's promise to end a wait at its deadline; taken back when it is dropped.
#[derive(Debug)]
pub(crate) struct CallTimer {
    hub: &'static HubShared,
    at: Instant,
    /// Tells it from others of the same time.
    number: u64,
    /// Whether the hub was asked by a message: one that takes it back must not overtake that.
    by_message: bool,
}

impl CallTimer {
    /// Asks the hub of the calling OS thread, else any. The hubs run.
    pub(crate) fn set(unparker: Unparker, at: Instant) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let expire = Call(Box::new(move || _ = unparker.end(Outcome::TimedOut)));
        if let Some(local) = local() {
            local.timers(|timers| timers.call_at(at, number, expire));
            return Self {
                hub: local.shared,
                at,
                number,
                by_message: false,
            };
        }
        let hubs = hubs();
        let hub = hubs[usize::try_from(number).unwrap_or(0) % hubs.len()];
        hub.send(Message::CallAt(at, number, expire));
        Self {
            hub,
            at,
            number,
            by_message: true,
        }
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        match local() {
            Some(local) if !self.by_message && std::ptr::eq(local.shared, self.hub) => {
                let cancelled = local.timers(|timers| timers.cancel_call(self.at, self.number));
                drop(cancelled);
            }
            _ => self.hub.send(Message::CancelCall(self.at, self.number)),
        }
    }
}
