//! How a green thread is made.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::packet::{Packet, failure};
use super::{Greenlet, kill, local, spawn_callback};
use crate::engine::make_room;
use crate::error::Failure;
use crate::hub::quiet::Quiet;
use crate::park::Green;
use crate::sched::control::{Control, Identity, Mobility};
use crate::sched::record::{self, ControlRef, Owner, Runner, SendRunner};
use crate::sched::registry::MIGRATING;
use crate::sched::waiter::Waiter;
use crate::sched::{self, HubShared, Local, Message, Work, count, placement};
use crate::waitable::iwait;
use crate::{config, debug, hub};

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
    make_room();
    let own =
        sched::current().expect("spawn_local outside a green thread: wrap main in green::run");
    let local = own.hub;
    let identity = Spec::new(Location::caller()).identity(Some(local), local.shared);
    let (record, runner, listed) =
        record::new_local(Control::new(identity), Packet::new(), body(f));
    spawn_callback::call(&listed);
    local.shared.registry.insert(listed);
    count(&local.shared.counters.placed, 1);
    local.push(Work::Start(runner));
    Greenlet { record }
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
    launch(
        Spec {
            at: Some(after(delay)),
            ..Spec::new(Location::caller())
        },
        f,
    )
}

/// Runs `f` in a green thread and returns its value; inline if the caller is one.
///
/// # Panics
///
/// If `f` panics: with its payload. If its green thread is killed. If nothing can happen any more, with
/// [`Config::detect_deadlock`](crate::Config::detect_deadlock); its green thread stays parked then.
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
    let greenlet = spawn(f);
    if config::freeze().detect_deadlock {
        end_or_panic(&greenlet);
    }
    match greenlet.into_result() {
        Ok(value) => value,
        Err(Failure::Panicked(panic)) => panic.resume(),
        Err(failure) => panic!("green::run: {failure}"),
    }
}

/// Waits for its end.
///
/// # Panics
///
/// If nothing can happen any more.
#[track_caller]
fn end_or_panic<T>(greenlet: &Greenlet<T>) {
    let first = iwait(&[greenlet, &Quiet::Wholly]).next();
    if first == Some(1) && !greenlet.ready() {
        let mut text = Vec::new();
        debug::dump(&mut text).expect("a vector takes everything");
        panic!(
            "green: LoopExit: every green thread waits for another one\n{}",
            String::from_utf8_lossy(&text)
        );
    }
}

/// Waits until the caller's hub has nothing else to do: nothing is ready to run, no timer is due, and no I/O either.
///
/// Outside a green thread, until some hub has.
///
/// # Blocking
///
/// Parks the caller; a cancellation point. While there is always something to do, it waits.
///
/// # Examples
///
/// ```
/// green_core::run(|| {
///     let busy = green_core::spawn_local(|| (0..3).for_each(|_| green_core::yield_now()));
///     green_core::idle();
///     assert!(busy.ready());
/// });
/// ```
pub fn idle() {
    match Green::current() {
        Some(green) => hub::idle::wait(green.hub()),
        None => spawn(idle).join(),
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

    /// What is known of a green thread that the calling OS thread, whose hub is `local`, places on `target`.
    #[inline]
    fn identity(self, local: Option<&'static Local>, target: &'static HubShared) -> Identity {
        Identity {
            id: sched::new_id(local),
            parent: local.and_then(current_id),
            name: self.name,
            site: self.site,
            registry: &local.map_or(target, |local| local.shared).registry,
            hub: target.id,
            stack_size: self
                .stack_size
                .unwrap_or_else(|| config::freeze().stack_size),
            mobility: match self.hub {
                Some(_) => Mobility::Fixed,
                None => Mobility::Free,
            },
        }
    }
}

/// As [`spawn`] at `site`, where `prepare` has the green thread before it can start.
pub(crate) fn spawn_prepared<F, T>(
    site: &'static Location<'static>,
    f: F,
    prepare: impl FnOnce(&Greenlet<T>),
) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    launch_prepared(Spec::new(site), f, prepare)
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
    launch_prepared(spec, f, |_| ())
}

/// As [`launch`]; `prepare` has the green thread before its hub does.
fn launch_prepared<F, T>(spec: Spec, f: F, prepare: impl FnOnce(&Greenlet<T>)) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    make_room();
    let local = sched::local();
    if local.is_none() {
        hub::start();
    }
    let target = spec
        .hub
        .map_or_else(|| placement::place(local), |hub| sched::hubs()[hub]);
    let at = spec.at;
    let identity = spec.identity(local, target);
    let registry = identity.registry;
    let (record, runner, listed) = record::new(Control::new(identity), Packet::new(), body(f));
    spawn_callback::call(&listed);
    registry.insert(listed);
    let greenlet = Greenlet { record };
    prepare(&greenlet);
    hand_over(local, target, runner, at);
    greenlet
}

