//! Models of who has the lock: every interleaving of a few readers and writers.

use std::sync::atomic::{AtomicU32, Ordering};

use ::loom::cell::UnsafeCell;
use ::loom::thread;

use super::access::Access;
use crate::primitive::Arc;

/// A lock around a number that loom watches: it fails on an access that the lock does not order.
struct Watched {
    access: Access,
    value: UnsafeCell<u32>,
}

// SAFETY: that the lock orders all access is what the models check.
unsafe impl Sync for Watched {}

impl Watched {
    fn shared() -> Arc<Self> {
        Arc::new(Self {
            access: Access::new(),
            value: UnsafeCell::new(0),
        })
    }

    fn add(&self) {
        assert!(self.access.write().is_ok());
        // SAFETY: the lock is held for writing.
        self.value.with_mut(|value| unsafe { *value += 1 });
        self.access.end_write();
    }

    fn look(&self) -> u32 {
        assert!(self.access.read().is_ok());
        // SAFETY: the lock is held for reading.
        let value = self.value.with(|value| unsafe { *value });
        self.access.end_read();
        value
    }

    /// Nobody has the lock, and nobody waits.
    fn settled(&self) {
        assert!(self.access.try_write(), "free, and not marked");
        self.access.end_write();
    }
}

#[test]
fn two_writers_and_a_third() {
    ::loom::model(|| {
        let lock = Watched::shared();
        let writers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.add())
        });
        lock.add();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(lock.look(), 3);
        lock.settled();
    });
}

#[test]
fn a_writer_between_two_readers() {
    ::loom::model(|| {
        let lock = Watched::shared();
        let readers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.look())
        });
        lock.add();
        for reader in readers {
            assert!(reader.join().unwrap() <= 1);
        }
        assert_eq!(lock.look(), 1);
        lock.settled();
    });
}

#[test]
fn two_readers_wait_for_a_writer() {
    ::loom::model(|| {
        let lock = Watched::shared();
        assert!(lock.access.try_write());
        let readers = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.look())
        });
        // SAFETY: the lock is held for writing.
        lock.value.with_mut(|value| unsafe { *value = 7 });
        lock.access.end_write();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), 7);
        }
        lock.settled();
    });
}

#[test]
fn a_writer_becomes_a_reader() {
    ::loom::model(|| {
        let lock = Watched::shared();
        assert!(lock.access.try_write());
        let writer = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.add())
        };
        let reader = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.look())
        };
        lock.access.downgrade();
        // SAFETY: the lock is held for reading.
        assert_eq!(lock.value.with(|value| unsafe { *value }), 0, "no writer");
        lock.access.end_read();
        writer.join().unwrap();
        assert!(reader.join().unwrap() <= 1);
        lock.settled();
    });
}

#[test]
fn readers_share() {
    ::loom::model(|| {
        let lock = Watched::shared();
        let together = Arc::new(AtomicU32::new(0));
        let reader = {
            let (lock, together) = (Arc::clone(&lock), Arc::clone(&together));
            thread::spawn(move || {
                assert!(lock.access.try_read(), "nobody writes, and nobody waits");
                together.fetch_add(1, Ordering::Relaxed);
                lock.access.end_read();
            })
        };
        assert!(lock.access.try_read());
        reader.join().unwrap();
        assert_eq!(together.load(Ordering::Relaxed), 1);
        lock.access.end_read();
        lock.settled();
    });
}
