//! The receiving end, and its iterators.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::channel::{Batch, Channel};
use crate::time::deadline::Deadline;

/// The receiving end of a channel; see [`std::sync::mpsc::Receiver`].
///
/// # Differences from std
///
/// Green threads of one hub can share it, in an [`Rc`](std::rc::Rc); those that wait are served first come,
/// first served. A receiver that is killed or timed out while it waits has received nothing. With
/// [`Receiver::recv_deadline`].
///
/// # Examples
///
/// ```
/// use green_core::sync::mpsc::{TryRecvError, channel};
///
/// let (sender, receiver) = channel();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// green_core::spawn(move || sender.send(7).unwrap());
/// assert_eq!(receiver.recv(), Ok(7));
/// assert!(receiver.recv().is_err());
/// ```
///
/// It is not shared by OS threads:
///
/// ```compile_fail,E0277
/// fn is_sync<T: Sync>() {}
/// is_sync::<green_core::sync::mpsc::Receiver<i32>>();
/// ```
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    /// What came with the last look into the channel.
    batch: Batch<T>,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
impl<T> Unpin for Receiver<T> {}

impl<T> Receiver<T> {
    /// The receiver of `channel`.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self {
            channel,
            batch: Batch::default(),
        }
    }

    /// Takes a message if there is one; see [`std::sync::mpsc::Receiver::try_recv`].
    ///
    /// # Errors
    ///
    /// There is none, or none will ever come.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let found = self.channel.try_recv(&self.batch);
        Ok(found.ok_or(TryRecvError::Empty)??)
    }

    /// Takes a message, waiting until one comes; see [`std::sync::mpsc::Receiver::recv`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point while it waits. An interrupted call has received nothing.
    ///
    /// # Errors
    ///
    /// All senders are gone, and all messages received.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.channel
            .recv_until(&self.batch, Deadline::Never)
            .unwrap_or(Err(RecvError))
    }

    /// As [`Receiver::recv`], awaited on any executor. Dropped before it is done, it has received nothing.
    ///
    /// It takes the receiver for itself, so that the future may go from one OS thread to another, as the receiver may.
    ///
    /// # Errors
    ///
    /// All senders are gone, and all messages received.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::sync::mpsc::channel;
    ///
    /// let (sender, mut receiver) = channel();
    /// green_core::spawn(move || sender.send(7).unwrap());
    /// assert_eq!(green_core::block_on(receiver.recv_async()), Ok(7));
    /// ```
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Result<T, RecvError> {
        self.channel.recv_async(&mut self.batch).await
    }

    /// Takes a message, waiting at most `timeout`; see [`std::sync::mpsc::Receiver::recv_timeout`].
    ///
    /// # Blocking
    ///
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// None came in time, or none will ever come.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::after(timeout))
    }

    /// Takes a message, waiting until `deadline` at the latest.
    ///
    /// # Blocking
    ///
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_timeout`].
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::At(deadline))
    }

    /// The messages as they come, until all senders are gone; see [`std::sync::mpsc::Receiver::iter`].
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { rx: self }
    }

    /// The messages that are there, without waiting; see [`std::sync::mpsc::Receiver::try_iter`].
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { rx: self }
    }

    fn recv_until(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        let found = self.channel.recv_until(&self.batch, deadline);
        Ok(found.ok_or(RecvTimeoutError::Timeout)??)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.remove_receiver(&self.batch);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { rx: self }
    }
}

/// See [`Receiver::iter`] and [`std::sync::mpsc::Iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'a> {
    rx: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

/// See [`Receiver::try_iter`] and [`std::sync::mpsc::TryIter`].
#[derive(Debug)]
pub struct TryIter<'a, T: 'a> {
    rx: &'a Receiver<T>,
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}

/// The messages of a [`Receiver`] that it owns; see [`std::sync::mpsc::IntoIter`].
#[derive(Debug)]
pub struct IntoIter<T> {
    rx: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}
