//! `sync::LazyLock`.
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::sync::LazyLock;
use green_core::{Config, Failure, run, sleep, spawn, timeout, yield_now};

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

/// What a panic said.
fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    payload
        .downcast_ref::<&str>()
        .expect("a message")
        .to_string()
}

#[test]
fn the_closure_may_block() {
    static MAY_END: Event = Event::new();
    static LAZY: LazyLock<u32> = LazyLock::new(|| {
        MAY_END.wait();
        7
    });
    alone(|| {
        let users = [(); 3].map(|()| spawn(|| *LAZY));
        yield_now();
        assert!(LazyLock::get(&LAZY).is_none() && !users[0].ready());
        MAY_END.set();
        assert_eq!(users.map(|user| user.get().unwrap()), [7; 3]);
        assert_eq!(LazyLock::get(&LAZY), Some(&7));
    });
}

#[test]
fn a_kill_waits_until_the_value_is_made() {
    static MAY_END: Event = Event::new();
    static USED: AtomicBool = AtomicBool::new(false);
    static LAZY: LazyLock<u32> = LazyLock::new(|| {
        MAY_END.wait();
        7
    });
    alone(|| {
        let makes = spawn(|| {
            let value = *LAZY;
            USED.store(true, Ordering::Relaxed);
            yield_now();
            unreachable!("it is killed, with the value {value}");
        });
        yield_now();
        let waits = spawn(|| *LAZY);
        yield_now();
        makes.kill_nowait();
        waits.kill();
        assert!(
            matches!(waits.get(), Err(Failure::Killed)),
            "who only waits dies at once"
        );
        yield_now();
        assert!(!makes.ready());
        MAY_END.set();
        makes.join();
        assert!(matches!(makes.into_result(), Err(Failure::Killed)));
        assert!(USED.load(Ordering::Relaxed));
        assert_eq!(*LAZY, 7);
    });
}

#[test]
fn a_time_limit_waits_until_the_value_is_made() {
    let check = || {
        let lazy = LazyLock::new(|| sleep(Duration::from_millis(10)));
        let limited = timeout(Duration::from_millis(1), || {
            LazyLock::force(&lazy);
            assert!(LazyLock::get(&lazy).is_some());
            run(|| sleep(Duration::from_secs(600)));
        });
        assert!(limited.is_err());
    };
    run(check);
}

#[test]
fn a_panic_poisons_for_good() {
    let mut lazy: LazyLock<u32> = LazyLock::new(|| panic!("expected"));
    assert_eq!(message(|| _ = *lazy), "expected");
    let poisoned = "LazyLock instance has previously been poisoned";
    assert_eq!(message(|| _ = *lazy), poisoned);
    assert!(LazyLock::get(&lazy).is_none() && LazyLock::get_mut(&mut lazy).is_none());
    assert_eq!(message(|| _ = LazyLock::force_mut(&mut lazy)), poisoned);
    assert_eq!(message(|| _ = LazyLock::into_inner(lazy)), poisoned);
}

#[test]
fn a_closure_that_uses_its_own_value_panics() {
    static LAZY: LazyLock<u32> = LazyLock::new(|| *LAZY + 1);
    let said = message(|| _ = *LAZY);
    assert_eq!(said, "what is to run once waits for itself");
    let said = message(|| _ = *LAZY);
    assert_eq!(said, "LazyLock instance has previously been poisoned");
}

#[test]
fn a_migrating_caller_makes_it_too() {
    let lazy = Arc::new(LazyLock::new(|| {
        yield_now();
        7
    }));
    let theirs = Arc::clone(&lazy);
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let migrating = unsafe { green_core::may::spawn(move || **theirs) };
    assert_eq!((migrating.get().unwrap(), **lazy), (7, 7));
}

#[test]
fn its_owner_reaches_the_value_or_the_closure() {
    let mut lazy = LazyLock::new(|| 1);
    assert!(LazyLock::get_mut(&mut lazy).is_none());
    *lazy += 1;
    assert_eq!(LazyLock::get_mut(&mut lazy), Some(&mut 2));
    assert_eq!(LazyLock::into_inner(lazy).ok(), Some(2));
    let closure = LazyLock::into_inner(LazyLock::new(|| 3)).err().unwrap();
    assert_eq!(closure(), 3);
    let ready: LazyLock<u32> = LazyLock::from(4);
    assert_eq!((*ready, *LazyLock::<u32>::default()), (4, 0));
}

#[test]
fn debug_is_as_stds() {
    let (ours, theirs) = (LazyLock::new(|| "x"), std::sync::LazyLock::new(|| "x"));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(
        format!("{ours:?} {ours:#?}"),
        format!("{theirs:?} {theirs:#?}")
    );
}
