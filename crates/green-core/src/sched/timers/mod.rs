//! The deadlines of one hub.
//!
//! # Structure
//!
//! Each slot holds the deadline of its current wait; a [wheel](Wheel) holds the times at which the hub must look at
//! a slot. Setting a deadline writes the slot, and the wheel only if the slot has no earlier entry there; cancelling
//! clears the slot and leaves the entry behind. An entry that comes up for a slot with a later deadline is put back
//! at that time. So a read timeout that is set and cancelled ten thousand times a second costs a wheel operation once
//! per expiry, not once per read.
//!
//! # Invariants
//!
//! 1. A slot with a deadline has an entry at `armed`, and `armed` is not later than the deadline.
//! 2. An entry whose time is not its slot's `armed` is stale and skipped.
//! 3. Stale entries are at most as many as live ones, plus a constant: past that the wheel is cleared of them.
//!
//! Equal deadlines fire in the order in which they were set, as far as their slots had no earlier entries. Times are in nanoseconds of the runtime's clock, from 1
//! on; 0 is none.

mod wheel;
#[cfg(test)]
mod wheel_tests;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Instant;

use super::record::Runner;
use super::slot::Slot;
use super::{Call, clock, instant};
use wheel::Wheel;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// When to look at which slot.
    wheel: Wheel<&'static Slot>,
    /// How many slots have `armed` set.
    armed: usize,
    /// How many slots have a deadline.
    live: usize,
    /// Orders starts of equal time.
    sequence: u64,
    /// Green threads that start later, by time and order.
    starts: BTreeMap<(Instant, u64), Runner>,
    /// Where they stand there, by id.
    starts_by_id: BTreeMap<u64, (Instant, u64)>,
    /// What is to be called for callers without a hub, by time and number.
    calls: BTreeMap<(Instant, u64), Call>,
}

/// The part of a slot that belongs to the timers of its hub.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// When the current wait times out.
    deadline: Cell<u64>,
    /// The earliest entry for this slot in the wheel.
    armed: Cell<u64>,
}

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
        let deadline = clock(deadline).max(1);
        let timer = timer(slot);
        if timer.deadline.replace(deadline) == 0 {
            self.live += 1;
        }
        let armed = timer.armed.get();
        if armed == 0 || deadline < armed {
            self.arm(slot, deadline);
        }
    }

    /// Clears the deadline of a slot's wait.
    pub(crate) fn clear(&mut self, slot: &'static Slot) {
        if timer(slot).deadline.take() != 0 {
            self.live -= 1;
        }
    }

    /// Starts a green thread at `at`.
    pub(crate) fn start_at(&mut self, at: Instant, start: Runner) {
        self.sequence += 1;
        let key = (at, self.sequence);
        self.starts_by_id.insert(start.control().id().get(), key);
        self.starts.insert(key, start);
    }

    /// Takes back the green thread of this id, if it was to start later.
    pub(crate) fn cancel_start(&mut self, id: u64) -> Option<Runner> {
        let key = self.starts_by_id.remove(&id)?;
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

    /// When the next deadline is due; with many of them it may be a little early.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let armed = &mut self.armed;
        let is_actual = |&slot: &&'static Slot, at| {
            let timer = timer(slot);
            timer.armed.get() == at && timer.deadline.get() == at
        };
        self.wheel.settle(is_actual, |&slot, at| {
            let timer = timer(slot);
            if timer.armed.get() != at {
                return None;
            }
            let deadline = timer.deadline.get();
            timer.armed.set(deadline);
            if deadline == 0 {
                *armed -= 1;
                return None;
            }
            Some(deadline)
        });
        self.earliest()
    }

    /// Whether there may be something to take at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.earliest().is_some_and(|at| at <= now)
    }

    /// Takes one thing that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Due> {
        if let Some(entry) = self.starts.first_entry()
            && entry.key().0 <= now
        {
            let start = entry.remove();
            self.starts_by_id.remove(&start.control().id().get());
            return Some(Due::Start(start));
        }
        if let Some(entry) = self.calls.first_entry()
            && entry.key().0 <= now
        {
            return Some(Due::Call(entry.remove()));
        }
        let now = clock(now);
        while let Some((at, slot)) = self.wheel.pop(now, |slot| slot.prefetch_all()) {
            let timer = timer(slot);
            if timer.armed.get() != at {
                continue;
            }
            timer.armed.set(0);
            self.armed -= 1;
            match timer.deadline.get() {
                0 => {}
                deadline if deadline <= now => {
                    self.clear(slot);
                    return Some(Due::Wait(slot));
                }
                later => self.arm(slot, later),
            }
        }
        None
    }

    /// Whether there is nothing to look at, ever.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wheel.len() == 0 && self.starts.is_empty() && self.calls.is_empty()
    }

    /// How many green threads wait with a deadline or are to start later.
    pub(crate) fn len(&self) -> usize {
        self.live + self.starts.len() + self.calls.len()
    }

    /// Gives back memory after a crowd.
    pub(crate) fn shrink(&mut self) {
        self.wheel.shrink();
    }

    fn earliest(&self) -> Option<Instant> {
        let start = self.starts.first_key_value().map(|(&(at, _), _)| at);
        let call = self.calls.first_key_value().map(|(&(at, _), _)| at);
        let wait = self.wheel.earliest().map(instant);
        [start, call, wait].into_iter().flatten().min()
    }

    fn arm(&mut self, slot: &'static Slot, at: u64) {
        if timer(slot).armed.replace(at) == 0 {
            self.armed += 1;
        }
        self.wheel.push(at, slot);
        if self.wheel.len() > 2 * self.armed + STALE_SLACK {
            self.wheel.retain(|&slot, at| timer(slot).armed.get() == at);
        }
    }
}

fn timer(slot: &'static Slot) -> &'static Timer {
    &slot.local.get().timer
}

/// Stale entries that are not worth a search.
const STALE_SLACK: usize = 256;
