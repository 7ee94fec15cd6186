//! A hammer on scopes: kills, time limits and panics race in owners and in what they own, on every hub at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use green_core::sync::Mutex;
use green_core::thread::{self, Scope};
use green_core::{getcurrent, sleep, timeout, yield_now};
use hammer::Rng;

const OWNERS: u64 = 24;
const ROUNDS: u64 = 150;
const VICTIMS: u64 = 24;

/// What the green threads of one scope borrow: nobody may be inside when it goes.
#[derive(Default)]
struct Frame {
    inside: AtomicUsize,
    total: Mutex<u64>,
}

impl Drop for Frame {
    fn drop(&mut self) {
        assert_eq!(*self.inside.get_mut(), 0, "somebody borrows it still");
        // Nothing of it is as it was.
        *self.inside.get_mut() = usize::MAX / 2;
    }
}

/// Marks that somebody uses the frame.
struct Inside<'a>(&'a Frame);

impl<'a> Inside<'a> {
    fn enter(frame: &'a Frame) -> Self {
        let before = frame.inside.fetch_add(1, Ordering::Relaxed);
        assert!(before < 1000, "the frame is gone");
        Self(frame)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The same; leaving takes a while, and a kill may come meanwhile.
struct Lingers<'a>(Inside<'a>);

impl Drop for Lingers<'_> {
    fn drop(&mut self) {
        yield_now();
        assert!(self.0.0.inside.load(Ordering::Relaxed) > 0);
    }
}

/// One scope with a few green threads, which end in every way there is.
fn round(seed: u64, depth: u32) {
    let mut rng = Rng::new(seed);
    let frame = Frame::default();
    thread::scope(|s| {
        for n in 0..=rng.below(5) {
            let (frame, seed) = (&frame, seed * 8 + n);
            let handle = s.spawn(move || {
                child(s, frame, seed, depth);
                // Made last: the compiler forgets a result if a local's destructor unwinds after it.
                Lingers(Inside::enter(frame))
            });
            match rng.below(4) {
                0 => drop(handle.join()),
                1 => assert!(handle.thread().name().is_none()),
                2 => handle.thread().unpark(),
                _ => drop(handle),
            }
        }
        if rng.below(8) == 0 {
            resume_unwind(Box::new("expected"));
        }
    });
}

/// One of the scope's green threads.
fn child<'scope>(s: &'scope Scope<'scope, '_>, frame: &'scope Frame, seed: u64, depth: u32) {
    let mut rng = Rng::new(seed + 1);
    let _inside = Inside::enter(frame);
    let _lingers = (rng.below(4) == 0).then(|| Lingers(Inside::enter(frame)));
    match rng.below(8) {
        0 => sleep(rng.limit()),
        1 => resume_unwind(Box::new("expected")),
        2 => getcurrent().expect("it is one").kill_nowait(),
        3 if depth > 0 => round(seed, depth - 1),
        4 => {
            s.spawn(move || *frame.total.lock().expect("not poisoned") += 1);
        }
        _ => yield_now(),
    }
    *frame.total.lock().expect("nobody panics with the lock") += 1;
}

#[test]
fn scopes() {
    // That of a scope is no news.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&"a scoped thread panicked") {
            report(info);
        }
    }));
    let before = hammer::start();
    let failures = Arc::new(AtomicUsize::new(0));
    let rounds = |seed: u64| {
        let failures = Arc::clone(&failures);
        move || {
            for n in 0..ROUNDS {
                let ended = catch_unwind(|| round(seed * 1000 + n, 2));
                if let Err(payload) = ended {
                    let expected = payload.downcast_ref::<&str>().is_some_and(|text| {
                        ["expected", "a scoped thread panicked"].contains(text)
                    });
                    failures.fetch_add(usize::from(!expected), Ordering::Relaxed);
                }
            }
        }
    };
    let owners = hammer::on_all_hubs(OWNERS, rounds);
    let impatient = hammer::on_all_hubs(OWNERS, |seed| {
        move || {
            let mut rng = Rng::new(seed + 100);
            for n in 0..ROUNDS {
                let limit = rng.limit();
                let body = || timeout(limit, || round(seed * 1000 + n, 1));
                drop(catch_unwind(AssertUnwindSafe(body)));
            }
        }
    });
    let victims = hammer::on_all_hubs(VICTIMS, |seed| {
        move || {
            for n in 0..1_000_000 {
                // A kill ends it, a panic does not.
                let caught = catch_unwind(|| round(seed * 1000 + n, 1));
                if caught.is_err_and(|payload| !payload.is::<&str>()) {
                    return;
                }
                yield_now();
            }
        }
    });
    let os_threads = [1, 2].map(|seed| std::thread::spawn(rounds(seed + 200)));
    // SAFETY: the coroutines keep nothing of an OS thread across a wait, and are shallow.
    let coroutines = [1, 2].map(|seed| unsafe { may::coroutine::spawn(rounds(seed + 300)) });
    hammer::kill_in_random_order(&victims, &mut Rng::new(400));
    sleep(std::time::Duration::from_millis(5));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("owners", &owners);
    hammer::all_end("impatient", &impatient);
    os_threads.into_iter().for_each(|one| one.join().unwrap());
    coroutines.into_iter().for_each(|one| one.join().unwrap());
    assert_eq!(failures.load(Ordering::Relaxed), 0);
    hammer::settled(&before);
}
