//! What most programs want by its bare name.
//!
//! ```
//! use green::prelude::*;
//! use std::time::Duration;
//!
//! let sleepers = [20, 10].map(|ms| {
//!     spawn(move || {
//!         sleep(Duration::from_millis(ms));
//!         ms
//!     })
//! });
//! joinall(&sleepers);
//! assert_eq!(sleepers.map(|sleeper| sleeper.get().unwrap()), [20, 10]);
//! ```
//!
//! The preludes of std are here too, under their names, so that a path such as `std::prelude::v1` works in a crate
//! that has been switched over.

pub use green_core::{
    Failure, Greenlet, getcurrent, joinall, joinall_timeout, killall, sleep, spawn, spawn_later,
    spawn_local, timeout, yield_now,
};
pub use std::prelude::*;
