//! Values that each green thread has for itself; gevent's `local`, in the shape of std's `thread_local!`.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::ptr;

use crate::park;

/// Declares values that each green thread has for itself, with the syntax of [`std::thread_local!`].
///
/// A value is made when its green thread first uses it, and dropped when that ends, before those who join it are told.
/// An OS thread, and a `may` coroutine, has values of its own too. Nothing is inherited by a green thread from the
/// one that spawned it.
///
/// The initialiser may block, which one of `std::thread_local!` must not do in a green thread: see
/// `docs/blocking-model.md`.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// green_core::local! {
///     /// How often this green thread was here.
///     static VISITS: Cell<u32> = const { Cell::new(0) };
///     static GREETING: String = {
///         green_core::sleep(std::time::Duration::from_millis(1));
///         format!("hello, {:?}", green_core::getcurrent().map(|me| me.id()))
///     };
/// }
///
/// let visitors = (0..3).map(|n| green_core::spawn(move || {
///     for _ in 0..n {
///         VISITS.set(VISITS.get() + 1);
///         green_core::yield_now();
///     }
///     GREETING.with(|greeting| assert!(greeting.starts_with("hello, Some")));
///     VISITS.get()
/// }));
/// let visits: Vec<u32> = visitors.map(|g| g.into_result().unwrap()).collect();
/// assert_eq!(visits, [0, 1, 2]);
/// ```
#[macro_export]
macro_rules! local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident : $type:ty = const $init:block; $($rest:tt)*) => {
        $crate::local!(@one $(#[$attribute])* $visibility $name, $type, $init);
        $crate::local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident : $type:ty = const $init:block) => {
        $crate::local!(@one $(#[$attribute])* $visibility $name, $type, $init);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident : $type:ty = $init:expr; $($rest:tt)*) => {
        $crate::local!(@one $(#[$attribute])* $visibility $name, $type, $init);
        $crate::local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident : $type:ty = $init:expr) => {
        $crate::local!(@one $(#[$attribute])* $visibility $name, $type, $init);
    };
    (@one $(#[$attribute:meta])* $visibility:vis $name:ident, $type:ty, $init:expr) => {
        $(#[$attribute])*
        $visibility static $name: $crate::local::LocalKey<$type> =
            $crate::local::LocalKey::new(|| -> $type { $init });
    };
}

/// A value that each green thread has for itself; see [`std::thread::LocalKey`]. Made by [`local!`](crate::local!).
///
/// # Differences from std
///
/// The initialiser may block. If it uses the value itself, the value that was made first stays.
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

impl<T: 'static> LocalKey<T> {
    /// A key whose values `init` makes. To be used in a static: its address is what tells keys apart.
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Runs `f` with the value, which is made if there is none.
    ///
    /// # Panics
    ///
    /// In the destructor of another such value, after this one is gone.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f)
            .expect("cannot access a green-local value during or after destruction")
    }

    /// As [`LocalKey::with`].
    ///
    /// # Errors
    ///
    /// The green thread ends, and the value is gone.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let key = ptr::from_ref(self).addr();
        let value = park::locals(|locals| locals.get(key, self.init));
        match value {
            Some(Ok(value)) => Ok(f(&value)),
            Some(Err(_)) | None => Err(AccessError(())),
        }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Replaces the value.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value, and leaves the default.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value, and returns the one before.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Runs `f` with the value, borrowed.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`]; if the value is borrowed mutably.
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Runs `f` with the value, borrowed mutably.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`]; if the value is borrowed.
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Replaces the value.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with_borrow_mut`].
    pub fn set(&'static self, value: T) {
        let before = self.replace(value);
        drop(before);
    }

    /// Takes the value, and leaves the default.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with_borrow_mut`].
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Replaces the value, and returns the one before.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with_borrow_mut`].
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// The value is gone: its green thread ends; see [`std::thread::AccessError`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already destroyed")
    }
}

impl Error for AccessError {}

/// The values of the running green thread go.
pub(super) fn end() {
    park::locals(crate::sched::locals::Locals::end);
}
