//! asyncio's streams for green threads: the same buffers and marks, with methods that park the caller.
//!
//! ```
//! use green_net::aio::blocking::{open_connection, start_server};
//!
//! let server = start_server("127.0.0.1:0", |mut reader, mut writer| {
//!     let line = reader.read_line()?;
//!     writer.write(line.to_uppercase().as_bytes());
//!     writer.drain()
//! })?;
//! let (mut reader, mut writer) = open_connection(server.local_addr())?;
//! writer.write(b"hello\n");
//! assert_eq!(reader.read_line()?, "HELLO\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Each of them waits for the future of the same name, and is a cancellation point while it does.

use std::io;

use green_core::block_on;

use super::Server;
use crate::addr::ToSocketAddrs;

/// As [`super::open_connection`].
///
/// # Errors
///
/// As there.
pub fn open_connection<A: ToSocketAddrs>(addr: A) -> io::Result<(StreamReader, StreamWriter)> {
    let (reader, writer) = block_on(super::open_connection(addr))?;
    Ok((StreamReader(reader), StreamWriter(writer)))
}

/// As [`super::start_server`], with a handler that may block, in a green thread of its own.
///
/// # Errors
///
/// As there.
pub fn start_server<A, H, T>(addr: A, handle: H) -> io::Result<Server>
where
    A: ToSocketAddrs,
    H: Fn(StreamReader, StreamWriter) -> T + Send + Sync + 'static,
    T: 'static,
{
    let handle = std::sync::Arc::new(handle);
    block_on(super::start_server(addr, move |reader, writer| {
        let handle = std::sync::Arc::clone(&handle);
        // A task is a green thread: it may block.
        async move { drop(handle(StreamReader(reader), StreamWriter(writer))) }
    }))
}

/// A [`StreamReader`](super::StreamReader) for green threads.
#[derive(Debug)]
pub struct StreamReader(super::StreamReader);

impl StreamReader {
    /// The one for futures inside, for what both have.
    pub fn get_mut(&mut self) -> &mut super::StreamReader {
        &mut self.0
    }

    /// See [`super::StreamReader::read`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        block_on(self.0.read(buf))
    }

    /// See [`super::StreamReader::read_to_end`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        block_on(self.0.read_to_end(buf))
    }

    /// See [`super::StreamReader::read_exact`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        block_on(self.0.read_exact(buf))
    }

    /// See [`super::StreamReader::read_line`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_line(&mut self) -> io::Result<String> {
        block_on(self.0.read_line())
    }

    /// See [`super::StreamReader::read_until`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_until(&mut self, separator: &[u8]) -> io::Result<Vec<u8>> {
        block_on(self.0.read_until(separator))
    }
}

impl io::Read for StreamReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Self::read(self, buf)
    }
}

/// A [`StreamWriter`](super::StreamWriter) for green threads.
#[derive(Debug)]
pub struct StreamWriter(super::StreamWriter);

impl StreamWriter {
    /// The one for futures inside, for what both have.
    pub fn get_mut(&mut self) -> &mut super::StreamWriter {
        &mut self.0
    }

    /// See [`super::StreamWriter::write`].
    pub fn write(&mut self, data: &[u8]) {
        self.0.write(data);
    }

    /// See [`super::StreamWriter::drain`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drain(&mut self) -> io::Result<()> {
        block_on(self.0.drain())
    }

    /// See [`super::StreamWriter::write_eof`].
    pub fn write_eof(&mut self) {
        self.0.write_eof();
    }

    /// See [`super::StreamWriter::close`].
    pub fn close(&mut self) {
        self.0.close();
    }

    /// See [`super::StreamWriter::wait_closed`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait_closed(&mut self) -> io::Result<()> {
        block_on(self.0.wait_closed())
    }
}
