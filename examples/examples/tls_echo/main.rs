//! TLS by `rustls`, over green sockets or over std's: the same program on green threads and on OS threads.
//!
//! Shows that a crate over `Read` and `Write` runs over a green stream as it is: `rustls` has
//! `StreamOwned`, and that is all. With `--std` everything happens on OS threads instead, so that the two
//! can be compared:
//!
//!     cargo run --release -p green-examples --example tls_echo -- --rounds 2000
//!     cargo run --release -p green-examples --example tls_echo -- --rounds 2000 --std

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use green::event::Event;
use green::lock::Semaphore;
use green_examples::cli;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

mod tls;

/// Echoes over TLS, with the clients in the same process.
#[derive(clap::Parser)]
struct Options {
    /// On OS threads, over std's sockets.
    #[arg(long)]
    std: bool,
    /// Connections at once.
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Messages on each.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 1024)]
    size: usize,
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let options = Options::parse();
    cli::raise_file_limit();
    if options.std {
        run::<OsThreads>(&options, "OS threads")
    } else {
        run::<GreenThreads>(&options, "green threads")
    }
}

/// The whole program, on threads of one kind or the other.
fn run<W: Way>(options: &Options, name: &str) -> Result<()> {
    let &Options {
        connections,
        rounds,
        size,
        ..
    } = options;
    let (server, client) = tls::configs()?;
    let (listener, address) = W::listen()?;
    let acceptor = W::spawn(move || {
        for _ in 0..connections {
            let (stream, server) = (W::accept(&listener)?, Arc::clone(&server));
            // Nobody waits for it: its client finds out if it fails.
            drop(W::spawn(move || echo(stream, server, size)));
        }
        Ok(())
    });

    let start = Instant::now();
    let connected = Arc::new(Semaphore::new(0));
    let go = Arc::new(Event::new());
    // Not more at a time than wait to be accepted.
    let connecting = Arc::new(Semaphore::new(64));
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let client = Arc::clone(&client);
            let (connecting, connected) = (Arc::clone(&connecting), Arc::clone(&connected));
            let go = Arc::clone(&go);
            W::spawn(move || {
                let permit = connecting.acquire();
                let stream = connect::<W>(address, client);
                drop(permit);
                connected.release();
                go.wait();
                talk(stream?, rounds, size)
            })
        })
        .collect();
    for _ in 0..connections {
        connected.acquire().forget();
    }
    println!(
        "{name}: {connections} handshakes in {:.2?}",
        start.elapsed()
    );

    let start = Instant::now();
    go.set();
    for client in clients {
        client()?;
    }
    let elapsed = start.elapsed();
    let bytes = connections * rounds * size;
    println!(
        "{name}: {} messages of {size} B, there and back, in {elapsed:.2?}: {:.1} MB/s",
        connections * rounds,
        bytes as f64 / elapsed.as_secs_f64() / 1e6
    );
    acceptor()
}

/// The server's side of a connection.
fn echo(stream: impl Read + Write, config: Arc<ServerConfig>, size: usize) -> Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut buffer = vec![0; size];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}

/// A client that has shaken hands.
fn connect<W: Way>(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> Result<StreamOwned<ClientConnection, W::Stream>> {
    let stream = W::connect(address)?;
    let mut stream = StreamOwned::new(ClientConnection::new(config, tls::name())?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn talk<S: Read + Write>(
    mut stream: StreamOwned<ClientConnection, S>,
    rounds: usize,
    size: usize,
) -> Result<()> {
    let (message, mut answer) = (vec![b'x'; size], vec![0; size]);
    for _ in 0..rounds {
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        assert!(answer == message, "the same bytes come back");
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

/// What differs between threads of the two kinds.
trait Way: 'static {
    type Listener: Send + 'static;
    type Stream: Read + Write + Send + 'static;

    fn listen() -> io::Result<(Self::Listener, SocketAddr)>;
    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream>;
    fn connect(address: SocketAddr) -> io::Result<Self::Stream>;
    /// Starts a thread; what is returned waits for it.
    fn spawn<F>(f: F) -> Box<dyn FnOnce() -> Result<()>>
    where
        F: FnOnce() -> Result<()> + Send + 'static;
}

struct GreenThreads;

impl Way for GreenThreads {
    type Listener = green::net::TcpListener;
    type Stream = green::net::TcpStream;

    fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = Self::Listener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn connect(address: SocketAddr) -> io::Result<Self::Stream> {
        let stream = Self::Stream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn spawn<F>(f: F) -> Box<dyn FnOnce() -> Result<()>>
    where
        F: FnOnce() -> Result<()> + Send + 'static,
    {
        let thread = green::spawn(f);
        Box::new(|| thread.into_result()?)
    }
}

struct OsThreads;

impl Way for OsThreads {
    type Listener = std::net::TcpListener;
    type Stream = std::net::TcpStream;

    fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = Self::Listener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn connect(address: SocketAddr) -> io::Result<Self::Stream> {
        let stream = Self::Stream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn spawn<F>(f: F) -> Box<dyn FnOnce() -> Result<()>>
    where
        F: FnOnce() -> Result<()> + Send + 'static,
    {
        let thread = std::thread::spawn(f);
        Box::new(|| thread.join().map_err(|_| "a thread panicked")?)
    }
}
