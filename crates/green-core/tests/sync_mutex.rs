//! `sync::Mutex`.
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::{Config, run, sleep, spawn, timeout, yield_now};

#[test]
fn the_holder_is_alone() {
    let total = Arc::new(Mutex::new(0));
    let adders: Vec<_> = (0..20)
        .map(|_| {
            let total = Arc::clone(&total);
            spawn(move || {
                for _ in 0..50 {
                    let mut guard = total.lock().unwrap();
                    let before = *guard;
                    yield_now();
                    *guard = before + 1;
                }
            })
        })
        .collect();
    green_core::joinall(&adders);
    assert_eq!(*total.lock().unwrap(), 1_000);
}

#[test]
fn waiters_are_served_in_order() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (mutex, served) = (Arc::new(Mutex::new(())), Queue::unbounded());
        let held = mutex.lock().unwrap();
        let waiters: Vec<_> = (0..20)
            .map(|n: u32| {
                let (mutex, served) = (Arc::clone(&mutex), served.clone());
                spawn(move || {
                    let _guard = mutex.lock().unwrap();
                    served.put(n).unwrap();
                    yield_now();
                })
            })
            .collect();
        yield_now();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        green_core::joinall(&waiters);
        served.close();
        assert!(served.iter().eq(0..20));
    });
}

#[test]
fn a_waiter_is_overtaken_32_times_at_most() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let mutex = Arc::new(Mutex::new(0_u32));
        let mut held = mutex.lock().unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                spawn(move || std::mem::take(&mut *mutex.lock().unwrap()))
            })
            .collect();
        yield_now();
        // Takes it again as soon as it has given it back, and holds it whenever a waiter looks.
        for _ in 0..200 {
            *held += 1;
            drop(held);
            held = mutex.lock().unwrap();
            yield_now();
        }
        drop(held);
        let overtaken: Vec<_> = waiters.iter().map(|waiter| waiter.get().unwrap()).collect();
        // Handed over after 32 times in vain; who overtook them waits behind them then.
        assert_eq!(overtaken, [33, 0, 0]);
        assert_eq!(*mutex.lock().unwrap(), 200 - 33);
    });
}

#[test]
fn a_panic_poisons() {
    let mutex = Arc::new(Mutex::new(1));
    let theirs = Arc::clone(&mutex);
    let g = spawn(move || {
        let mut guard = theirs.lock().unwrap();
        *guard = 2;
        sleep(Duration::from_millis(1));
        panic!("expected");
    });
    assert!(g.into_result().is_err());
    assert!(mutex.is_poisoned());
    assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
    assert_eq!(*mutex.lock().unwrap_err().into_inner(), 2);
    mutex.clear_poison();
    assert_eq!(*mutex.lock().unwrap(), 2);
}

#[test]
fn a_panic_on_an_os_thread_poisons() {
    let mutex = Mutex::new(1);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock().unwrap();
        panic!("expected");
    }));
    assert!(caught.is_err() && mutex.is_poisoned());
    assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 1);
}

#[test]
fn a_guard_made_in_a_destructor_while_unwinding_does_not_poison() {
    struct Locks(Arc<Mutex<u32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Arc::new(Mutex::new(1));
    let locks = Locks(Arc::clone(&mutex));
    let g = spawn(move || {
        let _locks = locks;
        panic!("expected");
    });
    assert!(g.into_result().is_err());
    assert_eq!(*mutex.lock().unwrap(), 2);
}

#[test]
fn a_kill_and_a_time_limit_do_not_poison() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let mutex = Arc::new(Mutex::new(1));
        let theirs = Arc::clone(&mutex);
        let g = spawn(move || {
            let _guard = theirs.lock().unwrap();
            sleep(Duration::MAX);
        });
        yield_now();
        assert!(mutex.try_lock().is_err());
        g.kill();
        assert!(!mutex.is_poisoned());
        let limited = timeout(Duration::from_millis(1), || {
            let _guard = mutex.lock().unwrap();
            sleep(Duration::MAX);
        });
        assert!(limited.is_err() && !mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap(), 1);
    });
}

#[test]
fn a_killed_waiter_passes_the_lock_on() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let mutex = Arc::new(Mutex::new(()));
        let held = mutex.lock().unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                spawn(move || drop(mutex.lock().unwrap()))
            })
            .collect();
        yield_now();
        waiters[0].kill_nowait();
        drop(held);
        waiters[1].kill_nowait();
        assert!(waiters[2].join_timeout(Duration::from_secs(5)));
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn debug_is_as_stds() {
    let green = Mutex::new(7);
    assert_eq!(
        format!("{green:?}"),
        "Mutex { data: 7, poisoned: false, .. }"
    );
    let guard = green.lock().unwrap();
    assert_eq!(
        format!("{green:?}"),
        "Mutex { data: <locked>, poisoned: false, .. }"
    );
    assert_eq!(
        (format!("{guard:?}"), format!("{guard}")),
        ("7".into(), "7".into())
    );
}

#[test]
fn the_value_is_reached_without_locking_by_its_owner() {
    let mut mutex = Mutex::from(1);
    *mutex.get_mut().unwrap() += 1;
    assert_eq!(mutex.into_inner().unwrap(), 2);
    assert_eq!(*Mutex::<u32>::default().lock().unwrap(), 0);
    let unsized_value: &Mutex<[u32]> = &Mutex::new([1, 2, 3]);
    assert_eq!(unsized_value.lock().unwrap().len(), 3);
}

#[test]
fn the_value_is_copied_set_and_replaced_in_one_step() {
    let mutex = Mutex::new(String::from("one"));
    assert_eq!(mutex.get_cloned().unwrap(), "one");
    mutex.set("two".into()).unwrap();
    assert_eq!(mutex.replace("three".into()).unwrap(), "two");
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock().unwrap();
        panic!("expected");
    }));
    assert!(caught.is_err() && mutex.get_cloned().is_err());
    assert_eq!(mutex.set("four".into()).unwrap_err().into_inner(), "four");
    let refused = mutex.replace("four".into());
    assert_eq!(refused.unwrap_err().into_inner(), "four");
    assert_eq!(mutex.into_inner().unwrap_err().into_inner(), "three");
}

#[test]
fn a_kill_of_a_migrating_holder_does_not_poison() {
    let mutex = Arc::new(Mutex::new(1));
    let theirs = Arc::clone(&mutex);
    let work = move || {
        let _guard = theirs.lock().unwrap();
        sleep(Duration::MAX);
    };
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let holder = unsafe { green_core::may::spawn(work) };
    support::eventually("it has the lock", || mutex.try_lock().is_err());
    holder.kill();
    assert!(!mutex.is_poisoned());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}
