//! Rows of gevent's `socket` and resolver: SOCK-01 to SOCK-15, DNS-01; rules 32, 56, 57 and 58. That each call does what std's
//! does is tested by `std_parity_*`; here is what gevent adds, or does otherwise.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::io::{wait_readable, wait_writable};
use green_core::{Config, Greenlet, run, sleep, spawn, timeout, yield_now};
use green_net::os::unix::net::UnixStream;
use green_net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

const EVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(5);

macro_rules! on_any_number_of_hubs {
    ($($name:ident)*) => {
        mod on_one_hub {
            $(#[test] fn $name() { super::on(1, super::$name); })*
        }
        mod on_two_hubs {
            $(#[test] fn $name() { super::on(2, super::$name); })*
        }
        mod on_eight_hubs {
            $(#[test] fn $name() { super::on(8, super::$name); })*
        }
    };
}

on_any_number_of_hubs! {
    sock_01_sockets_of_all_kinds
    sock_03_rule_57_two_readers_wait_in_line_and_a_writer_beside_them
    sock_05_shutdown_wakes_a_reader_with_the_end
    sock_06_connect
    sock_07_accept_and_receive_wait_for_their_caller_only
    sock_08_write_all_takes_as_long_as_it_takes
    sock_09_a_reader_and_a_writer_over_one_socket
    sock_10_copy_from_a_file
    sock_11_clones_and_pairs
    sock_12_every_address_is_tried
    sock_13_dns_01_names_are_resolved_beside_green_threads
    sock_14_waiting_for_a_descriptor
    sock_15_rule_32_a_limit_of_a_socket_is_an_error_and_unwinds_nothing
    rule_56_a_socket_that_is_read_is_not_closed
}

mod in_order {
    #[test]
    fn sock_02_what_is_ready_is_no_switch() {
        super::on(1, super::sock_02_what_is_ready_is_no_switch);
    }

    #[test]
    fn sock_02_rule_58_what_is_always_ready_leaves_others_their_turns() {
        super::on(
            1,
            super::sock_02_rule_58_what_is_always_ready_leaves_others_their_turns,
        );
    }
}

fn on(hubs: usize, f: fn()) {
    Config::new().hubs(hubs).apply().ok();
    run(f);
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

fn sock_01_sockets_of_all_kinds() {
    let (mut a, mut b) = pair();
    a.write_all(b"tcp").unwrap();
    let mut buf = [0; 3];
    b.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"tcp");
    assert_eq!(
        a.read_timeout().unwrap(),
        None,
        "no limit, as gevent's default"
    );
    let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    a.send_to(b"udp", b.local_addr().unwrap()).unwrap();
    assert_eq!(b.recv_from(&mut buf).unwrap(), (3, a.local_addr().unwrap()));
    let (mut a, mut b) = UnixStream::pair().unwrap();
    a.write_all(b"own").unwrap();
    b.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"own");
}

/// Counts its turns, which it takes as often as it can.
fn neighbour() -> (Arc<AtomicUsize>, Greenlet<()>) {
    let turns = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&turns);
    let greenlet = spawn(move || {
        loop {
            theirs.fetch_add(1, Ordering::Relaxed);
            yield_now();
        }
    });
    (turns, greenlet)
}

fn sock_02_what_is_ready_is_no_switch() {
    let (mut a, mut b) = pair();
    a.write_all(&[7; 8]).unwrap();
    wait_readable(b.as_fd(), None).unwrap();
    let (turns, other) = neighbour();
    let mut buf = [0; 1];
    (0..8).for_each(|_| b.read_exact(&mut buf).unwrap());
    assert_eq!(turns.load(Ordering::Relaxed), 0);
    other.kill();
}

fn sock_02_rule_58_what_is_always_ready_leaves_others_their_turns() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    let (turns, other) = neighbour();
    let mut buf = [0; 1];
    for _ in 0..1_000 {
        socket.send(&[7]).unwrap();
        socket.recv(&mut buf).unwrap();
    }
    assert!(
        turns.load(Ordering::Relaxed) >= 10,
        "one in 128 operations at least"
    );
    other.kill();
}

fn sock_03_rule_57_two_readers_wait_in_line_and_a_writer_beside_them() {
    let (mut peer, socket) = pair();
    let socket = Arc::new(socket);
    let readers = [(); 2].map(|()| {
        let socket = Arc::clone(&socket);
        let reader = spawn(move || {
            let mut buf = [0; 1];
            (&*socket).read_exact(&mut buf).map(|()| buf[0]).unwrap()
        });
        yield_now();
        reader
    });
    (&*socket).write_all(b"beside them").unwrap();
    peer.read_exact(&mut [0; 11]).unwrap();
    peer.write_all(&[1, 2]).unwrap();
    let mut got = readers.each_ref().map(|reader| reader.get().unwrap());
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
}

fn sock_05_shutdown_wakes_a_reader_with_the_end() {
    let (_peer, socket) = pair();
    let socket = Arc::new(socket);
    let theirs = Arc::clone(&socket);
    let reader = spawn(move || (&*theirs).read(&mut [0; 1]).unwrap());
    sleep(SHORT);
    socket.shutdown(Shutdown::Both).unwrap();
    assert_eq!(reader.get().unwrap(), 0, "as std's, where gevent raises");
}

