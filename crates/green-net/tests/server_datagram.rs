//! `DatagramServer`: each test is named after the row of gevent that it holds us to.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::{sleep, spawn};
use green_net::UdpSocket;
use green_net::os::unix::net::UnixDatagram;
use green_net::server::{DatagramServer, UnixDatagramServer};

#[path = "support/temp_dir.rs"]
mod temp_dir;
use temp_dir::TempDir;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(1));
    }
}

fn echo(data: Vec<u8>, peer: SocketAddr, socket: Arc<UdpSocket>) -> io::Result<()> {
    socket.send_to(&data, peer).map(drop)
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn ask(socket: &UdpSocket, what: &[u8]) -> Vec<u8> {
    socket.send(what).unwrap();
    let mut buf = [0; 16_384];
    let n = socket.recv(&mut buf).unwrap();
    buf[..n].to_vec()
}

#[test]
fn srv_14_each_datagram_has_a_handler_that_can_answer() {
    let server = DatagramServer::new(("127.0.0.1", 0), echo).unwrap();
    server.start().unwrap();
    let addr = server.address();
    let clients: Vec<_> = (0..8_u8)
        .map(|number| {
            spawn(move || {
                let socket = client(addr);
                for round in 0..10 {
                    assert_eq!(ask(&socket, &[number, round]), [number, round]);
                }
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }
}

#[test]
fn srv_14_a_handler_that_waits_holds_up_no_other() {
    let open = Arc::new(Event::new());
    let theirs = Arc::clone(&open);
    let server = DatagramServer::new(
        "127.0.0.1:0",
        move |data: Vec<u8>, peer, socket: Arc<UdpSocket>| {
            if data == b"slow" {
                theirs.wait();
            }
            socket.send_to(&data, peer).map(drop)
        },
    )
    .unwrap();
    server.start().unwrap();
    let (slow, fast) = (client(server.address()), client(server.address()));
    slow.send(b"slow").unwrap();
    eventually("it is handled", || server.running() == 1);
    assert_eq!(ask(&fast, b"fast"), b"fast");
    open.set();
    let mut buf = [0; 8];
    assert_eq!(slow.recv(&mut buf).unwrap(), 4);
}

#[test]
fn srv_14_what_is_longer_than_8192_bytes_is_cut_unless_more_was_asked_for() {
    let long = vec![7; 10_000];
    let server = DatagramServer::new("127.0.0.1:0", echo).unwrap();
    server.start().unwrap();
    assert_eq!(ask(&client(server.address()), &long).len(), 8_192);
    let server = DatagramServer::new("127.0.0.1:0", echo)
        .unwrap()
        .max_datagram(20_000);
    server.start().unwrap();
    assert_eq!(ask(&client(server.address()), &long).len(), 10_000);
    assert_eq!(ask(&client(server.address()), b"").len(), 0);
}

#[test]
fn srv_14_a_full_server_leaves_datagrams_in_the_buffer() {
    let open = Arc::new(Event::new());
    let came = Arc::new(AtomicUsize::new(0));
    let (theirs, count) = (Arc::clone(&open), Arc::clone(&came));
    let server = DatagramServer::new(
        "127.0.0.1:0",
        move |data: Vec<u8>, peer, socket: Arc<UdpSocket>| {
            count.fetch_add(1, Ordering::Relaxed);
            theirs.wait();
            socket.send_to(&data, peer).map(drop)
        },
    )
    .unwrap()
    .limit(2);
    server.start().unwrap();
    let socket = client(server.address());
    for number in 0..5 {
        socket.send(&[number]).unwrap();
    }
    eventually("two are handled", || came.load(Ordering::Relaxed) == 2);
    sleep(SHORT);
    assert_eq!(came.load(Ordering::Relaxed), 2);
    open.set();
    let mut seen = [false; 5];
    for _ in 0..5 {
        let mut number = [0];
        socket.recv(&mut number).unwrap();
        seen[usize::from(number[0])] = true;
    }
    assert_eq!(seen, [true; 5]);
}

#[test]
fn srv_14_pause_resume_and_stop_are_those_of_every_server() {
    let server = Arc::new(DatagramServer::new("127.0.0.1:0", echo).unwrap());
    let serving = Arc::clone(&server);
    let serving = spawn(move || serving.serve_forever());
    let socket = client(server.address());
    assert_eq!(ask(&socket, b"a"), b"a");
    server.pause();
    socket.send(b"b").unwrap();
    socket.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(
        socket.recv(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    socket.set_read_timeout(Some(LONG)).unwrap();
    server.resume();
    assert_eq!(socket.recv(&mut [0]).unwrap(), 1);
    server.stop();
    serving.into_result().unwrap().unwrap();
    // Its port is free.
    UdpSocket::bind(server.address()).unwrap();
}

#[test]
fn srv_14_a_handler_may_still_answer_while_the_server_stops() {
    let open = Arc::new(Event::new());
    let theirs = Arc::clone(&open);
    let server = Arc::new(
        DatagramServer::new(
            "127.0.0.1:0",
            move |data: Vec<u8>, peer, socket: Arc<UdpSocket>| {
                theirs.wait();
                socket.send_to(&data, peer).map(drop)
            },
        )
        .unwrap(),
    );
    server.start().unwrap();
    let socket = client(server.address());
    socket.send(b"last").unwrap();
    eventually("it is handled", || server.running() == 1);
    let stopper = Arc::clone(&server);
    let stopper = spawn(move || stopper.stop_timeout(LONG));
    eventually("it is closed", || server.closed());
    open.set();
    let report = stopper.into_result().unwrap();
    assert_eq!((report.killed, report.left), (0, 0));
    assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 4);
}

#[test]
fn srv_14_datagrams_of_unix_sockets_are_served_too() {
    let dir = TempDir::new();
    let path: &Path = &dir.join("server");
    let echo = |data: Vec<u8>, peer: UnixAddr, socket: Arc<UnixDatagram>| {
        socket.send_to_addr(&data, &peer).map(drop)
    };
    let server = UnixDatagramServer::new(path, echo).unwrap();
    server.start().unwrap();
    let socket = UnixDatagram::bind(dir.join("client")).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    for round in 0..3 {
        socket.send_to(&[round], path).unwrap();
        let mut back = [9];
        socket.recv(&mut back).unwrap();
        assert_eq!(back, [round]);
    }
    let report = server.stop();
    assert_eq!((report.killed, report.left), (0, 0));
}
