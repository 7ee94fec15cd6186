//! Models of the inbox: no message stays behind while the hub sleeps and its bell does not ring.

use ::loom::thread;

use super::inbox::Inbox;
use crate::primitive::{Arc, AtomicBool, Condvar, Mutex, Ordering};

/// The hub's eventfd: remembers that it was rung.
struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.ringing.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock();
        while !*rung {
            rung = self.ringing.wait_owned(rung);
        }
        *rung = false;
    }
}

/// A hub that takes `expected` messages; the model deadlocks if one is left while it sleeps.
fn hub(inbox: &Inbox<u32>, bell: &Bell, expected: usize) -> Vec<u32> {
    let mut messages = Vec::new();
    while messages.len() < expected {
        if inbox.prepare_sleep() {
            bell.sleep();
            inbox.end_sleep();
        }
        inbox.drain(&mut messages);
    }
    assert!(!inbox.is_asleep());
    messages
}

fn model(producers: u32, each: u32) {
    ::loom::model(move || {
        let inbox = Arc::new(Inbox::new());
        let bell = Arc::new(Bell {
            rung: Mutex::new(false),
            ringing: Condvar::new(),
        });
        for producer in 0..producers {
            let (inbox, bell) = (Arc::clone(&inbox), Arc::clone(&bell));
            thread::spawn(move || {
                for n in 0..each {
                    if inbox.push(producer * each + n) {
                        bell.ring();
                    }
                }
            });
        }
        let expected = (producers * each) as usize;
        let mut messages = hub(&inbox, &bell, expected);
        messages.sort_unstable();
        assert!(messages.into_iter().eq(0..producers * each));
    });
}

#[test]
fn loom_one_message() {
    model(1, 1);
}

#[test]
fn loom_one_producer_of_two_messages() {
    model(1, 2);
}

#[test]
fn loom_two_producers() {
    model(2, 1);
}

#[test]
fn loom_the_bell_rings_once_for_a_sleep() {
    ::loom::model(|| {
        let inbox = Arc::new(Inbox::new());
        let slept = inbox.prepare_sleep();
        assert!(slept && inbox.is_asleep());
        let rung = Arc::new(AtomicBool::new(false));
        let producers = [1, 2].map(|message| {
            let (inbox, rung) = (Arc::clone(&inbox), Arc::clone(&rung));
            thread::spawn(move || {
                if inbox.push(message) {
                    assert!(!rung.swap(true, Ordering::Relaxed), "rung twice");
                }
            })
        });
        for producer in producers {
            producer.join().unwrap();
        }
        assert!(rung.load(Ordering::Relaxed));
    });
}