fn sock_06_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(
        TcpStream::connect(address).unwrap().peer_addr().unwrap(),
        address
    );
    assert!(TcpStream::connect_timeout(&address, EVER).is_ok());
    let refuses = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    assert_eq!(
        TcpStream::connect(refuses).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let zero = TcpStream::connect_timeout(&address, Duration::ZERO);
    assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn sock_07_accept_and_receive_wait_for_their_caller_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap();
    let accepts = spawn(move || listener.accept().unwrap().1);
    let receives = spawn(move || socket.recv_from(&mut [0; 8]).unwrap().0);
    sleep(SHORT);
    assert!(!accepts.ready() && !receives.ready());
    let client = TcpStream::connect(address).unwrap();
    assert_eq!(accepts.get().unwrap(), client.local_addr().unwrap());
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .send_to(&[7; 5], to)
        .unwrap();
    assert_eq!(receives.get().unwrap(), 5);
}

/// More than the kernel keeps for a connection.
const MUCH: usize = 16 << 20;

fn sock_08_write_all_takes_as_long_as_it_takes() {
    let (mut a, mut b) = pair();
    let writer = spawn(move || {
        a.write_all(&[]).unwrap();
        a.write_all(&vec![7; MUCH]).unwrap();
    });
    sleep(SHORT);
    assert!(!writer.ready(), "it waits for its reader");
    let mut all = Vec::new();
    b.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), MUCH);
    writer.join();
    // A limit for the whole call, as gevent's `sendall` has it, is a scope.
    let (mut a, _b) = pair();
    assert!(timeout(SHORT, || a.write_all(&vec![7; MUCH])).is_err());
}

fn sock_09_a_reader_and_a_writer_over_one_socket() {
    let (a, b) = pair();
    let echo = spawn(move || {
        let mut lines = BufReader::new(b.try_clone().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        drop(lines);
        // The descriptor is open until all that share it are gone.
        writeln!(&b, "{line}, {line}").unwrap();
    });
    writeln!(&a, "hello").unwrap();
    let mut answer = String::new();
    BufReader::new(a).read_line(&mut answer).unwrap();
    assert_eq!(answer, "hello, hello\n");
    echo.join();
}

fn sock_10_copy_from_a_file() {
    let (mut a, mut b) = pair();
    let mut file = std::fs::File::open("/proc/self/exe").unwrap().take(1 << 20);
    let sender = spawn(move || std::io::copy(&mut file, &mut a).unwrap());
    let mut received = Vec::new();
    b.read_to_end(&mut received).unwrap();
    assert_eq!(received.len() as u64, sender.get().unwrap());
    assert!(received.starts_with(b"\x7fELF"));
}

fn sock_11_clones_and_pairs() {
    let (a, mut b) = UnixStream::pair().unwrap();
    let clone = a.try_clone().unwrap();
    drop(a);
    (&clone).write_all(b"x").unwrap();
    drop(clone);
    let mut all = Vec::new();
    b.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"x");
    let std = std::os::unix::net::UnixStream::from(b);
    drop(UnixStream::from(std));
}

fn sock_12_every_address_is_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = listener.local_addr().unwrap();
    let refuses = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let stream = TcpStream::connect(&[refuses, good][..]).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good);
    assert!(
        TcpStream::connect(&[refuses, refuses][..]).is_err(),
        "the last error"
    );
}

fn sock_13_dns_01_names_are_resolved_beside_green_threads() {
    let literal: Vec<_> = ("127.0.0.1", 80).to_socket_addrs().unwrap().collect();
    assert_eq!(literal, [SocketAddr::from((Ipv4Addr::LOCALHOST, 80))]);
    let (turns, other) = neighbour();
    let before = turns.load(Ordering::Relaxed);
    let mut found = ("localhost", 80).to_socket_addrs().unwrap();
    assert!(found.any(|address| address.ip().is_loopback()));
    assert!(turns.load(Ordering::Relaxed) > before);
    other.kill();
}

fn sock_14_waiting_for_a_descriptor() {
    let (mut a, b) = pair();
    assert!(wait_writable(b.as_fd(), None).unwrap());
    assert!(!wait_readable(b.as_fd(), Some(Instant::now() + SHORT)).unwrap());
    a.write_all(&[7]).unwrap();
    assert!(wait_readable(b.as_fd(), None).unwrap());
}

fn sock_15_rule_32_a_limit_of_a_socket_is_an_error_and_unwinds_nothing() {
    let (_a, mut b) = pair();
    b.set_read_timeout(Some(SHORT)).unwrap();
    let start = Instant::now();
    let late = timeout(EVER, || b.read(&mut [0; 1])).expect("no scope is over");
    let kind = late.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(start.elapsed() >= SHORT);
    b.set_read_timeout(None).unwrap();
    assert!(
        timeout(SHORT, || b.read(&mut [0; 1])).is_err(),
        "this one unwinds"
    );
}

fn rule_56_a_socket_that_is_read_is_not_closed() {
    let (mut peer, socket) = pair();
    let socket = Arc::new(socket);
    let theirs = Arc::clone(&socket);
    let reader = spawn(move || (&*theirs).read(&mut [0; 8]).unwrap());
    sleep(SHORT);
    // The reader has it, too: nothing is taken from under it, and no other socket gets its descriptor.
    drop(socket);
    drop(pair());
    peer.write_all(b"hello").unwrap();
    assert_eq!(reader.get().unwrap(), 5);
}
