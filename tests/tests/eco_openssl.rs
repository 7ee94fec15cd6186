//! TLS by the system's OpenSSL over green sockets, through the crate `openssl`.
//!
//! C code on a green thread's stack: OpenSSL calls back for its input, and the callback parks. The crate
//! catches what unwinds out of a callback and goes on with it when the C frames are behind, so kills and
//! timeouts work.
//!
//! Built with the feature `openssl` only, because it needs the library and its headers.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::Failure;
use green_core::event::Event;
use green_net::{TcpListener, TcpStream};
use green_tests::{Held, Random, alone};
use openssl::pkey::PKey;
use openssl::ssl::{
    HandshakeError, SslAcceptor, SslConnector, SslMethod, SslStream, SslVerifyMode,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

#[test]
fn fifty_connections_echo_at_once() {
    const CONNECTIONS: usize = 50;
    let _alone = alone();
    let held = Held::now();
    let (listener, address) = listen();
    let (acceptor, connector) = sides();
    let serving = green_core::spawn(move || {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let (stream, _) = listener.accept().unwrap();
            let acceptor = Arc::clone(&acceptor);
            connections.push(green_core::spawn(move || {
                let mut stream = acceptor.accept(stream).unwrap();
                let mut buffer = vec![0; 4096];
                loop {
                    match stream.read(&mut buffer).unwrap() {
                        0 => break stream.shutdown().map(drop).unwrap(),
                        read => stream.write_all(&buffer[..read]).unwrap(),
                    }
                }
            }));
        }
        for connection in connections {
            connection.into_result().unwrap();
        }
    });
    let clients: Vec<_> = (0..CONNECTIONS as u64)
        .map(|number| {
            let connector = Arc::clone(&connector);
            green_core::spawn(move || {
                let mut stream = connector.connect(NAME, connect(address)).unwrap();
                let mut random = Random::new(number);
                for _ in 0..20 {
                    let len = 1 + random.below(3000) as usize;
                    let message = random.bytes(len);
                    stream.write_all(&message).unwrap();
                    let mut answer = vec![0; len];
                    stream.read_exact(&mut answer).unwrap();
                    assert!(answer == message, "client {number} got other bytes");
                }
                stream.shutdown().unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0, "an orderly end");
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }
    serving.into_result().unwrap();
    held.check();
}

#[test]
fn a_certificate_for_another_name_or_of_a_stranger() {
    let (listener, address) = listen();
    let (acceptor, connector) = sides();
    let (_, stranger) = sides();
    let serving = green_core::spawn(move || {
        for _ in 0..2 {
            let (stream, _) = listener.accept().unwrap();
            assert!(acceptor.accept(stream).is_err(), "the client refuses");
        }
    });
    for (connector, name) in [(connector, "another.example"), (stranger, NAME)] {
        let error = connector.connect(name, connect(address)).unwrap_err();
        assert!(
            error.to_string().contains("certificate verify failed"),
            "{error}"
        );
    }
    serving.into_result().unwrap();
}

#[test]
fn a_client_that_speaks_no_tls() {
    let (listener, address) = listen();
    let (acceptor, _) = sides();
    let mut stream = connect(address);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let error = acceptor.accept(accepted).unwrap_err();
    assert!(matches!(error, HandshakeError::Failure(_)), "{error}");
}

#[test]
fn a_client_that_stops_in_the_handshake_meets_the_read_timeout() {
    let (listener, address) = listen();
    let (acceptor, _) = sides();
    let mut stream = connect(address);
    stream.write_all(HALF_A_HELLO).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let limit = Duration::from_millis(50);
    accepted.set_read_timeout(Some(limit)).unwrap();
    let start = Instant::now();
    let error = acceptor.accept(accepted).unwrap_err();
    assert!(start.elapsed() >= limit);
    let HandshakeError::WouldBlock(middle) = error else {
        panic!("{error}");
    };
    let kind = middle.error().io_error().map(std::io::Error::kind);
    assert_eq!(kind, Some(ErrorKind::WouldBlock));
}

#[test]
fn a_timeout_scope_ends_a_read_inside_of_openssl() {
    let (mut server, mut client) = pair();
    let limit = Duration::from_millis(50);
    let result = green_core::timeout(limit, || server.read(&mut [0]).unwrap());
    assert!(result.is_err(), "it is out of time");
    // It may go on.
    client.write_all(b"x").unwrap();
    assert_eq!(server.read(&mut [0]).unwrap(), 1);
}

#[test]
fn a_read_inside_of_openssl_is_killed() {
    let (mut server, mut client) = pair();
    let reading = Arc::new(Event::new());
    let reader = {
        let reading = Arc::clone(&reading);
        green_core::spawn(move || {
            reading.set();
            server.read_exact(&mut [0]).unwrap();
        })
    };
    reading.wait();
    reader.kill();
    assert!(matches!(reader.into_result(), Err(Failure::Killed)));
    let end = client.read(&mut [0]);
    assert!(
        matches!(&end, Ok(0) | Err(_)),
        "its side is closed: {end:?}"
    );
}

/// Two sides that have shaken hands.
fn pair() -> (SslStream<TcpStream>, SslStream<TcpStream>) {
    let (listener, address) = listen();
    let (acceptor, connector) = sides();
    let serving = green_core::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        acceptor.accept(stream).unwrap()
    });
    let client = connector.connect(NAME, connect(address)).unwrap();
    (serving.into_result().unwrap(), client)
}

/// A server with a new certificate, and a client that trusts this one only.
fn sides() -> (Arc<SslAcceptor>, Arc<SslConnector>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let certificate = X509::from_der(made.cert.der()).unwrap();
    let key = PKey::private_key_from_der(&made.signing_key.serialize_der()).unwrap();

    let mut server = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    server.set_certificate(&certificate).unwrap();
    server.set_private_key(&key).unwrap();

    let mut trusted = X509StoreBuilder::new().unwrap();
    trusted.add_cert(certificate).unwrap();
    let mut client = SslConnector::builder(SslMethod::tls()).unwrap();
    client.set_verify(SslVerifyMode::PEER);
    client.set_cert_store(trusted.build());
    (Arc::new(server.build()), Arc::new(client.build()))
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).unwrap();
    stream
}

/// The name that the certificates are for.
const NAME: &str = "localhost";

/// A record of 512 bytes is announced, and its first six have come.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
