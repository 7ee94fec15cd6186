//! Results while others are still computed.
//!
//! # Protocol
//!
//! 1. A green thread, the *dispatcher*, takes the items and starts a worker in the group for each.
//! 2. A queue carries the workers to the iterator: in order when they start, else when they end.
//! 3. The queue is closed when its last [`Producer`] goes: the dispatcher, or the last worker's link.
//! 4. The workers are also in a group of the iterator's own. When the iterator is dropped, it closes that group and kills
//!    who is in it, so that none can come after.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::Location;
use std::sync::Arc;

use super::{Group, Start, killed};
use crate::error::Failure;
use crate::greenlet::{Greenlet, spawn_prepared};
use crate::lock::Semaphore;
use crate::queue::Queue;
use crate::time::deadline::Deadline;

/// Yields the results of [`Group::imap`] and its variants.
///
/// Dropping it kills the workers whose results have not come out, without waiting for them.
///
/// # Blocking
///
/// [`next`](Iterator::next) parks the caller until the next result is there; a cancellation point. An interrupted `next`
/// loses no result.
pub struct IMap<T> {
    /// Those whose results are next.
    queue: Queue<Greenlet<T>>,
    /// The one whose result is next.
    front: Option<Greenlet<T>>,
    /// Starts the workers; until it was asked how it ended.
    dispatcher: Option<Greenlet<()>>,
    /// All workers that have not ended.
    workers: Group,
    /// Room for items whose results have not been taken, if that is limited.
    room: Option<Arc<Semaphore>>,
}

/// When a worker is put in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// When it starts.
    Items,
    /// When it ends.
    Ends,
}

impl<T: Send + 'static> IMap<T> {
    /// Starts the dispatcher, which has `starter` start the workers.
    pub(crate) fn new<I, F>(
        site: &'static Location<'static>,
        starter: impl Start,
        order: Order,
        maxsize: Option<usize>,
        items: I,
        f: F,
    ) -> Self
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        let queue = Queue::unbounded();
        let room = maxsize.map(|maxsize| Arc::new(Semaphore::new(maxsize.max(1))));
        let workers = Group::new();
        let dispatch = {
            let producer = Arc::new(Producer(queue.clone()));
            let (room, workers) = (room.clone(), workers.clone());
            move || {
                let f = Arc::new(f);
                for item in items {
                    if let Some(room) = &room {
                        room.acquire().forget();
                    }
                    let f = Arc::clone(&f);
                    let started = starter.start(
                        site,
                        move || f(item),
                        Deadline::Never,
                        |worker| {
                            producer.announce(worker, order);
                            if workers.try_add(worker).is_err() {
                                worker.kill_nowait();
                            }
                        },
                    );
                    if let Err(refused) = started {
                        producer.0.put(killed(site, refused.into_inner())).ok();
                        return;
                    }
                }
            }
        };
        Self {
            queue,
            front: None,
            dispatcher: Some(spawn_prepared(site, dispatch, |_| ())),
            workers,
            room,
        }
    }
}

impl<T> Iterator for IMap<T> {
    type Item = Result<T, Failure>;

    fn next(&mut self) -> Option<Result<T, Failure>> {
        if self.front.is_none() {
            self.front = self.queue.get().ok();
        }
        let Some(front) = &self.front else {
            // Nobody is left but the dispatcher, which may have panicked in the items.
            self.dispatcher.as_ref()?.join();
            let ended = self.dispatcher.take()?.into_result();
            return ended.err().map(Err);
        };
        front.join();
        let result = self.front.take()?.into_result();
        if let Some(room) = &self.room {
            room.release();
        }
        Some(result)
    }
}

impl<T> FusedIterator for IMap<T> {}

impl<T> Drop for IMap<T> {
    fn drop(&mut self) {
        self.workers.close();
        if let Some(dispatcher) = &self.dispatcher {
            dispatcher.kill_nowait();
        }
        self.workers.kill_nowait();
    }
}

impl<T> fmt::Debug for IMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IMap").finish_non_exhaustive()
    }
}

/// One that puts workers in the queue; the last one closes it.
struct Producer<T>(Queue<Greenlet<T>>);

impl<T: Send + 'static> Producer<T> {
    /// Puts a worker that has not started in the queue, now or when it has ended.
    fn announce(self: &Arc<Self>, worker: &Greenlet<T>, order: Order) {
        match order {
            Order::Items => drop(self.0.put(worker.clone())),
            Order::Ends => {
                let producer = Arc::clone(self);
                worker.rawlink(move |worker| drop(producer.0.put(worker.clone())));
            }
        }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}
