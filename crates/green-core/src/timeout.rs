//! gevent's `timeout`: time limits over whole sections of code; and what defers or forbids interrupts.
//!
//! A limit is a scope in the caller's interrupt state (`sched::interrupts`), which every wait looks at: there is no other
//! timer. Scopes are told apart by number, so each form catches its own expiry only.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use crate::error::Elapsed;
use crate::interrupt;
use crate::park::{Caller, Interrupt, Park};
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
    Timeout::new(limit).run(f)
}

/// As [`timeout()`], with a value instead of the error; gevent's `timeout_value`.
///
/// # Panics
///
/// As [`timeout()`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let limit = Duration::from_millis(5);
/// let answer = green_core::with_timeout(limit, "too late", || {
///     green_core::sleep(Duration::from_secs(600));
///     "in time"
/// });
/// assert_eq!(answer, "too late");
/// ```
pub fn with_timeout<T>(limit: Duration, timeout_value: T, f: impl FnOnce() -> T) -> T {
    timeout(limit, f).unwrap_or(timeout_value)
}

/// A time limit with a handle: a scope that opens and closes where the program says.
///
/// [`timeout()`] is the short form. Once it has been started, and until it is cancelled, closed or dropped, its time
/// runs; when that is over, its green thread unwinds, once, from its next wait on. Yielding its turn is not a wait here.
/// [`Timeout::run`] catches that by its identity; so may
/// [`catch_unwind`] with [`Timeout::is_cause_of`]. Caught by nobody, it ends the green thread with
/// [`Failure::TimedOut`](crate::Failure::TimedOut).
///
/// It is bound to the caller that starts it, and stays on that one's OS thread.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::{sleep, timeout::Timeout};
///
/// let overall = Timeout::start_new(Duration::from_secs(600));
/// let step = Timeout::new(Duration::from_millis(5));
/// assert!(step.run(|| sleep(Duration::from_secs(60))).is_err());
/// assert!(overall.pending() && !step.pending());
/// ```
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>() {}
/// is_send::<green_core::timeout::Timeout>();
/// ```
pub struct Timeout {
    /// `None` for never.
    limit: Option<Duration>,
    /// The scope of the last start, and whose it is.
    scope: Cell<Option<(Caller, ScopeId)>>,
    /// Whether it is not to be started any more.
    closed: Cell<bool>,
}

impl Timeout {
    /// One that has not been started.
    pub fn new(limit: Duration) -> Self {
        Self::with_limit(Some(limit))
    }

    /// One that never expires. Starting it does nothing, as often as it is done.
    pub fn never() -> Self {
        Self::with_limit(None)
    }

    const fn with_limit(limit: Option<Duration>) -> Self {
        Self {
            limit,
            scope: Cell::new(None),
            closed: Cell::new(false),
        }
    }

    /// One that has been started.
    ///
    /// # Panics
    ///
    /// In a `may` coroutine.
    pub fn start_new(limit: Duration) -> Self {
        let timeout = Self::new(limit);
        timeout.start();
        timeout
    }

    /// Lets its time run, for the caller.
    ///
    /// # Panics
    ///
    /// If it is pending or closed. In a `may` coroutine.
    pub fn start(&self) {
        let Some(limit) = self.limit else { return };
        assert!(!self.closed.get(), "a Timeout was started after its close");
        assert!(!self.pending(), "a Timeout was started that is pending");
        self.cancel();
        let caller = Caller::current();
        let id = with_interrupts(caller, |interrupts| interrupts.open_scope(limit));
        self.scope.set(Some((caller, id)));
    }

    /// Cancels it, and starts it with all of its time.
    ///
    /// # Panics
    ///
    /// If it is closed. In a `may` coroutine.
    pub fn restart(&self) {
        self.cancel();
        self.start();
    }

    /// Stops its time. An expiry that was not delivered is discarded. It may be started again.
    pub fn cancel(&self) {
        if let Some((caller, id)) = self.scope.get() {
            caller.interrupts(|interrupts| interrupts.close_scope(id));
        }
    }

    /// Cancels it for good.
    pub fn close(&self) {
        self.cancel();
        self.closed.set(true);
    }

    /// Whether it was started and may still expire.
    pub fn pending(&self) -> bool {
        let pending = |(caller, id): (Caller, ScopeId)| {
            caller.interrupts(|interrupts| interrupts.is_pending(id))
        };
        self.scope.get().and_then(pending) == Some(true)
    }

    /// Its time; `None` for never.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Whether `payload`, which unwound to the caller, is its last expiry.
    pub fn is_cause_of(&self, payload: &(dyn Any + Send)) -> bool {
        self.scope.get().is_some_and(|(owner, id)| {
            interrupt::of(payload) == Some(Interrupt::Timeout(id))
                // Others number their scopes, too.
                && ptr::eq(owner.waiter(), Caller::current().waiter())
        })
    }

    /// Runs `f`, starts it before unless it is pending, and closes it after; gevent's `with`.
    ///
    /// # Errors
    ///
    /// It expired. Those around it, and kills, pass through.
    ///
    /// # Panics
    ///
    /// As [`Timeout::start`].
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
        if !self.pending() {
            self.start();
        }
        let result = catch_unwind(AssertUnwindSafe(f));
        self.close();
        match result {
            Ok(value) => Ok(value),
            Err(payload) if self.is_cause_of(&*payload) => {
                let caller = Caller::current();
                with_interrupts(caller, |interrupts| interrupts.set_known_unwinding(false));
                Err(Elapsed {
                    after: self.limit.unwrap_or(Duration::MAX),
                })
            }
            Err(payload) => interrupt::resume(payload),
        }
    }
}

/// Its whole time, for calls that take a `Duration`: one that never passes, if it never expires. It need not be started.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::{event::Event, timeout::Timeout};
///
/// let limit = Timeout::new(Duration::from_millis(5));
/// assert!(!Event::new().wait_timeout((&limit).into()));
/// ```
impl From<&Timeout> for Duration {
    fn from(timeout: &Timeout) -> Self {
        timeout.limit.unwrap_or(Self::MAX)
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("limit", &self.limit)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// As gevent's: `1 second`, `2.5 seconds`; nothing for never.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            None => Ok(()),
            Some(limit) if limit == Duration::from_secs(1) => f.write_str("1 second"),
            Some(limit) => write!(f, "{} seconds", limit.as_secs_f64()),
        }
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
