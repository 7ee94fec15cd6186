//! gevent's `server`: a green thread for each connection, or for each datagram.
//!
//! | server | takes | calls its handler with |
//! |---|---|---|
//! | [`StreamServer`] | TCP connections | `TcpStream`, peer |
//! | [`UnixStreamServer`] | connections to a Unix socket | `UnixStream`, peer |
//! | [`DatagramServer`] | UDP datagrams | `Vec<u8>`, peer, `Arc<UdpSocket>` |
//! | [`UnixDatagramServer`] | datagrams to a Unix socket | `Vec<u8>`, peer, `Arc<UnixDatagram>` |
//!
//! They are one type, [`Server`], with the methods of all. With the feature `rustls`, `Server::new_tls` speaks TLS.
//!
//! # Protocol
//!
//! One green thread accepts (see `acceptor`) and spawns the handlers, which stand in a table until they end.
//!
//! Pausing kills the acceptor. Stopping does too, and drops the socket; then it waits for the handlers, kills those that are
//! left, and waits once more. Several who stop at once take turns at that.
//!
//! # States
//!
//! | phase | socket | acceptor | next |
//! |---|---|---|---|
//! | `New` | open | none | `Accepting`, `Stopped` |
//! | `Accepting` | open | runs | `Paused`, `Stopped` |
//! | `Paused` | open | dead or dying | `Accepting`, `Stopped` |
//! | `Stopped` | dropped | dead or dying | none |

mod acceptor;
mod handlers;
mod lock;
mod outcome;
mod source;
mod spawner;
#[cfg(feature = "rustls")]
mod tls;

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::{Greenlet, getcurrent, joinall_timeout};
use parking_lot::MutexGuard;

use crate::os::unix::net::{UnixDatagram, UnixListener};
use crate::tcp::TcpListener;
use crate::udp::UdpSocket;
use acceptor::{Acceptor, Handle};
use handlers::Handlers;
use lock::Lock;
use spawner::Unlimited;

pub use outcome::Outcome;
pub use source::{Bind, Listen, Source};
pub use spawner::{Handler, Slot, Spawner};
#[cfg(feature = "rustls")]
pub use tls::{TlsAcceptor, TlsStream};

/// A server of TCP connections; gevent's `StreamServer`. See [`Server`].
pub type StreamServer = Server<TcpListener>;
/// A server of connections to a Unix socket. See [`Server`].
pub type UnixStreamServer = Server<UnixListener>;
/// A server of UDP datagrams; gevent's `DatagramServer`. See [`Server`].
pub type DatagramServer = Server<UdpSocket>;
/// A server of datagrams to a Unix socket. See [`Server`].
pub type UnixDatagramServer = Server<UnixDatagram>;

/// A socket, and a handler that runs in a green thread of its own for each connection or datagram.
///
/// A handler that returns an error or panics is logged, and ends nobody else. Its connection is closed when it has
/// dropped it.
///
/// Dropping a server stops it, as [`Server::stop`] does; that may wait.
///
/// # Differences from gevent
///
/// - The socket is bound by `new`, and accepts from [`Server::start`] on.
/// - [`Server::stop`] waits for its handlers, and kills them after the limit, whether there is a pool or not.
/// - The descriptor of a datagram server is closed when the last handler has ended: it may still answer.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use green_net::TcpStream;
/// use green_net::server::StreamServer;
///
/// let server = StreamServer::new("127.0.0.1:0", |mut stream: TcpStream, _peer| stream.write_all(b"hello"))?.limit(1_000);
/// server.start()?;
/// let mut greeting = String::new();
/// TcpStream::connect(server.address())?.read_to_string(&mut greeting)?;
/// assert_eq!(greeting, "hello");
/// assert_eq!(server.stop().left, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Datagrams:
///
/// ```
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use green_net::UdpSocket;
/// use green_net::server::DatagramServer;
///
/// let echo = |data: Vec<u8>, peer: SocketAddr, socket: Arc<UdpSocket>| socket.send_to(&data, peer).map(drop);
/// let server = DatagramServer::new("127.0.0.1:0", echo)?;
/// server.start()?;
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", server.address())?;
/// let mut buf = [0; 16];
/// assert_eq!(client.recv(&mut buf)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server<S: Source> {
    /// What the acceptor knows of, too.
    shared: Arc<Shared<S>>,
    /// Where the socket is bound, also when it is closed.
    address: S::Addr,
    /// Called for each piece of work.
    handle: Arc<Handle<S>>,
    /// Starts the handlers.
    spawner: Arc<dyn Spawner>,
    settings: Settings,
}

