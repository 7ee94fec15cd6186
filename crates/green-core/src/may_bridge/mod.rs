//! Migrating green threads: closures that run as `may` coroutines on `may`'s own workers.
//!
//! For CPU-heavy work that wants work stealing, and for programs that are written for `may`. The handle
//! is the ordinary [`Greenlet`]; sockets, locks, queues, events, sleeps and joins of this crate work
//! inside, and beside pinned green threads. `may`'s configuration (`may::config()`) is the program's
//! own, and `may`'s threads start when this is first used.
//!
//! # Limits
//!
//! - std counts panics per OS thread. A coroutine that waits in a destructor while it unwinds may go on
//!   elsewhere, and both counts are then wrong: while anybody panics, others on those workers may be
//!   taken to unwind (their interrupts wait, their locks are poisoned). Do not wait in such destructors.
//! - A wait here leaves `may`'s park token set: the next `may::coroutine::park` of the program returns at
//!   once. Whoever uses the token must look at what it waits for, as with std's.
//! - `may`'s own `cancel` unwinds a wait here; what the coroutine was woken for goes to the next waiter.

use crate::greenlet::{self, Greenlet};
use crate::park::{self, Caller};

/// Runs `f` as a coroutine of `may`, which may change OS threads at every blocking call.
///
/// `kill` and `kill_nowait` work as on other green threads: the coroutine unwinds at its current or
/// next blocking call of this crate. [`timeout`](crate::timeout()) and
/// [`mask_kill`](crate::mask_kill) do not work inside.
///
/// # Safety
///
/// That of `may::coroutine::spawn`. The stack of `f` moves between OS threads while `f` is suspended, so
/// `f` must not keep anything of an OS thread across a blocking call, be it its own, of this crate, or of
/// `may`: no access to a thread-local that the compiler could merge with one before the call, no value
/// that is not `Send`, no guard of std's. And `f` must not exceed its stack: `may`'s own handler
/// abandons the frames of a stack that overflows.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::sync::Mutex;
///
/// let total = Arc::new(Mutex::new(0));
/// let theirs = Arc::clone(&total);
/// // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
/// let migrating = unsafe { green_core::may::spawn(move || *theirs.lock().unwrap() += 1) };
/// *total.lock().unwrap() += 1;
/// migrating.join();
/// assert_eq!(*total.lock().unwrap(), 2);
/// ```
#[track_caller]
pub unsafe fn spawn<F, T>(f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (greenlet, runner) = greenlet::migrating(f);
    let coroutine = move || greenlet::run_migrating(runner, park::own_coroutine_waiter());
    // SAFETY: the caller's promise is the one that `may` asks for; what is around `f` keeps nothing of
    // an OS thread across `f`.
    let handle = unsafe { may::coroutine::spawn(coroutine) };
    // The result is published through the greenlet; `may`'s own handle only detaches.
    drop(handle);
    greenlet
}

/// Whether the caller runs as a coroutine of `may`: there, [`timeout`](crate::timeout()) and
/// [`mask_kill`](crate::mask_kill) panic.
///
/// # Examples
///
/// ```
/// assert!(!green_core::run(green_core::may::is_coroutine));
/// // SAFETY: it keeps nothing of an OS thread, and is shallow.
/// let migrating = unsafe { green_core::may::spawn(green_core::may::is_coroutine) };
/// assert!(migrating.get().unwrap());
/// ```
pub fn is_coroutine() -> bool {
    matches!(Caller::current(), Caller::May(_))
}
