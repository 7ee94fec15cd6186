//! Time: sleeping.

pub(crate) mod deadline;

#[cfg(not(green_loom))]
pub use sleeping::{sleep, sleep_until, yield_now};

#[cfg(not(green_loom))]
mod sleeping;
