//! gevent's `lock`: semaphores, and a lock that its owner may take again.
//!
//! Waiters are served first in, first out; a caller that is running may take what is free ahead of them, as in
//! gevent. Unlike gevent's, they cannot be overtaken for ever: when callers who wait were woken in vain 32 times,
//! with none of them served in between, what becomes free is kept for them until one is served.
//!
//! A lock like std's, around a value, is [`sync::Mutex`](crate::sync::Mutex).

mod bounded;
mod dummy;
mod rlock;
mod semaphore;

pub use bounded::{BoundedSemaphore, OverRelease};
pub use dummy::DummySemaphore;
pub use rlock::{NotOwner, RLock, RLockGuard};
pub use semaphore::{OwnedPermit, Permit, Semaphore};
