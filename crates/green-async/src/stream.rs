//! A stream in clothes that others know.

/// A stream of `futures-io`, such as those of [`green_net::aio`], with the traits of hyper and of tokio: see the crate's features.
///
/// # Examples
///
/// ```
/// use green_async::Stream;
/// use green_net::aio::UnixStream;
///
/// let (one, _other) = UnixStream::pair()?;
/// let stream = Stream::new(one);
/// let _one: UnixStream = stream.into_inner();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream<S>(pub(crate) S);

impl<S> Stream<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// The stream inside.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.0
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> S {
        self.0
    }
}
