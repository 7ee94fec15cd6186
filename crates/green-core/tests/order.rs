//! The order on one hub: gevent's.

use std::cell::RefCell;
use std::rc::Rc;

use green_core::{Config, run, spawn_local, yield_now};

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

#[test]
fn green_threads_start_in_the_order_of_their_spawns() {
    alone(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let all: Vec<_> = (0..500)
            .map(|n| {
                let log = Rc::clone(&log);
                spawn_local(move || log.borrow_mut().push(n))
            })
            .collect();
        assert!(
            log.borrow().is_empty(),
            "they start when the spawner blocks"
        );
        green_core::joinall(&all);
        assert!(log.borrow().iter().copied().eq(0..500));
    });
}

#[test]
fn yields_go_round() {
    alone(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let all: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let log = Rc::clone(&log);
                spawn_local(move || {
                    for _ in 0..3 {
                        log.borrow_mut().push(name);
                        yield_now();
                    }
                })
            })
            .collect();
        green_core::joinall(&all);
        assert_eq!(log.borrow().concat(), "abcabcabc");
    });
}

#[test]
fn one_that_is_spawned_runs_before_its_spawner_comes_back() {
    alone(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let theirs = Rc::clone(&log);
        let g = spawn_local(move || {
            theirs.borrow_mut().push("child");
            let log = Rc::clone(&theirs);
            spawn_local(move || log.borrow_mut().push("grandchild"));
            theirs.borrow_mut().push("child again");
        });
        log.borrow_mut().push("spawner");
        yield_now();
        log.borrow_mut().push("spawner again");
        yield_now();
        g.join();
        assert_eq!(
            *log.borrow(),
            [
                "spawner",
                "child",
                "child again",
                "spawner again",
                "grandchild"
            ]
        );
    });
}

#[test]
fn code_between_blocking_calls_is_atomic() {
    alone(|| {
        let total = Rc::new(RefCell::new((0, 0)));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let total = Rc::clone(&total);
                spawn_local(move || {
                    for _ in 0..10 {
                        let mut total = total.borrow_mut();
                        total.0 += 1;
                        total.1 += 1;
                        drop(total);
                        yield_now();
                    }
                })
            })
            .collect();
        green_core::joinall(&all);
        assert_eq!(*total.borrow(), (1_000, 1_000));
    });
}
