//! Who runs the handlers of a server, and how many at once.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use green_core::Greenlet;
use green_core::lock::Semaphore;
use green_core::pool::{Group, Pool, Refused};

/// What runs the handlers of a server; gevent's `spawn=`.
///
/// Implemented for a [`Pool`] or [`Group`], of which each handler is a member; for an `Arc<Semaphore>`, of which each handler
/// holds a permit; and for closures.
///
/// # Examples
///
/// Handlers in a pool that others use, too:
///
/// ```
/// use green_core::pool::Pool;
/// use green_net::TcpStream;
/// use green_net::server::StreamServer;
///
/// let pool = Pool::new(1_000);
/// let server = StreamServer::new("127.0.0.1:0", |_: TcpStream, _| ())?.spawn_by(pool.clone());
/// server.start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Handlers with a small stack:
///
/// ```
/// use green_net::TcpStream;
/// use green_net::server::{Handler, StreamServer};
///
/// let server = StreamServer::new("127.0.0.1:0", |_: TcpStream, _| ())?
///     .spawn_by(|handler: Handler| green_core::Builder::new().stack_size(64 * 1024).spawn(handler));
/// server.start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Spawner: Send + Sync + 'static {
    /// Waits until there is room for one more handler. While this waits, the server accepts nothing.
    ///
    /// The caller may be killed while it waits; then nothing may have been taken. If this panics, the server stops.
    fn reserve(&self) -> Slot {
        Slot::empty()
    }

    /// Starts a handler. Must not wait: the connection has been accepted.
    ///
    /// # Errors
    ///
    /// There is no room after all: the connection is closed, and the server pauses as after a failed accept. It does so after
    /// a panic, too.
    #[track_caller]
    fn spawn(&self, handler: Handler) -> io::Result<Greenlet<()>> {
        Ok(green_core::spawn(handler))
    }
}

/// A handler with what it is to handle.
pub type Handler = Box<dyn FnOnce() + Send>;

/// The room that a handler takes; given back when it has ended, also if it never starts.
pub struct Slot {
    /// What gives it back when it is dropped.
    _held: Option<Box<dyn Send>>,
}

impl Slot {
    /// Room of which there is no end.
    pub fn empty() -> Self {
        Self { _held: None }
    }

    /// Room that is given back by dropping `permit`.
    pub fn new(permit: impl Send + 'static) -> Self {
        Self {
            _held: Some(Box::new(permit)),
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl<F> Spawner for F
where
    F: Fn(Handler) -> io::Result<Greenlet<()>> + Send + Sync + 'static,
{
    fn spawn(&self, handler: Handler) -> io::Result<Greenlet<()>> {
        self(handler)
    }
}

impl Spawner for Arc<Semaphore> {
    fn reserve(&self) -> Slot {
        self.acquire().forget();
        Slot::new(Permit(Self::clone(self)))
    }
}

/// While the group is full nothing is accepted. If others take the last place before a connection does that was accepted,
/// its handler waits for the next one. In a closed group connections are closed.
impl Spawner for Group {
    fn reserve(&self) -> Slot {
        while !self.is_closed() && self.wait_available() == 0 {
            // Others were faster.
        }
        Slot::empty()
    }

    fn spawn(&self, handler: Handler) -> io::Result<Greenlet<()>> {
        match self.try_spawn(handler) {
            Ok(greenlet) => Ok(greenlet),
            Err(Refused::Full(handler)) => Ok(spawn_once_there_is_room(self.clone(), handler)),
            Err(Refused::Closed(_)) => Err(io::Error::other("the pool is closed")),
        }
    }
}

/// The green thread that waits is the one that handles: `stop` waits for it, or kills it, wherever it is.
fn spawn_once_there_is_room(group: Group, handler: Handler) -> Greenlet<()> {
    let own = Arc::new(OnceLock::new());
    let theirs = Arc::clone(&own);
    let greenlet = Greenlet::new(move || {
        let own: &Greenlet<()> = theirs.get().expect("it is set before the start");
        if group.add(own).is_ok() {
            handler();
        }
    });
    // It keeps itself until it runs or is dropped.
    own.get_or_init(|| greenlet.clone());
    greenlet.start();
    greenlet
}

/// As a [`Group`].
impl Spawner for Pool {
    fn reserve(&self) -> Slot {
        (**self).reserve()
    }

    fn spawn(&self, handler: Handler) -> io::Result<Greenlet<()>> {
        Spawner::spawn(&**self, handler)
    }
}

/// As many as there are.
#[derive(Debug)]
pub(super) struct Unlimited;

impl Spawner for Unlimited {}

/// A permit that owns its semaphore.
struct Permit(Arc<Semaphore>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}
