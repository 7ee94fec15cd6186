//! What a green thread leaves behind: its result, and who waits for it.

use std::sync::Weak;
#[cfg(feature = "async")]
use std::task::{Context, Poll, ready};

use super::home::{Gone, Home, Homes};
use super::link::{Callback, Link, LinkId, Links, Place, Step};
use super::{Greenlet, kill};
use crate::error::Failure;
use crate::interrupt::{self, OrRaise};
use crate::sched::WaitFor;
use crate::sched::control::label;
use crate::sched::record::{ControlRef, Owner, Payload};
use crate::sched::registry::Registry;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitable::Watcher;
#[cfg(feature = "async")]
use crate::waitq::Polling;
use crate::waitq::{Mark, Monitor, Wait, WaitQueue};

/// See the module documentation.
pub(crate) struct Packet<T> {
    inner: Monitor<Inner<T>>,
}

struct Inner<T> {
    outcome: Outcome<T>,
    /// What is to happen at the end. Boxed, because most have none; never empty.
    links: Option<Box<Links<T>>>,
    /// What it is a member of.
    homes: Homes,
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

impl<T> Packet<T> {
    pub(super) const fn new() -> Self {
        Self {
            inner: Monitor::new(Inner {
                outcome: Outcome::Running,
                links: None,
                homes: Homes::None,
                waiting: WaitQueue::new(),
            }),
        }
    }

    /// The green thread whose record this is ended; `result` is how. Returns the registry's reference to the record.
    pub(super) fn publish(record: &Owner<Self>, result: Result<T, Failure>) -> Option<ControlRef> {
        let control = record.control();
        let successful = matches!(result, Ok(_) | Err(Failure::Killed));
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
        let listed = Registry::remove(control);
        let mut first = None;
        let mut gone = Gone::Nowhere;
        record.inner.notify_before(
            |inner| &mut inner.waiting,
            |inner| {
                inner.outcome = outcome;
                gone = std::mem::take(&mut inner.homes).leave(control.id());
                // Last: who sees only this finds the rest done.
                control.finish();
                inner.next_link(Place::Here, successful, &mut first)
            },
        );
        gone.wake();
        if let Some(first) = first {
            Self::serve(record, first, successful);
        }
        listed
    }

    /// Serves `next` and the links after it, and notifies those who wait between them.
    #[cold]
    fn serve(record: &Owner<Self>, next: Step<T>, successful: bool) {
        let greenlet = Greenlet {
            record: record.clone(),
        };
        let mut place = Place::Here;
        let mut next = Some(next);
        while let Some(step) = next.take() {
            place = step.take(&greenlet, place);
            record.inner.notify_before(
                |inner| &mut inner.waiting,
                |inner| inner.next_link(place, successful, &mut next),
            );
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

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        !self.inner.lock().is_running()
    }

    /// One step of [`Packet::take`].
    #[cfg(feature = "async")]
    pub(super) fn poll_take(
        &self,
        polling: &mut Polling,
        context: &Context<'_>,
    ) -> Poll<Result<T, Failure>> {
        let lent = self.inner.poll_in_turn(
            polling,
            context,
            |inner| &mut inner.waiting,
            |inner, _| inner.lend(),
        );
        let value = ready!(lent)?;
        self.give_back(Outcome::Taken);
        Poll::Ready(Ok(value))
    }

    /// Gives up what [`Packet::poll_take`] waits for.
    #[cfg(feature = "async")]
    pub(super) fn cancel_take(&self, polling: &mut Polling) {
        let pass_on = |inner: &mut Inner<T>| inner.waiting.notify_one();
        self.inner
            .cancel(polling, |inner| &mut inner.waiting, pass_on);
    }

    /// Whether it ended with a value, or was killed.
    pub(super) fn is_successful(&self) -> bool {
        self.inner.lock().is_successful()
    }

    /// Its failure, if it ended with one; marks that as known to somebody.
    pub(super) fn failure(&self) -> Option<Failure> {
        match &mut self.inner.lock().outcome {
            Outcome::Failed(failed) => Some(failed.observe()),
            _ => None,
        }
    }

    /// Tells `watcher` of the end, at once if it has ended.
    pub(super) fn watch(&self, watcher: &Watcher) {
        let mut inner = self.inner.lock();
        if inner.is_running() {
            let mark = inner.waiting.mark();
            inner.links().watch(mark, watcher);
            return;
        }
        drop(inner);
        watcher.tell();
    }

    /// Forgets `watcher`.
    pub(super) fn unwatch(&self, watcher: &Watcher) {
        let removed = self.change_links(|links| links.unwatch(watcher));
        drop(removed);
    }

    /// Makes it leave `home` when it ends; false if it has ended.
    pub(super) fn add_home(&self, home: Weak<dyn Home>) -> bool {
        let mut inner = self.inner.lock();
        let is_running = inner.is_running();
        if is_running {
            inner.homes.add(home);
        }
        is_running
    }

    /// Adds a link to `greenlet`, whose packet this is.
    pub(super) fn add_link(&self, greenlet: &Greenlet<T>, link: Link<T>) {
        let mut inner = self.inner.lock();
        let mark = inner.waiting.mark();
        if inner.is_running() {
            return inner.links().add(mark, link);
        }
        if !link.is_for(inner.is_successful()) {
            drop(inner);
            return drop(link);
        }
        let step = inner.links().add_served(mark, link);
        drop(inner);
        step.take(greenlet, Place::Own);
    }

    /// Takes a link that has not been called.
    pub(super) fn take_link(&self, id: LinkId) -> Option<Callback<T>> {
        self.change_links(|links| links.take(id))?
    }

    /// Takes all links that have not been called.
    pub(super) fn take_links(&self) {
        let taken = self.change_links(Links::take_all);
        drop(taken);
    }

    /// Whether there are links that have not been called.
    pub(super) fn has_links(&self) -> bool {
        let inner = self.inner.lock();
        inner.links.as_ref().is_some_and(|links| links.has_any())
    }

    fn change_links<R>(&self, f: impl FnOnce(&mut Links<T>) -> R) -> Option<R> {
        let mut inner = self.inner.lock();
        let links = inner.links.as_mut()?;
        let result = f(links);
        if links.is_empty() {
            inner.links = None;
        }
        Some(result)
    }

    /// Takes the value for a moment; `None` if the deadline passed first.
    fn lend(&self, deadline: Deadline) -> Option<Result<T, Failure>> {
        let wait = Wait::new(WaitFor::Join, deadline);
        self.inner
            .wait(wait, |inner| &mut inner.waiting, Inner::lend)
            .or_raise()
    }

    fn give_back(&self, outcome: Outcome<T>) {
        self.inner
            .notify_all(|inner| &mut inner.waiting, |inner| inner.outcome = outcome);
    }
}

impl<T> Inner<T> {
    fn is_running(&self) -> bool {
        matches!(self.outcome, Outcome::Running)
    }

