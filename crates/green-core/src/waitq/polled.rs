//! Waiting in a queue without parking: the same protocol, in steps, for a future.
//!
//! [`PolledWait`] is one wait of a future that borrows what it waits for. Who keeps the two apart has a [`Polling`] and calls
//! [`Monitor::poll_in_turn`] and [`Monitor::cancel`].
//!
//! # Protocol
//!
//! A poll is a piece of [`Monitor::wait_in_turn`]: from 1 to the park in 2, or from 3 to there again. What the caller's
//! stack holds there, the ticket and whether a notifier chose it, is in the [`Polling`] between the polls.
//!
//! Dropping it is what an unwinding park is: `Cancelled` unlinks the waiter, and passes a notification on.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::{Cancelled, Monitor, Notified, Share, Turn, WaitQueue, make_room};
use crate::park::Polled;

/// The state of a wait between two polls.
#[derive(Debug)]
pub(crate) struct Polling {
    /// The future's record; kept for the next wait.
    polled: Option<Polled>,
    /// Its place in the queue, while it waits for one thing.
    ticket: Option<u64>,
    /// How it takes what it waits for.
    share: Share,
    /// Whether an episode is open, or claimed and not ended; the waiter is linked in the queue exactly if it is open.
    is_waiting: bool,
}

impl Polling {
    /// One that takes what it waits for alone.
    pub(crate) const fn new() -> Self {
        Self::with(Share::Alone)
    }

    pub(crate) const fn with(share: Share) -> Self {
        Self {
            polled: None,
            ticket: None,
            share,
            is_waiting: false,
        }
    }

    /// Whether a wait is under way.
    #[cfg(not(green_loom))]
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Notes the waker; `Pending` if a wait is under way and has not ended.
    fn look(&mut self, context: &Context<'_>) -> Poll<Turn> {
        let Some(polled) = self.polled.as_ref().filter(|_| self.is_waiting) else {
            return Poll::Ready(Turn::Running);
        };
        polled.note(context.waker());
        if polled.outcome().is_none() {
            return Poll::Pending;
        }
        polled.end();
        self.is_waiting = false;
        Poll::Ready(Turn::Chosen)
    }
}

impl Drop for Polling {
    /// A wait that was not given up leaves its record where it is linked.
    fn drop(&mut self) {
        debug_assert!(!self.is_waiting, "a wait is given up before its record");
        if self.is_waiting
            && let Some(polled) = self.polled.take()
        {
            polled.leak();
        }
    }
}

impl<S> Monitor<S> {
    /// One step of a wait in the queue that `queue` selects, until `ready` yields something. The queue is the same at
    /// every step, and at [`Monitor::cancel`].
    #[inline]
    pub(crate) fn poll_in_turn<R>(
        &self,
        polling: &mut Polling,
        context: &Context<'_>,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        mut ready: impl FnMut(&mut S, Turn) -> Option<R>,
    ) -> Poll<R> {
        make_room();
        let turn = std::task::ready!(polling.look(context));
        let mut state = self.state.lock();
        if let Some(result) = ready(&mut state, turn) {
            polling.ticket = None;
            return Poll::Ready(result);
        }
        if turn == Turn::Running {
            // To note a waker runs code of others: not under the lock.
            drop(state);
            let polled = polling.polled.get_or_insert_with(Polled::new);
            polled.note(context.waker());
            state = self.state.lock();
            if let Some(result) = ready(&mut state, turn) {
                polling.ticket = None;
                return Poll::Ready(result);
            }
        }
        let polled = polling
            .polled
            .as_ref()
            .expect("a future that waits has its record");
        let _ = polled.begin();
        queue(&mut state).enqueue(polled.waiter(), &mut polling.ticket, polling.share);
        polling.is_waiting = true;
        Poll::Pending
    }

    /// Gives a wait up, if one is under way. If a notifier chose it, `pass_on`, under the lock, chooses another.
    pub(crate) fn cancel(
        &self,
        polling: &mut Polling,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        pass_on: impl Fn(&mut S) -> Option<Notified>,
    ) {
        polling.ticket = None;
        if !std::mem::take(&mut polling.is_waiting) {
            return;
        }
        make_room();
        if let Some(polled) = &polling.polled {
            drop(Cancelled {
                monitor: self,
                queue,
                waiter: polled.waiter(),
                pass_on,
            });
        }
    }

    /// A wait of a future that is dropped when the wait is over.
    pub(crate) fn polled_wait<Q, P>(&self, queue: Q, pass_on: P) -> PolledWait<'_, S, Q, P>
    where
        Q: Fn(&mut S) -> &mut WaitQueue,
        P: Fn(&mut S) -> Option<Notified>,
    {
        PolledWait {
            monitor: self,
            polling: Polling::new(),
            queue,
            pass_on,
        }
    }

    /// As [`Monitor::wait_in_turn`], for a future.
    pub(crate) async fn wait_in_turn_async<R>(
        &self,
        queue: impl Fn(&mut S) -> &mut WaitQueue,
        mut ready: impl FnMut(&mut S, Turn) -> Option<R>,
        pass_on: impl Fn(&mut S) -> Option<Notified>,
    ) -> R {
        let mut wait = self.polled_wait(queue, pass_on);
        poll_fn(|context| wait.poll(context, &mut ready)).await
    }

    /// As [`Monitor::wait`], for a future.
    pub(crate) async fn wait_async<R>(
        &self,
        queue: impl Fn(&mut S) -> &mut WaitQueue + Copy,
        mut ready: impl FnMut(&mut S) -> Option<R>,
    ) -> R {
        let pass_on = |state: &mut S| queue(state).notify_one();
        self.wait_in_turn_async(queue, |state, _| ready(state), pass_on)
            .await
    }
}

/// One wait of a future, given up when it is dropped.
pub(crate) struct PolledWait<'a, S, Q, P>
where
    Q: Fn(&mut S) -> &mut WaitQueue,
    P: Fn(&mut S) -> Option<Notified>,
{
    monitor: &'a Monitor<S>,
    polling: Polling,
    queue: Q,
    /// Gives somebody else what the future was chosen for; called under the lock.
    pass_on: P,
}

impl<S, Q, P> PolledWait<'_, S, Q, P>
where
    Q: Fn(&mut S) -> &mut WaitQueue,
    P: Fn(&mut S) -> Option<Notified>,
{
    /// See [`Monitor::poll_in_turn`].
    pub(crate) fn poll<R>(
        &mut self,
        context: &Context<'_>,
        ready: impl FnMut(&mut S, Turn) -> Option<R>,
    ) -> Poll<R> {
        self.monitor
            .poll_in_turn(&mut self.polling, context, &self.queue, ready)
    }
}

impl<S, Q, P> Drop for PolledWait<'_, S, Q, P>
where
    Q: Fn(&mut S) -> &mut WaitQueue,
    P: Fn(&mut S) -> Option<Notified>,
{
    fn drop(&mut self) {
        self.monitor
            .cancel(&mut self.polling, &self.queue, &self.pass_on);
    }
}
