//! gevent's `ThreadPool`.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::job::{Job, Outcome};
use super::os_threads::{Handle, Limit, OsThreads};
use super::{IDLE, no_thread};
use crate::error::{Failure, Panic};
use crate::greenlet::{Greenlet, spawn_prepared};
use crate::interrupt::OrRaise;
use crate::pool::{Group, IMap, NotTaken, Order, Refused, Slots, Start, Workers, inline, killed};
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::Wait;

/// OS threads for work that blocks, as many as are needed up to a limit. Clones are handles to the same pool.
///
/// One task more than there may be OS threads may be unfinished; who wants to start another one waits, in the order of
/// arrival, though a caller that is running may come first. What has begun on an OS thread cannot be stopped: who is
/// killed, or runs out of time, while waiting for it leaves it alone.
///
/// An OS thread that has had nothing to do for ten seconds ends; so do all, after what is in the queue, when the last
/// handle is dropped; what there is no OS thread for then is dropped, which counts as killed. For occasional work
/// [`blocking`](super::blocking) needs no pool of one's own.
///
/// # Examples
///
/// ```
/// use green_core::threadpool::ThreadPool;
///
/// let pool = ThreadPool::new(2);
/// let lengths = pool.map(["one", "two", "three"], |word| {
///     std::thread::sleep(std::time::Duration::from_millis(1)); // blocks no hub
///     word.len()
/// })?;
/// assert_eq!(lengths, [3, 3, 5]);
/// # Ok::<(), green_core::Failure>(())
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    inner: Arc<Inner>,
}

struct Inner {
    threads: Handle,
    /// Counts the tasks that have not finished.
    tasks: Arc<Slots>,
    /// The green threads that wait for tasks: what the handles are handles to.
    waiting: Group,
}

impl ThreadPool {
    /// A pool of at most `maxsize` OS threads. With zero, tasks wait until that is raised.
    pub fn new(maxsize: usize) -> Self {
        let threads = OsThreads::new("green-pool", Limit::Now(maxsize), Some(IDLE));
        Self {
            inner: Arc::new(Inner {
                threads: Handle::Shared(Arc::new(threads)),
                tasks: Arc::new(Slots::new(Some(maxsize.saturating_add(1)))),
                waiting: Group::new(),
            }),
        }
    }

