//! std's `thread`, green: the same names and signatures, and what is spawned is a green thread.
//!
//! Everything works from green threads, OS threads and `may` coroutines at once: each has a [`Thread`], which any of them
//! may unpark. What is spawned is always a pinned green thread.
//!
//! # Differences from std
//!
//! - [`spawn`] and [`Scope::spawn`] do not panic if the system has no room for another stack: the green thread waits
//!   until there is. The builder's methods return an error, as in std.
//! - Waits are cancellation points of kills and [`timeout`](crate::timeout())s.
//! - [`os::unix::thread::JoinHandleExt`](std::os::unix::thread::JoinHandleExt) is not implemented: a green thread has no
//!   `pthread_t` of its own.
//! - A name is not handed to the system, which names OS threads only. Panics, dumps and reports of overflows show it.
//! - `RUST_MIN_STACK` is not read: see [`Config::stack_size`](crate::Config::stack_size).
//! - [`LocalKey`] and [`thread_local!`](crate::thread_local!) are [`local`](mod@crate::local), green-local values.
//!
//! # Examples
//!
//! ```
//! use green_core::thread;
//! use std::time::Duration;
//!
//! let mut numbers = vec![1, 2, 3];
//! thread::scope(|s| {
//!     s.spawn(|| thread::sleep(Duration::from_millis(1)));
//!     s.spawn(|| numbers.push(4));
//! });
//! assert_eq!(numbers.len(), 4);
//! ```

mod builder;
mod handle;
mod join_handle;
mod park;
#[expect(
    unsafe_code,
    reason = "green threads that borrow from the one that waits for them"
)]
mod scope;
pub(crate) mod token;

use std::time::Duration;

use crate::greenlet;
use crate::park::Caller;

pub use crate::greenlet::local::{AccessError, LocalKey};
pub use crate::time::{sleep, sleep_until, yield_now};
pub use builder::Builder;
pub use handle::{Thread, ThreadId, current};
pub use join_handle::JoinHandle;
#[expect(deprecated, reason = "std has it still")]
pub use park::park_timeout_ms;
pub use park::{park, park_timeout};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use std::thread::{Result, available_parallelism};

/// Runs `f` in a green thread; see [`std::thread::spawn`] and [`green_core::spawn`](crate::spawn()).
///
/// # Panics
///
/// If the hubs cannot be started.
///
/// # Examples
///
/// ```
/// use green_core::thread;
///
/// let answer = thread::spawn(|| 42);
/// assert_eq!(answer.join().unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T,
    F: Send + 'static,
    T: Send + 'static,
{
    JoinHandle::plain(greenlet::spawn(f))
}

/// As [`sleep`], in milliseconds; see [`std::thread::sleep_ms`].
#[deprecated(note = "replaced by `sleep`")]
pub fn sleep_ms(ms: u32) {
    sleep(Duration::from_millis(ms.into()));
}

/// Whether the caller unwinds; see [`std::thread::panicking`].
///
/// # Differences from std
///
/// It is true while an interrupt unwinds the caller, too. While a neighbour on the same hub is parked unwinding, a
/// `resume_unwind` of the caller's own is not noticed.
#[inline]
#[must_use]
pub fn panicking() -> bool {
    std::thread::panicking() && Caller::current().is_unwinding()
}
