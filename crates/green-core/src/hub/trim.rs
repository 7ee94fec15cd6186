//! Gives back the memory that a crowd of green threads has left, when the hub has nothing else to do.
//!
//! What is surplus is decided in `sched::carriers`. Here it is retired, a [batch](BATCH) a turn.
//!
//! Stacks with guard regions share a mapping, and a hole in a mapping makes two of it. So surplus stacks go in the
//! order in which they lie, where neighbours make one hole, and no more holes are made than the system's limit on
//! mappings has room for.

use std::time::Instant;

use crate::config;
use crate::engine::guard;
use crate::sched::carriers::PERIOD;
use crate::sched::slot::Slot;
use crate::sched::{Local, count_down};

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    /// When to look next.
    look_at: Option<Instant>,
    /// What is to be retired, as it lies in memory.
    surplus: Vec<&'static Slot>,
    /// How many holes there may be yet.
    holes: usize,
    /// Where the stack lay that was retired last.
    last: usize,
}

impl Trimmer {
    /// Does a turn's share of the work; returns when the next one is due.
    pub(super) fn turn(&mut self, local: &'static Local, now: Option<Instant>) -> Option<Instant> {
        if self.look_at.is_none() && !local.carriers.is_changed() && local.held.borrow().is_empty()
        {
            return None;
        }
        let now = now.unwrap_or_else(Instant::now);
        let look_at = *self.look_at.get_or_insert(now + PERIOD);
        if self.surplus.is_empty() && look_at <= now {
            self.look(local, now);
        }
        if self.surplus.is_empty() {
            return self.look_at;
        }
        self.retire(local);
        Some(now)
    }

    fn look(&mut self, local: &'static Local, now: Instant) {
        let is_short = !local.held.borrow().is_empty();
        let counters = &local.shared.counters;
        let found = local.carriers.look(counters, is_short);
        self.look_at = (found.look_again || is_short).then_some(now + PERIOD);
        self.surplus = found.surplus;
        if self.surplus.is_empty() {
            local.shrink();
            return;
        }
        self.surplus
            .sort_unstable_by_key(|slot| slot.local.get().carrier.position());
        self.last = 0;
        self.holes = match config::max_mappings() {
            Some(most) if guard::are_regions() => {
                most.saturating_sub(guard::mappings().unwrap_or(0))
            }
            _ => usize::MAX,
        };
    }

    fn retire(&mut self, local: &'static Local) {
        let counters = &local.shared.counters;
        for _ in 0..BATCH {
            let Some(slot) = self.surplus.pop() else {
                return;
            };
            let carrier = &slot.local.get().carrier;
            if self.last.saturating_sub(carrier.position()) != carrier.span() {
                if self.holes == 0 {
                    self.surplus.push(slot);
                    local
                        .carriers
                        .put_back(std::mem::take(&mut self.surplus), counters);
                    return;
                }
                self.holes -= 1;
            }
            self.last = carrier.position();
            carrier.retire();
            count_down(&counters.carriers, 1);
            local.carriers.put_retired(slot);
        }
    }
}

/// How many carriers are retired a turn: about a quarter of a millisecond.
const BATCH: usize = 64;
