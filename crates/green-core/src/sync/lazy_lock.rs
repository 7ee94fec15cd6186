//! std's `LazyLock`, green. The value and its publication are in `raw`.

use std::convert::Infallible;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::OnceState;
use super::raw::Published;
use crate::primitive::Mutex;
use crate::timeout;

/// A value that is made when it is first used; see [`std::sync::LazyLock`].
///
/// The closure that makes it may block, which suspends its own caller and those who wait for it.
///
/// # Differences from std
///
/// The closure runs as in [`mask_kill`](crate::mask_kill), because it could not be run again: a kill, or a time limit
/// of [`timeout`](crate::timeout()), also one inside the closure, takes effect at its caller's next blocking call
/// after it. (Not so in a `may` coroutine, which cannot defer kills: one that is killed there poisons.) A closure that
/// uses its own value panics, where std deadlocks.
///
/// # Examples
///
/// ```
/// use green_core::sync::LazyLock;
///
/// static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
///     green_core::yield_now();
///     vec!["green", "thread"]
/// });
///
/// assert!(LazyLock::get(&WORDS).is_none());
/// assert_eq!(WORDS.len(), 2);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: Published<T>,
    /// What makes the value, until it does. Locked to take it out only.
    make: Mutex<Option<F>>,
}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `f` will make; see [`std::sync::LazyLock::new`].
    #[inline]
    pub const fn new(f: F) -> Self {
        Self {
            value: Published::new(),
            make: Mutex::new(Some(f)),
        }
    }

    /// The value, made now if it has not been; see [`std::sync::LazyLock::force`].
    ///
    /// # Blocking
    ///
    /// Parks the caller while another makes the value; a cancellation point while it waits.
    ///
    /// # Panics
    ///
    /// If the closure panics, or did; if the caller is in it.
    #[inline]
    pub fn force(this: &Self) -> &T {
        match this.value.get() {
            Some(value) => value,
            None => this.make(),
        }
    }

    /// The value, made now if it has not been; see [`std::sync::LazyLock::force_mut`].
    ///
    /// # Panics
    ///
    /// If the closure panics, or did.
    #[inline]
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        this.value.get_mut().expect("it was made")
    }

    /// The value, or what would make it; std's function of this name is unstable.
    ///
    /// # Errors
    ///
    /// The value has not been made.
    ///
    /// # Panics
    ///
    /// If the closure has panicked.
    pub fn into_inner(mut this: Self) -> Result<T, F> {
        match this.value.take() {
            Some(value) => Ok(value),
            None => Err(this.make.into_inner().unwrap_or_else(|| poisoned())),
        }
    }

    #[cold]
    fn make(&self) -> &T {
        let make = |state: &OnceState| {
            if state.is_poisoned() {
                poisoned();
            }
            let make = self.make.lock().take();
            let make = make.unwrap_or_else(|| poisoned());
            Ok::<T, Infallible>(timeout::deferring_interrupts(make))
        };
        let Ok(()) = self.value.try_init(make);
        self.value.get().expect("it was made")
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been made; see [`std::sync::LazyLock::get`].
    #[inline]
    pub fn get(this: &Self) -> Option<&T> {
        this.value.get()
    }

    /// The value, if it has been made; see [`std::sync::LazyLock::get_mut`].
    #[inline]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.value.get_mut()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        Self::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

/// std has this since 1.96.
impl<T, F> From<T> for LazyLock<T, F> {
    fn from(value: T) -> Self {
        Self {
            value: Published::with(value),
            make: Mutex::new(None),
        }
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("LazyLock");
        match Self::get(self) {
            Some(value) => out.field(value),
            None => out.field(&format_args!("<uninit>")),
        };
        out.finish()
    }
}

#[cold]
fn poisoned() -> ! {
    panic!("LazyLock instance has previously been poisoned")
}
