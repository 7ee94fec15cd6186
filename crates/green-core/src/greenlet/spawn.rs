//! How a green thread is made.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Greenlet;
use super::packet::{Packet, failure};
use crate::error::Failure;
use crate::sched::control::Control;
use crate::sched::waiter::Waiter;
use crate::sched::registry::Registry;
use crate::sched::{
    self, Body, HubShared, Local, Message, Mobility, RemoteStart, Start, Work, placement,
};
use crate::{config, hub};

/// Runs `f` in a green thread.
///
/// It starts when the caller next blocks, at the earliest; on one hub, green threads start in the order
/// in which they were spawned. From `main` and other OS threads this starts the hubs on first use.
///
/// # Panics
///
/// If the hubs cannot be started.
///
/// # Examples
///
/// ```
/// let squares: Vec<_> = (0..10).map(|n| green_core::spawn(move || n * n)).collect();
/// let sum: i32 = green_core::joinall(&squares).iter().map(|g| g.get().unwrap()).sum();
/// assert_eq!(sum, 285);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    launch(Spec::new(Location::caller()), f)
}

/// Runs `f`, which need not be `Send`, in a green thread of the caller's own hub.
///
/// # Panics
///
/// Outside a green thread: wrap `main` in [`run`].
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// green_core::run(|| {
///     let counter = Rc::new(Cell::new(0));
///     let theirs = Rc::clone(&counter);
///     green_core::spawn_local(move || theirs.set(7)).join();
///     assert_eq!(counter.get(), 7);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let (local, ..) =
        sched::current().expect("spawn_local outside a green thread: wrap main in green::run");
    let spec = Spec::new(Location::caller());
    let (control, packet) = prepare(&spec, Some(local), local.shared);
    let body = Box::new(body(Arc::clone(&packet), f));
    let stack_size = spec.stack_size();
    local.push(Work::Start(Start {
        control,
        body: Body::Local(body),
        stack_size,
    }));
    Greenlet { packet }
}

/// Runs `f` in a green thread after `delay`. Killed before that, it never runs.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let begun = Instant::now();
/// let g = green_core::spawn_later(Duration::from_millis(5), Instant::now);
/// assert!(g.get().unwrap() - begun >= Duration::from_millis(5));
/// ```
#[track_caller]
pub fn spawn_later<F, T>(delay: Duration, f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let at = Instant::now().checked_add(delay).unwrap_or_else(far_future);
    launch(
        Spec {
            at: Some(at),
            ..Spec::new(Location::caller())
        },
        f,
    )
}

/// Runs `f` in a green thread and returns its value; inline if the caller is one.
///
/// # Panics
///
/// If `f` panics: with its payload. If its green thread is killed.
///
/// # Examples
///
/// ```
/// assert_eq!(green_core::run(|| 6 * 7), 42);
/// ```
#[track_caller]
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if sched::current().is_some() {
        return f();
    }
    match spawn(f).into_result() {
        Ok(value) => value,
        Err(Failure::Panicked(panic)) => panic.resume(),
        Err(failure) => panic!("green::run: {failure}"),
    }
}

/// What a green thread is to be like.
pub(super) struct Spec {
    pub(super) name: Option<Box<str>>,
    pub(super) site: &'static Location<'static>,
    pub(super) stack_size: Option<usize>,
    pub(super) hub: Option<usize>,
    pub(super) at: Option<Instant>,
}

impl Spec {
    pub(super) fn new(site: &'static Location<'static>) -> Self {
        Self {
            name: None,
            site,
            stack_size: None,
            hub: None,
            at: None,
        }
    }

    fn stack_size(&self) -> usize {
        self.stack_size
            .unwrap_or_else(|| config::freeze().stack_size)
    }
}

/// Makes a green thread and hands it to its hub.
///
/// # Panics
///
/// If `spec.hub` names a hub that does not exist.
pub(super) fn launch<F, T>(spec: Spec, f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    hub::start();
    let local = sched::local();
    let target = spec
        .hub
        .map_or_else(|| placement::place(local), |hub| sched::hubs()[hub]);
    let (control, packet) = prepare(&spec, local, target);
    let body = Box::new(body(Arc::clone(&packet), f));
    let mobility = if spec.hub.is_some() {
        Mobility::Fixed
    } else {
        Mobility::Free
    };
    let start = RemoteStart {
        control,
        body,
        stack_size: spec.stack_size(),
        mobility,
    };
    match (local, spec.at) {
        (Some(local), Some(at)) if std::ptr::eq(local.shared, target) => {
            local.timers(|timers| timers.start_at(at, start.into()));
        }
        (Some(local), None) if std::ptr::eq(local.shared, target) => {
            local.push(Work::Start(start.into()));
        }
        (_, Some(at)) => target.send(Message::StartAt(at, start)),
        (_, None) => target.send(Message::Start(start)),
    }
    Greenlet { packet }
}

/// The records of a new green thread, which is placed on `target`.
fn prepare<T>(
    spec: &Spec,
    local: Option<&'static Local>,
    target: &'static HubShared,
) -> (Arc<Control>, Arc<Packet<T>>) {
    let registry = local.map_or(target, |local| local.shared);
    let control = Control::new(sched::new_id(local), spec.name.clone(), spec.site, registry);
    let control = Arc::new(control);
    control.set_hub(target.id);
    Registry::insert(&registry.registry, &control);
    target.load_increment();
    let packet = Arc::new(Packet::new(Arc::clone(&control)));
    (control, packet)
}

/// A green thread that is to run on `may`.
pub(crate) struct Migrating<F, T> {
    control: Arc<Control>,
    packet: Arc<Packet<T>>,
    f: F,
}

/// Makes the records of a green thread that is to run `f` on `may`.
#[track_caller]
pub(crate) fn migrating<F, T>(f: F) -> (Greenlet<T>, Migrating<F, T>)
where
    F: FnOnce() -> T,
{
    hub::start();
    let hub = placement::place(sched::local());
    let (control, packet) = prepare(&Spec::new(Location::caller()), sched::local(), hub);
    // It burdens no hub.
    hub.load_decrement();
    let task = Migrating {
        control,
        packet: Arc::clone(&packet),
        f,
    };
    (Greenlet { packet }, task)
}

impl<F, T> Migrating<F, T>
where
    F: FnOnce() -> T,
{
    /// Runs it to its end, unless it was killed before. It will wait in `waiter`.
    pub(crate) fn run(self, waiter: &'static Waiter) {
        let Self { control, packet, f } = self;
        if control.start(waiter) {
            let result = catch_unwind(AssertUnwindSafe(f)).map_err(failure);
            packet.publish(result);
        }
    }
}

/// What runs on the carrier: `f`, and the publication of its result.
fn body<F, T>(packet: Arc<Packet<T>>, f: F) -> impl FnOnce()
where
    F: FnOnce() -> T,
{
    move || {
        let result = catch_unwind(AssertUnwindSafe(f)).map_err(failure);
        packet.publish(result);
    }
}

/// A time that does not come.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(60 * 60 * 24 * 365 * 30)
}
