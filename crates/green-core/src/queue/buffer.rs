//! What all queues with a buffer are: items in some order, room for some number of them, and who waits.
//!
//! # Invariants
//!
//! 1. Whom to wake is chosen before an item is moved in, out or cloned: [`Chosen`] and [`Next`] wake also if that runs
//!    code of the item's type which panics. That is under the lock, which delays whom they wake, and no more.

use std::sync::Arc;

use super::error::{GetError, PutError};
use super::store::Store;
use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::timeout::no_park;
use crate::waitable::Watcher;
use crate::waitq::{Chosen, Line, Monitor, Turn, Wait, WaitQueue};
use crate::watched_line::{Next, Told, WatchedLine};

/// A handle to the shared state of a queue.
pub(super) struct Buffer<S> {
    inner: Arc<Monitor<Inner<S>>>,
}

struct Inner<S> {
    items: S,
    /// How many items there may be; `None` for any number.
    maxsize: Option<usize>,
    closed: bool,
    /// How many items were put of which nobody has said that they are done.
    unfinished: usize,
    /// How often that has come down to zero.
    times_finished: u64,
    /// Those who wait for an item, to take it or only to see it.
    getters: WatchedLine,
    /// Those who wait for room.
    putters: Line,
    /// Those who wait until everything is done.
    joiners: WaitQueue,
}

impl<S> Clone for Buffer<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S> Buffer<S> {
    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// A queue with these items.
    fn with(items: S, count: usize, maxsize: Option<usize>) -> Self {
        Self {
            inner: Arc::new(Monitor::new(Inner {
                items,
                maxsize,
                closed: false,
                unfinished: count,
                times_finished: 0,
                getters: WatchedLine::new(),
                putters: Line::new(),
                joiners: WaitQueue::new(),
            })),
        }
    }

    /// Ends the queue; what is in it stays.
    pub(super) fn close(&self) {
        let mut told = Told::default();
        self.inner
            .notify_all(|inner| inner.getters.queue(), |inner| told = inner.close());
        drop(told);
        self.inner.notify_all(|inner| inner.putters.queue(), |_| ());
    }

    /// One of the items is done.
    ///
    /// # Panics
    ///
    /// If all were.
    pub(super) fn task_done(&self) {
        let mut inner = self.inner.lock();
        let enough = inner.unfinished > 0;
        if enough {
            inner.finish(1);
        }
        let finished = inner.unfinished == 0;
        drop(inner);
        assert!(
            enough,
            "task_done was called more often than items were put"
        );
        if finished {
            self.release_joiners();
        }
    }

    pub(super) fn unfinished_tasks(&self) -> usize {
        self.inner.lock().unfinished
    }

    /// Waits until all items are done; false if the deadline passed first.
    pub(super) fn join_until(&self, deadline: Deadline) -> bool {
        let mut since = None;
        let finished = self.inner.wait(
            Wait::new(WaitFor::QueueJoin, deadline),
            |inner| &mut inner.joiners,
            |inner| {
                let since = *since.get_or_insert(inner.times_finished);
                (inner.unfinished == 0 || inner.times_finished != since).then_some(())
            },
        );
        finished.or_raise().is_some()
    }

    /// The same, for a future.
    #[cfg(feature = "async")]
    pub(super) async fn join_async(&self) {
        let mut since = None;
        let finished = self.inner.wait_async(
            |inner| &mut inner.joiners,
            |inner| {
                let since = *since.get_or_insert(inner.times_finished);
                (inner.unfinished == 0 || inner.times_finished != since).then_some(())
            },
        );
        finished.await;
    }

    /// Those who came since wake in vain.
    fn release_joiners(&self) {
        self.inner.notify_all(|inner| &mut inner.joiners, |_| ());
    }

    pub(super) fn unwatch(&self, watcher: &Watcher) {
        let removed = self.inner.lock().getters.unwatch(watcher);
        drop(removed);
    }

    pub(super) fn maxsize(&self) -> Option<usize> {
        self.inner.lock().maxsize
    }

    pub(super) fn set_maxsize(&self, maxsize: Option<usize>) {
        self.inner.notify_all(
            |inner| inner.putters.queue(),
            |inner| inner.maxsize = maxsize,
        );
    }
}

impl<S: Store> Buffer<S> {
    pub(super) fn new(maxsize: Option<usize>) -> Self {
        Self::with(S::default(), 0, maxsize)
    }

    pub(super) fn from_items(items: impl IntoIterator<Item = S::Item>) -> Self {
        let mut store = S::default();
        items.into_iter().for_each(|item| store.push(item));
        let count = store.len();
        Self::with(store, count, None)
    }

    /// Another queue with clones of the items.
    pub(super) fn copy(&self) -> Self
    where
        S: Clone,
    {
        let inner = self.inner.lock();
        let (items, maxsize) = (no_park(|| inner.items.clone()), inner.maxsize);
        drop(inner);
        let count = items.len();
        Self::with(items, count, maxsize)
    }

    pub(super) fn len(&self) -> usize {
        self.inner.lock().items.len()
    }

    /// Tells `watcher` when a `get` would not wait.
    pub(super) fn watch(&self, watcher: &Watcher) {
        let mut inner = self.inner.lock();
        if !inner.getters.is_free(inner.items.len()) && !inner.closed {
            inner.getters.watch(watcher);
            return;
        }
        drop(inner);
        watcher.tell();
    }

    pub(super) fn is_full(&self) -> bool {
        self.inner.lock().room() == 0
    }

    /// Ends the queue and drops what is in it.
    pub(super) fn close_now(&self) {
        let (mut dropped, mut told) = (S::default(), Told::default());
        self.inner.notify_all(
            |inner| inner.getters.queue(),
            |inner| {
                told = inner.close();
                dropped = std::mem::take(&mut inner.items);
                inner.finish(dropped.len());
            },
        );
        drop(told);
        self.inner.notify_all(|inner| inner.putters.queue(), |_| ());
        self.release_joiners();
    }

