//! The green thread that runs.

use std::num::NonZeroU64;
use std::panic::Location;

use super::kill;
use crate::sched;
use crate::sched::record::ControlRef;

/// The green thread that runs, as others see it; not a handle to its result.
#[derive(Clone, Debug)]
pub struct Current {
    control: ControlRef,
}

impl Current {
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

    /// Asks it to die at its next blocking call.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`.
    pub fn kill_nowait(&self) {
        kill::interrupt(&self.control);
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
pub fn getcurrent() -> Option<Current> {
    let control = sched::current()?.control()?;
    Some(Current { control })
}
