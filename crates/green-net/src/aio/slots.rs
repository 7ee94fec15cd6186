//! What a socket keeps for who polls it: where the last poll of each direction waits.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use green_core::io::{Io, IoWait};
use parking_lot::Mutex;

use crate::attempt;
use crate::socket::Socket;

/// Where the last poll of each direction waits.
#[derive(Debug, Default)]
pub(super) struct Slots {
    read: Mutex<IoWait>,
    write: Mutex<IoWait>,
}

/// Whether a read that moves fewer bytes than asked has emptied the receive buffer.
#[derive(Clone, Copy, Debug)]
pub(super) enum ShortRead {
    /// As of TCP streams.
    IsLast,
    /// As of Unix streams.
    MayHaveMore,
}

/// The operations of a stream, on the socket and the slots of it.
#[derive(Clone, Copy)]
pub(super) struct Stream<'a> {
    pub(super) socket: &'a Socket,
    pub(super) short_read: ShortRead,
}

impl<'a> Stream<'a> {
    fn io(self) -> &'a Io<OwnedFd> {
        self.socket.io()
    }

    fn poll_read_by(
        self,
        slots: &Slots,
        context: &mut Context<'_>,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if asked == 0 {
            return Poll::Ready(Ok(0));
        }
        let attempt = |fd: &OwnedFd| attempt(fd.as_fd());
        let wait = &mut slots.read.lock();
        match self.short_read {
            ShortRead::IsLast => self
                .io()
                .poll_read_stream_with(wait, context, asked, attempt),
            ShortRead::MayHaveMore => self.io().poll_read_with(wait, context, attempt),
        }
    }

    pub(super) fn poll_read(
        self,
        slots: &Slots,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_by(slots, context, buf.len(), |fd| attempt::try_recv(fd, buf))
    }

    pub(super) fn poll_read_vectored(
        self,
        slots: &Slots,
        context: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = attempt::at_most_max(bufs.len());
        let bufs = &mut bufs[..count];
        let asked = attempt::total(bufs.iter().map(|buf| buf.len()));
        self.poll_read_by(slots, context, asked, |fd| {
            attempt::try_recv_vectored(fd, bufs)
        })
    }

    pub(super) fn poll_write(
        self,
        slots: &Slots,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = |fd: &OwnedFd| attempt::try_send(fd.as_fd(), buf);
        self.io()
            .poll_write_stream_with(&mut slots.write.lock(), context, buf.len(), attempt)
    }

    pub(super) fn poll_write_vectored(
        self,
        slots: &Slots,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = &bufs[..attempt::at_most_max(bufs.len())];
        let asked = attempt::total(bufs.iter().map(|buf| buf.len()));
        if asked == 0 {
            return Poll::Ready(Ok(0));
        }
        let attempt = |fd: &OwnedFd| attempt::try_send_vectored(fd.as_fd(), bufs);
        self.io()
            .poll_write_stream_with(&mut slots.write.lock(), context, asked, attempt)
    }

    pub(super) async fn read(self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let asked = buf.len();
        let attempt = |fd: &OwnedFd| attempt::try_recv(fd.as_fd(), buf);
        match self.short_read {
            ShortRead::IsLast => self.io().read_stream_with_async(asked, attempt).await,
            ShortRead::MayHaveMore => self.io().read_with_async(attempt).await,
        }
    }

    pub(super) async fn peek(self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let attempt = |fd: &OwnedFd| attempt::try_peek(fd.as_fd(), buf);
        self.io().read_with_async(attempt).await
    }

    pub(super) async fn write(self, buf: &[u8]) -> io::Result<usize> {
        let attempt = |fd: &OwnedFd| attempt::try_send(fd.as_fd(), buf);
        self.io().write_stream_with_async(buf.len(), attempt).await
    }

    /// Writes what there is room for; zero if there is none.
    pub(super) fn try_write(self, buf: &[u8]) -> io::Result<usize> {
        let attempt = |fd: &OwnedFd| attempt::try_send(fd.as_fd(), buf);
        self.io()
            .try_write_stream_with(buf.len(), attempt)
            .unwrap_or(Ok(0))
    }

    pub(super) async fn write_all(self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let n = self.write(buf).await?;
            buf = &buf[n..];
        }
        Ok(())
    }

    /// Ends the direction in which the stream is written.
    pub(super) fn close(self) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

/// What a stream for futures has, whatever it is made of.
macro_rules! stream {
    ($stream:ident of $blocking:path, $short_read:expr) => {
        impl $stream {
            fn new(socket: $blocking) -> Self {
                Self {
                    slots: crate::aio::slots::Slots::default(),
                    socket,
                }
            }

            fn stream(&self) -> crate::aio::slots::Stream<'_> {
                crate::aio::slots::Stream {
                    socket: &self.socket.0,
                    short_read: $short_read,
                }
            }

            /// Writes what there is room for; zero if there is none.
            pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().try_write(buf)
            }

            /// The blocking socket inside, for what both have.
            pub fn get_ref(&self) -> &$blocking {
                &self.socket
            }

            /// Awaits data, and reads what there is. Zero at the end of the stream.
            ///
            /// # Errors
            ///
            /// What the kernel says.
            pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().read(buf).await
            }

            /// As `read`, without taking the data away.
            ///
            /// # Errors
            ///
            /// As `read`.
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().peek(buf).await
            }

            /// Awaits room, and writes what there is room for.
            ///
            /// # Errors
            ///
            /// What the kernel says.
            pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().write(buf).await
            }

            /// Writes all of it. Dropped before that, it has written some.
            ///
            /// # Errors
            ///
            /// As `write`.
            pub async fn write_all(&self, buf: &[u8]) -> io::Result<()> {
                self.stream().write_all(buf).await
            }
        }

        crate::aio::slots::socket!($stream of $blocking, Self::new, socket);

        impl futures_io::AsyncRead for &$stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_read(&self.slots, context, buf)
            }

            fn poll_read_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bufs: &mut [io::IoSliceMut<'_>],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_read_vectored(&self.slots, context, bufs)
            }
        }

        impl futures_io::AsyncRead for $stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_read(&self.slots, context, buf)
            }

            fn poll_read_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bufs: &mut [io::IoSliceMut<'_>],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_read_vectored(&self.slots, context, bufs)
            }
        }

        crate::aio::slots::async_write!($stream);
        crate::aio::slots::async_write!(&$stream);
    };
}

/// `AsyncWrite` of a stream, or of a reference to one.
macro_rules! async_write {
    ($stream:ty) => {
        impl futures_io::AsyncWrite for $stream {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_write(&self.slots, context, buf)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream()
                    .poll_write_vectored(&self.slots, context, bufs)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            /// Ends the direction in which it is written.
            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                self.stream().close()
            }
        }
    };
}

/// Conversions from the blocking socket and back, and its form of `Debug`.
macro_rules! socket {
    ($socket:ident of $blocking:path, $new:expr, $field:tt) => {
        /// As it is: what watches the descriptor goes on.
        impl From<$blocking> for $socket {
            fn from(socket: $blocking) -> Self {
                $new(socket)
            }
        }

        /// As it is: what watches the descriptor goes on.
        impl From<$socket> for $blocking {
            fn from(socket: $socket) -> Self {
                socket.$field
            }
        }

        impl std::os::fd::AsFd for $socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.$field.as_fd()
            }
        }

        impl std::fmt::Debug for $socket {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.$field.fmt(f)
            }
        }
    };
}

pub(super) use {async_write, socket, stream};
