//! Groups and pools (gevent's POOL-01 to POOL-19 and POOL-22, rules 33 to 40); `imap` is in `gevent_imap.rs`.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

mod support;
#[path = "support/waits.rs"]
mod waits;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::pool::{Group, Pool, Refused};
use green_core::queue::Queue;
use green_core::{
    Config, Failure, Greenlet, joinall, run, sleep, spawn, spawn_later, timeout, yield_now,
};
use support::eventually;
use waits::wait_begins;

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(2);

fn on(hubs: usize, f: fn()) {
    Config::new().hubs(hubs).apply().ok();
    run(f);
}

/// Each of these holds on any number of hubs.
macro_rules! on_all_hubs {
    ($($name:ident)*) => {
        mod on_one_hub {
            $(#[test] fn $name() { super::on(1, super::$name); })*
        }
        mod on_two_hubs {
            $(#[test] fn $name() { super::on(2, super::$name); })*
        }
        mod on_eight_hubs {
            $(#[test] fn $name() { super::on(8, super::$name); })*
        }
    };
}

/// Each of these needs gevent's order.
macro_rules! on_one_hub {
    ($($name:ident)*) => {
        mod in_order {
            $(#[test] fn $name() { super::on(1, super::$name); })*
        }
    };
}

on_all_hubs! {
    pool_01_members_of_any_type_leave_when_they_end
    pool_01_members_can_be_listed
    pool_02_add_tracks_what_runs_and_lets_go_of_what_has_ended
    pool_02_a_member_that_is_added_again_takes_one_place
    pool_03_discard_frees_the_place_and_lets_live
    pool_05_join_returns_at_once_from_an_empty_group
    pool_05_join_waits_for_what_members_spawn
    pool_05_join_tells_whether_it_was_in_time
    pool_05_join_raise_looks_at_the_members_of_the_call
    pool_06_kill_ends_all_that_wait
    pool_06_kill_asks_each_member_once
    pool_06_kill_tells_whether_it_was_in_time
    pool_06_kill_takes_those_along_that_come_meanwhile
    pool_07_killone_kills_members_once
    pool_08_a_group_is_never_full
    pool_09_a_pool_of_size_zero_admits_nobody
    pool_10_there_are_never_more_members_than_places
    pool_10_an_interrupted_spawn_takes_no_place
    pool_11_a_full_pool_says_so
    pool_12_free_count
    pool_14_wait_available_takes_nothing
    pool_15_apply_returns_the_value_or_the_failure
    pool_15_apply_in_a_member_runs_there
    pool_15_who_is_killed_in_apply_takes_the_member_with_it
    pool_17_apply_async_does_not_wait
    pool_18_map_keeps_the_order
    pool_18_map_fails_by_the_first_item_that_failed_and_the_others_run_on
    pool_18_map_takes_its_workers_with_it
    pool_18_map_with_items_that_panic
    pool_19_map_async
    pool_22_close_refuses_who_waits_and_who_comes
    pool_22_who_got_in_before_it_closed_runs
    pool_06_a_kill_finds_those_on_their_way_or_spares_them
    rule_33_a_member_that_spawns_into_its_full_pool_waits_for_itself
    rule_34_a_place_is_free_once_its_member_is_joined
    rule_34_a_member_has_ended_once_its_pool_is_empty
    rule_36_a_member_killed_before_it_started_frees_its_place
    rule_40_join_does_not_wait_for_what_waits_outside
}

on_one_hub! {
    pool_04_members_start_in_order_when_the_caller_waits
    pool_04_a_member_that_never_starts_keeps_nothing
    pool_04_who_comes_and_goes_leaves_nothing
    pool_05_a_joiner_sees_a_moment_that_is_over
    pool_06_kill_of_members_that_have_not_started_runs_none
    pool_10_who_waits_longest_gets_in_first
    pool_10_nobody_is_overtaken_for_ever
    pool_14_what_is_kept_for_others_is_not_available
    rule_37_who_waits_to_get_in_survives_a_kill
}

fn sleeper(group: &Group) -> Greenlet<()> {
    group.spawn(|| sleep(EVER))
}

/// Green threads that count how many of them run at once.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn visit(&self) {
        self.most.fetch_max(
            self.now.fetch_add(1, Ordering::SeqCst) + 1,
            Ordering::SeqCst,
        );
        yield_now();
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn pool_01_members_of_any_type_leave_when_they_end() {
    let group = Group::new();
    assert!(group.is_empty());
    let go = Arc::new(Event::new());
    let (one, two) = (Arc::clone(&go), Arc::clone(&go));
    let number = group.spawn(move || {
        one.wait();
        7
    });
    let word = group.spawn(move || {
        two.wait();
        "seven"
    });
    let other = spawn(|| ());
    assert_eq!(group.len(), 2);
    assert!(group.contains(&number) && group.contains(&word) && !group.contains(&other));
    go.set();
    assert_eq!(number.get().unwrap(), 7);
    assert_eq!(word.get().unwrap(), "seven");
    group.join();
    assert!(group.is_empty() && !group.contains(&number));
}

fn pool_01_members_can_be_listed() {
    let three: [Greenlet<()>; 3] = [(), (), ()].map(|()| spawn(|| sleep(EVER)));
    let group: Group = three.iter().cloned().collect();
    let ids: Vec<_> = group.into_iter().map(|member| member.id()).collect();
    assert_eq!(ids, three.each_ref().map(Greenlet::id));
    for member in &group {
        assert!(!member.ready() && member.name().is_none());
        member.kill_nowait();
        member.join();
        assert!(member.exception().is_none());
    }
    group.join();
}

fn pool_02_add_tracks_what_runs_and_lets_go_of_what_has_ended() {
    let group = Group::new();
    let running = spawn(|| sleep(EVER));
    group.add(&running).unwrap();
    let later = spawn_later(EVER, || ());
    group.add(&later).unwrap();
    let ended = spawn(|| ());
    ended.join();
    group.add(&ended).unwrap();
    assert!(!group.contains(&ended));
    assert_eq!(group.len(), 2);
    running.kill();
    later.kill();
    group.join();
}

fn pool_02_a_member_that_is_added_again_takes_one_place() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    assert_eq!(pool.try_add(&member), Ok(()));
    assert_eq!(pool.add(&member), Ok(()));
    assert_eq!((pool.len(), pool.free_count()), (1, Some(0)));
    member.kill();
    pool.join();
    assert_eq!(pool.free_count(), Some(1));
}

fn pool_03_discard_frees_the_place_and_lets_live() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    assert!(pool.discard(&member));
    assert!(!pool.discard(&member));
    assert!(!member.has_links());
    assert_eq!(pool.free_count(), Some(1));
    pool.kill();
    assert!(!member.ready());
    let other = pool.try_spawn(|| ()).unwrap();
    other.join();
    member.kill();
    assert_eq!(pool.free_count(), Some(1));
}

fn pool_04_members_start_in_order_when_the_caller_waits() {
    let group = Group::new();
    let log = Queue::unbounded();
    for n in 0..10 {
        let log = log.clone();
        group.spawn(move || log.put(n).unwrap());
    }
    assert!(log.is_empty());
    group.join();
    log.close();
    assert!(log.iter().eq(0..10));
}

fn pool_05_join_returns_at_once_from_an_empty_group() {
    green_core::no_park(|| {
        Group::new().join();
        assert!(Group::new().join_timeout(Duration::ZERO));
    });
}

fn pool_05_join_waits_for_what_members_spawn() {
    let group = Group::new();
    let count = Arc::new(AtomicUsize::new(0));
    fn descend(group: &Group, count: &Arc<AtomicUsize>, depth: usize) {
        count.fetch_add(1, Ordering::SeqCst);
        yield_now();
        if depth > 0 {
            let (theirs, count) = (group.clone(), Arc::clone(count));
            group.spawn(move || descend(&theirs, &count, depth - 1));
        }
    }
    descend(&group, &count, 10);
    group.join();
    assert_eq!(count.load(Ordering::SeqCst), 11);
}

fn pool_05_join_tells_whether_it_was_in_time() {
    let group = Group::new();
    let member = sleeper(&group);
    assert!(!group.join_timeout(SHORT));
    assert!(!group.join_timeout(Duration::ZERO));
    member.kill();
    assert!(group.join_timeout(EVER));
}

fn pool_05_join_raise_looks_at_the_members_of_the_call() {
    let group = Group::new();
    assert!(group.join_raise().is_ok());
    let before = group.spawn(|| panic!("before the call"));
    before.join();
    eventually("it has left", || group.is_empty());
    let killed = sleeper(&group);
    killed.kill_nowait();
    assert!(group.join_raise().is_ok());
    let go = Arc::new(Event::new());
    let theirs = Arc::clone(&go);
    let caller = green_core::getcurrent().unwrap().id();
    group.spawn(move || {
        theirs.wait();
        wait_begins(caller, "join");
        panic!("a member")
    });
    assert!(matches!(group.join_raise_timeout(SHORT), Ok(false)));
    go.set();
    let failure = group.join_raise().unwrap_err();
    assert!(matches!(failure, Failure::Panicked(panic) if panic.message() == "a member"));
    assert!(before.exception().is_some());
    // Also after a time limit.
    let stays = sleeper(&group);
    group.spawn(move || {
        wait_begins(caller, "join");
        panic!("meanwhile")
    });
    assert!(
        group
            .join_raise_timeout(Duration::from_millis(200))
            .is_err()
    );
    stays.kill();
}

fn pool_05_a_joiner_sees_a_moment_that_is_over() {
    let group = Group::new();
    let go = Arc::new(Event::new());
    let theirs = Arc::clone(&go);
    group.spawn(move || theirs.wait());
    let joiner = {
        let group = group.clone();
        spawn(move || group.join())
    };
    yield_now();
    go.set();
    // The member ends before the joiner runs; the next one is there by then.
    let spawner = {
        let group = group.clone();
        spawn(move || sleeper(&group))
    };
    let next = spawner.get().unwrap();
    joiner.join();
    assert_eq!(group.len(), 1);
    next.kill();
}

fn pool_06_kill_ends_all_that_wait() {
    let group = Group::new();
    let members: Vec<_> = (0..20).map(|_| sleeper(&group)).collect();
    yield_now();
    group.kill();
    assert!(group.is_empty());
    assert!(
        members
            .iter()
            .all(|g| matches!(g.get(), Err(Failure::Killed)))
    );
    green_core::no_park(|| group.kill());
}

fn pool_06_kill_of_members_that_have_not_started_runs_none() {
    let group = Group::new();
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..5 {
        let ran = Arc::clone(&ran);
        group.spawn(move || ran.fetch_add(1, Ordering::SeqCst));
    }
    group.kill();
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert!(group.is_empty());
}

fn pool_06_kill_asks_each_member_once() {
    let group = Group::new();
    let (caught, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Event::new()));
    let theirs = (Arc::clone(&caught), Arc::clone(&go));
    let parked = Arc::new(Event::new());
    let signal = Arc::clone(&parked);
    let stubborn = group.spawn(move || {
        while !theirs.1.is_set() {
            signal.set();
            let waited = std::panic::catch_unwind(AssertUnwindSafe(|| theirs.1.wait()));
            theirs
                .0
                .fetch_add(usize::from(waited.is_err()), Ordering::SeqCst);
        }
    });
    parked.wait();
    group.kill_nowait();
    assert!(!group.kill_timeout(SHORT));
    group.kill_nowait();
    group.killone_nowait(&stubborn);
    eventually("it has caught one", || caught.load(Ordering::SeqCst) == 1);
    // An own kill is another one.
    stubborn.kill_nowait();
    eventually("it has caught two", || caught.load(Ordering::SeqCst) == 2);
    go.set();
    group.kill();
    assert!(stubborn.successful());
    assert_eq!(stubborn.get().unwrap(), ());
}

fn pool_06_kill_tells_whether_it_was_in_time() {
    let group = Group::new();
    let go = Arc::new(Event::new());
    let theirs = Arc::clone(&go);
    group.spawn(move || green_core::mask_kill(|| theirs.wait()));
    sleep(SHORT);
    assert!(!group.kill_timeout(SHORT));
    assert_eq!(group.len(), 1);
    go.set();
    assert!(group.kill_timeout(EVER));
}

fn pool_06_kill_takes_those_along_that_come_meanwhile() {
    /// Leaves another sleeper behind.
    struct Heir(Group);
    impl Drop for Heir {
        fn drop(&mut self) {
            sleeper(&self.0);
        }
    }
    let group = Group::new();
    let (heir, parked) = (Heir(group.clone()), Arc::new(Event::new()));
    let signal = Arc::clone(&parked);
    group.spawn(move || {
        let _heir = heir;
        signal.set();
        sleep(EVER);
    });
    parked.wait();
    group.kill();
    assert!(group.is_empty());
}

fn pool_07_killone_kills_members_once() {
    let group = Group::new();
    let (member, other) = (sleeper(&group), spawn(|| sleep(EVER)));
    assert!(!group.killone_timeout(&other, EVER));
    group.killone(&other);
    assert!(!other.ready());
    group.killone(&member);
    assert!(member.ready() && group.is_empty());
    assert!(group.killone_timeout(&member, EVER));
    other.kill();
}

fn pool_08_a_group_is_never_full() {
    let group = Group::new();
    let members: Vec<_> = (0..100).map(|_| sleeper(&group)).collect();
    assert!(!group.is_full());
    green_core::no_park(|| assert_eq!(group.wait_available(), 1));
    group.kill();
    assert!(members.iter().all(Greenlet::ready));
}

fn pool_09_a_pool_of_size_zero_admits_nobody() {
    let pool = Pool::new(0);
    assert!(pool.is_full());
    assert!(matches!(pool.try_spawn(|| ()), Err(Refused::Full(_))));
    assert!(timeout(SHORT, || pool.spawn(|| ())).is_err());
    assert!(pool.join_timeout(Duration::ZERO));
    let any = Pool::new(None);
    assert_eq!(
        (any.size(), any.free_count(), any.is_full()),
        (None, None, false)
    );
    assert_eq!(Pool::new(Some(3)).size(), Some(3));
}

fn pool_10_there_are_never_more_members_than_places() {
    let pool = Pool::new(3);
    let crowd = Arc::new(Crowd::default());
    let all: Vec<_> = (0..100)
        .map(|_| {
            let crowd = Arc::clone(&crowd);
            pool.spawn(move || crowd.visit())
        })
        .collect();
    joinall(&all);
    assert!(crowd.most.load(Ordering::SeqCst) <= 3);
    assert_eq!(pool.free_count(), Some(3));
}

fn pool_10_who_waits_longest_gets_in_first() {
    let pool = Pool::new(1);
    let first = sleeper(&pool);
    let log = Queue::unbounded();
    let spawners: Vec<_> = (0..5)
        .map(|n| {
            let (pool, log) = (pool.clone(), log.clone());
            spawn(move || pool.spawn(move || log.put(n).unwrap()).join())
        })
        .collect();
    yield_now();
    first.kill();
    joinall(&spawners);
    log.close();
    assert!(log.iter().eq(0..5));
}

fn pool_10_nobody_is_overtaken_for_ever() {
    let pool = Pool::new(1);
    let first = sleeper(&pool);
    let theirs = pool.clone();
    let waiter = spawn(move || theirs.spawn(|| ()).join());
    yield_now();
    first.kill();
    let mut rounds = 0;
    while !waiter.ready() {
        // Who has joined a member runs before who waits for its place.
        pool.spawn(|| ()).join();
        rounds += 1;
        assert!(rounds < 1_000, "somebody is overtaken for ever");
    }
    assert!((30..=36).contains(&rounds), "{rounds}");
}

fn pool_14_what_is_kept_for_others_is_not_available() {
    let pool = Pool::new(1);
    let first = sleeper(&pool);
    let theirs = pool.clone();
    let waiter = spawn(move || theirs.spawn(|| ()).join());
    yield_now();
    first.kill();
    let mut member = Some(pool.spawn(|| ()));
    let mut rounds = 0;
    while !waiter.ready() {
        if let Some(member) = member.take() {
            member.join();
        }
        // A place that is kept for the one that waits: whoever is told that it is available must get it.
        member = pool.try_spawn(|| ()).ok();
        if member.is_none() {
            pool.wait_available();
        }
        rounds += 1;
        assert!(rounds < 1_000, "neither gets in");
    }
}

fn pool_04_a_member_that_never_starts_keeps_nothing() {
    let dropped = Arc::new(());
    let theirs = Arc::clone(&dropped);
    let group = Group::new();
    let member = Greenlet::new(move || drop(theirs));
    group.add(&member).unwrap();
    drop((group, member));
    assert_eq!(Arc::strong_count(&dropped), 1);
}

fn pool_04_who_comes_and_goes_leaves_nothing() {
    let member = spawn(|| sleep(EVER));
    let groups: Vec<_> = (0..3).map(|_| Group::new()).collect();
    for _ in 0..100 {
        for group in &groups {
            group.add(&member).unwrap();
            assert!(group.discard(&member));
        }
    }
    groups[0].add(&member).unwrap();
    groups[2].add(&member).unwrap();
    member.kill();
    assert!(groups.iter().all(Group::is_empty));
}

fn pool_10_an_interrupted_spawn_takes_no_place() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    assert!(timeout(SHORT, || pool.spawn(|| ())).is_err());
    let theirs = pool.clone();
    let spawner = spawn(move || theirs.spawn(|| ()).join());
    sleep(SHORT);
    spawner.kill();
    member.kill();
    pool.join();
    assert_eq!(pool.free_count(), Some(1));
    pool.try_spawn(|| ()).unwrap().join();
}

