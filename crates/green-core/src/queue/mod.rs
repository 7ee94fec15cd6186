//! gevent's `queue`: hand items from any number of producers to any number of consumers.
//!
//! [`Queue`], [`LifoQueue`] and [`PriorityQueue`] have a buffer, and differ in which item comes out next. A
//! [`Channel`] has none: each item goes from hand to hand. In gevent a `JoinableQueue` is a `Queue`; here a
//! `SimpleQueue` is one, too.
//!
//! Waiters are served first in, first out; a caller that is running may put or get ahead of them, but not for ever:
//! when callers who wait were woken in vain 32 times, with none of them served in between, what comes is kept for
//! them until one is served. (In a `Channel` nobody is ever overtaken.)
//!
//! # Differences from gevent
//!
//! - A `maxsize` of `None` is [`unbounded`](Queue::unbounded). One of zero counts as one; in gevent it means any
//!   number, with a warning.
//! - `shutdown()` is [`close`](Queue::close), `shutdown(immediate=True)` is [`close_now`](Queue::close_now). Iteration
//!   ends when the queue is closed and empty; there is no item that ends it.
//! - The queues with a buffer are [`Waitable`].
//! - `Empty`, `Full` and `ShutDown` are [`GetError`] and [`PutError`], which gives the item back.

mod buffer;
mod channel;
mod error;
mod store;

use std::fmt;
use std::time::{Duration, Instant};

use crate::time::deadline::Deadline;
use crate::waitable::{Waitable, Watcher};
use buffer::Buffer;
use store::{Fifo, Heap, Lifo};

pub use channel::Channel;
pub use error::{GetError, PutError};

/// A [`Queue`] that nobody joins.
pub type SimpleQueue<T> = Queue<T>;

/// A [`Queue`]: each can be joined.
pub type JoinableQueue<T> = Queue<T>;

