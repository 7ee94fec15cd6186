//! Interrupts and panics where they hurt most: in destructors, beside others that unwind, against
//! reused stacks, in the panic hook, in nested generators.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use generator::{Gn, Scope, done};
use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::sync::Mutex;
use green_core::{
    Builder, Failure, Greenlet, joinall, mask_kill, sleep, spawn, stats, timeout, yield_now,
};
use green_tests::{Process, Random, eventually, hubs, role};

const SHORT: Duration = Duration::from_millis(2);

/// Runs `f` on hub 0.
fn first_hub<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A green thread of hub 0 that is parked in a destructor, unwinding by a panic, until the event is
/// set.
fn parked_unwinding() -> (Greenlet<()>, Arc<Event>) {
    let (inside, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&inside), Arc::clone(&go));
    let g = first_hub(move || {
        let _wait = OnDrop(|| {
            theirs.0.set();
            theirs.1.wait();
        });
        panic!("expected: parks while it unwinds");
    });
    inside.wait();
    (g, go)
}

#[test]
fn destructors_of_a_killed_one_block_for_as_long_as_they_like() {
    let done = Arc::new(AtomicUsize::new(0));
    let (dying, theirs) = (Arc::new(Event::new()), Arc::clone(&done));
    let dies = Arc::clone(&dying);
    let g = first_hub(move || {
        let mutex = Mutex::new(0);
        let _outer = OnDrop(|| {
            sleep(SHORT);
            *mutex.lock().unwrap() += 1;
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        let _inner = OnDrop(|| {
            dies.set();
            let begun = Instant::now();
            // The limit is reached while it unwinds: it is deferred, and gone with its scope.
            assert!(timeout(SHORT, || sleep(Duration::from_millis(20))).is_ok());
            assert!(begun.elapsed() >= Duration::from_millis(20));
            mask_kill(|| sleep(SHORT));
            assert_eq!(spawn(|| 7).get().unwrap(), 7);
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        dies.clear();
        dies.set();
        sleep(Duration::MAX);
    });
    dying.wait();
    dying.clear();
    g.kill_nowait();
    dying.wait();
    // More kills, while its destructors block.
    for _ in 0..100 {
        g.kill_nowait();
        sleep(Duration::from_micros(50));
    }
    assert!(g.kill_timeout(Duration::from_secs(2)));
    assert_eq!(done.load(Ordering::Relaxed), 2);
    assert!(matches!(g.into_result(), Err(Failure::Killed)));
}

#[test]
fn an_outer_limit_that_passes_while_an_inner_one_unwinds_is_not_lost() {
    let g = first_hub(|| {
        let mut seen = 0;
        let outer = timeout(Duration::from_millis(10), || {
            let inner = timeout(SHORT, || {
                let _slow = OnDrop(|| sleep(Duration::from_millis(20)));
                sleep(Duration::MAX);
            });
            assert!(inner.is_err());
            seen = 1;
            sleep(Duration::MAX);
        });
        assert_eq!(outer.unwrap_err().limit(), Duration::from_millis(10));
        sleep(SHORT);
        seen
    });
    assert_eq!(g.get().unwrap(), 1);
}

#[test]
fn beside_one_that_is_parked_unwinding_others_lock_panic_and_die_as_ever() {
    let (first, go) = parked_unwinding();
    let mutex = Arc::new(Mutex::new(0));
    let theirs = Arc::clone(&mutex);
    let locks = first_hub(move || {
        for _ in 0..50 {
            let mut guard = theirs.lock().unwrap();
            sleep(Duration::from_micros(100));
            *guard += 1;
        }
        // Taken and given back beside one that unwinds: std compares before and after.
        let std = std::sync::Mutex::new(0);
        for _ in 0..50 {
            let mut guard = std.lock().unwrap();
            yield_now();
            *guard += 1;
        }
        assert!(!std.is_poisoned());
        std.into_inner().unwrap()
    });
    let sleeper = first_hub(|| sleep(Duration::MAX));
    let limited = first_hub(|| timeout(SHORT, || sleep(Duration::MAX)).is_err());
    let panics: Vec<_> = (0..20)
        .map(|_| {
            first_hub(|| {
                sleep(Duration::from_micros(100));
                let _block = OnDrop(|| sleep(SHORT));
                panic!("expected: a neighbour");
            })
        })
        .collect();
    sleep(SHORT);
    assert!(sleeper.kill_timeout(Duration::from_secs(1)));
    assert!(limited.get().unwrap());
    joinall(&panics);
    for g in panics {
        assert!(matches!(
            g.into_result(),
            Err::<(), _>(Failure::Panicked(_))
        ));
    }
    assert_eq!(locks.get().unwrap(), 50);
    assert_eq!(*mutex.lock().unwrap(), 50);
    assert!(!first.ready());
    go.set();
    first.join();
    assert!(!first_hub(thread::panicking).get().unwrap());
}

#[test]
fn a_panic_passed_on_beside_one_that_is_parked_unwinding_ends_its_own_only() {
    let (first, go) = parked_unwinding();
    let all: Vec<_> = (0..20)
        .map(|n| {
            first_hub(move || {
                let _block = OnDrop(|| sleep(Duration::from_micros(100)));
                if n % 2 == 0 {
                    resume_unwind(Box::new(n));
                }
                let caught = catch_unwind(AssertUnwindSafe(|| resume_unwind(Box::new(n))));
                yield_now();
                resume_unwind(caught.unwrap_err());
            })
        })
        .collect();
    joinall(&all);
    for (n, g) in (0_i32..).zip(all) {
        let Err::<(), _>(Failure::Panicked(panic)) = g.into_result() else {
            unreachable!("it panicked")
        };
        assert_eq!(panic.take_payload().unwrap().downcast_ref(), Some(&n));
    }
    assert_eq!(first_hub(|| 7).get().unwrap(), 7);
    go.set();
    first.join();
    assert!(!first_hub(thread::panicking).get().unwrap());
}

#[test]
fn one_that_catches_its_kill_goes_on() {
    let caught = Arc::new(AtomicUsize::new(0));
    let (ready, theirs) = (Arc::new(Event::new()), Arc::clone(&caught));
    let is_ready = Arc::clone(&ready);
    let g = first_hub(move || {
        let mutex = Mutex::new(0);
        for _ in 0..50 {
            is_ready.set();
            let held = mutex.lock().unwrap();
            catch_unwind(|| sleep(Duration::MAX)).unwrap_err();
            theirs.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_micros(50));
            yield_now();
            drop(held);
            assert!(timeout(Duration::from_micros(50), || sleep(Duration::MAX)).is_err());
            spawn(|| ()).join();
        }
        mutex.is_poisoned()
    });
    for n in 1..=50 {
        ready.wait();
        ready.clear();
        // The next wait is the one that is caught.
        sleep(Duration::from_micros(100));
        g.kill_nowait();
        eventually("the kill is caught", || caught.load(Ordering::SeqCst) == n);
    }
    assert!(!g.get().unwrap());
}

#[test]
fn late_kills_and_timers_find_nobody_else() {
    const ROUNDS: u32 = 3000;
    let begun = Instant::now();
    let innocent = Arc::new(AtomicUsize::new(0));
    let mut old: Vec<Greenlet<()>> = Vec::new();
    let mut rounds = 0;
    while rounds < ROUNDS && begun.elapsed() < Duration::from_secs(2) {
        rounds += 1;
        // Short-lived ones with limits and timers that are about to fire, killed or not.
        let victim = first_hub(move || {
            let limit = Duration::from_micros(u64::from(rounds % 7) * 30);
            timeout(limit, || sleep(Duration::from_micros(60))).ok();
        });
        if rounds.is_multiple_of(3) {
            yield_now();
            victim.kill_nowait();
        }
        let theirs = Arc::clone(&innocent);
        // On the stack that becomes free next.
        let reuses = first_hub(move || {
            sleep(Duration::from_micros(80));
            yield_now();
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        for g in &old {
            g.kill_nowait();
        }
        victim.join();
        victim.kill_nowait();
        reuses.join();
        assert!(matches!(reuses.get(), Ok(())), "round {rounds}");
        reuses.kill_nowait();
        old.push(victim);
        old.push(reuses);
        if old.len() > 20 {
            old.drain(..10);
        }
    }
    assert_eq!(innocent.load(Ordering::Relaxed), rounds as usize);
}

#[test]
fn kill_storms_break_no_invariant() {
    const VICTIMS: usize = 24;
    let hubs = hubs();
    let (pair, permits) = (
        Arc::new(Mutex::new((0_u64, 0_u64))),
        Arc::new(Semaphore::new(3)),
    );
    let (stop, inside) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let victims: Vec<Greenlet<()>> = (0..VICTIMS)
        .map(|n| {
            let (pair, permits) = (Arc::clone(&pair), Arc::clone(&permits));
            let (stop, inside) = (Arc::clone(&stop), Arc::clone(&inside));
            let round = move |random: &mut Random| match random.below(4) {
                0 => mask_kill(|| {
                    let mut pair = pair.lock().unwrap();
                    pair.0 += 1;
                    yield_now();
                    pair.1 += 1;
                }),
                1 => {
                    timeout(Duration::from_micros(random.below(300)), || {
                        let _permit = permits.acquire();
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        let _leave = OnDrop(|| {
                            inside.fetch_sub(1, Ordering::SeqCst);
                        });
                        sleep(Duration::from_micros(random.below(200)));
                    })
                    .ok();
                }
                2 => {
                    let pair = pair.lock().unwrap();
                    assert_eq!(pair.0, pair.1);
                    yield_now();
                }
                _ => {
                    let _slow = OnDrop(|| sleep(Duration::from_micros(50)));
                    sleep(Duration::from_micros(random.below(200)));
                }
            };
            let mut random = Random::new(n as u64);
            let body = move || {
                while !stop.load(Ordering::Relaxed) {
                    // A kill is not a panic of the program: only those are let through.
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| round(&mut random)))
                        && (payload.is::<String>() || payload.is::<&str>())
                    {
                        resume_unwind(payload);
                    }
                }
                // The last kill may still be under way.
                mask_kill(|| ());
            };
            Builder::new().hub(n % hubs).spawn(body).unwrap()
        })
        .collect();
    let storm = |seed: u64| {
        let (victims, stop) = (victims.clone(), Arc::clone(&stop));
        move || {
            let mut random = Random::new(seed);
            while !stop.load(Ordering::Relaxed) {
                victims[random.below(VICTIMS as u64) as usize].kill_nowait();
                match random.below(3) {
                    0 => sleep(Duration::from_micros(random.below(100))),
                    _ => yield_now(),
                }
            }
        }
    };
    let os: Vec<_> = (100..102).map(|n| thread::spawn(storm(n))).collect();
    let green: Vec<_> = (0..hubs)
        .map(|hub| Builder::new().hub(hub).spawn(storm(hub as u64)).unwrap())
        .collect();
    sleep(Duration::from_millis(1200));
    stop.store(true, Ordering::Relaxed);
    for killer in os {
        killer.join().unwrap();
    }
    joinall(&green);
    joinall(&victims);
    for g in &victims {
        let failure = g.get().err();
        assert!(
            matches!(failure, None | Some(Failure::Killed)),
            "{failure:?}"
        );
    }
    let pair = pair.lock().unwrap();
    assert_eq!(pair.0, pair.1);
    assert_eq!((permits.available(), inside.load(Ordering::SeqCst)), (3, 0));
    drop(pair);
    eventually("all are off the books", || stats().live == 0);
}

#[test]
fn kills_reach_into_nested_generators() {
    for n in 0..200_u64 {
        let inside = Arc::new(Event::new());
        let drops = Arc::new(AtomicUsize::new(0));
        let theirs = (Arc::clone(&inside), Arc::clone(&drops));
        let g = first_hub(move || {
            let (inside, drops) = theirs;
            let count = |drops: Arc<AtomicUsize>| {
                OnDrop(move || {
                    drops.fetch_add(1, Ordering::SeqCst);
                })
            };
            let _outer = count(Arc::clone(&drops));
            let numbers = Gn::new_scoped(move |mut scope: Scope<'_, '_, (), u32>| {
                let _inner = count(drops);
                scope.yield_(1);
                inside.set();
                if n % 2 == 0 {
                    // Caught inside, the generator goes on.
                    catch_unwind(|| sleep(Duration::MAX)).unwrap_err();
                    sleep(Duration::from_micros(10));
                    scope.yield_(2);
                } else {
                    sleep(Duration::MAX);
                }
                done!()
            });
            numbers.sum::<u32>()
        });
        inside.wait();
        g.kill_nowait();
        assert!(g.join_timeout(Duration::from_secs(1)));
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        if n % 2 == 0 {
            assert_eq!(g.get().unwrap(), 3);
        } else {
            assert!(g.get().is_err());
        }
    }
    assert!(!first_hub(thread::panicking).get().unwrap());
}

#[test]
fn a_limit_ends_a_wait_in_a_nested_generator() {
    let g = first_hub(|| {
        timeout(SHORT, || {
            let numbers = Gn::new_scoped(|mut scope: Scope<'_, '_, (), u32>| {
                scope.yield_(1);
                sleep(Duration::MAX);
                done!()
            });
            numbers.count()
        })
        .is_err()
    });
    assert!(g.get().unwrap());
}

#[test]
fn child_blocks_in_its_panic_hook() {
    if role().is_none() {
        return;
    }
    static LOCK: Mutex<u32> = Mutex::new(0);
    std::panic::set_hook(Box::new(|_| {
        // As on an OS thread: it blocks the hub, and nobody else runs meanwhile.
        sleep(SHORT);
        yield_now();
        if let Ok(mut reports) = LOCK.lock() {
            *reports += 1;
        }
        let me = green_core::getcurrent().map(|me| me.id());
        assert_eq!(me.is_some(), green_core::getcurrent().is_some());
        timeout(SHORT, || sleep(Duration::from_micros(10))).ok();
    }));
    let others = Arc::new(AtomicUsize::new(0));
    let all: Vec<_> = (0..20)
        .map(|n| {
            let others = Arc::clone(&others);
            first_hub(move || {
                let before = others.load(Ordering::Relaxed);
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    assert_eq!(n, usize::MAX, "expected");
                }));
                assert_eq!(others.load(Ordering::Relaxed), before, "the hub is blocked");
                others.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_micros(100));
                assert!(caught.is_err());
                let _block = OnDrop(|| sleep(SHORT));
                panic!("expected");
            })
        })
        .collect();
    joinall(&all);
    assert!(all.iter().all(|g| !g.successful()));
    let reports = *LOCK.lock().unwrap();
    // The rest is about the harness: a panic from here on is reported as ever.
    drop(std::panic::take_hook());
    assert_eq!((reports, LOCK.is_poisoned()), (40, false));
    writeln!(io::stdout(), "over").unwrap();
}

#[test]
fn a_panic_hook_may_block_and_the_next_panic_does_not_abort() {
    let mut child = Process::start("child_blocks_in_its_panic_hook", &[]);
    child.line_with("over");
    assert!(child.wait(Duration::from_secs(2)).success());
}
