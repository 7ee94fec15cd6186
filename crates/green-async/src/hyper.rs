//! hyper on the hubs: its stream, its executor, its timer; and handlers that block.
//!
//! See the crate for a server. A client is the same the other way round: `handshake` with a
//! [`Stream`], and the connection it returns in a task of [`aio::spawn`].

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::hyper::rt;
use futures_io::{AsyncRead, AsyncWrite};
use green_core::aio;

use crate::cursor::read_into;
use crate::stream::Stream;

impl<S: AsyncRead + Unpin> rt::Read for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        cursor: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.0);
        read_into(cursor, |free| stream.poll_read(context, free))
    }
}

impl<S: AsyncWrite + Unpin> rt::Write for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }

    /// Those of `green_net::aio` do; others say so at worst by writing the first buffer only.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, bufs)
    }
}

/// Runs hyper's tasks, each in a green thread of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        aio::spawn(future).detach();
    }
}

/// As [`Executor`], for tasks that stay on the hub of the green thread that uses it, and need not be `Send`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalExecutor;

impl<F> rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    /// # Panics
    ///
    /// Outside a green thread.
    fn execute(&self, future: F) {
        aio::spawn_local(future).detach();
    }
}

/// hyper's timers, kept by the hubs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(aio::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(aio::sleep_until(deadline)))
    }
}

/// A sleep of ours by hyper's name.
#[derive(Debug)]
struct Sleep(aio::Sleep);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl rt::Sleep for Sleep {}

/// A handler for `hyper::service::service_fn` that runs `handle`, which may block, in a green thread for each request.
///
/// On one connection of HTTP/2 so many requests run at once; each parks its own green thread only. If the request is
/// abandoned, its green thread runs on.
///
/// # Panics
///
/// What it returns panics if `handle` does, with its payload: hyper then drops the connection.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
///
/// use hyper::{Request, Response, body::Incoming, service::service_fn};
///
/// let hello = green_async::hyper::blocking(|_: Request<Incoming>| {
///     green_core::sleep(std::time::Duration::from_millis(1));
///     Ok::<_, Infallible>(Response::new("hello".to_owned()))
/// });
/// let _service = service_fn(hello);
/// ```
pub fn blocking<H, A, T>(handle: H) -> impl Fn(A) -> Handled<T> + Clone
where
    H: Fn(A) -> T + Send + Sync + 'static,
    A: Send + 'static,
    T: Send + 'static,
{
    let handle = Arc::new(handle);
    move |request| {
        let handle = Arc::clone(&handle);
        let greenlet = green_core::spawn(move || handle(request));
        Handled(greenlet.into_future())
    }
}

/// What a handler of [`blocking`] returns, to be awaited.
#[derive(Debug)]
pub struct Handled<T>(aio::Join<T>);

impl<T> Future for Handled<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match std::task::ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(handled) => Poll::Ready(handled),
            Err(green_core::Failure::Panicked(panic)) => panic.resume(),
            Err(failure) => panic!("a handler did not return: {failure}"),
        }
    }
}
