//! `async`/`await` on the hubs: wait for a future in a green thread, and for green things in a future.
//!
//! Behind the feature `async`. After Python's `asyncio`, as far as that has a name for it.
//!
//! ```
//! use std::time::Duration;
//! use green_core::aio;
//!
//! async fn length(word: &str) -> usize {
//!     aio::sleep(Duration::from_millis(10)).await;
//!     word.len()
//! }
//!
//! let total = aio::run_until_complete(async {
//!     let hello = aio::spawn(length("hello"));
//!     length("world").await + hello.await.unwrap()
//! });
//! assert_eq!(total, 10);
//! ```
//!
//! # Parts
//!
//! - [`block_on()`] ([`await_`]) waits for any future, of whichever library, and parks only the green thread that calls it.
//! - [`spawn`], [`spawn_local`]: a [`Task`], which is a green thread that does nothing but wait for its future.
//!   [`run_until_complete`], [`gather`], [`wait()`]: asyncio's.
//! - [`sleep()`], [`timeout()`], [`blocking()`], a [`Greenlet`](crate::Greenlet) (`greenlet.await`), and the methods
//!   that end in `_async` of what green threads wait for: events, semaphores, queues, channels.
//!   These are futures for any executor, tokio's included.
//!
//! # Why a task is a green thread
//!
//! Tasks could be polled by one green thread for each hub. But then a blocking green call inside one would stop all others, and
//! a panic, a kill and a dump would have to be told apart by hand. A green thread costs about 4 KiB and less than a
//! microsecond, has all of these, and stays on its hub: so does the task, as in asyncio.
//!
//! So nothing in here deadlocks that would not in green threads: a task may call `block_on`, or any blocking green
//! call, and parks nobody but itself. What is inside its future in between (`join!`, `select!`) stands as long, of course.
//!
//! # How a future is waited for
//!
//! There is no second way to park. [`block_on()`] waits for a token, the one that `thread::park` waits for, and a waker
//! gives it. A future that waits for a green thing stands in that thing's own queue, among green threads, with a waiter
//! (`park::polled`) that calls a waker instead of resuming a stack.
//!
//! 1. Nothing is lost: a waker that is called while the future is polled leaves the token, and the next wait takes it.
//! 2. A waker may outlive its `block_on`, be called from any OS thread, often, late or never: it owns a count
//!    of the token, which is used again only if nobody else has one.
//! 3. A future that is dropped while it waits has consumed nothing: if it was notified, the notification goes to the next.
//!    Only a message that a receiver has taken already is sent.
//! 4. Nothing polls in a loop: a future is polled when its waker was called, and once before. What no poller tells of is tried
//!    again after pauses, as for green threads.
//! 5. A future that is kept and not polled, or leaked, keeps what it was notified of; of a lock or a queue whose callers were
//!    overtaken too often, that is a permit or an item that others cannot have meanwhile.

mod block_on;
mod blocking;
mod sleep;
mod task;
mod wait;

pub use block_on::{await_, block_on};
pub use blocking::blocking;
pub use sleep::{Sleep, sleep, sleep_until, timeout};
pub use task::{Join, Task, run_until_complete, spawn, spawn_local};
pub use wait::{ReturnWhen, gather, gather_results, wait};
