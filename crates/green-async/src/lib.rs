//! Adapters between green threads and the async ecosystem.
//!
//! Futures of any library run in green threads already: [`block_on`](green_core::block_on) waits for them,
//! [`aio::spawn`](green_core::aio::spawn) gives them a green thread of their own, and the sockets of [`green_net::aio`] have
//! the traits of `futures-io`. What is here is for libraries that want more:
//!
//! - feature `tokio-io`: [`Stream`] has tokio's `AsyncRead` and `AsyncWrite`, for libraries that take any stream with these.
//! - feature `tokio`: a tokio runtime in the background, for libraries that insist on one; `tokio::run` waits for what
//!   runs there.

mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tokio-io")]
mod tokio_io;

pub use stream::Stream;
