//! The limits that `docs/blocking-model.md` names, shown. Who makes one of these fail has lifted a
//! limit: the document is to say so.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::sync::Barrier;
use green_core::{Builder, Greenlet, getcurrent, joinall, no_park, sleep, timeout, yield_now};
use green_tests::{Process, eventually, role};
use rustix::process::Signal;

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_millis(60);

/// Runs `f` on hub 0.
fn first_hub<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}

#[test]
fn an_interrupt_poisons_the_locks_of_std() {
    let mutex = Arc::new(std::sync::Mutex::new(0));
    let (held, theirs) = (Arc::new(Event::new()), Arc::clone(&mutex));
    let is_held = Arc::clone(&held);
    let g = first_hub(move || {
        let _guard = theirs.lock().unwrap();
        is_held.set();
        sleep(Duration::MAX);
    });
    held.wait();
    g.kill();
    assert!(g.successful() && mutex.is_poisoned());
    mutex.clear_poison();
    let theirs = Arc::clone(&mutex);
    let g = first_hub(move || {
        timeout(SHORT, || {
            let _guard = theirs.lock().unwrap();
            sleep(Duration::MAX);
        })
        .is_err()
    });
    assert!(g.get().unwrap() && mutex.is_poisoned());
}

#[test]
fn child_holds_a_lock_of_std_across_a_park() {
    if role().is_none() {
        return;
    }
    let mutex = Arc::new(std::sync::Mutex::new(0));
    let theirs = Arc::clone(&mutex);
    let holder = first_hub(move || {
        let _guard = theirs.lock().unwrap();
        sleep(SHORT);
    });
    let rival = first_hub(move || drop(mutex.lock().unwrap()));
    writeln!(io::stdout(), "parked").unwrap();
    joinall([holder, rival]);
    writeln!(io::stdout(), "over").unwrap();
}

#[test]
fn a_lock_of_std_across_a_park_deadlocks_the_hub() {
    let mut child = Process::start("child_holds_a_lock_of_std_across_a_park", &[]);
    child.line_with("parked");
    thread::sleep(Duration::from_secs(1));
    child.signal(Signal::KILL);
    let status = child.wait(Duration::from_secs(1));
    assert!(!status.success(), "it has ended by itself");
}

/// How late a green thread is that sleeps for `SHORT` while a neighbour runs `block`.
fn lateness(block: impl FnOnce() + Send + 'static) -> Duration {
    let begun = Instant::now();
    let sleeper = first_hub(move || {
        sleep(SHORT);
        begun.elapsed()
    });
    let blocker = first_hub(move || {
        let here = thread::current().id();
        block();
        assert_eq!(thread::current().id(), here);
    });
    blocker.get().unwrap();
    sleeper.get().unwrap()
}

#[test]
fn what_the_runtime_cannot_see_blocks_the_hub_and_moves_nothing() {
    assert!(lateness(|| thread::sleep(LONG)) >= LONG);
    assert!(lateness(|| may::coroutine::sleep(LONG)) >= LONG);
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        thread::sleep(LONG);
        sender.send(()).unwrap();
    });
    assert!(lateness(move || receiver.recv().unwrap()) >= LONG / 2);
    let semaphore = Arc::new(may::sync::Semphore::new(0));
    let theirs = Arc::clone(&semaphore);
    thread::spawn(move || {
        thread::sleep(LONG);
        theirs.post();
    });
    assert!(lateness(move || semaphore.wait()) >= LONG / 2);
    let computes = || {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            std::hint::spin_loop();
        }
    };
    assert!(lateness(computes) >= LONG);
}

#[test]
fn a_kill_waits_for_what_the_runtime_cannot_see() {
    let running = Arc::new(Event::new());
    let theirs = Arc::clone(&running);
    let begun = Instant::now();
    let g = first_hub(move || {
        theirs.set();
        thread::sleep(LONG);
        yield_now();
    });
    running.wait();
    assert!(!g.kill_timeout(SHORT));
    g.join();
    assert!(begun.elapsed() >= LONG && g.get().is_err());
}

