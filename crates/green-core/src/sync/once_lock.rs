//! std's `OnceLock`, green. The value and its publication are in `raw`.

use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::raw::Published;

/// A cell that is written once; see [`std::sync::OnceLock`].
///
/// The closure that makes the value may block, which suspends its own caller and those who wait for it.
///
/// # Differences from std
///
/// A closure that a kill or a time limit unwinds leaves the cell empty, as one that panics does; the next
/// caller runs its own. A closure that initializes its own cell panics, where std deadlocks.
///
/// # Examples
///
/// ```
/// use green_core::sync::OnceLock;
///
/// static ANSWER: OnceLock<u32> = OnceLock::new();
///
/// let asked = green_core::spawn(|| *ANSWER.wait());
/// assert_eq!(*ANSWER.get_or_init(|| 42), 42);
/// assert_eq!(ANSWER.set(7), Err(7));
/// assert_eq!(asked.get().unwrap(), 42);
/// ```
pub struct OnceLock<T> {
    value: Published<T>,
}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty cell; see [`std::sync::OnceLock::new`].
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            value: Published::new(),
        }
    }

    /// The value, if there is one; see [`std::sync::OnceLock::get`].
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one; see [`std::sync::OnceLock::get_mut`].
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Waits until there is a value; see [`std::sync::OnceLock::wait`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Panics
    ///
    /// If the caller is in a closure that is to make the value.
    #[inline]
    pub fn wait(&self) -> &T {
        self.value.wait();
        self.present()
    }

    /// Puts a value in, unless there is one; see [`std::sync::OnceLock::set`].
    ///
    /// # Blocking
    ///
    /// As [`OnceLock::get_or_init`].
    ///
    /// # Errors
    ///
    /// There is a value; the new one comes back.
    ///
    /// # Panics
    ///
    /// If the caller is in a closure that is to make the value.
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        self.try_insert(value).map(drop).map_err(|(_, value)| value)
    }

    /// Puts a value in, unless there is one, and returns what is there; std's method of this name is
    /// unstable.
    ///
    /// # Blocking
    ///
    /// As [`OnceLock::get_or_init`].
    ///
    /// # Errors
    ///
    /// There is a value; both are returned.
    ///
    /// # Panics
    ///
    /// If the caller is in a closure that is to make the value.
    pub fn try_insert(&self, value: T) -> Result<&T, (&T, T)> {
        let mut value = Some(value);
        let there = self.get_or_init(|| value.take().expect("a closure runs once"));
        match value {
            None => Ok(there),
            Some(value) => Err((there, value)),
        }
    }

    /// The value, made by `f` if there is none; see [`std::sync::OnceLock::get_or_init`].
    ///
    /// # Blocking
    ///
    /// Parks the caller while the closure of another runs; a cancellation point while it waits.
    ///
    /// # Panics
    ///
    /// If `f` panics; if the caller is in a closure that is to make the value.
    #[inline]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        match self.get_or_try_init(|| Ok::<T, Infallible>(f())) {
            Ok(value) => value,
        }
    }

    /// The value, made by `f` if there is none; std's method of this name is unstable.
    ///
    /// # Blocking
    ///
    /// As [`OnceLock::get_or_init`].
    ///
    /// # Errors
    ///
    /// That of `f`; the cell stays empty.
    ///
    /// # Panics
    ///
    /// If `f` panics; if the caller is in a closure that is to make the value.
    #[inline]
    pub fn get_or_try_init<F, E>(&self, f: F) -> Result<&T, E>
    where
        F: FnOnce() -> Result<T, E>,
    {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        self.value.try_init(|_| f())?;
        Ok(self.present())
    }

    /// The value, made by `f` if there is none; std's method of this name is unstable.
    ///
    /// # Panics
    ///
    /// If `f` panics.
    pub fn get_mut_or_init<F>(&mut self, f: F) -> &mut T
    where
        F: FnOnce() -> T,
    {
        self.get_or_init(f);
        self.get_mut()
            .expect("a cell that was initialized has a value")
    }

    /// The value, if there is one; see [`std::sync::OnceLock::into_inner`].
    #[inline]
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// Takes the value out, if there is one; see [`std::sync::OnceLock::take`].
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// The value of a cell that has been initialized.
    #[inline]
    fn present(&self) -> &T {
        self.get().expect("a cell that was initialized has a value")
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => out.field(value),
            None => out.field(&format_args!("<uninit>")),
        };
        out.finish()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        Self {
            value: Published::with(value),
        }
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}
