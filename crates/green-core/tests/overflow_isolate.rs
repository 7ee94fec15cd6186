//! `Overflow::Isolate`: one green thread stands for ever, everybody else goes on; or the process aborts.

#![expect(
    unsafe_code,
    reason = "asks for isolation, and calls a function of C at the end of a stack"
)]

#[path = "support/child.rs"]
mod child;
mod support;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use child::{child, is_child};
use generator::Gn;
use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::thread;
use green_core::{
    Builder, Config, Failure, Greenlet, Overflow, joinall, joinall_raise, killall, sleep, spawn,
    spawn_local, stats, yield_now,
};

const SIGABRT: i32 = 6;

fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if black_box(depth) == u64::MAX {
        0
    } else {
        deep(depth + 1) + black_box(&frame)[7]
    }
}

/// Starts the runtime on one hub.
fn isolate() {
    // SAFETY: what the tests of this file share they share by locks and queues.
    let config = unsafe { Config::new().overflow(Overflow::Isolate) };
    config.hubs(1).apply().expect("nothing runs yet");
}

/// Runs `name` as a child, which must end well and have reported `overflows` overflows.
fn survives(name: &str, overflows: usize) {
    let output = child(name);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}; {stderr}", output.status);
    assert_eq!(
        stderr.matches("suspended for ever").count(),
        overflows,
        "{stderr}"
    );
}

/// Runs `name` as a child, which must abort with a report.
fn aborts(name: &str) {
    let output = child(name);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{stderr}");
    assert!(
        stderr.contains("stack overflow in green thread"),
        "{stderr}"
    );
    assert!(!stderr.contains("suspended for ever"), "{stderr}");
}

fn overflowed<T: Clone>(greenlet: &Greenlet<T>) -> bool {
    matches!(greenlet.get(), Err(Failure::StackOverflow))
}

#[test]
fn everybody_else_goes_on() {
    if is_child("everybody_else_goes_on") {
        isolate();
        let requests = Arc::new(Queue::unbounded());
        let answers = Arc::new(Queue::unbounded());
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (requests, answers) = (Arc::clone(&requests), Arc::clone(&answers));
                spawn(move || {
                    while let Ok(n) = requests.get() {
                        answers.put(n * 2).expect("it is open");
                        yield_now();
                    }
                })
            })
            .collect();
        for round in 0..20_u64 {
            let deep = spawn(|| deep(0));
            let waiter = {
                let deep = deep.clone();
                spawn(move || overflowed(&deep))
            };
            requests.put(round).expect("it is open");
            assert_eq!(answers.get().expect("it is open"), round * 2);
            assert!(overflowed(&deep));
            assert!(waiter.get().expect("it ends well"));
            assert!(deep.ready() && !deep.successful());
        }
        requests.close();
        joinall(&workers);
        assert_eq!((stats().isolated, stats().live), (20, 0));
        return;
    }
    survives("everybody_else_goes_on", 20);
}

#[test]
fn it_can_be_joined_killed_and_raised() {
    if is_child("it_can_be_joined_killed_and_raised") {
        isolate();
        let all: Vec<_> = (0..8)
            .map(|n| {
                spawn(move || {
                    sleep(Duration::from_millis(n));
                    if n % 2 == 0 { deep(0) } else { n }
                })
            })
            .collect();
        assert!(matches!(joinall_raise(&all), Err(Failure::StackOverflow)));
        assert_eq!(joinall(&all).len(), 8);
        killall(&all);
        assert_eq!(all.iter().filter(|g| overflowed(g)).count(), 4);
        return;
    }
    survives("it_can_be_joined_killed_and_raised", 4);
}

#[test]
fn what_it_holds_stays_held() {
    if is_child("what_it_holds_stays_held") {
        isolate();
        let mutex = Arc::new(Mutex::new(7_u64));
        let shared = Arc::new(());
        let (theirs, kept) = (Arc::clone(&mutex), Arc::clone(&shared));
        let holder = spawn(move || {
            let _kept = kept;
            let guard = theirs.lock().expect("not poisoned");
            deep(*guard)
        });
        assert!(overflowed(&holder));
        assert!(mutex.try_lock().is_err());
        let late = spawn(move || drop(mutex.lock()));
        assert!(!late.join_timeout(Duration::from_millis(20)));
        late.kill();
        assert_eq!(Arc::strong_count(&shared), 2);
        return;
    }
    survives("what_it_holds_stays_held", 1);
}