fn pool_11_a_full_pool_says_so() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    let refused = pool.try_spawn(|| 7).unwrap_err();
    assert_eq!(refused.to_string(), "the pool is full");
    assert_eq!(refused.into_inner()(), 7);
    assert!(matches!(
        pool.spawn_timeout(SHORT, || ()),
        Err(Refused::Full(_))
    ));
    let other = spawn(|| sleep(EVER));
    assert_eq!(pool.try_add(&other), Err(Refused::Full(())));
    assert_eq!(pool.add_timeout(&other, SHORT), Err(Refused::Full(())));
    member.kill();
    assert_eq!(pool.add_timeout(&other, EVER), Ok(()));
    assert!(pool.contains(&other));
    pool.kill();
    assert!(other.ready());
}

fn pool_12_free_count() {
    let pool = Pool::new(2);
    assert_eq!(pool.free_count(), Some(2));
    sleeper(&pool);
    assert_eq!((pool.free_count(), pool.is_full()), (Some(1), false));
    sleeper(&pool);
    assert_eq!((pool.free_count(), pool.is_full()), (Some(0), true));
    pool.kill();
    assert_eq!(pool.free_count(), Some(2));
}

fn pool_14_wait_available_takes_nothing() {
    let pool = Pool::new(1);
    assert_eq!(pool.wait_available(), 1);
    let member = sleeper(&pool);
    assert_eq!(pool.wait_available_timeout(SHORT), 0);
    let waiters = [(), ()].map(|()| {
        let pool = pool.clone();
        spawn(move || pool.wait_available())
    });
    sleep(SHORT);
    member.kill();
    for waiter in &waiters {
        assert_eq!(waiter.get().unwrap(), 1);
    }
    assert_eq!(pool.free_count(), Some(1));
}