/// Defines a queue by its store; they have the same methods.
macro_rules! queue {
    ($(#[$attribute:meta])* $name:ident, $store:ident $(, $bound:ident)?) => {
        $(#[$attribute])*
        pub struct $name<T> {
            buffer: Buffer<$store<T>>,
        }

        impl<T $(: $bound)?> $name<T> {
            /// A queue that always has room.
            pub fn unbounded() -> Self {
                Self {
                    buffer: Buffer::new(None),
                }
            }

            /// A queue that holds at most `capacity` items; zero counts as one.
            pub fn bounded(capacity: usize) -> Self {
                Self {
                    buffer: Buffer::new(Some(capacity.max(1))),
                }
            }

            /// Puts an item, waiting while there is no room.
            ///
            /// # Blocking
            ///
            /// Parks the caller; a cancellation point. An interrupted `put` has put nothing. With room it does not wait.
            ///
            /// # Errors
            ///
            /// The queue is closed; the item comes back.
            pub fn put(&self, item: T) -> Result<(), PutError<T>> {
                self.buffer.put_until(item, Deadline::Never)
            }

            /// Puts an item if there is room that is not kept for those who wait.
            ///
            /// # Errors
            ///
            /// The queue is full or closed; the item comes back.
            #[doc(alias = "put_nowait")]
            pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
                self.buffer.try_put(item)
            }

            /// As `put`, waiting at most `timeout`.
            ///
            /// # Errors
            ///
            /// As `try_put`.
            pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
                self.buffer.put_until(item, Deadline::after(timeout))
            }

            /// As `put`, waiting until `deadline` at the latest.
            ///
            /// # Errors
            ///
            /// As `try_put`.
            pub fn put_deadline(&self, item: T, deadline: Instant) -> Result<(), PutError<T>> {
                self.buffer.put_until(item, Deadline::At(deadline))
            }

            /// As `put`, awaited on any executor. Dropped before it is done, it has put nothing.
            ///
            /// # Errors
            ///
            /// As `put`.
            #[cfg(feature = "async")]
            pub async fn put_async(&self, item: T) -> Result<(), PutError<T>> {
                self.buffer.put_async(item).await
            }

            /// Takes the next item, waiting while there is none.
            ///
            /// # Blocking
            ///
            /// Parks the caller; a cancellation point. An interrupted `get` has taken nothing. If there is an item it
            /// does not wait.
            ///
            /// # Errors
            ///
            /// The queue is closed and empty.
            pub fn get(&self) -> Result<T, GetError> {
                self.buffer.get_until(Deadline::Never)
            }

            /// Takes the next item if there is one that is not kept for those who wait.
            ///
            /// # Errors
            ///
            /// The queue is empty.
            #[doc(alias = "get_nowait")]
            pub fn try_get(&self) -> Result<T, GetError> {
                self.buffer.try_get()
            }

            /// As `get`, waiting at most `timeout`.
            ///
            /// # Errors
            ///
            /// As `get`; also [`GetError::Empty`] if there was nothing in time.
            pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
                self.buffer.get_until(Deadline::after(timeout))
            }

            /// As `get`, waiting until `deadline` at the latest.
            ///
            /// # Errors
            ///
            /// As `get_timeout`.
            pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
                self.buffer.get_until(Deadline::At(deadline))
            }

            /// As `get`, awaited on any executor. Dropped before it is done, it has taken nothing.
            ///
            /// # Errors
            ///
            /// As `get`.
            #[cfg(feature = "async")]
            pub async fn get_async(&self) -> Result<T, GetError> {
                self.buffer.get_async().await
            }

            /// A clone of the item that `get` would take, which stays; waits while there is none.
            ///
            /// The item's `clone` runs under the queue's lock: it must not use the queue, and panics if it waits.
            ///
            /// # Blocking
            ///
            /// As `get`, in one line with those who get.
            ///
            /// # Errors
            ///
            /// As `get`.
            pub fn peek(&self) -> Result<T, GetError>
            where
                T: Clone,
            {
                self.buffer.peek_until(Deadline::Never)
            }

            /// As `peek`, if there is an item.
            ///
            /// # Errors
            ///
            /// The queue is empty.
            #[doc(alias = "peek_nowait")]
            pub fn try_peek(&self) -> Result<T, GetError>
            where
                T: Clone,
            {
                self.buffer.try_peek()
            }

            /// As `peek`, waiting at most `timeout`.
            ///
            /// # Errors
            ///
            /// As `get_timeout`.
            pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError>
            where
                T: Clone,
            {
                self.buffer.peek_until(Deadline::after(timeout))
            }

            /// As `peek`, waiting until `deadline` at the latest.
            ///
            /// # Errors
            ///
            /// As `get_timeout`.
            pub fn peek_deadline(&self, deadline: Instant) -> Result<T, GetError>
            where
                T: Clone,
            {
                self.buffer.peek_until(Deadline::At(deadline))
            }

            /// How many items there are.
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.buffer.len()
            }

            /// Whether there is no item.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether there is no room.
            pub fn is_full(&self) -> bool {
                self.buffer.is_full()
            }

            /// How many items it holds at most; `None` for any number.
            pub fn maxsize(&self) -> Option<usize> {
                self.buffer.maxsize()
            }

            /// Changes that; zero counts as one. What is there stays, also if it is more.
            pub fn set_maxsize(&self, maxsize: Option<usize>) {
                self.buffer.set_maxsize(maxsize.map(|maxsize| maxsize.max(1)));
            }

            /// Another queue, with clones of the items and the same `maxsize`; a `clone` is a handle to this one.
            ///
            /// As in `peek`, the items' `clone` must not use the queue, and panics if it waits.
            pub fn copy(&self) -> Self
            where
                T: Clone,
            {
                Self {
                    buffer: self.buffer.copy(),
                }
            }

            /// Tells that the work on an item that was taken is done.
            ///
            /// # Panics
            ///
            /// If it is called more often than items were put.
            pub fn task_done(&self) {
                self.buffer.task_done();
            }

            /// How many items were put for which `task_done` was not called.
            pub fn unfinished_tasks(&self) -> usize {
                self.buffer.unfinished_tasks()
            }

            /// Waits until `task_done` was called for every item; returns at once if it was.
            ///
            /// # Blocking
            ///
            /// Parks the caller; a cancellation point. Returns also if more items are put before the caller runs.
            pub fn join(&self) {
                self.buffer.join_until(Deadline::Never);
            }

            /// As `join`, waiting at most `timeout`; true if it was called for every item.
            pub fn join_timeout(&self, timeout: Duration) -> bool {
                self.buffer.join_until(Deadline::after(timeout))
            }

            /// As `join`, waiting until `deadline` at the latest; true if it was called for every item.
            pub fn join_deadline(&self, deadline: Instant) -> bool {
                self.buffer.join_until(Deadline::At(deadline))
            }

            /// As `join`, awaited on any executor.
            #[cfg(feature = "async")]
            pub async fn join_async(&self) {
                self.buffer.join_async().await;
            }

            /// Ends the queue: nothing more can be put, also by those who wait for room; what is there can still be
            /// taken.
            #[doc(alias = "shutdown")]
            pub fn close(&self) {
                self.buffer.close();
            }

            /// Ends the queue, drops what is there and counts it as done.
            pub fn close_now(&self) {
                self.buffer.close_now();
            }

            /// Whether it was closed.
            pub fn is_closed(&self) -> bool {
                self.buffer.is_closed()
            }

            /// The items, as they come, until the queue is closed and empty.
            pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
                std::iter::from_fn(|| self.get().ok())
            }
        }

        /// Ready when there is an item that is not kept for somebody who came before; also when the queue is closed.
        /// Nothing is taken: somebody else may have the item before the caller does.
        impl<T $(: $bound)?> Waitable for $name<T> {
            fn watch(&self, watcher: &Watcher) {
                self.buffer.watch(watcher);
            }

            fn unwatch(&self, watcher: &Watcher) {
                self.buffer.unwatch(watcher);
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self {
                    buffer: self.buffer.clone(),
                }
            }
        }

        /// An unbounded queue with these items.
        impl<T $(: $bound)?> FromIterator<T> for $name<T> {
            fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
                Self {
                    buffer: Buffer::from_items(items),
                }
            }
        }

        impl<T $(: $bound)?> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("len", &self.len())
                    .field("closed", &self.is_closed())
                    .finish_non_exhaustive()
            }
        }
    };
}

