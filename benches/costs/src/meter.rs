//! The counted part of an operation.

use std::hint::black_box;

use crate::allocations;

/// What can be done, and how often.
pub(crate) struct Operation {
    /// What `scripts/costs` and its table call it.
    pub(crate) name: &'static str,
    /// How many are counted. Enough for what comes once in a turn of the hub, and for one in a hundred to be seen.
    pub(crate) count: u64,
    /// Does it: prepares, calls [`Meter::measure`] once, and leaves nothing behind.
    pub(crate) run: fn(&Meter),
}

impl Operation {
    pub(crate) const fn new(name: &'static str, count: u64, run: fn(&Meter)) -> Self {
        Self { name, count, run }
    }
}

/// Encloses the counted part.
pub(crate) struct Meter {
    /// What is counted.
    operation: &'static Operation,
    /// Whether each allocation is to show where it comes from.
    is_traced: bool,
}

impl Meter {
    pub(crate) fn new(operation: &'static Operation, is_traced: bool) -> Self {
        Self {
            operation,
            is_traced,
        }
    }

    /// Calls `body` twice, which does as many operations as it is told. The second time is counted.
    pub(crate) fn measure(&self, mut body: impl FnMut(u64)) {
        let Operation { name, count, .. } = *self.operation;
        body(count);
        println!("begin {name}");
        if self.is_traced {
            allocations::trace(TRACED);
        }
        let before = allocations::count();
        mark();
        body(count);
        mark();
        let after = allocations::count();
        allocations::trace(0);
        println!("end {name} {count} {}", after - before);
    }
}

/// Does nothing; callgrind writes what it has counted so far whenever this is called.
#[inline(never)]
pub(crate) fn mark() {
    black_box(());
}

/// How many allocations show where they come from: enough for the first few operations.
const TRACED: u64 = 40;
