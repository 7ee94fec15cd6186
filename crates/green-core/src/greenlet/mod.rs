//! Green threads: a handle to wait for one, take its result, kill it; and gevent's explicit kind, [`Switch`].
//!
//! # Parts
//!
//! A green thread has one record (`sched::record`), with a control block (`sched::control`: who it is, how
//! far) and a packet (`packet`: its result, and who waits for it). Registry, killers and dumps reach only
//! the first, so a result that is not `Send` never leaves its OS thread behind the compiler's back:
//! [`Greenlet<T>`] is `Send` and `Sync` exactly when `T` is `Send`.

mod builder;
mod home;
mod join;
mod kill;
mod link;
pub mod local;
mod packet;
mod raw;
mod spawn;
mod spawn_callback;
mod switch;

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::Weak;
#[cfg(feature = "async")]
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{Elapsed, Failure};
use crate::sched::control::{Control, State};
use crate::sched::record::{AnyOwner, ControlRef, Owner};
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
#[cfg(feature = "async")]
use crate::waitq::Polling;
use packet::Packet;

pub use builder::Builder;
pub(crate) use home::{Home, Left};
pub use join::{JoinAll, joinall, joinall_raise, joinall_timeout};
pub(crate) use kill::die_if_asked;
pub use kill::{killall, killall_nowait, killall_timeout};
pub use link::LinkId;
pub use raw::{RawGreenlet, getcurrent, spawn_raw};
pub use spawn::{idle, run, spawn, spawn_later, spawn_local};
pub(crate) use spawn::{migrating, run_migrating, spawn_prepared};
pub use spawn_callback::{SpawnCallback, add_spawn_callback, remove_spawn_callback};
pub use switch::{Switch, SwitchError, switch};

/// A handle to a green thread. Clones are handles to the same one.
///
/// Dropping the handles does not stop the green thread. A panic that nobody has asked about is logged
/// when the last handle goes.
///
/// # Examples
///
/// ```
/// let g = green_core::spawn(|| 6 * 7);
/// assert_eq!(g.get().unwrap(), 42);
/// assert!(g.ready() && g.successful());
/// ```
pub struct Greenlet<T> {
    /// Its result, and who it is.
    record: Owner<Packet<T>>,
}

impl<T> Greenlet<T> {
    /// Its number, unique in the process.
    pub fn id(&self) -> NonZeroU64 {
        self.control().id()
    }

    /// Its name, if the builder gave one.
    pub fn name(&self) -> Option<&str> {
        self.control().name()
    }

    /// Where it was spawned, or made.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.control().site()
    }

    /// The number of the green thread that spawned it, or made it; `None` if an OS thread or a `may` coroutine did.
    pub fn spawning_greenlet(&self) -> Option<NonZeroU64> {
        self.control().parent()
    }

    /// It without its result: what [`getcurrent`] returns inside it.
    pub fn raw(&self) -> RawGreenlet {
        RawGreenlet::new(self.control_ref())
    }

    /// Whether it has been spawned or started, and has not ended; gevent's `bool(g)`.
    pub fn started(&self) -> bool {
        matches!(self.control().state(), State::New | State::Started)
    }

    /// Whether it has ended, or will end without running.
    pub fn dead(&self) -> bool {
        self.control().is_dead() || self.record.has_ended()
    }

    /// Whether it has ended.
    pub fn ready(&self) -> bool {
        // One that is just ending has left its groups already, and is not marked yet.
        self.control().is_finished() || self.record.has_ended()
    }

    /// Whether it has ended without a failure; being killed is not one.
    pub fn successful(&self) -> bool {
        self.ready() && self.record.is_successful()
    }

    /// Waits until it has ended, however it ends.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn join(&self) {
        self.record.wait(Deadline::Never, Mode::Interruptible);
    }

    /// Waits at most `timeout`; true if it has ended.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.record
            .wait(Deadline::after(timeout), Mode::Interruptible)
    }

    /// Waits until it has ended and returns a clone of its value.
    ///
    /// # Errors
    ///
    /// It panicked, was killed, or its value was moved out.
    pub fn get(&self) -> Result<T, Failure>
    where
        T: Clone,
    {
        self.record
            .get(Deadline::Never)
            .unwrap_or(Err(Failure::Taken))
    }

    /// As [`Greenlet::get`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// Also [`Failure::TimedOut`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Failure>
    where
        T: Clone,
    {
        let result = self.record.get(Deadline::after(timeout));
        result.unwrap_or(Err(Failure::TimedOut(Elapsed { after: timeout })))
    }

    /// A clone of its value, if it has ended; `None` if not.
    ///
    /// # Errors
    ///
    /// As [`Greenlet::get`].
    pub fn try_get(&self) -> Option<Result<T, Failure>>
    where
        T: Clone,
    {
        self.ready().then(|| self.get())
    }

    /// A clone of its value, if it has ended with one that was not moved out.
    pub fn value(&self) -> Option<T>
    where
        T: Clone,
    {
        self.try_get()?.ok()
    }

    /// Its failure, if it has ended with one; being killed is not one.
    pub fn exception(&self) -> Option<Failure> {
        let failure = self.record.failure()?;
        (!matches!(failure, Failure::Killed)).then_some(failure)
    }

    /// Waits until it has ended and moves its value out; other handles then get [`Failure::Taken`].
    ///
    /// # Errors
    ///
    /// It panicked, was killed, or its value was moved out before.
    pub fn into_result(self) -> Result<T, Failure> {
        self.record.take()
    }
}

impl<T> Greenlet<T> {
    /// Who it is.
    pub(crate) fn control(&self) -> &Control {
        self.record.control()
    }

    /// It without the type of its result.
    pub(crate) fn erase(&self) -> AnyOwner
    where
        T: Send + 'static,
    {
        self.record.erase()
    }

    /// Makes it leave `home` when it ends; false if it has ended.
    pub(crate) fn add_home(&self, home: Weak<dyn Home>) -> bool {
        self.record.add_home(home)
    }

    /// Its failure, if it has ended with one; being killed is one here.
    #[cfg(feature = "async")]
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.record.failure()
    }

    /// One step of [`Greenlet::into_result`], for a future.
    #[cfg(feature = "async")]
    pub(crate) fn poll_take(
        &self,
        polling: &mut Polling,
        context: &Context<'_>,
    ) -> Poll<Result<T, Failure>> {
        self.record.poll_take(polling, context)
    }

    /// Gives up what [`Greenlet::poll_take`] waits for.
    #[cfg(feature = "async")]
    pub(crate) fn cancel_take(&self, polling: &mut Polling) {
        self.record.cancel_take(polling);
    }

    /// Who it is, without its result.
    pub(crate) fn control_ref(&self) -> ControlRef {
        self.record.control_ref()
    }
}

impl<T> Clone for Greenlet<T> {
    fn clone(&self) -> Self {
        Self {
            record: self.record.clone(),
        }
    }
}

/// One more handle.
impl<T> From<&Self> for Greenlet<T> {
    fn from(greenlet: &Self) -> Self {
        greenlet.clone()
    }
}

impl<T> fmt::Debug for Greenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greenlet")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}
