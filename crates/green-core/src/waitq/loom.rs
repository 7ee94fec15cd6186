//! Models of the wait queue: every interleaving of a few waiters, notifiers and deadlines.

use std::time::{Duration, Instant};

use ::loom::thread;

use super::*;
use crate::primitive::{Arc, Mutex};
use crate::time::deadline::Deadline;

/// A state with one number and one queue.
#[derive(Default)]
struct State {
    permits: usize,
    queue: WaitQueue,
}

type Shared = Arc<Monitor<State>>;

fn shared() -> Shared {
    Arc::new(Monitor::new(State::default()))
}

/// Takes a permit; false if the deadline passed first.
fn take(shared: &Monitor<State>, deadline: Deadline) -> bool {
    let wait = Wait::new(WaitFor::Semaphore, deadline).on(0);
    let take = |state: &mut State| {
        state.permits = state.permits.checked_sub(1)?;
        Some(())
    };
    shared.wait(wait, |state| &mut state.queue, take).is_ok()
}

fn give(shared: &Monitor<State>) {
    let mut state = shared.lock();
    state.permits += 1;
    let next = state.queue.notify_one();
    drop(state);
    wake(next);
}

/// A deadline that, in a model, may pass before or after anything else.
fn any_time() -> Deadline {
    Deadline::At(Instant::now() + Duration::from_secs(1))
}

#[test]
fn a_wait_and_a_notification() {
    ::loom::model(|| {
        let shared = shared();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || take(&shared, Deadline::Never))
        };
        give(&shared);
        assert!(waiter.join().unwrap());
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}

#[test]
fn a_waiter_that_times_out_loses_no_permit() {
    ::loom::model(|| {
        let shared = shared();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || take(&shared, any_time()))
        };
        give(&shared);
        let taken = usize::from(waiter.join().unwrap());
        assert_eq!(shared.lock().permits + taken, 1);
        assert!(shared.lock().queue.is_empty());
    });
}

#[test]
fn a_wake_up_passes_on_from_one_that_times_out() {
    ::loom::model(|| {
        let shared = shared();
        let hasty = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // If it did get the permit, the other one needs it back.
                if take(&shared, any_time()) {
                    give(&shared);
                }
            })
        };
        let patient = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || take(&shared, Deadline::Never))
        };
        give(&shared);
        hasty.join().unwrap();
        assert!(patient.join().unwrap(), "it always gets the permit");
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}

#[test]
fn two_waits_and_two_notifications() {
    ::loom::model(|| {
        let shared = shared();
        let waiters = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || take(&shared, Deadline::Never))
        });
        give(&shared);
        give(&shared);
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}

#[test]
fn whoever_has_arrived_is_linked() {
    ::loom::model(|| {
        let shared = shared();
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiters = [0, 1].map(|number| {
            let (shared, order) = (Arc::clone(&shared), Arc::clone(&order));
            thread::spawn(move || {
                let wait = Wait::new(WaitFor::Event, Deadline::Never);
                let arrived = |state: &mut State| {
                    // `permits` counts arrivals here; the one that is last finds the other waiting.
                    order.lock().push(number);
                    state.permits += 1;
                    None::<()>
                };
                shared
                    .wait_once_then(wait, |state| &mut state.queue, arrived, || ())
                    .is_ok()
            })
        });
        let mut chosen = 0;
        while chosen < 2 {
            let mut state = shared.lock();
            let (arrived, next) = (state.permits, state.queue.notify_one());
            drop(state);
            assert_eq!(
                next.is_some(),
                arrived > chosen,
                "who has arrived is linked"
            );
            if wake(next) {
                chosen += 1;
            } else {
                thread::yield_now();
            }
        }
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
        assert_eq!(order.lock().len(), 2);
    });
}

#[test]
fn notify_all_and_one_that_comes_late() {
    ::loom::model(|| {
        let shared = shared();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // As `Event::wait`: set already, or released, or (after `clear`) until the next `set`.
                let wait = Wait::new(WaitFor::Event, Deadline::Never);
                let set = |state: &mut State| (state.permits > 0).then_some(());
                shared
                    .wait_once_then(wait, |state| &mut state.queue, set, || ())
                    .is_ok()
            })
        };
        let released = shared.notify_all(|state| &mut state.queue, |state| state.permits = 1);
        assert!(released <= 1);
        assert!(waiter.join().unwrap());
        assert!(shared.lock().queue.is_empty());
    });
}

#[test]
fn notify_all_and_a_deadline() {
    ::loom::model(|| {
        let shared = shared();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let wait = Wait::new(WaitFor::Event, any_time());
                shared
                    .wait_once_then(wait, |state| &mut state.queue, |_| None::<()>, || ())
                    .is_ok()
            })
        };
        let released = shared.notify_all(|state| &mut state.queue, |_| ());
        assert_eq!(
            waiter.join().unwrap(),
            released == 1,
            "released is who was counted"
        );
        assert!(shared.lock().queue.is_empty());
    });
}
