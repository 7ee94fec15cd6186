//! A server that is told to stop, lets its handlers finish, and kills the one that does not.
//!
//! Shows `StreamServer`: a limit, `serve_forever`, and `stop_timeout`, which closes the listener at once and tells what became
//! of the handlers. A killed handler unwinds: its destructors run, and its connection is closed.
//!
//!     cargo run -p green-examples --example graceful_shutdown

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green::net::TcpStream;
use green::server::StreamServer;

fn main() -> io::Result<()> {
    let cleaned_up = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&cleaned_up);
    let server = StreamServer::new("127.0.0.1:0", move |stream, _| work(stream, &theirs))?;
    let server = Arc::new(server.limit(100));
    let serving = Arc::clone(&server);
    let serving = green::spawn(move || serving.serve_forever());
    let address = server.address();
    println!("listening on {address}");

    // Three that take 100 ms, and one that would take for ever.
    let clients: Vec<_> = [100, 100, 100, u64::MAX]
        .map(|millis| {
            green::spawn(move || {
                let mut stream = TcpStream::connect(address)?;
                stream.write_all(&millis.to_le_bytes())?;
                io::read_to_string(stream)
            })
        })
        .into();
    while server.running() < clients.len() {
        green::sleep(Duration::from_millis(1));
    }

    // In a service, a signal does this.
    let begin = Instant::now();
    let report = server.stop_timeout(Duration::from_secs(1));
    println!("stopped after {:.1?}: {report:?}", begin.elapsed());
    assert_eq!((report.drained, report.killed, report.left), (3, 1, 0));
    assert!(TcpStream::connect(address).is_err(), "nobody listens now");
    assert_eq!(cleaned_up.load(Ordering::Relaxed), 4);
    serving.into_result().expect("the server does not panic")?;

    let answers: Vec<_> = clients
        .into_iter()
        .map(|client| client.into_result().expect("a client does not panic"))
        .collect::<io::Result<_>>()?;
    println!("the clients got {answers:?}");
    assert_eq!(answers, ["done", "done", "done", ""]);
    Ok(())
}

/// Takes as long as the client says.
fn work(mut stream: TcpStream, cleaned_up: &Arc<AtomicUsize>) -> io::Result<()> {
    let mut millis = [0; 8];
    stream.read_exact(&mut millis)?;
    let _cleanup = Cleanup(Arc::clone(cleaned_up));
    green::sleep(Duration::from_millis(u64::from_le_bytes(millis)));
    stream.write_all(b"done")
}

/// What a handler has to put in order, however it ends.
struct Cleanup(Arc<AtomicUsize>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
