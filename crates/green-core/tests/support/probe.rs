//! Whether a type has a trait, found out by which of two constants is nearer.

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Defines a probe for a trait: `Probe::<T>::IS`, in any place where the fallback is in scope and `T` is known.
macro_rules! probe {
    ($probe:ident, $fallback:ident, $trait:path) => {
        pub(crate) struct $probe<T: ?Sized>(PhantomData<T>);

        pub(crate) trait $fallback {
            const IS: bool = false;
        }

        impl<T: ?Sized> $fallback for $probe<T> {}

        impl<T: ?Sized + $trait> $probe<T> {
            pub(crate) const IS: bool = true;
        }
    };
}

probe!(IsSend, NotSend, Send);
probe!(IsSync, NotSync, Sync);
probe!(IsUnpin, NotUnpin, Unpin);
probe!(IsUnwindSafe, NotUnwindSafe, UnwindSafe);
probe!(IsRefUnwindSafe, NotRefUnwindSafe, RefUnwindSafe);
probe!(IsClone, NotClone, Clone);
probe!(IsCopy, NotCopy, Copy);
probe!(IsEq, NotEq, Eq);
probe!(IsDebug, NotDebug, std::fmt::Debug);
probe!(IsDisplay, NotDisplay, std::fmt::Display);
probe!(IsDefault, NotDefault, Default);

/// Asserts that both types have the same of these traits.
macro_rules! same_traits {
    ($left:ty, $right:ty) => {
        same_traits!(
            $left, $right, IsSend IsSync IsUnpin IsUnwindSafe IsRefUnwindSafe IsClone IsCopy IsEq IsDebug IsDisplay
            IsDefault
        );
    };
    ($left:ty, $right:ty, $($probe:ident)*) => {
        $(
            assert!(
                $probe::<$left>::IS == $probe::<$right>::IS,
                concat!(stringify!($probe), ": ", stringify!($left), " and ", stringify!($right), " differ")
            );
        )*
    };
}
