//! `sync::OnceLock`.
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::sync::OnceLock;
use green_core::{Config, joinall, run, sleep, spawn, timeout, yield_now};

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

#[test]
fn those_who_wait_get_the_value() {
    alone(|| {
        let shared = Arc::new((OnceLock::new(), Event::new()));
        let theirs = Arc::clone(&shared);
        let makes = spawn(move || {
            *theirs.0.get_or_init(|| {
                theirs.1.wait();
                7
            })
        });
        yield_now();
        let theirs = Arc::clone(&shared);
        let waits = spawn(move || *theirs.0.wait());
        let theirs = Arc::clone(&shared);
        let sets = spawn(move || theirs.0.set(8));
        yield_now();
        assert!(shared.0.get().is_none() && !waits.ready() && !sets.ready());
        shared.1.set();
        assert_eq!(sets.get().unwrap(), Err(8));
        assert_eq!((makes.get().unwrap(), waits.get().unwrap()), (7, 7));
        assert_eq!(shared.0.try_insert(9), Err((&7, 9)));
    });
}

#[test]
fn a_kill_in_the_closure_lets_the_next_one_run_its_own() {
    alone(|| {
        let cell = Arc::new(OnceLock::new());
        let theirs = Arc::clone(&cell);
        let dies = spawn(move || {
            theirs.get_or_init(|| {
                sleep(Duration::MAX);
                1
            });
        });
        yield_now();
        let callers = [2, 3].map(|value| {
            let cell = Arc::clone(&cell);
            spawn(move || *cell.get_or_init(|| value))
        });
        let theirs = Arc::clone(&cell);
        let waits = spawn(move || *theirs.wait());
        yield_now();
        dies.kill();
        joinall(&callers);
        assert_eq!(callers.map(|caller| caller.get().unwrap()), [2, 2]);
        assert_eq!(waits.get().unwrap(), 2);
    });
}

#[test]
fn waiting_has_a_time_limit_and_an_end() {
    let check = || {
        let cell = Arc::new(OnceLock::new());
        assert!(timeout(Duration::from_millis(5), || *cell.wait()).is_err());
        let theirs = Arc::clone(&cell);
        let sets = spawn(move || theirs.set(1));
        assert_eq!(*cell.wait(), 1);
        assert_eq!(sets.get().unwrap(), Ok(()));
    };
    check();
    run(check);
}

#[test]
fn an_error_or_a_panic_leaves_it_empty() {
    let cell = OnceLock::new();
    assert_eq!(cell.get_or_try_init(|| Err("expected")), Err("expected"));
    let caught = catch_unwind(AssertUnwindSafe(|| cell.get_or_init(|| panic!("expected"))));
    assert!(caught.is_err() && cell.get().is_none());
    assert_eq!(cell.get_or_try_init(|| Ok::<u32, &str>(1)), Ok(&1));
    assert_eq!(cell.get_or_try_init(|| Err("not called")), Ok(&1));
}

#[test]
fn a_closure_that_initializes_its_own_cell_panics() {
    let check = || {
        let cell = OnceLock::new();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            *cell.get_or_init(|| *cell.get_or_init(|| 1))
        }));
        assert!(caught.is_err() && cell.get().is_none());
        assert_eq!(cell.set(2), Ok(()));
    };
    check();
    run(check);
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    assert!(unsafe { green_core::may::spawn(check) }.get().is_ok());
}

#[test]
fn its_owner_may_empty_it() {
    let mut cell = OnceLock::from(1);
    *cell.get_mut().unwrap() += 1;
    assert_eq!(
        (cell.take(), cell.take(), cell.get()),
        (Some(2), None, None)
    );
    assert_eq!(*cell.get_mut_or_init(|| 3), 3);
    assert_eq!(*cell.get_mut_or_init(|| 4), 3);
    assert_eq!(cell.into_inner(), Some(3));
}

#[test]
fn every_value_is_dropped_once() {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let counted = || Counted(Rc::clone(&drops));
    let mut cell = OnceLock::new();
    assert!(cell.set(counted()).is_ok());
    drop(cell.set(counted()));
    assert_eq!(drops.get(), 1, "the one that was refused");
    drop(cell.take());
    assert_eq!(drops.get(), 2);
    assert!(cell.set(counted()).is_ok());
    drop(cell);
    assert_eq!(drops.get(), 3);
}

#[test]
fn debug_is_as_stds() {
    let (ours, theirs) = (OnceLock::new(), std::sync::OnceLock::new());
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert!(ours.set("x").is_ok() && theirs.set("x").is_ok());
    assert_eq!(
        format!("{ours:?} {ours:#?}"),
        format!("{theirs:?} {theirs:#?}")
    );
    assert_eq!(OnceLock::<u32>::default(), OnceLock::new());
}
