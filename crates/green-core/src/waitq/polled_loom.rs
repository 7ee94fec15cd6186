//! Models of futures in a wait queue: polls, drops and changes of waker against notifications.

use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use ::loom::thread;

use super::*;
use crate::primitive::{Arc, Condvar, Mutex};
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

fn give(shared: &Monitor<State>) {
    let mut state = shared.lock();
    state.permits += 1;
    let next = state.queue.notify_one();
    drop(state);
    wake(next);
}

fn take(state: &mut State) -> Option<()> {
    state.permits = state.permits.checked_sub(1)?;
    Some(())
}

/// A step of a future that takes a permit.
fn poll(shared: &Monitor<State>, polling: &mut Polling, waker: &Waker) -> Poll<()> {
    let context = Context::from_waker(waker);
    shared.poll_in_turn(
        polling,
        &context,
        |state| &mut state.queue,
        |state, _| take(state),
    )
}

/// What an executor sleeps at.
struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        *self.rung.lock() = true;
        self.ringing.notify_one();
    }
}

impl Bell {
    fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            rung: Mutex::new(false),
            ringing: Condvar::new(),
        })
    }

    /// Sleeps until it rings.
    fn wait(&self) {
        let mut rung = self.rung.lock();
        while !std::mem::take(&mut *rung) {
            rung = self.ringing.wait_owned(rung);
        }
    }
}

/// An executor that polls when it was woken, and only then.
fn run(shared: &Monitor<State>, polling: &mut Polling) {
    let bell = Bell::new();
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    while poll(shared, polling, &waker).is_pending() {
        bell.wait();
    }
}

#[test]
fn a_future_and_a_notification() {
    ::loom::model(|| {
        let shared = shared();
        let theirs = Arc::clone(&shared);
        let giver = thread::spawn(move || give(&theirs));
        run(&shared, &mut Polling::new());
        giver.join().unwrap();
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}

#[test]
fn a_waker_that_is_late_for_its_wait_does_not_cost_the_next_one_its_own() {
    ::loom::model(|| {
        let shared = shared();
        let givers = [(); 2].map(|()| {
            let theirs = Arc::clone(&shared);
            thread::spawn(move || give(&theirs))
        });
        let mut polling = Polling::new();
        // The same record twice: whoever ended the first wait may call the waker of the second.
        run(&shared, &mut polling);
        run(&shared, &mut polling);
        for giver in givers {
            giver.join().unwrap();
        }
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}

#[test]
fn a_future_that_changes_its_waker_is_woken_by_one_that_counts() {
    ::loom::model(|| {
        let shared = shared();
        let theirs = Arc::clone(&shared);
        let giver = thread::spawn(move || give(&theirs));
        let mut polling = Polling::new();
        let first = Waker::from(Bell::new());
        if poll(&shared, &mut polling, &first).is_pending() {
            run(&shared, &mut polling);
        }
        giver.join().unwrap();
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}

#[test]
fn a_future_that_is_dropped_passes_its_notification_on() {
    ::loom::model(|| {
        let shared = shared();
        let theirs = Arc::clone(&shared);
        let giver = thread::spawn(move || give(&theirs));
        let theirs = Arc::clone(&shared);
        let hasty = thread::spawn(move || {
            let waker = Waker::from(Bell::new());
            let mut wait = pin!(theirs.wait_async(|state| &mut state.queue, take));
            let taken = wait.as_mut().poll(&mut Context::from_waker(&waker));
            // If it did get the permit, the other one needs it back.
            if taken.is_ready() {
                give(&theirs);
            }
        });
        let wait = Wait::new(WaitFor::Semaphore, Deadline::Never);
        let taken = shared.wait(wait, |state| &mut state.queue, take);
        assert!(taken.is_ok(), "it always gets the permit");
        giver.join().unwrap();
        hasty.join().unwrap();
        assert!(shared.lock().permits == 0 && shared.lock().queue.is_empty());
    });
}
