//! asyncio's `StreamWriter`.
//!
//! # Protocol
//!
//! A write that finds nothing waiting tries the kernel at once. What is left goes into a buffer, which a task of its own
//! writes, as long as there is something in it: so all that was written goes out, whether anybody waits or not.

use std::fmt;
use std::io;
use std::mem;
use std::net::Shutdown;
use std::sync::Arc;

use green_core::aio;
use green_core::event::Event;
use parking_lot::Mutex;

use super::open::Transport;

/// Writes to a connection, with a buffer. asyncio's `StreamWriter`.
///
/// Dropping it is [`close`](Self::close): what was written still goes out.
///
/// # Examples
///
/// See [`open_connection`](super::open_connection).
pub struct StreamWriter {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Arc<Transport>,
    state: Mutex<State>,
    /// Set when it has become less that waits, or nothing can be written any more.
    progress: Event,
    /// Set once it is closed, and nothing waits any more; or nothing can be written.
    closed: Event,
}

#[derive(Debug)]
struct State {
    /// What waits, and nobody writes yet.
    buffer: Vec<u8>,
    /// How much is being written now, in bytes.
    in_flight: usize,
    /// Whether a task writes.
    is_flushing: bool,
    /// How much may wait until `drain` does, and how little until it returns, in bytes.
    high: usize,
    low: usize,
    /// Whether more than the one has waited since it was less than the other.
    is_over: bool,
    /// What ends with what was written last.
    ending: Option<Shutdown>,
    /// Why nothing can be written any more.
    error: Option<io::ErrorKind>,
}

/// asyncio's marks.
const HIGH: usize = 64 << 10;
const LOW: usize = HIGH / 4;

impl StreamWriter {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            shared: Arc::new(Shared {
                transport,
                state: Mutex::new(State {
                    buffer: Vec::new(),
                    in_flight: 0,
                    is_flushing: false,
                    high: HIGH,
                    low: LOW,
                    is_over: false,
                    ending: None,
                    error: None,
                }),
                progress: Event::new(),
                closed: Event::new(),
            }),
        }
    }

    /// Sends `data`: now, as far as there is room, and the rest as soon as there is. Does not wait; see [`drain`](Self::drain).
    ///
    /// After an error, and after [`close`](Self::close), it does nothing.
    pub fn write(&mut self, data: &[u8]) {
        let state = self.shared.state.lock();
        if state.error.is_some() || state.ending.is_some() || data.is_empty() {
            return;
        }
        let is_flushing = state.is_flushing;
        drop(state);
        let mut rest = data;
        if !is_flushing {
            match self.shared.transport.try_write(data) {
                Ok(n) => rest = &data[n..],
                Err(error) => return self.shared.fail(error.kind()),
            }
        }
        if rest.is_empty() {
            return;
        }
        let mut state = self.shared.state.lock();
        if state.error.is_some() {
            // The flush failed meanwhile: what follows must not be sent without what it has lost.
            return;
        }
        state.buffer.extend_from_slice(rest);
        state.look();
        let starts = !mem::replace(&mut state.is_flushing, true);
        drop(state);
        if starts {
            let unfinished = Unfinished(Some(Arc::clone(&self.shared)));
            aio::spawn(unfinished.flush()).detach();
        }
    }

    /// Awaits room, if more waits than the high-water mark: until it is no more than the low one.
    ///
    /// # Errors
    ///
    /// What the kernel said to an earlier write.
    pub async fn drain(&mut self) -> io::Result<()> {
        loop {
            self.shared.progress.clear();
            if let Some(result) = self.shared.state.lock().drained() {
                return result;
            }
            self.shared.progress.wait_async().await;
        }
    }

    /// Sets the marks between which [`drain`](Self::drain) waits, in bytes; 64 KiB and a quarter of the high one if nobody does.
    pub fn set_write_buffer_limits(&mut self, high: usize, low: Option<usize>) {
        let mut state = self.shared.state.lock();
        state.high = high;
        state.low = low.unwrap_or(high / 4).min(high);
        state.look();
    }

    /// How much was written and waits, in bytes.
    pub fn buffered(&self) -> usize {
        self.shared.state.lock().waiting()
    }

    /// Ends the direction in which it writes, after what was written.
    pub fn write_eof(&mut self) {
        self.end(Shutdown::Write);
    }

    /// Ends the connection, after what was written.
    pub fn close(&mut self) {
        self.end(Shutdown::Both);
    }

    /// Whether it was closed, or ended.
    pub fn is_closing(&self) -> bool {
        self.shared.state.lock().ending.is_some()
    }

    /// Awaits that it is closed: all that was written is with the kernel. For ever, if nobody closes it.
    ///
    /// # Errors
    ///
    /// What the kernel said to an earlier write.
    pub async fn wait_closed(&mut self) -> io::Result<()> {
        self.shared.closed.wait_async().await;
        self.shared.state.lock().result()
    }

    fn end(&self, how: Shutdown) {
        let mut state = self.shared.state.lock();
        if matches!(state.ending, None | Some(Shutdown::Write)) {
            state.ending = Some(how);
        }
        let is_flushing = state.is_flushing;
        drop(state);
        if !is_flushing {
            self.shared.finish(how);
        }
    }
}

