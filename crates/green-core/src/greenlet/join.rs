//! Waiting for several green threads.

use std::time::Duration;

use super::Greenlet;
use crate::error::Failure;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, iwait};

/// Waits until all of them have ended; returns them in the order in which they did.
///
/// Takes handles, or references to them. Failures are not reported here: ask each one. Duplicates are returned as often as
/// they were given.
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
pub fn joinall<T, G: Into<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
) -> Vec<Greenlet<T>> {
    join_until(greenlets, Deadline::Never)
}

/// As [`joinall`], waiting at most `timeout`; returns those that have ended.
pub fn joinall_timeout<T, G: Into<Greenlet<T>>>(
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
pub fn joinall_raise<T, G: Into<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
) -> Result<Vec<Greenlet<T>>, Failure> {
    JoinAll::new().raise(greenlets)
}

/// [`joinall`] with more than one of gevent's options.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::JoinAll;
///
/// let slow = green_core::spawn(|| green_core::sleep(Duration::from_secs(600)));
/// let quick = green_core::spawn(|| ());
/// let first = JoinAll::new().count(1).timeout(Duration::from_secs(10)).raise([&slow, &quick])?;
/// assert_eq!(first[0].id(), quick.id());
/// slow.kill();
/// # Ok::<(), green_core::Failure>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "it does nothing until `join` or `raise`"]
pub struct JoinAll {
    timeout: Option<Duration>,
    count: Option<usize>,
}

impl JoinAll {
    /// Waits for all, for ever.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits at most `timeout`.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Waits until `count` of them have ended.
    pub fn count(self, count: usize) -> Self {
        Self {
            count: Some(count),
            ..self
        }
    }

    /// Waits; returns those that have ended, in that order.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn join<T, G: Into<Greenlet<T>>>(
        self,
        greenlets: impl IntoIterator<Item = G>,
    ) -> Vec<Greenlet<T>> {
        let mut ended = Vec::new();
        self.each(greenlets, |greenlet| {
            ended.push(greenlet.clone());
            Ok(())
        })
        .unwrap_or_default();
        ended
    }

    /// As [`JoinAll::join`], until the first one fails; the others run on. Being killed is not a failure.
    ///
    /// # Errors
    ///
    /// The first failure, in the order of the ends. One that comes after the count or the time is not seen.
    pub fn raise<T, G: Into<Greenlet<T>>>(
        self,
        greenlets: impl IntoIterator<Item = G>,
    ) -> Result<Vec<Greenlet<T>>, Failure> {
        let mut ended = Vec::new();
        self.each(greenlets, |greenlet| match greenlet.exception() {
            Some(failure) => Err(failure),
            None => {
                ended.push(greenlet.clone());
                Ok(())
            }
        })?;
        Ok(ended)
    }

    /// Calls `f` with each one that ends, until it fails.
    fn each<T, G: Into<Greenlet<T>>>(
        self,
        greenlets: impl IntoIterator<Item = G>,
        mut f: impl FnMut(&Greenlet<T>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let greenlets: Vec<Greenlet<T>> = greenlets.into_iter().map(Into::into).collect();
        let objects: Vec<&dyn Waitable> = greenlets.iter().map(|greenlet| greenlet as _).collect();
        let mut ends = iwait(&objects);
        if let Some(timeout) = self.timeout {
            ends = ends.timeout(timeout);
        }
        ends.take(self.count.unwrap_or(usize::MAX))
            .try_for_each(|index| f(&greenlets[index]))
    }
}

fn join_until<T, G: Into<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
    deadline: Deadline,
) -> Vec<Greenlet<T>> {
    let mut greenlets: Vec<Greenlet<T>> = greenlets.into_iter().map(Into::into).collect();
    let all = greenlets
        .iter()
        .all(|greenlet| greenlet.ready() || greenlet.record.wait(deadline, Mode::Interruptible));
    if !all {
        greenlets.retain(Greenlet::ready);
    }
    greenlets.sort_by_key(|greenlet| greenlet.control().order());
    greenlets
}
