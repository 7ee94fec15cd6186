//! gevent's `queue`: hand items from any number of producers to any number of consumers.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::interrupt::OrRaise;
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// A first-in, first-out queue. Clones are handles to the same one.
///
/// Waiters are served first in, first out; a caller that is running may put or get ahead of them.
///
/// # Examples
///
/// ```
/// use green_core::queue::Queue;
///
/// let queue = Queue::bounded(2);
/// let producer = queue.clone();
/// green_core::spawn(move || {
///     for n in 0..10 {
///         producer.put(n).unwrap();
///     }
///     producer.close();
/// });
/// assert_eq!(queue.iter().sum::<i32>(), 45);
/// ```
pub struct Queue<T> {
    inner: Arc<Monitor<Inner<T>>>,
}

struct Inner<T> {
    items: VecDeque<T>,
    /// How many items there may be; `None` for any number.
    capacity: Option<usize>,
    closed: bool,
    getters: WaitQueue,
    putters: WaitQueue,
}

impl<T> Inner<T> {
    fn is_full(&self) -> bool {
        self.capacity
            .is_some_and(|capacity| self.items.len() >= capacity)
    }
}

impl<T> Queue<T> {
    /// A queue that always has room.
    pub fn unbounded() -> Self {
        Self::with_capacity(None)
    }

    /// A queue that holds at most `capacity` items; zero counts as one.
    pub fn bounded(capacity: usize) -> Self {
        Self::with_capacity(Some(capacity.max(1)))
    }

    fn with_capacity(capacity: Option<usize>) -> Self {
        Self {
            inner: Arc::new(Monitor::new(Inner {
                items: VecDeque::new(),
                capacity,
                closed: false,
                getters: WaitQueue::new(),
                putters: WaitQueue::new(),
            })),
        }
    }

    /// Puts an item at the end, waiting while there is no room.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. An interrupted `put` has put nothing.
    ///
    /// # Errors
    ///
    /// The queue is closed; the item comes back.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::Never)
    }

    /// Puts an item at the end if there is room.
    ///
    /// # Errors
    ///
    /// The queue is full or closed; the item comes back.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        let mut inner = self.inner.lock();
        let result = Self::push(&mut inner, &mut item);
        drop(inner);
        self.after_put(result.unwrap_or(Put::Full), item)
    }

    /// As [`Queue::put`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::try_put`].
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::after(timeout))
    }

    /// Takes the first item, waiting while there is none.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. An interrupted `get` has taken nothing.
    ///
    /// # Errors
    ///
    /// The queue is closed and empty.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_until(Deadline::Never)
    }

    /// Takes the first item if there is one.
    ///
    /// # Errors
    ///
    /// The queue is empty.
    pub fn try_get(&self) -> Result<T, GetError> {
        let mut inner = self.inner.lock();
        let got = Self::pop(&mut inner);
        drop(inner);
        Self::after_get(got.unwrap_or(Err(GetError::Empty)))
    }

    /// As [`Queue::get`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::get`]; also [`GetError::Empty`] if there was nothing in time.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_until(Deadline::after(timeout))
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.inner.lock().items.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.inner.lock().is_full()
    }

    /// Ends the queue: nothing more can be put; what is there can still be taken.
    pub fn close(&self) {
        self.inner
            .notify_all(|inner| &mut inner.getters, |inner| inner.closed = true);
        self.inner.notify_all(|inner| &mut inner.putters, |_| ());
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// The items, as they come, until the queue is closed and empty.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.get().ok())
    }

    fn put_until(&self, item: T, deadline: Deadline) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        let wait = Wait::new(WaitFor::QueuePut, deadline);
        let put = self.inner.wait(
            wait,
            |inner| &mut inner.putters,
            |inner| Self::push(inner, &mut item),
        );
        self.after_put(put.or_raise().unwrap_or(Put::Full), item)
    }

    fn get_until(&self, deadline: Deadline) -> Result<T, GetError> {
        let wait = Wait::new(WaitFor::QueueGet, deadline);
        let got = self.inner.wait(wait, |inner| &mut inner.getters, Self::pop);
        Self::after_get(got.or_raise().unwrap_or(Err(GetError::Empty)))
    }

    /// Puts the item, under the lock; `None` if there is no room.
    fn push(inner: &mut Inner<T>, item: &mut Option<T>) -> Option<Put> {
        if inner.closed {
            return Some(Put::Closed);
        }
        if inner.is_full() {
            return None;
        }
        if let Some(item) = item.take() {
            inner.items.push_back(item);
        }
        Some(Put::Done(inner.getters.notify_one()))
    }

    fn after_put(&self, put: Put, item: Option<T>) -> Result<(), PutError<T>> {
        match (put, item) {
            (Put::Done(next), _) => {
                wake(next);
                Ok(())
            }
            (Put::Full, Some(item)) => Err(PutError::Full(item)),
            (Put::Closed, Some(item)) => Err(PutError::Closed(item)),
            (Put::Full | Put::Closed, None) => {
                unreachable!("an item that was not put is still here")
            }
        }
    }

    /// Takes an item, under the lock; `None` if there is none and more may come.
    fn pop(inner: &mut Inner<T>) -> Option<Result<(T, Option<crate::waitq::Notified>), GetError>> {
        match inner.items.pop_front() {
            Some(item) => Some(Ok((item, inner.putters.notify_one()))),
            None => inner.closed.then_some(Err(GetError::Closed)),
        }
    }

    fn after_get(
        got: Result<(T, Option<crate::waitq::Notified>), GetError>,
    ) -> Result<T, GetError> {
        let (item, next) = got?;
        wake(next);
        Ok(item)
    }
}

/// What became of a put.
enum Put {
    /// The item is in; somebody may be there to take it.
    Done(Option<crate::waitq::Notified>),
    /// There was no room.
    Full,
    /// The queue is closed.
    Closed,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Why nothing was put; the item is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There was no room, or none in time.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the queue is closed",
        })
    }
}

impl<T> Error for PutError<T> {}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// There was no item, or none in time.
    Empty,
    /// The queue is closed, and everything in it was taken.
    Closed,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is closed",
        })
    }
}

impl Error for GetError {}
