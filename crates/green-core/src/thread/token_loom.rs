//! Models of the park token: every interleaving of parks, their deadlines and unparks.

use std::time::{Duration, Instant};

use ::loom::sync::atomic::{AtomicBool, Ordering};
use ::loom::thread;

use super::token::Token;
use crate::primitive::Arc;
use crate::time::deadline::Deadline;

/// A deadline that, in a model, may pass before or after anything else.
fn any_time() -> Deadline {
    Deadline::At(Instant::now() + Duration::from_secs(1))
}

/// Whether the token is there; takes it.
fn is_there(token: &Token) -> bool {
    token.take(any_time()).is_ok()
}

#[test]
fn an_unpark_is_seen_by_the_park() {
    ::loom::model(|| {
        let shared = Arc::new((Token::new(), AtomicBool::new(false)));
        let theirs = Arc::clone(&shared);
        let waker = thread::spawn(move || {
            theirs.1.store(true, Ordering::Relaxed);
            theirs.0.give();
        });
        shared
            .0
            .take(Deadline::Never)
            .expect("nothing else ends it");
        assert!(shared.1.load(Ordering::Relaxed));
        waker.join().unwrap();
    });
}

#[test]
fn a_park_that_times_out_leaves_the_token() {
    ::loom::model(|| {
        let token = Arc::new(Token::new());
        let theirs = Arc::clone(&token);
        let waker = thread::spawn(move || theirs.give());
        let taken = is_there(&token);
        waker.join().unwrap();
        assert!(taken != is_there(&token));
    });
}

#[test]
fn two_unparks_leave_one_token() {
    ::loom::model(|| {
        let token = Arc::new(Token::new());
        let wakers = [(); 2].map(|()| {
            let token = Arc::clone(&token);
            thread::spawn(move || token.give())
        });
        token.take(Deadline::Never).expect("nothing else ends it");
        for waker in wakers {
            waker.join().unwrap();
        }
        // If both came before the park, none is left; never is there more than one.
        let left = is_there(&token);
        assert!(!left || !is_there(&token));
    });
}
