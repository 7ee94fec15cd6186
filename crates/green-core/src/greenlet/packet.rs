//! What a green thread leaves behind: its result, and who waits for it.

use std::sync::Arc;

use crate::error::Failure;
use crate::interrupt::{self, OrRaise};
use crate::park::Interrupt;
use crate::sched::WaitFor;
use crate::sched::control::{Control, label};
use crate::sched::record::{Owner, Payload};
use crate::sched::registry::Registry;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue};

/// See the module documentation.
pub(crate) struct Packet<T> {
    inner: Monitor<Inner<T>>,
}

struct Inner<T> {
    outcome: Outcome<T>,
    /// Who wants to be told of the end, and by what number.
    /// Boxed, because most have none.
    watchers: Option<Box<Watchers>>,
    /// Who waits for the end, or for the value to be back.
    waiting: WaitQueue,
}

/// How a green thread ended.
enum Outcome<T> {
    /// It has not.
    Running,
    /// It returned this.
    Value(T),
    /// A `get` has the value for a moment, to clone it without the lock.
    Lent,
    /// The value was moved out.
    Taken,
    /// It did not return.
    Failed(Box<Failed>),
}

/// A failure, and whether anybody has been told.
struct Failed {
    failure: Failure,
    /// Of a panic that nobody has been told of: who it was.
    unobserved: Option<String>,
}

impl Failed {
    /// The failure, for somebody who asked.
    fn observe(&mut self) -> Failure {
        self.unobserved = None;
        self.failure.clone()
    }
}

/// Who wants to be told of the end, and by what number.
#[derive(Default)]
struct Watchers(Vec<(Arc<dyn Watch>, usize)>);

/// Somebody who wants to be told that a green thread has ended.
pub(super) trait Watch: Send + Sync {
    /// The one registered under `index` has ended. Must neither wait nor panic.
    fn ended(&self, index: usize);
}

impl<T> Packet<T> {
    pub(super) const fn new() -> Self {
        Self {
            inner: Monitor::new(Inner {
                outcome: Outcome::Running,
                watchers: None,
                waiting: WaitQueue::new(),
            }),
        }
    }

    /// The green thread `control` ended; `result` is how.
    pub(super) fn publish(&self, control: &Control, result: Result<T, Failure>) {
        let outcome = match result {
            Ok(value) => Outcome::Value(value),
            Err(failure) => {
                let unobserved =
                    matches!(failure, Failure::Panicked(_)).then(|| label(control).to_string());
                Outcome::Failed(Box::new(Failed {
                    failure,
                    unobserved,
                }))
            }
        };
        // Before anybody can know of the end: who has joined it does not find it listed.
        Registry::remove(control);
        let mut watchers = None;
        self.inner.notify_all(
            |inner| &mut inner.waiting,
            |inner| {
                inner.outcome = outcome;
                watchers = inner.watchers.take();
                control.finish();
            },
        );
        for (watcher, index) in watchers.map_or_else(Vec::new, |watchers| watchers.0) {
            watcher.ended(index);
        }
    }

    /// Waits until it has ended; false if the deadline passed first.
    pub(super) fn wait(&self, deadline: Deadline, mode: Mode) -> bool {
        let wait = Wait {
            mode,
            ..Wait::new(WaitFor::Join, deadline)
        };
        let ended =
            |inner: &mut Inner<T>| (!matches!(inner.outcome, Outcome::Running)).then_some(());
        self.inner
            .wait(wait, |inner| &mut inner.waiting, ended)
            .or_raise()
            .is_some()
    }

    /// A clone of the value, once it is there; `None` if the deadline passed first.
    pub(super) fn get(&self, deadline: Deadline) -> Option<Result<T, Failure>>
    where
        T: Clone,
    {
        let value = match self.lend(deadline)? {
            Ok(value) => value,
            Err(failure) => return Some(Err(failure)),
        };
        let lent = Lent {
            packet: self,
            value: Some(value),
        };
        Some(Ok(lent
            .value
            .clone()
            .expect("the value is here until it is given back")))
    }

