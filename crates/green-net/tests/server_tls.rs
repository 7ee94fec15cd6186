//! `Server::new_tls`: each test is named after the row of gevent that it holds us to.

#![cfg(feature = "rustls")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(unsafe_code, reason = "may's spawn is unsafe")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{sleep, spawn};
use green_net::TcpStream;
use green_net::os::unix::net::UnixStream;
use green_net::server::{StreamServer, TlsAcceptor, TlsStream, UnixStreamServer};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

#[path = "support/temp_dir.rs"]
mod temp_dir;
use temp_dir::TempDir;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

/// A server's and a client's configuration that trust each other.
fn configs() -> (TlsAcceptor, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client))
}

fn client<S: Read + Write>(
    stream: S,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, S> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(1));
    }
}

/// Sends back what comes.
fn echo(mut stream: TlsStream<TcpStream>, _: SocketAddr) -> io::Result<()> {
    let mut buf = [0; 64];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n])?,
        }
    }
}

#[test]
fn srv_13_a_handler_gets_a_connection_after_its_handshake() {
    let (tls, config) = configs();
    let server = StreamServer::new_tls("127.0.0.1:0", tls, echo).unwrap();
    server.start().unwrap();
    let addr = server.address();
    let clients: Vec<_> = (0..4_u8)
        .map(|number| {
            let config = Arc::clone(&config);
            spawn(move || {
                let mut tls = client(TcpStream::connect(addr).unwrap(), &config);
                for round in 0..3 {
                    tls.write_all(&[number, round]).unwrap();
                    let mut back = [0; 2];
                    tls.read_exact(&mut back).unwrap();
                    assert_eq!(back, [number, round]);
                }
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }
    eventually("all have left", || server.running() == 0);
}

#[test]
fn srv_13_the_end_of_a_handler_is_told_to_the_peer() {
    let (tls, config) = configs();
    let hello = |mut stream: TlsStream<TcpStream>, _| stream.write_all(b"hello");
    let server = StreamServer::new_tls("127.0.0.1:0", tls, hello).unwrap();
    server.start().unwrap();
    let mut tls = client(TcpStream::connect(server.address()).unwrap(), &config);
    let mut answer = String::new();
    // Without a `close_notify` this would be `UnexpectedEof`.
    tls.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
}

#[test]
fn srv_13_a_client_that_is_slow_at_the_handshake_holds_up_nobody() {
    let (tls, config) = configs();
    let server = StreamServer::new_tls("127.0.0.1:0", tls, echo).unwrap();
    server.start().unwrap();
    let _slow = TcpStream::connect(server.address()).unwrap();
    eventually("it has a handler", || server.running() == 1);
    let mut tls = client(TcpStream::connect(server.address()).unwrap(), &config);
    tls.write_all(b"x").unwrap();
    tls.read_exact(&mut [0]).unwrap();
    assert_eq!(server.running(), 2);
    let report = server.stop_timeout(SHORT);
    assert_eq!((report.killed, report.left), (2, 0));
}

#[test]
fn srv_13_a_handshake_that_takes_too_long_closes_the_connection() {
    let (tls, _) = configs();
    let server = StreamServer::new_tls("127.0.0.1:0", tls.handshake_timeout(SHORT), echo).unwrap();
    server.start().unwrap();
    let begin = Instant::now();
    let mut slow = TcpStream::connect(server.address()).unwrap();
    assert_eq!(slow.read(&mut [0]).unwrap(), 0);
    assert!(begin.elapsed() >= SHORT);
    eventually("it has left", || server.running() == 0);
    assert!(server.started());
}

#[test]
fn srv_13_who_speaks_no_tls_is_turned_away_and_the_server_goes_on() {
    let (tls, config) = configs();
    let server = StreamServer::new_tls("127.0.0.1:0", tls, echo).unwrap();
    server.start().unwrap();
    let mut plain = TcpStream::connect(server.address()).unwrap();
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut alert = Vec::new();
    match plain.read_to_end(&mut alert) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let mut tls = client(TcpStream::connect(server.address()).unwrap(), &config);
    tls.write_all(b"x").unwrap();
    tls.read_exact(&mut [0]).unwrap();
}

#[test]
fn srv_13_tls_over_a_unix_socket() {
    let (tls, config) = configs();
    let dir = TempDir::new();
    let path: &Path = &dir.join("socket");
    let hello = |mut stream: TlsStream<UnixStream>, _| stream.write_all(b"hello");
    let server = UnixStreamServer::new_tls(path, tls, hello).unwrap();
    server.start().unwrap();
    let mut answer = String::new();
    client(UnixStream::connect(path).unwrap(), &config)
        .read_to_string(&mut answer)
        .unwrap();
    assert_eq!(answer, "hello");
}

#[test]
fn srv_13_a_may_coroutine_may_drop_a_connection() {
    let (tls, config) = configs();
    let (one, other) = UnixStream::pair().unwrap();
    let server = spawn(move || tls.accept(one).unwrap());
    let mut peer = client(other, &config);
    while peer.conn.is_handshaking() {
        peer.conn.complete_io(&mut peer.sock).unwrap();
    }
    let stream = server.into_result().unwrap();
    // SAFETY: the closure keeps nothing of an OS thread across a blocking call, and is shallow.
    let drops = unsafe { green_core::may::spawn(move || drop(stream)) };
    drops.into_result().unwrap();
    let read = peer.read(&mut [0]);
    assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn srv_13_an_acceptor_serves_a_bare_connection_too() {
    let (tls, config) = configs();
    let (one, other) = UnixStream::pair().unwrap();
    let done = Arc::new(Event::new());
    let theirs = Arc::clone(&done);
    let server = spawn(move || {
        let mut stream = tls.accept(one).unwrap();
        assert!(!stream.connection().is_handshaking());
        stream.write_all(b"hello").unwrap();
        theirs.wait();
    });
    let mut answer = [0; 5];
    client(other, &config).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    done.set();
    server.into_result().unwrap();
}
