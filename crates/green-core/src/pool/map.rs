//! The green threads that work for one caller, and their results in order.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use super::Refused;
use crate::error::{Failure, Panic};
use crate::greenlet::Greenlet;
use crate::interrupt;
use crate::park::Interrupt;
use crate::time::deadline::Deadline;

/// For how many workers room is made before they come: an iterator may promise too much.
const MOST_RESERVED: usize = 1 << 16;

/// What runs functions for green threads that wait for them.
pub(crate) trait Start: Clone + Send + 'static {
    /// Has `f` run, waiting while there is no room; `prepare` has the green thread before it can start.
    ///
    /// # Errors
    ///
    /// There was no room in time, or nothing may be started any more; `f` comes back.
    fn start<F, T>(
        &self,
        site: &'static Location<'static>,
        f: F,
        deadline: Deadline,
        prepare: impl FnOnce(&Greenlet<T>),
    ) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;
}

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

    /// Has `starter` start a worker for each item; then waits for their values.
    ///
    /// # Errors
    ///
    /// The first failure in the order of the items; the others run on. One that may not start any more counts as killed.
    pub(crate) fn map<I, F>(
        site: &'static Location<'static>,
        starter: &impl Start,
        items: I,
        f: F,
    ) -> Result<Vec<T>, Failure>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let f = Arc::new(f);
        let items = items.into_iter();
        let mut workers = Self {
            left: VecDeque::with_capacity(items.size_hint().0.min(MOST_RESERVED)),
        };
        let mut refused = false;
        for item in items {
            let f = Arc::clone(&f);
            match starter.start(site, move || f(item), Deadline::Never, |_| ()) {
                Ok(worker) => workers.push(worker),
                Err(_) => {
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
    pub(crate) fn resume<T>(self) -> T {
        match self {
            Self::Panicked(panic) => panic.resume(),
            Self::Killed => interrupt::raise(Interrupt::Kill),
            failure => panic!("{failure}"),
        }
    }
}
