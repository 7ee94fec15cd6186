//! Waiting for one's own token.

use std::time::Duration;

use super::handle::current;
use crate::interrupt::OrRaise;
use crate::time::deadline::Deadline;

/// Waits until the caller's token is there, and takes it; see [`std::thread::park`].
///
/// # Blocking
///
/// Parks the caller only; a cancellation point while it waits. An interrupt leaves the token.
///
/// # Differences from std
///
/// It does not return without a token.
///
/// # Examples
///
/// ```
/// use green_core::thread;
///
/// let parked = thread::spawn(|| thread::park());
/// parked.thread().unpark();
/// parked.join().unwrap();
/// ```
pub fn park() {
    park_until(Deadline::Never);
}

/// As [`park()`], waiting at most `dur`; see [`std::thread::park_timeout`].
///
/// # Blocking
///
/// Parks the caller only; a cancellation point while it waits. An interrupt leaves the token.
pub fn park_timeout(dur: Duration) {
    park_until(Deadline::after(dur));
}

/// As [`park_timeout`], in milliseconds; see [`std::thread::park_timeout_ms`].
#[deprecated(note = "replaced by `park_timeout`")]
pub fn park_timeout_ms(ms: u32) {
    park_timeout(Duration::from_millis(ms.into()));
}

fn park_until(deadline: Deadline) {
    // Whether it timed out is not told, as in std.
    let _: Option<()> = current().token().take(deadline).or_raise();
}