    /// The value itself, once it is there.
    pub(super) fn take(&self) -> Result<T, Failure> {
        let value = self.lend(Deadline::Never).unwrap_or(Err(Failure::Taken))?;
        self.give_back(Outcome::Taken);
        Ok(value)
    }

    /// Whether it ended with a value, or was killed.
    pub(super) fn is_successful(&self) -> bool {
        match &self.inner.lock().outcome {
            Outcome::Running => false,
            Outcome::Value(_) | Outcome::Lent | Outcome::Taken => true,
            Outcome::Failed(failed) => matches!(failed.failure, Failure::Killed),
        }
    }

    /// Its failure, if it ended with one; marks that as known to somebody.
    pub(super) fn failure(&self) -> Option<Failure> {
        match &mut self.inner.lock().outcome {
            Outcome::Failed(failed) => Some(failed.observe()),
            _ => None,
        }
    }

    /// Tells `watcher` of the end under `index`, at once if it has ended.
    pub(super) fn watch(&self, watcher: &Arc<dyn Watch>, index: usize) {
        let mut inner = self.inner.lock();
        if matches!(inner.outcome, Outcome::Running) {
            let watchers = inner.watchers.get_or_insert_default();
            watchers.0.push((Arc::clone(watcher), index));
            return;
        }
        drop(inner);
        watcher.ended(index);
    }

    /// Forgets `watcher`.
    pub(super) fn unwatch(&self, watcher: &Arc<dyn Watch>) {
        let mut inner = self.inner.lock();
        let Some(watchers) = &mut inner.watchers else {
            return;
        };
        let gone = watchers
            .0
            .extract_if(.., |(other, _)| Arc::ptr_eq(other, watcher))
            .collect::<Vec<_>>();
        drop(inner);
        drop(gone);
    }

    /// Takes the value for a moment; `None` if the deadline passed first.
    fn lend(&self, deadline: Deadline) -> Option<Result<T, Failure>> {
        let wait = Wait::new(WaitFor::Join, deadline);
        let ready = |inner: &mut Inner<T>| match &mut inner.outcome {
            Outcome::Running | Outcome::Lent => None,
            Outcome::Taken => Some(Err(Failure::Taken)),
            Outcome::Failed(failed) => Some(Err(failed.observe())),
            Outcome::Value(_) => match std::mem::replace(&mut inner.outcome, Outcome::Lent) {
                Outcome::Value(value) => Some(Ok(value)),
                _ => None,
            },
        };
        self.inner
            .wait(wait, |inner| &mut inner.waiting, ready)
            .or_raise()
    }

    fn give_back(&self, outcome: Outcome<T>) {
        self.inner
            .notify_all(|inner| &mut inner.waiting, |inner| inner.outcome = outcome);
    }
}

impl<T: 'static> Payload for Packet<T> {
    fn overflowed(record: &Owner<Self>) {
        // One that was killed before it ran has ended, while its closure was dropped.
        if !record.control().is_finished() {
            record.publish(record.control(), Err(Failure::StackOverflow));
        }
    }
}

/// A value to be given back, also if its `clone` panics.
struct Lent<'a, T> {
    packet: &'a Packet<T>,
    value: Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.packet.give_back(Outcome::Value(value));
        }
    }
}

impl<T> Drop for Packet<T> {
    /// Neither the green thread nor a handle is left: a panic that nobody asked about is reported.
    fn drop(&mut self) {
        if let Outcome::Failed(failed) = &self.inner.get_mut().outcome
            && let Failed {
                failure: Failure::Panicked(panic),
                unobserved: Some(label),
            } = &**failed
        {
            log::error!("{label} panicked: {}", panic.message());
        }
    }
}

/// What a payload that unwound out of a green thread means.
pub(super) fn failure(payload: Box<dyn std::any::Any + Send>) -> Failure {
    match interrupt::of(&*payload) {
        Some(Interrupt::Kill) => Failure::Killed,
        // The scope of a guard that was forgotten: gevent counts it as a failure.
        Some(Interrupt::Timeout(_)) => Failure::TimedOut(crate::error::Elapsed {
            after: std::time::Duration::ZERO,
        }),
        None => Failure::Panicked(crate::error::Panic::new(payload)),
    }
}
