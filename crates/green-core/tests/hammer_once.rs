//! A hammer on `Once`, `OnceLock` and `Barrier`: ends, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use green_core::sync::{Barrier, Once, OnceLock};
use green_core::{sleep, timeout, yield_now};
use hammer::Rng;

const CELLS: usize = 60;
const WORKERS: u64 = 16;

/// Cells with what runs once, and how often each closure has come to its end.
#[derive(Debug)]
struct Cell {
    once: Once,
    value: OnceLock<u64>,
    once_ends: AtomicU64,
    value_ends: AtomicU64,
}

type Shared = Arc<Vec<Cell>>;

fn shared() -> Shared {
    let cell = || Cell {
        once: Once::new(),
        value: OnceLock::new(),
        once_ends: AtomicU64::new(0),
        value_ends: AtomicU64::new(0),
    };
    Arc::new((0..CELLS).map(|_| cell()).collect())
}

/// Goes through all cells, initializes or waits for each.
fn go_through(cells: &Shared, rng: &mut Rng) {
    for cell in cells.iter() {
        let pause = rng.below(4);
        let make = || {
            for _ in 0..pause {
                yield_now();
            }
            if pause == 3 {
                sleep(std::time::Duration::from_micros(50));
            }
        };
        cell.once.call_once(|| {
            make();
            cell.once_ends.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(cell.once_ends.load(Ordering::Relaxed), 1);
        let value = cell.value.get_or_init(|| {
            make();
            cell.value_ends.fetch_add(1, Ordering::Relaxed);
            7
        });
        assert_eq!((*value, cell.value_ends.load(Ordering::Relaxed)), (7, 1));
    }
}

#[test]
fn once() {
    let before = hammer::start();
    let cells = shared();
    let victims = hammer::on_all_hubs(WORKERS, |seed| {
        let cells = Arc::clone(&cells);
        move || go_through(&cells, &mut Rng::new(seed + 100))
    });
    let impatient = hammer::on_all_hubs(WORKERS, |seed| {
        let cells = Arc::clone(&cells);
        move || {
            let mut rng = Rng::new(seed + 200);
            for _ in 0..20 {
                timeout(rng.limit(), || go_through(&cells, &mut Rng::new(seed))).ok();
            }
        }
    });
    let onlookers = hammer::on_all_hubs(WORKERS, |_| {
        let cells = Arc::clone(&cells);
        move || {
            for cell in cells.iter() {
                cell.once.wait();
                assert_eq!(*cell.value.wait(), 7);
            }
        }
    });
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        let cells = Arc::clone(&cells);
        move || go_through(&cells, &mut Rng::new(seed))
    });
    let os_threads = [1, 2].map(|seed| {
        let cells = Arc::clone(&cells);
        thread::spawn(move || go_through(&cells, &mut Rng::new(seed + 300)))
    });
    let coroutines = [1, 2].map(|seed| {
        let cells = Arc::clone(&cells);
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe { may::coroutine::spawn(move || go_through(&cells, &mut Rng::new(seed + 400))) }
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(500));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("impatient", &impatient);
    hammer::all_end("workers", &workers);
    hammer::all_end("onlookers", &onlookers);
    os_threads
        .into_iter()
        .for_each(|os_thread| os_thread.join().unwrap());
    coroutines
        .into_iter()
        .for_each(|coroutine| coroutine.join().unwrap());
    assert!(workers.iter().chain(&onlookers).all(|g| g.get().is_ok()));
    hammer::settled(&before);
}

#[test]
fn barrier() {
    const SIZE: usize = 4;
    const ROUNDS: usize = 100;
    let before = hammer::start();
    let barrier = Arc::new(Barrier::new(SIZE));
    let led = Arc::new(AtomicU64::new(0));
    // Those who are killed or timed out keep it going; whatever they leave behind must be whole.
    let arrive = |seed: u64| {
        let (barrier, led) = (Arc::clone(&barrier), Arc::clone(&led));
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..1_000_000 {
                if let Ok(result) = timeout(rng.limit(), || barrier.wait()) {
                    led.fetch_add(u64::from(result.is_leader()), Ordering::Relaxed);
                }
                yield_now();
            }
        }
    };
    let victims = hammer::on_all_hubs(WORKERS, arrive);
    support::eventually("rounds are made", || {
        led.load(Ordering::Relaxed) > ROUNDS as u64
    });
    hammer::kill_in_random_order(&victims, &mut Rng::new(500));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    let work =
        |barrier: Arc<Barrier>| move || (0..ROUNDS).filter(|_| barrier.wait().is_leader()).count();
    let workers = hammer::on_all_hubs(SIZE as u64 - 1, |_| work(Arc::clone(&barrier)));
    let os_thread = thread::spawn(work(Arc::clone(&barrier)));
    hammer::all_end("workers", &workers);
    let led: usize = workers.iter().map(|worker| worker.get().unwrap()).sum();
    assert_eq!(led + os_thread.join().unwrap(), ROUNDS);
    hammer::settled(&before);
}
