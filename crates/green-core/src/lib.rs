//! Green threads for Rust, after gevent: code that looks blocking suspends only the green thread that
//! runs it.
//!
//! ```
//! use std::time::Duration;
//!
//! let greetings = ["hello", "world"].map(|word| {
//!     green_core::spawn(move || {
//!         green_core::sleep(Duration::from_millis(10));
//!         word.len()
//!     })
//! });
//! let total: usize = green_core::joinall(&greetings).iter().map(|g| g.get().unwrap()).sum();
//! assert_eq!(total, 10);
//! ```
//!
//! # The parts
//!
//! - [`spawn`], [`spawn_local`], [`spawn_later`], [`spawn_raw`], [`Builder`], [`run`]: make green threads. [`Greenlet`]:
//!   their handle. [`greenlet::Switch`]: those that pass control by name. [`joinall`], [`killall`]: several at once.
//!   [`wait`], [`iwait`]: any mix of green threads and other things.
//! - [`sleep`], [`yield_now`], [`idle`], [`timeout()`], [`Timeout`], [`mask_kill`], [`no_park`], [`blocking`].
//! - [`thread`]: std's threads. [`sync`]: std's locks. [`lock`], [`event`], [`queue`], [`pool`], [`threadpool`]: gevent's.
//! - [`fs`]: std's files. [`process`]: its children. [`io`]: any file descriptor. Sockets are in the crate `green-net`.
//! - [`signal`]: signals of the process. [`select`]: several descriptors at once. [`os`], [`fileobject`]: any one.
//! - [`Config`]: the knobs. [`stats`], [`dump`], [`debug`], [`util`]: what is going on.
//!
//! # How it works
//!
//! A *hub* is an OS thread with a scheduler and an event loop. A green thread runs on the hub where it
//! first ran, for ever, on a stack of its own: a reused coroutine of `generator`, the engine of `may`.
//! The layers, from the bottom: `engine` (stacks and switches), `sched` (what is runnable), `park` (one
//! waiting caller), `waitq` (the one wait list), `reactor` (readiness), `hub` (the loop), and the public
//! modules on top.
//!
//! # Not supported
//!
//! Windows and macOS; `fork` without `exec`.

#![cfg_attr(
    green_loom,
    expect(dead_code, reason = "a model uses only a part of what it compiles")
)]

#[cfg(all(feature = "async", not(green_loom)))]
pub mod aio;
#[expect(unsafe_code, reason = "gives references back that it was given")]
mod atomic_ref;
#[cfg(not(green_loom))]
mod brief_lock;
mod primitive;

#[cfg(not(green_loom))]
mod config;
#[cfg(not(green_loom))]
pub mod debug;
#[cfg(not(green_loom))]
#[expect(unsafe_code, reason = "stacks and switches: see the module's rules")]
mod engine;
#[cfg(not(green_loom))]
mod error;
#[cfg(not(green_loom))]
pub mod event;
#[cfg(not(green_loom))]
pub mod fileobject;
#[cfg(not(green_loom))]
pub mod fs;
#[cfg(not(green_loom))]
pub mod greenlet;
#[cfg(not(green_loom))]
mod hub;
#[cfg(not(green_loom))]
mod interrupt;
#[cfg(not(green_loom))]
pub mod io;
#[expect(unsafe_code, reason = "links records of callers to each other")]
mod list;
#[cfg(not(green_loom))]
pub mod lock;
#[cfg(not(green_loom))]
#[path = "may_bridge/mod.rs"]
#[expect(unsafe_code, reason = "may's spawn is unsafe")]
pub mod may;
#[cfg(not(green_loom))]
pub mod os;
#[cfg(not(green_loom))]
mod panics;
mod park;
#[cfg(not(green_loom))]
pub mod pool;
#[cfg(not(green_loom))]
pub mod process;
#[cfg(not(green_loom))]
pub mod queue;
#[cfg(not(green_loom))]
mod reactor;
#[cfg(not(green_loom))]
mod sched;
#[cfg(not(green_loom))]
pub mod select;
#[cfg(not(green_loom))]
pub mod signal;
#[cfg(not(green_loom))]
mod switch_hook;
#[cfg(not(green_loom))]
pub mod sync;
#[cfg(not(green_loom))]
pub mod thread;
#[cfg(not(green_loom))]
pub mod threadpool;
mod time;
#[cfg(not(green_loom))]
pub mod timeout;
#[cfg(not(green_loom))]
mod trace;
#[cfg(not(green_loom))]
pub mod util;
#[cfg(not(green_loom))]
mod waitable;
#[expect(unsafe_code, reason = "links the waiters: see the rules in list.rs")]
mod waitq;
#[cfg(not(green_loom))]
mod watched_line;

/// What a model needs of the scheduler: the wake word and the inbox.
#[cfg(green_loom)]
mod sched {
    pub(crate) mod inbox;
    #[cfg(test)]
    mod inbox_loom;
    mod wait_for;
    pub(crate) mod waiter;
    #[cfg(test)]
    mod waiter_loom;
    pub(crate) mod word;

    pub(crate) use wait_for::WaitFor;
}

/// What a model needs of the locks: who has a read-write lock.
#[cfg(green_loom)]
mod sync {
    mod rwlock;
}

/// What a model needs of the threads: the park token.
#[cfg(green_loom)]
mod thread {
    pub(crate) mod token;
    #[cfg(test)]
    mod token_loom;
}

#[cfg(all(feature = "async", not(green_loom)))]
#[doc(inline)]
pub use aio::{await_, block_on};
#[cfg(not(green_loom))]
pub use config::{Config, Overflow};
#[cfg(not(green_loom))]
pub use debug::{StackUsage, Stats, dump, stack_usage, stats};
#[cfg(not(green_loom))]
#[doc(hidden)]
pub use engine::make_room; // for green-net
#[cfg(not(green_loom))]
pub use error::{AlreadyStarted, Elapsed, Failure, Panic};
#[cfg(not(green_loom))]
#[doc(inline)]
pub use greenlet::{
    Builder, Greenlet, JoinAll, LinkId, RawGreenlet, SpawnCallback, add_spawn_callback, getcurrent,
    idle, joinall, joinall_raise, joinall_timeout, killall, killall_nowait, killall_timeout, local,
    remove_spawn_callback, run, spawn, spawn_later, spawn_local, spawn_raw,
};
#[cfg(not(green_loom))]
pub use signal::signal_handler;
#[cfg(not(green_loom))]
pub use switch_hook::SwitchHook;
#[cfg(not(green_loom))]
pub use threadpool::{blocking, try_blocking};
#[cfg(not(green_loom))]
pub use time::{sleep, sleep_until, yield_now};
#[cfg(not(green_loom))]
pub use timeout::{Timeout, mask_kill, no_park, timeout, with_timeout};
#[cfg(not(green_loom))]
pub use waitable::{
    IWait, Waitable, Watcher, iwait, wait, wait_count, wait_idle, wait_idle_timeout, wait_timeout,
};
