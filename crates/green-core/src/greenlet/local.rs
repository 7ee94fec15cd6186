//! Values that each green thread has for itself; gevent's `local`, in the shape of std's `thread_local!`.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::ptr;
use std::rc::Rc;

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
        $crate::local!(@one $(#[$attribute])* $visibility $name, $type, const $init);
        $crate::local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident : $type:ty = const $init:block) => {
        $crate::local!(@one $(#[$attribute])* $visibility $name, $type, const $init);
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

/// Declares values that each green thread has for itself; see [`std::thread_local!`].
///
/// [`local!`](crate::local!) by std's name: only what it declares is green, not what other crates declare.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use green_core::thread_local;
///
/// thread_local! {
///     static COUNT: Cell<u32> = const { Cell::new(1) };
/// }
///
/// COUNT.set(5);
/// assert_eq!(green_core::spawn(|| COUNT.get()).get().unwrap(), 1);
/// assert_eq!(COUNT.get(), 5);
/// ```
#[macro_export]
macro_rules! thread_local {
    ($($declarations:tt)*) => {
        $crate::local!($($declarations)*);
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
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.try_with(f).unwrap_or_else(|error| gone(error))
    }

    /// As [`LocalKey::with`].
    ///
    /// # Errors
    ///
    /// The green thread ends, and the value is gone.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        self.value(self.init).map(|value| f(&value))
    }

    /// Runs `f` with the value, which is `initial` if there was none; else `f` has that, too.
    fn with_initial<R>(&'static self, initial: T, f: impl FnOnce(Option<T>, &T) -> R) -> R {
        let mut initial = Some(initial);
        let take = || initial.take().expect("a value is made once");
        let value = self.value(take).unwrap_or_else(|error| gone(error));
        f(initial, &value)
    }

    /// The value, which `init` makes if there is none.
    fn value(&'static self, init: impl FnOnce() -> T) -> Result<Rc<T>, AccessError> {
        let key = ptr::from_ref(self).addr();
        match park::locals(|locals| locals.get(key, init)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) | None => Err(AccessError(())),
        }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Replaces the value. If there is none, this is the first one: the initialiser does not run.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn set(&'static self, value: T) {
        self.with_initial(Cell::new(value), |value, cell| {
            if let Some(value) = value {
                cell.set(value.into_inner());
            }
        });
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

    /// Replaces the value by what `f` makes of it.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn update(&'static self, f: impl FnOnce(T) -> T)
    where
        T: Copy,
    {
        self.with(|cell| cell.update(f));
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Runs `f` with the value, borrowed.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`]; if the value is borrowed mutably.
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Runs `f` with the value, borrowed mutably.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`]; if the value is borrowed.
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Replaces the value. If there is none, this is the first one: the initialiser does not run.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with_borrow_mut`].
    pub fn set(&'static self, value: T) {
        self.with_initial(RefCell::new(value), |value, cell| {
            if let Some(value) = value {
                let before = cell.replace(value.into_inner());
                drop(before);
            }
        });
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

/// There is no value to give.
#[cold]
fn gone(error: AccessError) -> ! {
    panic!("cannot access a green-local value during or after destruction: {error:?}")
}

/// The values of the running green thread go.
pub(super) fn end() {
    park::locals(crate::sched::locals::Locals::end);
}
