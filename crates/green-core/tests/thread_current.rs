//! Who the caller is: green threads of every origin, OS threads and `may` coroutines.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

mod support;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use green_core::thread::{self, Thread, ThreadId};
use green_core::{Config, run, spawn, spawn_local, thread_local, yield_now};

#[test]
fn each_caller_has_one_number_for_itself() {
    let twice = || {
        let first = thread::current();
        green_core::sleep(Duration::from_millis(1));
        assert_eq!(first.id(), thread::current().id());
        first.id()
    };
    let mut ids = vec![twice()];
    let barrier = Arc::new(Barrier::new(4));
    let os_threads: Vec<_> = (0..4)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                twice()
            })
        })
        .collect();
    ids.extend(os_threads.into_iter().map(|one| one.join().unwrap()));
    for _ in 0..4 {
        let plain = spawn(twice);
        ids.push(plain.get().unwrap());
        let ours = thread::spawn(twice);
        let id = ours.thread().id();
        assert_eq!(ours.join().unwrap(), id);
        ids.push(id);
        // SAFETY: the closure keeps nothing of an OS thread across a wait, and is shallow.
        let coroutine = unsafe { may::coroutine::spawn(twice) };
        // SAFETY: as above.
        let migrating = unsafe { green_core::may::spawn(twice) };
        ids.push(coroutine.join().unwrap());
        ids.push(migrating.get().unwrap());
    }
    ids.push(run(move || spawn_local(twice).get().unwrap()));
    let different: HashSet<ThreadId> = ids.iter().copied().collect();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
}

#[test]
fn numbers_are_not_used_again() {
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        let handle = thread::spawn(|| ());
        assert!(seen.insert(handle.thread().id()));
        handle.join().unwrap();
    }
}

#[test]
fn a_number_is_that_of_the_greenlet() {
    let greenlet = spawn(thread::current);
    let id = format!("ThreadId({})", greenlet.id());
    assert_eq!(format!("{:?}", greenlet.get().unwrap().id()), id);
}

#[test]
fn names() {
    let name = |thread: Thread| thread.name().map(str::to_owned);
    let os = std::thread::Builder::new().name("an OS thread".into());
    let os = os.spawn(move || name(thread::current())).unwrap();
    assert_eq!(os.join().unwrap().as_deref(), Some("an OS thread"));
    assert_eq!(
        name(thread::current()).as_deref(),
        std::thread::current().name()
    );
    let green = green_core::Builder::new().name("green");
    let green = green.spawn(move || name(thread::current())).unwrap();
    assert_eq!(green.get().unwrap().as_deref(), Some("green"));
    assert_eq!(run(move || name(thread::current())), None);
    // SAFETY: the closure keeps nothing of an OS thread across a wait, and is shallow.
    let coroutine = unsafe { may::coroutine::spawn(move || name(thread::current())) };
    assert_eq!(coroutine.join().unwrap(), None);
}

#[test]
fn the_main_thread_is_main() {
    // A test is not run by the main thread: what std says of it must be passed on.
    let ours = std::thread::scope(|s| {
        let named = std::thread::Builder::new().name("main".into());
        named
            .spawn_scoped(s, || format!("{:?}", thread::current()))
            .unwrap()
            .join()
            .unwrap()
    });
    assert!(ours.contains("name: Some(\"main\")"), "{ours}");
}

#[test]
fn in_the_panic_hook_it_is_the_one_that_panics() {
    static SEEN: std::sync::OnceLock<ThreadId> = std::sync::OnceLock::new();
    run(|| ());
    std::panic::set_hook(Box::new(|_| {
        SEEN.get_or_init(|| thread::current().id());
    }));
    let panics = thread::spawn(|| panic!("expected"));
    let id = panics.thread().id();
    assert!(panics.join().is_err());
    assert_eq!(SEEN.get(), Some(&id));
}

#[test]
fn of_a_handle_that_outlives_its_thread() {
    let ended = thread::Builder::new()
        .name("ended".into())
        .spawn(|| ())
        .unwrap();
    let handle = ended.thread().clone();
    ended.join().unwrap();
    support::eventually("it is gone", || green_core::stats().live == 0);
    for _ in 0..3 {
        handle.unpark();
    }
    assert_eq!(handle.name(), Some("ended"));
    assert!(format!("{handle:?}").contains("\"ended\""));
}