fn pool_15_apply_returns_the_value_or_the_failure() {
    let pool = Pool::new(1);
    assert_eq!(pool.apply(|| 7).unwrap(), 7);
    let failure = pool.apply(|| panic!("in vain")).unwrap_err();
    assert!(matches!(failure, Failure::Panicked(panic) if panic.message() == "in vain"));
    assert_eq!(pool.free_count(), Some(1));
}

fn pool_15_apply_in_a_member_runs_there() {
    let pool = Pool::new(1);
    let theirs = pool.clone();
    let nested = pool.apply(move || {
        let outer = green_core::getcurrent().map(|me| me.id());
        let inner = theirs.apply(|| green_core::getcurrent().map(|me| me.id()));
        assert_eq!(inner.unwrap(), outer);
        assert!(theirs.apply(|| panic!("inside")).is_err());
        outer
    });
    assert!(nested.unwrap().is_some());
    // An interrupt is not the inner one's failure.
    let theirs = pool.clone();
    let member = pool.spawn(move || theirs.apply(|| sleep(EVER)).is_ok());
    yield_now();
    member.kill();
    assert!(matches!(member.get(), Err(Failure::Killed)));
}

fn pool_15_who_is_killed_in_apply_takes_the_member_with_it() {
    let pool = Pool::new(1);
    assert!(timeout(SHORT, || pool.apply(|| sleep(EVER))).is_err());
    assert!(pool.join_timeout(Duration::from_secs(60)));
}

