//! Names to addresses, and addresses to connections.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::reader::StreamReader;
use super::tcp::TcpStream;
use super::unix::UnixStream;
use super::writer::StreamWriter;
use crate::addr::ToSocketAddrs;
use crate::resolve::resolve_async;

/// What an address or a name has come to, as far as that needs no wait.
pub(super) enum Named {
    /// Its addresses, or that it is no name.
    Known(io::Result<Vec<SocketAddr>>),
    /// A host and a port.
    Name(String, u16),
}

impl Named {
    pub(super) fn of(addr: &impl ToSocketAddrs) -> Self {
        match addr.name() {
            Some((host, port)) => Self::Name(host, port),
            None => Self::Known(addr.to_socket_addrs().map(Iterator::collect)),
        }
    }

    pub(super) async fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Known(addrs) => addrs,
            Self::Name(host, port) => Ok(resolve_async(host, port).await?.collect()),
        }
    }
}

/// The transport of a pair of asyncio's streams.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A pair of asyncio's streams on a transport.
pub(super) fn pair(transport: Transport) -> (StreamReader, StreamWriter) {
    let transport = Arc::new(transport);
    let reader = StreamReader::new(Arc::clone(&transport));
    (reader, StreamWriter::new(transport))
}

/// Connects, and returns what reads and what writes. asyncio's `open_connection`.
///
/// # Errors
///
/// As [`TcpStream::connect`].
pub fn open_connection<A: ToSocketAddrs>(
    addr: A,
) -> impl Future<Output = io::Result<(StreamReader, StreamWriter)>> {
    let connect = TcpStream::connect(addr);
    async move { Ok(connect.await?.into()) }
}

/// As [`open_connection`], to the listener at a path. asyncio's `open_unix_connection`.
///
/// # Errors
///
/// As [`UnixStream::connect`].
pub async fn open_unix_connection(
    path: impl AsRef<Path>,
) -> io::Result<(StreamReader, StreamWriter)> {
    Ok(UnixStream::connect(path).await?.into())
}

impl From<TcpStream> for (StreamReader, StreamWriter) {
    fn from(stream: TcpStream) -> Self {
        pair(Transport::Tcp(stream))
    }
}

impl From<UnixStream> for (StreamReader, StreamWriter) {
    fn from(stream: UnixStream) -> Self {
        pair(Transport::Unix(stream))
    }
}
