//! A lock for critical sections of some nanoseconds, whose release is a plain store.
//!
//! Used by every [`Monitor`](crate::waitq::Monitor), by the inboxes and by the registries. An uncontended lock and unlock of
//! `parking_lot` are two atomic exchanges, the second of which only asks whether somebody sleeps; that costs as much as
//! everything that is done in between. Here nobody sleeps where an unlocker would have to wake them.
//!
//! # Protocol
//!
//! 1. Who finds it taken looks again some times, then lets other OS threads run, then sleeps for a moment and begins anew, a
//!    longer one each time up to [`LONGEST`]: an owner that has lost its core gets it back, whatever the priorities are.
//! 2. Nothing parks while it is held, so there are no long waits but those of an owner that has lost its core. Now and then
//!    one reallocates, or, in a `PriorityQueue`, compares the user's items: those who want it sleep meanwhile.
//!
//! # Memory ordering
//!
//! Taking it acquires and giving it back releases, as for every lock. The store of the release is not ordered before later
//! loads of the owner: nobody may conclude anything from finding the lock *free*.
//!
//! # Not here
//!
//! Fairness, poisoning, a condition variable: `parking_lot` has them (`primitive::Mutex`).

#![expect(unsafe_code, reason = "a lock promises that it has one owner")]

#[cfg(test)]
mod tests;

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::lock_api::{self, GuardNoSend, RawMutex};

/// Data behind a brief lock.
pub(crate) type BriefMutex<T> = lock_api::Mutex<RawBriefLock, T>;

/// Access to the data.
pub(crate) type BriefMutexGuard<'a, T> = lock_api::MutexGuard<'a, RawBriefLock, T>;

/// The lock itself: whether somebody has it.
pub(crate) struct RawBriefLock(AtomicBool);

// SAFETY: `lock` and `try_lock` succeed for one caller only, by the exchange of false for true, until that one has unlocked.
unsafe impl RawMutex for RawBriefLock {
    const INIT: Self = Self(AtomicBool::new(false));

    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl RawBriefLock {
    #[cold]
    fn lock_contended(&self) {
        let mut pause = SHORTEST;
        loop {
            for attempt in 0..SPINS + YIELDS {
                if !self.0.load(Ordering::Relaxed) && self.try_lock() {
                    return;
                }
                if attempt < SPINS {
                    hint::spin_loop();
                } else {
                    thread::yield_now();
                }
            }
            sleep(pause);
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Stops the calling OS thread for a moment.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever has the lock has to run, and that is no green thread"
)]
fn sleep(pause: Duration) {
    thread::sleep(pause);
}

/// How often it looks before it lets other OS threads run: longer than any critical section.
const SPINS: u32 = 200;

/// How often it lets other OS threads run before it sleeps.
const YIELDS: u32 = 20;

/// The first sleep.
const SHORTEST: Duration = Duration::from_micros(10);

/// The longest sleep.
const LONGEST: Duration = Duration::from_micros(200);
