//! Making green threads.

mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{Builder, Greenlet, getcurrent, run, spawn, spawn_later, stats};

fn is_send_and_sync<T: Send + Sync>() {}

#[test]
fn handles_travel_if_the_value_does() {
    is_send_and_sync::<Greenlet<i32>>();
    is_send_and_sync::<Greenlet<std::cell::Cell<i32>>>();
}

#[test]
fn a_value_comes_back() {
    assert_eq!(spawn(|| 6 * 7).get().unwrap(), 42);
    assert_eq!(
        spawn(|| String::from("moved")).into_result().unwrap(),
        "moved"
    );
}

#[test]
fn builder_sets_name_stack_and_hub() {
    let g = Builder::new().name("n").stack_size(64 * 1024).hub(0);
    let g = g
        .spawn(|| getcurrent().unwrap().name().map(str::to_owned))
        .unwrap();
    assert_eq!(g.name(), Some("n"));
    assert_eq!(g.get().unwrap().as_deref(), Some("n"));
    let hubs = stats().hubs;
    let error = Builder::new().hub(hubs).spawn(|| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_tiny_stack_is_rounded_up() {
    let g = Builder::new()
        .stack_size(1)
        .spawn(|| getcurrent().is_some())
        .unwrap();
    assert!(g.get().unwrap());
}

#[test]
fn ids_are_unique_and_known_inside() {
    let all: Vec<_> = (0..1_000)
        .map(|_| spawn(|| getcurrent().unwrap().id()))
        .collect();
    let mut ids: Vec<_> = all.iter().map(|g| g.get().unwrap()).collect();
    assert!(all.iter().zip(&ids).all(|(g, id)| g.id() == *id));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn the_spawn_site_is_the_callers() {
    let g = spawn(|| getcurrent().unwrap().spawn_site());
    let line = line!() - 1;
    let site = g.get().unwrap();
    assert_eq!(
        (site.file().ends_with("spawn.rs"), site.line()),
        (true, line)
    );
}

#[test]
fn spawn_later_is_not_early() {
    let begun = Instant::now();
    let g = spawn_later(Duration::from_millis(20), Instant::now);
    assert!(!g.ready());
    assert!(g.get().unwrap() - begun >= Duration::from_millis(20));
    assert!(spawn_later(Duration::ZERO, || true).get().unwrap());
}

#[test]
fn spawn_later_for_ever_can_be_killed() {
    let g = spawn_later(Duration::MAX, || unreachable!("it is killed before"));
    g.kill();
    assert!(g.ready());
    support::eventually("nothing is left of it", || stats().live == 0);
}

#[test]
fn run_is_inline_inside() {
    let (outer, inner) = run(|| {
        let outer = getcurrent().unwrap().id();
        (outer, run(move || getcurrent().unwrap().id()))
    });
    assert_eq!(outer, inner);
}

#[test]
fn dropping_the_handle_does_not_stop_it() {
    let ended = Arc::new(Event::new());
    let theirs = Arc::clone(&ended);
    drop(spawn(move || {
        green_core::yield_now();
        theirs.set();
    }));
    assert!(ended.wait_timeout(Duration::from_secs(10)));
}

#[test]
fn green_threads_spawn_green_threads_on_all_hubs() {
    let count = Arc::new(AtomicUsize::new(0));
    let roots: Vec<_> = (0..20)
        .map(|_| {
            let count = Arc::clone(&count);
            spawn(move || {
                let leaves: Vec<_> = (0..100)
                    .map(|_| {
                        let count = Arc::clone(&count);
                        spawn(move || _ = count.fetch_add(1, Ordering::Relaxed))
                    })
                    .collect();
                green_core::joinall(leaves);
            })
        })
        .collect();
    assert_eq!(green_core::joinall(&roots).len(), 20);
    assert_eq!(count.load(Ordering::Relaxed), 2_000);
    assert!(stats().finished >= 2_020);
}
