//! Waiting for several green threads.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Greenlet;
use super::packet::Watch;
use crate::error::Failure;
use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// Waits until all of them have ended; returns them in the order in which they did.
///
/// Failures are not reported here: ask each one. Duplicates are returned as often as they were given.
///
/// # Blocking
///
/// Parks the caller; a cancellation point.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let slow = green_core::spawn(|| { green_core::sleep(Duration::from_millis(20)); "slow" });
/// let quick = green_core::spawn(|| "quick");
/// let ended = green_core::joinall([&slow, &quick]);
/// assert_eq!(ended.iter().map(|g| g.get().unwrap()).collect::<Vec<_>>(), ["quick", "slow"]);
/// ```
pub fn joinall<T, G: Borrow<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
) -> Vec<Greenlet<T>> {
    join_until(greenlets, Deadline::Never)
}

/// As [`joinall`], waiting at most `timeout`; returns those that have ended.
pub fn joinall_timeout<T, G: Borrow<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
    timeout: Duration,
) -> Vec<Greenlet<T>> {
    join_until(greenlets, Deadline::after(timeout))
}

/// As [`joinall`], until the first one fails; the others run on. Being killed is not a failure.
///
/// # Errors
///
/// The first failure, in the order of the ends.
pub fn joinall_raise<T, G: Borrow<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
) -> Result<Vec<Greenlet<T>>, Failure> {
    let greenlets: Vec<Greenlet<T>> = greenlets.into_iter().map(|g| g.borrow().clone()).collect();
    let ends = Arc::new(Ends(Monitor::new((VecDeque::new(), WaitQueue::new()))));
    let watcher: Arc<dyn Watch> = ends.clone();
    let _unwatch = Unwatch {
        greenlets: &greenlets,
        watcher: &watcher,
    };
    for (index, greenlet) in greenlets.iter().enumerate() {
        greenlet.record.watch(&watcher, index);
    }
    let mut ended = Vec::with_capacity(greenlets.len());
    while ended.len() < greenlets.len() {
        let greenlet = &greenlets[ends.next()];
        match greenlet.record.failure() {
            None | Some(Failure::Killed) => ended.push(greenlet.clone()),
            Some(failure) => return Err(failure),
        }
    }
    Ok(ended)
}

fn join_until<T, G: Borrow<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
    deadline: Deadline,
) -> Vec<Greenlet<T>> {
    let mut greenlets: Vec<Greenlet<T>> =
        greenlets.into_iter().map(|g| g.borrow().clone()).collect();
    let all = greenlets
        .iter()
        .all(|greenlet| greenlet.ready() || greenlet.record.wait(deadline, Mode::Interruptible));
    if !all {
        greenlets.retain(Greenlet::ready);
    }
    greenlets.sort_by_key(|greenlet| greenlet.control().order());
    greenlets
}

/// The ends of several green threads, in order.
#[derive(Debug)]
struct Ends(Monitor<(VecDeque<usize>, WaitQueue)>);

impl Ends {
    /// Waits for the next end.
    fn next(&self) -> usize {
        let wait = Wait::new(WaitFor::Join, Deadline::Never);
        let next = self
            .0
            .wait(wait, |(_, queue)| queue, |(ends, _)| ends.pop_front());
        next.or_raise()
            .expect("a wait without a deadline does not time out")
    }
}

impl Watch for Ends {
    fn ended(&self, index: usize) {
        let mut inner = self.0.lock();
        inner.0.push_back(index);
        let next = inner.1.notify_one();
        drop(inner);
        wake(next);
    }
}

/// Takes the watcher back on every way out.
struct Unwatch<'a, T> {
    greenlets: &'a [Greenlet<T>],
    watcher: &'a Arc<dyn Watch>,
}

impl<T> Drop for Unwatch<'_, T> {
    fn drop(&mut self) {
        for greenlet in self.greenlets {
            greenlet.record.unwatch(self.watcher);
        }
    }
}