#[test]
fn a_lazy_thread_local_whose_initialiser_blocks_is_for_no_park_to_find() {
    thread_local! {
        static LAZY: u32 = {
            yield_now();
            7
        };
    }
    let g = first_hub(|| no_park(|| LAZY.with(|value| *value)));
    assert!(g.into_result().is_err());
    // Without a neighbour in it, it works.
    assert_eq!(first_hub(|| LAZY.with(|value| *value)).get().unwrap(), 7);
}

#[test]
fn a_panic_of_one_that_is_parked_unwinding_shows_in_the_neighbours() {
    let (inside, go) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let theirs = (Arc::clone(&inside), Arc::clone(&go));
    let first = first_hub(move || {
        struct Waits(Arc<Event>, Arc<Event>);
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.set();
                self.1.wait();
            }
        }
        let _waits = Waits(theirs.0, theirs.1);
        panic!("expected");
    });
    inside.wait();
    // std counts panics per OS thread.
    assert!(first_hub(thread::panicking).get().unwrap());
    go.set();
    first.join();
    assert!(!first_hub(thread::panicking).get().unwrap());
}

#[test]
fn one_that_never_blocks_cannot_be_killed() {
    let g = first_hub(|| {
        getcurrent().unwrap().kill_nowait();
        (0..1000).sum::<u32>()
    });
    assert_eq!(g.get().unwrap(), 499_500);
}

