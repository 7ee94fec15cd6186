//! `util` (gevent's UTL-01 to UTL-03): trees of green threads, and assertions that code lets others run.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::sync::Mutex;
use green_core::util::{GreenletTree, assert_switches, assert_switches_within};
use green_core::{Builder, Greenlet, getcurrent, sleep, spawn, yield_now};
use support::eventually;

const LONG: Duration = Duration::from_millis(20);
const EVER: Duration = Duration::from_secs(600);

macro_rules! on_any_number_of_hubs {
    ($($test:ident)*) => {
        on_hubs!(on_one_hub, 1, [$($test),*]);
        on_hubs!(on_two_hubs, 2, [$($test),*]);
        on_hubs!(on_eight_hubs, 8, [$($test),*]);
    };
}

on_any_number_of_hubs! {
    utl_01_a_dump_has_a_line_for_each
    utl_02_the_forest_has_each_below_its_spawner
    utl_02_the_callers_tree
    utl_02_those_whose_spawner_has_ended_are_roots
    utl_02_a_tree_is_drawn_with_a_line_for_each
    utl_02_a_long_chain
    utl_03_a_block_that_switches
    utl_03_a_block_that_does_not_switch_panics
    utl_03_a_block_that_runs_for_too_long_panics
    utl_03_a_limit_that_is_kept
    utl_03_blocks_inside_each_other
    utl_03_a_block_that_unwinds_is_not_judged
    utl_03_others_on_the_hub_do_not_count
}

/// A green thread that spawns `children` green threads; all of them wait for `gate`.
fn family(gate: &Arc<Event>, name: &str, children: usize) -> Greenlet<()> {
    let theirs = Arc::clone(gate);
    let body = move || {
        let all: Vec<_> = (0..children)
            .map(|n| {
                let gate = Arc::clone(&theirs);
                let child = Builder::new().name(format!("child {n}"));
                child.spawn(move || gate.wait()).unwrap()
            })
            .collect();
        theirs.wait();
        all.iter().for_each(Greenlet::join);
    };
    Builder::new().name(name).spawn(body).unwrap()
}

fn names(trees: &[GreenletTree]) -> Vec<&str> {
    let name = |tree: &GreenletTree| tree.greenlet().name().unwrap_or("-").to_owned();
    trees.iter().map(name).map(|name| &*name.leak()).collect()
}

/// The tree whose root is `g`, anywhere in the forest, once it has so many green threads.
fn tree_of(g: &Greenlet<()>, size: usize) -> GreenletTree {
    let mut found = None;
    eventually("they are spawned", || {
        let mut trees = GreenletTree::forest();
        while let Some(tree) = trees.pop() {
            if tree.greenlet().id() == g.id() {
                found = Some(tree);
            } else {
                trees.extend(tree.child_trees());
            }
        }
        found.as_ref().is_some_and(|tree| tree.size() == size)
    });
    found.unwrap()
}

