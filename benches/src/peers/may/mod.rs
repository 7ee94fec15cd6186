//! `may`: its coroutines on its own runtime, not pinned (pinning hurts where cores are shared).
//!
//! # Safety
//!
//! `may::coroutine::spawn` wants coroutines that do not hold a thread-local across a blocking call, because
//! they may go on on another OS thread, and that do not outgrow their stack.
//! 1. The coroutines here use no thread-local of their own and hold nothing of one across a blocking call.
//! 2. Their frames are a few hundred bytes; buffers are on the heap. The stack is `may`'s default, 32 KiB.

#![expect(unsafe_code, reason = "may's own spawn is unsafe")]

mod primitives;
mod serve;
mod tasks;

use std::io;

use may::coroutine::{self, JoinHandle};

use super::{Workers, panicked};

pub(super) struct May;

impl May {
    pub(super) fn start(workers: Workers) -> Self {
        may::config()
            .set_workers(workers.get())
            .set_worker_pin(false);
        Self
    }
}

/// Spawns a coroutine; only for the closures of this folder, which keep to the module's rules.
fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: by rules 1 and 2 of the module.
    unsafe { coroutine::spawn(body) }
}

fn join<T>(handle: JoinHandle<T>) -> io::Result<T> {
    handle.join().map_err(|_| panicked())
}
