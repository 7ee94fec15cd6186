//! Waiting for whichever of several things is ready first.
//!
//! [`wait`], its variants and [`iwait`] take any mix of things that are [`Waitable`]; gevent's `rawlink` and `unlink`.
//!
//! # Protocol
//!
//! 1. The one who waits has one list of what is ready, a `Monitor` in whose queue it parks.
//! 2. It leaves a [`Watcher`] with each thing: the list, and the thing's place among the others.
//! 3. A thing that is ready, or becomes so, tells its watchers, each once: the place goes to the end of the list, and the
//!    one who waits is notified.
//! 4. At the end it takes its watchers back.
//!
//! # Invariants
//!
//! 1. Nothing is consumed: a semaphore that is ready has a free permit still, a queue its item.
//! 2. A thing that becomes ready while nobody waits between two items of an [`IWait`] is in the list.
//!
//! # Not here
//!
//! When a thing is ready: its own module, which keeps its watchers in a [`Watchers`] under its own lock, and tells them
//! after it has released that.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::hub::quiet::{OwnTimer, Quiet};
use crate::interrupt::OrRaise;
use crate::park::Caller;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// Something that [`wait`] can wait for.
///
/// Types outside this crate are made waitable by passing both calls on to what they consist of, or by telling the
/// watchers themselves.
///
/// # Examples
///
/// ```
/// use green_core::{Greenlet, Waitable, Watcher};
///
/// struct Job(Greenlet<u32>);
///
/// impl Waitable for Job {
///     fn watch(&self, watcher: &Watcher) {
///         self.0.watch(watcher);
///     }
///
///     fn unwatch(&self, watcher: &Watcher) {
///         self.0.unwatch(watcher);
///     }
/// }
///
/// let job = Job(green_core::spawn(|| 7));
/// assert_eq!(green_core::wait(&[&job]), [0]);
/// ```
pub trait Waitable {
    /// Tells `watcher`, once, when it is ready; at once if it is. Neither waits nor panics.
    fn watch(&self, watcher: &Watcher);

    /// Forgets `watcher`, if it is there.
    fn unwatch(&self, watcher: &Watcher);
}

impl<W: Waitable + ?Sized> Waitable for &W {
    fn watch(&self, watcher: &Watcher) {
        (**self).watch(watcher);
    }

    fn unwatch(&self, watcher: &Watcher) {
        (**self).unwatch(watcher);
    }
}

impl<W: Waitable + ?Sized> Waitable for Arc<W> {
    fn watch(&self, watcher: &Watcher) {
        (**self).watch(watcher);
    }

    fn unwatch(&self, watcher: &Watcher) {
        (**self).unwatch(watcher);
    }
}

/// Somebody who waits for one of several things, to be told that it is ready.
#[derive(Clone)]
pub struct Watcher {
    /// What is ready of all that it waits for.
    ready: Arc<ReadyList>,
    /// Which of them this one is.
    index: usize,
}

impl Watcher {
    /// Who waits by `ready`, for what has place `index` there.
    #[cfg(feature = "async")]
    pub(crate) fn new(ready: &Arc<ReadyList>, index: usize) -> Self {
        Self {
            ready: Arc::clone(ready),
            index,
        }
    }

    /// What it waits for is ready. Neither waits nor panics.
    pub fn tell(&self) {
        self.ready.push(self.index);
    }

    /// Whether both stand for the same wait, and the same place in it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ready, &other.ready) && self.index == other.index
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// The watchers of one thing, part of its state.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Vec<Watcher>);

impl Watchers {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps `watcher` until the thing is ready.
    pub(crate) fn add(&mut self, watcher: &Watcher) {
        self.0.push(watcher.clone());
    }

