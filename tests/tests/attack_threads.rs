//! What belongs to the OS thread, used across blocking calls: thread-locals, stdout's lock, scoped OS
//! threads, guards.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::sync::Mutex;
use green_core::{Builder, Failure, Greenlet, joinall, run, sleep, spawn_local, yield_now};
use green_tests::{Process, Random, eventually, hubs, role};

const SHORT: Duration = Duration::from_millis(2);

/// Runs `f` on hub 0.
fn first_hub<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_borrow_of_a_thread_local_across_a_block_hurts_only_who_borrows_too() {
    thread_local! {
        static SHARED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }
    let (borrowed, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&borrowed), Arc::clone(&go));
    let holder = first_hub(move || {
        SHARED.with_borrow_mut(|values| {
            values.push(1);
            theirs.0.set();
            theirs.1.wait();
            values.push(2);
            values.clone()
        })
    });
    borrowed.wait();
    let rivals: Vec<_> = (0..20)
        .map(|_| first_hub(|| SHARED.with_borrow_mut(|values| values.push(99))))
        .collect();
    let others: Vec<_> = (0..20)
        .map(|_| {
            first_hub(|| {
                sleep(SHORT);
                SHARED.with(|shared| shared.try_borrow().is_err())
            })
        })
        .collect();
    joinall(&rivals);
    for rival in rivals {
        let Err(Failure::Panicked(panic)) = rival.into_result() else {
            unreachable!("it is borrowed")
        };
        assert!(panic.message().contains("borrowed"), "{}", panic.message());
    }
    for other in others {
        assert!(other.get().unwrap());
    }
    go.set();
    assert_eq!(holder.get().unwrap(), [1, 2]);
    let after = first_hub(|| SHARED.with_borrow_mut(std::mem::take));
    assert_eq!(after.get().unwrap(), [1, 2]);
}

#[test]
fn a_borrow_is_given_back_when_its_holder_is_killed() {
    thread_local! {
        static SHARED: RefCell<u32> = const { RefCell::new(0) };
    }
    let borrowed = Arc::new(Event::new());
    let theirs = Arc::clone(&borrowed);
    let holder = first_hub(move || {
        SHARED.with_borrow_mut(|value| {
            *value = 7;
            theirs.set();
            sleep(Duration::MAX);
        });
    });
    borrowed.wait();
    holder.kill();
    assert_eq!(first_hub(|| SHARED.take()).get().unwrap(), 7);
}

#[test]
fn handles_shared_through_a_thread_local_are_counted_right() {
    thread_local! {
        static SHARED: RefCell<Option<Rc<Cell<u64>>>> = const { RefCell::new(None) };
    }
    first_hub(|| SHARED.set(Some(Rc::new(Cell::new(0)))))
        .get()
        .unwrap();
    let users: Vec<_> = (0..300)
        .map(|n| {
            first_hub(move || {
                let mut random = Random::new(n);
                let mine = SHARED.with_borrow(|shared| Rc::clone(shared.as_ref().unwrap()));
                for _ in 0..10 {
                    let more = vec![Rc::clone(&mine); random.below(4) as usize];
                    match random.below(3) {
                        0 => yield_now(),
                        1 => sleep(Duration::from_micros(random.below(300))),
                        _ => {}
                    }
                    mine.set(mine.get() + more.len() as u64);
                }
                match n % 3 {
                    0 => panic!("expected"),
                    1 => sleep(Duration::MAX),
                    _ => {}
                }
            })
        })
        .collect();
    let killers = users.clone();
    let killer = thread::spawn(move || {
        for user in killers.iter().skip(1).step_by(3) {
            user.kill();
        }
    });
    joinall(&users);
    killer.join().unwrap();
    let count =
        first_hub(|| SHARED.with_borrow(|shared| Rc::strong_count(shared.as_ref().unwrap())));
    assert_eq!(count.get().unwrap(), 1);
}

#[test]
fn child_prints_beside_the_holder_of_stdout() {
    if role().is_none() {
        return;
    }
    let holder = first_hub(|| {
        let mut out = io::stdout().lock();
        for _ in 0..20 {
            writeln!(out, "holder").unwrap();
            yield_now();
            sleep(Duration::from_micros(200));
        }
    });
    let printers: Vec<_> = (0..5)
        .map(|_| {
            first_hub(|| {
                for _ in 0..20 {
                    // The same OS thread: it has the lock already.
                    writeln!(io::stdout(), "neighbour").unwrap();
                    sleep(Duration::from_micros(100));
                }
            })
        })
        .collect();
    joinall(&printers);
    holder.join();
    let killed = first_hub(|| {
        let _out = io::stdout().lock();
        sleep(Duration::MAX);
    });
    sleep(SHORT);
    killed.kill();
    writeln!(io::stdout(), "over").unwrap();
}

#[test]
fn the_lock_of_stdout_across_a_block_stops_no_neighbour() {
    let mut child = Process::start("child_prints_beside_the_holder_of_stdout", &[]);
    child.line_with("over");
    assert!(child.wait(Duration::from_secs(2)).success());
}