#[test]
fn with_a_time_limit_that_passes_later() {
    if is_child("with_a_time_limit_that_passes_later") {
        isolate();
        let limit = Duration::from_millis(50);
        let limited = spawn(move || {
            let body = || {
                // A wait with the deadline of the scope.
                sleep(Duration::from_millis(1));
                deep(0)
            };
            green_core::timeout(limit, body).ok()
        });
        assert!(overflowed(&limited));
        sleep(2 * limit);
        assert_eq!(stats().timers, 0);
        return;
    }
    survives("with_a_time_limit_that_passes_later", 1);
}

#[test]
fn beside_values_of_the_os_thread() {
    if is_child("beside_values_of_the_os_thread") {
        isolate();
        let kept = green_core::run(|| {
            let value = Rc::new(5);
            let theirs = Rc::clone(&value);
            let deep = spawn_local(move || deep(*theirs));
            let other = Rc::clone(&value);
            let other = spawn_local(move || *other);
            assert!(overflowed(&deep));
            assert_eq!(other.get().expect("it ends well"), 5);
            Rc::strong_count(&value)
        });
        assert_eq!(kept, 2);
        return;
    }
    survives("beside_values_of_the_os_thread", 1);
}

#[test]
fn below_a_generator_of_the_programs() {
    if is_child("below_a_generator_of_the_programs") {
        isolate();
        // The generator waits in the middle of the stack; its caller overflows.
        let holder = spawn(|| {
            let mut generator = Gn::<()>::new_scoped_local(|mut scope| {
                scope.yield_with(1_u64);
                2
            });
            let one = generator.resume().expect("it has yielded");
            deep(one)
        });
        assert!(overflowed(&holder));
        assert_eq!(spawn(|| 3).get().expect("it ends well"), 3);
        return;
    }
    survives("below_a_generator_of_the_programs", 1);
}

/// Recursion that does something at each level, with little on the stack but that.
fn deep_with(depth: u64, each: &dyn Fn(u64)) -> u64 {
    each(depth);
    if black_box(depth) == u64::MAX {
        return 0;
    }
    deep_with(depth + 1, each) ^ black_box(depth)
}

#[test]
fn between_operations_of_the_runtime() {
    if is_child("between_operations_of_the_runtime") {
        isolate();
        let queue = Arc::new(Queue::unbounded());
        let mutex = Arc::new(Mutex::new(0));
        let (items, locked) = (Arc::clone(&queue), Arc::clone(&mutex));
        let operations: [Box<dyn Fn(u64) + Send>; 6] = [
            Box::new(|_| drop(spawn(|| ()))),
            Box::new(move |n| items.put(n).expect("it is open")),
            Box::new(move |n| *locked.lock().expect("not poisoned") = n),
            Box::new(|_| yield_now()),
            Box::new(|n| {
                if n % 16 == 0 {
                    sleep(Duration::from_micros(1));
                }
            }),
            Box::new(|_| spawn(|| ()).kill_nowait()),
        ];
        let all: Vec<_> = operations
            .into_iter()
            .map(|each| spawn(move || deep_with(0, &*each)))
            .collect();
        assert_eq!(joinall(&all).len(), 6);
        assert!(all.iter().all(overflowed));
        // None of the runtime's own locks is held. That of the mutex may be: it was about to be given back.
        assert!(queue.get().is_ok());
        queue.put(1).expect("it is open");
        drop(mutex.try_lock());
        assert_eq!(spawn(|| 3).get().expect("it ends well"), 3);
        support::eventually("everybody else has ended", || stats().live == 0);
        return;
    }
    survives("between_operations_of_the_runtime", 6);
}