fn pool_17_apply_async_does_not_wait() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    let later = green_core::no_park(|| pool.apply_async(|| 7));
    let failing = pool.apply_async(|| panic!("in vain"));
    let unlucky = pool.apply_async(|| ());
    assert_eq!(pool.len(), 1);
    sleep(SHORT);
    unlucky.kill();
    assert!(!later.ready());
    member.kill();
    assert_eq!(later.get().unwrap(), 7);
    assert!(matches!(failing.get(), Err(Failure::Panicked(_))));
    assert_eq!(pool.apply_async(|| 8).get().unwrap(), 8);
    eventually("all places are free", || pool.free_count() == Some(1));
}

fn pool_18_map_keeps_the_order() {
    let pool = Pool::new(3);
    let squares = pool.map(0..100_u64, |n| {
        if n % 7 == 0 {
            yield_now();
        }
        n * n
    });
    assert!(squares.unwrap().into_iter().eq((0..100).map(|n| n * n)));
    assert!(pool.map([0; 0], |n| n).unwrap().is_empty());
    assert_eq!(Group::new().map(["a", "bc"], str::len).unwrap(), [1, 2]);
}

fn pool_18_map_fails_by_the_first_item_that_failed_and_the_others_run_on() {
    let pool = Pool::new(10);
    let ran = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ran);
    let result = pool.map(0..5, move |n| {
        match n {
            // The first one in order fails last.
            1 => sleep(SHORT),
            4 => sleep(Duration::from_millis(20)),
            _ => {}
        }
        assert!(n != 1 && n != 3, "number {n}");
        theirs.fetch_add(1, Ordering::SeqCst);
    });
    let failure = result.unwrap_err();
    assert!(matches!(failure, Failure::Panicked(panic) if panic.message() == "number 1"));
    pool.join();
    assert_eq!(ran.load(Ordering::SeqCst), 3);
}

