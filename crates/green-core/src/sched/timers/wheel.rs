//! A hierarchical timing wheel that keeps exact times.
//!
//! Time is cut into ticks of about a millisecond. What is due in the current tick, or before, is in a small heap and
//! comes out in the exact order. What is due later waits in a bucket: [`LEVELS`] levels of [`BUCKETS`] buckets each,
//! where a bucket of level n spans `BUCKETS^n` ticks. When the heap is empty, the wheel goes on to the first bucket
//! that is not, and deals its entries out to lower levels or the heap. So an entry costs a push and a few moves,
//! however many there are, and a heap operation among those of its own millisecond.
//!
//! After Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987; the level is found as in Linux and tokio.
//!
//! # Invariants
//!
//! 1. An entry whose tick is not after the wheel's is in the heap, every other one in a bucket: on the level of the
//!    highest group of bits in which its tick differs from the wheel's, at the index that this group of its tick is.
//! 2. So the occupied buckets of a level lie after the wheel's position there, and those of a lower level come before
//!    those of a higher one.
//! 3. `earliest` of a bucket is not later than its entries.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// See the module documentation. Times are in nanoseconds.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    /// The tick at which the wheel stands.
    tick: u64,
    /// What is due at that tick, or before.
    near: BinaryHeap<Entry<T>>,
    /// Level 0 first.
    levels: Box<[Level<T>]>,
    /// The memory of a bucket that was emptied, for the next one that has none: so a timer that goes from bucket to
    /// bucket takes its memory along. Empty.
    spare: Vec<Entry<T>>,
    /// How many entries there are.
    len: usize,
    /// Orders entries of equal time.
    sequence: u64,
}

/// Something with a time.
#[derive(Debug)]
struct Entry<T> {
    /// When.
    at: u64,
    /// Its place among those of the same time.
    sequence: u64,
    /// What.
    what: T,
}

/// The buckets of one span of time.
#[derive(Debug)]
struct Level<T> {
    /// Which buckets have entries, by bit.
    occupied: u64,
    /// By their part of the tick.
    buckets: [Bucket<T>; BUCKETS],
}

/// What is due in one span of time.
#[derive(Debug)]
struct Bucket<T> {
    /// Not later than any entry; the end of time if there is none.
    earliest: u64,
    /// In the order in which they came.
    entries: Vec<Entry<T>>,
}

/// A tick is two to the power of this, in nanoseconds.
const TICK: u32 = 20;
/// The buckets of a level are two to the power of this.
const GROUP: u32 = 6;
const BUCKETS: usize = 1 << GROUP;
/// So many that they span all of 64 bits.
const LEVELS: usize = (u64::BITS - TICK).div_ceil(GROUP) as usize;

/// A bucket keeps the memory for so many entries.
const KEPT: usize = 128;

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            tick: 0,
            near: BinaryHeap::new(),
            levels: (0..LEVELS).map(|_| Level::new()).collect(),
            spare: Vec::new(),
            len: 0,
            sequence: 0,
        }
    }
}

impl<T> Wheel<T> {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry.
    #[inline]
    pub(super) fn push(&mut self, at: u64, what: T) {
        self.sequence += 1;
        self.len += 1;
        self.place(Entry {
            at,
            sequence: self.sequence,
            what,
        });
    }

    /// A time that is not later than any entry's; exact if it is within the current tick.
    #[inline]
    pub(super) fn earliest(&self) -> Option<u64> {
        match self.near.peek() {
            Some(entry) => Some(entry.at),
            None => {
                let (level, index) = self.first_bucket()?;
                Some(self.levels[level].buckets[index].earliest)
            }
        }
    }

    /// Takes the first entry, if it is due at `now`. `approach` is told of the entries that may come next.
    pub(super) fn pop(&mut self, now: u64, approach: impl Fn(&T)) -> Option<(u64, T)> {
        loop {
            if let Some(entry) = self.near.peek() {
                if entry.at > now {
                    return None;
                }
                let entry = self.near.pop()?;
                self.len -= 1;
                return Some((entry.at, entry.what));
            }
            let (level, index) = self.first_bucket()?;
            if self.levels[level].buckets[index].earliest > now {
                return None;
            }
            self.deal_out(level, index, &approach);
        }
    }

    /// Makes [`Wheel::earliest`] exact, unless that is much work. `is_actual` says whether an entry still has the time
    /// it was pushed with. Of one that has not, `actual` gives the time, which is a later one, or `None` if it is to be
    /// dropped.
    pub(super) fn settle(
        &mut self,
        is_actual: impl Fn(&T, u64) -> bool,
        mut actual: impl FnMut(&T, u64) -> Option<u64>,
    ) {
        loop {
            if let Some(entry) = self.near.peek() {
                if is_actual(&entry.what, entry.at) {
                    return;
                }
                if let Some(entry) = self.near.pop() {
                    self.replace(entry, &mut actual);
                }
                continue;
            }
            let Some((level, index)) = self.first_bucket() else {
                return;
            };
            let bucket = &self.levels[level].buckets[index];
            let is_first = |entry: &Entry<T>| entry.at == bucket.earliest;
            let is_exact = |entry: &Entry<T>| is_first(entry) && is_actual(&entry.what, entry.at);
            if bucket.entries.len() > FEW || bucket.entries.iter().any(is_exact) {
                return;
            }
            self.settle_bucket(level, index, &is_actual, &mut actual);
        }
    }

