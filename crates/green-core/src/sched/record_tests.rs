//! Who drops what of a record, and when.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::control::{Control, Identity, Mobility, State};
use super::record::{ControlRef, Owner, Payload, Runner, new, new_local, new_unstarted};
use super::{HubShared, registry::Registry};
use crate::error::Failure;
use crate::time::deadline::Deadline;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Payload for Counted {
    fn failed(_: &Owner<Self>, _: Failure) {}
    fn kill(_: &Owner<Self>) {}

    fn join(&self, _: Deadline) -> bool {
        false
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<Failure> {
        None
    }
}

impl Payload for () {
    fn failed(_: &Owner<Self>, _: Failure) {}
    fn kill(_: &Owner<Self>) {}

    fn join(&self, _: Deadline) -> bool {
        false
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<Failure> {
        None
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Panics when it is dropped.
struct Explosive(AtomicBool);

impl Payload for Explosive {
    fn failed(_: &Owner<Self>, _: Failure) {}
    fn kill(_: &Owner<Self>) {}

    fn join(&self, _: Deadline) -> bool {
        false
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<Failure> {
        None
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::Relaxed), "dropped");
    }
}

fn control() -> Control {
    let bell = eventfd(0, EventfdFlags::empty()).unwrap();
    let hub: &'static HubShared = Box::leak(Box::new(HubShared::new(0, bell)));
    Control::new(Identity {
        id: NonZeroU64::MIN,
        parent: None,
        name: Some("a name".into()),
        site: Location::caller(),
        registry: &hub.registry,
        hub: 0,
        stack_size: 65_536,
        mobility: Mobility::Free,
    })
}

/// A record whose payload and body count their drops; the body also counts its runs.
struct Parts {
    owner: Owner<Counted>,
    runner: Runner,
    listed: ControlRef,
    payload: Arc<AtomicUsize>,
    body: Arc<AtomicUsize>,
    ran: Arc<AtomicUsize>,
}

impl Parts {
    fn new() -> Self {
        let [payload, body, ran] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
        let (in_body, runs) = (Counted(Arc::clone(&body)), Arc::clone(&ran));
        let (owner, runner, listed) = new(
            control(),
            Counted(Arc::clone(&payload)),
            move |own: &Owner<Counted>| {
                let _in_body = in_body;
                assert_eq!(own.control().name(), Some("a name"));
                runs.fetch_add(1, Ordering::Relaxed);
                None
            },
        );
        Self {
            owner,
            runner,
            listed,
            payload,
            body,
            ran,
        }
    }
}

fn count(of: &AtomicUsize) -> usize {
    of.load(Ordering::Relaxed)
}

#[test]
fn the_body_runs_once_and_goes() {
    let Parts {
        owner,
        runner,
        listed,
        payload,
        body,
        ran,
    } = Parts::new();
    let running = runner.begin();
    running.run();
    running.run();
    assert_eq!((count(&ran), count(&body), count(&payload)), (1, 1, 0));
    let control = running.control_ref();
    drop(running);
    drop(owner);
    assert_eq!(count(&payload), 1, "the handle was the last owner");
    drop(control);
    assert_eq!(
        listed.state(),
        State::New,
        "the control block is still there"
    );
}

#[test]
fn a_body_that_does_not_run_is_dropped_with_its_runner() {
    let parts = Parts::new();
    drop(parts.runner);
    assert_eq!((count(&parts.ran), count(&parts.body)), (0, 1));
    drop(parts.owner);
    assert_eq!(count(&parts.payload), 1);

    let parts = Parts::new();
    drop(parts.owner);
    assert_eq!(count(&parts.payload), 0, "the runner is an owner, too");
    let running = parts.runner.begin();
    running.drop_body();
    assert_eq!((count(&parts.body), count(&parts.payload)), (1, 0));
    drop(running);
    assert_eq!((count(&parts.body), count(&parts.payload)), (1, 1));
    assert_eq!(count(&parts.ran), 0);
}

#[test]
fn owners_can_be_cloned_and_let_go_anywhere() {
    let parts = Parts::new();
    let others: Vec<_> = (0..4).map(|_| parts.owner.clone()).collect();
    drop(parts.owner);
    std::thread::scope(|scope| {
        for other in others {
            scope.spawn(move || drop(other));
        }
    });
    assert_eq!(count(&parts.payload), 0);
    drop(parts.runner);
    assert_eq!(count(&parts.payload), 1);
}

#[test]
fn the_runner_of_a_local_body_does_not_travel() {
    let rc = std::rc::Rc::new(());
    let theirs = std::rc::Rc::clone(&rc);
    let (owner, runner, _listed) = new_local(control(), (), move |_: &Owner<()>| {
        drop(theirs);
        None
    });
    let runner = runner.into_sendable().expect_err("its body is not `Send`");
    runner.begin().run();
    assert_eq!(std::rc::Rc::strong_count(&rc), 1);
    drop(owner);

    let runner = Parts::new().runner.into_sendable().unwrap();
    let travelled = std::thread::scope(|scope| {
        let there = scope.spawn(move || runner.into_runner().control().id());
        there.join().unwrap()
    });
    assert_eq!(travelled, NonZeroU64::MIN);
}

#[test]
fn an_unstarted_body_goes_with_the_last_owner_or_with_its_one_runner() {
    let unstarted = || {
        let [payload, body] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
        let in_body = Counted(Arc::clone(&body));
        let (owner, listed) = new_unstarted(
            control(),
            Counted(Arc::clone(&payload)),
            move |_: &Owner<Counted>| {
                drop(in_body);
                None
            },
        );
        listed.registration().0.insert(listed);
        (owner, payload, body)
    };
    let (owner, payload, body) = unstarted();
    let registry = owner.control().registration().0;
    let other = owner.clone();
    drop(owner);
    assert_eq!((count(&payload), count(&body)), (0, 0));
    drop(other);
    assert_eq!((count(&payload), count(&body)), (1, 1));
    assert_eq!(registry.counts(), (0, 1), "it is not listed any more");

    let (owner, payload, body) = unstarted();
    let runner = owner.start().expect("the first");
    assert!(owner.start().is_none());
    drop(owner);
    assert_eq!((count(&payload), count(&body)), (0, 0));
    let running = runner.into_runner().begin();
    running.run();
    assert_eq!((count(&payload), count(&body)), (0, 1));
    drop(running);
    assert_eq!((count(&payload), count(&body)), (1, 1));
}

#[test]
fn destructors_that_panic_leave_nothing_behind() {
    // What is left is what the leak checker of a sanitizer build would find; here: nothing is dropped twice.
    let armed = || Explosive(AtomicBool::new(true));
    let (owner, runner, listed) = new_local(control(), armed(), |_: &Owner<Explosive>| None);
    drop(runner);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(owner))).is_err());
    assert_eq!(listed.name(), Some("a name"));

    let in_body = armed();
    let (owner, runner, _listed) = new_local(control(), (), move |_: &Owner<()>| {
        drop(in_body);
        None
    });
    assert!(catch_unwind(AssertUnwindSafe(|| drop(runner))).is_err());
    drop(owner);
}

