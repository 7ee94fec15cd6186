//! Scopes whose owner or green threads are killed, time out or panic: nothing borrowed outlives what it borrows from.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::thread::{self, Scope};
use green_core::{
    Config, Failure, Greenlet, getcurrent, mask_kill, no_park, run, sleep, spawn, timeout,
    yield_now,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);

/// Counts who is inside; leaving takes a while, as a destructor may.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        sleep(Duration::from_millis(1));
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number on the owner's stack, which must be zero when it goes; says so.
struct Frame<'a> {
    inside: AtomicUsize,
    gone: &'a AtomicBool,
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        assert_eq!(*self.inside.get_mut(), 0, "somebody borrows it still");
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// Green threads that would sleep for ever, and that borrow from the frame.
fn sleepers<'scope>(s: &'scope Scope<'scope, '_>, frame: &'scope Frame<'_>, ready: &'scope Event) {
    for _ in 0..4 {
        s.spawn(|| {
            let _inside = Inside::enter(&frame.inside);
            if frame.inside.load(Ordering::Relaxed) == 4 {
                ready.set();
            }
            sleep(LONG);
        });
    }
}

/// An owner whose green threads sleep; it goes on with `body` when they do.
fn owner(gone: &AtomicBool, ready: &Event, body: fn()) {
    let frame = Frame {
        inside: AtomicUsize::new(0),
        gone,
    };
    thread::scope(|s| {
        sleepers(s, &frame, ready);
        ready.wait();
        body();
    });
}

/// A killed owner that does `body` when the kill comes.
fn killed_owner(spawn: fn(Box<dyn FnOnce() + Send>) -> Greenlet<()>, body: fn()) {
    let shared = Arc::new((AtomicBool::new(false), Event::new()));
    let theirs = Arc::clone(&shared);
    let killed = spawn(Box::new(move || owner(&theirs.0, &theirs.1, body)));
    shared.1.wait();
    killed.kill();
    assert!(shared.0.load(Ordering::Relaxed));
    assert!(matches!(killed.into_result(), Err(Failure::Killed)));
}

#[test]
fn an_owner_killed_in_the_body() {
    killed_owner(|f| spawn(f), || sleep(LONG));
}

#[test]
fn an_owner_killed_in_the_last_wait() {
    killed_owner(|f| spawn(f), || ());
}

#[test]
fn a_killed_owner_on_may() {
    // SAFETY: the closure keeps nothing of an OS thread across a wait, and is shallow.
    let migrating = |f: Box<dyn FnOnce() + Send>| unsafe { green_core::may::spawn(f) };
    killed_owner(migrating, || sleep(LONG));
    killed_owner(migrating, || ());
}

#[test]
fn an_owner_killed_before_it_ran() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let never = spawn(|| thread::scope(|_| unreachable!("it was killed")));
        never.kill_nowait();
        assert!(matches!(never.into_result(), Err::<(), _>(Failure::Killed)));
    });
}

#[test]
fn an_owner_that_times_out() {
    let f = || {
        for body in [|| sleep(LONG), || ()] {
            let (gone, ready) = (AtomicBool::new(false), Event::new());
            let limited = timeout(4 * SHORT, || owner(&gone, &ready, body));
            assert!(limited.is_err());
            assert!(gone.load(Ordering::Relaxed));
        }
    };
    run(f);
    std::thread::spawn(f).join().unwrap();
}

#[test]
fn owners_of_every_kind() {
    let f = || {
        let mut numbers = [0; 20];
        thread::scope(|s| {
            for number in &mut numbers {
                s.spawn(|| {
                    yield_now();
                    *number += 1;
                });
            }
        });
        assert_eq!(numbers, [1; 20]);
    };
    run(f);
    std::thread::spawn(f).join().unwrap();
    // SAFETY: the closure keeps nothing of an OS thread across a wait, and is shallow.
    unsafe { may::coroutine::spawn(f) }.join().unwrap();
}

#[test]
fn a_kill_reaches_the_scopes_inside() {
    let shared = Arc::new((AtomicBool::new(false), Event::new(), AtomicBool::new(false)));
    let theirs = Arc::clone(&shared);
    let killed = spawn(move || {
        let frame = Frame {
            inside: AtomicUsize::new(0),
            gone: &theirs.2,
        };
        thread::scope(|s| {
            s.spawn(|| {
                let _inside = Inside::enter(&frame.inside);
                owner(&theirs.0, &theirs.1, || ());
            });
        });
    });
    shared.1.wait();
    killed.kill();
    assert!(shared.0.load(Ordering::Relaxed) && shared.2.load(Ordering::Relaxed));
}

