//! std's own tests of `sync::RwLock`, each in four ways.
#![expect(
    clippy::disallowed_methods,
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

/// A lock that a panic of a writer has poisoned.
macro_rules! poisoned {
    ($lock:expr) => {{
        let lock = $lock;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.write().unwrap();
            panic!("expected");
        }));
        assert!(caught.is_err() && lock.is_poisoned());
        lock
    }};
}

/// Whether a lock's two methods fail after a panic of one that held it by `$take`.
macro_rules! after_a_panic {
    ($take:ident) => {{
        let lock = Arc::new(RwLock::new(1));
        assert!(!lock.is_poisoned());
        let theirs = Arc::clone(&lock);
        let panics = thread::spawn(move || {
            let _guard = theirs.$take().unwrap();
            panic!("expected");
        });
        assert!(panics.join().is_err());
        lock
    }};
}

parity! {
    fn smoke() {
        let lock = RwLock::new(());
        drop(lock.read().unwrap());
        drop(lock.write().unwrap());
        drop((lock.read().unwrap(), lock.read().unwrap()));
        drop(lock.write().unwrap());
    }

    fn frob() {
        const THREADS: u64 = 10;
        const ROUNDS: u64 = 300;
        let lock = Arc::new(RwLock::new(()));
        let frobbers: Vec<_> = (1..=THREADS)
            .map(|seed| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || {
                    let mut random = seed;
                    for _ in 0..ROUNDS {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        if random % THREADS == 0 {
                            drop(lock.write().unwrap());
                        } else {
                            drop(lock.read().unwrap());
                        }
                    }
                })
            })
            .collect();
        for frobber in frobbers {
            frobber.join().unwrap();
        }
    }

    fn test_rw_arc() {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let writer = thread::spawn(move || {
            let mut guard = theirs.write().unwrap();
            for _ in 0..10 {
                let before = *guard;
                *guard = -1;
                thread::yield_now();
                *guard = before + 1;
            }
        });
        let readers = [(); 5].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || assert!(*lock.read().unwrap() >= 0))
        });
        for reader in readers {
            reader.join().unwrap();
        }
        writer.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 10);
    }

    fn test_rw_arc_access_in_unwind() {
        struct Adds(Arc<RwLock<i32>>);
        impl Drop for Adds {
            fn drop(&mut self) {
                *self.0.write().unwrap() += 1;
            }
        }
        let lock = Arc::new(RwLock::new(1));
        let adds = Adds(Arc::clone(&lock));
        let unwinds = thread::spawn(move || {
            let _adds = adds;
            panic!("expected");
        });
        assert!(unwinds.join().is_err());
        assert_eq!(*lock.read().unwrap(), 2);
    }

    fn test_rwlock_unsized() {
        let lock: &RwLock<[i32]> = &RwLock::new([1, 2, 3]);
        {
            let slice = &mut *lock.write().unwrap();
            slice[0] = 4;
            slice[2] = 5;
        }
        assert_eq!(&*lock.read().unwrap(), &[4, 2, 5]);
    }

    fn test_into_inner() {
        let lock = RwLock::new(NonCopy(10));
        assert_eq!(lock.into_inner().unwrap(), NonCopy(10));
    }

    fn test_into_inner_drop() {
        let drops = Arc::new(AtomicUsize::new(0));
        let lock = RwLock::new(Counted(Arc::clone(&drops)));
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        let inner = lock.into_inner().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(inner);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    fn test_get_mut() {
        let mut lock = RwLock::new(NonCopy(10));
        *lock.get_mut().unwrap() = NonCopy(20);
        assert_eq!(lock.into_inner().unwrap(), NonCopy(20));
    }

    fn test_read_guard_covariance() {
        fn same<'a>(_: RwLockReadGuard<'_, &'a i32>, _: &'a i32) {}
        let outer = 5;
        let lock = RwLock::new(&outer);
        {
            let inner = 6;
            same(lock.read().unwrap(), &inner);
        }
        assert_eq!(**lock.read().unwrap(), 5);
    }

    fn test_downgrade_basic() {
        let lock = RwLock::new(());
        let writer = lock.write().unwrap();
        let _reader = RwLockWriteGuard::downgrade(writer);
    }

    fn test_downgrade_observe() {
        const WRITERS: usize = 20;
        const ROUNDS: usize = 50;
        let lock = Arc::new(RwLock::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        let mut writer = lock.write().unwrap();
                        *writer += 1;
                        let written = *writer;
                        let reader = RwLockWriteGuard::downgrade(writer);
                        assert_eq!(*reader, written);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(*lock.read().unwrap(), WRITERS * ROUNDS);
    }

    fn test_downgrade_atomic() {
        const WRITERS: i32 = 20;
        let lock = Arc::new(RwLock::new(0));
        let mut main = lock.write().unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || *lock.write().unwrap() += 1)
            })
            .collect();
        // Most of them wait by then.
        thread::sleep(std::time::Duration::from_millis(42));
        *main = -1;
        let main = RwLockWriteGuard::downgrade(main);
        assert_eq!(*main, -1, "no writer comes in between");
        drop(main);
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(*lock.read().unwrap(), WRITERS - 1);
    }

    fn test_rwlock_try_write() {
        let lock = RwLock::new(0);
        let reader = lock.read().unwrap();
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        drop(reader);
        assert!(lock.try_write().is_ok());
    }

    fn test_into_inner_poison() {
        let lock = poisoned!(RwLock::new(NonCopy(10)));
        assert_eq!(lock.into_inner().unwrap_err().into_inner(), NonCopy(10));
    }

    fn test_get_mut_poison() {
        let mut lock = poisoned!(RwLock::new(NonCopy(10)));
        assert_eq!(*lock.get_mut().unwrap_err().into_inner(), NonCopy(10));
    }

    fn test_rw_arc_poison_wr() {
        let lock = after_a_panic!(write);
        assert!(lock.read().is_err());
    }

    fn test_rw_arc_poison_ww() {
        let lock = after_a_panic!(write);
        assert!(lock.write().is_err() && lock.is_poisoned());
    }

    fn test_rw_arc_no_poison_rr() {
        let lock = after_a_panic!(read);
        assert_eq!(*lock.read().unwrap(), 1);
    }

    fn test_rw_arc_no_poison_rw() {
        let lock = after_a_panic!(read);
        assert_eq!(*lock.write().unwrap(), 1);
    }
}