    /// Puts the entries of a bucket where they belong, and those whose times are not actual where their actual times do.
    fn settle_bucket(
        &mut self,
        level: usize,
        index: usize,
        is_actual: &impl Fn(&T, u64) -> bool,
        actual: &mut impl FnMut(&T, u64) -> Option<u64>,
    ) {
        let mut entries = self.take(level, index);
        for entry in entries.drain(..) {
            if is_actual(&entry.what, entry.at) {
                self.place(entry);
            } else {
                self.replace(entry, actual);
            }
        }
        self.keep(level, index, entries);
    }

    /// Keeps the entries of which `keep` says so.
    pub(super) fn retain(&mut self, keep: impl Fn(&T, u64) -> bool) {
        self.near.retain(|entry| keep(&entry.what, entry.at));
        self.len = self.near.len();
        for level in &mut self.levels {
            for (index, bucket) in level.buckets.iter_mut().enumerate() {
                bucket.entries.retain(|entry| keep(&entry.what, entry.at));
                self.len += bucket.entries.len();
                if bucket.entries.is_empty() {
                    level.occupied &= !(1 << index);
                    bucket.earliest = u64::MAX;
                }
            }
        }
    }

    /// Gives back memory after a crowd.
    pub(super) fn shrink(&mut self) {
        self.near.shrink_to(KEPT);
        let buckets = self.levels.iter_mut().flat_map(|level| &mut level.buckets);
        for bucket in buckets {
            bucket.entries.shrink_to(KEPT);
        }
    }

    /// Puts an entry where it belongs (invariant 1).
    #[inline]
    fn place(&mut self, entry: Entry<T>) {
        let tick = entry.at >> TICK;
        if tick <= self.tick {
            self.near.push(entry);
            return;
        }
        let highest = (tick ^ self.tick).ilog2();
        let level = highest / GROUP;
        let index = usize::try_from(tick >> (level * GROUP)).unwrap_or(0) % BUCKETS;
        let level = &mut self.levels[level as usize];
        level.occupied |= 1 << index;
        let bucket = &mut level.buckets[index];
        bucket.earliest = bucket.earliest.min(entry.at);
        if bucket.entries.capacity() == 0 {
            bucket.entries = std::mem::take(&mut self.spare);
        }
        bucket.entries.push(entry);
    }

    /// Puts an entry where its actual time belongs.
    fn replace(&mut self, entry: Entry<T>, actual: &mut impl FnMut(&T, u64) -> Option<u64>) {
        match actual(&entry.what, entry.at) {
            Some(at) => self.place(Entry { at, ..entry }),
            None => self.len -= 1,
        }
    }

    /// The first bucket that has entries (invariant 2).
    #[inline]
    fn first_bucket(&self) -> Option<(usize, usize)> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        Some((level, self.levels[level].occupied.trailing_zeros() as usize))
    }

    /// Goes on to a bucket, the first that has entries, and deals them out.
    fn deal_out(&mut self, level: usize, index: usize, approach: &impl Fn(&T)) {
        let shift = GROUP * u32::try_from(level).unwrap_or(u32::MAX);
        let above = u64::MAX.checked_shl(shift + GROUP).unwrap_or(0);
        self.tick = self.tick & above | (index as u64) << shift;
        let mut entries = self.take(level, index);
        if level == 0 {
            // They come out within a millisecond.
            entries.iter().for_each(|entry| approach(&entry.what));
        }
        for entry in entries.drain(..) {
            self.place(entry);
        }
        self.keep(level, index, entries);
    }

    /// Empties a bucket.
    fn take(&mut self, level: usize, index: usize) -> Vec<Entry<T>> {
        let level = &mut self.levels[level];
        level.occupied &= !(1 << index);
        let bucket = &mut level.buckets[index];
        bucket.earliest = u64::MAX;
        std::mem::take(&mut bucket.entries)
    }

    /// Keeps the memory of a bucket that was emptied, unless it is much: as the spare one, or where it was.
    fn keep(&mut self, level: usize, index: usize, emptied: Vec<Entry<T>>) {
        if emptied.capacity() > KEPT {
            return;
        }
        let entries = &mut self.levels[level].buckets[index].entries;
        if self.spare.capacity() == 0 {
            self.spare = emptied;
        } else if entries.capacity() == 0 {
            *entries = emptied;
        }
    }
}

/// A bucket with more entries is not looked through for the exact time of the first.
const FEW: usize = 16;

impl<T> Level<T> {
    fn new() -> Self {
        Self {
            occupied: 0,
            buckets: std::array::from_fn(|_| Bucket {
                earliest: u64::MAX,
                entries: Vec::new(),
            }),
        }
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}
