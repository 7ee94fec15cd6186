//! The poller: a system's readiness interface behind one contract.
//!
//! A backend provides `Poller` with `new`, `add`, `add_for`, `delete` and `wait`, edge-triggered, reporting
//! readable, writable, closed and urgent data separately, and `Events`, whose items carry the token.

#[cfg(target_os = "linux")]
mod epoll;

#[cfg(target_os = "linux")]
pub(crate) use epoll::{Events, Poller};

#[cfg(not(target_os = "linux"))]
compile_error!("green has a poller for Linux only");
