//! Green-local values.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::{Builder, Failure, run, sleep, spawn, spawn_local, yield_now};

/// Counts its drops, where the counter is.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn each_caller_has_its_own() {
    green_core::local! {
        static NUMBER: Cell<u32> = const { Cell::new(1) };
        static LIST: RefCell<Vec<u32>> = RefCell::new(vec![7]);
    }
    NUMBER.set(100);
    LIST.with_borrow_mut(|list| list.push(100));
    let green: Vec<_> = (0..10)
        .map(|n| {
            spawn(move || {
                assert_eq!(NUMBER.replace(n), 1);
                LIST.with_borrow_mut(|list| list.push(n));
                yield_now();
                assert_eq!(LIST.with_borrow(Vec::clone), [7, n]);
                (NUMBER.get(), LIST.take().len(), LIST.replace(vec![]).len())
            })
        })
        .collect();
    for (n, g) in (0..).zip(green) {
        assert_eq!(g.into_result().unwrap(), (n, 2, 0));
    }
    assert_eq!((NUMBER.take(), LIST.with_borrow(Vec::len)), (100, 2));
    LIST.set(vec![]);
    assert!(LIST.with_borrow(Vec::is_empty));
    assert!(format!("{NUMBER:?}").starts_with("LocalKey"));
}

#[test]
fn nothing_is_left_to_the_next_on_the_same_stack() {
    green_core::local!(static USED: Cell<bool> = Cell::new(false));
    run(|| {
        for _ in 0..100 {
            assert!(!spawn_local(|| USED.replace(true)).into_result().unwrap());
        }
    });
}

#[test]
fn values_go_with_their_green_thread_before_it_is_joined() {
    green_core::local!(static HELD: RefCell<Vec<Counted>> = RefCell::default());
    let dropped = Arc::new(AtomicUsize::new(0));
    let hold = |dropped: &Arc<AtomicUsize>| {
        let counted = Counted(Arc::clone(dropped));
        HELD.with_borrow_mut(|held| held.push(counted));
    };
    for round in 1..100 {
        let theirs = Arc::clone(&dropped);
        spawn(move || hold(&theirs)).join();
        assert_eq!(dropped.load(Ordering::SeqCst), round);
    }
    let theirs = Arc::clone(&dropped);
    let panics = spawn(move || {
        hold(&theirs);
        panic!("expected");
    });
    assert!(matches!(
        panics.into_result(),
        Err::<(), _>(Failure::Panicked(_))
    ));
    assert_eq!(dropped.load(Ordering::SeqCst), 100);
    let holds = Arc::new(Event::new());
    let (theirs, is_held) = (Arc::clone(&dropped), Arc::clone(&holds));
    let killed = spawn(move || {
        hold(&theirs);
        is_held.set();
        sleep(Duration::MAX);
    });
    holds.wait();
    killed.kill();
    assert_eq!(dropped.load(Ordering::SeqCst), 101);
}

#[test]
fn an_initialiser_may_block_and_use_others() {
    green_core::local! {
        static FIRST: Rc<Cell<u32>> = {
            sleep(Duration::from_millis(1));
            Rc::new(Cell::new(SECOND.with(|second| *second)))
        };
        static SECOND: u32 = {
            yield_now();
            5
        };
    }
    // All on one hub: while one initialises, the others begin.
    let green: Vec<_> = (0..20)
        .map(|n| {
            let g = Builder::new().hub(0).spawn(move || {
                FIRST.with(|first| {
                    assert_eq!(first.replace(n), 5);
                    yield_now();
                    assert_eq!((first.get(), Rc::strong_count(first)), (n, 1));
                });
            });
            g.unwrap()
        })
        .collect();
    for g in green {
        g.into_result().unwrap();
    }
}

#[test]
fn an_initialiser_that_uses_its_own_value_leaves_the_first() {
    green_core::local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
        static VALUE: u32 = {
            let depth = DEPTH.get() + 1;
            DEPTH.set(depth);
            if depth == 1 {
                // Borrowed while the outer initialiser goes on: it must not be replaced.
                VALUE.with(|inner| *inner)
            } else {
                depth
            }
        };
    }
    let seen = spawn(|| VALUE.with(|value| *value)).into_result().unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn destructors_find_what_is_left_and_may_make_more() {
    thread_local! {
        static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }
    struct Early;
    struct Late;
    struct Made;
    green_core::local! {
        static EARLY: Early = const { Early };
        static LATE: Late = const { Late };
        static MADE: Made = const { Made };
    }
    fn log(what: &'static str) {
        LOG.with_borrow_mut(|log| log.push(what));
    }
    impl Drop for Late {
        fn drop(&mut self) {
            // The youngest goes first; it may block.
            yield_now();
            log("late");
            assert!(LATE.try_with(|_| ()).is_err(), "it is gone");
            EARLY.with(|_| ());
            MADE.with(|_| ());
        }
    }
    impl Drop for Made {
        fn drop(&mut self) {
            log("made");
        }
    }
    impl Drop for Early {
        fn drop(&mut self) {
            log("early");
            let error = LATE.try_with(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), "already destroyed");
            assert_eq!(format!("{error:?}"), "AccessError");
        }
    }
    let hub = |f: fn() -> Vec<&'static str>| Builder::new().hub(0).spawn(f).unwrap();
    hub(|| {
        EARLY.with(|_| ());
        LATE.with(|_| ());
        Vec::new()
    })
    .join();
    let log = hub(|| LOG.with_borrow_mut(std::mem::take))
        .into_result()
        .unwrap();
    assert_eq!(log, ["late", "made", "early"]);
}

#[test]
fn a_destructor_that_panics_costs_no_result_and_no_other_value() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected");
        }
    }
    green_core::local! {
        static HELD: RefCell<Option<Counted>> = RefCell::default();
        static BOMB: Bomb = const { Bomb };
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&dropped);
    let g = spawn(move || {
        HELD.set(Some(Counted(theirs)));
        BOMB.with(|_| ());
        7
    });
    assert_eq!(g.get().unwrap(), 7);
    // The next one on the same stack starts afresh, and what the bomb left goes at the latest with it.
    for _ in 0..50 {
        let none = spawn(|| HELD.with_borrow(Option::is_none));
        assert!(none.into_result().unwrap());
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn set_makes_the_value_without_the_initialiser() {
    green_core::thread_local! {
        static CELL: Cell<u32> = panic!("the cell's initialiser");
        static REFCELL: RefCell<u32> = panic!("the refcell's initialiser");
    }
    run(|| {
        CELL.set(1);
        REFCELL.set(2);
        CELL.update(|n| n + 1);
        assert_eq!((CELL.get(), REFCELL.take()), (2, 2));
    });
}

#[test]
fn what_a_destructor_of_the_result_makes_goes_too() {
    green_core::local!(static USED: Cell<u32> = const { Cell::new(0) });
    struct Uses;
    impl Drop for Uses {
        fn drop(&mut self) {
            USED.set(USED.get() + 1);
        }
    }
    run(|| {
        for _ in 0..100 {
            // Nobody has the handle: the result goes with the green thread, after its values.
            drop(spawn_local(|| Uses));
            // Nor does this one run; its closure goes where it would have run.
            let uses = Uses;
            spawn_local(move || drop(uses)).kill_nowait();
            yield_now();
            assert_eq!(spawn_local(|| USED.get()).into_result().unwrap(), 0);
        }
    });
}
