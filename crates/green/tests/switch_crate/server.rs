//! A child module: it says `std`, and is green because its crate's root is.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// Echoes one line to each client, and says where it runs.
pub(crate) struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: JoinHandle<io::Result<()>>,
    served: mpsc::Receiver<SocketAddr>,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (sender, served) = mpsc::channel();
        let acceptor = thread::spawn({
            let stopping = Arc::clone(&stopping);
            move || accept(&listener, &stopping, &sender)
        });
        Ok(Self {
            address,
            stopping,
            acceptor,
            served,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and says how many clients there were.
    pub(crate) fn stop(self) -> usize {
        self.stopping.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).unwrap();
        self.acceptor.join().unwrap().unwrap();
        self.served.iter().count()
    }
}

fn accept(
    listener: &TcpListener,
    stopping: &AtomicBool,
    sender: &mpsc::Sender<SocketAddr>,
) -> io::Result<()> {
    for stream in listener.incoming() {
        let stream = stream?;
        if stopping.load(Ordering::Relaxed) {
            break;
        }
        let sender = sender.clone();
        thread::spawn(move || -> io::Result<()> {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line)?;
            let green = ::green::getcurrent().is_some();
            sender.send(stream.peer_addr()?).unwrap();
            writeln!(&stream, "{} {green}", line.trim_end())
        });
    }
    Ok(())
}
