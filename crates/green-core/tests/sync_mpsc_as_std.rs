//! `sync::mpsc` side by side with std's.

#[path = "support/hammer.rs"]
#[expect(dead_code, reason = "only its random numbers are used")]
mod hammer;
mod support;

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::mpsc as std_mpsc;

use green_core::sync::mpsc::{
    IntoIter, Iter, Receiver, SendError, SendTimeoutError, Sender, SyncSender, TryIter,
    TryRecvError, channel, sync_channel,
};
use hammer::Rng;

/// Whether a type has a trait, found out by which of two constants is nearer.
macro_rules! has {
    ($trait:ident, $type:ty) => {{
        struct Probe<T>(std::marker::PhantomData<T>);
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T> Otherwise for Probe<T> {}
        impl<T: $trait> Probe<T> {
            const HAS: bool = true;
        }
        let (if_not, if_so) = (<Probe<()> as Otherwise>::HAS, Probe::<()>::HAS);
        assert!(!if_not && if_so);
        Probe::<$type>::HAS
    }};
}

macro_rules! auto_traits {
    ($type:ty) => {
        [
            has!(Send, $type),
            has!(Sync, $type),
            has!(UnwindSafe, $type),
            has!(RefUnwindSafe, $type),
            has!(Unpin, $type),
        ]
    };
}

/// Compares our types with std's, around messages of each kind.
macro_rules! assert_same_auto_traits {
    ($($name:ident<$($lifetime:lifetime)?>)*) => {
        $(
            assert_same_auto_traits!($name<$($lifetime,)? u32>);
            assert_same_auto_traits!($name<$($lifetime,)? Cell<u32>>);
            assert_same_auto_traits!($name<$($lifetime,)? Rc<u32>>);
        )*
    };
    ($name:ident<$($argument:tt)*) => {
        assert_eq!(auto_traits!($name<$($argument)*), auto_traits!(std_mpsc::$name<$($argument)*));
    };
}

#[test]
fn auto_traits_are_stds() {
    assert_same_auto_traits! {
        Sender<> SyncSender<> Receiver<> Iter<'static> TryIter<'static> IntoIter<>
    }
    assert_eq!(
        auto_traits!(Receiver<u32>),
        [true, false, true, true, true],
        "the probe tells"
    );
}

#[test]
fn debug_is_as_stds() {
    fn form(value: &impl Debug) -> String {
        format!("{value:?} {value:#?}")
    }
    let ((sender, receiver), (stds, stdr)) = (channel::<i32>(), std_mpsc::channel::<i32>());
    assert_eq!(form(&sender), form(&stds));
    assert_eq!(form(&receiver), form(&stdr));
    assert_eq!(form(&receiver.iter()), form(&stdr.iter()));
    assert_eq!(form(&receiver.try_iter()), form(&stdr.try_iter()));
    assert_eq!(form(&receiver.into_iter()), form(&stdr.into_iter()));
    let (sender, stds) = (sync_channel::<i32>(0).0, std_mpsc::sync_channel::<i32>(0).0);
    assert_eq!(form(&sender), form(&stds));
    let error: SendTimeoutError<i32> = SendError(1).into();
    assert_eq!(form(&error), "Disconnected(..) Disconnected(..)");
    assert_eq!(error.into_inner(), 1);
}

#[test]
fn one_caller_finds_what_it_finds_with_std() {
    let mut rng = Rng::new(1);
    for bound in 0..6 {
        let (sender, receiver) = sync_channel(bound);
        let (stds, stdr) = std_mpsc::sync_channel(bound);
        for n in 0..2_000 {
            if rng.below(2) == 0 {
                assert_eq!(sender.try_send(n), stds.try_send(n));
            } else {
                assert_eq!(receiver.try_recv(), stdr.try_recv());
            }
        }
        drop((sender, stds));
        assert!(receiver.iter().eq(stdr.iter()));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }
}
