//! Every live green thread of a hub, for counts and dumps.

use parking_lot::Mutex;
use slab::Slab;

use super::control::Control;
use super::record::ControlRef;

/// The control blocks of the green threads that were spawned on one hub and have not finished.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    listed: Mutex<Listed>,
}

/// What a registry holds.
#[derive(Debug, Default)]
struct Listed {
    /// By the key that each control block remembers.
    live: Slab<ControlRef>,
    /// How many have been taken off.
    ended: u64,
}

impl Registry {
    /// Lists `control`, which remembers its key.
    pub(crate) fn insert(&self, control: ControlRef) {
        let mut listed = self.listed.lock();
        let entry = listed.live.vacant_entry();
        control.set_key(entry.key());
        entry.insert(control);
    }

    /// Takes a green thread off its list.
    pub(crate) fn remove(control: &Control) {
        let (hub, key) = control.registration();
        let mut listed = hub.registry.listed.lock();
        listed.ended += 1;
        let removed = listed.live.try_remove(key);
        drop(listed);
        debug_assert!(removed.is_some(), "a green thread ended twice");
    }

    /// The live green threads.
    pub(crate) fn snapshot(&self) -> Vec<ControlRef> {
        self.listed
            .lock()
            .live
            .iter()
            .map(|(_, control)| control.clone())
            .collect()
    }

    /// How many are live, and how many have ended.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let listed = self.listed.lock();
        (listed.live.len(), listed.ended)
    }
}
