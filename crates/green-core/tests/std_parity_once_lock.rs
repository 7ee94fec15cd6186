//! std's own tests of `sync::OnceLock`, each in four ways.
#![expect(
    clippy::disallowed_methods,
    reason = "std's types and OS threads are two of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::sync::atomic::{AtomicUsize, Ordering};

parity! {
    fn sync_once_cell() {
        static CELL: OnceLock<i32> = OnceLock::new();
        assert!(CELL.get().is_none());
        let sets = thread::spawn(|| {
            CELL.get_or_init(|| 92);
            assert_eq!(CELL.get(), Some(&92));
        });
        sets.join().unwrap();
        CELL.get_or_init(|| unreachable!("it has a value"));
        assert_eq!(CELL.get(), Some(&92));
    }

    fn sync_once_cell_get_mut() {
        let mut cell = OnceLock::new();
        assert!(cell.get_mut().is_none());
        cell.set(90).unwrap();
        *cell.get_mut().unwrap() += 2;
        assert_eq!(cell.get_mut(), Some(&mut 92));
    }

    fn sync_once_cell_drop() {
        static DROPS: AtomicUsize = AtomicUsize::new(0);
        struct Counted;
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPS.fetch_add(1, Ordering::SeqCst);
            }
        }
        let cell = OnceLock::new();
        let drops = thread::spawn(move || {
            cell.get_or_init(|| Counted);
            assert_eq!(DROPS.load(Ordering::SeqCst), 0);
            drop(cell);
        });
        drops.join().unwrap();
        assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    }

    fn sync_once_cell_drop_empty() {
        drop(OnceLock::<String>::new());
    }

    fn clone() {
        let cell = OnceLock::new();
        assert!(cell.clone().get().is_none());
        cell.set("hello".to_string()).unwrap();
        assert_eq!(cell.clone().get().map(String::as_str), Some("hello"));
    }

    fn from_impl() {
        assert_eq!(OnceLock::from("value").get(), Some(&"value"));
        assert_ne!(OnceLock::from("foo").get(), Some(&"bar"));
    }

    fn partialeq_impl() {
        assert!(OnceLock::from("value") == OnceLock::from("value"));
        assert!(OnceLock::from("foo") != OnceLock::from("bar"));
        assert!(OnceLock::<String>::new() == OnceLock::new());
        assert!(OnceLock::<String>::new() != OnceLock::from("value".to_owned()));
    }

    fn into_inner() {
        let cell: OnceLock<String> = OnceLock::new();
        assert_eq!(cell.into_inner(), None);
        let cell = OnceLock::new();
        cell.set("hello".to_string()).unwrap();
        assert_eq!(cell.into_inner(), Some("hello".to_string()));
    }

    fn is_sync_send() {
        fn check<T: Send + Sync>() {}
        check::<OnceLock<String>>();
    }

    fn eval_once_macro() {
        macro_rules! eval_once {
            ($type:ty, $value:expr) => {{
                static CELL: OnceLock<$type> = OnceLock::new();
                CELL.get_or_init(|| $value)
            }};
        }
        let powers: &'static Vec<i32> = eval_once!(Vec<i32>, {
            let mut powers = vec![1];
            for n in 0..10 {
                powers.push(powers[n] * 2);
            }
            powers
        });
        assert_eq!(powers[5], 32);
    }

    fn sync_once_cell_does_not_leak_partially_constructed_boxes() {
        static CELL: OnceLock<String> = OnceLock::new();
        const MESSAGE: &str = "Hello, World";
        let readers = [(); 10].map(|()| {
            thread::spawn(|| {
                loop {
                    if let Some(message) = CELL.get() {
                        return message;
                    }
                    thread::yield_now();
                }
            })
        });
        let writers = [(); 3].map(|()| thread::spawn(|| drop(CELL.set(MESSAGE.to_owned()))));
        for reader in readers {
            assert_eq!(reader.join().unwrap(), MESSAGE);
        }
        for writer in writers {
            writer.join().unwrap();
        }
    }

    fn dropck() {
        let cell = OnceLock::new();
        {
            let text = String::new();
            cell.set(&text).unwrap();
        }
    }
}
