//! Models of a kill that races with the waits of its green thread, and with a notification.

use ::loom::thread;

use super::waiter::{self, Waiter};
use super::word::{Mode, Outcome};
use crate::primitive::{Condvar, Mutex};

/// Whoever waits sleeps until it rings.
struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl waiter::Wake for Bell {
    fn wake(&self) {
        *self.rung.lock() = true;
        self.ringing.notify_one();
    }
}

/// A green thread, more or less.
#[derive(Clone, Copy)]
struct Sleeper {
    waiter: &'static Waiter,
    bell: &'static Bell,
}

impl Sleeper {
    fn new(id: u64) -> Self {
        let bell: &'static Bell = Box::leak(Box::new(Bell {
            rung: Mutex::new(false),
            ringing: Condvar::new(),
        }));
        let waiter: &'static Waiter = Box::leak(Box::new(Waiter::new()));
        waiter.wakes_other(bell);
        waiter.adopt(id);
        Self { waiter, bell }
    }

    /// Kills the green thread `id`.
    fn kill(self, id: u64) {
        if self.waiter.request_kill(id) {
            self.waiter.wake();
        }
    }

    /// Notifies whoever waits now.
    fn notify(self) {
        if self.waiter.claim_linked(Outcome::Notified) {
            self.waiter.wake();
        }
    }

    /// One wait; true if a kill was delivered.
    fn wait(self) -> bool {
        let word = &self.waiter.word;
        let episode = word.begin(Mode::Interruptible);
        if self.waiter.kill_pending() && word.claim(episode, Outcome::Interrupted) {
            word.end();
            return self.waiter.take_kill();
        }
        let mut rung = self.bell.rung.lock();
        while !*rung {
            rung = self.bell.ringing.wait_owned(rung);
        }
        *rung = false;
        drop(rung);
        let outcome = word.outcome().expect("it rings after a claim only");
        word.end();
        outcome == Outcome::Interrupted && self.waiter.take_kill()
    }
}

#[test]
fn loom_a_kill_ends_the_wait() {
    ::loom::model(|| {
        let sleeper = Sleeper::new(1);
        let killer = thread::spawn(move || sleeper.kill(1));
        assert!(sleeper.wait(), "the kill is not lost");
        killer.join().unwrap();
        assert!(!sleeper.waiter.kill_pending(), "it is delivered once");
    });
}

#[test]
fn loom_a_kill_and_a_notification() {
    ::loom::model(|| {
        let sleeper = Sleeper::new(1);
        let killer = thread::spawn(move || sleeper.kill(1));
        let notifier = thread::spawn(move || sleeper.notify());
        // The notification may end the first wait, and may come too early for any.
        let killed_at_once = sleeper.wait();
        assert!(killed_at_once || sleeper.wait(), "the kill is not lost");
        killer.join().unwrap();
        notifier.join().unwrap();
        assert!(!sleeper.waiter.kill_pending(), "it is delivered once");
    });
}

#[test]
fn loom_a_late_kill_does_not_hit_the_next_one() {
    ::loom::model(|| {
        let sleeper = Sleeper::new(1);
        let late = thread::spawn(move || sleeper.kill(1));
        // The first green thread has ended; the second one is asked to die, too.
        sleeper.waiter.adopt(2);
        assert!(!sleeper.waiter.kill_pending());
        let killer = thread::spawn(move || sleeper.kill(2));
        assert!(sleeper.wait(), "its own kill is not lost");
        late.join().unwrap();
        killer.join().unwrap();
        assert!(!sleeper.waiter.kill_pending());
    });
}
