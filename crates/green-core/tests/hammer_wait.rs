//! A hammer on `wait`, `iwait`, links and starts: ends, notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use green_core::event::Event;
use green_core::timeout::Timeout;
use green_core::{
    Config, Greenlet, Waitable, iwait, sleep, spawn, timeout, wait, wait_count, wait_timeout,
    yield_now,
};
use hammer::Rng;

/// Targets that end, sleep for ever or are not started, and events that are set and cleared.
struct Things {
    targets: Vec<Greenlet<u64>>,
    events: Vec<Event>,
}

impl Things {
    fn new(round: u64) -> Arc<Self> {
        let body = move |seed: u64| {
            move || {
                let mut rng = Rng::new(seed + round);
                match rng.below(4) {
                    0 => sleep(rng.limit()),
                    1 => sleep(Duration::MAX),
                    2 => yield_now(),
                    _ => {}
                }
                seed
            }
        };
        let mut targets = hammer::on_all_hubs(16, body);
        targets.extend((16..24).map(|seed| Greenlet::new(body(seed))));
        let events = (0..8).map(|_| Event::new()).collect();
        Arc::new(Self { targets, events })
    }

    fn all(&self) -> Vec<&dyn Waitable> {
        let targets = self.targets.iter().map(|one| one as &dyn Waitable);
        let events = self.events.iter().map(|one| one as &dyn Waitable);
        targets.chain(events).collect()
    }

    fn end(&self) {
        self.events.iter().for_each(Event::set);
        self.targets.iter().for_each(Greenlet::kill_nowait);
    }
}

/// Waits in every way that gives up by itself.
fn wait_in_vain(things: &Things, rng: &mut Rng) {
    let all = things.all();
    match rng.below(5) {
        0 => drop(wait_timeout(&all, rng.limit())),
        1 => drop(timeout(rng.limit(), || wait(&all))),
        2 => drop(iwait(&all).timeout(rng.limit()).next()),
        3 => {
            let limit = Timeout::start_new(rng.limit());
            drop(limit.run(|| wait_count(&all, 20)));
        }
        _ => {
            for place in iwait(&all).timeout(rng.limit()) {
                if place == 3 {
                    break;
                }
                yield_now();
            }
        }
    }
}

#[test]
fn waits() {
    Config::new().hubs(3).apply().ok();
    let before = hammer::start();
    for round in 0..6 {
        let things = Things::new(round * 1_000);
        let impatient = hammer::on_all_hubs(12, |seed| {
            let things = Arc::clone(&things);
            move || {
                let mut rng = Rng::new(seed + 100 + round);
                (0..10).for_each(|_| wait_in_vain(&things, &mut rng));
            }
        });
        let patient = hammer::on_all_hubs(6, |_| {
            let things = Arc::clone(&things);
            move || {
                let mut places = wait(&things.all());
                places.sort_unstable();
                places.into_iter().eq(0..32)
            }
        });
        let victims = hammer::on_all_hubs(9, |_| {
            let things = Arc::clone(&things);
            move || iwait(&things.all()).count()
        });
        let setters = hammer::on_all_hubs(3, |seed| {
            let things = Arc::clone(&things);
            move || {
                let mut rng = Rng::new(seed + 300 + round);
                for _ in 0..100 {
                    let event = &things.events[usize::try_from(rng.below(8)).unwrap()];
                    event.set();
                    event.clear();
                    let target = &things.targets[usize::try_from(16 + rng.below(8)).unwrap()];
                    match rng.below(3) {
                        0 => target.start(),
                        1 => target.start_later(rng.limit()),
                        _ => yield_now(),
                    }
                }
            }
        });
        let os_waiter = {
            let things = Arc::clone(&things);
            thread::spawn(move || {
                let mut rng = Rng::new(400 + round);
                (0..5).for_each(|_| wait_in_vain(&things, &mut rng));
                wait(&things.all()).len()
            })
        };
        let mut rng = Rng::new(500 + round);
        hammer::kill_in_random_order(&victims, &mut rng);
        hammer::all_end("setters", &setters);
        hammer::all_end("impatient", &impatient);
        things.end();
        hammer::all_end("victims", &victims);
        hammer::all_end("patient", &patient);
        assert!(patient.iter().all(|g| g.get().unwrap()), "each place once");
        assert_eq!(os_waiter.join().unwrap(), 32);
        hammer::all_end("targets", &things.targets);
        assert!(things.targets.iter().all(|target| !target.has_links()));
    }
    hammer::settled(&before);
}

#[test]
fn links() {
    Config::new().hubs(3).apply().ok();
    let before = hammer::start();
    let (added, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    let (added, taken) = (Arc::new(added), Arc::new(taken));
    let called = Arc::new(AtomicU64::new(0));
    for round in 0..6 {
        let things = Things::new(round * 1_000);
        let linkers = hammer::on_all_hubs(12, |seed| {
            let things = Arc::clone(&things);
            let (added, taken) = (Arc::clone(&added), Arc::clone(&taken));
            let called = Arc::clone(&called);
            move || {
                let mut rng = Rng::new(seed + 100 + round);
                for target in things.targets.iter().cycle().take(200) {
                    let called = Arc::clone(&called);
                    let count = move |_: &Greenlet<u64>| _ = called.fetch_add(1, Ordering::Relaxed);
                    let link = match rng.below(3) {
                        0 => target.rawlink(count),
                        1 => target.link_value(count),
                        _ => target.link(count),
                    };
                    added.fetch_add(1, Ordering::Relaxed);
                    match rng.below(4) {
                        0 => yield_now(),
                        1 => _ = target.join_timeout(rng.limit()),
                        2 if target.unlink(link) => _ = taken.fetch_add(1, Ordering::Relaxed),
                        _ => target.start(),
                    }
                }
            }
        });
        let victims: Vec<_> = (0..10)
            .map(|_| {
                let things = Arc::clone(&things);
                spawn(move || things.targets.iter().for_each(Greenlet::join))
            })
            .collect();
        let mut rng = Rng::new(200 + round);
        hammer::kill_in_random_order(&victims, &mut rng);
        hammer::kill_in_random_order(&things.targets[..8], &mut rng);
        hammer::all_end("linkers", &linkers);
        things.end();
        hammer::all_end("targets", &things.targets);
        hammer::all_end("victims", &victims);
        support::eventually("all links are called", || {
            things.targets.iter().all(|target| !target.has_links())
        });
    }
    hammer::settled(&before);
    let expected = added.load(Ordering::Relaxed) - taken.load(Ordering::Relaxed);
    assert_eq!(called.load(Ordering::Relaxed), expected, "each once");
}
