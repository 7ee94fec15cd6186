//! Killing: gevent's rules.

mod support;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::{
    Config, Failure, getcurrent, killall, killall_timeout, mask_kill, run, sleep, spawn,
    spawn_later, stats, timeout, yield_now,
};

/// Runs `f` in a green thread of the only hub, where a yield lets everyone else park.
fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Config::new().hubs(1).apply().ok();
    run(f)
}

fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let counter = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&counter), counter)
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn killed_before_its_start_it_never_runs_and_has_ended_at_once() {
    alone(|| {
        let (runs, theirs) = counter();
        let g = spawn(move || theirs.fetch_add(1, Ordering::Relaxed));
        g.kill_nowait();
        assert!(g.ready() && g.successful());
        assert!(matches!(g.get(), Err(Failure::Killed)));
        yield_now();
        yield_now();
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        assert_eq!(Arc::strong_count(&runs), 1, "its closure was dropped");
    });
}

#[test]
fn a_spawn_later_killed_before_its_time_never_runs_and_leaves_nothing() {
    let (runs, theirs) = counter();
    let g = spawn_later(Duration::from_secs(600), move || {
        theirs.fetch_add(1, Ordering::Relaxed)
    });
    g.kill();
    assert!(g.ready() && g.successful());
    support::eventually("its closure is dropped", || Arc::strong_count(&runs) == 1);
    support::eventually("it is off the books", || stats().live == 0);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[test]
fn a_kill_can_be_caught_once_each_and_the_body_may_succeed() {
    alone(|| {
        let g = spawn(|| {
            let caught = catch_unwind(|| sleep(Duration::MAX)).is_err();
            // The kill has been delivered: this is an ordinary wait.
            yield_now();
            sleep(Duration::from_millis(1));
            caught
        });
        yield_now();
        g.kill();
        assert!(g.successful());
        assert!(g.get().unwrap());
    });
}

#[test]
fn each_kill_is_delivered() {
    alone(|| {
        let (caught, theirs) = counter();
        let g = spawn(move || {
            for _ in 0..3 {
                catch_unwind(|| sleep(Duration::MAX)).unwrap_err();
                theirs.fetch_add(1, Ordering::Relaxed);
            }
        });
        yield_now();
        for n in 1..=3 {
            assert!(!g.ready());
            g.kill_nowait();
            yield_now();
            assert_eq!(caught.load(Ordering::Relaxed), n);
        }
        g.join();
        assert!(g.get().is_ok());
    });
}

#[test]
fn destructors_may_block_while_it_dies() {
    alone(|| {
        let go_on = Arc::new(Event::new());
        let (cleaned, theirs) = counter();
        let their_go_on = Arc::clone(&go_on);
        let g = spawn(move || {
            let _cleanup = OnDrop(|| {
                their_go_on.wait();
                sleep(Duration::from_millis(1));
                yield_now();
                spawn(|| ()).join();
                theirs.fetch_add(1, Ordering::Relaxed);
            });
            sleep(Duration::MAX);
        });
        yield_now();
        assert!(
            !g.kill_timeout(Duration::from_millis(2)),
            "its destructor waits"
        );
        assert_eq!(cleaned.load(Ordering::Relaxed), 0);
        go_on.set();
        g.join();
        assert_eq!(cleaned.load(Ordering::Relaxed), 1);
        assert!(matches!(g.get(), Err(Failure::Killed)));
    });
}

#[test]
fn a_second_kill_does_not_disturb_the_destructors() {
    alone(|| {
        let (cleaned, theirs) = counter();
        let g = spawn(move || {
            let _cleanup = OnDrop(|| {
                sleep(Duration::from_millis(5));
                theirs.fetch_add(1, Ordering::Relaxed);
            });
            sleep(Duration::MAX);
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        g.kill_nowait();
        yield_now();
        g.kill();
        assert_eq!(cleaned.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn neighbours_of_one_that_dies_slowly_can_be_killed_and_timed_out() {
    // Cause: while a neighbour was parked in a destructor, waits were opened with interrupts deferred.
    alone(|| {
        let never = Arc::new(Event::new());
        let go_on = Arc::new(Event::new());
        let theirs = Arc::clone(&go_on);
        let dying = spawn(move || {
            let _cleanup = OnDrop(|| theirs.wait());
            sleep(Duration::MAX);
        });
        yield_now();
        dying.kill_nowait();
        yield_now();
        // `dying` is parked in its destructor now.
        let theirs = Arc::clone(&never);
        let limited = spawn(move || timeout(Duration::from_millis(5), || theirs.wait()).is_err());
        let theirs = Arc::clone(&never);
        let victim = spawn(move || theirs.wait());
        yield_now();
        victim.kill_nowait();
        let ended_in_time = (
            victim.join_timeout(Duration::from_millis(200)),
            limited.join_timeout(Duration::from_millis(200)),
        );
        go_on.set();
        dying.join();
        let ended_after = (
            victim.join_timeout(Duration::from_millis(200)),
            limited.join_timeout(Duration::from_millis(200)),
        );
        assert_eq!(
            ended_after,
            (true, true),
            "interrupted at the latest when the neighbour has died"
        );
        assert_eq!(
            ended_in_time,
            (true, true),
            "interrupted although a neighbour dies slowly"
        );
    });
}

#[test]
fn the_kill_of_one_that_has_ended_does_nothing() {
    let g = spawn(|| 7);
    g.join();
    g.kill();
    g.kill_nowait();
    assert!(g.kill_timeout(Duration::ZERO));
    assert_eq!(g.get().unwrap(), 7);
}

#[test]
fn self_kill_unwinds_at_the_call() {
    alone(|| {
        let (after, theirs) = counter();
        let queue = Queue::unbounded();
        let handle = queue.clone();
        let g = spawn(move || {
            let me: green_core::Greenlet<()> = handle.get().unwrap();
            me.kill();
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        queue.put(g.clone()).unwrap();
        g.join();
        assert!(g.successful());
        assert_eq!(after.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn self_kill_without_waiting_unwinds_at_the_next_block() {
    alone(|| {
        let (steps, theirs) = counter();
        let g = spawn(move || {
            getcurrent().unwrap().kill_nowait();
            theirs.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::MAX);
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        g.join();
        assert_eq!(steps.load(Ordering::Relaxed), 1);
        assert!(matches!(g.get(), Err(Failure::Killed)));
    });
}

#[test]
fn kill_then_set_is_killed() {
    alone(|| {
        let event = Arc::new(Event::new());
        let theirs = Arc::clone(&event);
        let g = spawn(move || theirs.wait());
        yield_now();
        g.kill_nowait();
        event.set();
        assert!(matches!(g.get(), Err(Failure::Killed)));
    });
}

#[test]
fn set_then_kill_wakes_normally_and_dies_at_the_next_block() {
    alone(|| {
        let event = Arc::new(Event::new());
        let (woke, theirs) = counter();
        let their_event = Arc::clone(&event);
        let g = spawn(move || {
            their_event.wait();
            theirs.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(1));
            theirs.fetch_add(1, Ordering::Relaxed);
        });
        yield_now();
        event.set();
        g.kill_nowait();
        g.join();
        assert_eq!(woke.load(Ordering::Relaxed), 1);
        assert!(matches!(g.get(), Err(Failure::Killed)));
    });
}

#[test]
fn set_then_kill_is_lost_on_one_that_ends_first() {
    alone(|| {
        let event = Arc::new(Event::new());
        let theirs = Arc::clone(&event);
        let g = spawn(move || {
            theirs.wait();
            7
        });
        yield_now();
        event.set();
        g.kill_nowait();
        assert_eq!(g.get().unwrap(), 7);
    });
}

#[test]
fn a_granted_permit_is_the_killed_ones_and_comes_back() {
    alone(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = Arc::clone(&semaphore);
                spawn(move || drop(semaphore.acquire()))
            })
            .collect();
        yield_now();
        semaphore.release();
        waiters[0].kill_nowait();
        assert!(
            waiters[1].join_timeout(Duration::from_secs(5)),
            "the permit came back"
        );
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_killed_waiter_takes_no_item_and_no_permit() {
    alone(|| {
        let (queue, semaphore) = (Queue::unbounded(), Arc::new(Semaphore::new(0)));
        let getters: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                spawn(move || queue.get().unwrap())
            })
            .collect();
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = Arc::clone(&semaphore);
                spawn(move || semaphore.acquire().forget())
            })
            .collect();
        yield_now();
        getters[0].kill_nowait();
        takers[0].kill_nowait();
        queue.put(7).unwrap();
        semaphore.release();
        assert_eq!(getters[1].get().unwrap(), 7);
        takers[1].join();
        assert!(takers[1].get().is_ok());
        assert!(matches!(getters[0].get(), Err(Failure::Killed)));
        assert!(matches!(takers[0].get(), Err(Failure::Killed)));
        assert_eq!((queue.len(), semaphore.available()), (0, 0));
    });
}

#[test]
fn killall_cancels_the_unstarted_first() {
    alone(|| {
        let go = Arc::new(Event::new());
        let (ran, theirs) = counter();
        let their_go = Arc::clone(&go);
        let first = spawn(move || {
            let _dying = OnDrop(|| sleep(Duration::from_millis(2)));
            their_go.wait();
        });
        yield_now();
        let unstarted: Vec<_> = (0..3)
            .map(|_| {
                let theirs = Arc::clone(&theirs);
                spawn(move || _ = theirs.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        killall(std::iter::once(&first).chain(&unstarted));
        assert!(first.ready() && unstarted.iter().all(green_core::Greenlet::ready));
        yield_now();
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn killall_timeout_says_whether_all_ended() {
    alone(|| {
        let go = Arc::new(Event::new());
        let theirs = Arc::clone(&go);
        let stubborn = spawn(move || mask_kill(|| theirs.wait()));
        yield_now();
        assert!(!killall_timeout([&stubborn], Duration::from_millis(2)));
        go.set();
        assert!(killall_timeout([&stubborn], Duration::from_secs(5)));
    });
}

#[test]
fn mask_kill_nests_and_delivers_at_the_outermost_end() {
    alone(|| {
        let (steps, theirs) = counter();
        let go = Arc::new(Event::new());
        let their_go = Arc::clone(&go);
        let g = spawn(move || {
            mask_kill(|| {
                mask_kill(|| their_go.wait());
                theirs.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(1));
                yield_now();
                theirs.fetch_add(1, Ordering::Relaxed);
            });
            theirs.fetch_add(100, Ordering::Relaxed);
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        assert!(!g.ready());
        go.set();
        g.join();
        assert!(matches!(g.get(), Err(Failure::Killed)));
        assert_eq!(steps.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn mask_kill_in_a_destructor_does_not_raise_while_unwinding() {
    // Cause: the end of a masked section raised the expiry of an outer scope in a destructor.
    alone(|| {
        let (cleaned, theirs) = counter();
        let outer = timeout(Duration::from_millis(10), || {
            let inner = timeout(Duration::from_millis(1), || {
                let _cleanup = OnDrop(|| {
                    mask_kill(|| sleep(Duration::from_millis(30)));
                    theirs.fetch_add(1, Ordering::Relaxed);
                });
                sleep(Duration::MAX);
            });
            assert!(inner.is_err());
            sleep(Duration::MAX);
        });
        assert!(outer.is_err());
        assert_eq!(cleaned.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn mask_kill_in_a_destructor_of_a_killed_green_thread() {
    alone(|| {
        let g = spawn(|| {
            let _cleanup = OnDrop(|| mask_kill(|| sleep(Duration::from_millis(2))));
            sleep(Duration::MAX);
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        g.kill_nowait();
        g.join();
        assert!(matches!(g.get(), Err(Failure::Killed)));
    });
}

#[test]
fn every_blocking_call_is_a_cancellation_point() {
    alone(|| {
        let event = Arc::new(Event::new());
        let semaphore = Arc::new(Semaphore::new(0));
        let mutex = Arc::new(Mutex::new(()));
        let empty = Queue::<u32>::unbounded();
        let full = Queue::bounded(1);
        full.put(0_u32).unwrap();
        let held = mutex.lock().unwrap();
        let end = Arc::new(Event::new());
        let their_end = Arc::clone(&end);
        let sleeper = spawn(|| sleep(Duration::MAX));
        let (their_mutex, their_event, their_semaphore) = (
            Arc::clone(&mutex),
            Arc::clone(&event),
            Arc::clone(&semaphore),
        );
        let (their_sleeper, their_empty, their_full) =
            (sleeper.clone(), empty.clone(), full.clone());
        let victims = [
            spawn(move || drop(their_mutex.lock().unwrap())),
            spawn(move || their_event.wait()),
            spawn(move || drop(their_semaphore.acquire())),
            spawn(move || their_sleeper.join()),
            spawn(move || _ = their_empty.get()),
            spawn(move || _ = their_full.put(1)),
            spawn(move || green_core::blocking(move || their_end.wait())),
            spawn(|| sleep(Duration::MAX)),
        ];
        yield_now();
        assert!(victims.iter().all(|victim| !victim.ready()));
        killall(&victims);
        assert!(
            victims
                .iter()
                .all(|victim| matches!(victim.get(), Err(Failure::Killed)))
        );
        end.set();
        sleeper.kill();
        drop(held);
        assert!(!mutex.is_poisoned());
        assert_eq!((full.len(), semaphore.available()), (1, 0));
    });
}

#[test]
fn kill_from_an_os_thread_reaches_every_hub() {
    let sleepers: Vec<_> = (0..50).map(|_| spawn(|| sleep(Duration::MAX))).collect();
    assert!(killall_timeout(&sleepers, Duration::from_secs(10)));
}
