//! Operations on sockets, pipes and files. Where two green threads take turns, an operation is there and back.

use std::env;
use std::io::{self, Read, Seek as _, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green_core::fs::File;
use green_core::io::pipe;
use green_core::{block_on, spawn, timeout};
use green_net::os::unix::net::UnixStream;
use green_net::server::StreamServer;
use green_net::{TcpListener, TcpStream, UdpSocket, aio};

use crate::meter::{Meter, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("echo", 1000, echo),
    Operation::new("echo_timeout", 1000, echo_timeout),
    Operation::new("echo_read_timeout", 1000, echo_read_timeout),
    Operation::new("echo_unix", 1000, echo_unix),
    Operation::new("echo_pipe", 1000, echo_pipe),
    Operation::new("echo_udp", 1000, echo_udp),
    Operation::new("echo_future", 1000, echo_future),
    Operation::new("connect", 200, connect),
    Operation::new("connect_server", 200, connect_server),
    Operation::new("file_read", 200, file_read),
    Operation::new("file_open", 200, file_open),
];

fn echo(meter: &Meter) {
    let (mut client, server) = tcp_pair();
    serve(server);
    meter.measure(|count| (0..count).for_each(|_| exchange(&mut client)));
}

/// Each read of the client in the scope of a timeout.
fn echo_timeout(meter: &Meter) {
    let (client, server) = tcp_pair();
    serve(server);
    let mut client = Timed(client);
    meter.measure(|count| (0..count).for_each(|_| exchange(&mut client)));
}

/// Both ends have a timeout for reading.
fn echo_read_timeout(meter: &Meter) {
    let (mut client, server) = tcp_pair();
    client.set_read_timeout(Some(LONG)).unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    serve(server);
    meter.measure(|count| (0..count).for_each(|_| exchange(&mut client)));
}

fn echo_unix(meter: &Meter) {
    let (mut client, server) = UnixStream::pair().unwrap();
    serve(server);
    meter.measure(|count| (0..count).for_each(|_| exchange(&mut client)));
}

fn echo_pipe(meter: &Meter) {
    let ((from_client, there), (back, to_client)) = (pipe().unwrap(), pipe().unwrap());
    serve(Both(from_client, to_client));
    let mut client = Both(back, there);
    meter.measure(|count| (0..count).for_each(|_| exchange(&mut client)));
}

fn echo_udp(meter: &Meter) {
    let [client, server] = [(), ()].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = server.local_addr().unwrap();
    let other = spawn(move || {
        let mut buffer = [0; 1024];
        loop {
            let (size, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..size], from).unwrap();
        }
    });
    let mut buffer = [0; 1024];
    meter.measure(|count| {
        for _ in 0..count {
            client.send_to(&MESSAGE, address).unwrap();
            assert_eq!(
                client.recv_from(&mut buffer).unwrap(),
                (MESSAGE.len(), address)
            );
        }
    });
    other.kill();
}

/// The client is a future.
fn echo_future(meter: &Meter) {
    let (client, server) = tcp_pair();
    serve(server);
    let client = aio::TcpStream::from(client);
    meter.measure(|count| {
        block_on(async {
            let mut buffer = [0; 1024];
            for _ in 0..count {
                client.write_all(&MESSAGE).await.unwrap();
                assert_eq!(client.read(&mut buffer).await.unwrap(), MESSAGE.len());
            }
        });
    });
}

/// A connection that is accepted and closed at once.
fn connect(meter: &Meter) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = spawn(move || {
        loop {
            drop(listener.accept().unwrap());
        }
    });
    connect_to(meter, address);
    other.kill();
}

/// A connection whose handler closes it at once.
fn connect_server(meter: &Meter) {
    let server = StreamServer::new("127.0.0.1:0", |_stream, _peer| ()).unwrap();
    server.start().unwrap();
    connect_to(meter, server.address());
    server.close();
}

fn connect_to(meter: &Meter, address: SocketAddr) {
    meter.measure(|count| {
        for _ in 0..count {
            let mut client = TcpStream::connect(address).unwrap();
            assert_eq!(client.read(&mut [0; 64]).unwrap(), 0);
        }
    });
}

/// From a file's beginning.
fn file_read(meter: &Meter) {
    let mut file = File::open(env::current_exe().unwrap()).unwrap();
    meter.measure(|count| {
        for _ in 0..count {
            file.rewind().unwrap();
            file.read_exact(&mut [0; 64]).unwrap();
        }
    });
}

fn file_open(meter: &Meter) {
    let path = env::current_exe().unwrap();
    meter.measure(|count| (0..count).for_each(|_| drop(File::open(&path).unwrap())));
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Starts a green thread that gives everything back, until the other end is closed.
fn serve(mut stream: impl Read + Write + Send + 'static) {
    spawn(move || {
        let mut buffer = [0; 1024];
        loop {
            let size = stream.read(&mut buffer).unwrap();
            if size == 0 {
                return;
            }
            stream.write_all(&buffer[..size]).unwrap();
        }
    });
}

/// Sends the message, and reads it back.
fn exchange(stream: &mut (impl Read + Write)) {
    stream.write_all(&MESSAGE).unwrap();
    let mut buffer = [0; 1024];
    let size = stream.read(&mut buffer).unwrap();
    assert_eq!(buffer[..size], MESSAGE);
}

/// A stream whose reads have a timeout around them.
struct Timed(TcpStream);

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        timeout(LONG, || self.0.read(buffer)).unwrap()
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A stream of two ends.
struct Both<R, W>(R, W);

impl<R: Read, W> Read for Both<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R, W: Write> Write for Both<R, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

const MESSAGE: [u8; 64] = [b'x'; 64];

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
