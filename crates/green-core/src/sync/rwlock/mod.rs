//! std's `RwLock`, green: the lock with its value. Who has it and who waits is in `access`.

mod access;
#[cfg(not(green_loom))]
mod guard;
#[cfg(not(green_loom))]
mod lock;
#[cfg(all(test, green_loom))]
#[expect(unsafe_code, reason = "loom watches the value that the lock is for")]
mod loom;

#[cfg(not(green_loom))]
pub use guard::{RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(green_loom))]
pub use lock::RwLock;
