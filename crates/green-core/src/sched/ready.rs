//! What runs next, first in first out; and the memory that it will touch, fetched ahead.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::Work;
use super::control::Mobility;
use super::record::{Runner, SendRunner};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// The head runs next.
    work: RefCell<VecDeque<Work>>,
    /// How many of it are starts.
    starts: Cell<usize>,
    /// How many at the head have had their stacks touched.
    translated: Cell<usize>,
}

impl Ready {
    /// Puts work at the end.
    #[inline]
    pub(crate) fn push(&self, work: Work) {
        match work {
            Work::Start(_) => self.starts.set(self.starts.get() + 1),
            Work::Resume(slot) => slot.prefetch(),
        }
        self.work.borrow_mut().push_back(work);
    }

    /// Takes the head, and asks for the memory that those behind it will touch.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Work> {
        let mut queue = self.work.borrow_mut();
        let work = queue.pop_front()?;
        match self.translated.get() {
            0 => self.translate(&queue),
            n => self.translated.set(n - 1),
        }
        if let Some(Work::Resume(slot)) = queue.get(1) {
            slot.local.get().carrier.prefetch_stack();
        }
        drop(queue);
        if matches!(work, Work::Start(_)) {
            self.starts.set(self.starts.get() - 1);
        }
        Some(work)
    }

    /// Touches the stacks of the next ones. Each is on a page of its own, and with a thousand of them the processor does
    /// not know where any is: it must walk the page table, and stands still meanwhile, but it does several walks at a
    /// time.
    fn translate(&self, queue: &VecDeque<Work>) {
        for work in queue.iter().take(TRANSLATE) {
            if let Work::Resume(slot) = work {
                slot.local.get().carrier.touch_stack();
            }
        }
        self.translated.set(TRANSLATE - 1);
    }

    /// Takes the head if it is a start that fits a stack of `stack_size` bytes.
    pub(crate) fn pop_start(&self, stack_size: usize) -> Option<Runner> {
        let mut queue = self.work.borrow_mut();
        match queue.front() {
            Some(Work::Start(runner)) if runner.control().stack_size() == stack_size => {}
            _ => return None,
        }
        self.starts.set(self.starts.get() - 1);
        match queue.pop_front() {
            Some(Work::Start(runner)) => Some(runner),
            _ => None,
        }
    }

    /// Takes up to half of the starts that may run elsewhere, the youngest first.
    pub(crate) fn take_movable(&self) -> Vec<SendRunner> {
        let want = self.starts.get() / 2;
        let mut taken = Vec::with_capacity(want);
        let mut kept = Vec::new();
        let mut queue = self.work.borrow_mut();
        while taken.len() < want {
            match queue.pop_back() {
                Some(Work::Start(runner)) if runner.control().mobility() == Mobility::Free => {
                    match runner.into_sendable() {
                        Ok(runner) => taken.push(runner),
                        Err(runner) => kept.push(Work::Start(runner)),
                    }
                }
                Some(other) => kept.push(other),
                None => break,
            }
        }
        queue.extend(kept.into_iter().rev());
        drop(queue);
        self.starts.set(self.starts.get() - taken.len());
        taken.reverse();
        taken
    }

    /// How many starts are in it.
    #[inline]
    pub(crate) fn starts(&self) -> usize {
        self.starts.get()
    }

    /// How much is in it.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.work.borrow().len()
    }

    /// Gives back memory after a crowd.
    pub(crate) fn shrink(&self) {
        let mut queue = self.work.borrow_mut();
        let len = queue.len();
        queue.shrink_to(2 * len + KEPT);
    }
}

/// How many stacks are touched at a time.
const TRANSLATE: usize = 6;

/// Entries for which a queue keeps memory though it has none.
const KEPT: usize = 1024;
