//! TCP for futures.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;

use rustix::net::{SocketFlags, SocketType};

use super::open::Named;
use super::slots::{ShortRead, Slots, socket, stream};
use crate::addr::{ToSocketAddrs, no_address};
use crate::attempt;
use crate::socket::Socket;
use crate::tcp as blocking;

/// A TCP connection for futures; with `AsyncRead` and `AsyncWrite` of `futures-io`, by reference too.
///
/// # Examples
///
/// ```
/// use green_net::aio::{TcpListener, TcpStream};
///
/// green_core::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.get_ref().local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///     client.write_all(b"hello").await?;
///     let mut buf = [0; 5];
///     assert_eq!(server.read(&mut buf).await?, 5);
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    slots: Slots,
    socket: blocking::TcpStream,
}

impl TcpStream {
    /// Connects to the first address that answers. Names are resolved on the blocking pool; a `ToSocketAddrs` of one's own is asked where the
    /// call is made.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<Self>> {
        let named = Named::of(&addr);
        async move {
            let mut last = None;
            for addr in named.resolve().await? {
                match Self::connect_to(addr).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(no_address))
        }
    }

    async fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        let fd = attempt::new_socket(addr, SocketType::STREAM, SocketFlags::NONBLOCK)?;
        let socket = Socket::new(fd);
        attempt::begin_connect(socket.as_fd(), addr)?;
        socket
            .io()
            .write_with_async(|fd| attempt::connected(fd.as_fd()))
            .await?;
        attempt::set_nonblocking(socket.as_fd(), false)?;
        Ok(blocking::TcpStream(socket).into())
    }

    /// Ends one or both directions, which wakes who waits for them.
    ///
    /// # Errors
    ///
    /// `NotConnected`, for example after the other end has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

stream!(TcpStream of blocking::TcpStream, ShortRead::IsLast);

/// A TCP socket that listens, for futures.
pub struct TcpListener(blocking::TcpListener);

impl TcpListener {
    /// Makes a listener on the first address that can be bound, as [`TcpListener::bind`](blocking::TcpListener::bind) does.
    /// Names are resolved on the blocking pool; a `ToSocketAddrs` of one's own is asked where the
    /// call is made.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; what the resolver says.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<Self>> {
        let named = Named::of(&addr);
        async move {
            let addrs = named.resolve().await?;
            blocking::TcpListener::bind(&*addrs).map(Self::from)
        }
    }

    /// The blocking socket inside, for what both have.
    pub fn get_ref(&self) -> &blocking::TcpListener {
        &self.0
    }

    /// Awaits a connection.
    ///
    /// # Errors
    ///
    /// A server should survive all: a connection that was aborted before it was accepted, the limits of descriptors and memory.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (fd, addr) = self.0.0.accept_async(attempt::try_accept).await?;
        Ok((blocking::TcpStream(Socket::new(fd)).into(), addr))
    }
}

socket!(TcpListener of blocking::TcpListener, Self, 0);
