//! The connections of a listener, for ever.

use std::io;
use std::iter::FusedIterator;

use super::{TcpListener, TcpStream};

/// An iterator over the connections of a [`TcpListener`]; [`std::net::Incoming`].
///
/// It never ends. Made by [`TcpListener::incoming`], which has an example.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    /// Accepts.
    listener: &'a TcpListener,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(listener: &'a TcpListener) -> Self {
        Self { listener }
    }
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

/// As [`Incoming`], of a listener that it owns; `std::net::IntoIncoming`.
///
/// Made by [`TcpListener::into_incoming`].
///
/// # Differences from std
///
/// Unstable there.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIncoming {
    /// Accepts.
    listener: TcpListener,
}

impl IntoIncoming {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener }
    }
}

impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for IntoIncoming {}