/// A value that says when it is dropped while somebody uses it.
struct Watched {
    users: Cell<usize>,
    dropped_while_used: Arc<AtomicUsize>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.users.get() != 0 {
            self.dropped_while_used.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How often std drops the value of a `thread_local!` whose initialiser blocks while a neighbour uses the value.
///
/// The neighbour's reference dangles then; it is not used after that here.
fn lazy_thread_local() -> usize {
    static DROPPED: std::sync::Mutex<Option<Arc<AtomicUsize>>> = std::sync::Mutex::new(None);
    static GO: Event = Event::new();
    static BOTH: Barrier = Barrier::new(2);
    thread_local! {
        static LAZY: Watched = {
            yield_now();
            Watched {
                users: Cell::new(0),
                dropped_while_used: Arc::clone(DROPPED.lock().unwrap().as_ref().unwrap()),
            }
        };
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    *DROPPED.lock().unwrap() = Some(Arc::clone(&dropped));
    let users: Vec<_> = (0..2)
        .map(|_| {
            first_hub(|| {
                BOTH.wait();
                LAZY.with(|value| {
                    value.users.set(value.users.get() + 1);
                    // The second one initialises the value again, which drops this one.
                    GO.wait();
                });
            })
        })
        .collect();
    sleep(SHORT);
    GO.set();
    joinall(users);
    dropped.load(Ordering::SeqCst)
}

/// Whether a green thread inside `ScopedKey::set` finds another one's value.
fn scoped_tls() -> usize {
    static BOTH: Barrier = Barrier::new(2);
    scoped_tls::scoped_thread_local!(static CURRENT: usize);
    let users: Vec<_> = (1..=2)
        .map(|n| {
            first_hub(move || {
                BOTH.wait();
                CURRENT.set(&n, || {
                    yield_now();
                    // Both values are alive until both are through: no reference dangles here.
                    let found = CURRENT.with(|found| *found);
                    yield_now();
                    usize::from(found != n)
                })
            })
        })
        .collect();
    users.into_iter().map(|g| g.into_result().unwrap()).sum()
}

/// Whether a green thread inside `slog_scope::scope` logs to another one's logger.
fn slog_scope() -> usize {
    struct Counts(Arc<AtomicUsize>);
    impl slog::Drain for Counts {
        type Ok = ();
        type Err = slog::Never;
        fn log(&self, _: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    static BOTH: Barrier = Barrier::new(2);
    let users: Vec<_> = (0..2)
        .map(|_| {
            first_hub(|| {
                BOTH.wait();
                let own = Arc::new(AtomicUsize::new(0));
                let logger = slog::Logger::root(Counts(Arc::clone(&own)), slog::o!());
                slog_scope::scope(&logger, || {
                    yield_now();
                    slog_scope::info!("whose?");
                    yield_now();
                });
                usize::from(own.load(Ordering::SeqCst) != 1)
            })
        })
        .collect();
    users.into_iter().map(|g| g.into_result().unwrap()).sum()
}

#[test]
fn child_breaks_the_assumption() {
    let Some(arguments) = role() else { return };
    let broken = match arguments[0].to_str() {
        Some("lazy") => lazy_thread_local(),
        Some("scoped") => scoped_tls(),
        Some("slog") => slog_scope(),
        _ => panic!("{arguments:?}"),
    };
    writeln!(io::stdout(), "broken {broken}").unwrap();
    // The destructors of what is broken are better not run.
    std::process::abort();
}

/// Runs the child on `what`, with or without the check.
fn broken(what: &str, check: &str) -> Process {
    // The child inherits it.
    Process::start_with(
        "child_breaks_the_assumption",
        &[what],
        &[("GREEN_CHECK_LIFO", check)],
    )
}

#[test]
fn code_that_relies_on_nested_frames_breaks() {
    for what in ["lazy", "scoped", "slog"] {
        let line = broken(what, "0").line_with("broken ");
        let (_, times) = line.split_once("broken ").unwrap();
        assert_ne!(times, "0", "{what}: a limit is lifted");
    }
}

#[test]
fn the_check_finds_code_that_relies_on_nested_frames() {
    for (what, named) in [
        ("lazy", "the initialiser of a thread_local!"),
        ("scoped", "scoped_tls::ScopedKey::set"),
        ("slog", "slog_scope::scope"),
    ] {
        let mut child = broken(what, "1");
        let status = child.wait(Duration::from_secs(20));
        assert_eq!(
            status.signal(),
            Some(Signal::ABORT.as_raw()),
            "{what}: {status}"
        );
        eventually("it says why", || {
            child.errors().contains("GREEN_CHECK_LIFO")
        });
        let errors = child.errors();
        assert!(errors.contains(named), "{what}: {errors}");
        assert!(
            errors.contains("known_limits.rs"),
            "the spawn site: {errors}"
        );
    }
}

#[test]
fn child_is_checked_and_harmless() {
    if role().is_none() {
        return;
    }
    // Initialised before anybody waits, and used across a wait: that is all right.
    thread_local! {
        static FINE: Cell<u32> = const { Cell::new(0) };
        static LAZY: Vec<u32> = vec![1, 2, 3];
    }
    let green: Vec<_> = (0..10)
        .map(|_| {
            first_hub(|| {
                LAZY.with(|list| {
                    FINE.set(FINE.get() + 1);
                    yield_now();
                    sleep(SHORT);
                    list.len()
                })
            })
        })
        .collect();
    let sum: usize = green.into_iter().map(|g| g.into_result().unwrap()).sum();
    writeln!(io::stdout(), "sum {sum}").unwrap();
}

#[test]
fn the_check_leaves_the_rest_alone() {
    let checked = [("GREEN_CHECK_LIFO", "1")];
    let mut child = Process::start_with("child_is_checked_and_harmless", &["x"], &checked);
    assert!(child.line_with("sum ").ends_with("sum 30"));
    assert!(child.wait(Duration::from_secs(20)).success());
}

#[test]
fn child_exits() {
    let Some(arguments) = role() else { return };
    struct Says(Cell<bool>);
    impl Drop for Says {
        fn drop(&mut self) {
            let used = if self.0.get() {
                "while it is used"
            } else {
                "at rest"
            };
            writeln!(io::stdout(), "destroyed {used}").unwrap();
        }
    }
    thread_local! {
        static VALUE: Says = const { Says(Cell::new(false)) };
    }
    let uses = first_hub(|| {
        VALUE.with(|value| {
            value.0.set(true);
            sleep(Duration::MAX);
        });
    });
    let exits = first_hub(move || {
        yield_now();
        if arguments[0] == "std" {
            std::process::exit(3);
        }
        green_core::process::exit(3);
    });
    joinall([uses, exits]);
}

#[test]
fn an_exit_of_std_destroys_what_neighbours_use() {
    let mut child = Process::start("child_exits", &["std"]);
    child.line_with("destroyed while it is used");
    assert_eq!(child.wait(Duration::from_secs(10)).code(), Some(3));
}

#[test]
fn an_exit_of_ours_does_not() {
    let mut child = Process::start("child_exits", &["ours"]);
    assert_eq!(child.wait(Duration::from_secs(10)).code(), Some(3));
    assert!(!child.rest().contains("destroyed"));
}
