//! Every live green thread of a hub, for counts and dumps.

use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;

use super::control::Control;

/// The control blocks of the green threads that were spawned on one hub and have not finished.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// By the key that each control block remembers.
    live: Mutex<Slab<Arc<Control>>>,
}

impl Registry {
    /// Lists `control`, which remembers its key.
    pub(crate) fn insert(&self, control: &Arc<Control>) {
        let key = self.live.lock().insert(Arc::clone(control));
        control.set_key(key);
    }

    /// Takes a green thread off its list.
    pub(crate) fn remove(control: &Control) {
        let (hub, key) = control.registration();
        let removed = hub.registry.live.lock().try_remove(key);
        debug_assert!(removed.is_some(), "a green thread ended twice");
    }

    /// The live green threads.
    pub(crate) fn snapshot(&self) -> Vec<Arc<Control>> {
        self.live
            .lock()
            .iter()
            .map(|(_, control)| Arc::clone(control))
            .collect()
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.live.lock().len()
    }
}
