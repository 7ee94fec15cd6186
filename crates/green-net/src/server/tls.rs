//! TLS for servers, by rustls.
//!
//! The handshake is made by the handler's green thread: a client that is slow at it holds up nobody else.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use green_core::timeout;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Bind, Listen, Outcome, Server};

/// What makes TLS connections of plain ones, on the side of the server.
///
/// Made of a rustls configuration.
#[derive(Clone, Debug)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
    /// How long a handshake may take.
    patience: Duration,
}

impl TlsAcceptor {
    /// Sets how long a handshake may take; 10 s by default.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.patience = timeout;
        self
    }

    /// Makes the handshake over `stream`.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the limit; `InvalidData` if the peer speaks no TLS, or none that suits; what `stream` says.
    ///
    /// # Panics
    ///
    /// In a `may` coroutine.
    pub fn accept<S: Read + Write>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(invalid)?;
        let mut tls = StreamOwned::new(connection, stream);
        let shaken = timeout(self.patience, || {
            while tls.conn.is_handshaking() {
                tls.conn.complete_io(&mut tls.sock)?;
            }
            Ok(())
        });
        match shaken {
            Ok(Ok(())) => Ok(TlsStream { tls }),
            Ok(Err(error)) => Err(error),
            Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
        }
    }
}

impl From<Arc<ServerConfig>> for TlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self {
            config,
            patience: Duration::from_secs(10),
        }
    }
}

/// A TLS connection, after its handshake.
///
/// Dropping it tells the peer that this is the end (`close_notify`), and waits at most a second for room to do so. It does not
/// if the caller unwinds, or is a `may` coroutine, whose waits have no limit: the peer sees a connection that was cut off.
pub struct TlsStream<S: Read + Write> {
    tls: StreamOwned<ServerConnection, S>,
}

impl<S: Read + Write> TlsStream<S> {
    /// What rustls knows of the connection.
    pub fn connection(&self) -> &ServerConnection {
        &self.tls.conn
    }

    /// The plain connection below.
    pub fn get_ref(&self) -> &S {
        &self.tls.sock
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.tls.read(buf)
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tls.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tls.flush()
    }
}

impl<S: Read + Write> Drop for TlsStream<S> {
    fn drop(&mut self) {
        // Nothing ends a wait of who unwinds, so one must not begin. (std's answer would count neighbours on the hub.)
        if green_core::thread::panicking() || green_core::may::is_coroutine() {
            return;
        }
        self.tls.conn.send_close_notify();
        // A peer that has gone, or takes nothing, is not told.
        drop(timeout(LAST_WORD, || self.tls.flush()));
    }
}

impl<S: Read + Write + fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(self.get_ref()).finish()
    }
}

impl<L> Server<L>
where
    L: Listen,
    L::Stream: Read + Write,
{
    /// A server that speaks TLS: as [`Server::new`], but `handle` is called after the handshake. A connection whose handshake
    /// fails is closed, and logged as a failure of its handler.
    ///
    /// # Errors
    ///
    /// What binding says.
    pub fn new_tls<B, F, R>(address: B, tls: impl Into<TlsAcceptor>, handle: F) -> io::Result<Self>
    where
        B: Bind<L>,
        F: Fn(TlsStream<L::Stream>, L::Addr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        let tls = tls.into();
        Self::new(address, move |stream, peer| match tls.accept(stream) {
            Ok(stream) => handle(stream, peer).failure().map_or(Ok(()), Err),
            Err(error) => Err(format!("no TLS: {error}")),
        })
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// How long the end of a connection may take to be told.
const LAST_WORD: Duration = Duration::from_secs(1);