fn utl_01_a_dump_has_a_line_for_each() {
    let gate = Arc::new(Event::new());
    let parent = family(&gate, "parent", 2);
    tree_of(&parent, 3);
    let mut text = Vec::new();
    green_core::dump(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for name in ["parent", "child 0", "child 1"] {
        let lines = text.lines().filter(|line| line.contains(name));
        assert_eq!(lines.count(), 1, "{text}");
    }
    gate.set();
    parent.join();
}

fn utl_02_the_forest_has_each_below_its_spawner() {
    let gate = Arc::new(Event::new());
    let families = [family(&gate, "one", 2), family(&gate, "two", 0)];
    let tree = tree_of(&families[0], 3);
    assert_eq!(names(&tree.child_trees()), ["child 0", "child 1"]);
    let parent = tree.greenlet();
    assert!(
        tree.child_trees()
            .iter()
            .all(|child| child.greenlet().spawning_greenlet() == Some(parent.id()))
    );
    // Both were spawned by the one who runs this.
    let me = getcurrent().unwrap().id();
    let forest = GreenletTree::forest();
    let mine = forest.iter().find(|tree| tree.greenlet().id() == me);
    assert_eq!(names(&mine.unwrap().child_trees()), ["one", "two"]);
    gate.set();
    families.iter().for_each(Greenlet::join);
}

fn utl_02_the_callers_tree() {
    let root = getcurrent().unwrap().id();
    let g = spawn(move || {
        let tree = GreenletTree::current_tree().unwrap();
        assert_eq!(tree.greenlet().id(), root);
        tree.size()
    });
    assert_eq!(g.get().unwrap(), 2);
    let elsewhere = green_core::blocking(|| GreenletTree::current_tree().is_none());
    assert!(elsewhere, "an OS thread is in no tree");
}

fn utl_02_those_whose_spawner_has_ended_are_roots() {
    let gate = Arc::new(Event::new());
    let theirs = Arc::clone(&gate);
    let orphan = spawn(move || spawn(move || theirs.wait())).get().unwrap();
    eventually("its spawner is off the books", || {
        let forest = GreenletTree::forest();
        forest
            .iter()
            .any(|tree| tree.greenlet().id() == orphan.id())
    });
    gate.set();
    orphan.join();
}

fn utl_02_a_tree_is_drawn_with_a_line_for_each() {
    let gate = Arc::new(Event::new());
    let theirs = Arc::clone(&gate);
    let root = Builder::new().name("root").spawn(move || {
        let families = [family(&theirs, "one", 1), family(&theirs, "two", 0)];
        families.iter().for_each(Greenlet::join);
    });
    let root = root.unwrap();
    let tree = tree_of(&root, 4);
    let drawn = tree.to_string();
    let lines: Vec<_> = drawn.lines().collect();
    assert!(lines[0].contains(" root hub "), "{drawn}");
    let one = tree.child_trees()[0].greenlet().id();
    assert!(
        lines[1].starts_with(&format!("+--- #{one} one hub ")),
        "{drawn}"
    );
    assert!(
        lines[2].starts_with("|    +--- #") && lines[2].contains("child 0"),
        "{drawn}"
    );
    assert!(
        lines[3].starts_with("+--- #") && lines[3].contains(" two "),
        "{drawn}"
    );
    assert!(
        lines.iter().all(|line| line.contains("spawned at")),
        "{drawn}"
    );
    gate.set();
    root.join();
}

/// Spawns one that does the same, so many times, and waits for it.
fn chain(gate: &Arc<Event>, length: usize) {
    let theirs = Arc::clone(gate);
    let next = (length > 0).then(|| spawn(move || chain(&theirs, length - 1)));
    gate.wait();
    if let Some(next) = next {
        next.join();
    }
}

fn utl_02_a_long_chain() {
    let gate = Arc::new(Event::new());
    let theirs = Arc::clone(&gate);
    let first = spawn(move || chain(&theirs, 200));
    let tree = tree_of(&first, 201);
    assert_eq!(tree.to_string().lines().count(), 201);
    assert_eq!(tree.child_trees()[0].child_trees()[0].size(), 199);
    gate.set();
    first.join();
}

/// What an assertion that fails says.
fn failure<T>(f: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("it fails");
    payload.downcast_ref::<String>().expect("a message").clone()
}

fn compute(for_so_long: Duration) {
    let end = Instant::now() + for_so_long;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn utl_03_a_block_that_switches() {
    assert_eq!(assert_switches(|| (yield_now(), 7).1), 7);
    assert_switches(|| sleep(Duration::from_micros(1)));
    assert_switches(|| spawn(|| ()).join());
    // Nothing to wait for on an OS thread, and nothing to keep from anybody.
    green_core::blocking(|| assert_switches(|| ()));
}

fn utl_03_a_block_that_does_not_switch_panics() {
    let free = Mutex::new(());
    let said = failure(|| assert_switches(|| drop(free.lock())));
    assert!(
        said.contains("gevent_util.rs") && said.contains("did not switch"),
        "{said}"
    );
    assert!(
        said.contains(&format!("#{}", getcurrent().unwrap().id())),
        "{said}"
    );
}

fn utl_03_a_block_that_runs_for_too_long_panics() {
    let blocks: [fn(); 3] = [
        || (compute(LONG), yield_now()).1,
        || (yield_now(), compute(LONG)).1,
        || (yield_now(), compute(LONG), yield_now()).2,
    ];
    for block in blocks {
        let said = failure(|| assert_switches_within(LONG / 2, block));
        assert!(said.contains("without a switch"), "{said}");
    }
}

fn utl_03_a_limit_that_is_kept() {
    assert_switches_within(EVER, || (0..10).for_each(|_| yield_now()));
    // Time in which it is parked does not count: bounded by the test runner's patience, not by this limit.
    let parked = Duration::from_millis(50);
    let start = Instant::now();
    assert_switches_within(EVER, || sleep(parked));
    assert!(start.elapsed() >= parked);
}

fn utl_03_blocks_inside_each_other() {
    assert_switches(|| {
        let said = failure(|| assert_switches(|| ()));
        assert!(said.contains("did not switch"), "{said}");
        assert_switches(yield_now);
    });
    let said = failure(|| assert_switches(|| drop(failure(|| assert_switches(|| ())))));
    assert!(
        said.contains("did not switch"),
        "an assertion is no switch: {said}"
    );
}

fn utl_03_a_block_that_unwinds_is_not_judged() {
    let said = failure(|| assert_switches(|| std::panic::panic_any(String::from("mine"))));
    assert_eq!(said, "mine");
    let g = spawn(|| assert_switches(|| sleep(EVER)));
    yield_now();
    g.kill();
    assert!(g.successful(), "a kill goes through");
}

fn utl_03_others_on_the_hub_do_not_count() {
    let busy: Vec<_> = (0..4)
        .map(|_| spawn(|| (0..100).for_each(|_| yield_now())))
        .collect();
    let checked: Vec<_> = (0..20)
        .map(|n| {
            spawn(move || {
                yield_now();
                if n % 2 == 0 {
                    assert_switches(yield_now);
                } else {
                    let said = failure(|| assert_switches(|| ()));
                    assert!(said.contains("did not switch"), "{said}");
                }
            })
        })
        .collect();
    assert!(checked.iter().all(|g| g.get().is_ok()));
    busy.iter().for_each(Greenlet::join);
}
