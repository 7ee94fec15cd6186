//! Waiting for green threads to end.

use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::{
    Failure, Greenlet, joinall, joinall_raise, joinall_timeout, run, sleep, spawn, yield_now,
};

fn parked() -> Greenlet<u32> {
    spawn(|| {
        sleep(Duration::MAX);
        0
    })
}

#[test]
fn join_returns_however_it_ends() {
    let panics = spawn(|| -> u32 { panic!("expected") });
    panics.join();
    assert!(panics.ready() && !panics.successful());
    let killed = parked();
    killed.kill();
    killed.join();
    assert!(killed.successful());
    assert!(matches!(killed.get(), Err(Failure::Killed)));
}

#[test]
fn join_timeout_says_whether_it_ended() {
    let g = parked();
    assert!(!g.join_timeout(Duration::ZERO));
    assert!(!g.join_timeout(Duration::from_millis(5)));
    assert!(matches!(
        g.get_timeout(Duration::from_millis(1)),
        Err(Failure::TimedOut(_))
    ));
    assert!(!g.ready());
    g.kill();
    assert!(g.join_timeout(Duration::ZERO));
}

#[test]
fn any_number_may_join_one() {
    let end = Arc::new(Event::new());
    let theirs = Arc::clone(&end);
    let target = spawn(move || {
        theirs.wait();
        7
    });
    let joiners: Vec<_> = (0..50)
        .map(|_| {
            let target = target.clone();
            spawn(move || target.get().unwrap())
        })
        .collect();
    end.set();
    assert!(joiners.into_iter().all(|g| g.into_result().unwrap() == 7));
}

#[test]
fn into_result_takes_the_value_from_the_other_handles() {
    let g = spawn(|| 7);
    let other = g.clone();
    assert_eq!(g.into_result().unwrap(), 7);
    assert!(matches!(other.get(), Err(Failure::Taken)));
    assert!(other.successful());
}

#[test]
fn a_clone_that_panics_leaves_the_value() {
    struct Once(std::sync::atomic::AtomicBool);
    impl Clone for Once {
        fn clone(&self) -> Self {
            assert!(
                self.0.swap(true, std::sync::atomic::Ordering::SeqCst),
                "expected: first clone"
            );
            Self(true.into())
        }
    }
    let g = spawn(|| Once(false.into()));
    let theirs = g.clone();
    assert!(
        spawn(move || theirs.get().map(drop).is_ok())
            .into_result()
            .is_err()
    );
    assert!(g.get().is_ok());
}

#[test]
fn joinall_is_in_order_of_the_ends_with_duplicates() {
    let events: Arc<[Event; 3]> = Arc::new([const { Event::new() }; 3]);
    let all: Vec<_> = (0..3)
        .map(|n| {
            let events = Arc::clone(&events);
            spawn(move || {
                events[n].wait();
                n
            })
        })
        .collect();
    for n in [2, 0, 1] {
        events[n].set();
        all[n].join();
    }
    let ended = joinall([&all[0], &all[1], &all[2], &all[0]]);
    let order: Vec<_> = ended.iter().map(|g| g.get().unwrap()).collect();
    assert_eq!(order, [2, 0, 0, 1]);
}

#[test]
fn joinall_of_nothing_returns() {
    assert!(joinall::<(), Greenlet<()>>([]).is_empty());
    assert!(joinall_raise::<(), Greenlet<()>>([]).unwrap().is_empty());
}

#[test]
fn joinall_timeout_returns_the_subset_that_ended() {
    let (quick, stuck, quick_too) = (spawn(|| 1), parked(), spawn(|| 2));
    quick_too.join();
    quick.join();
    let ended = joinall_timeout([&stuck, &quick, &quick_too], Duration::from_millis(5));
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|g| g.id() != stuck.id()));
    assert_eq!(joinall_timeout([&quick], Duration::ZERO).len(), 1);
    stuck.kill();
}

#[test]
fn joinall_raise_reports_the_first_failure_at_once_and_leaves_the_others() {
    let stuck = parked();
    let fails = spawn(|| -> u32 { panic!("expected") });
    let failure = joinall_raise([&stuck, &fails]).unwrap_err();
    assert!(matches!(&failure, Failure::Panicked(panic) if panic.message() == "expected"));
    assert!(!stuck.ready());
    stuck.kill();
    let killed = joinall_raise([&stuck, &stuck]).unwrap();
    assert_eq!(killed.len(), 2);
}

#[test]
fn killing_a_joiner_leaves_the_target() {
    green_core::Config::new().hubs(1).apply().ok();
    run(|| {
        let target = parked();
        let theirs = target.clone();
        let joiner = spawn(move || theirs.join());
        let theirs = target.clone();
        let all = spawn(move || joinall_raise([theirs]).is_ok());
        yield_now();
        joiner.kill();
        all.kill();
        assert!(joiner.ready() && all.ready() && !target.ready());
        target.kill();
    });
}
