//! std's tests of `thread_local!`, on std's threads and on ours.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "std's types and OS threads are two of the ways to run"
)]
#![expect(clippy::unwrap_used, reason = "the helpers are part of the tests")]
#![expect(
    clippy::missing_const_for_thread_local,
    clippy::use_self,
    reason = "lazy values and circular types are what is tested"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

parity! {
    threads {
        /// Somebody waits for something to be dropped.
        #[derive(Clone, Default)]
        struct Signal(Arc<(Mutex<bool>, Condvar)>);

        impl Signal {
            fn notify(&self) {
                *self.0.0.lock().unwrap() = true;
                self.0.1.notify_one();
            }

            fn wait(&self) {
                let mut set = self.0.0.lock().unwrap();
                while !*set {
                    set = self.0.1.wait(set).unwrap();
                }
            }
        }

        struct NotifyOnDrop(Signal);

        impl Drop for NotifyOnDrop {
            fn drop(&mut self) {
                self.0.notify();
            }
        }

        type Key<T> = &'static thread::LocalKey<RefCell<Option<T>>>;

        /// The number of destructors of `circular` that have run.
        static HITS: AtomicUsize = AtomicUsize::new(0);

        struct S1(Key<S1>, Key<S2>);
        struct S2(Key<S1>, Key<S2>);

        impl Drop for S1 {
            fn drop(&mut self) {
                let hit = HITS.fetch_add(1, Ordering::Relaxed) + 1;
                if self.1.try_with(|_| ()).is_err() {
                    assert_eq!(hit, 3);
                } else if hit == 1 {
                    self.1.with(|s| *s.borrow_mut() = Some(S2(self.0, self.1)));
                } else {
                    assert_eq!(hit, 3);
                }
            }
        }

        impl Drop for S2 {
            fn drop(&mut self) {
                let hit = HITS.fetch_add(1, Ordering::Relaxed) + 1;
                assert!(self.0.try_with(|_| ()).is_ok());
                assert_eq!(hit, 2);
                self.0.with(|s| *s.borrow_mut() = Some(S1(self.0, self.1)));
            }
        }

        /// Its value puts another one in place when it goes.
        struct Defers(Signal, Key<NotifyOnDrop>);

        impl Drop for Defers {
            fn drop(&mut self) {
                let signal = self.0.clone();
                self.1.try_with(|s| *s.borrow_mut() = Some(NotifyOnDrop(signal))).ok();
            }
        }

        /// The states of `join_orders_after_tls_destructors`.
        const FRESH: u8 = 0;
        const SECOND_LAUNCHED: u8 = 1;
        const FIRST_WAITING: u8 = 2;
        const RENDEZVOUS: u8 = 3;
        const SECOND_JOINED: u8 = 4;
        static STATE: AtomicU8 = AtomicU8::new(FRESH);

        /// Waits for the rendezvous while the first thread's values go.
        struct Waits;

        impl Drop for Waits {
            fn drop(&mut self) {
                let mut state = STATE.swap(FIRST_WAITING, Ordering::Relaxed);
                loop {
                    match state {
                        SECOND_LAUNCHED | FIRST_WAITING => thread::yield_now(),
                        RENDEZVOUS => break,
                        SECOND_JOINED => panic!("it was joined while it runs"),
                        state => unreachable!("{state}"),
                    }
                    state = STATE.load(Ordering::Relaxed);
                }
            }
        }
    }

    fn smoke_no_dtor() {
        fn run(key: &'static thread::LocalKey<Cell<i32>>) {
            key.with(|cell| {
                assert_eq!(cell.get(), 1);
                cell.set(2);
            });
            thread::spawn(move || key.with(|cell| assert_eq!(cell.get(), 1))).join().unwrap();
            key.with(|cell| assert_eq!(cell.get(), 2));
        }
        thread_local!(static LAZY: Cell<i32> = Cell::new(1));
        thread_local!(static CONST: Cell<i32> = const { Cell::new(1) });
        run(&LAZY);
        run(&CONST);
    }

    fn states() {
        struct Own(&'static thread::LocalKey<Own>);
        impl Drop for Own {
            fn drop(&mut self) {
                assert!(self.0.try_with(|_| ()).is_err());
            }
        }
        fn run(key: &'static thread::LocalKey<Own>) {
            thread::spawn(|| assert!(key.try_with(|_| ()).is_ok())).join().unwrap();
        }
        thread_local!(static LAZY: Own = Own(&LAZY));
        thread_local!(static CONST: Own = const { Own(&CONST) });
        run(&LAZY);
        run(&CONST);
    }

    fn smoke_dtor() {
        fn run(key: Key<NotifyOnDrop>) {
            let signal = Signal::default();
            let theirs = signal.clone();
            let thread = thread::spawn(move || {
                key.with(|value| *value.borrow_mut() = Some(NotifyOnDrop(theirs)));
            });
            signal.wait();
            thread.join().unwrap();
        }
        thread_local!(static LAZY: RefCell<Option<NotifyOnDrop>> = RefCell::new(None));
        thread_local!(static CONST: RefCell<Option<NotifyOnDrop>> = const { RefCell::new(None) });
        run(&LAZY);
        run(&CONST);
    }

    fn circular() {
        thread_local!(static K1: RefCell<Option<S1>> = RefCell::new(None));
        thread_local!(static K2: RefCell<Option<S2>> = RefCell::new(None));
        thread_local!(static K3: RefCell<Option<S1>> = const { RefCell::new(None) });
        thread_local!(static K4: RefCell<Option<S2>> = const { RefCell::new(None) });
        thread::spawn(|| drop(S1(&K1, &K2))).join().unwrap();
        HITS.store(0, Ordering::Relaxed);
        thread::spawn(|| drop(S1(&K3, &K4))).join().unwrap();
    }

    fn self_referential() {
        struct Own(Key<Own>);
        impl Drop for Own {
            fn drop(&mut self) {
                assert!(self.0.try_with(|_| ()).is_err());
            }
        }
        fn run(key: Key<Own>) {
            let fill = move || key.with(|value| *value.borrow_mut() = Some(Own(key)));
            thread::spawn(fill).join().unwrap();
        }
        thread_local!(static LAZY: RefCell<Option<Own>> = RefCell::new(None));
        thread_local!(static CONST: RefCell<Option<Own>> = const { RefCell::new(None) });
        run(&LAZY);
        run(&CONST);
    }

    fn dtors_in_dtors_in_dtors() {
        thread_local!(static K1: RefCell<Option<Defers>> = RefCell::new(None));
        thread_local!(static K2: RefCell<Option<NotifyOnDrop>> = RefCell::new(None));
        let signal = Signal::default();
        let theirs = signal.clone();
        let _thread = thread::spawn(move || {
            K1.with(|value| *value.borrow_mut() = Some(Defers(theirs, &K2)));
        });
        signal.wait();
    }

    fn dtors_in_dtors_in_dtors_const_init() {
        thread_local!(static K1: RefCell<Option<Defers>> = const { RefCell::new(None) });
        thread_local!(static K2: RefCell<Option<NotifyOnDrop>> = const { RefCell::new(None) });
        let signal = Signal::default();
        let theirs = signal.clone();
        let _thread = thread::spawn(move || {
            K1.with(|value| *value.borrow_mut() = Some(Defers(theirs, &K2)));
        });
        signal.wait();
    }

    fn join_orders_after_tls_destructors() {
        thread_local!(static WAITS: Waits = Waits);
        for _ in 0..10 {
            STATE.store(FRESH, Ordering::Relaxed);
            let first = thread::Builder::new().name("thread1".into()).spawn(|| {
                WAITS.with(|_| ());
                loop {
                    match STATE.load(Ordering::Relaxed) {
                        FRESH => thread::yield_now(),
                        SECOND_LAUNCHED => break,
                        state => unreachable!("{state}"),
                    }
                }
            });
            let first = first.unwrap();
            let second = thread::Builder::new().name("thread2".into()).spawn(move || {
                assert_eq!(STATE.swap(SECOND_LAUNCHED, Ordering::Relaxed), FRESH);
                first.join().unwrap();
                match STATE.swap(SECOND_JOINED, Ordering::Relaxed) {
                    RENDEZVOUS => (),
                    SECOND_LAUNCHED | FIRST_WAITING => panic!("joined before the rendezvous"),
                    state => unreachable!("{state}"),
                }
            });
            while let Err(state) = STATE.compare_exchange(
                FIRST_WAITING,
                RENDEZVOUS,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                match state {
                    FRESH | SECOND_LAUNCHED => thread::yield_now(),
                    SECOND_JOINED => panic!("joined before the rendezvous"),
                    state => unreachable!("{state}"),
                }
            }
            second.unwrap().join().unwrap();
        }
    }

    fn thread_current_in_dtor() {
        struct Defer;
        impl Drop for Defer {
            fn drop(&mut self) {
                RETRIEVE.with(|_| ());
            }
        }
        struct RetrieveName;
        impl Drop for RetrieveName {
            fn drop(&mut self) {
                *NAME.lock().unwrap() = thread::current().name().map(str::to_owned);
            }
        }
        static NAME: Mutex<Option<String>> = Mutex::new(None);
        thread_local! {
            static DEFER: Defer = const { Defer };
            static RETRIEVE: RetrieveName = const { RetrieveName };
        }
        let named = thread::Builder::new().name("test".to_owned());
        named.spawn(|| DEFER.with(|_| ())).unwrap().join().unwrap();
        assert_eq!(NAME.lock().unwrap().as_deref(), Some("test"));
    }

    fn smoke() {
        fn square(i: i32) -> i32 {
            i * i
        }
        thread_local!(static SQUARE: i32 = square(3));
        SQUARE.with(|square| assert_eq!(*square, 9));
    }

    fn hashmap() {
        fn map() -> RefCell<HashMap<i32, i32>> {
            RefCell::new(HashMap::from([(1, 2)]))
        }
        thread_local!(static MAP: RefCell<HashMap<i32, i32>> = map());
        MAP.with(|map| assert_eq!(map.borrow()[&1], 2));
    }

    fn refcell_vec() {
        thread_local!(static LIST: RefCell<Vec<u32>> = RefCell::new(vec![1, 2, 3]));
        LIST.with(|list| {
            assert_eq!(list.borrow().len(), 3);
            list.borrow_mut().push(4);
            assert_eq!(list.borrow()[3], 4);
        });
    }

    // Not std's tests: what its documentation promises.

    fn set_does_not_run_the_initialiser() {
        thread_local! {
            static CELL: Cell<u32> = panic!("the cell's initialiser");
            static REFCELL: RefCell<String> = panic!("the refcell's initialiser")
        }
        CELL.set(7);
        REFCELL.set("seven".to_owned());
        assert_eq!(CELL.get(), 7);
        CELL.set(8);
        REFCELL.set("eight".to_owned());
        assert_eq!((CELL.replace(9), CELL.take(), CELL.get()), (8, 9, 0));
        REFCELL.with_borrow_mut(|text| text.push('!'));
        assert_eq!(REFCELL.with_borrow(String::clone), "eight!");
        assert_eq!(REFCELL.replace("nine".to_owned()), "eight!");
        assert_eq!((REFCELL.take().as_str(), REFCELL.take().as_str()), ("nine", ""));
    }

    fn the_syntax_of_declarations() {
        thread_local! {}
        mod inner {
            use super::thread_local;
            thread_local! {
                /// With attributes and a visibility.
                #[doc(hidden)]
                pub(super) static HIDDEN: u32 = 1;
                pub static LAZY: Vec<u32> = { let one = 1; vec![one + 1] };
                pub(super) static CONST: [u32; 2] = const { [3; 2] };
                pub(super) static LAST: u32 = 4
            }
            thread_local!(pub static ONE: &'static str = "one");
            thread_local!(pub static TWO: &'static str = const { "two" });
        }
        inner::HIDDEN.with(|hidden| assert_eq!(*hidden, 1));
        inner::LAZY.with(|list| assert_eq!(*list, [2]));
        inner::CONST.with(|pair| assert_eq!(*pair, [3; 2]));
        inner::LAST.with(|last| assert_eq!(*last, 4));
        inner::ONE.with(|one| inner::TWO.with(|two| assert_eq!(format!("{one}{two}"), "onetwo")));
        assert_eq!(inner::LAZY.with::<_, usize>(|list| list.len()), 1);
        assert_eq!(format!("{:?}", inner::LAZY), "LocalKey { .. }");
    }

    fn the_error_of_access() {
        struct Tells;
        impl Drop for Tells {
            fn drop(&mut self) {
                let error = KEY.try_with(|_| ()).unwrap_err();
                *ERROR.lock().unwrap() = format!("{error} {error:?}");
            }
        }
        static ERROR: Mutex<String> = Mutex::new(String::new());
        thread_local!(static KEY: Tells = const { Tells });
        thread::spawn(|| KEY.with(|_| ())).join().unwrap();
        assert_eq!(*ERROR.lock().unwrap(), "already destroyed AccessError");
    }
}
