//! The types of `sync` have the auto traits of std's, and its common traits, for every kind of value.
#![expect(
    clippy::disallowed_types,
    reason = "std's types are what they are compared with"
)]

#[macro_use]
#[path = "support/probe.rs"]
mod probe;

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::rc::Rc;
use std::sync as theirs;

use green_core::sync as ours;
use probe::*;

/// Compares the types around a value.
macro_rules! compare {
    ($($value:ty),* $(,)?) => {
        $(
            same_traits!(theirs::Mutex<$value>, ours::Mutex<$value>);
            same_traits!(theirs::MutexGuard<'static, $value>, ours::MutexGuard<'static, $value>);
            same_traits!(theirs::RwLock<$value>, ours::RwLock<$value>);
            same_traits!(theirs::RwLockReadGuard<'static, $value>, ours::RwLockReadGuard<'static, $value>);
            same_traits!(theirs::RwLockWriteGuard<'static, $value>, ours::RwLockWriteGuard<'static, $value>);
            same_traits!(theirs::OnceLock<$value>, ours::OnceLock<$value>);
            same_traits!(theirs::LazyLock<$value>, ours::LazyLock<$value>);
            same_traits!(theirs::LazyLock<u32, $value>, ours::LazyLock<u32, $value>);
        )*
    };
}

const _: () = {
    compare!(
        u32,
        String,
        Cell<u32>,
        &'static Cell<u32>,
        &'static mut u32,
        Rc<u32>,
        *const u32,
        theirs::MutexGuard<'static, u32>,
        PhantomPinned,
        Box<dyn Fn()>,
        Box<dyn Send>,
    );
    same_traits!(theirs::Mutex<[u32]>, ours::Mutex<[u32]>);
    same_traits!(theirs::RwLock<dyn Send>, ours::RwLock<dyn Send>);
    same_traits!(theirs::Condvar, ours::Condvar);
    same_traits!(theirs::WaitTimeoutResult, ours::WaitTimeoutResult);
    same_traits!(theirs::Barrier, ours::Barrier);
    same_traits!(theirs::BarrierWaitResult, ours::BarrierWaitResult);
    same_traits!(theirs::Once, ours::Once);
    same_traits!(theirs::OnceState, ours::OnceState);
};

#[test]
fn a_guard_is_shared_only_if_its_value_may_be() {
    // Cause: the marker in the guard did not depend on the type of the value.
    let shared = [
        IsSync::<ours::MutexGuard<'static, Cell<u32>>>::IS,
        IsSync::<ours::RwLockReadGuard<'static, Cell<u32>>>::IS,
        IsSync::<ours::RwLockWriteGuard<'static, Cell<u32>>>::IS,
    ];
    assert_eq!(shared, [false; 3]);
}