queue! {
    /// A first-in, first-out queue. Clones are handles to the same one.
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
    ///
    /// Waiting until all work is done:
    ///
    /// ```
    /// use green_core::queue::JoinableQueue;
    ///
    /// let jobs: JoinableQueue<u32> = (0..10).collect();
    /// for _ in 0..2 {
    ///     let jobs = jobs.clone();
    ///     green_core::spawn(move || jobs.iter().for_each(|_job| jobs.task_done()));
    /// }
    /// jobs.join();
    /// assert_eq!(jobs.unfinished_tasks(), 0);
    /// ```
    ///
    /// `get_async`, `put_async` and `join_async`, with the feature `async`, are for futures.
    Queue, Fifo
}

queue! {
    /// A queue that gives out the item that was put last. Clones are handles to the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::queue::LifoQueue;
    ///
    /// let stack: LifoQueue<_> = ["first", "last"].into_iter().collect();
    /// assert_eq!(stack.get(), Ok("last"));
    /// ```
    LifoQueue, Lifo
}

queue! {
    /// A queue that gives out the lowest item; [`Reverse`](std::cmp::Reverse) around the items makes that the highest.
    /// Clones are handles to the same one.
    ///
    /// Items that compare equal come out in no particular order. They are compared under the queue's lock: that must
    /// not use the queue, and panics if it waits. If a comparison panics, what was to be put has been put, and what was to be
    /// got is dropped, under the lock, too; the order is no particular one from then on.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::queue::PriorityQueue;
    ///
    /// let queue = PriorityQueue::unbounded();
    /// queue.put((2, "later")).unwrap();
    /// queue.put((1, "first")).unwrap();
    /// assert_eq!(queue.get(), Ok((1, "first")));
    /// ```
    PriorityQueue, Heap, Ord
}
