//! asyncio's `StreamReader`.

use std::io;
use std::sync::Arc;

use super::open::Transport;

/// Reads from a connection, with a buffer. asyncio's `StreamReader`.
///
/// What has come and has not been asked for stays in it: a read that is dropped before it is done has lost nothing.
/// The one exception is [`read_to_end`](Self::read_to_end), which gives what it has to its caller as it goes.
///
/// # Examples
///
/// See [`open_connection`](super::open_connection).
#[derive(Debug)]
pub struct StreamReader {
    transport: Arc<Transport>,
    /// What has come; what was given out is before `start`.
    buffer: Vec<u8>,
    start: usize,
    /// How much a separator may be away, in bytes.
    limit: usize,
    at_end: bool,
}

/// How much a separator may be away unless somebody says otherwise: asyncio's 64 KiB.
const LIMIT: usize = 64 << 10;

/// How much is asked of the transport at once, in bytes.
const CHUNK: usize = 8 << 10;

impl StreamReader {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            buffer: Vec::new(),
            start: 0,
            limit: LIMIT,
            at_end: false,
        }
    }

    /// Sets how far away a separator may be, in bytes; 64 KiB if nobody does.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether the end was seen, and all that came before was given out.
    pub fn at_eof(&self) -> bool {
        self.at_end && self.buffered().is_empty()
    }

    /// Reads what there is, awaiting something. Zero at the end.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.buffered().is_empty() && !buf.is_empty() && !self.at_end {
            let n = self.transport.read(buf).await?;
            self.at_end = n == 0;
            return Ok(n);
        }
        let n = buf.len().min(self.buffered().len());
        buf[..n].copy_from_slice(&self.buffered()[..n]);
        self.consume(n);
        Ok(n)
    }

    /// Reads to the end. asyncio's `read()`.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::read`]; what had come is in `buf`.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        loop {
            buf.append(&mut self.take(self.buffered().len()));
            if !self.fill().await? {
                return Ok(buf.len() - before);
            }
        }
    }

    /// Fills `buf`.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::read`]; `UnexpectedEof` if the end comes first, with what there is left in the reader.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        while self.buffered().len() < buf.len() {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        buf.copy_from_slice(&self.buffered()[..buf.len()]);
        self.consume(buf.len());
        Ok(())
    }

    /// Reads a line, with its end; what is left if the end of the stream comes first, which may be nothing.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::read_until`], and `InvalidData` if it is not UTF-8: then it is gone.
    pub async fn read_line(&mut self) -> io::Result<String> {
        let line = match self.read_until(b"\n").await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.take(self.buffered().len())
            }
            line => line?,
        };
        String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Reads up to a separator, and it.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::read`]. `UnexpectedEof` if the end comes first, `InvalidData` if the limit does
    /// ([`StreamReader::set_limit`]), `InvalidInput` if the separator is empty: what there is stays in the reader.
    #[doc(alias = "readuntil")]
    pub async fn read_until(&mut self, separator: &[u8]) -> io::Result<Vec<u8>> {
        if separator.is_empty() {
            return Err(invalid(io::ErrorKind::InvalidInput, "an empty separator"));
        }
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(separator.len() - 1);
            if let Some(at) = find(&self.buffered()[from..], separator) {
                let end = from + at + separator.len();
                if end > self.limit {
                    return Err(too_far());
                }
                return Ok(self.take(end));
            }
            searched = self.buffered().len();
            if searched > self.limit {
                return Err(too_far());
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// What has come, and was not given out.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Awaits more; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        if self.at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut chunk = Box::new([0; CHUNK]);
        let n = self.transport.read(&mut *chunk).await?;
        self.buffer.extend_from_slice(&chunk[..n]);
        self.at_end = n == 0;
        Ok(n > 0)
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.buffered()[..n].to_vec();
        self.consume(n);
        taken
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }
}

impl Transport {
    async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf).await,
            Self::Unix(stream) => stream.read(buf).await,
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn too_far() -> io::Error {
    invalid(
        io::ErrorKind::InvalidData,
        "the separator is farther away than the limit",
    )
}

fn invalid(kind: io::ErrorKind, what: &'static str) -> io::Error {
    io::Error::new(kind, what)
}
