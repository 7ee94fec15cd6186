//! A green thread made to measure.

use std::io;
use std::panic::Location;

use super::Greenlet;
use super::spawn::{self, Spec, launch};
use crate::sched::placement;
use crate::{config, hub, sched};

/// Settings for one green thread.
///
/// # Examples
///
/// ```
/// let g = green_core::Builder::new().name("answer").stack_size(64 * 1024).spawn(|| 42)?;
/// assert_eq!(g.name(), Some("answer"));
/// assert_eq!(g.get().unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Box<str>>,
    stack_size: Option<usize>,
    hub: Option<usize>,
}

impl Builder {
    /// The defaults: no name, the configured stack, placed by load.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name, for panics, dumps and the report of a stack overflow.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// The stack, in bytes; rounded up to whole pages, at least 16 KiB. There is none of more than 1 GiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// The hub to run on, from zero.
    pub fn hub(mut self, hub: usize) -> Self {
        self.hub = Some(hub);
        self
    }

    /// Runs `f` in a green thread; see [`spawn`](crate::spawn).
    ///
    /// # Errors
    ///
    /// `WouldBlock`: the system has no room for another stack, or green threads wait for one already (plain
    /// `spawn` waits, too). `InvalidInput`: there is no hub of that number, or the stack is to be larger
    /// than 1 GiB.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spec = self.spec(Location::caller())?;
        if !placement::is_room(
            spec.stack_size
                .unwrap_or_else(|| config::freeze().stack_size),
        ) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(launch(spec, f))
    }

    /// A green thread that does not run before it is started; see [`Greenlet::new`].
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there is no hub of that number, or the stack is to be larger than 1 GiB.
    #[track_caller]
    pub fn unstarted<F, T>(self, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(spawn::unstarted(self.spec(Location::caller())?, f))
    }

    fn spec(self, site: &'static Location<'static>) -> io::Result<Spec> {
        hub::start();
        if self.hub.is_some_and(|hub| hub >= sched::hubs().len()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is no hub of that number",
            ));
        }
        if self
            .stack_size
            .is_some_and(|bytes| bytes > config::MAX_STACK_SIZE)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a stack is no larger than 1 GiB",
            ));
        }
        Ok(Spec {
            name: self.name,
            stack_size: self.stack_size.map(config::round_stack_size),
            hub: self.hub,
            ..Spec::new(site)
        })
    }
}
