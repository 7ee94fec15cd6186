//! A hammer on spawn, join and kill: notifications, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use green_core::{Failure, joinall_raise, sleep, spawn, spawn_later, timeout, yield_now};
use hammer::Rng;

#[test]
fn join() {
    let before = hammer::start();
    for round in 0..8 {
        let targets = hammer::on_all_hubs(30, |seed| {
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
        });
        let joiners = hammer::on_all_hubs(30, |seed| {
            let targets = targets.clone();
            move || {
                let mut rng = Rng::new(seed + 100 + round);
                for target in &targets {
                    match rng.below(4) {
                        0 => _ = target.join_timeout(rng.limit()),
                        1 => _ = timeout(rng.limit(), || target.join()),
                        2 => drop(target.get()),
                        _ => target.join(),
                    }
                }
            }
        });
        let watchers = hammer::on_all_hubs(10, |_| {
            let targets = targets.clone();
            move || joinall_raise(targets).expect("a kill is no failure").len()
        });
        let victims = hammer::on_all_hubs(10, |_| {
            let targets = targets.clone();
            move || targets.iter().for_each(|target| target.join())
        });
        let os_joiners = [1, 2].map(|_| {
            let targets = targets.clone();
            thread::spawn(move || green_core::joinall(&targets).len())
        });
        let mut rng = Rng::new(200 + round);
        hammer::kill_in_random_order(&victims, &mut rng);
        hammer::kill_in_random_order(&targets, &mut rng);
        targets.iter().for_each(|target| target.kill_nowait());
        hammer::all_end("targets", &targets);
        hammer::all_end("joiners", &joiners);
        hammer::all_end("watchers", &watchers);
        hammer::all_end("victims", &victims);
        assert!(watchers.iter().all(|watcher| watcher.get().unwrap() == 30));
        os_joiners
            .into_iter()
            .for_each(|joiner| assert_eq!(joiner.join().unwrap(), 30));
        for (seed, target) in targets.iter().enumerate() {
            assert!(
                matches!(target.get(), Ok(value) if value == seed as u64)
                    || matches!(target.get(), Err(Failure::Killed))
            );
        }
    }
    hammer::settled(&before);
}

#[test]
fn kills_race_with_starts_and_ends() {
    let before = hammer::start();
    let ran = Arc::new(AtomicU64::new(0));
    let killers = hammer::on_all_hubs(8, |seed| {
        let ran = Arc::clone(&ran);
        move || {
            let mut rng = Rng::new(seed);
            let mut values = 0;
            for _ in 0..100 {
                let ran = Arc::clone(&ran);
                let body = move || _ = ran.fetch_add(1, Ordering::Relaxed);
                let g = match rng.below(3) {
                    0 => spawn_later(rng.limit(), body),
                    _ => spawn(body),
                };
                if rng.below(2) == 0 {
                    yield_now();
                }
                if rng.below(2) == 0 {
                    sleep(rng.limit());
                }
                g.kill();
                assert!(g.ready());
                values += u64::from(g.get().is_ok());
            }
            values
        }
    });
    hammer::all_end("killers", &killers);
    let values: u64 = killers.iter().map(|killer| killer.get().unwrap()).sum();
    assert_eq!(
        values,
        ran.load(Ordering::Relaxed),
        "it has run if and only if it has a value"
    );
    hammer::settled(&before);
}

#[test]
fn os_threads_kill_what_hubs_spawn() {
    let before = hammer::start();
    let targets = hammer::on_all_hubs(400, |_| || sleep(Duration::MAX));
    let targets = Arc::new(targets);
    let killers = [1, 2].map(|seed| {
        let targets = Arc::clone(&targets);
        thread::spawn(move || {
            let mut rng = Rng::new(seed);
            hammer::kill_in_random_order(&targets, &mut rng);
            green_core::killall(targets.iter());
        })
    });
    killers
        .into_iter()
        .for_each(|killer| killer.join().unwrap());
    hammer::all_end("targets", &targets);
    hammer::settled(&before);
}
