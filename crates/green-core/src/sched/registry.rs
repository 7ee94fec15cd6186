//! Every live green thread, for counts and dumps.

use std::num::NonZeroU64;

use crate::primitive::BriefMutex;
use slab::Slab;

use super::control::Control;
use super::record::ControlRef;

/// The control blocks of the green threads that were spawned on one hub, or run on `may`, and have not ended.
#[derive(Debug)]
pub(crate) struct Registry {
    listed: BriefMutex<Listed>,
}

/// What a registry holds.
#[derive(Debug)]
struct Listed {
    /// By the key that each control block remembers.
    live: Slab<ControlRef>,
    /// How many have been taken off.
    ended: u64,
}

/// Room for so many is not worth giving back.
const CROWD: usize = 4096;

/// The green threads that run on `may`.
pub(crate) static MIGRATING: Registry = Registry::new();

impl Registry {
    pub(crate) const fn new() -> Self {
        Self {
            listed: BriefMutex::new(Listed {
                live: Slab::new(),
                ended: 0,
            }),
        }
    }

    /// Lists `control`, which remembers its key.
    #[inline]
    pub(crate) fn insert(&self, control: ControlRef) {
        let mut listed = self.listed.lock();
        let entry = listed.live.vacant_entry();
        control.set_key(entry.key());
        entry.insert(control);
    }

    /// Takes a green thread off its list; returns the list's reference.
    #[must_use = "given up where it is no trouble"]
    #[inline]
    pub(crate) fn remove(control: &Control) -> Option<ControlRef> {
        let (registry, key) = control.registration();
        let mut listed = registry.listed.lock();
        listed.ended += 1;
        let removed = listed.live.try_remove(key);
        drop(listed);
        debug_assert!(removed.is_some(), "a green thread ended twice");
        removed
    }

    /// Gives back memory after a crowd.
    pub(crate) fn shrink(&self) {
        let mut listed = self.listed.lock();
        if listed.live.capacity() > CROWD && listed.live.len() < listed.live.capacity() / 8 {
            listed.live.shrink_to_fit();
        }
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

    /// The live green thread of this id, if it is listed here.
    pub(crate) fn find(&self, id: NonZeroU64) -> Option<ControlRef> {
        let listed = self.listed.lock();
        let mut live = listed.live.iter().map(|(_, control)| control);
        live.find(|control| control.id() == id).cloned()
    }

    /// How many are live, and how many have ended.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let listed = self.listed.lock();
        (listed.live.len(), listed.ended)
    }
}
