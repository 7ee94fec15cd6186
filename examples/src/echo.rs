//! The program `green-echo`: sends back what it reads.
//!
//! # How it ends
//!
//! 1. The first SIGINT or SIGTERM sets an event. The main green thread kills the acceptor, which closes
//!    the listener, and gives the connections [`Options::drain`] to end by themselves.
//! 2. It kills those that are left. A kill unwinds the handler at its next blocking call, so that every
//!    connection is closed and counted on every way out.
//! 3. A second signal exits at once, from the OS thread that receives signals: a stuck hub cannot
//!    prevent that.
//!
//! # What does not stop it
//!
//! A connection's own errors and panics end that connection only. Errors of `accept` (no more file
//! descriptors, a connection that was reset while it waited) are logged and tried again, after a pause
//! that doubles while they last.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use green::Greenlet;
use green::event::Event;
use green::lock::Semaphore;
use green::net::{ListenOptions, TcpListener, TcpStream};
use green::sync::Mutex;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::{self, ExitStatus};

/// Sends back what it reads, on any number of connections.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "green-echo", version)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7000")]
    pub listen: String,
    /// OS threads that run green threads [default: GREEN_HUBS, or the number of cores].
    #[arg(long, value_parser = positive)]
    pub hubs: Option<usize>,
    /// Connections at a time; more wait in the backlog [default: what the limit on open files allows].
    #[arg(long, value_parser = positive)]
    pub max_connections: Option<usize>,
    /// Closes a connection on which nothing can be read, or nothing written, for that long.
    #[arg(long, default_value = "30s", value_parser = cli::duration)]
    pub idle_timeout: Duration,
    /// Connections that may wait to be accepted.
    #[arg(long, default_value_t = 1024)]
    pub backlog: u32,
    /// How long connections may go on after the first SIGINT or SIGTERM.
    #[arg(long, default_value = "5s", value_parser = cli::duration)]
    pub drain: Duration,
}

/// What a server has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections that were accepted.
    pub connections: u64,
    /// Bytes that were read and written back.
    pub bytes: u64,
}

/// What is done with a connection; it adds the bytes it has sent back to the count as it goes.
pub type Handler = fn(&TcpStream, &mut u64) -> io::Result<()>;

/// The whole program: from its command line to the status to exit with.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitStatus {
    main_with(args, echo)
}

/// As [`main`], doing something else with the connections.
pub fn main_with(args: impl IntoIterator<Item = OsString>, handler: Handler) -> ExitStatus {
    let options: Options = match cli::parse(args) {
        Ok(options) => options,
        Err(status) => return status,
    };
    cli::init_log();
    let files = cli::raise_file_limit();
    if let Some(hubs) = options.hubs
        && let Err(error) = green::Config::new().hubs(hubs).apply()
    {
        eprintln!("green-echo: {error}");
        return cli::FAILURE;
    }
    let stop = Arc::new(Event::new());
    if let Err(error) = watch_signals(Arc::clone(&stop)) {
        eprintln!("green-echo: cannot receive signals: {error}");
        return cli::FAILURE;
    }
    let listener = match listen(&options) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("green-echo: cannot listen on {}: {error}", options.listen);
            return cli::FAILURE;
        }
    };
    let served = green::run(move || {
        let address = listener.local_addr()?;
        // Whoever started the server may not care to read its output.
        say(format_args!("listening on {address}"));
        Ok::<_, io::Error>(serve(listener, &options, files, &stop, handler))
    });
    match served {
        Ok(served) => {
            say(format_args!(
                "served {} connections, {} bytes",
                served.connections, served.bytes
            ));
            cli::SUCCESS
        }
        Err(error) => {
            eprintln!("green-echo: {error}");
            cli::FAILURE
        }
    }
}

/// Listens where the options say.
///
/// # Errors
///
/// The address is wrong or in use.
pub fn listen(options: &Options) -> io::Result<TcpListener> {
    let how = ListenOptions::default().backlog(options.backlog);
    TcpListener::bind_with(options.listen.as_str(), how)
}

/// Serves until `stop` is set and the connections have ended, or were made to. `files` is the limit on
/// open files.
///
/// # Blocking
///
/// Parks the caller, which must be a green thread.
pub fn serve(
    listener: TcpListener,
    options: &Options,
    files: usize,
    stop: &Event,
    handler: Handler,
) -> Served {
    let limit = options
        .max_connections
        .unwrap_or_else(|| files.saturating_sub(RESERVED_FILES).max(1));
    let shared = Arc::new(Shared {
        room: Semaphore::new(limit),
        connections: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        live: Mutex::new(HashMap::new()),
    });
    let acceptor = {
        let shared = Arc::clone(&shared);
        let idle_timeout = options.idle_timeout;
        green::spawn(move || accept(&listener, &shared, idle_timeout, handler))
    };
    stop.wait();
    acceptor.kill();

    let live = shared.live_connections();
    log::info!("stopping; {} connections are left", live.len());
    green::joinall_timeout(&live, options.drain);
    let left: Vec<_> = live.iter().filter(|g| !g.ready()).collect();
    if !left.is_empty() {
        log::warn!("killing {} connections", left.len());
        green::killall_timeout(left, KILL_TIMEOUT);
    }
    Served {
        connections: shared.connections.load(Ordering::Relaxed),
        bytes: shared.bytes.load(Ordering::Relaxed),
    }
}

