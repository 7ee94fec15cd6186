//! std's own tests of `sync::Barrier`, each in four ways.
#![expect(
    clippy::disallowed_methods,
    reason = "std's types and OS threads are two of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

const _: () = {
    const fn check<T: RefUnwindSafe>() {}
    check::<std::sync::Barrier>();
    check::<green_core::sync::Barrier>();
};

parity! {
    fn test_barrier() {
        const WAITERS: usize = 10;
        let barrier = Arc::new(Barrier::new(WAITERS));
        let passed = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (1..WAITERS)
            .map(|_| {
                let (barrier, passed) = (Arc::clone(&barrier), Arc::clone(&passed));
                thread::spawn(move || {
                    let is_leader = barrier.wait().is_leader();
                    passed.fetch_add(1, Ordering::SeqCst);
                    is_leader
                })
            })
            .collect();
        for _ in 0..20 {
            thread::yield_now();
        }
        assert_eq!(passed.load(Ordering::SeqCst), 0, "one is missing");
        let mut leaders = usize::from(barrier.wait().is_leader());
        for waiter in waiters {
            leaders += usize::from(waiter.join().unwrap());
        }
        assert_eq!(leaders, 1);
    }
}
