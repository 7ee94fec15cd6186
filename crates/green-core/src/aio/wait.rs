//! Waiting for several tasks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::task::Task;
use super::timeout;
use crate::error::Failure;
use crate::waitable::{ReadyList, Waitable, Watcher};

/// When [`wait`] has waited enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnWhen {
    /// When all tasks have ended; asyncio's `ALL_COMPLETED`.
    AllCompleted,
    /// When one has ended; asyncio's `FIRST_COMPLETED`.
    FirstCompleted,
    /// When one has failed, or all have ended; asyncio's `FIRST_EXCEPTION`. Being cancelled is not a failure.
    FirstException,
}

/// Waits for tasks; returns those that have ended, and the others. Both are in the order in which they were given.
///
/// At most for `limit`, if there is one. The others are not cancelled, unless the caller drops them.
///
/// Dropped before that, it cancels all of them, where asyncio's leaves them alone.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::aio::{self, ReturnWhen};
///
/// green_core::block_on(async {
///     let slow = aio::spawn(aio::sleep(Duration::from_secs(600)));
///     let quick = aio::spawn(async {});
///     let (done, pending) = aio::wait([slow, quick], ReturnWhen::FirstCompleted, None).await;
///     assert_eq!((done.len(), pending.len()), (1, 1));
/// });
/// ```
pub async fn wait<T>(
    tasks: impl IntoIterator<Item = Task<T>>,
    when: ReturnWhen,
    limit: Option<Duration>,
) -> (Vec<Task<T>>, Vec<Task<T>>) {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let enough = wait_until_enough(&tasks, when);
    match limit {
        None => enough.await,
        // That it was not enough in time shows in what is returned.
        Some(limit) => _ = timeout(limit, enough).await,
    }
    tasks.into_iter().partition(Task::is_finished)
}

async fn wait_until_enough<T>(tasks: &[Task<T>], when: ReturnWhen) {
    let ends = Ends::new(tasks);
    for _ in tasks {
        let ended = &tasks[ends.next().await];
        let enough = match when {
            ReturnWhen::AllCompleted => false,
            ReturnWhen::FirstCompleted => true,
            ReturnWhen::FirstException => !ended.greenlet().successful(),
        };
        if enough {
            return;
        }
    }
}

/// Waits for tasks; returns what they came to, in the order in which they were given. asyncio's `gather`.
///
/// Dropped before that, it cancels them all.
///
/// # Errors
///
/// The first failure, in the order of the ends; being cancelled is one here. The other tasks run on, as in asyncio.
///
/// # Examples
///
/// ```
/// use green_core::aio;
///
/// let squares = (0..4).map(|n| aio::spawn(async move { n * n }));
/// assert_eq!(green_core::block_on(aio::gather(squares)).unwrap(), [0, 1, 4, 9]);
/// ```
pub async fn gather<T>(tasks: impl IntoIterator<Item = Task<T>>) -> Result<Vec<T>, Failure> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    if let Some(failed) = first_failure(&tasks).await {
        tasks.into_iter().for_each(Task::detach);
        return Err(failed);
    }
    let mut values = Vec::with_capacity(tasks.len());
    for task in tasks {
        values.push(task.await?);
    }
    Ok(values)
}

async fn first_failure<T>(tasks: &[Task<T>]) -> Option<Failure> {
    let ends = Ends::new(tasks);
    for _ in tasks {
        let ended = &tasks[ends.next().await];
        if let Some(failure) = ended.greenlet().failure() {
            return Some(failure);
        }
    }
    None
}

/// As [`gather`], but every result is returned, failures too; asyncio's `gather` with `return_exceptions`.
pub async fn gather_results<T>(
    tasks: impl IntoIterator<Item = Task<T>>,
) -> Vec<Result<T, Failure>> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await);
    }
    results
}

/// The ends of some tasks, each once, in their order.
struct Ends<'a, T> {
    tasks: &'a [Task<T>],
    ready: Arc<ReadyList>,
}

impl<'a, T> Ends<'a, T> {
    fn new(tasks: &'a [Task<T>]) -> Self {
        let ends = Self {
            tasks,
            ready: Arc::new(ReadyList::new()),
        };
        for (index, task) in tasks.iter().enumerate() {
            task.watch(&ends.watcher(index));
        }
        ends
    }

    /// The place of the next one that has ended.
    fn next(&self) -> impl Future<Output = usize> {
        self.ready.next_async()
    }

    fn watcher(&self, index: usize) -> Watcher {
        Watcher::new(&self.ready, index)
    }
}

impl<T> Drop for Ends<'_, T> {
    fn drop(&mut self) {
        for (index, task) in self.tasks.iter().enumerate() {
            task.unwatch(&self.watcher(index));
        }
    }
}