    fn is_successful(&self) -> bool {
        match &self.outcome {
            Outcome::Running => false,
            Outcome::Value(_) | Outcome::Lent | Outcome::Taken => true,
            Outcome::Failed(failed) => matches!(failed.failure, Failure::Killed),
        }
    }

    /// Takes the value for a moment; `None` if it is not there, and may come.
    fn lend(&mut self) -> Option<Result<T, Failure>> {
        match &mut self.outcome {
            Outcome::Running | Outcome::Lent => None,
            Outcome::Taken => Some(Err(Failure::Taken)),
            Outcome::Failed(failed) => Some(Err(failed.observe())),
            Outcome::Value(_) => match std::mem::replace(&mut self.outcome, Outcome::Lent) {
                Outcome::Value(value) => Some(Ok(value)),
                _ => None,
            },
        }
    }

    fn links(&mut self) -> &mut Links<T> {
        self.links.get_or_insert_default()
    }

    /// Puts what is to be done for the next link into `step`; returns who is to be notified before that.
    #[inline]
    fn next_link(
        &mut self,
        place: Place,
        successful: bool,
        step: &mut Option<Step<T>>,
    ) -> Option<Mark> {
        let (mark, next) = self.links.as_mut()?.next(place, successful)?;
        if self.links.as_ref().is_some_and(|links| links.is_empty()) {
            self.links = None;
        }
        *step = Some(next);
        Some(mark)
    }
}

impl<T: 'static> Payload for Packet<T> {
    fn failed(record: &Owner<Self>, failure: Failure) {
        // One that was killed before it ran has ended, while its closure was dropped.
        if !record.control().is_finished() {
            drop(Self::publish(record, Err(failure)));
        }
    }

    fn kill(record: &Owner<Self>) {
        kill::kill(record);
    }

    fn join(&self, deadline: Deadline) -> bool {
        self.wait(deadline, Mode::Interruptible)
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }

    fn failure(&self) -> Option<Failure> {
        self.failure()
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
    if let Some(elapsed) = interrupt::elapsed(&*payload) {
        // The scope of a guard, which nobody caught: gevent counts it as a failure.
        return Failure::TimedOut(elapsed);
    }
    match interrupt::of(&*payload) {
        Some(_) => Failure::Killed,
        None => Failure::Panicked(crate::error::Panic::new(payload)),
    }
}