#[test]
fn one_that_has_not_started_never_runs() {
    Config::new().hubs(1).apply().unwrap();
    let killed = spawn(|| {
        let dropped = AtomicUsize::new(0);
        struct Counts<'a>(&'a AtomicUsize);
        impl Drop for Counts<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let caught = catch_unwind(|| {
            thread::scope(|s| {
                for _ in 0..5 {
                    let counts = Counts(&dropped);
                    s.spawn(move || {
                        let _counts = counts;
                        unreachable!("the scope is killed before it starts");
                    });
                }
                getcurrent().unwrap().kill_nowait();
                yield_now();
            });
        });
        assert!(caught.is_err());
        dropped.load(Ordering::Relaxed)
    });
    assert_eq!(killed.into_result().unwrap(), 5);
}

#[test]
fn a_killed_scope_starts_none() {
    struct Spawns<'scope, 'env>(&'scope Scope<'scope, 'env>, &'env AtomicUsize);
    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            let count = self.1;
            let late = self.0.spawn(move || count.fetch_add(1, Ordering::Relaxed));
            let payload = late.join().unwrap_err();
            assert!(matches!(payload.downcast_ref(), Some(Failure::Killed)));
        }
    }
    let ready = Arc::new(Event::new());
    let theirs = Arc::clone(&ready);
    let killed = spawn(move || {
        let count = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|s| {
                s.spawn(|| {
                    let _spawns = Spawns(s, &count);
                    theirs.set();
                    sleep(LONG);
                });
            });
        }));
        (caught.is_err(), count.into_inner())
    });
    ready.wait();
    killed.kill_nowait();
    assert_eq!(killed.into_result().unwrap(), (true, 0));
}

#[test]
fn one_that_was_killed_has_not_panicked() {
    let dies = || {
        getcurrent().unwrap().kill_nowait();
        yield_now();
        unreachable!("it is killed here");
    };
    let value = run(move || {
        thread::scope(|s| {
            s.spawn(dies);
            let joined = s.spawn(dies);
            let payload = joined.join().unwrap_err();
            assert!(matches!(payload.downcast_ref(), Some(Failure::Killed)));
            7
        })
    });
    assert_eq!(value, 7);
}

#[test]
fn a_kill_that_is_caught_is_waited_for() {
    let ready = Arc::new(Event::new());
    let theirs = Arc::clone(&ready);
    let killed = spawn(move || {
        let done = AtomicBool::new(false);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|s| {
                s.spawn(|| {
                    assert!(
                        catch_unwind(AssertUnwindSafe(|| {
                            theirs.set();
                            sleep(LONG);
                        }))
                        .is_err()
                    );
                    sleep(SHORT);
                    done.store(true, Ordering::Relaxed);
                });
            });
        }));
        (caught.is_err(), done.into_inner())
    });
    ready.wait();
    killed.kill_nowait();
    assert_eq!(killed.into_result().unwrap(), (true, true));
}

#[test]
fn a_masked_scope_is_not_interrupted() {
    let events = Arc::new((Event::new(), Event::new()));
    let theirs = Arc::clone(&events);
    let killed = spawn(move || {
        let done = AtomicBool::new(false);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            mask_kill(|| {
                thread::scope(|s| {
                    s.spawn(|| {
                        theirs.0.set();
                        theirs.1.wait();
                        done.store(true, Ordering::Relaxed);
                    });
                });
                assert!(done.load(Ordering::Relaxed));
            });
        }));
        caught.is_err()
    });
    events.0.wait();
    killed.kill_nowait();
    events.1.set();
    assert!(killed.into_result().unwrap(), "delivered at the end");
}

#[test]
fn an_owner_that_panicked_and_is_killed_goes_on_with_its_panic() {
    let shared = Arc::new((AtomicBool::new(false), Event::new()));
    let theirs = Arc::clone(&shared);
    let both = spawn(move || {
        owner(&theirs.0, &theirs.1, || panic_any("the owner's"));
    });
    shared.1.wait();
    assert!(!both.join_timeout(SHORT), "a panic alone kills nobody");
    both.kill();
    assert!(shared.0.load(Ordering::Relaxed));
    let Err(Failure::Panicked(panic)) = both.into_result() else {
        panic!("it panicked");
    };
    assert_eq!(panic.message(), "the owner's");
}

