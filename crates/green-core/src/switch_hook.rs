//! What a program does at the switches of its green threads.

use std::fmt;

/// Takes something of a green thread out of its OS thread while it is parked, and puts it back.
///
/// Green threads of one hub share their OS thread. Code that keeps in a thread-local what belongs to the call
/// that runs (a pointer to one of its frames, a current span) would show it to every other green thread while
/// that call is parked. A hook that knows the thread-local takes the value along. Apply it with
/// [`Config::switch_hook`](crate::Config::switch_hook).
///
/// Both methods run at every switch of every pinned green thread, on its own stack: they must be short, and must
/// neither block nor panic. A panic in them aborts the process.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use green_core::{Config, SwitchHook};
///
/// thread_local! {
///     // The number of the request that the running code works on; 0 for none.
///     static REQUEST: Cell<usize> = const { Cell::new(0) };
/// }
///
/// struct Request;
///
/// impl SwitchHook for Request {
///     fn park(&self) -> usize {
///         REQUEST.replace(0)
///     }
///
///     fn resume(&self, kept: usize) {
///         REQUEST.set(kept);
///     }
/// }
///
/// Config::new().hubs(1).switch_hook(Request).apply()?;
/// let workers = [7, 8].map(|number| {
///     green_core::spawn(move || {
///         assert_eq!(REQUEST.get(), 0); // nothing of the neighbour's
///         REQUEST.set(number);
///         green_core::yield_now();
///         REQUEST.replace(0)
///     })
/// });
/// let seen = workers.map(|worker| worker.into_result().unwrap());
/// assert_eq!(seen, [7, 8]);
/// # Ok::<(), green_core::AlreadyStarted>(())
/// ```
pub trait SwitchHook: Send + Sync + 'static {
    /// The running green thread is about to park: takes what is its own, and leaves what one finds that has just
    /// started. What is returned is kept for it.
    fn park(&self) -> usize;

    /// The green thread that left `kept` runs again.
    fn resume(&self, kept: usize);
}

impl fmt::Debug for dyn SwitchHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchHook").finish_non_exhaustive()
    }
}
