//! A green thread made to measure, in std's shape.

use std::io;

use super::JoinHandle;
use crate::greenlet;

/// Settings for one green thread; see [`std::thread::Builder`].
///
/// # Differences from std
///
/// The stack is [`Config::stack_size`](crate::Config::stack_size) by default, at least 16 KiB, and at most 1 GiB:
/// `spawn` fails with `InvalidInput` above that, std's with `WouldBlock` where there is no room. More settings:
/// [`green_core::Builder`](crate::Builder).
///
/// # Examples
///
/// ```
/// use green_core::thread;
///
/// let named = thread::Builder::new().name("adder".into()).stack_size(64 * 1024).spawn(|| 1 + 1)?;
/// assert_eq!(named.thread().name(), Some("adder"));
/// assert_eq!(named.join().unwrap(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
}

impl Builder {
    /// The defaults; see [`std::thread::Builder::new`].
    #[expect(clippy::new_without_default, reason = "std's has none")]
    pub fn new() -> Self {
        Self {
            name: None,
            stack_size: None,
        }
    }

    /// A name; see [`std::thread::Builder::name`].
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// The stack, in bytes, rounded up to whole pages; see [`std::thread::Builder::stack_size`].
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = Some(size);
        self
    }

    /// Runs `f` in a green thread; see [`std::thread::Builder::spawn`].
    ///
    /// # Errors
    ///
    /// `WouldBlock`: the system has no room for another stack, or green threads wait for one already. `InvalidInput`: the
    /// stack is to be larger than 1 GiB.
    ///
    /// # Panics
    ///
    /// If the name contains a null byte; if the hubs cannot be started.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T,
        F: Send + 'static,
        T: Send + 'static,
    {
        Ok(JoinHandle::plain(self.into_inner().spawn(f)?))
    }

    /// The same in the shape of gevent's.
    pub(super) fn into_inner(self) -> greenlet::Builder {
        let mut inner = greenlet::Builder::new();
        if let Some(name) = self.name {
            assert!(
                !name.contains('\0'),
                "thread name may not contain interior null bytes"
            );
            inner = inner.name(name);
        }
        if let Some(size) = self.stack_size {
            inner = inner.stack_size(size);
        }
        inner
    }
}
