//! gevent's `backdoor`: a console into a running program, over TCP. With the feature `backdoor`.
//!
//! There is no interpreter to talk to, as gevent's has Python's; there are commands.
//!
//! ```text
//! $ nc 127.0.0.1 4000
//! green console; help lists the commands
//! .
//! ps
//! 2 green threads
//! #1 - hub 0 waits for event since 3.221s, spawned at src/main.rs:10:5
//! #7 - hub 0 running, spawned at src/main.rs:12:9
//! .
//! trace 1
//!    0: green_core::event::Event::wait
//!              at ...
//!    1: program::main::{closure#0}
//!              at src/main.rs:11:14
//! .
//! ```
//!
//! # Protocol
//!
//! Lines of UTF-8, ended by a line feed; a carriage return before it is dropped. The client sends a command a line, and nothing
//! for an empty line. The server sends a reply to each, and one before the first, the greeting: any number of lines, and then
//! a line with a full stop alone. A line of a reply that begins with a full stop gets another one in front, as in SMTP. A reply
//! that begins with `error: ` says why there is no other.
//!
//! | command | reply |
//! |---|---|
//! | `help` | the commands |
//! | `ps` | what [`green_core::dump`] writes: a line for each green thread, the console's included |
//! | `trace ID` | where that one waits: [`green_core::debug::trace`] |
//! | `kill ID` | `asked #ID to die`: [`green_core::debug::kill`] |
//! | `stats` | a count a line, by the names of [`green_core::Stats`] |
//! | `quit` | `bye`, and then the end |
//!
//! An id is a number, with or without `#`. What is no command is an error. The
//! server ends a connection that sends no whole line, or takes no reply, for as long as [`BackdoorServer::idle_timeout`] says.
//!
//! A line as HTTP's first one ends the connection, and so does one of more than 1,024 bytes: a page in a browser on the same
//! machine cannot give commands.
//!
//! # Security
//!
//! Nobody has to say who he is: **whoever can connect can kill every green thread of the program**, on a loopback address every
//! user of the machine. Other addresses are refused, except by [`BackdoorServer::bind_remote`].

mod command;
mod lines;
mod session;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::addr::ToSocketAddrs;
use crate::server::{StopReport, StreamServer};
use crate::tcp::{TcpListener, TcpStream};
use session::Session;

/// A console into this program, for `telnet` and `nc`; gevent's `BackdoorServer`. See the [module](self) for its commands, and
/// for who may use it.
///
/// Each client is served by a green thread of its own, which its `ps` shows, and which can be killed as any other: that ends
/// its connection only. A client that is gone is not logged; a `kill` is, at level `warn`.
///
/// Dropping it stops it, as [`BackdoorServer::stop`] does; that may wait.
///
/// # Differences from gevent
///
/// - Commands in the place of Python: no `locals`, no `switch_args`.
/// - Loopback addresses only, unless one asks for more.
/// - Clients are limited in number, and ended when they are idle.
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use green_net::TcpStream;
/// use green_net::backdoor::BackdoorServer;
///
/// let console = BackdoorServer::bind("127.0.0.1:0")?;
/// console.start()?;
///
/// let client = TcpStream::connect(console.address())?;
/// writeln!(&client, "stats\nquit")?;
/// let lines: Vec<String> = BufReader::new(client).lines().collect::<Result<_, _>>()?;
/// assert!(lines.iter().any(|line| line.starts_with("hubs ")));
/// assert_eq!(lines[lines.len() - 2..], ["bye", "."]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct BackdoorServer {
    server: StreamServer,
    settings: Arc<Mutex<Settings>>,
}

/// How long a client that is killed may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What each connection is served by, from its beginning on.
#[derive(Clone, Debug)]
struct Settings {
    /// How long a client may take for a line, and for a reply.
    idle: Duration,
    /// The greeting.
    banner: Arc<str>,
}

impl BackdoorServer {
    /// A console at `addr`, which must be a loopback address.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`: one of the addresses is another. What binding says.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let addrs: Vec<_> = addr.to_socket_addrs()?.collect();
        if let Some(other) = addrs.iter().find(|addr| !is_loopback(addr.ip())) {
            let why = format!("{other} is no loopback address: see BackdoorServer::bind_remote");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Self::bind_remote(&addrs[..])
    }

    /// A console at any address. Whoever can connect to it can kill every green thread of the program: what is in front of it
    /// must keep others away.
    ///
    /// # Errors
    ///
    /// What binding says.
    pub fn bind_remote(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let settings = Arc::new(Mutex::new(Settings {
            idle: Duration::from_secs(600),
            banner: "green console; help lists the commands".into(),
        }));
        let theirs = Arc::clone(&settings);
        let listener = TcpListener::bind(addr)?;
        let server = StreamServer::new(listener, move |stream: TcpStream, peer: SocketAddr| {
            let settings = theirs.lock().clone();
            // Whoever has gone needs no answer.
            drop(Session::new(&stream, peer, settings).serve());
        })?;
        Ok(Self {
            // Who is served here may be idle for as long as it likes: nobody waits for that.
            server: server.limit(8).patience(Duration::ZERO, PATIENCE),
            settings,
        })
    }

    /// Limits how many clients there are at once; 8 by default. Who comes then waits in the backlog of the kernel.
    #[must_use]
    pub fn limit(mut self, clients: usize) -> Self {
        self.server = self.server.limit(clients);
        self
    }

    /// Sets for how long a client may send no whole line, or take no reply; 10 minutes by default.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.settings.lock().idle = timeout;
        self
    }

    /// Sets the greeting.
    #[must_use]
    pub fn banner(self, banner: &str) -> Self {
        self.settings.lock().banner = banner.into();
        self
    }

    /// Begins to accept; see [`Server::start`](crate::server::Server::start).
    ///
    /// # Errors
    ///
    /// `InvalidInput`: it has been stopped.
    pub fn start(&self) -> io::Result<()> {
        self.server.start()
    }

    /// Starts, and waits until it has been stopped; see [`Server::serve_forever`](crate::server::Server::serve_forever).
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. When it unwinds, it stops the console first.
    ///
    /// # Errors
    ///
    /// As [`BackdoorServer::start`]; why it cannot accept any more.
    pub fn serve_forever(&self) -> io::Result<()> {
        self.server.serve_forever()
    }

    /// Closes the socket, and ends the connections, at the latest after two seconds; see
    /// [`Server::stop`](crate::server::Server::stop).
    ///
    /// # Blocking
    ///
    /// Parks the caller for as long; a cancellation point.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`.
    pub fn stop(&self) -> StopReport {
        self.server.stop_timeout(Duration::ZERO)
    }

    /// The address that it is bound to, or was.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.server.running()
    }
}

impl fmt::Debug for BackdoorServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackdoorServer")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Whether only this machine can connect to it.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
