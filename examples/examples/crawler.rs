//! A crawler that fetches from 1,000 servers, a hundred at a time.
//!
//! Shows `Pool::imap_unordered`: results come as they are ready, and a limit holds how many are under way. A server that
//! answers too late costs its own place in the pool, for as long as the timeout says, and nobody else's. The servers are
//! real ones, in this process.
//!
//!     cargo run -p green-examples --example crawler

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green::net::TcpStream;
use green::pool::Pool;
use green::server::StreamServer;
use rustix::process::{Resource, getrlimit, setrlimit};

const SERVERS: usize = 1_000;
const AT_ONCE: usize = 100;
/// Every so many servers, one that does not answer in time.
const DEAF: usize = 250;
const PATIENCE: Duration = Duration::from_secs(2);

/// How many fetches are under way, and the most that ever were.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn main() -> io::Result<()> {
    // A listener each, and both ends of a hundred connections.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;

    let servers: Vec<_> = (0..SERVERS).map(serve).collect::<io::Result<_>>()?;
    let addresses: Vec<_> = servers.iter().map(StreamServer::address).collect();
    println!("{SERVERS} servers listen");

    let begin = Instant::now();
    let pool = Pool::new(AT_ONCE);
    let (mut pages, mut late) = (0, 0);
    for page in pool.imap_unordered(addresses, fetch) {
        match page.expect("a fetch does not panic") {
            Ok(text) => {
                assert!(text.starts_with("this is page "));
                pages += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => late += 1,
            Err(error) => return Err(error),
        }
    }
    println!("{pages} pages, {late} too late, in {:.1?}", begin.elapsed());
    assert_eq!((pages, late), (SERVERS - SERVERS / DEAF, SERVERS / DEAF));
    let most = MOST.load(Ordering::Relaxed);
    println!("{most} at once");
    assert!(most <= AT_ONCE);
    for server in &servers {
        server.close();
    }
    Ok(())
}

/// A server of one page.
fn serve(number: usize) -> io::Result<StreamServer> {
    let server = StreamServer::new("127.0.0.1:0", move |mut stream: TcpStream, _| {
        if number.is_multiple_of(DEAF) {
            // Until the client gives up.
            return stream.read(&mut [0; 16]).map(drop);
        }
        green::sleep(Duration::from_millis(5));
        write!(stream, "this is page {number}")
    })?;
    server.start()?;
    Ok(server)
}

fn fetch(address: SocketAddr) -> io::Result<String> {
    MOST.fetch_max(NOW.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    let fetched = green::timeout(PATIENCE, || {
        io::read_to_string(TcpStream::connect(address)?)
    });
    NOW.fetch_sub(1, Ordering::Relaxed);
    fetched.unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)))
}
