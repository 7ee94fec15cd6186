//! The green threads that work for one caller, and their results in order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Failure, Panic};
use crate::greenlet::Greenlet;
use crate::interrupt;
use crate::park::Interrupt;

/// See the module documentation. If their caller unwinds while it waits for them, they are killed.
pub(crate) struct Workers<T> {
    /// Those whose results have not been taken, in order.
    left: VecDeque<Greenlet<T>>,
}

impl<T> Workers<T> {
    pub(crate) fn new() -> Self {
        Self {
            left: VecDeque::new(),
        }
    }

    /// Starts a worker for each item; then waits for their values. `start` yields nothing if it may not start any more.
    ///
    /// # Errors
    ///
    /// The first failure in the order of the items; the others run on. One that was not started counts as killed.
    pub(crate) fn map<I>(
        items: impl Iterator<Item = I>,
        mut start: impl FnMut(I) -> Option<Greenlet<T>>,
    ) -> Result<Vec<T>, Failure> {
        let mut workers = Self::new();
        let mut refused = false;
        for item in items {
            match start(item) {
                Some(worker) => workers.push(worker),
                None => {
                    refused = true;
                    break;
                }
            }
        }
        let mut values = Vec::with_capacity(workers.left.len());
        while let Some(result) = workers.next() {
            match result {
                Ok(value) => values.push(value),
                Err(failure) => {
                    workers.let_go();
                    return Err(failure);
                }
            }
        }
        if refused {
            return Err(Failure::Killed);
        }
        Ok(values)
    }

    pub(crate) fn push(&mut self, worker: Greenlet<T>) {
        self.left.push_back(worker);
    }

    /// Waits for the next worker's result.
    pub(crate) fn next(&mut self) -> Option<Result<T, Failure>> {
        self.left.front()?.join();
        Some(self.left.pop_front()?.into_result())
    }

    /// Lets the others run on.
    fn let_go(&mut self) {
        self.left.clear();
    }
}

impl<T> Drop for Workers<T> {
    fn drop(&mut self) {
        for worker in &self.left {
            worker.kill_nowait();
        }
    }
}

/// Runs `f` in the caller; a panic is its failure, an interrupt the caller's.
pub(crate) fn inline<T>(f: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| match interrupt::of(&*payload) {
        Some(_) => interrupt::resume(payload),
        None => Failure::Panicked(Panic::new(payload)),
    })
}

impl Failure {
    /// Ends the caller, a green thread, by the same failure.
    pub(super) fn resume<T>(self) -> T {
        match self {
            Self::Panicked(panic) => panic.resume(),
            Self::Killed => interrupt::raise(Interrupt::Kill),
            failure => panic!("{failure}"),
        }
    }
}
