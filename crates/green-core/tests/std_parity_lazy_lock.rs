//! std's own tests of `sync::LazyLock`, each in four ways.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "std's types and OS threads are two of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

parity! {
    fn sync_lazy_new() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static LAZY: LazyLock<i32> = LazyLock::new(|| {
            CALLS.fetch_add(1, Ordering::SeqCst);
            92
        });
        assert_eq!(CALLS.load(Ordering::SeqCst), 0);
        fn look() {
            assert_eq!(*LAZY - 30, 62);
            assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        }
        thread::spawn(look).join().unwrap();
        look();
    }

    fn sync_lazy_default() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        struct Made(u8);
        impl Default for Made {
            fn default() -> Self {
                CALLS.fetch_add(1, Ordering::SeqCst);
                Self(42)
            }
        }
        let lazy: LazyLock<Mutex<Made>> = LazyLock::default();
        assert_eq!(CALLS.load(Ordering::SeqCst), 0);
        assert_eq!(lazy.lock().unwrap().0, 42);
        assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        lazy.lock().unwrap().0 = 21;
        assert_eq!(lazy.lock().unwrap().0, 21);
        assert_eq!(CALLS.load(Ordering::SeqCst), 1);
    }

    fn static_sync_lazy() {
        static NUMBERS: LazyLock<Vec<i32>> = LazyLock::new(|| (1..=3).collect());
        fn look() {
            assert_eq!(*NUMBERS, [1, 2, 3]);
        }
        thread::spawn(look).join().unwrap();
        look();
    }

    fn static_sync_lazy_via_fn() {
        fn numbers() -> &'static Vec<i32> {
            static NUMBERS: OnceLock<Vec<i32>> = OnceLock::new();
            NUMBERS.get_or_init(|| (1..=3).collect())
        }
        assert_eq!(*numbers(), [1, 2, 3]);
    }

    fn is_sync_send() {
        fn check<T: Send + Sync>() {}
        check::<LazyLock<String>>();
    }

    fn lazy_force_mut() {
        let text = "abc".to_owned();
        let mut lazy = LazyLock::new(move || text);
        LazyLock::force_mut(&mut lazy);
        LazyLock::force_mut(&mut lazy).clear();
        assert!(LazyLock::force_mut(&mut lazy).is_empty());
    }

    #[should_panic(expected = "LazyLock instance has previously been poisoned")]
    fn lazy_lock_deref_panic() {
        let lazy: LazyLock<String> = LazyLock::new(|| panic!("the first time"));
        let caught = catch_unwind(AssertUnwindSafe(|| lazy.len()));
        assert!(caught.is_err(), "not what this test expects");
        let _ = lazy.len();
    }

    #[should_panic(expected = "LazyLock instance has previously been poisoned")]
    fn lazy_lock_deref_mut_panic() {
        let mut lazy: LazyLock<String> = LazyLock::new(|| panic!("the first time"));
        let caught = catch_unwind(AssertUnwindSafe(|| LazyLock::force_mut(&mut lazy).clear()));
        assert!(caught.is_err(), "not what this test expects");
        let _ = lazy.len();
    }

    #[should_panic(expected = "the message of the closure")]
    fn lazy_lock_preserves_closure_panic_message() {
        let lazy: LazyLock<String> = LazyLock::new(|| panic!("the message of the closure"));
        let _ = lazy.len();
    }
}
