//! The auto traits and the signatures of `thread`'s types are those of std's.
#![expect(clippy::disallowed_methods, reason = "std's functions are looked at")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;

/// What is asked about: an inherent constant goes before one of a trait.
struct Ask<T: ?Sized>(PhantomData<T>);

macro_rules! ask {
    ($($name:ident $answer:ident: $bound:path;)*) => {$(
        trait $name {
            const $answer: bool = false;
        }
        impl<T: ?Sized> $name for Ask<T> {}
        impl<T: ?Sized + $bound> Ask<T> {
            const $answer: bool = true;
        }
    )*};
}

ask! {
    IsSend SEND: Send;
    IsSync SYNC: Sync;
    IsUnwindSafe UNWIND_SAFE: UnwindSafe;
    IsRefUnwindSafe REF_UNWIND_SAFE: RefUnwindSafe;
}

/// The answers for a type.
macro_rules! answers {
    ($type:ty) => {
        [
            Ask::<$type>::SEND,
            Ask::<$type>::SYNC,
            Ask::<$type>::UNWIND_SAFE,
            Ask::<$type>::REF_UNWIND_SAFE,
        ]
    };
}

macro_rules! same {
    ($($name:ident[$($argument:tt)*];)*) => {$(
        assert_eq!(
            answers!(green_core::thread::$name<$($argument)*>),
            answers!(std::thread::$name<$($argument)*>),
            stringify!($name<$($argument)*>)
        );
    )*};
}

#[test]
fn as_std_s() {
    type NotSend = Rc<()>;
    type NotSync = Cell<u8>;
    type Payload = Box<dyn Any + Send>;
    same! {
        Builder[];
        Thread[];
        ThreadId[];
        AccessError[];
        JoinHandle[()];
        JoinHandle[NotSend];
        JoinHandle[NotSync];
        JoinHandle[Payload];
        ScopedJoinHandle['static, ()];
        ScopedJoinHandle['static, NotSend];
        ScopedJoinHandle['static, NotSync];
        ScopedJoinHandle['static, Payload];
        Scope['static, 'static];
        LocalKey[u8];
        LocalKey[NotSend];
        LocalKey[NotSync];
        LocalKey[Payload];
    }
    // The question itself works.
    assert_eq!(answers!(NotSend)[..2], [false, false]);
    assert_eq!(answers!(NotSync), [true, false, true, false]);
}

/// Asserts by compiling, for each of the two modules, that its functions and methods have these signatures.
macro_rules! signatures {
    ($module:ident, $thread:path) => {
        mod $module {
            use $thread as thread;

            use super::*;

            #[expect(deprecated, reason = "std has them still")]
            #[test]
            fn signatures() {
                type Body = fn() -> u8;
                let _: fn(Body) -> thread::JoinHandle<u8> = thread::spawn::<Body, u8>;
                let _: fn(Duration) = thread::sleep;
                let _: fn(u32) = thread::sleep_ms;
                let _: fn() = thread::yield_now;
                let _: fn() = thread::park;
                let _: fn(Duration) = thread::park_timeout;
                let _: fn(u32) = thread::park_timeout_ms;
                let _: fn() -> bool = thread::panicking;
                let _: fn() -> thread::Thread = thread::current;
                let _: fn() -> io::Result<std::num::NonZero<usize>> = thread::available_parallelism;
                type Builder = thread::Builder;
                let _: fn() -> Builder = Builder::new;
                let _: fn(Builder, String) -> Builder = Builder::name;
                let _: fn(Builder, usize) -> Builder = Builder::stack_size;
                let _: fn(Builder, Body) -> io::Result<thread::JoinHandle<u8>> =
                    Builder::spawn::<Body, u8>;
                type Handle = thread::JoinHandle<u8>;
                let _: fn(Handle) -> thread::Result<u8> = Handle::join;
                let _: fn(&Handle) -> bool = Handle::is_finished;
                let _: fn(&Handle) -> &thread::Thread = Handle::thread;
                type Scoped<'a> = thread::ScopedJoinHandle<'a, u8>;
                let _: fn(Scoped<'static>) -> thread::Result<u8> = Scoped::join;
                let _: fn(&Scoped<'static>) -> bool = Scoped::is_finished;
                let _: fn(&Scoped<'static>) -> &'static thread::Thread = |_| unreachable!();
                let _: fn(&thread::Thread) = thread::Thread::unpark;
                let _: fn(&thread::Thread) -> thread::ThreadId = thread::Thread::id;
                let _: fn(&thread::Thread) -> Option<&str> = thread::Thread::name;
                type Key<T> = thread::LocalKey<T>;
                type View = fn(&u8) -> u8;
                let _: fn(&'static Key<u8>, View) -> u8 = Key::with::<View, u8>;
                let _: fn(&'static Key<u8>, View) -> Result<u8, thread::AccessError> =
                    Key::try_with::<View, u8>;
                let _: fn(&'static Key<Cell<u8>>, u8) = Key::<Cell<u8>>::set;
                let _: fn(&'static Key<Cell<u8>>) -> u8 = Key::<Cell<u8>>::get;
                let _: fn(&'static Key<Cell<u8>>) -> u8 = Key::<Cell<u8>>::take;
                let _: fn(&'static Key<Cell<u8>>, u8) -> u8 = Key::<Cell<u8>>::replace;
                let _: fn(&'static Key<RefCell<u8>>, View) -> u8 =
                    Key::<RefCell<u8>>::with_borrow::<View, u8>;
                type Change = fn(&mut u8) -> u8;
                let _: fn(&'static Key<RefCell<u8>>, Change) -> u8 =
                    Key::<RefCell<u8>>::with_borrow_mut::<Change, u8>;
                let _: fn(&'static Key<RefCell<u8>>, u8) = Key::<RefCell<u8>>::set;
                let _: fn(&'static Key<RefCell<u8>>) -> u8 = Key::<RefCell<u8>>::take;
                let _: fn(&'static Key<RefCell<u8>>, u8) -> u8 = Key::<RefCell<u8>>::replace;
                fn scoped<'scope, 'env>(
                    scope: &'scope thread::Scope<'scope, 'env>,
                    data: &'env u8,
                ) -> thread::ScopedJoinHandle<'scope, &'env u8> {
                    let builder = thread::Builder::new();
                    drop(builder.spawn_scoped::<_, &'env u8>(scope, move || data));
                    scope.spawn::<_, &'env u8>(move || data)
                }
                let data = 5;
                assert_eq!(thread::scope(|s| *scoped(s, &data).join().unwrap()), 5);
            }
        }
    };
}

signatures!(std_s, std::thread);
signatures!(ours, green_core::thread);