    #[inline]
    pub(super) fn put_until(
        &self,
        item: S::Item,
        deadline: Deadline,
    ) -> Result<(), PutError<S::Item>> {
        let mut item = Some(item);
        let put = self.inner.wait_in_turn(
            Wait::new(WaitFor::QueuePut, deadline),
            |inner| inner.putters.queue(),
            |inner, turn| inner.push(turn, &mut item),
            |inner| inner.putters.pass_on(),
        );
        after_put(put.or_raise().unwrap_or(Put::Full), item)
    }

    #[cfg(feature = "async")]
    pub(super) async fn put_async(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        let mut item = Some(item);
        let put = self.inner.wait_in_turn_async(
            |inner| inner.putters.queue(),
            |inner, turn| inner.push(turn, &mut item),
            |inner| inner.putters.pass_on(),
        );
        let put = put.await;
        after_put(put, item)
    }

    pub(super) fn try_put(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        let mut item = Some(item);
        let put = self.inner.lock().push(Turn::Running, &mut item);
        after_put(put.unwrap_or(Put::Full), item)
    }

    #[inline]
    pub(super) fn get_until(&self, deadline: Deadline) -> Result<S::Item, GetError> {
        let got = self.inner.wait_in_turn(
            Wait::new(WaitFor::QueueGet, deadline),
            |inner| inner.getters.queue(),
            Inner::pop,
            |inner| inner.getters.pass_on(),
        );
        after_get(got.or_raise())
    }

    #[cfg(feature = "async")]
    pub(super) async fn get_async(&self) -> Result<S::Item, GetError> {
        let got = self.inner.wait_in_turn_async(
            |inner| inner.getters.queue(),
            Inner::pop,
            |inner| inner.getters.pass_on(),
        );
        let got = got.await;
        after_get(Some(got))
    }

    pub(super) fn try_get(&self) -> Result<S::Item, GetError> {
        let got = self.inner.lock().pop(Turn::Running);
        after_get(got)
    }

    pub(super) fn peek_until(&self, deadline: Deadline) -> Result<S::Item, GetError>
    where
        S::Item: Clone,
    {
        let seen = self.inner.wait_in_turn(
            Wait::new(WaitFor::QueueGet, deadline),
            |inner| inner.getters.queue(),
            Inner::peek,
            |inner| inner.getters.pass_on(),
        );
        after_get(seen.or_raise())
    }

    pub(super) fn try_peek(&self) -> Result<S::Item, GetError>
    where
        S::Item: Clone,
    {
        let seen = self.inner.lock().peek(Turn::Running);
        after_get(seen)
    }
}

impl<S> Inner<S> {
    /// Whom to tell.
    fn close(&mut self) -> Told {
        self.closed = true;
        self.getters.close()
    }

    /// So many items are done.
    fn finish(&mut self, count: usize) {
        let before = self.unfinished;
        self.unfinished = before.saturating_sub(count);
        if before > 0 && self.unfinished == 0 {
            self.times_finished += 1;
        }
    }
}

impl<S: Store> Inner<S> {
    /// How many items more may be put.
    #[inline]
    fn room(&self) -> usize {
        match self.maxsize {
            None => usize::MAX,
            Some(maxsize) => maxsize.saturating_sub(self.items.len()),
        }
    }

    /// Puts the item; `None` if there is no room for it.
    #[inline]
    fn push(&mut self, turn: Turn, item: &mut Option<S::Item>) -> Option<Put> {
        if self.closed {
            return Some(Put::Closed);
        }
        let room = self.room();
        if !self.putters.admits(turn, room) {
            return None;
        }
        self.unfinished += 1;
        let next = self.getters.choose();
        if let Some(item) = item.take() {
            self.items.push(item);
        }
        Some(Put::Done(next))
    }

    /// Takes an item; `None` if there is none and more may come.
    #[inline]
    fn pop(&mut self, turn: Turn) -> Option<Result<(S::Item, Chosen), GetError>> {
        if !self.getters.admits(turn, self.items.len()) {
            return self.closed.then_some(Err(GetError::Closed));
        }
        let next = self.putters.choose();
        let item = self.items.pop()?;
        Some(Ok((item, next)))
    }

    /// Clones the item that would be taken; `None` if there is none and more may come.
    fn peek(&mut self, turn: Turn) -> Option<Result<(S::Item, Next), GetError>>
    where
        S::Item: Clone,
    {
        let Some(next) = self.getters.sees(turn, self.items.len()) else {
            return self.closed.then_some(Err(GetError::Closed));
        };
        let item = no_park(|| self.items.first().cloned())?;
        Some(Ok((item, next)))
    }
}

/// What became of a put.
enum Put {
    /// The item is in; somebody may be there to take it.
    Done(Next),
    /// There was no room.
    Full,
    /// The queue is closed.
    Closed,
}

#[inline]
fn after_put<T>(put: Put, item: Option<T>) -> Result<(), PutError<T>> {
    match (put, item) {
        (Put::Done(next), _) => {
            drop(next);
            Ok(())
        }
        (Put::Full, Some(item)) => Err(PutError::Full(item)),
        (Put::Closed, Some(item)) => Err(PutError::Closed(item)),
        (Put::Full | Put::Closed, None) => {
            unreachable!("an item that was not put is still here")
        }
    }
}

#[inline]
fn after_get<T, N>(got: Option<Result<(T, N), GetError>>) -> Result<T, GetError> {
    let (item, next) = got.unwrap_or(Err(GetError::Empty))?;
    drop(next);
    Ok(item)
}
