//! Migrating and pinned green threads and OS threads at the same locks and queues, with kills and time
//! limits: nothing is lost, nothing is doubled, everybody ends.

#![expect(unsafe_code, reason = "may's spawn is unsafe")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::sync::Mutex;
use green_core::{Greenlet, joinall_timeout, killall_timeout, sleep, spawn, yield_now};
use green_tests::{Held, PATIENCE, Random, alone};

/// How long each primitive is hammered.
const TIME: Duration = Duration::from_millis(600);

/// How many green threads there are of each kind, at any time.
const GREEN: usize = 6;

/// How many OS threads.
const OS: usize = 2;

fn migrating<F: FnOnce() + Send + 'static>(f: F) -> Greenlet<()> {
    // SAFETY: the closures keep nothing of an OS thread across their blocking calls, and are shallow.
    unsafe { green_core::may::spawn(f) }
}

/// Runs `step` again and again in callers of all kinds, until the time is over; kills green ones all the
/// while, and replaces them. Then `release` must let everybody end by itself.
fn hammer(step: impl Fn(&mut Random) + Clone + Send + 'static, release: impl FnOnce()) {
    static MAY: Once = Once::new();
    MAY.call_once(|| {
        // In words.
        may::config()
            .set_workers(2)
            .set_stack_size(256 * 1024 / size_of::<usize>());
        migrating(|| sleep(Duration::from_millis(1))).join();
    });
    let held = Held::now();
    let end = Instant::now() + TIME;
    let mut seed = 0;
    let mut worker = || {
        seed += 1;
        let mut random = Random::new(seed);
        let step = step.clone();
        move || {
            while Instant::now() < end {
                step(&mut random);
                if random.below(8) == 0 {
                    yield_now();
                }
            }
        }
    };
    let os: Vec<_> = (0..OS).map(|_| thread::spawn(worker())).collect();
    let mut green = Vec::new();
    for _ in 0..GREEN {
        green.push(spawn(worker()));
        green.push(migrating(worker()));
    }
    let mut random = Random::new(77);
    let mut dying = Vec::new();
    let mut kills = 0;
    while Instant::now() < end {
        let victim = random.below(green.len() as u64) as usize;
        // Even places are the pinned ones.
        let next = if victim.is_multiple_of(2) {
            spawn(worker())
        } else {
            migrating(worker())
        };
        let old = std::mem::replace(&mut green[victim], next);
        match random.below(3) {
            0 => assert!(old.kill_timeout(PATIENCE)),
            _ => old.kill_nowait(),
        }
        kills += 1;
        dying.push(old);
        thread::sleep(Duration::from_micros(random.below(1_500)));
    }
    release();
    for thread in os {
        thread.join().unwrap();
    }
    assert_eq!(joinall_timeout(&green, PATIENCE).len(), green.len());
    assert!(killall_timeout(&dying, PATIENCE));
    for g in green.iter().chain(&dying) {
        assert!(g.successful(), "{:?}", g.get());
    }
    assert!(kills > 10, "{kills} kills");
    held.check();
}

/// A wait that is often too short.
fn short(random: &mut Random) -> Duration {
    Duration::from_micros(random.below(1_500))
}

#[test]
fn a_mutex() {
    let _alone = alone();
    let mutex = Arc::new(Mutex::new(0_u64));
    let counted = Arc::new(AtomicU64::new(0));
    let (theirs, theirs_counted) = (Arc::clone(&mutex), Arc::clone(&counted));
    hammer(
        move |random| {
            let mut guard = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = *guard;
            for _ in 0..random.below(200) {
                std::hint::spin_loop();
            }
            *guard = seen + 1;
            theirs_counted.fetch_add(1, Ordering::Relaxed);
        },
        || (),
    );
    assert!(!mutex.is_poisoned());
    assert_eq!(*mutex.lock().unwrap(), counted.load(Ordering::Relaxed));
}

#[test]
fn a_semaphore() {
    const PERMITS: usize = 3;
    let _alone = alone();
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let inside = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&semaphore);
    hammer(
        move |random| {
            let permit = match random.below(3) {
                0 => Some(theirs.acquire()),
                1 => theirs.acquire_timeout(short(random)),
                _ => theirs.try_acquire(),
            };
            if let Some(_permit) = permit {
                let entered = Entered::new(&inside);
                if random.below(2) == 0 {
                    sleep(Duration::from_micros(random.below(300)));
                }
                drop(entered);
            }
        },
        || (),
    );
    assert_eq!(semaphore.available(), PERMITS);

    /// Counts who is inside, on every way out.
    struct Entered<'a>(&'a AtomicUsize);

    impl<'a> Entered<'a> {
        fn new(inside: &'a AtomicUsize) -> Self {
            assert!(inside.fetch_add(1, Ordering::AcqRel) < PERMITS);
            Self(inside)
        }
    }

    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[test]
fn a_queue() {
    let _alone = alone();
    let queue = Queue::bounded(4);
    // How many, and their sum.
    let put = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let got = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let count = |counts: &[AtomicU64; 2], item| {
        counts[0].fetch_add(1, Ordering::Relaxed);
        counts[1].fetch_add(item, Ordering::Relaxed);
    };
    let (theirs, theirs_put, theirs_got) = (queue.clone(), Arc::clone(&put), Arc::clone(&got));
    hammer(
        move |random| {
            let item = random.below(1_000_000);
            let done = match random.below(4) {
                0 => theirs.put(item).is_ok(),
                1 => theirs.put_timeout(item, short(random)).is_ok(),
                kind => {
                    let taken = match kind {
                        2 => theirs.get(),
                        _ => theirs.get_timeout(short(random)),
                    };
                    if let Ok(item) = taken {
                        count(&theirs_got, item);
                    }
                    false
                }
            };
            if done {
                count(&theirs_put, item);
            }
        },
        || queue.close(),
    );
    while let Ok(item) = queue.try_get() {
        count(&got, item);
    }
    let [put, got] = [put, got].map(|counts| {
        let [number, sum] = &*counts;
        (number.load(Ordering::Relaxed), sum.load(Ordering::Relaxed))
    });
    assert_eq!(put, got);
    assert_ne!(put.0, 0);
}

#[test]
fn an_event() {
    let _alone = alone();
    let event = Arc::new(Event::new());
    let heard = Arc::new(AtomicU64::new(0));
    let (theirs, theirs_heard) = (Arc::clone(&event), Arc::clone(&heard));
    hammer(
        move |random| {
            match random.below(6) {
                0 => theirs.set(),
                1 => theirs.clear(),
                2 => {
                    let _: bool = theirs.wait_timeout(short(random));
                }
                3 => {
                    // Nobody clears it for ever: whoever waits is let go at the end at the latest.
                    theirs.wait();
                    theirs_heard.fetch_add(1, Ordering::Relaxed);
                }
                _ => sleep(Duration::from_micros(random.below(200))),
            }
        },
        {
            let event = Arc::clone(&event);
            move || {
                // A straggler may clear it once more.
                for _ in 0..50 {
                    event.set();
                    thread::sleep(Duration::from_millis(1));
                }
            }
        },
    );
    assert_ne!(heard.load(Ordering::Relaxed), 0);
}
