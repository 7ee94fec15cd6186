//! The sending ends.

use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{SendError, TrySendError};
use std::time::{Duration, Instant};

use super::channel::Channel;
use crate::time::deadline::Deadline;

/// The sending end of a [`channel`](super::channel()); see [`std::sync::mpsc::Sender`].
///
/// # Examples
///
/// ```
/// use green_core::sync::mpsc::channel;
///
/// let (sender, receiver) = channel();
/// sender.send("message").unwrap();
/// assert_eq!(receiver.recv(), Ok("message"));
/// drop(receiver);
/// assert_eq!(sender.send("another").unwrap_err().0, "another");
/// ```
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// The first sender of `channel`.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Sends a message; see [`std::sync::mpsc::Sender::send`]. Never waits.
    ///
    /// # Errors
    ///
    /// The receiver is gone; the message comes back.
    #[inline]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.channel.send_unbounded(t)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The sending end of a [`sync_channel`](super::sync_channel); see [`std::sync::mpsc::SyncSender`].
///
/// Senders that wait for room get it first come, first served; nobody sends ahead of them.
///
/// # Differences from std
///
/// A sender that is killed or timed out while it waits takes its message back, unless that was received.
/// With [`SyncSender::send_timeout`] and [`SyncSender::send_deadline`].
///
/// # Examples
///
/// ```
/// use green_core::sync::mpsc::{TrySendError, sync_channel};
///
/// let (sender, receiver) = sync_channel(1);
/// sender.send(1).unwrap();
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// let sending = green_core::spawn(move || sender.send(3));
/// assert_eq!(receiver.iter().sum::<i32>(), 4);
/// assert_eq!(sending.get().unwrap(), Ok(()));
/// ```
pub struct SyncSender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> UnwindSafe for SyncSender<T> {}
impl<T> RefUnwindSafe for SyncSender<T> {}

impl<T> SyncSender<T> {
    /// The first sender of `channel`.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Sends a message, waiting for room; see [`std::sync::mpsc::SyncSender::send`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point while it waits. The message of an interrupted call was either
    /// received, or is dropped.
    ///
    /// # Errors
    ///
    /// The receiver is gone; the message comes back.
    #[inline]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.channel
            .send_until(t, Deadline::Never)
            .map_err(|error| SendError(error.into_inner()))
    }

    /// As [`SyncSender::send`], awaited on any executor. Dropped before it is done, the message was either received, or is
    /// dropped.
    ///
    /// # Errors
    ///
    /// The receiver is gone; the message comes back.
    #[cfg(feature = "async")]
    pub async fn send_async(&self, t: T) -> Result<(), SendError<T>> {
        self.channel.send_async(t).await
    }

    /// Sends a message if there is room, or a receiver waits; see
    /// [`std::sync::mpsc::SyncSender::try_send`].
    ///
    /// # Errors
    ///
    /// There is no room, or the receiver is gone; the message comes back.
    #[inline]
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(t)
    }

    /// Sends a message, waiting at most `timeout` for room.
    ///
    /// # Blocking
    ///
    /// As [`SyncSender::send`].
    ///
    /// # Errors
    ///
    /// There was no room in time, or the receiver is gone; the message comes back.
    pub fn send_timeout(&self, t: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.channel.send_until(t, Deadline::after(timeout))
    }

    /// Sends a message, waiting for room until `deadline` at the latest.
    ///
    /// # Blocking
    ///
    /// As [`SyncSender::send`].
    ///
    /// # Errors
    ///
    /// As [`SyncSender::send_timeout`].
    pub fn send_deadline(&self, t: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.channel.send_until(t, Deadline::At(deadline))
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

/// Why nothing was sent; the message is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room in time.
    Timeout(T),
    /// The receiver is gone.
    Disconnected(T),
}

impl<T> SendTimeoutError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(message) | Self::Disconnected(message) => message,
        }
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "Timeout(..)",
            Self::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "there was no room in the channel in time",
            Self::Disconnected(_) => "the receiver of the channel is gone",
        })
    }
}

impl<T> Error for SendTimeoutError<T> {}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Disconnected(error.0)
    }
}
