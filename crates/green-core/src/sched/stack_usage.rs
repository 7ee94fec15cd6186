//! How far green threads have used their stacks, by where they were spawned.

use std::collections::BTreeMap;
use std::panic::Location;

use parking_lot::Mutex;

/// What the green threads of one spawn site have used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Where they were spawned.
    pub(crate) site: &'static Location<'static>,
    /// How many have ended.
    pub(crate) ended: u64,
    /// The smallest stack one of them had, in bytes.
    pub(crate) stack_size: usize,
    /// The most one of them used, in bytes.
    pub(crate) peak: usize,
}

/// By file, line and column.
static USAGE: Mutex<BTreeMap<(&str, u32, u32), Usage>> = Mutex::new(BTreeMap::new());

/// A green thread of this spawn site has ended.
pub(crate) fn note(site: &'static Location<'static>, stack_size: usize, used: usize) {
    let mut usage = USAGE.lock();
    let usage = usage
        .entry((site.file(), site.line(), site.column()))
        .or_insert(Usage {
            site,
            ended: 0,
            stack_size,
            peak: 0,
        });
    usage.ended += 1;
    usage.stack_size = usage.stack_size.min(stack_size);
    usage.peak = usage.peak.max(used);
}

/// All of it, in the order of the sites.
pub(crate) fn all() -> Vec<Usage> {
    USAGE.lock().values().copied().collect()
}