#[test]
fn while_green_local_values_go() {
    struct Tells(std::sync::mpsc::Sender<Thread>);
    impl Drop for Tells {
        fn drop(&mut self) {
            thread::current().unpark();
            thread::park();
            self.0.send(thread::current()).unwrap();
        }
    }
    thread_local!(static TELLS: std::cell::RefCell<Option<Tells>> = const { std::cell::RefCell::new(None) });
    let (tx, rx) = std::sync::mpsc::channel();
    let os = {
        let tx = tx.clone();
        std::thread::spawn(move || {
            let id = thread::current().id();
            TELLS.set(Some(Tells(tx)));
            id
        })
    };
    assert_eq!(rx.recv().unwrap().id(), os.join().unwrap());
    let green = thread::spawn(move || TELLS.set(Some(Tells(tx))));
    let id = green.thread().id();
    green.join().unwrap();
    assert_eq!(rx.recv().unwrap().id(), id);
}

#[test]
fn joining_oneself_panics() {
    let own = Arc::new(green_core::queue::Queue::<thread::JoinHandle<()>>::unbounded());
    let theirs = Arc::clone(&own);
    let told = Arc::new(green_core::queue::Queue::unbounded());
    let tell = Arc::clone(&told);
    let handle = thread::spawn(move || {
        let own = theirs.get().unwrap();
        let joined = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| own.join()));
        let payload = joined.unwrap_err();
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        tell.put(text).unwrap();
    });
    own.put(handle).unwrap();
    assert_eq!(
        told.get().unwrap().as_deref(),
        Some("a green thread cannot join itself")
    );
}

#[test]
fn panicking_is_the_caller_s_own() {
    struct Parks;
    impl Drop for Parks {
        fn drop(&mut self) {
            assert!(thread::panicking());
            for _ in 0..10 {
                yield_now();
            }
            assert!(thread::panicking());
        }
    }
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let panics = spawn(|| {
            let _parks = Parks;
            panic!("expected");
        });
        let neighbour = spawn(|| (std::thread::panicking(), thread::panicking()));
        assert_eq!(neighbour.get().unwrap(), (true, false));
        panics.join();
    });
    assert!(!thread::panicking());
}

#[test]
fn a_builder_says_when_the_name_is_not_one() {
    let builder = thread::Builder::new().name("a\0b".into());
    let caught = std::panic::catch_unwind(|| builder.spawn(|| ()));
    let payload = caught.map(drop).unwrap_err();
    let text = payload.downcast_ref::<&str>().copied().unwrap();
    assert_eq!(text, "thread name may not contain interior null bytes");
    let tiny = thread::Builder::new().stack_size(1);
    assert_eq!(tiny.spawn(|| 1).unwrap().join().unwrap(), 1);
    let text = format!("{:?}", thread::Builder::new().name("x".into()));
    assert_eq!(text, "Builder { name: Some(\"x\"), stack_size: None }");
}

#[test]
fn an_absurd_stack_is_refused() {
    for size in [usize::MAX, (1 << 30) + 1] {
        let builder = || thread::Builder::new().stack_size(size);
        assert_eq!(
            builder().spawn(|| ()).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        thread::scope(|s| assert!(builder().spawn_scoped(s, || ()).is_err()));
    }
}

#[test]
fn a_join_tells_how_it_ended() {
    let me = Arc::new(green_core::event::Event::new());
    let theirs = Arc::clone(&me);
    let killed = thread::spawn(move || {
        green_core::getcurrent().unwrap().kill_nowait();
        theirs.set();
        yield_now();
        unreachable!("it is killed here");
    });
    me.wait();
    let payload = killed.join().unwrap_err();
    assert!(matches!(
        payload.downcast_ref(),
        Some(green_core::Failure::Killed)
    ));
}

#[test]
fn unchecked_threads_borrow() {
    let mut number = 1;
    let borrowed = &mut number;
    let builder = thread::Builder::new().name("unchecked".into());
    // SAFETY: joined below, before the borrow ends.
    let handle = unsafe { builder.spawn_unchecked(|| *borrowed += 1) }.unwrap();
    assert_eq!(handle.thread().name(), Some("unchecked"));
    handle.join().unwrap();
    assert_eq!(number, 2);
    // SAFETY: it borrows nothing.
    let panics = unsafe { thread::Builder::new().spawn_unchecked::<_, ()>(|| panic!("expected")) };
    let payload = panics.unwrap().join().unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"expected"));
}
