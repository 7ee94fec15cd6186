//! The deadlines of one hub.
//!
//! # Structure
//!
//! Each slot holds the deadline of its current wait; a binary heap holds the times at which the hub
//! must look at a slot. Setting a deadline writes the slot, and the heap only if the slot has no
//! earlier entry there; cancelling clears the slot and leaves the entry behind. An entry that comes up
//! for a slot with a later deadline is put back at that time. So a read timeout that is set and
//! cancelled ten thousand times a second costs a heap operation once per expiry, not once per read.
//!
//! # Invariants
//!
//! 1. A slot with a deadline has an entry at `armed`, and `armed` is not later than the deadline.
//! 2. An entry whose time is not its slot's `armed` is stale and skipped.
//! 3. Stale entries are at most as many as live ones, plus a constant: past that the heap is rebuilt.
//!
//! Equal deadlines fire in the order in which they were set.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

use super::Call;
use super::record::Runner;
use super::slot::Slot;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// When to look at which slot, earliest first.
    heap: BinaryHeap<Entry>,
    /// How many slots have `armed` set.
    armed: usize,
    /// How many slots have a deadline.
    live: usize,
    /// Orders entries of equal time.
    sequence: u64,
    /// Green threads that start later, by time and order.
    starts: BTreeMap<(Instant, u64), Runner>,
    /// What is to be called for callers without a hub, by time and number.
    calls: BTreeMap<(Instant, u64), Call>,
}

/// A time at which to look at a slot.
#[derive(Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    slot: &'static Slot,
}

impl Entry {
    fn is_stale(&self) -> bool {
        self.slot.local.get().armed.get() != Some(self.at)
    }
}

impl Ord for Entry {
    /// Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// What is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// The wait of this slot has reached its deadline.
    Wait(&'static Slot),
    /// This green thread is to start.
    Start(Runner),
    /// This is to be called.
    Call(Call),
}

impl Timers {
    /// Sets the deadline of a slot's wait.
    pub(crate) fn set(&mut self, slot: &'static Slot, deadline: Instant) {
        let local = slot.local.get();
        if local.deadline.replace(Some(deadline)).is_none() {
            self.live += 1;
        }
        if local.armed.get().is_none_or(|armed| deadline < armed) {
            self.arm(slot, deadline);
        }
    }

    /// Clears the deadline of a slot's wait.
    pub(crate) fn clear(&mut self, slot: &'static Slot) {
        if slot.local.get().deadline.take().is_some() {
            self.live -= 1;
        }
    }

    /// Starts a green thread at `at`; returns what [`Timers::cancel_start`] takes.
    pub(crate) fn start_at(&mut self, at: Instant, start: Runner) {
        self.sequence += 1;
        self.starts.insert((at, self.sequence), start);
    }

    /// Takes back a green thread that was to start later.
    pub(crate) fn cancel_start(&mut self, id: u64) -> Option<Runner> {
        let key = *self
            .starts
            .iter()
            .find(|(_, start)| start.control().id().get() == id)?
            .0;
        self.starts.remove(&key)
    }

    /// Calls something at a time.
    pub(crate) fn call_at(&mut self, at: Instant, number: u64, call: Call) {
        self.calls.insert((at, number), call);
    }

    /// Takes back what was to be called.
    pub(crate) fn cancel_call(&mut self, at: Instant, number: u64) -> Option<Call> {
        self.calls.remove(&(at, number))
    }

    /// When the next deadline is due.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        let start = self.starts.first_key_value().map(|(&(at, _), _)| at);
        let call = self.calls.first_key_value().map(|(&(at, _), _)| at);
        let start = match (start, call) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        while let Some(entry) = self.heap.peek() {
            let local = entry.slot.local.get();
            if entry.is_stale() {
                self.heap.pop();
                continue;
            }
            match local.deadline.get() {
                Some(deadline) if deadline == entry.at => {
                    return Some(start.map_or(entry.at, |start| start.min(entry.at)));
                }
                later => self.move_top(later),
            }
        }
        start
    }

    /// Takes one thing that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Due> {
        if let Some(entry) = self.starts.first_entry()
            && entry.key().0 <= now
        {
            return Some(Due::Start(entry.remove()));
        }
        if let Some(entry) = self.calls.first_entry()
            && entry.key().0 <= now
        {
            return Some(Due::Call(entry.remove()));
        }
        while let Some(entry) = self.heap.peek() {
            if entry.at > now {
                return None;
            }
            if entry.is_stale() {
                self.heap.pop();
                continue;
            }
            let slot = entry.slot;
            match slot.local.get().deadline.get() {
                Some(deadline) if deadline <= now => {
                    self.clear(slot);
                    self.move_top(None);
                    return Some(Due::Wait(slot));
                }
                later => self.move_top(later),
            }
        }
        None
    }

    /// Whether there is nothing to look at, ever.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty() && self.starts.is_empty() && self.calls.is_empty()
    }

    /// How many green threads wait with a deadline or are to start later.
    pub(crate) fn len(&self) -> usize {
        self.live + self.starts.len() + self.calls.len()
    }

    /// Gives back memory after a crowd.
    pub(crate) fn shrink(&mut self) {
        self.heap.shrink_to(2 * self.heap.len() + STALE_SLACK);
    }

    /// Removes the top entry, which is its slot's armed one, and arms the slot at `at` instead.
    fn move_top(&mut self, at: Option<Instant>) {
        if let Some(entry) = self.heap.pop() {
            entry.slot.local.get().armed.set(None);
            self.armed -= 1;
            if let Some(at) = at {
                self.arm(entry.slot, at);
            }
        }
    }

    fn arm(&mut self, slot: &'static Slot, at: Instant) {
        if slot.local.get().armed.replace(Some(at)).is_none() {
            self.armed += 1;
        }
        self.sequence += 1;
        self.heap.push(Entry {
            at,
            sequence: self.sequence,
            slot,
        });
        if self.heap.len() > 2 * self.armed + STALE_SLACK {
            self.heap.retain(|entry| !entry.is_stale());
        }
    }
}

/// Stale entries that are not worth a rebuild.
const STALE_SLACK: usize = 256;
