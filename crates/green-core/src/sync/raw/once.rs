//! A value that is published once, by a `Once`.
//!
//! # Invariants
//!
//! 1. Through a shared reference the value is written only in a closure that the `Once` runs. It runs one at a
//!    time, and none once it is complete.
//! 2. A complete `Once` is replaced only through an exclusive reference.
//! 3. Through a shared reference the value is read only after the `Once` was seen complete: by 1 and 2 nobody
//!    writes then, and what was written is seen, since completing releases and the look acquires.
//! 4. The value is there if, and only if, the `Once` is complete, or completes without anything in between
//!    that could unwind.

use std::cell::UnsafeCell;

use crate::sync::once::{End, Once, OnceState};

/// See the module documentation.
#[derive(Debug)]
pub(in crate::sync) struct Published<T> {
    once: Once,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: a shared reference gives out `&T` (invariant 3), which `T: Sync` allows, and takes a `T` in that may
// be dropped by another OS thread, which `T: Send` allows; the `Once` orders the two.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    /// No value yet.
    pub(in crate::sync) const fn new() -> Self {
        Self {
            once: Once::new(),
            value: UnsafeCell::new(None),
        }
    }

    /// A value that is there.
    pub(in crate::sync) const fn with(value: T) -> Self {
        Self {
            once: Once::complete(),
            value: UnsafeCell::new(Some(value)),
        }
    }

    /// The value, if it is there.
    #[inline]
    pub(in crate::sync) fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: the `Once` is complete: nobody writes (invariant 3).
        let value = unsafe { &*self.value.get() };
        value.as_ref()
    }

    /// Publishes what `f` makes, unless there is a value; a panic of another's closure is ignored.
    ///
    /// # Errors
    ///
    /// The error of `f`; then nothing has happened.
    #[cold]
    pub(in crate::sync) fn try_init<E>(
        &self,
        f: impl FnOnce(&OnceState) -> Result<T, E>,
    ) -> Result<(), E> {
        let (mut f, mut result) = (Some(f), Ok(()));
        self.once.try_call(&mut |state| {
            match f.take().expect("a closure runs once")(state) {
                Ok(value) => {
                    // SAFETY: in a closure of the `Once`, which is not complete: nobody else has the value
                    // (invariants 1 and 3).
                    unsafe { *self.value.get() = Some(value) };
                    End::Complete
                }
                Err(error) => {
                    result = Err(error);
                    End::Undone
                }
            }
        });
        result
    }

    /// Waits until there is a value.
    #[inline]
    pub(in crate::sync) fn wait(&self) {
        self.once.wait_force();
    }

    /// The value, if it is there.
    #[inline]
    pub(in crate::sync) fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Takes the value out, if it is there: it may be published again.
    pub(in crate::sync) fn take(&mut self) -> Option<T> {
        let value = self.value.get_mut().take();
        if value.is_some() {
            self.once = Once::new();
        }
        value
    }
}
