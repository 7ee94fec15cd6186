//! Every source there has been: leaked and reused, found by index without a lock.
//!
//! A poller's events carry an index and a generation. The index leads to a [`Source`] that is there for ever;
//! the generation, which is in the source's own word, tells whether the event still means what the source is
//! used for now.

use std::sync::OnceLock;

use crate::primitive::BriefMutex;

use super::source::Source;

/// How many sources the first chunk holds. Each one after holds twice as many as the one before.
const FIRST: usize = 64;

/// Chunks: enough for 2^32 sources.
const CHUNKS: usize = 26;

/// See the module documentation.
static TABLE: [OnceLock<Box<[Source]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

/// What is free.
static FREE: BriefMutex<Free> = BriefMutex::new(Free {
    sources: Vec::new(),
    chunks: 0,
    used: 0,
});

struct Free {
    /// Sources that nobody uses, the one used last at the end.
    sources: Vec<&'static Source>,
    /// How many chunks there are.
    chunks: usize,
    /// How many sources are used.
    used: usize,
}

/// Takes a source that nobody uses.
pub(super) fn take() -> &'static Source {
    let mut free = FREE.lock();
    free.used += 1;
    loop {
        if let Some(source) = free.sources.pop() {
            return source;
        }
        let chunk = free.chunks;
        free.chunks += 1;
        let len = FIRST << chunk;
        let first = len - FIRST;
        let made = TABLE[chunk].get_or_init(|| {
            let index = |offset| u32::try_from(first + offset).expect("fewer than 2^32 sources");
            (0..len).map(|offset| Source::new(index(offset))).collect()
        });
        free.sources.extend(made.iter().rev());
    }
}

/// Gives a source back, which no poller watches and nobody waits for.
pub(super) fn give_back(source: &'static Source) {
    let mut free = FREE.lock();
    free.used -= 1;
    free.sources.push(source);
}

/// How many sources are used.
pub(super) fn used() -> usize {
    FREE.lock().used
}

/// The source of this index, if there is one.
#[inline]
pub(super) fn get(index: u32) -> Option<&'static Source> {
    let place = index as usize + FIRST;
    let chunk = (place / FIRST).ilog2();
    let first = FIRST << chunk;
    TABLE.get(chunk as usize)?.get()?.get(place - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_leads_to_its_source() {
        let taken: Vec<_> = (0..1_000).map(|_| take()).collect();
        for source in &taken {
            let found = get(source.index()).unwrap();
            assert!(std::ptr::eq(found, *source));
        }
        let mut indices: Vec<_> = taken.iter().map(|source| source.index()).collect();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), 1_000, "each is given once");
        let used = used();
        for source in taken {
            give_back(source);
        }
        assert_eq!(super::used(), used - 1_000);
        assert!(get(u32::MAX).is_none());
    }
}
