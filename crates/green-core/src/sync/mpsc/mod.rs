//! std's `sync::mpsc`, green: channels with any number of senders and one receiver.
//!
//! See [`std::sync::mpsc`] for what they are. A [`channel()`] holds any number of messages, and sending never
//! waits; a [`sync_channel`] holds so many, and none at all if its bound is zero: then a message goes from
//! hand to hand.
//!
//! The errors are std's own types.
//!
//! # Examples
//!
//! ```
//! use green_core::sync::mpsc::channel;
//!
//! let (sender, receiver) = channel();
//! for id in 0..10 {
//!     let sender = sender.clone();
//!     green_core::spawn(move || sender.send(id).unwrap());
//! }
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 45);
//! ```

mod channel;
mod receiver;
mod sender;

use std::sync::Arc;

use channel::Channel;

pub use receiver::{IntoIter, Iter, Receiver, TryIter};
pub use sender::{SendTimeoutError, Sender, SyncSender};
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// A channel that always has room; see [`std::sync::mpsc::channel`].
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(None));
    (Sender::new(Arc::clone(&channel)), Receiver::new(channel))
}

/// A channel that holds at most `bound` messages; see [`std::sync::mpsc::sync_channel`].
///
/// If `bound` is zero, a send ends when a receiver has the message.
///
/// # Differences from std
///
/// The memory for the messages is taken as it is needed, not at once.
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(Some(bound)));
    (
        SyncSender::new(Arc::clone(&channel)),
        Receiver::new(channel),
    )
}