#[test]
fn the_registry_keeps_the_control_block_only() {
    let Parts {
        owner,
        runner,
        listed,
        payload,
        ..
    } = Parts::new();
    let (registry, _) = listed.registration();
    registry.insert(listed);
    assert_eq!(registry.counts(), (1, 0));
    let seen = registry.snapshot();
    drop(Registry::remove(owner.control()));
    assert_eq!(registry.counts(), (0, 1));
    drop((owner, runner));
    assert_eq!(count(&payload), 1, "a look at it does not keep the payload");
    assert_eq!(seen[0].name(), Some("a name"));
}

#[test]
fn a_runner_gives_up_what_its_body_returns() {
    // Its own reference goes with the runner's, one of another record by itself; either way each is given up once.
    let Parts { owner, listed, .. } = Parts::new();
    let weak = listed.clone();
    for (returned, kept) in [(Some(listed), 2), (None, 3)] {
        let body = move |own: &Owner<()>| returned.or_else(|| Some(own.control_ref()));
        let (theirs, runner, control) = new_local(control(), (), body);
        let running = runner.begin();
        running.run();
        drop(theirs);
        assert_eq!(
            control.references(),
            kept + 1,
            "the runner is an owner and a reference"
        );
        drop(running);
        assert_eq!(control.references(), 1);
    }
    assert_eq!(weak.references(), 2, "the owner's, and this one");
    drop(owner);
}

#[test]
fn memory_is_kept_by_size() {
    use super::memory::{Memory, allocate, release};
    use std::alloc::Layout;

    let kept = Memory::default();
    let layout = |size, align| Layout::from_size_align(size, align).unwrap();
    let (small, large) = (layout(100, 8), layout(500, 8));
    let first = allocate(Some(&kept), small);
    let other = allocate(Some(&kept), large);
    // SAFETY: each was allocated with this layout, and is not used.
    unsafe { release(Some(&kept), first, small) };
    // SAFETY: as above.
    unsafe { release(Some(&kept), other, large) };
    assert_eq!(
        allocate(Some(&kept), layout(128, 16)),
        first,
        "the same size"
    );
    assert_eq!(allocate(Some(&kept), large), other);
    // What is too large or too aligned to be kept, and a caller that keeps nothing.
    for odd in [layout(513, 8), layout(64, 64), layout(4096, 4096)] {
        let memory = allocate(Some(&kept), odd);
        assert!(memory.as_ptr().addr().is_multiple_of(odd.align()));
        // SAFETY: as above.
        unsafe { release(None, memory, odd) };
    }
    for memory in [first, other] {
        let layout = if memory == first { small } else { large };
        // SAFETY: as above.
        unsafe { release(None, memory, layout) };
    }
}
