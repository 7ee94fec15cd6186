//! The carriers of one hub that wait for a green thread, and the slots whose carriers were retired.
//!
//! A carrier that becomes idle is kept by its stack's size, and the one that was used last is used next. So those at
//! the cold end are there because of the largest crowd so far. [`Carriers::look`], once a [period](PERIOD), finds how
//! many have been idle all the time since the last look: those beyond [`KEEP`] are surplus, to be retired. A crowd that
//! comes back within a period finds its carriers still there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::slot::Slot;
use super::{Counters, count, count_down};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Carriers {
    /// By stack size, in bytes.
    classes: RefCell<BTreeMap<usize, Class>>,
    /// Idle ones that are to be retired, as they lie in memory.
    surplus: RefCell<Vec<&'static Slot>>,
    /// Whether a carrier has become idle since the last look.
    is_changed: Cell<bool>,
}

/// The carriers with stacks of one size.
#[derive(Debug, Default)]
struct Class {
    /// Those that wait for a green thread, the warmest last.
    idle: Vec<&'static Slot>,
    /// The fewest that waited since the last look.
    low: usize,
    /// Slots without a stack.
    retired: Vec<&'static Slot>,
}

/// How long a carrier has to be idle before it can be surplus.
pub(crate) const PERIOD: Duration = Duration::from_secs(2);

/// How many idle carriers of a size a hub keeps.
const KEEP: usize = 64;

impl Carriers {
    /// Takes the idle carrier that was used last.
    #[inline]
    pub(crate) fn take(&self, stack_size: usize, counters: &Counters) -> Option<&'static Slot> {
        let mut classes = self.classes.borrow_mut();
        let class = classes.get_mut(&stack_size)?;
        let slot = class.idle.pop()?;
        class.low = class.low.min(class.idle.len());
        drop(classes);
        count_down(&counters.idle_carriers, 1);
        Some(slot)
    }

    /// A carrier has nothing to run.
    #[inline]
    pub(crate) fn put(&self, slot: &'static Slot, counters: &Counters) {
        let carrier = &slot.local.get().carrier;
        carrier.note_use();
        let mut classes = self.classes.borrow_mut();
        classes
            .entry(carrier.stack_size())
            .or_default()
            .idle
            .push(slot);
        self.is_changed.set(true);
        count(&counters.idle_carriers, 1);
    }

    /// Takes a carrier with a stack of this size that was to be retired.
    pub(crate) fn take_back(
        &self,
        stack_size: usize,
        counters: &Counters,
    ) -> Option<&'static Slot> {
        let mut surplus = self.surplus.borrow_mut();
        let fits = |slot: &&'static Slot| slot.local.get().carrier.stack_size() == stack_size;
        let index = surplus.iter().rposition(fits)?;
        count_down(&counters.idle_carriers, 1);
        Some(surplus.remove(index))
    }

    /// Takes the next carrier that is to be retired.
    pub(crate) fn take_surplus(&self, counters: &Counters) -> Option<&'static Slot> {
        let slot = self.surplus.borrow_mut().pop()?;
        count_down(&counters.idle_carriers, 1);
        Some(slot)
    }

    /// Whether carriers are to be retired.
    pub(crate) fn has_surplus(&self) -> bool {
        !self.surplus.borrow().is_empty()
    }

    /// Takes a slot whose carrier was retired.
    pub(crate) fn take_retired(&self, stack_size: usize) -> Option<&'static Slot> {
        self.classes
            .borrow_mut()
            .get_mut(&stack_size)?
            .retired
            .pop()
    }

    /// A slot has lost its stack, or could not be given one.
    pub(crate) fn put_retired(&self, slot: &'static Slot) {
        let stack_size = slot.local.get().carrier.stack_size();
        self.classes
            .borrow_mut()
            .entry(stack_size)
            .or_default()
            .retired
            .push(slot);
    }

    /// A surplus carrier is to be kept after all.
    pub(crate) fn put_back(&self, slot: &'static Slot, counters: &Counters) {
        count(&counters.idle_carriers, 1);
        let stack_size = slot.local.get().carrier.stack_size();
        let mut classes = self.classes.borrow_mut();
        classes.entry(stack_size).or_default().idle.push(slot);
    }

    /// Another look may find something.
    pub(crate) fn note_change(&self) {
        self.is_changed.set(true);
    }

    /// Whether a look may find something.
    #[inline]
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed.get()
    }

    /// Finds the surplus; true if another look may find more. Those that have been idle as long and stay give back what
    /// they used of their stacks beyond what is usual. If there is no `room` for more stacks, none is kept.
    pub(crate) fn look(&self, room: Room) -> bool {
        let keep = match room {
            Room::Enough => KEEP,
            Room::None => 0,
        };
        let mut look_again = self.is_changed.replace(false);
        let mut found = self.surplus.borrow_mut();
        for class in self.classes.borrow_mut().values_mut() {
            let surplus = class.low.saturating_sub(keep);
            found.extend(class.idle.drain(..surplus));
            for slot in class.idle.iter().take((class.low - surplus).min(KEEP)) {
                let carrier = &slot.local.get().carrier;
                if !carrier.is_trim() {
                    carrier.trim();
                }
            }
            class.low = class.idle.len();
            if surplus != 0 {
                class.idle.shrink_to(2 * class.low);
                look_again = true;
            }
        }
        found.sort_by_cached_key(|slot| slot.local.get().carrier.position());
        look_again
    }
}

/// Whether the system has room for more stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// Green threads wait for one.
    None,
}
