//! std's own tests of `sync::Mutex`, each in four ways.
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

#[derive(Debug, PartialEq, Eq)]
struct NonCopy(i32);

/// Counts its drops.
struct Counted(std::sync::Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A lock that a panic of its holder has poisoned.
macro_rules! poisoned {
    ($lock:expr, $take:ident) => {{
        let lock = $lock;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.$take().unwrap();
            panic!("expected");
        }));
        assert!(caught.is_err() && lock.is_poisoned());
        lock
    }};
}

parity! {
    fn smoke() {
        let mutex = Mutex::new(());
        for _ in 0..2 {
            drop(mutex.lock().unwrap());
        }
    }

    fn lots_and_lots() {
        const ROUNDS: u32 = 1_000;
        const THREADS: u32 = 6;
        let total = Arc::new(Mutex::new(0));
        let adders: Vec<_> = (0..THREADS)
            .map(|_| {
                let total = Arc::clone(&total);
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        *total.lock().unwrap() += 1;
                    }
                })
            })
            .collect();
        for adder in adders {
            adder.join().unwrap();
        }
        assert_eq!(*total.lock().unwrap(), ROUNDS * THREADS);
    }

    fn try_lock() {
        let mutex = Mutex::new(());
        *mutex.try_lock().unwrap() = ();
    }

    fn test_into_inner() {
        let mutex = Mutex::new(NonCopy(10));
        assert_eq!(mutex.into_inner().unwrap(), NonCopy(10));
    }

    fn test_into_inner_drop() {
        let drops = Arc::new(AtomicUsize::new(0));
        let mutex = Mutex::new(Counted(Arc::clone(&drops)));
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        let inner = mutex.into_inner().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(inner);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    fn test_get_mut() {
        let mut mutex = Mutex::new(NonCopy(10));
        *mutex.get_mut().unwrap() = NonCopy(20);
        assert_eq!(mutex.into_inner().unwrap(), NonCopy(20));
    }

    fn test_mutex_arc_nested() {
        let inner = Arc::new(Mutex::new(1));
        let outer = Arc::new(Mutex::new(inner));
        let looks = thread::spawn(move || {
            let outer = outer.lock().unwrap();
            let inner = outer.lock().unwrap();
            assert_eq!(*inner, 1);
        });
        looks.join().unwrap();
    }

    fn test_mutex_unsized() {
        let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
        {
            let slice = &mut *mutex.lock().unwrap();
            slice[0] = 4;
            slice[2] = 5;
        }
        assert_eq!(&*mutex.lock().unwrap(), &[4, 2, 5]);
    }

    fn test_panics() {
        let mutex = Mutex::new(42);
        for round in 0..3 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                // From the second round on, this is what panics.
                let _guard = mutex.lock().unwrap();
                panic!("expected, round {round}");
            }));
            assert!(caught.is_err());
        }
    }

    fn test_mutex_arc_access_in_unwind() {
        struct Adds(Arc<Mutex<i32>>);
        impl Drop for Adds {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let mutex = Arc::new(Mutex::new(1));
        let adds = Adds(Arc::clone(&mutex));
        let unwinds = thread::spawn(move || {
            let _adds = adds;
            panic!("expected");
        });
        assert!(unwinds.join().is_err());
        assert_eq!(*mutex.lock().unwrap(), 2);
    }

    fn test_into_inner_poison() {
        let mutex = poisoned!(Mutex::new(NonCopy(10)), lock);
        assert_eq!(mutex.into_inner().unwrap_err().into_inner(), NonCopy(10));
    }

    fn test_get_mut_poison() {
        let mut mutex = poisoned!(Mutex::new(NonCopy(10)), lock);
        assert_eq!(*mutex.get_mut().unwrap_err().into_inner(), NonCopy(10));
    }

    fn test_mutex_arc_poison() {
        let mutex = Arc::new(Mutex::new(1));
        assert!(!mutex.is_poisoned());
        let theirs = Arc::clone(&mutex);
        let panics = thread::spawn(move || {
            let guard = theirs.lock().unwrap();
            assert_eq!(*guard, 2, "expected");
        });
        assert!(panics.join().is_err());
        assert!(mutex.lock().is_err() && mutex.is_poisoned());
    }
}