#[test]
fn an_interrupt_that_gave_way_to_a_panic_is_delivered_later() {
    fn panics_in_a_scope(ready: &Event) -> &'static str {
        let gone = AtomicBool::new(false);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            owner(&gone, ready, || panic_any("the owner's"));
        }));
        let payload = caught.unwrap_err();
        payload.downcast_ref::<&str>().expect("the panic")
    }
    let ready = Arc::new(Event::new());
    let theirs = Arc::clone(&ready);
    let killed = spawn(move || {
        let text = panics_in_a_scope(&theirs);
        (
            text,
            catch_unwind(yield_now).is_err(),
            catch_unwind(yield_now).is_err(),
        )
    });
    ready.wait();
    killed.kill_nowait();
    assert_eq!(killed.into_result().unwrap(), ("the owner's", true, false));

    // Nothing waits before the panic: the limit is reached in the last wait.
    let panics = || {
        thread::scope(|s| {
            s.spawn(|| sleep(LONG));
            panic_any("the owner's")
        })
    };
    let limited = move || {
        timeout(4 * SHORT, || {
            assert!(catch_unwind(panics).unwrap_err().is::<&str>());
            sleep(LONG);
        })
    };
    assert!(run(limited).is_err());
    assert!(std::thread::spawn(limited).join().unwrap().is_err());

    let ready = Arc::new(Event::new());
    let theirs = Arc::clone(&ready);
    // SAFETY: the closure keeps nothing of an OS thread across a wait, and is shallow.
    let migrating = unsafe {
        green_core::may::spawn(move || {
            panics_in_a_scope(&theirs);
            catch_unwind(yield_now).is_err()
        })
    };
    ready.wait();
    migrating.kill_nowait();
    assert!(migrating.into_result().unwrap());
}

#[test]
fn in_a_destructor_while_it_unwinds_it_is_not_interrupted() {
    struct Scopes(Arc<Event>);
    impl Drop for Scopes {
        fn drop(&mut self) {
            let mut done = false;
            thread::scope(|s| {
                s.spawn(|| {
                    self.0.set();
                    sleep(SHORT);
                    done = true;
                });
            });
            assert!(done);
        }
    }
    let ready = Arc::new(Event::new());
    let theirs = Arc::clone(&ready);
    let unwinds = spawn(move || {
        let _scopes = Scopes(theirs);
        panic_any("expected");
    });
    ready.wait();
    unwinds.kill();
    assert!(matches!(
        unwinds.into_result(),
        Err::<(), _>(Failure::Panicked(_))
    ));
}

#[test]
#[expect(clippy::mem_forget, reason = "the point")]
fn a_leaked_handle_keeps_nobody() {
    let value = run(|| {
        thread::scope(|s| {
            std::mem::forget(s.spawn(|| vec![1]));
            std::mem::forget(s.spawn(|| panic!("nobody is told")));
            7
        })
    });
    assert_eq!(value, 7);
}

#[test]
fn a_result_whose_destructor_panics() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("expected");
        }
    }
    let caught = catch_unwind(|| {
        thread::scope(|s| {
            let (begun, go) = (Event::new(), Event::new());
            let (begun, go) = (&Arc::new(begun), &Arc::new(go));
            let (theirs, goes) = (Arc::clone(begun), Arc::clone(go));
            drop(s.spawn(move || {
                theirs.set();
                goes.wait();
                Panics
            }));
            begun.wait();
            go.set();
        });
    });
    assert_eq!(
        caught.unwrap_err().downcast_ref(),
        Some(&"a scoped thread panicked")
    );
}

#[test]
fn a_scope_in_no_park_panics_at_once() {
    run(|| {
        let caught =
            catch_unwind(|| no_park(|| thread::scope(|_| unreachable!("not even its body runs"))));
        assert!(caught.is_err());
    });
}

#[test]
fn borrows_end_with_the_scope_and_not_before() {
    // Each round, the buffer is used again at once: under a sanitizer, or by its contents, a late write would show.
    run(|| {
        let mut buffer = vec![0_u64; 64];
        for round in 1..200 {
            thread::scope(|s| {
                for (n, place) in buffer.iter_mut().enumerate() {
                    s.spawn(move || {
                        if n % 7 == 0 {
                            yield_now();
                        }
                        *place = round;
                    });
                }
            });
            assert!(buffer.iter().all(|&n| n == round));
            buffer.fill(0);
        }
    });
    support::eventually("all are gone", || green_core::stats().live == 0);
}

#[test]
fn no_room_is_an_error() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let size = size.and_then(|size| size.trim().strip_suffix(" kB"));
    let size: u64 = size.unwrap().trim().parse().unwrap();
    // Room for a few large stacks, after what the allocator reserves.
    let limit = Rlimit {
        current: Some(size * 1024 + 300 * 1024 * 1024),
        ..getrlimit(Resource::As)
    };
    setrlimit(Resource::As, limit).unwrap();
    Config::new().hubs(1).apply().unwrap();
    let (release, ended) = (Event::new(), AtomicUsize::new(0));
    let started = thread::scope(|s| {
        for started in 0..1000 {
            let large = thread::Builder::new().stack_size(16 * 1024 * 1024);
            let handle = large.spawn_scoped(s, || {
                release.wait();
                ended.fetch_add(1, Ordering::Relaxed);
            });
            if let Err(error) = handle {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                release.set();
                return started;
            }
            support::eventually("it has its stack", || {
                green_core::stats().carriers > started || green_core::stats().queued > 0
            });
        }
        panic!("no limit");
    });
    assert!(started > 0);
    assert_eq!(ended.into_inner() as u64, started);
}
