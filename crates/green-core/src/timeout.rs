//! Time limits over whole sections of code, and what defers or forbids interrupts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::error::Elapsed;
use crate::interrupt;
use crate::park::{Caller, Interrupt};
use crate::sched::interrupts::{Interrupts, ScopeId};

/// Runs `f`, and unwinds it at its next blocking call once `limit` is over.
///
/// Scopes nest; each tells its own expiry from those around it. A limit that is reached while `f`
/// computes takes effect when `f` next waits; if it does not wait any more, its value is returned. The
/// unwinding runs destructors, which may block.
///
/// # Errors
///
/// The limit was reached.
///
/// # Panics
///
/// In a `may` coroutine; under `panic = "abort"`, when the limit is reached.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let limit = Duration::from_millis(5);
/// assert_eq!(green_core::timeout(limit, || 42), Ok(42));
/// let slept = green_core::timeout(limit, || green_core::sleep(Duration::from_secs(600)));
/// assert_eq!(slept.unwrap_err().limit(), limit);
/// ```
pub fn timeout<T>(limit: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let caller = Caller::current();
    let id = with_interrupts(caller, |interrupts| {
        interrupts.open_scope(Instant::now().checked_add(limit))
    });
    let scope = Scope { caller, id };
    let result = catch_unwind(AssertUnwindSafe(f));
    drop(scope);
    match result {
        Ok(value) => Ok(value),
        Err(payload) if interrupt::of(&*payload) == Some(Interrupt::Timeout(id)) => {
            with_interrupts(caller, |interrupts| interrupts.set_known_unwinding(false));
            Err(Elapsed { after: limit })
        }
        Err(payload) => interrupt::resume(payload),
    }
}

/// Runs `f` with kills and the expiry of [`timeout`]s deferred; what is pending at its end is delivered
/// there, unless the caller unwinds. Sections nest.
///
/// # Panics
///
/// In a `may` coroutine.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let g = green_core::spawn(|| {
///     green_core::mask_kill(|| green_core::sleep(Duration::from_millis(10)));
///     unreachable!("the kill is delivered at the end of the section");
/// });
/// green_core::sleep(Duration::from_millis(1));
/// g.kill();
/// assert!(g.successful());
/// ```
pub fn mask_kill<T>(f: impl FnOnce() -> T) -> T {
    let caller = Caller::current();
    with_interrupts(caller, Interrupts::mask);
    let masked = Masked { caller };
    let value = f();
    drop(masked);
    if !caller.is_unwinding() && caller.interrupts(Interrupts::is_masked) == Some(false) {
        let expired = caller.interrupts(|interrupts| interrupts.take_expired(Instant::now()));
        let pending = expired.flatten().map(Interrupt::Timeout);
        if let Some(interrupt) = pending.or_else(|| caller.take_interrupt()) {
            interrupt::raise(interrupt);
        }
    }
    value
}

/// Runs `f` with interrupts deferred until the caller's next wait after it. In a `may` coroutine nothing is deferred.
pub(crate) fn deferring_interrupts<T>(f: impl FnOnce() -> T) -> T {
    let caller = Caller::current();
    caller.interrupts(Interrupts::mask);
    let _masked = Masked { caller };
    f()
}

/// Runs `f`, in which any blocking call of this crate panics before it waits.
///
/// For sections that rely on nobody else running on this OS thread: a borrow kept in a thread-local, a
/// lock of std's. In a `may` coroutine nothing is checked.
///
/// # Examples
///
/// ```
/// let total = green_core::no_park(|| 1 + 1);
/// assert_eq!(total, 2);
/// let g = green_core::spawn(|| green_core::no_park(green_core::yield_now));
/// assert!(g.into_result().is_err());
/// ```
pub fn no_park<T>(f: impl FnOnce() -> T) -> T {
    let caller = Caller::current();
    caller.interrupts(Interrupts::forbid_park);
    let _allow = Forbidden { caller };
    f()
}

fn with_interrupts<R>(caller: Caller, f: impl FnOnce(&Interrupts) -> R) -> R {
    caller
        .interrupts(f)
        .expect("timeout and mask_kill do not work in a may coroutine")
}

/// Closes a scope on every way out.
struct Scope {
    caller: Caller,
    id: ScopeId,
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.caller
            .interrupts(|interrupts| interrupts.close_scope(self.id));
    }
}

/// Ends a masked section on every way out.
struct Masked {
    caller: Caller,
}

impl Drop for Masked {
    fn drop(&mut self) {
        self.caller.interrupts(Interrupts::unmask);
    }
}

/// Ends a section without blocking on every way out.
struct Forbidden {
    caller: Caller,
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        self.caller.interrupts(Interrupts::allow_park);
    }
}