/// How a server accepts and stops. The next acceptor gets a copy.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// How many connections are accepted before others have their turn.
    max_accept: usize,
    /// How long the first pause after an error is.
    min_delay: Duration,
    /// How long a pause may become.
    max_delay: Duration,
    /// How long `stop` waits for the handlers.
    patience: Duration,
    /// How long `stop` waits for handlers that it has killed.
    patience_killed: Duration,
    /// What is received of a datagram, in bytes.
    max_datagram: usize,
}

impl Settings {
    /// gevent's.
    const DEFAULT: Self = Self {
        max_accept: 100,
        min_delay: Duration::from_millis(10),
        max_delay: Duration::from_secs(1),
        patience: Duration::from_secs(1),
        patience_killed: Duration::from_secs(1),
        max_datagram: 8192,
    };
}

/// What a server and its acceptor share.
struct Shared<S> {
    state: Lock<State<S>>,
    /// Set when the server has stopped accepting for good.
    stopped: Event,
    /// Held by whoever waits for the handlers to end.
    turn: Semaphore,
    /// Those that run.
    handlers: Arc<Handlers>,
}

/// See the module documentation.
struct State<S> {
    phase: Phase,
    /// Invariant: there unless `phase` is `Stopped`.
    source: Option<Arc<S>>,
    /// The last acceptor that was started.
    acceptor: Option<Greenlet<()>>,
    /// Why the server has stopped by itself; until it is told.
    failure: Option<io::Error>,
}

/// See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Accepting,
    Paused,
    Stopped,
}

/// What became of the handlers that ran when a server was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// How many ended by themselves in time.
    pub drained: usize,
    /// How many ended after they had been killed.
    pub killed: usize,
    /// How many still run: they catch kills, or compute without ever waiting.
    pub left: usize,
}

impl<L: Listen> Server<L> {
    /// A server on `address`, which is an address or a listener, that calls `handle` with each connection and its peer.
    ///
    /// # Errors
    ///
    /// What binding says.
    pub fn new<B, F, R>(address: B, handle: F) -> io::Result<Self>
    where
        B: Bind<L>,
        F: Fn(L::Stream, L::Addr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        Self::over(address.bind()?, move |(stream, peer)| {
            outcome::log(handle(stream, peer));
        })
    }
}

impl Server<UdpSocket> {
    /// A server on `address`, which is an address or a socket, that calls `handle` with each datagram, its sender, and the
    /// socket, through which it can answer.
    ///
    /// # Errors
    ///
    /// What binding says.
    pub fn new<B, F, R>(address: B, handle: F) -> io::Result<Self>
    where
        B: Bind<UdpSocket>,
        F: Fn(Vec<u8>, std::net::SocketAddr, Arc<UdpSocket>) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        Self::over(address.bind()?, move |(data, peer, socket)| {
            outcome::log(handle(data, peer, socket));
        })
    }

    /// Sets how much of a datagram is received, in bytes; 8,192 by default. The rest is lost.
    #[must_use]
    pub fn max_datagram(mut self, bytes: usize) -> Self {
        self.settings.max_datagram = bytes;
        self
    }
}

impl Server<UnixDatagram> {
    /// A server on `address`, which is a path, an address or a socket, that calls `handle` with each datagram, its sender,
    /// and the socket, through which it can answer.
    ///
    /// # Errors
    ///
    /// What binding says.
    pub fn new<B, F, R>(address: B, handle: F) -> io::Result<Self>
    where
        B: Bind<UnixDatagram>,
        F: Fn(Vec<u8>, std::os::unix::net::SocketAddr, Arc<UnixDatagram>) -> R
            + Send
            + Sync
            + 'static,
        R: Outcome,
    {
        Self::over(address.bind()?, move |(data, peer, socket)| {
            outcome::log(handle(data, peer, socket));
        })
    }

    /// Sets how much of a datagram is received, in bytes; 8,192 by default. The rest is lost.
    #[must_use]
    pub fn max_datagram(mut self, bytes: usize) -> Self {
        self.settings.max_datagram = bytes;
        self
    }
}

/// Settings; they count from the next start or resumption on.
impl<S: Source> Server<S> {
    /// Limits how many handlers run at once. A server that is full accepts nothing: who comes waits in the backlog of the
    /// kernel. Unlimited by default.
    #[must_use]
    pub fn limit(self, handlers: usize) -> Self {
        self.spawn_by(Arc::new(Semaphore::new(handlers)))
    }