#[test]
fn while_the_closure_of_a_killed_one_is_dropped() {
    if is_child("while_the_closure_of_a_killed_one_is_dropped") {
        isolate();
        struct Deep;
        impl Drop for Deep {
            fn drop(&mut self) {
                black_box(deep(0));
            }
        }
        green_core::run(|| {
            let value = Deep;
            let killed = spawn(move || {
                let _value = &value;
            });
            killed.kill_nowait();
            let others: Vec<_> = (0..4)
                .map(|_| spawn(|| sleep(Duration::from_millis(5))))
                .collect();
            yield_now();
            assert!(matches!(killed.get(), Err(Failure::Killed)));
            assert_eq!(joinall(&others).len(), 4);
        });
        support::eventually("none is live", || stats().live == 0);
        assert_eq!(stats().isolated, 1);
        return;
    }
    survives("while_the_closure_of_a_killed_one_is_dropped", 1);
}

#[test]
fn the_owner_of_a_scope() {
    if is_child("the_owner_of_a_scope") {
        isolate();
        let written = Arc::new(Queue::unbounded());
        let theirs = Arc::clone(&written);
        let owner = spawn(move || {
            let mut frame = [0_u64; 64];
            thread::scope(|s| {
                for place in &mut frame {
                    let theirs = &theirs;
                    s.spawn(move || {
                        // The owner's frames are still there when it is frozen.
                        sleep(Duration::from_millis(5));
                        *place += 1;
                        theirs.put(*place).expect("it is open");
                    });
                }
                yield_now();
                deep(0)
            })
        });
        assert!(overflowed(&owner));
        for _ in 0..64 {
            assert_eq!(written.get().expect("it is open"), 1);
        }
        support::eventually("the others have ended", || stats().live == 0);
        return;
    }
    survives("the_owner_of_a_scope", 1);
}

#[test]
fn not_in_a_scope() {
    if is_child("not_in_a_scope") {
        isolate();
        green_core::run(|| {
            // What it borrows it may have lent on; its end is counted on.
            thread::scope(|s| s.spawn(|| deep(0)).join().map(drop).ok());
        });
        return;
    }
    aborts("not_in_a_scope");
}

#[test]
fn not_with_switch_hooks() {
    struct Hook;
    impl green_core::SwitchHook for Hook {
        fn park(&self) -> usize {
            0
        }
        fn resume(&self, _: usize) {}
    }
    if is_child("not_with_switch_hooks") {
        Config::new()
            .switch_hook(Hook)
            .apply()
            .expect("nothing runs yet");
        isolate();
        spawn(|| deep(0)).join();
        return;
    }
    aborts("not_with_switch_hooks");
}

#[test]
fn not_while_it_unwinds() {
    if is_child("not_while_it_unwinds") {
        isolate();
        struct Deep;
        impl Drop for Deep {
            fn drop(&mut self) {
                black_box(deep(0));
            }
        }
        spawn(|| {
            let _deep = Deep;
            panic!("unwinds");
        })
        .join();
        return;
    }
    aborts("not_while_it_unwinds");
}

#[test]
fn not_in_the_panic_hook() {
    if is_child("not_in_the_panic_hook") {
        isolate();
        std::panic::set_hook(Box::new(|_| _ = black_box(deep(0))));
        spawn(|| panic!("calls the hook")).join();
        return;
    }
    aborts("not_in_the_panic_hook");
}

#[test]
fn not_in_the_c_library() {
    if is_child("not_in_the_c_library") {
        isolate();
        /// Calls `f` with less than 2 KiB left of the stack.
        fn at_the_end(end: usize, f: fn()) {
            let frame = black_box([0_u8; 256]);
            if std::ptr::from_ref(&frame).addr() > end {
                at_the_end(end, f);
                black_box(&frame);
            } else {
                f();
            }
        }
        Builder::new()
            .name("formats")
            .spawn(|| {
                let top = 0_u8;
                // Frames of this test above it are on the same page.
                let bottom = (std::ptr::from_ref(&top).addr() & !4095) + 4096 - 256 * 1024;
                at_the_end(bottom + 3072, || {
                    let mut text = [0_u8; 8];
                    for _ in 0..64 {
                        // SAFETY: the format needs a double, and the buffer has the size that is passed. Of a number this
                        // large the digits need kilobytes on the stack.
                        unsafe {
                            libc::snprintf(text.as_mut_ptr().cast(), 8, c"%.400f".as_ptr(), 1e300)
                        };
                    }
                });
            })
            .expect("there is room")
            .join();
        return;
    }
    aborts("not_in_the_c_library");
}
