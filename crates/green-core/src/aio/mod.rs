//! `async`/`await` on the hubs: wait for a future in a green thread, and for green things in a future.
//!
//! Behind the feature `async`. After Python's `asyncio`, as far as that has a name for it.
//!
//! # Parts
//!
//! - [`block_on`] ([`await_`]) waits for any future, of whichever library, and parks only the green thread that calls it.
//!
//! # How a future is waited for
//!
//! There is no second way to park. [`block_on`] waits for a token, the one that `thread::park` waits for, and a waker
//! gives it. A future that waits for a green thing stands in that thing's own queue, among green threads, with a waiter
//! (`park::polled`) that calls a waker instead of resuming a stack.
//!
//! 1. Nothing is lost: a waker that is called while the future is polled leaves the token, and the next wait takes it.
//! 2. A waker may outlive its `block_on`, be called from any OS thread, often, late or never: it owns a count
//!    of the token, which is used again only if nobody else has one.
//! 3. A future that is dropped while it waits has consumed nothing: if it was notified, the notification goes to the next.
//! 4. Nothing polls in a loop: a future is polled when its waker was called, and once before.

mod block_on;

pub use block_on::{await_, block_on};