fn pool_18_map_takes_its_workers_with_it() {
    let pool = Pool::new(3);
    assert!(timeout(SHORT, || pool.map(0..3, |_| sleep(EVER))).is_err());
    pool.join();
    // Also while it waits for places.
    assert!(timeout(SHORT, || pool.map(0..10, |_| sleep(EVER))).is_err());
    pool.join();
    assert_eq!(pool.free_count(), Some(3));
}

fn pool_18_map_with_items_that_panic() {
    let pool = Pool::new(3);
    let theirs = pool.clone();
    let mapper = spawn(move || {
        let items = (0..3).inspect(|&n| assert!(n < 2, "no more"));
        theirs.map(items, |_| sleep(EVER)).is_ok()
    });
    assert!(matches!(mapper.get(), Err(Failure::Panicked(panic)) if panic.message() == "no more"));
    pool.join();
}

fn pool_19_map_async() {
    let pool = Pool::new(2);
    let sizes = pool.map_async(["a", "bc", "def"], str::len);
    assert_eq!(sizes.get().unwrap().unwrap(), [1, 2, 3]);
    let endless = pool.map_async(0..10, |_| sleep(EVER));
    eventually("it has begun", || pool.is_full());
    endless.kill();
    pool.join();
    assert_eq!(pool.free_count(), Some(2));
}