    /// Lets `spawner` run the handlers, and limit them; gevent's `spawn=`.
    #[must_use]
    pub fn spawn_by(mut self, spawner: impl Spawner) -> Self {
        self.spawner = Arc::new(spawner);
        self
    }

    /// Sets how many connections are accepted in a row before others have their turn; 100 by default. 1 is best where
    /// several processes accept from one socket.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn max_accept(mut self, connections: usize) -> Self {
        assert!(connections > 0, "max_accept must be at least 1");
        self.settings.max_accept = connections;
        self
    }

    /// Sets how long to pause after an error such as too many open files, and how long the pause may become, which doubles
    /// with each error in a row; 10 ms and 1 s by default.
    #[must_use]
    pub fn back_off(mut self, min_delay: Duration, max_delay: Duration) -> Self {
        self.settings.min_delay = min_delay;
        self.settings.max_delay = max_delay.max(min_delay);
        self
    }

    /// Sets how long [`Server::stop`] waits for the handlers before it kills them, 1 s by default, and then for those that
    /// it has killed, 1 s by default.
    #[must_use]
    pub fn patience(mut self, running: Duration, killed: Duration) -> Self {
        self.settings.patience = running;
        self.settings.patience_killed = killed;
        self
    }
}

impl<S: Source> Server<S> {
    fn over(source: S, handle: impl Fn(S::Item) + Send + Sync + 'static) -> io::Result<Self> {
        let address = source.address()?;
        let state = State {
            phase: Phase::New,
            source: Some(Arc::new(source)),
            acceptor: None,
            failure: None,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                state: Lock::new(state),
                stopped: Event::new(),
                turn: Semaphore::new(1),
                handlers: Arc::default(),
            }),
            address,
            handle: Arc::new(handle),
            spawner: Arc::new(Unlimited),
            settings: Settings::DEFAULT,
        })
    }

    /// Begins to accept. Does nothing if it accepts already.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: it has been stopped.
    pub fn start(&self) -> io::Result<()> {
        match self.accept_if(|phase| phase != Phase::Accepting) {
            Phase::Stopped => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a server that has been stopped does not start again",
            )),
            _ => Ok(()),
        }
    }

    /// Starts, and waits until the server has stopped and its handlers have ended.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. When it unwinds, it stops the server first.
    ///
    /// # Errors
    ///
    /// As [`Server::start`]; why it cannot accept any more: the socket has failed, or (`Other`) the spawner panicked when it was
    /// asked for room.
    pub fn serve_forever(&self) -> io::Result<()> {
        self.start()?;
        let stop = StopAtEnd(self);
        self.shared.stopped.wait();
        drop(stop);
        let failure = self.shared.state.lock().failure.take();
        failure.map_or(Ok(()), Err)
    }

    /// Stops accepting for a while. Handlers run on; who comes waits in the backlog of the kernel. Does nothing unless it
    /// accepts.
    ///
    /// # Blocking
    ///
    /// Waits until nothing is accepted any more, which is soon; a cancellation point.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`.
    #[doc(alias = "stop_accepting")]
    pub fn pause(&self) {
        let mut state = self.shared.state.lock();
        if state.phase != Phase::Accepting {
            return;
        }
        state.phase = Phase::Paused;
        let acceptor = state.acceptor.clone();
        drop(state);
        acceptor.inspect(Greenlet::kill);
    }

    /// Accepts again after [`Server::pause`]. Otherwise does nothing.
    #[doc(alias = "start_accepting")]
    pub fn resume(&self) {
        self.accept_if(|phase| phase == Phase::Paused);
    }

    /// Closes the socket, which connections that wait in its backlog find out at once. Handlers run on.
    ///
    /// # Blocking
    ///
    /// As [`Server::pause`].
    ///
    /// # Panics
    ///
    /// As [`Server::pause`].
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.phase = Phase::Stopped;
        let source = state.source.take();
        let acceptor = state.acceptor.clone();
        drop(state);
        drop(source);
        self.shared.stopped.set();
        acceptor.inspect(Greenlet::kill);
    }

    /// Closes the socket, waits for the handlers, kills those that are left after a second, and gives them another one; see
    /// [`Server::patience`].
    ///
    /// A handler that calls this is not waited for.
    ///
    /// # Blocking
    ///
    /// Parks the caller, at most for both limits; after another who stops the server at that time. A cancellation point.
    ///
    /// # Panics
    ///
    /// As [`Server::pause`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use green_net::TcpStream;
    /// use green_net::server::StreamServer;
    ///
    /// let server = StreamServer::new("127.0.0.1:0", |_: TcpStream, _| green_core::sleep(Duration::from_secs(600)))?;
    /// server.start()?;
    /// let _client = TcpStream::connect(server.address())?;
    /// while server.running() == 0 {
    ///     green_core::sleep(Duration::from_millis(1));
    /// }
    /// let report = server.stop_timeout(Duration::from_millis(10));
    /// assert_eq!((report.drained, report.killed, report.left), (0, 1, 0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop(&self) -> StopReport {
        self.stop_timeout(self.settings.patience)
    }

    /// As [`Server::stop`], waiting at most `timeout` before it kills.
    ///
    /// # Panics
    ///
    /// As [`Server::pause`].
    pub fn stop_timeout(&self, timeout: Duration) -> StopReport {
        // Before the close, which wakes `serve_forever`: the limit of who stops counts, not that one's.
        let turn = self.shared.turn.try_acquire();
        self.close();
        let _turn = turn.unwrap_or_else(|| self.shared.turn.acquire());
        let own = getcurrent().map(|own| own.id());
        let running = self.shared.handlers.but(own);
        joinall_timeout(&running, timeout);
        let late: Vec<_> = running.iter().filter(|handler| !handler.ready()).collect();
        for handler in &late {
            handler.kill_nowait();
        }
        let drained = running.len() - late.len();
        let killed = joinall_timeout(late.iter().copied(), self.settings.patience_killed).len();
        StopReport {
            drained,
            killed,
            left: running.len() - drained - killed,
        }
    }

    /// The address that the socket is bound to, or was.
    pub fn address(&self) -> S::Addr {
        self.address.clone()
    }

    /// Whether it was started, and neither stopped nor closed since. A server that pauses is started.
    pub fn started(&self) -> bool {
        matches!(
            self.shared.state.lock().phase,
            Phase::Accepting | Phase::Paused
        )
    }

    /// Whether its socket is closed.
    pub fn closed(&self) -> bool {
        self.shared.state.lock().phase == Phase::Stopped
    }

    /// How many handlers there are.
    pub fn running(&self) -> usize {
        self.shared.handlers.len()
    }

    /// Makes an acceptor if the phase is a right one; returns what the phase was.
    fn accept_if(&self, is_right: impl FnOnce(Phase) -> bool) -> Phase {
        let mut state = self.shared.state.lock();
        let phase = state.phase;
        if phase == Phase::Stopped || !is_right(phase) {
            return phase;
        }
        state.phase = Phase::Accepting;
        let acceptor = Acceptor {
            shared: Arc::clone(&self.shared),
            handle: Arc::clone(&self.handle),
            spawner: Arc::clone(&self.spawner),
            settings: self.settings,
        };
        let acceptor = Greenlet::new(move || acceptor.run());
        let shared = Arc::clone(&self.shared);
        acceptor.rawlink(move |acceptor| shared.acceptor_ended(acceptor.id()));
        state.acceptor = Some(acceptor.clone());
        drop(state);
        // Spawn callbacks may ask for the state. If the server pauses or stops meanwhile, this does nothing.
        acceptor.start();
        phase
    }
}

