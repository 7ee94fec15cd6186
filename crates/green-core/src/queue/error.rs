//! Why nothing was put or taken.

use std::error::Error;
use std::fmt;

/// Why nothing was put; the item is inside.
#[doc(alias = "Full")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There was no room, or none in time.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the queue is closed",
        })
    }
}

impl<T> Error for PutError<T> {}

/// Why nothing was taken.
#[doc(alias = "Empty")]
#[doc(alias = "ShutDown")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// There was no item, or none in time.
    Empty,
    /// The queue is closed, and everything in it was taken.
    Closed,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is closed",
        })
    }
}

impl Error for GetError {}
