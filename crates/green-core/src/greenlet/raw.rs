//! A green thread without its result: the one that runs, or one that nobody waits for.

use std::num::NonZeroU64;
use std::panic::Location;

use super::kill;
use super::spawn::{Spec, launch};
use crate::sched;
use crate::sched::control::Control;
use crate::sched::record::ControlRef;

/// A green thread as anybody may see it; not a handle to its result.
///
/// # Examples
///
/// ```
/// let g = green_core::spawn_raw(|| green_core::sleep(std::time::Duration::from_secs(600)));
/// assert!(!g.dead());
/// g.kill_nowait();
/// ```
#[derive(Clone, Debug)]
pub struct RawGreenlet {
    control: ControlRef,
}

impl RawGreenlet {
    pub(crate) fn new(control: ControlRef) -> Self {
        Self { control }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Its number, unique in the process.
    pub fn id(&self) -> NonZeroU64 {
        self.control.id()
    }

    /// Its name, if the builder gave one.
    pub fn name(&self) -> Option<&str> {
        self.control.name()
    }

    /// Where it was spawned.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.control.site()
    }

    /// The number of the green thread that spawned it; `None` if an OS thread or a `may` coroutine did.
    pub fn spawning_greenlet(&self) -> Option<NonZeroU64> {
        self.control.parent()
    }

    /// Whether it has ended, or will end without running.
    pub fn dead(&self) -> bool {
        self.control.is_dead()
    }

    /// Asks it to die at its next blocking call. If it has not run, it never will. Once it has ended, and before anybody
    /// has started it, this does nothing.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`, if it has started.
    pub fn kill_nowait(&self) {
        if self.control.kill_aside() {
            kill::cancel_start(&self.control);
        } else {
            kill::interrupt(&self.control);
        }
    }
}

/// The green thread that runs; `None` on a plain OS thread and in a `may` coroutine.
///
/// # Examples
///
/// ```
/// assert!(green_core::getcurrent().is_none());
/// let g = green_core::spawn(|| green_core::getcurrent().map(|me| me.id()));
/// assert_eq!(g.get().unwrap(), Some(g.id()));
/// ```
pub fn getcurrent() -> Option<RawGreenlet> {
    let control = sched::current()?.control()?;
    Some(RawGreenlet { control })
}

/// Runs `f` in a green thread for whose end nobody can wait. It can be killed; if it panics, that is logged.
///
/// # Examples
///
/// ```
/// use green_core::queue::Queue;
///
/// let answers = Queue::unbounded();
/// let theirs = answers.clone();
/// green_core::spawn_raw(move || theirs.put(42).unwrap());
/// assert_eq!(answers.get().unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn_raw<F>(f: F) -> RawGreenlet
where
    F: FnOnce() + Send + 'static,
{
    launch(Spec::new(Location::caller()), f).raw()
}
