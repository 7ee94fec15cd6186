//! Every live green thread of a hub, for counts and dumps.

use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;

use super::control::Control;

/// The control blocks of the green threads that were spawned on one hub and have not finished.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    listed: Mutex<Listed>,
}

/// What a registry holds.
#[derive(Debug, Default)]
struct Listed {
    /// By the key that each control block remembers.
    live: Slab<Arc<Control>>,
    /// How many have been taken off.
    ended: u64,
}

impl Registry {
    /// Lists `control`, which remembers its key.
    pub(crate) fn insert(&self, control: &Arc<Control>) {
        let key = self.listed.lock().live.insert(Arc::clone(control));
        control.set_key(key);
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
    pub(crate) fn snapshot(&self) -> Vec<Arc<Control>> {
        self.listed
            .lock()
            .live
            .iter()
            .map(|(_, control)| Arc::clone(control))
            .collect()
    }

    /// How many are live, and how many have ended.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let listed = self.listed.lock();
        (listed.live.len(), listed.ended)
    }
}
