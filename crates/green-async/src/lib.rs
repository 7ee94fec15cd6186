//! Adapters between green threads and the async ecosystem.
//!
//! Futures of any library run in green threads already: [`block_on`](green_core::block_on) waits for them,
//! [`aio::spawn`](green_core::aio::spawn) gives them a green thread of their own, and the sockets of [`green_net::aio`] have
//! the traits of `futures-io`. What is here is for libraries that want more:
//!
//! - feature `hyper`: [`Stream`] has hyper's `Read` and `Write`; `hyper::Executor` and `hyper::Timer` run its tasks and
//!   timers on the hubs. No tokio is involved.
//! - feature `tokio-io`: [`Stream`] has tokio's `AsyncRead` and `AsyncWrite`, for libraries that take any stream with these.
//! - feature `tokio`: a tokio runtime in the background, for libraries that insist on one; `tokio::run` waits for what
//!   runs there.
//!
//! ```
//! # #[cfg(feature = "hyper")] {
//! use std::convert::Infallible;
//!
//! use ::hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
//! use green_async::Stream;
//! use green_core::aio;
//! use green_net::aio::TcpListener;
//!
//! # aio::run_until_complete(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let addr = listener.get_ref().local_addr()?;
//! # aio::spawn(async move {
//! while let Ok((stream, _)) = listener.accept().await {
//!     let hello = service_fn(async |_: Request<Incoming>| {
//!         Ok::<_, Infallible>(Response::new("hello".to_owned()))
//!     });
//!     let serve = http1::Builder::new().serve_connection(Stream::new(stream), hello);
//!     aio::spawn(serve).detach();
//! }
//! # }).detach();
//! # let (mut reader, mut writer) = green_net::aio::open_connection(addr).await?;
//! # writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
//! # let mut all = Vec::new();
//! # reader.read_to_end(&mut all).await?;
//! # assert!(all.ends_with(b"hello"));
//! # Ok::<_, std::io::Error>(())
//! # }).unwrap();
//! # }
//! ```

#[cfg(feature = "hyper")]
#[expect(unsafe_code, reason = "hyper has no safe way to say how much was read")]
mod cursor;
#[cfg(feature = "hyper")]
pub mod hyper;
mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tokio-io")]
mod tokio_io;

pub use stream::Stream;
