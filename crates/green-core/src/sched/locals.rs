//! The green-local values of one caller.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// See the module documentation. Only the caller touches it.
#[derive(Default)]
pub(crate) struct Locals {
    /// By key, in the order in which they were made.
    values: RefCell<Vec<(Key, Rc<dyn Any>)>>,
    /// The keys whose values are gone, while the caller ends.
    gone: RefCell<Vec<Key>>,
    /// Whether the caller ends.
    ending: Cell<bool>,
}

/// Which value: the address of its static.
pub(crate) type Key = usize;

/// The value is gone: its caller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Locals {
    /// The value of `key`, which `init` makes if there is none.
    ///
    /// `init` may block, and use other values. If it uses this one, that one stays.
    pub(crate) fn get<T: 'static>(
        &self,
        key: Key,
        init: impl FnOnce() -> T,
    ) -> Result<Rc<T>, Gone> {
        if let Some(value) = self.find(key) {
            return Ok(downcast(value));
        }
        if self.ending.get() && self.gone.borrow().contains(&key) {
            return Err(Gone);
        }
        let made = Rc::new(init());
        if let Some(value) = self.find(key) {
            return Ok(downcast(value));
        }
        let value: Rc<dyn Any> = Rc::clone(&made) as Rc<dyn Any>;
        self.values.borrow_mut().push((key, value));
        Ok(made)
    }

    fn find(&self, key: Key) -> Option<Rc<dyn Any>> {
        let values = self.values.borrow();
        let (_, value) = values.iter().rev().find(|(other, _)| *other == key)?;
        Some(Rc::clone(value))
    }

    /// Drops every value, the youngest first, those that are made meanwhile too. Goes on with the first panic of a
    /// destructor when all are gone.
    pub(crate) fn end(&self) {
        if !self.values.borrow().is_empty() {
            self.end_all();
        }
    }

    #[cold]
    fn end_all(&self) {
        self.ending.set(true);
        let mut panic = None;
        loop {
            let youngest = self.values.borrow_mut().pop();
            let Some((key, value)) = youngest else { break };
            self.gone.borrow_mut().push(key);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
                match panic {
                    None => panic = Some(payload),
                    Some(_) => forget(payload),
                }
            }
        }
        self.gone.borrow_mut().clear();
        self.ending.set(false);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Locals {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locals").finish_non_exhaustive()
    }
}

/// Gives up a second payload without its destructor, which may panic, too.
#[expect(clippy::mem_forget, reason = "not running the destructor is the point")]
fn forget(payload: Box<dyn Any + Send>) {
    std::mem::forget(payload);
}

fn downcast<T: 'static>(value: Rc<dyn Any>) -> Rc<T> {
    value
        .downcast()
        .unwrap_or_else(|_| unreachable!("a key has values of one type"))
}