/// Sends back what it reads until the peer has closed its side.
///
/// # Errors
///
/// What the connection returns; `WouldBlock` or `TimedOut` after its time limit.
pub fn echo(mut stream: &TcpStream, bytes: &mut u64) -> io::Result<()> {
    let mut buffer = vec![0; FIRST_BUFFER];
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        stream.write_all(&buffer[..read])?;
        *bytes += read as u64;
        if read == buffer.len() && read < LAST_BUFFER {
            buffer.resize(read * 2, 0);
        }
    }
}

/// What the acceptor and the connections share.
struct Shared {
    /// Connections that may still be opened.
    room: Semaphore,
    /// Connections that were accepted.
    connections: AtomicU64,
    /// Bytes that ended connections have sent back.
    bytes: AtomicU64,
    /// The handlers that run, by the connection's number.
    live: Mutex<HashMap<u64, Greenlet<()>>>,
}

impl Shared {
    fn live_connections(&self) -> Vec<Greenlet<()>> {
        self.live
            .lock()
            .expect("nothing panics under this lock")
            .values()
            .cloned()
            .collect()
    }
}

/// A connection's place among those that are open, given back on every way out: the end, a panic, a
/// kill, also before the handler has started.
struct Place {
    shared: Arc<Shared>,
    number: u64,
    bytes: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.bytes.fetch_add(self.bytes, Ordering::Relaxed);
        // Also a connection that ends by itself can be killed while it waits for the lock, and would keep its room.
        green::mask_kill(|| {
            if let Ok(mut live) = self.shared.live.lock() {
                let handle = live.remove(&self.number);
                drop(live);
                // Dropped without the lock: the last handle to a panic that nobody asked about logs it.
                drop(handle);
            }
            self.shared.room.release();
        });
    }
}

/// Accepts connections for ever. Killed, it closes the listener.
fn accept(listener: &TcpListener, shared: &Arc<Shared>, idle_timeout: Duration, handler: Handler) {
    let mut pause = FIRST_PAUSE;
    loop {
        // At the limit no more is accepted: clients wait in the backlog.
        let permit = shared.room.acquire();
        match listener.accept() {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                // From here on the place gives it back.
                permit.forget();
                start(shared, stream, peer, idle_timeout, handler);
            }
            Err(error) => {
                drop(permit);
                log::warn!("cannot accept: {error}; trying again in {pause:?}");
                green::sleep(pause);
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}

fn start(
    shared: &Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    idle_timeout: Duration,
    handler: Handler,
) {
    let number = shared.connections.fetch_add(1, Ordering::Relaxed);
    let place = Place {
        shared: Arc::clone(shared),
        number,
        bytes: 0,
    };
    log::debug!("#{number} from {peer}");
    // The lock keeps the handler from ending before it is in the map.
    let mut live = shared.live.lock().expect("nothing panics under this lock");
    let handle = green::spawn(move || {
        // The whole place: naming its fields only would move copies of them. It is free again when the
        // file descriptor is: locals are dropped last to first.
        let (mut place, stream) = (place, stream);
        let result =
            limit_idleness(&stream, idle_timeout).and_then(|()| handler(&stream, &mut place.bytes));
        match result {
            Ok(()) => log::debug!("#{number} ended after {} bytes", place.bytes),
            Err(error) => log::debug!("#{number} failed after {} bytes: {error}", place.bytes),
        }
    });
    live.insert(number, handle);
}

fn limit_idleness(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))
}

/// Receives signals on an OS thread of its own, which works however busy the hubs are.
fn watch_signals(stop: Arc<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGQUIT])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGQUIT {
                    // It may be closed; there is nowhere else to say it.
                    green::dump(&mut io::stderr().lock()).ok();
                } else if stop.is_set() {
                    process::exit(cli::INTERRUPTED.into());
                } else {
                    stop.set();
                }
            }
        })?;
    Ok(())
}

/// Writes a line to standard output, which may be closed.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("it is not a number".into()),
    }
}

/// The first buffer of a connection, in bytes.
const FIRST_BUFFER: usize = 1024;

/// What the buffer of a busy connection grows to, in bytes.
const LAST_BUFFER: usize = 64 * 1024;

/// How long to wait after an error of `accept`.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// How long to wait after many of them.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// How long killed connections may take to unwind.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// Files that are not connections: standard streams, the listener, pollers, wake-ups.
const RESERVED_FILES: usize = 64;