    /// Takes `watcher` back; to be dropped after the lock is released.
    pub(crate) fn remove(&mut self, watcher: &Watcher) -> Option<Watcher> {
        let index = self.0.iter().position(|other| other.is(watcher))?;
        Some(self.0.remove(index))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those who watch now.
    pub(crate) fn snapshot(&self) -> Vec<Watcher> {
        self.0.clone()
    }

    /// Takes all of them, to be told after the lock is released.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<Watcher> {
        std::mem::take(&mut self.0)
    }
}

/// Waits until all of `objects` have been ready; returns their places in the order in which they were.
///
/// Nothing is consumed: see [`Waitable`]. An object that is there twice is returned twice.
///
/// # Blocking
///
/// Parks the caller; a cancellation point.
///
/// # Examples
///
/// ```
/// use green_core::event::Event;
///
/// let event = Event::new();
/// let g = green_core::spawn(|| 42);
/// g.join();
/// event.set();
/// assert_eq!(green_core::wait(&[&event, &g]), [0, 1]);
/// ```
pub fn wait(objects: &[&dyn Waitable]) -> Vec<usize> {
    iwait(objects).collect()
}

/// As [`wait`], for at most `timeout`; returns the places of those that were ready.
pub fn wait_timeout(objects: &[&dyn Waitable], timeout: Duration) -> Vec<usize> {
    iwait(objects).timeout(timeout).collect()
}

/// As [`wait`], until `count` of them have been ready.
pub fn wait_count(objects: &[&dyn Waitable], count: usize) -> Vec<usize> {
    iwait(objects).take(count).collect()
}

/// Waits until the hubs have nothing left to do; gevent's `wait` without objects.
///
/// That is when no green thread can run, no timer is set, and nobody waits for I/O or a blocking job. Green threads that
/// are parked at a lock, an event, a queue or a join do not count: nothing but the program itself can wake them. Nor do
/// signal handlers, unless one runs.
///
/// # Blocking
///
/// Parks the caller; a cancellation point. What other OS threads and `may` coroutines are about to do is not known here, and
/// green threads that run on `may` always have something to do.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// for n in 0..3 {
///     green_core::spawn_raw(move || green_core::sleep(Duration::from_millis(n)));
/// }
/// green_core::wait_idle();
/// assert_eq!(green_core::stats().live, 0);
/// ```
pub fn wait_idle() {
    wait_idle_for(None);
}

/// As [`wait_idle`], for at most `timeout`; true if there was nothing left to do.
pub fn wait_idle_timeout(timeout: Duration) -> bool {
    wait_idle_for(Some(timeout))
}

fn wait_idle_for(timeout: Option<Duration>) -> bool {
    let has_scope = |caller: Caller| {
        caller.interrupts(|interrupts| interrupts.earliest().is_some() && !interrupts.is_masked())
            == Some(true)
    };
    let caller = Caller::current();
    let has_timer = matches!(caller, Caller::Green(_)) && (timeout.is_some() || has_scope(caller));
    let _timer = has_timer.then(OwnTimer::new);
    let mut quiet = iwait(&[&Quiet::ButForSignals]);
    if let Some(timeout) = timeout {
        quiet = quiet.timeout(timeout);
    }
    quiet.next().is_some()
}

/// The places of `objects`, each when it is ready, in that order.
///
/// # Blocking
///
/// [`next`](Iterator::next) parks the caller until one more is ready; a cancellation point. The caller may wait for
/// other things between two items: nothing is missed meanwhile.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let slow = green_core::spawn(|| green_core::sleep(Duration::from_secs(600)));
/// let quick = green_core::spawn(|| 7);
/// let first = green_core::iwait(&[&slow, &quick]).next();
/// assert_eq!(first, Some(1));
/// slow.kill();
/// ```
pub fn iwait<'a>(objects: &'a [&'a dyn Waitable]) -> IWait<'a> {
    IWait {
        objects,
        ready: Arc::new(ReadyList::new()),
        limit: Limit::Never,
        left: objects.len(),
        is_watching: false,
    }
}

/// An iterator over what is ready, by [`iwait`].
///
/// It begins to watch at the first `next`, and stops when it ends or is dropped.
#[must_use = "an iterator does nothing until it is asked for its items"]
pub struct IWait<'a> {
    objects: &'a [&'a dyn Waitable],
    /// What was ready, and has not been returned.
    ready: Arc<ReadyList>,
    /// When it gives up.
    limit: Limit,
    /// How many items it will return at most.
    left: usize,
    /// Whether the objects know of it.
    is_watching: bool,
}

/// When an [`IWait`] gives up.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// Never.
    Never,
    /// So long after its first `next`.
    After(Duration),
    /// At this time.
    At(Deadline),
}

impl IWait<'_> {
    /// Ends it `timeout` after its first `next`. What is ready by then is returned.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Limit::After(timeout);
        self
    }

    /// Ends it at `deadline`.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.limit = Limit::At(Deadline::At(deadline));
        self
    }

    /// The first `next`: the objects learn of it, and the time begins to run.
    fn begin(&mut self) -> Deadline {
        let deadline = match self.limit {
            Limit::Never => Deadline::Never,
            Limit::After(timeout) => Deadline::after(timeout),
            Limit::At(deadline) => deadline,
        };
        self.limit = Limit::At(deadline);
        if !self.is_watching {
            self.is_watching = true;
            for index in 0..self.objects.len() {
                self.objects[index].watch(&self.watcher(index));
            }
        }
        deadline
    }

    /// What to do at the end, and on every other way out: the objects forget it.
    fn end(&mut self) {
        self.left = 0;
        if std::mem::take(&mut self.is_watching) {
            for index in 0..self.objects.len() {
                self.objects[index].unwatch(&self.watcher(index));
            }
        }
    }

    fn watcher(&self, index: usize) -> Watcher {
        Watcher {
            ready: Arc::clone(&self.ready),
            index,
        }
    }
}

impl Iterator for IWait<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        let deadline = self.begin();
        let next = self.ready.next(deadline);
        self.left -= 1;
        if next.is_none() || self.left == 0 {
            self.end();
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl FusedIterator for IWait<'_> {}

impl Drop for IWait<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for IWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IWait")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// The places of what is ready, in order, and who waits for the next one.
pub(crate) struct ReadyList(Monitor<(VecDeque<usize>, WaitQueue)>);

impl ReadyList {
    pub(crate) const fn new() -> Self {
        Self(Monitor::new((VecDeque::new(), WaitQueue::new())))
    }

    fn push(&self, index: usize) {
        let mut inner = self.0.lock();
        inner.0.push_back(index);
        let next = inner.1.notify_one();
        drop(inner);
        wake(next);
    }

    /// Waits for the next one; `None` if the deadline passed first.
    fn next(&self, deadline: Deadline) -> Option<usize> {
        let wait = Wait::new(WaitFor::Several, deadline);
        self.0
            .wait(wait, |(_, queue)| queue, |(ready, _)| ready.pop_front())
            .or_raise()
    }

    /// Waits for the next one.
    #[cfg(feature = "async")]
    pub(crate) async fn next_async(&self) -> usize {
        self.0
            .wait_async(|(_, queue)| queue, |(ready, _)| ready.pop_front())
            .await
    }
}
