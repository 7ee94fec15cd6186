//! What Unix adds to [`Command`]: std's `os::unix::process::CommandExt`, as a trait of our own.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;

use super::Command;

/// The Unix part of [`Command`]; [`std::os::unix::process::CommandExt`].
///
/// # Differences from std
///
/// std's trait is sealed, so this is another one, of the same name. The deprecated `before_exec` is not there.
///
/// # Examples
///
/// ```
/// use green_core::process::{Command, CommandExt};
///
/// let said = Command::new("sh").arg0("green").args(["-c", "echo $0"]).output()?;
/// assert_eq!(said.stdout, b"green\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait CommandExt: sealed::Sealed {
    /// The user that the child runs as; [`uid`](std::os::unix::process::CommandExt::uid).
    fn uid(&mut self, id: u32) -> &mut Command;

    /// The group that the child runs as; [`gid`](std::os::unix::process::CommandExt::gid).
    fn gid(&mut self, id: u32) -> &mut Command;

    /// A closure for the child to run before the program; [`pre_exec`](std::os::unix::process::CommandExt::pre_exec).
    ///
    /// # Safety
    ///
    /// As std's: the closure runs in a forked copy of this process, which has one OS thread and no hub, while locks may
    /// be held by OS threads that are not there. It does what is async-signal-safe, and makes no call of this crate.
    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static;

    /// Becomes the program; returns only if that fails. [`exec`](std::os::unix::process::CommandExt::exec).
    ///
    /// Every OS thread of the process ends, hubs included, and no destructor runs.
    #[must_use]
    fn exec(&mut self) -> io::Error;

    /// What the child finds as its own name; [`arg0`](std::os::unix::process::CommandExt::arg0).
    fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>;

    /// The child's process group; [`process_group`](std::os::unix::process::CommandExt::process_group).
    fn process_group(&mut self, pgroup: i32) -> &mut Command;
}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        self.std.uid(id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        self.std.gid(id);
        self
    }

    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller promises of the closure what std asks.
        unsafe { self.std.pre_exec(f) };
        self
    }

    fn exec(&mut self) -> io::Error {
        self.forget_capture();
        self.std.exec()
    }

    fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>,
    {
        self.std.arg0(arg);
        self
    }

    fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.std.process_group(pgroup);
        self
    }
}

#[expect(unnameable_types, reason = "it seals the trait")]
mod sealed {
    /// Implemented by [`Command`](super::Command) alone.
    pub trait Sealed {}

    impl Sealed for super::Command {}
}