    /// Runs `f` on an OS thread of the pool, waiting while too much is unfinished. It begins at once, if there is an OS
    /// thread for it.
    ///
    /// The handle is one to a green thread that waits for `f`: to kill it is to abandon the result. After
    /// [`ThreadPool::kill`] nothing runs, which counts as killed.
    ///
    /// # Blocking
    ///
    /// Parks the caller while too much is unfinished; a cancellation point then.
    ///
    /// # Panics
    ///
    /// If the pool has no OS thread and the system refuses one; then `f` does not run, and counts as no task.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Greenlet<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        match self.start(site, f, Deadline::Never, |_| ()) {
            Ok(task) => task,
            Err(refused) => killed(site, refused.into_inner()),
        }
    }

    /// As [`ThreadPool::spawn`], unless too much is unfinished.
    ///
    /// # Errors
    ///
    /// Too much is unfinished, or the pool was killed; `f` comes back.
    ///
    /// # Panics
    ///
    /// As [`ThreadPool::spawn`].
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let taken = self.inner.tasks.try_take(|()| ());
        self.start_taken(Location::caller(), f, taken, |_| ())
    }

    /// As [`ThreadPool::spawn`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`ThreadPool::try_spawn`].
    ///
    /// # Panics
    ///
    /// As [`ThreadPool::spawn`].
    #[track_caller]
    pub fn spawn_timeout<F, T>(&self, timeout: Duration, f: F) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start(Location::caller(), f, Deadline::after(timeout), |_| ())
    }

    /// Runs `f` on an OS thread of the pool and returns its value; in the caller, if that is one.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. If the caller is interrupted, `f` runs on and its value is dropped.
    ///
    /// # Errors
    ///
    /// `f` panicked; or the pool was killed, which counts as killed.
    ///
    /// # Panics
    ///
    /// As [`ThreadPool::spawn`].
    pub fn apply<F, T>(&self, f: F) -> Result<T, Failure>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.inner.threads.is_one() {
            return inline(f);
        }
        if self.inner.tasks.take(Deadline::Never, |()| ()).is_err() {
            return Err(Failure::Killed);
        }
        let wait = Wait::new(WaitFor::Blocking, Deadline::Never);
        match self.job(f).outcome(wait).unless_interrupted() {
            Outcome::Ended(result) => {
                result.map_err(|payload| Failure::Panicked(Panic::new(payload)))
            }
            Outcome::Dropped => Err(Failure::Killed),
        }
    }

    /// As [`ThreadPool::spawn`], without waiting: if too much is unfinished, a green thread waits instead.
    ///
    /// # Panics
    ///
    /// As [`ThreadPool::spawn`].
    #[track_caller]
    pub fn apply_async<F, T>(&self, f: F) -> Greenlet<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        let taken = self.inner.tasks.try_take(|()| ());
        match self.start_taken(site, f, taken, |_| ()) {
            Ok(task) => task,
            Err(Refused::Closed(f)) => killed(site, f),
            Err(Refused::Full(f)) => {
                let pool = self.clone();
                let wait = move || pool.apply(f).unwrap_or_else(Failure::resume);
                spawn_prepared(site, wait, |_| ())
            }
        }
    }

    /// Runs `f` on each item; returns the values in the order of the items.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. If the caller is interrupted, what has been started runs on.
    ///
    /// # Errors
    ///
    /// The first failure, in the order of the items, once all of them have been started; the others run on.
    ///
    /// # Panics
    ///
    /// As [`ThreadPool::spawn`].
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Result<Vec<T>, Failure>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        Workers::map(Location::caller(), self, items, f)
    }

    /// [`ThreadPool::map`] in a green thread.
    #[track_caller]
    pub fn map_async<I, F, T>(&self, items: I, f: F) -> Greenlet<Result<Vec<T>, Failure>>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (site, pool) = (Location::caller(), self.clone());
        spawn_prepared(site, move || Workers::map(site, &pool, items, f), |_| ())
    }

    /// Runs `f` on each item; yields the results in the order of the items. As [`Group::imap`], on OS threads.
    #[track_caller]
    pub fn imap<I, F, T>(&self, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (site, pool) = (Location::caller(), self.clone());
        IMap::new(site, pool, Order::Items, None, items, f)
    }

    /// As [`ThreadPool::imap`]; items beyond `maxsize` wait until a result has been taken. Zero counts as one.
    #[track_caller]
    pub fn imap_maxsize<I, F, T>(&self, maxsize: usize, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (site, pool) = (Location::caller(), self.clone());
        IMap::new(site, pool, Order::Items, Some(maxsize), items, f)
    }

    /// As [`ThreadPool::imap`]; yields the results in the order in which they come.
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (site, pool) = (Location::caller(), self.clone());
        IMap::new(site, pool, Order::Ends, None, items, f)
    }

    /// As [`ThreadPool::imap_unordered`], with the limit of [`ThreadPool::imap_maxsize`].
    #[track_caller]
    pub fn imap_unordered_maxsize<I, F, T>(&self, maxsize: usize, items: I, f: F) -> IMap<T>
    where
        I: IntoIterator<Item: Send + 'static> + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (site, pool) = (Location::caller(), self.clone());
        IMap::new(site, pool, Order::Ends, Some(maxsize), items, f)
    }

    /// How many tasks have not finished.
    pub fn len(&self) -> usize {
        self.inner.tasks.taken()
    }

    /// Whether all tasks have finished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether too much is unfinished to start another task.
    #[doc(alias = "full")]
    pub fn is_full(&self) -> bool {
        self.inner.tasks.free() == Some(0)
    }

    /// How many OS threads there are.
    pub fn size(&self) -> usize {
        self.inner.threads.threads()
    }

    /// How many OS threads there may be.
    pub fn maxsize(&self) -> usize {
        self.inner.threads.most()
    }

    /// Changes how many OS threads there may be. Those that are too many end when they have done what they do.
    ///
    /// # Panics
    ///
    /// If tasks have waited for this and the system refuses the first OS thread: nothing has changed.
    pub fn set_maxsize(&self, maxsize: usize) {
        let changed = self.inner.threads.set_most(maxsize);
        changed.unwrap_or_else(|error| no_thread(&error));
        self.inner.tasks.resize(Some(maxsize.saturating_add(1)));
    }

    /// Waits until no task is unfinished, or none was at some moment since the call.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn join(&self) {
        self.join_until(Deadline::Never);
    }

    /// As [`ThreadPool::join`], waiting at most `timeout`; true if the tasks had finished.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Deadline::after(timeout))
    }

    /// Ends the pool: drops the tasks that have not begun (on another OS thread), starts no other, and waits for those
    /// that have.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn kill(&self) {
        self.kill_nowait();
        self.join();
    }

    /// As [`ThreadPool::kill`], waiting at most `timeout`; true if the tasks have finished.
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.kill_nowait();
        self.join_timeout(timeout)
    }

    /// As [`ThreadPool::kill`], without waiting.
    pub fn kill_nowait(&self) {
        self.inner.tasks.close();
        self.inner.threads.close();
        self.inner.threads.clear();
    }

    /// Has an OS thread run `f`; the caller has taken a place for it.
    fn job<F, T>(&self, f: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let unfinished = Unfinished(Arc::clone(&self.inner.tasks));
        let job = Job::start_on(self.inner.threads.clone(), move || {
            let _unfinished = unfinished;
            f()
        });
        job.unwrap_or_else(|error| no_thread(&error))
    }

    fn start_taken<F, T>(
        &self,
        site: &'static Location<'static>,
        f: F,
        taken: Result<(), NotTaken>,
        prepare: impl FnOnce(&Greenlet<T>),
    ) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match taken {
            Ok(()) => {}
            Err(NotTaken::Full) => return Err(Refused::Full(f)),
            Err(NotTaken::Closed) => return Err(Refused::Closed(f)),
        }
        let job = self.job(f);
        let wait = move || {
            let wait = Wait::new(WaitFor::Blocking, Deadline::Never);
            job.wait(wait).unless_interrupted()
        };
        let started = self
            .inner
            .waiting
            .start(site, wait, Deadline::Never, prepare);
        Ok(started.expect("the group of those who wait is not closed"))
    }

    fn join_until(&self, deadline: Deadline) -> bool {
        // Those who wait for the last task have yet to be told.
        self.inner.tasks.join(deadline) && self.inner.waiting.join_until(deadline)
    }
}

impl Start for ThreadPool {
    fn start<F, T>(
        &self,
        site: &'static Location<'static>,
        f: F,
        deadline: Deadline,
        prepare: impl FnOnce(&Greenlet<T>),
    ) -> Result<Greenlet<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start_taken(site, f, self.inner.tasks.take(deadline, |()| ()), prepare)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.threads.close();
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("len", &self.len())
            .field("size", &self.size())
            .field("maxsize", &self.maxsize())
            .finish_non_exhaustive()
    }
}

/// A task that has not finished: counted until it is dropped, run or not.
struct Unfinished(Arc<Slots>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.give_back();
    }
}
