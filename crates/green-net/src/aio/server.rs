//! asyncio's `start_server`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::aio::{self, Task};
use green_core::event::Event;

use super::reader::StreamReader;
use super::tcp::TcpListener;
use super::writer::StreamWriter;
use crate::addr::ToSocketAddrs;

/// How long a server pauses when it can accept nothing, say for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens, and runs `handle` for each connection, in a task of its own. asyncio's `start_server`.
///
/// What `handle` comes to is for nobody; an error or a panic of one does not touch the others.
///
/// # Errors
///
/// As [`TcpListener::bind`].
///
/// # Examples
///
/// See [the module](super).
pub fn start_server<A, H, F>(addr: A, handle: H) -> impl Future<Output = io::Result<Server>>
where
    A: ToSocketAddrs,
    H: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Future + Send + 'static,
{
    let bind = TcpListener::bind(addr);
    async move {
        let listener = bind.await?;
        let local_addr = listener.get_ref().local_addr()?;
        let connections = Arc::new(Connections::new());
        let theirs = Arc::clone(&connections);
        let accepts = aio::spawn(serve(listener, Arc::new(handle), theirs));
        Ok(Server {
            local_addr,
            accepts,
            connections,
        })
    }
}

async fn serve<H, F>(listener: TcpListener, handle: Arc<H>, connections: Arc<Connections>)
where
    H: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Future + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // A connection that went before it was accepted, or a limit of the system: in a while there may be room.
            aio::sleep(PAUSE).await;
            continue;
        };
        let (reader, writer) = stream.into();
        let open = Connections::open(&connections);
        let handle = Arc::clone(&handle);
        aio::spawn(async move {
            let _open = open;
            // It may panic before it comes to a future, too.
            handle(reader, writer).await;
        })
        .detach();
    }
}

/// What [`start_server`] returns. Dropped, it accepts no more; connections go on. Under `panic = "abort"` it accepts for ever.
#[must_use = "a server that is dropped accepts nothing"]
pub struct Server {
    local_addr: SocketAddr,
    accepts: Task<()>,
    connections: Arc<Connections>,
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts no more, and closes the listener. Connections go on.
    pub fn close(&self) {
        self.accepts.abort();
    }

    /// Whether it accepts.
    pub fn is_serving(&self) -> bool {
        !self.accepts.is_finished()
    }

    /// Awaits that it is closed and all its connections have ended.
    pub async fn wait_closed(self) {
        let Self {
            accepts,
            connections,
            ..
        } = self;
        // However it ends.
        accepts.await.ok();
        connections.all_closed().await;
    }

    /// Serves until it is closed by somebody else, or this is dropped.
    pub async fn serve_forever(self) {
        self.accepts.await.ok();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("is_serving", &self.is_serving())
            .finish_non_exhaustive()
    }
}

/// How many connections there are.
struct Connections {
    /// One more, as long as it may accept.
    open: AtomicUsize,
    all_closed: Event,
}

impl Connections {
    fn new() -> Self {
        Self {
            open: AtomicUsize::new(1),
            all_closed: Event::new(),
        }
    }

    fn open(connections: &Arc<Self>) -> Open {
        connections.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(connections))
    }

    fn close(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_closed.set();
        }
    }

    /// Nobody accepts any more.
    async fn all_closed(&self) {
        self.close();
        self.all_closed.wait_async().await;
    }
}

/// A connection, until it is dropped.
struct Open(Arc<Connections>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}