impl Shared {
    /// Writes until nothing waits; what is to end then.
    async fn flush(&self) -> io::Result<Option<Shutdown>> {
        loop {
            let (chunk, ending) = self.state.lock().next();
            self.progress.set();
            if chunk.is_empty() {
                return Ok(ending);
            }
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let n = self.transport.write(rest).await?;
                rest = &rest[n..];
                if self.state.lock().is_sent(rest.len()) {
                    self.progress.set();
                }
            }
        }
    }

    /// Nothing can be written any more.
    fn fail(&self, error: io::ErrorKind) {
        let mut state = self.state.lock();
        state.error = Some(error);
        state.is_flushing = false;
        state.in_flight = 0;
        let unsent = mem::take(&mut state.buffer);
        drop(state);
        drop(unsent);
        self.progress.set();
        self.closed.set();
    }

    /// Nothing waits, and the end was asked for.
    fn finish(&self, how: Shutdown) {
        // It fails if the connection has ended already.
        self.transport.shutdown(how).ok();
        if how == Shutdown::Both {
            self.closed.set();
        }
    }
}

/// A flush that has been promised. If it does not end, for its task was killed, maybe before it ran, nobody must wait for it.
struct Unfinished(Option<Arc<Shared>>);

impl Unfinished {
    async fn flush(mut self) {
        let Some(shared) = &self.0 else { return };
        let flushed = shared.flush().await;
        if let Some(shared) = self.0.take() {
            match flushed {
                Ok(ending) => ending.into_iter().for_each(|how| shared.finish(how)),
                Err(error) => shared.fail(error.kind()),
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.fail(io::ErrorKind::BrokenPipe);
        }
    }
}

impl State {
    /// So much of what is being written is left; whether that ends the wait of those who drain.
    fn is_sent(&mut self, left: usize) -> bool {
        let was_over = self.is_over;
        self.in_flight = left;
        self.look();
        was_over && !self.is_over
    }

    fn waiting(&self) -> usize {
        self.buffer.len() + self.in_flight
    }

    /// What to write next, if anything waits; and what ends then.
    fn next(&mut self) -> (Vec<u8>, Option<Shutdown>) {
        self.in_flight = 0;
        self.look();
        let chunk = mem::take(&mut self.buffer);
        self.in_flight = chunk.len();
        self.is_flushing = !chunk.is_empty();
        (chunk, self.ending)
    }

    /// Looks where between the marks what waits is.
    fn look(&mut self) {
        if self.waiting() > self.high {
            self.is_over = true;
        } else if self.waiting() <= self.low {
            self.is_over = false;
        }
    }

    /// Whether nobody has to wait, and why nothing can be written any more.
    fn drained(&self) -> Option<io::Result<()>> {
        (!self.is_over || self.error.is_some()).then(|| self.result())
    }

    fn result(&self) -> io::Result<()> {
        match self.error {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.end(Shutdown::Both);
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWriter")
            .field("transport", &self.shared.transport)
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Writes what there is room for; zero if there is none.
    fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(data),
            Self::Unix(stream) => stream.try_write(data),
        }
    }

    async fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(data).await,
            Self::Unix(stream) => stream.write(data).await,
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }
}
