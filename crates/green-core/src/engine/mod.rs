//! The engine: reused stackful coroutines ("carriers") and the stacks they run on.
//!
//! The only folder that names `generator`, the coroutine engine crate that `may` itself is built on.
//! Its whole surface is here: make a [`Carrier`], resume it from its hub, park it from inside,
//! report an overflow of its stack ([`overflow`]), and walk it ([`walk`], [`sample`]). What runs on a carrier, and when, is decided
//! above, in `sched` and `hub`.
//!
//! # Rules
//!
//! 1. A carrier is made, resumed and parked on one OS thread, for ever ([`Pinned`] checks it).
//! 2. A suspended carrier is never dropped: whatever its frames own would leak or, worse, be freed
//!    under a borrower. Green threads end by returning, by unwinding, or not at all.
//! 3. At most one carrier of an OS thread runs at a time, and only the hub's own stack resumes one.
//! 4. `may` never sees a coroutine here: the marker by which it recognises one (the generator's
//!    local data) is set only around the switch itself. A blocking call of `may` inside a green
//!    thread therefore blocks the hub's OS thread and cannot move the stack to another.
//!
//! # Not here
//!
//! Which green thread runs next (`sched`), why one waits (`park`, `waitq`).

mod carrier;
pub(crate) mod guard;
mod isolate;
pub(crate) mod overflow;
mod pinned;
pub(crate) mod sample;
mod stack;
mod walk;

pub(crate) use carrier::{Carrier, NotAbandoned, prefetch};
pub use isolate::make_room;
pub(crate) use pinned::Pinned;
pub(crate) use walk::{Frames, ROOM, call_site};
