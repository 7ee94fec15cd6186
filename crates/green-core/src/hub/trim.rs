//! Gives back the memory that a crowd of green threads has left, when the hub has nothing else to do.
//!
//! What is surplus is decided in `sched::carriers`. Here it is retired, a [batch](BATCH) a turn.
//!
//! Stacks with guard regions share a mapping, and a hole in a mapping makes two of it. So surplus stacks go in the
//! order in which they lie, where neighbours make one hole, and no more holes are made than the system's limit on
//! mappings has room for; what then stays gives back its memory, but for a page each. Stacks of several hubs lie between
//! each other. All hubs go from the top down, so that the holes of one are soon joined by another's, and whoever has
//! used up its share of holes counts again.

use std::time::Instant;

use crate::config;
use crate::engine::guard;
use crate::sched::carriers::{PERIOD, Room};
use crate::sched::{self, Local, count_down};

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    /// When to look next.
    look_at: Option<Instant>,
    /// How many holes there may be yet, as far as is known.
    holes: usize,
    /// Whether there was no room for another one.
    is_stuck: bool,
    /// Whether anything was retired since the last look.
    has_retired: bool,
    /// Where the stack lay that was retired last.
    last: Option<usize>,
}

impl Trimmer {
    /// Does a turn's share of the work; returns when the next one is due.
    pub(super) fn turn(&mut self, local: &'static Local, now: Option<Instant>) -> Option<Instant> {
        let carriers = &local.carriers;
        if self.look_at.is_none() && !carriers.is_changed() && local.held.borrow().is_empty() {
            return None;
        }
        let now = now.unwrap_or_else(Instant::now);
        let look_at = *self.look_at.get_or_insert(now + PERIOD);
        if !carriers.has_surplus() && look_at <= now {
            self.look(local, now);
        }
        if !carriers.has_surplus() {
            return self.look_at;
        }
        self.retire(local);
        Some(now)
    }

    fn look(&mut self, local: &'static Local, now: Instant) {
        let room = if local.held.borrow().is_empty() {
            Room::Enough
        } else {
            Room::None
        };
        let look_again = local.carriers.look(room) || room == Room::None;
        self.look_at = look_again.then_some(now + PERIOD);
        if !local.carriers.has_surplus() {
            local.shrink();
            return;
        }
        self.last = None;
        self.holes = room_for_holes();
        self.is_stuck = false;
        self.has_retired = false;
    }

    /// Whether there may be another hole; counts again if none is left.
    fn may_make_hole(&mut self) -> bool {
        if self.holes == 0 && !self.is_stuck {
            self.holes = room_for_holes();
            self.is_stuck = self.holes == 0;
        }
        self.holes != 0
    }

    fn retire(&mut self, local: &'static Local) {
        let counters = &local.shared.counters;
        for _ in 0..BATCH {
            let Some(slot) = local.carriers.take_surplus(counters) else {
                break;
            };
            let carrier = &slot.local.get().carrier;
            let at = carrier.position();
            let is_next = self
                .last
                .is_some_and(|last| last.saturating_sub(at) == carrier.span());
            if !is_next && !self.may_make_hole() {
                carrier.trim();
                local.carriers.put_back(slot, counters);
                continue;
            }
            self.holes -= usize::from(!is_next);
            self.last = Some(at);
            self.has_retired = true;
            carrier.retire();
            count_down(&counters.carriers, 1);
            local.carriers.put_retired(slot);
        }
        if self.is_stuck && self.has_retired && !local.carriers.has_surplus() {
            // Other hubs may have made room by the next look.
            local.carriers.note_change();
        }
    }
}

/// How many holes a hub may make: its share of what the limit on mappings leaves.
fn room_for_holes() -> usize {
    if !guard::are_regions() {
        return usize::MAX;
    }
    let most = config::max_mappings().unwrap_or(usize::MAX);
    let room = most.saturating_sub(guard::mappings().unwrap_or(0));
    room / sched::hubs().len()
}

/// How many carriers are retired a turn: about a quarter of a millisecond.
const BATCH: usize = 64;
