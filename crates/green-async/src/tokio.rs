//! A tokio runtime in the background, for libraries that insist on one.
//!
//! One OS thread runs it; its blocking pool has more. It starts at the first use and lives as long as the process. What runs there has
//! tokio's timers and, if tokio has its feature `net` in this build, its sockets. Whoever waits for it is a green thread.
//!
//! Nothing is polled on a hub: tokio's context is tied to an OS thread, and a green thread that parked inside it would leave
//! it to its neighbours.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::OnceLock;

use ::tokio::runtime::{Builder, Handle, Runtime};
use ::tokio::task::JoinHandle;
use green_core::block_on;

/// Runs `future` on the runtime, and waits for what it comes to.
///
/// # Blocking
///
/// Parks the caller; a cancellation point. If the caller is killed, the future is cancelled.
///
/// # Panics
///
/// If `future` does: with its payload. If the system refuses the runtime its OS thread. On that runtime itself: its one worker
/// would wait for what only it can run; there, `.await`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// // The `async` block makes tokio's sleep where its runtime is; anywhere else that panics.
/// let sleep = || green_async::tokio::run(async { tokio::time::sleep(Duration::from_millis(5)).await });
/// green_core::joinall((0..100).map(|_| green_core::spawn(sleep)));
/// ```
pub fn run<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let is_there = Handle::try_current().is_ok_and(|current| current.id() == handle().id());
    assert!(
        !is_there,
        "tokio::run on the runtime that it waits for: await the future"
    );
    let mut running = AbortOnDrop(spawn(future));
    match block_on(&mut running.0) {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => panic!("the background runtime is gone: {error}"),
        },
    }
}

/// Runs `future` on the runtime; the handle can be awaited anywhere, by [`block_on`] too.
///
/// # Panics
///
/// If the system refuses the runtime its OS thread.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    handle().spawn(future)
}

/// The runtime, for libraries that want its handle.
///
/// # Panics
///
/// If the system refuses it its OS thread.
pub fn handle() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("green-tokio")
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("green: cannot start tokio's runtime: {error}"))
    });
    runtime.handle()
}

/// Cancels what runs there if nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
