//! The lock of what a server knows of itself.

use parking_lot::{Mutex, MutexGuard};

/// Held for a moment: never while anything waits, is spawned or dropped.
#[derive(Debug, Default)]
pub(super) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// The value; no green thread is left standing under the lock if its stack overflows.
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        green_core::make_room();
        self.0.lock()
    }
}