impl<S> Shared<S> {
    /// The socket, unless the server has stopped.
    fn source(&self) -> Option<Arc<S>> {
        self.state.lock().source.clone()
    }

    /// The acceptor of this number has ended: stops the server, unless somebody has asked for that.
    fn acceptor_ended(&self, id: NonZeroU64) {
        let state = self.state.lock();
        let acceptor = state.acceptor.as_ref().map(Greenlet::id);
        if state.phase == Phase::Accepting && acceptor == Some(id) {
            // First: a logger that waits panics here.
            self.fail_in(
                state,
                io::Error::other("the acceptor was killed, or panicked"),
            );
            log::error!("a server stops: its acceptor was killed, or panicked");
        }
    }

    /// The socket is of no use any more: the acceptor, which calls this, ends.
    fn fail(&self, error: io::Error) {
        self.fail_in(self.state.lock(), error);
    }

    fn fail_in(&self, mut state: MutexGuard<'_, State<S>>, error: io::Error) {
        state.phase = Phase::Stopped;
        state.failure = Some(error);
        let source = state.source.take();
        drop(state);
        drop(source);
        self.stopped.set();
    }
}

impl<S: Source> Drop for Server<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<S: Source> fmt::Debug for Server<S>
where
    S::Addr: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("phase", &self.shared.state.lock().phase)
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// Stops a server on every way out.
struct StopAtEnd<'a, S: Source>(&'a Server<S>);

impl<S: Source> Drop for StopAtEnd<'_, S> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
