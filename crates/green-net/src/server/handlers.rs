//! The handlers of a server that run now.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use green_core::Greenlet;

use super::lock::Lock;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Handlers {
    table: Lock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the next handler.
    next: u64,
    /// Those that are wanted or run; the handle follows once there is one.
    running: HashMap<u64, Option<Greenlet<()>>>,
}

impl Handlers {
    /// Enters a handler that is about to be spawned. It leaves when the entry is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Entry {
        let mut table = self.table.lock();
        let number = table.next;
        table.next += 1;
        table.running.insert(number, None);
        drop(table);
        Entry {
            handlers: Arc::clone(self),
            number,
        }
    }

    /// Notes who a handler is, unless it has left already.
    pub(super) fn spawned(&self, number: u64, greenlet: Greenlet<()>) {
        if let Some(place) = self.table.lock().running.get_mut(&number) {
            *place = Some(greenlet);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.lock().running.len()
    }

    /// Those that run, except for one.
    pub(super) fn but(&self, one: Option<NonZeroU64>) -> Vec<Greenlet<()>> {
        let table = self.table.lock();
        let greenlets = table.running.values().flatten();
        greenlets
            .filter(|greenlet| Some(greenlet.id()) != one)
            .cloned()
            .collect()
    }
}

/// The place of one handler in the table.
#[derive(Debug)]
pub(super) struct Entry {
    handlers: Arc<Handlers>,
    number: u64,
}

impl Entry {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let left = self.handlers.table.lock().running.remove(&self.number);
        // Its handle goes without the lock: the last one of a panic is logged.
        drop(left);
    }
}