#[test]
fn scoped_os_threads_in_one_that_is_killed_or_panics_see_valid_data() {
    let sum = Arc::new(AtomicUsize::new(0));
    let mut all = Vec::new();
    for n in 0..30_usize {
        let sum = Arc::clone(&sum);
        all.push(first_hub(move || {
            let data: Vec<usize> = (0..100).collect();
            // An interrupt that is pending takes effect inside, beside the running OS threads.
            thread::scope(|scope| {
                for part in data.chunks(50) {
                    let sum = &sum;
                    scope.spawn(move || {
                        thread::sleep(Duration::from_micros(500));
                        sum.fetch_add(part.iter().sum::<usize>(), Ordering::Relaxed);
                    });
                }
                match n % 3 {
                    0 => panic!("expected"),
                    1 => {
                        green_core::getcurrent().unwrap().kill_nowait();
                        sleep(Duration::MAX);
                    }
                    _ => yield_now(),
                }
            });
            data.len()
        }));
    }
    joinall(&all);
    assert_eq!(sum.load(Ordering::Relaxed), 30 * 4950);
    for (n, g) in all.into_iter().enumerate() {
        match n % 3 {
            0 => assert!(matches!(g.into_result(), Err(Failure::Panicked(_)))),
            1 => assert!(matches!(g.into_result(), Err(Failure::Killed))),
            _ => assert_eq!(g.into_result().unwrap(), 100),
        }
    }
}

#[test]
fn a_timeout_in_a_scope_of_os_threads_waits_for_them() {
    let g = first_hub(|| {
        let mut value = 0;
        let result = green_core::timeout(SHORT, || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(20));
                    value = 7;
                });
                sleep(Duration::MAX);
            });
        });
        (result.is_err(), value)
    });
    assert_eq!(g.get().unwrap(), (true, 7));
}

#[test]
fn os_threads_of_a_scope_use_the_green_threads_of_other_stacks() {
    // The scope blocks the hub; what its OS threads wait for must not need that hub.
    let g = first_hub(|| {
        let queue = green_core::queue::Queue::bounded(1);
        thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|n| queue.put(n).unwrap()));
            let sum = scope.spawn(|| (0..100).map(|_| queue.get().unwrap()).sum::<u32>());
            sum.join().unwrap()
        })
    });
    assert_eq!(g.get().unwrap(), 4950);
}

#[test]
fn guards_that_are_not_send_stay_on_their_os_thread() {
    let hubs = hubs();
    let all: Vec<_> = (0..100)
        .map(|n| {
            let g = Builder::new().hub(n % hubs);
            g.spawn(move || {
                let here = thread::current().id();
                let (std, ours, cell) = (std::sync::Mutex::new(0), Mutex::new(0), RefCell::new(0));
                let mut random = Random::new(n as u64);
                for _ in 0..20 {
                    let mut std = std.lock().unwrap();
                    let mut ours = ours.lock().unwrap();
                    let shared = cell.borrow();
                    match random.below(4) {
                        0 => yield_now(),
                        1 => sleep(Duration::from_micros(100)),
                        2 => assert_eq!(green_core::blocking(|| 1), 1),
                        _ => green_core::spawn(|| ()).join(),
                    }
                    assert_eq!(thread::current().id(), here);
                    *std += 1;
                    *ours += *shared + 1;
                }
                assert!(!std.is_poisoned() && !ours.is_poisoned());
                (std.into_inner().unwrap(), ours.into_inner().unwrap())
            })
            .unwrap()
        })
        .collect();
    joinall(&all);
    for g in all {
        assert_eq!(g.get().unwrap(), (20, 20));
    }
}

#[test]
fn handles_closures_and_results_may_be_dropped_on_any_os_thread() {
    const EACH: usize = 400;
    let drops = Arc::new(AtomicUsize::new(0));
    let (to_droppers, handles) = mpsc::channel::<Greenlet<Counted>>();
    let dropper = thread::spawn(move || {
        for (n, handle) in handles.into_iter().enumerate() {
            match n % 4 {
                0 => drop(handle),
                1 => handle.kill_nowait(),
                2 => drop(handle.into_result()),
                _ => {
                    handle.join();
                    thread::spawn(move || drop(handle)).join().unwrap();
                }
            }
        }
    });
    for n in 0..EACH {
        let (closure, result) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
        let g = green_core::spawn(move || {
            let _closure = closure;
            if n % 5 == 0 {
                yield_now();
            }
            assert_ne!(n % 50, 49, "expected");
            result
        });
        to_droppers.send(g).unwrap();
    }
    drop(to_droppers);
    dropper.join().unwrap();
    eventually("all is dropped once", || {
        drops.load(Ordering::Relaxed) == 2 * EACH
    });
    sleep(SHORT);
    assert_eq!(drops.load(Ordering::Relaxed), 2 * EACH);
}

#[test]
fn a_local_result_is_dropped_at_home_whoever_kills() {
    run(|| {
        let shared = Rc::new(());
        let here = thread::current().id();
        let mut all = Vec::new();
        for n in 0..100_u64 {
            let mine = Rc::clone(&shared);
            all.push(spawn_local(move || {
                sleep(Duration::from_micros(n * 10));
                assert_eq!(thread::current().id(), here);
                mine
            }));
        }
        yield_now();
        for g in all.iter().step_by(2) {
            g.kill_nowait();
        }
        joinall(&all);
        drop(all);
        // What ended last may still stand on its carrier.
        yield_now();
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

#[test]
fn a_panic_that_passes_a_borrow_and_a_park_leaves_the_neighbours_alone() {
    let begun = Instant::now();
    let g = first_hub(|| {
        let cell = RefCell::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _borrow = cell.borrow_mut();
            sleep(SHORT);
            panic!("expected");
        }));
        let free = cell.try_borrow_mut().is_ok();
        caught.is_err() && free
    });
    assert!(g.get().unwrap() && begun.elapsed() >= SHORT);
}