fn pool_22_close_refuses_who_waits_and_who_comes() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    let theirs = pool.clone();
    let waiting = spawn(move || {
        theirs
            .spawn_timeout(EVER, || ())
            .map(|_| ())
            .map_err(|_| ())
    });
    let theirs = pool.clone();
    let spawning = spawn(move || theirs.spawn(|| 7).get());
    let theirs = pool.clone();
    let watching = spawn(move || theirs.wait_available());
    sleep(SHORT);
    pool.close();
    assert!(pool.is_closed());
    assert_eq!(waiting.get().unwrap(), Err(()));
    assert!(matches!(spawning.get().unwrap(), Err(Failure::Killed)));
    assert_eq!(watching.get().unwrap(), 0);
    assert!(matches!(pool.try_spawn(|| ()), Err(Refused::Closed(_))));
    assert_eq!(
        pool.try_add(&spawn(|| sleep(SHORT))),
        Err(Refused::Closed(()))
    );
    assert!(matches!(pool.spawn(|| 7).get(), Err(Failure::Killed)));
    assert!(matches!(pool.apply(|| 7), Err(Failure::Killed)));
    assert!(matches!(pool.apply_async(|| 7).get(), Err(Failure::Killed)));
    assert!(matches!(pool.map(0.., |n| n), Err(Failure::Killed)));
    assert!(!member.ready());
    pool.kill();
    assert!(pool.is_empty());
}

