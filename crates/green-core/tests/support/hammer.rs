//! Helpers of the hammers: seeded randomness, and the end state that every hammer must reach.

use std::fmt::Debug;
use std::time::Duration;

use green_core::{Builder, Greenlet, Stats, stats};

/// xorshift64, Marsaglia 2003.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// A short time limit, often too short.
    pub(crate) fn limit(&mut self) -> Duration {
        Duration::from_micros(self.below(300))
    }
}

/// The counts before a hammer, with the hubs running.
pub(crate) fn start() -> Stats {
    green_core::spawn(|| ()).join();
    crate::support::eventually("the first green thread is gone", || stats().live == 0);
    stats()
}

/// A green thread for each number, spread over the hubs.
pub(crate) fn on_all_hubs<T, F>(count: u64, f: impl Fn(u64) -> F) -> Vec<Greenlet<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let hubs = stats().hubs;
    let spawn = |number: u64| {
        let hub = usize::try_from(number).expect("a small number") % hubs;
        Builder::new()
            .name(format!("worker {number}"))
            .hub(hub)
            .spawn(f(number))
            .expect("room")
    };
    (0..count).map(spawn).collect()
}

/// Kills some of `victims` again and again, in random order, until all have ended.
pub(crate) fn kill_in_random_order<T: Debug>(victims: &[Greenlet<T>], rng: &mut Rng) {
    for _ in 0..victims.len() * 2 {
        let victim = &victims[usize::try_from(rng.below(victims.len() as u64)).expect("an index")];
        victim.kill_nowait();
        if rng.below(4) == 0 {
            green_core::sleep(rng.limit());
        }
    }
}

/// All of them end within a bound, or the dump says who does not.
pub(crate) fn all_end<T>(what: &str, greenlets: &[Greenlet<T>]) {
    let ended = green_core::joinall_timeout(greenlets, Duration::from_secs(20));
    if ended.len() != greenlets.len() {
        let mut text = Vec::new();
        green_core::dump(&mut text).expect("a vector takes everything");
        panic!(
            "{what}: lost wake-up\n{}\n{:?}",
            String::from_utf8_lossy(&text),
            stats()
        );
    }
}

/// Nothing is left behind.
pub(crate) fn settled(before: &Stats) {
    crate::support::eventually("live green threads and sources are as before", || {
        let now = stats();
        now.live == before.live && now.sources == before.sources && now.queued == 0
    });
    // Each hub looks at its timers once more.
    let looks = on_all_hubs(before.hubs as u64, |_| {
        || green_core::sleep(Duration::from_millis(1))
    });
    all_end("the last look", &looks);
    crate::support::eventually("timers are as before", || stats().timers <= before.timers);
}
