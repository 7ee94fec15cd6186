//! Hooks at the switches of green threads. One process each: run by nextest.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::{Builder, Config, SwitchHook, run, sleep, spawn, spawn_local, timeout, yield_now};

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
    static ORDER: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

static PARKED: AtomicUsize = AtomicUsize::new(0);
static RESUMED: AtomicUsize = AtomicUsize::new(0);

/// Keeps `CURRENT` for each green thread.
struct Keeper;

impl SwitchHook for Keeper {
    fn park(&self) -> usize {
        PARKED.fetch_add(1, Ordering::Relaxed);
        CURRENT.replace(0)
    }

    fn resume(&self, kept: usize) {
        RESUMED.fetch_add(1, Ordering::Relaxed);
        CURRENT.set(kept);
    }
}

#[test]
fn each_green_thread_finds_its_own_and_the_hub_nothing() {
    // Where tests share a process, another one may have been first.
    if Config::new().hubs(2).switch_hook(Keeper).apply().is_err() {
        return;
    }
    let green: Vec<_> = (1..=50)
        .map(|n| {
            spawn(move || {
                assert_eq!(CURRENT.get(), 0, "something was left");
                CURRENT.set(n);
                for round in 0..20 {
                    match round % 4 {
                        0 => sleep(Duration::from_micros(50)),
                        1 => assert!(
                            timeout(Duration::from_micros(50), || sleep(Duration::MAX)).is_err()
                        ),
                        2 => spawn_local(|| assert_eq!(CURRENT.get(), 0)).join(),
                        _ => yield_now(),
                    }
                    assert_eq!(CURRENT.get(), n);
                }
                CURRENT.set(0);
            })
        })
        .collect();
    for g in green {
        g.into_result().unwrap();
    }
    let victim = spawn(|| {
        struct Checks;
        impl Drop for Checks {
            fn drop(&mut self) {
                assert_eq!(CURRENT.replace(0), 77, "a kill unwinds where it was");
            }
        }
        CURRENT.set(77);
        let _checks = Checks;
        sleep(Duration::MAX);
    });
    sleep(Duration::from_millis(1));
    victim.kill();
    assert!(victim.successful());
    let (parked, resumed) = (
        PARKED.load(Ordering::Relaxed),
        RESUMED.load(Ordering::Relaxed),
    );
    assert!(parked >= 1_000 && parked == resumed, "{parked} {resumed}");
}

/// Notes its name.
struct Named(&'static str, &'static str);

impl SwitchHook for Named {
    fn park(&self) -> usize {
        ORDER.with_borrow_mut(|order| order.push(self.0));
        1
    }

    fn resume(&self, kept: usize) {
        assert_eq!(kept, 1);
        ORDER.with_borrow_mut(|order| order.push(self.1));
    }
}

#[test]
fn several_nest() {
    let outer = Config::new().hubs(1).switch_hook(Named("out", "in"));
    if outer.switch_hook(Named("Out", "In")).apply().is_err() {
        return;
    }
    let order = run(|| {
        yield_now();
        ORDER.with_borrow(Vec::clone)
    });
    assert_eq!(order, ["out", "Out", "In", "in"]);
}

#[test]
fn it_works_in_generators_too() {
    if Config::new().hubs(1).switch_hook(Keeper).apply().is_err() {
        return;
    }
    let g = Builder::new().name("generates").spawn(|| {
        CURRENT.set(5);
        let numbers =
            generator::Gn::new_scoped(|mut scope: generator::Scope<'_, '_, (), usize>| {
                yield_now();
                scope.yield_(CURRENT.get());
                sleep(Duration::from_micros(10));
                CURRENT.get()
            });
        numbers.take(2).sum::<usize>()
    });
    let neighbour = spawn(|| CURRENT.get());
    assert_eq!(g.unwrap().into_result().unwrap(), 10);
    assert_eq!(neighbour.into_result().unwrap(), 0);
}

struct Bomb;

impl SwitchHook for Bomb {
    fn park(&self) -> usize {
        panic!("expected")
    }

    fn resume(&self, _kept: usize) {}
}

#[test]
fn one_that_panics_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;

    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["child_panics_in_a_hook", "--exact", "--ignored"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(6), "aborted");
}

#[test]
#[ignore = "a child of another test"]
fn child_panics_in_a_hook() {
    Config::new().switch_hook(Bomb).apply().unwrap();
    run(yield_now);
}