/// Hands a start to its hub, which is `target`.
#[inline]
fn hand_over(
    local: Option<&'static Local>,
    target: &'static HubShared,
    runner: Runner,
    at: Option<Instant>,
) {
    if let Some(local) = local
        && std::ptr::eq(local.shared, target)
    {
        count(&target.counters.placed, 1);
        match at {
            Some(at) => local.timers(|timers| timers.start_at(at, runner)),
            None => local.push(Work::Start(runner)),
        }
        return;
    }
    target.place_from_elsewhere();
    match (runner.into_sendable(), at) {
        (Ok(runner), Some(at)) => target.send(Message::StartAt(at, runner)),
        (Ok(runner), None) => target.send(Message::Start(runner)),
        (Err(_), _) => unreachable!("its body and its result are `Send`"),
    }
}

impl<T: Send + 'static> Greenlet<T> {
    /// One that does not run before [`start`](Self::start) or [`start_later`](Self::start_later); gevent's `Greenlet(f)`.
    ///
    /// Those who join it wait until somebody has started it and it has ended. Killed before that, it has ended and cannot
    /// be started any more. If all handles go before that, `f` is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::Greenlet;
    ///
    /// let g = Greenlet::new(|| 42);
    /// assert!(!g.started());
    /// g.start();
    /// assert_eq!(g.get().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn new(f: impl FnOnce() -> T + Send + 'static) -> Self {
        unstarted(Spec::new(Location::caller()), f)
    }
}

impl<T> Greenlet<T> {
    /// Starts one that was made by [`new`](Self::new). Does nothing if that has been done, or it was killed.
    pub fn start(&self) {
        self.start_at(None);
    }

    /// As [`start`](Self::start), after `delay`.
    pub fn start_later(&self, delay: Duration) {
        self.start_at(Some(after(delay)));
    }

    fn start_at(&self, at: Option<Instant>) {
        make_room();
        let Some(runner) = self.record.start() else {
            return;
        };
        let local = sched::local();
        let control = runner.control();
        let target = match control.mobility() {
            Mobility::Fixed => sched::hubs()[control.hub()],
            Mobility::Free => placement::place(local),
        };
        control.set_hub(target.id);
        spawn_callback::call(&self.control_ref());
        hand_over(local, target, runner.into_runner(), at);
        if at.is_some() && self.dead() {
            // Its killer may have come before there was anything to cancel.
            kill::cancel_start(self.control());
        }
    }
}

/// Makes a green thread that `start` will hand to its hub.
pub(super) fn unstarted<F, T>(spec: Spec, f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    make_room();
    let local = sched::local();
    if local.is_none() {
        hub::start();
    }
    let target = spec
        .hub
        .map_or_else(|| placement::place(local), |hub| sched::hubs()[hub]);
    let identity = spec.identity(local, target);
    let registry = identity.registry;
    let (record, listed) = record::new_unstarted(Control::new(identity), Packet::new(), body(f));
    registry.insert(listed);
    Greenlet { record }
}

/// Makes a green thread that is to run `f` on `may`, by [`run_migrating`].
#[track_caller]
pub(crate) fn migrating<F, T>(f: F) -> (Greenlet<T>, SendRunner)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    make_room();
    let local = sched::local();
    if local.is_none() {
        hub::start();
    }
    let identity = Identity {
        registry: &MIGRATING,
        ..Spec::new(Location::caller()).identity(local, placement::place(local))
    };
    let (record, runner, listed) = record::new(Control::new(identity), Packet::new(), body(f));
    spawn_callback::call(&listed);
    MIGRATING.insert(listed);
    let Ok(runner) = runner.into_sendable() else {
        unreachable!("its body and its result are `Send`")
    };
    (Greenlet { record }, runner)
}

/// Runs a migrating green thread to its end, unless it was killed before. It will wait in `waiter`.
pub(crate) fn run_migrating(runner: SendRunner, waiter: &'static Waiter) {
    let running = runner.into_runner().begin();
    if running.control().start(waiter) {
        running.run();
    } else {
        running.end_unrun();
    }
}

/// What a green thread runs: `f`, and the publication of its result.
fn body<F, T>(f: F) -> impl FnOnce(&Owner<Packet<T>>) -> Option<ControlRef>
where
    F: FnOnce() -> T,
{
    move |record| {
        let result = catch_unwind(AssertUnwindSafe(f)).map_err(failure);
        let ended = catch_unwind(local::end);
        let listed = Packet::publish(record, result);
        if let Err(payload) = ended {
            // Reported by whoever runs this: nobody is left to be told of it.
            resume_unwind(payload);
        }
        listed
    }
}

/// The id of the green thread that runs on the calling OS thread.
#[inline]
fn current_id(local: &'static Local) -> Option<NonZeroU64> {
    local.current()?.running(|running| running.control().id())
}

/// `delay` from now, or a time that does not come.
fn after(delay: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(delay)
        .unwrap_or_else(|| now + Duration::from_secs(60 * 60 * 24 * 365 * 30))
}
