//! The connections of a listener, for ever.

use std::io;

use super::{UnixListener, UnixStream};

/// An iterator over the connections of a [`UnixListener`]; [`std::os::unix::net::Incoming`].
///
/// It never ends. Made by [`UnixListener::incoming`], which has an example.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    /// Accepts.
    listener: &'a UnixListener,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(listener: &'a UnixListener) -> Self {
        Self { listener }
    }
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}
