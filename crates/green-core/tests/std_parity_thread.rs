//! std's tests of `thread`, on std's threads and on ours.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "std's types and OS threads are two of the ways to run"
)]
#![expect(clippy::unwrap_used, reason = "the helpers are part of the tests")]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::panic_any;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

parity! {
    threads {
        /// What std's tests use a channel for.
        struct Channel<T>(Arc<(Mutex<VecDeque<T>>, Condvar)>);

        impl<T> Channel<T> {
            fn new() -> Self {
                Self(Arc::new((Mutex::new(VecDeque::new()), Condvar::new())))
            }

            fn send(&self, item: T) {
                self.0.0.lock().unwrap().push_back(item);
                self.0.1.notify_one();
            }

            fn recv(&self) -> T {
                let mut items = self.0.0.lock().unwrap();
                loop {
                    if let Some(item) = items.pop_front() {
                        return item;
                    }
                    items = self.0.1.wait(items).unwrap();
                }
            }
        }

        impl<T> Clone for Channel<T> {
            fn clone(&self) -> Self {
                Self(Arc::clone(&self.0))
            }
        }

        /// The closure that `spawn` gets is the one that runs, at the same address.
        fn avoid_copying_the_body(spawn: impl FnOnce(Box<dyn Fn() + Send>)) {
            let channel = Channel::new();
            let boxed = Box::new(1);
            let address = |boxed: &i32| std::ptr::from_ref(boxed).addr();
            let here = address(&boxed);
            let theirs = channel.clone();
            spawn(Box::new(move || theirs.send(address(&boxed))));
            assert_eq!(channel.recv(), here);
        }
    }

    fn test_unnamed_thread() {
        let name = thread::spawn(|| thread::current().name().map(str::to_owned));
        assert!(name.join().expect("it does not panic").is_none());
    }

    fn test_named_thread() {
        let check = || assert_eq!(thread::current().name(), Some("ada lovelace"));
        let builder = thread::Builder::new().name("ada lovelace".to_string());
        builder.spawn(check).unwrap().join().unwrap();
    }

    fn test_named_thread_truncation() {
        let long = std::iter::once("test_named_thread_truncation")
            .chain(std::iter::repeat_n(" yada", 100))
            .collect::<String>();
        let named = thread::Builder::new().name(long.clone());
        let named = named.spawn(move || assert_eq!(thread::current().name(), Some(&*long)));
        named.unwrap().join().unwrap();
    }

    #[should_panic]
    fn test_invalid_named_thread() {
        drop(thread::Builder::new().name("ada l\0velace".to_string()).spawn(|| ()));
    }

    fn test_run_basic() {
        let channel = Channel::new();
        let theirs = channel.clone();
        thread::spawn(move || theirs.send(()));
        channel.recv();
    }

    fn test_is_finished() {
        let channel = Channel::new();
        let theirs = channel.clone();
        let waits = thread::spawn(move || {
            theirs.recv();
            1234
        });
        assert!(!waits.is_finished());
        channel.send(());
        let begun = Instant::now();
        while !waits.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(2));
            thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        assert_eq!(waits.join().unwrap(), 1234);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    fn test_join_panic() {
        assert!(thread::spawn(|| panic!()).join().is_err());
    }

    fn test_spawn_sched() {
        fn generation(left: u32, channel: &Channel<()>) {
            let channel = channel.clone();
            thread::spawn(move || match left {
                0 => channel.send(()),
                _ => generation(left - 1, &channel),
            });
        }
        let channel = Channel::new();
        generation(10, &channel);
        channel.recv();
    }

    fn test_spawn_sched_childs_on_default_sched() {
        let channel = Channel::new();
        let theirs = channel.clone();
        thread::spawn(move || {
            thread::spawn(move || theirs.send(()));
        });
        channel.recv();
    }

    fn test_avoid_copying_the_body_spawn() {
        avoid_copying_the_body(|body| {
            thread::spawn(move || {
                body();
            });
        });
    }

    fn test_avoid_copying_the_body_thread_spawn() {
        avoid_copying_the_body(|body| {
            thread::spawn(body);
        });
    }

    fn test_avoid_copying_the_body_join() {
        avoid_copying_the_body(|body| drop(thread::spawn(body).join()));
    }

    fn test_child_doesnt_ref_parent() {
        const GENERATIONS: u32 = 16;
        fn child(generation: u32) {
            if generation < GENERATIONS {
                thread::spawn(move || child(generation + 1));
            }
        }
        thread::spawn(|| child(0));
    }

    fn test_simple_newsched_spawn() {
        thread::spawn(|| ());
    }

    fn test_try_panic_message_string_literal() {
        let payload = thread::spawn(|| panic!("static string")).join().unwrap_err();
        assert!(payload.is::<&'static str>());
        assert_eq!(*payload.downcast::<&'static str>().unwrap(), "static string");
    }

    fn test_try_panic_any_message_owned_str() {
        let panics = thread::spawn(|| panic_any("owned string".to_string()));
        let payload = panics.join().unwrap_err();
        assert!(payload.is::<String>());
        assert_eq!(*payload.downcast::<String>().unwrap(), "owned string");
    }

    fn test_try_panic_any_message_any() {
        type Inner = Box<dyn Any + Send>;
        let panics = thread::spawn(|| panic_any(Box::new(413_u16) as Inner));
        let payload = panics.join().unwrap_err();
        assert!(payload.is::<Inner>());
        let inner = payload.downcast::<Inner>().unwrap();
        assert_eq!(inner.downcast_ref::<u16>(), Some(&413));
    }

    fn test_try_panic_any_message_unit_struct() {
        struct Juju;
        let panics = thread::spawn(|| panic_any(Juju));
        assert!(panics.join().unwrap_err().is::<Juju>());
    }

    fn test_park_unpark_before() {
        for _ in 0..10 {
            thread::current().unpark();
            thread::park();
        }
    }

    fn test_park_unpark_called_other_thread() {
        for _ in 0..10 {
            let own = thread::current();
            let _other = thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                own.unpark();
            });
            thread::park();
        }
    }

    fn test_park_timeout_unpark_before() {
        for _ in 0..10 {
            thread::current().unpark();
            thread::park_timeout(Duration::from_millis(u64::from(u32::MAX)));
        }
    }

    fn test_park_timeout_unpark_not_called() {
        for _ in 0..10 {
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn test_park_timeout_unpark_called_other_thread() {
        for _ in 0..10 {
            let own = thread::current();
            let _other = thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                own.unpark();
            });
            thread::park_timeout(Duration::from_millis(u64::from(u32::MAX)));
        }
    }

    fn sleep_ms_smoke() {
        thread::sleep(Duration::from_millis(2));
    }

    fn test_size_of_option_thread_id() {
        assert_eq!(size_of::<Option<thread::ThreadId>>(), size_of::<thread::ThreadId>());
    }

    fn test_thread_id_equal() {
        assert!(thread::current().id() == thread::current().id());
    }

    fn test_thread_id_not_equal() {
        let theirs = thread::spawn(|| thread::current().id()).join().unwrap();
        assert!(thread::current().id() != theirs);
    }

    fn test_scoped_threads_drop_result_before_join() {
        struct X<'scope, 'env>(&'scope thread::Scope<'scope, 'env>, &'env AtomicBool);
        impl Drop for X<'_, '_> {
            fn drop(&mut self) {
                thread::sleep(Duration::from_millis(5));
                let finished = self.1;
                self.0.spawn(move || {
                    thread::sleep(Duration::from_millis(5));
                    finished.store(true, Ordering::Relaxed);
                });
            }
        }
        let finished = &AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(move || {
                thread::sleep(Duration::from_millis(5));
                X(s, finished)
            });
        });
        assert!(finished.load(Ordering::Relaxed));
    }

    fn test_scoped_threads_nll() {
        fn borrows(x: &u8) {
            thread::scope(|s| {
                // By a pattern that does not use it, the closure does not even borrow it.
                s.spawn(|| {
                    let _ = x;
                });
            });
        }
        let x = 42_u8;
        borrows(&x);
    }

    fn scope_join_race() {
        for _ in 0..100 {
            let flag = AtomicBool::new(false);
            thread::scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| flag.load(Ordering::Relaxed));
                }
            });
        }
    }

    fn sleep_very_long() {
        let finished = Arc::new(Mutex::new(false));
        let theirs = Arc::clone(&finished);
        thread::spawn(move || {
            thread::sleep(Duration::new(u64::MAX, 0));
            *theirs.lock().unwrap() = true;
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!*finished.lock().unwrap());
    }

    fn thread_local_containing_const_statements() {
        thread_local! {
            static CELL: Cell<u32> = const {
                let value = 1;
                Cell::new(value)
            };

            static REFCELL: RefCell<u32> = const {
                let value = 1;
                RefCell::new(value)
            };
        }
        assert_eq!(CELL.get(), 1);
        assert_eq!(REFCELL.take(), 1);
    }

    fn thread_local_hygeiene() {
        type LocalKey = u8;
        type Storage = u8;
        type Locals = u8;
        #[expect(non_camel_case_types, reason = "a name that a careless macro would use")]
        type usize = u8;
        thread_local! {
            static A: LocalKey = const { 1 };
            static B: Storage = const { 1 };
            static C: Locals = const { 1 };
            static D: usize = const { 1 };
        }
        A.with(|_| B.with(|_| C.with(|_| D.with(|_| ()))));
    }

    fn available_parallelism() {
        assert!(thread::available_parallelism().is_ok());
    }

    // Not std's: what its documentation promises.

    fn panics_of_a_scope() {
        let caught = std::panic::catch_unwind(|| {
            thread::scope(|s| {
                s.spawn(|| panic!("not asked about"));
            });
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"a scoped thread panicked"));
        let payload = thread::scope(|s| s.spawn(|| panic!("asked about")).join()).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"asked about"));
        let ended = AtomicUsize::new(0);
        let caught = std::panic::catch_unwind(|| {
            thread::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        thread::sleep(Duration::from_millis(5));
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                }
                panic!("the owner's");
            });
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"the owner's"));
        assert_eq!(ended.load(Ordering::Relaxed), 3);
    }

    fn scopes_nest() {
        let total = AtomicUsize::new(0);
        thread::scope(|outer| {
            for n in 0..4 {
                let total = &total;
                outer.spawn(move || {
                    thread::scope(|inner| {
                        for _ in 0..n {
                            inner.spawn(|| total.fetch_add(1, Ordering::Relaxed));
                        }
                    });
                    outer.spawn(move || total.fetch_add(100, Ordering::Relaxed));
                });
            }
        });
        assert_eq!(total.into_inner(), 406);
    }

    fn scoped_by_a_builder() {
        let mut number = 1;
        let named = thread::scope(|s| {
            let named = thread::Builder::new().name("scoped".into()).stack_size(64 * 1024);
            let handle = named.spawn_scoped(s, || {
                number += 1;
                thread::current().id()
            });
            let handle = handle.unwrap();
            let (id, name) = (handle.thread().id(), handle.thread().name().map(str::to_owned));
            assert_eq!(handle.join().unwrap(), id);
            name
        });
        assert_eq!((named.as_deref(), number), (Some("scoped"), 2));
    }

    fn the_forms_of_debug() {
        let s = thread::scope(|s| format!("{s:?}"));
        assert!(s.starts_with("Scope { num_running_threads: 0, a_thread_panicked: false, main_thread: Thread { id: "));
        assert!(s.ends_with(", .. }, .. }"));
        let handle = thread::Builder::new().name("x".into()).spawn(|| ()).unwrap();
        assert_eq!(format!("{handle:?}"), "JoinHandle { .. }");
        let thread = format!("{:?}", handle.thread());
        let id = format!("{:?}", handle.thread().id());
        assert_eq!(thread, format!("Thread {{ id: {id}, name: Some(\"x\"), .. }}"));
        let digits = id.strip_prefix("ThreadId(").and_then(|id| id.strip_suffix(')')).unwrap();
        assert!(digits.parse::<u64>().is_ok());
        thread::scope(|s| {
            let scoped = s.spawn(|| ());
            assert_eq!(format!("{scoped:?}"), "ScopedJoinHandle { .. }");
        });
        handle.join().unwrap();
    }
}
