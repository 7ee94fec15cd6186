//! The values behind guards and flags: the only unsafe code of `sync`.
//!
//! Each file has one kind of cell and the argument for it.

mod mutex;
mod once;
mod rwlock;

pub(super) use mutex::Protected;
pub(super) use once::Published;
pub(super) use rwlock::{ReadPointer, Shared};
