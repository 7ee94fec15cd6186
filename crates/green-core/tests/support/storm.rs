//! A thousand green threads and four OS threads that do one thing all the time, with kills and time limits at random.
//!
//! `GREEN_HAMMER_SECONDS` says how long a storm lasts: one second, if it is not set.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use green_core::{Greenlet, timeout, yield_now};

use crate::hammer::{self, Rng};

/// How many green threads take part, and how many OS threads.
pub(crate) const GREEN_THREADS: u64 = 1_000;
pub(crate) const OS_THREADS: u64 = 4;

fn length() -> Duration {
    let seconds = std::env::var("GREEN_HAMMER_SECONDS").ok();
    Duration::from_secs(seconds.map_or(1, |seconds| seconds.parse().expect("seconds")))
}

/// What one of those who take part does all the time: it is told its number.
type Step = dyn Fn(u64, &mut Rng) + Send + Sync;

/// Everyone who takes part.
pub(crate) struct Storm {
    stop: Arc<AtomicBool>,
    workers: Vec<(u64, Greenlet<()>)>,
    os_threads: Vec<std::thread::JoinHandle<()>>,
    step: Arc<Step>,
}

impl Storm {
    /// Blows for the given time, and then stops everyone; they end when what they wait for is there.
    pub(crate) fn blow(step: impl Fn(u64, &mut Rng) + Send + Sync + 'static) -> Self {
        let (stop, step) = (Arc::new(AtomicBool::new(false)), Arc::new(step));
        let mut storm = Self {
            stop: Arc::clone(&stop),
            workers: Vec::new(),
            os_threads: (0..OS_THREADS)
                .map(|role| {
                    let (stop, step) = (Arc::clone(&stop), Arc::clone(&step));
                    std::thread::spawn(move || work(role, role + 5_000, &stop, &*step))
                })
                .collect(),
            step,
        };
        let first = hammer::on_all_hubs(GREEN_THREADS, |role| storm.worker(role, role));
        storm.workers = (0..GREEN_THREADS).zip(first).collect();
        storm.kill_at_random();
        storm.stop.store(true, Ordering::SeqCst);
        storm
    }

    fn worker(&self, role: u64, seed: u64) -> impl FnOnce() + Send + 'static {
        let (stop, step) = (Arc::clone(&self.stop), Arc::clone(&self.step));
        move || work(role, seed, &stop, &*step)
    }

    /// Each one who is killed has a successor.
    fn kill_at_random(&mut self) {
        let (end, mut rng) = (Instant::now() + length(), Rng::new(9));
        let mut seed = 10_000;
        while Instant::now() < end {
            let place = usize::try_from(rng.below(GREEN_THREADS)).expect("an index");
            let (role, victim) = &self.workers[place];
            let role = *role;
            assert!(
                victim.kill_timeout(Duration::from_secs(20)),
                "whoever is killed ends"
            );
            seed += 1;
            self.workers[place] = (role, green_core::spawn(self.worker(role, seed)));
            if rng.below(8) == 0 {
                green_core::sleep(rng.limit());
            }
        }
    }

    /// Those whose roles are `these` end, if nothing was lost.
    pub(crate) fn end(&mut self, what: &str, these: impl Fn(u64) -> bool) {
        let (ending, others) = std::mem::take(&mut self.workers)
            .into_iter()
            .partition(|(role, _)| these(*role));
        self.workers = others;
        let ending: Vec<_> = ending.into_iter().map(|(_, worker)| worker).collect();
        hammer::all_end(what, &ending);
        assert!(
            ending.iter().all(Greenlet::successful),
            "{what}: nobody panics"
        );
    }

    /// Whether the OS threads whose roles are `these` have ended.
    pub(crate) fn os_threads_have_ended(&self, these: impl Fn(u64) -> bool) -> bool {
        (0..OS_THREADS)
            .zip(&self.os_threads)
            .all(|(role, os_thread)| !these(role) || os_thread.is_finished())
    }

    /// Everyone ends.
    pub(crate) fn end_all(mut self, what: &str) {
        self.end(what, |_| true);
        for os_thread in self.os_threads {
            let os_thread = green_core::blocking(|| os_thread.join());
            assert!(os_thread.is_ok(), "{what}: nobody panics");
        }
    }
}

fn work(role: u64, seed: u64, stop: &AtomicBool, step: &dyn Fn(u64, &mut Rng)) {
    let mut rng = Rng::new(seed);
    while !stop.load(Ordering::SeqCst) {
        if rng.below(4) == 0 {
            timeout(rng.limit(), || step(role, &mut Rng::new(seed + 77))).ok();
        } else {
            step(role, &mut rng);
        }
        if rng.below(4) == 0 {
            yield_now();
        }
    }
}

/// One of those who are inside at the same time.
pub(crate) struct Inside<'a>(&'a AtomicI64);

impl<'a> Inside<'a> {
    pub(crate) fn new(count: &'a AtomicI64, most: i64) -> Self {
        let inside = Self(count);
        assert!(
            count.fetch_add(1, Ordering::SeqCst) < most,
            "no more than permits"
        );
        inside
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