fn rule_33_a_member_that_spawns_into_its_full_pool_waits_for_itself() {
    let pool = Pool::new(1);
    let theirs = pool.clone();
    let spawned = pool.apply(move || {
        assert!(timeout(SHORT, || theirs.spawn(|| ())).is_err());
        theirs.spawn_timeout(SHORT, || ()).is_ok()
    });
    assert!(!spawned.unwrap());
}

fn rule_34_a_place_is_free_once_its_member_is_joined() {
    let pool = Pool::new(1);
    for _ in 0..100 {
        let member = pool.try_spawn(yield_now).unwrap();
        let joiners: Vec<_> = (0..2)
            .map(|_| {
                let member = member.clone();
                spawn(move || member.join())
            })
            .collect();
        joinall(&joiners);
        member.join();
        assert_eq!(pool.free_count(), Some(1));
    }
}

fn pool_22_who_got_in_before_it_closed_runs() {
    for _ in 0..50 {
        let group = Group::new();
        let theirs = group.clone();
        let closer = spawn(move || theirs.close());
        let members: Vec<_> = (0..100)
            .map_while(|n| {
                yield_now();
                group.try_spawn(move || n).ok()
            })
            .collect();
        closer.join();
        for (n, member) in members.iter().enumerate() {
            assert_eq!(member.get().unwrap(), n);
        }
        assert!(group.try_spawn(|| ()).is_err());
    }
}

fn pool_06_a_kill_finds_those_on_their_way_or_spares_them() {
    for _ in 0..50 {
        let group = Group::new();
        let theirs = group.clone();
        let spawner = spawn(move || {
            let spawn_one = |_| {
                yield_now();
                sleeper(&theirs)
            };
            (0..20).map(spawn_one).collect::<Vec<_>>()
        });
        group.kill();
        let members = spawner.get().unwrap();
        // A dead one is no member any more, and no other one is missing.
        for member in &members {
            assert_ne!(member.ready(), group.contains(member));
        }
        group.kill();
        assert!(members.iter().all(Greenlet::ready) && group.is_empty());
    }
}

fn rule_34_a_member_has_ended_once_its_pool_is_empty() {
    let pool = Pool::new(8);
    for round in 0..200 {
        let members: Vec<_> = (0..3)
            .map(|n| pool.spawn(move || assert!(n != 1, "round {round}")))
            .collect();
        pool.join();
        assert!(members.iter().all(Greenlet::ready));
        assert!(members[1].exception().is_some());
        assert_eq!(pool.free_count(), Some(8));
    }
}

fn rule_36_a_member_killed_before_it_started_frees_its_place() {
    let pool = Pool::new(1);
    let later = spawn_later(EVER, || ());
    pool.add(&later).unwrap();
    later.kill();
    assert_eq!(pool.free_count(), Some(1));
    let member = pool.spawn(|| ());
    member.kill();
    assert_eq!(pool.free_count(), Some(1));
}

fn rule_37_who_waits_to_get_in_survives_a_kill() {
    let pool = Pool::new(1);
    sleeper(&pool);
    let theirs = pool.clone();
    let spawner = spawn(move || sleeper(&theirs));
    yield_now();
    pool.kill();
    let survivor = spawner.get().unwrap();
    assert!(!survivor.ready());
    assert_eq!(pool.len(), 1);
    survivor.kill();
}

fn rule_40_join_does_not_wait_for_what_waits_outside() {
    let pool = Pool::new(1);
    let member = sleeper(&pool);
    let outside = pool.apply_async(|| sleep(EVER));
    yield_now();
    pool.close();
    member.kill();
    pool.join();
    assert!(matches!(outside.get(), Err(Failure::Killed)));
}
