//! Blocking work, awaited.

use crate::threadpool::Job;

/// Runs `f` on an OS thread of the blocking pool, and awaits its value; on any executor. asyncio's `to_thread`.
///
/// `f` starts when the future is first polled. If it is dropped then, `f` runs on, and its value is dropped on the pool's OS
/// thread.
///
/// # Panics
///
/// If `f` panics: with its payload. If the pool has no OS thread and the system refuses one.
///
/// # Examples
///
/// ```
/// use green_core::aio;
///
/// let answer = green_core::block_on(aio::blocking(|| {
///     std::thread::sleep(std::time::Duration::from_millis(1)); // blocks no hub
///     42
/// }));
/// assert_eq!(answer, 42);
/// ```
#[doc(alias = "to_thread")]
pub async fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Job::start(f) {
        Ok(job) => job.wait_async().await,
        Err(error) => panic!("green: cannot start an OS thread for blocking work: {error}"),
    }
}
