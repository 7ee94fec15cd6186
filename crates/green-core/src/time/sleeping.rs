//! Waiting for time to pass, or for one's turn.

use std::time::{Duration, Instant};

use super::deadline::Deadline;
use crate::engine::make_room;
use crate::interrupt;
use crate::park::{Caller, Green, Park, Wait, Wake};
use crate::sched::WaitFor;

/// Suspends the caller for at least `duration`; zero is [`yield_now`].
///
/// A hub waits for whole milliseconds, rounded up: a sleep ends half a millisecond late on average. A span beyond what the clock can express is for ever.
///
/// # Blocking
///
/// Parks the caller only; a cancellation point.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let begun = Instant::now();
/// let sleepers = (0..100).map(|_| green_core::spawn(|| green_core::sleep(Duration::from_millis(20))));
/// green_core::joinall(sleepers);
/// assert!(begun.elapsed() >= Duration::from_millis(20));
/// ```
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        yield_now();
    } else {
        sleep_till(Deadline::after(duration));
    }
}

/// Suspends the caller until `deadline` at the earliest.
///
/// # Blocking
///
/// Parks the caller only; a cancellation point.
pub fn sleep_until(deadline: Instant) {
    if deadline <= Instant::now() {
        yield_now();
    } else {
        sleep_till(Deadline::At(deadline));
    }
}

/// Lets everything that is ready on the caller's hub run first, once.
///
/// On an OS thread this is `std::thread::yield_now`.
///
/// # Blocking
///
/// Parks the caller only; a cancellation point.
pub fn yield_now() {
    let yielded = match Green::current() {
        Some(green) => green.yield_now(),
        None => Caller::foreign().yield_now(),
    };
    if let Err(interrupt) = yielded {
        interrupt::raise(interrupt);
    }
}

fn sleep_till(deadline: Deadline) {
    make_room();
    let caller = Caller::current();
    let wait = Wait::new(WaitFor::Sleep, deadline);
    let wake = match caller.begin(wait.mode) {
        Ok(opened) => caller.park(opened, &wait),
        Err(interrupt) => Wake::Interrupted(interrupt),
    };
    if let Wake::Interrupted(interrupt) = wake {
        interrupt::raise(interrupt);
    }
}
