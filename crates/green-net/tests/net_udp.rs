//! What our UDP promises beyond std's: many green threads, kills, clones, errors that pass.

#![expect(clippy::disallowed_methods, reason = "OS threads play the peers")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::ErrorKind;
use std::net as std_net;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_net::{SocketAddr, UdpSocket};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A socket whose port takes datagrams from nobody but itself: others are refused.
fn refusing() -> (UdpSocket, SocketAddr) {
    let (socket, addr) = bound();
    socket.connect(addr).unwrap();
    (socket, addr)
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// Waits, from any thread, until `condition` holds.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        green_core::sleep(Duration::from_millis(1));
    }
}

/// Whether `count` descriptors more than `before` are watched, which a caller of ours has done by then
/// only because it waits.
fn watched_since(before: usize, count: usize) -> impl Fn() -> bool {
    move || green_core::stats().sources >= before + count
}

#[test]
fn a_receive_parks_only_its_green_thread() {
    green_core::run(|| {
        let (socket, addr) = bound();
        let before = green_core::stats().sources;
        let receiver = green_core::spawn(move || {
            let mut buf = [0; 8];
            let (n, from) = socket.recv_from(&mut buf).unwrap();
            (buf[..n].to_vec(), from)
        });
        eventually("the receiver parks", watched_since(before, 1));
        let others = others_run();
        assert!(others.wait_timeout(LONG), "others run meanwhile");
        let (sender, from) = bound();
        sender.send_to(b"hello", addr).unwrap();
        assert_eq!(
            receiver.get_timeout(LONG).unwrap(),
            (b"hello".to_vec(), from)
        );
    });
}

/// Is set once green threads, more than there are hubs, have run.
fn others_run() -> Arc<Event> {
    let (ran, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Event::new()));
    for _ in 0..64 {
        let (ran, done) = (Arc::clone(&ran), Arc::clone(&done));
        green_core::spawn(move || {
            green_core::yield_now();
            if ran.fetch_add(1, Ordering::Relaxed) == 63 {
                done.set();
            }
        });
    }
    done
}

#[test]
fn many_receivers_of_one_socket_serve_each_datagram_once() {
    green_core::run(|| {
        const RECEIVERS: usize = 64;
        const EACH: usize = 4;
        let (socket, addr) = bound();
        let socket = Arc::new(socket);
        let served: Arc<Vec<AtomicUsize>> =
            Arc::new((0..RECEIVERS * EACH).map(|_| AtomicUsize::new(0)).collect());
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|_| {
                let (socket, served) = (Arc::clone(&socket), Arc::clone(&served));
                green_core::spawn(move || {
                    for _ in 0..EACH {
                        let mut number = [0; 8];
                        let (n, from) = socket.recv_from(&mut number).unwrap();
                        assert_eq!(n, 8);
                        served[usize::from_le_bytes(number)].fetch_add(1, Ordering::Relaxed);
                        socket.send_to(&number, from).unwrap();
                    }
                })
            })
            .collect();
        let clients: Vec<_> = (0..8)
            .map(|client| {
                green_core::spawn(move || {
                    let (socket, _) = bound();
                    socket.connect(addr).unwrap();
                    for number in (0..RECEIVERS * EACH).filter(|number| number % 8 == client) {
                        socket.send(&number.to_le_bytes()).unwrap();
                        let mut back = [0; 8];
                        assert_eq!(socket.recv(&mut back).unwrap(), 8);
                        assert_eq!(usize::from_le_bytes(back), number);
                    }
                })
            })
            .collect();
        for greenlet in clients.into_iter().chain(receivers) {
            greenlet.get_timeout(LONG).unwrap();
        }
        assert!(
            served
                .iter()
                .all(|times| times.load(Ordering::Relaxed) == 1)
        );
    });
}

#[test]
fn datagrams_in_one_burst_reach_all_receivers() {
    green_core::run(|| {
        for clones in [false, true] {
            let (socket, addr) = bound();
            let socket = Arc::new(socket);
            let before = green_core::stats().sources;
            let receivers: Vec<_> = (0..8)
                .map(|_| {
                    let mut socket = Arc::clone(&socket);
                    if clones {
                        socket = Arc::new(socket.try_clone().unwrap());
                    }
                    green_core::spawn(move || socket.recv(&mut [0; 8]).unwrap())
                })
                .collect();
            let sources = if clones { 8 } else { 1 };
            eventually("the receivers park", watched_since(before, sources));
            // From this hub without a pause: one edge may stand for many.
            let (sender, _) = bound();
            for _ in 0..8 {
                sender.send_to(b"x", addr).unwrap();
            }
            for receiver in receivers {
                assert_eq!(receiver.get_timeout(LONG).unwrap(), 1);
            }
        }
    });
}

#[test]
fn a_killed_receiver_leaves_nothing() {
    green_core::run(|| {
        let before = green_core::stats().sources;
        // Its socket is closed: the address is free.
        let (socket, addr) = bound();
        let receiver = green_core::spawn(move || socket.recv(&mut [0]).map(drop).unwrap());
        eventually("the receiver parks", watched_since(before, 1));
        receiver.kill();
        assert!(matches!(
            receiver.into_result(),
            Err(green_core::Failure::Killed)
        ));
        assert_eq!(green_core::stats().sources, before);
        drop(UdpSocket::bind(addr).unwrap());
        // A socket that others have goes on, and its datagrams are theirs.
        let (socket, addr) = bound();
        let socket = Arc::new(socket);
        let receivers = [0, 1].map(|_| {
            let socket = Arc::clone(&socket);
            green_core::spawn(move || socket.recv(&mut [0; 8]).unwrap())
        });
        eventually("a receiver parks", watched_since(before, 1));
        let [killed, left] = receivers;
        killed.kill();
        let (sender, _) = bound();
        sender.send_to(b"after", addr).unwrap();
        assert_eq!(left.get_timeout(LONG).unwrap(), 5);
        sender.send_to(b"again", addr).unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 5);
        drop(socket);
        assert_eq!(green_core::stats().sources, before);
    });
}

#[test]
fn closing_the_other_handles_leaves_a_parked_receiver_of_a_clone() {
    green_core::run(|| {
        let before = green_core::stats().sources;
        let (socket, addr) = bound();
        let clone = socket.try_clone().unwrap();
        let receiver = green_core::spawn(move || clone.recv(&mut [0; 8]).unwrap());
        eventually("the receiver parks", watched_since(before, 1));
        // One that was watched too, one that never was.
        let other = socket.try_clone().unwrap();
        other
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        assert_eq!(
            other.recv(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        drop((socket, other));
        assert!(!receiver.ready());
        let (sender, _) = bound();
        sender.send_to(b"still", addr).unwrap();
        assert_eq!(receiver.get_timeout(LONG).unwrap(), 5);
        // The receiver had the last one.
        eventually("the address is free", || UdpSocket::bind(addr).is_ok());
        assert_eq!(green_core::stats().sources, before);
    });
}

#[test]
fn a_refusal_reaches_a_parked_receiver() {
    green_core::run(|| {
        let (_refusing, addr) = refusing();
        let (socket, _) = bound();
        socket.connect(addr).unwrap();
        let clone = socket.try_clone().unwrap();
        let before = green_core::stats().sources;
        let receiver = green_core::spawn(move || clone.recv(&mut [0]).unwrap_err().kind());
        eventually("the receiver parks", watched_since(before, 1));
        socket.send(b"x").unwrap();
        assert_eq!(
            receiver.get_timeout(LONG).unwrap(),
            ErrorKind::ConnectionRefused
        );
    });
}

// An error stayed in the reactor's memory as the end of the descriptor, so a receive spun instead of parking.
#[test]
fn receivers_park_again_after_a_refusal() {
    green_core::run(|| {
        let (peer, addr) = refusing();
        let (socket, own) = bound();
        socket.connect(addr).unwrap();
        let socket = Arc::new(socket);
        socket.set_read_timeout(Some(LONG)).unwrap();
        // Watched before the error, so that its edge is seen.
        let before = green_core::stats().sources;
        let receiver = {
            let socket = Arc::clone(&socket);
            green_core::spawn(move || socket.recv(&mut [0]).unwrap_err().kind())
        };
        eventually("the receiver parks", watched_since(before, 1));
        socket.send(b"x").unwrap();
        assert_eq!(
            receiver.get_timeout(LONG).unwrap(),
            ErrorKind::ConnectionRefused
        );
        // On one hub, nothing below would run beside a receive that spins.
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let socket = Arc::clone(&socket);
                green_core::spawn(move || socket.recv(&mut [0; 8]).unwrap())
            })
            .collect();
        assert!(others_run().wait_timeout(LONG));
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let start = Instant::now();
        assert_eq!(
            socket.recv(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(start.elapsed() >= Duration::from_millis(20));
        let limit = Duration::from_millis(10);
        socket.set_read_timeout(None).unwrap();
        assert!(green_core::timeout(limit, || socket.recv(&mut [0]).unwrap()).is_err());
        let killed = {
            let socket = Arc::clone(&socket);
            green_core::spawn(move || socket.recv(&mut [0]).unwrap())
        };
        green_core::yield_now();
        killed.kill();
        assert!(killed.into_result().is_err());
        // From now on the peer answers.
        peer.connect(own).unwrap();
        for _ in 0..4 {
            peer.send(b"here").unwrap();
        }
        for receiver in receivers {
            assert_eq!(receiver.get_timeout(LONG).unwrap(), 4);
        }
        drop(socket);
        assert_eq!(green_core::stats().sources, before);
    });
}

#[test]
fn clones_share_timeouts_and_nonblocking_mode() {
    green_core::run(|| {
        let (socket, _) = bound();
        let clone = socket.try_clone().unwrap();
        let limit = Duration::from_millis(20);
        socket.set_read_timeout(Some(limit)).unwrap();
        let start = Instant::now();
        let error = clone.recv(&mut [0]).unwrap_err();
        assert_eq!(
            (error.kind(), start.elapsed() >= limit),
            (ErrorKind::WouldBlock, true)
        );
        assert_eq!(error.raw_os_error(), None, "the difference from std");
        clone.set_nonblocking(true).unwrap();
        assert!(is_nonblocking(&socket));
        assert_eq!(
            socket.recv(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn sockets_are_in_blocking_mode_wherever_they_go() {
    green_core::run(|| {
        let (socket, addr) = bound();
        assert!(!is_nonblocking(&socket));
        socket
            .set_read_timeout(Some(Duration::from_secs(7)))
            .unwrap();
        let socket = std_net::UdpSocket::from(socket);
        assert!(!is_nonblocking(&socket));
        assert_eq!(socket.read_timeout().unwrap(), Some(Duration::from_secs(7)));
        let (sender, _) = bound();
        sender.send_to(b"hi", addr).unwrap();
        assert_eq!(socket.recv(&mut [0; 4]).unwrap(), 2);
        // And back: the timeout came along.
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let socket = UdpSocket::from(socket);
        assert_eq!(
            socket.recv(&mut [0; 4]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn os_threads_and_green_threads_exchange_datagrams() {
    let (socket, addr) = bound();
    let echo = green_core::spawn(move || {
        for _ in 0..10 {
            let mut buf = [0; 8];
            let (n, from) = socket.recv_from(&mut buf).unwrap();
            socket.send_to(&buf[..n], from).unwrap();
        }
    });
    let os_thread = std::thread::spawn(move || {
        let (socket, _) = bound();
        socket.connect(addr).unwrap();
        for i in 0..10 {
            socket.send(&[i]).unwrap();
            let mut buf = [0; 8];
            assert_eq!(socket.recv(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], i);
        }
    });
    os_thread.join().unwrap();
    echo.get_timeout(LONG).unwrap();
}

#[test]
fn a_timeout_scope_ends_a_receive() {
    green_core::run(|| {
        let (socket, addr) = bound();
        let limit = Duration::from_millis(10);
        assert!(green_core::timeout(limit, || socket.recv(&mut [0]).unwrap()).is_err());
        socket.send_to(b"usable", addr).unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 6);
    });
}

#[test]
fn names_are_resolved_without_holding_the_hub() {
    green_core::run(|| {
        let (socket, addr) = bound();
        let (sender, _) = bound();
        // The first address of the name may be of the other family; then it is an error, not a hang.
        if sender.send_to(b"x", ("localhost", addr.port())).is_ok() {
            assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
        }
        sender.connect(("localhost", addr.port())).unwrap();
        assert_eq!(sender.peer_addr().unwrap(), addr);
        assert!(sender.connect("no-such-host.invalid:80").is_err());
    });
}

#[test]
fn a_thousand_green_threads_exchange_datagrams() {
    const PAIRS: usize = 500;
    const ROUNDS: u32 = 20;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let before = green_core::stats().sources;
    green_core::run(|| {
        let (pingers, echoes): (Vec<_>, Vec<_>) = (0..PAIRS)
            .map(|_| {
                let (socket, addr) = bound();
                let echo = green_core::spawn(move || {
                    let mut buf = [0; 8];
                    loop {
                        let (n, from) = socket.recv_from(&mut buf).unwrap();
                        socket.send_to(&buf[..n], from).unwrap();
                    }
                });
                (green_core::spawn(move || ping(addr, ROUNDS)), echo)
            })
            .unzip();
        let (mut answered, mut lost) = (0, 0);
        for pinger in pingers {
            let counts = pinger.get_timeout(LONG).unwrap();
            answered += counts.0;
            lost += counts.1;
        }
        green_core::killall(&echoes);
        assert_eq!(answered + lost, 10_000);
        // Over loopback, with one datagram under way for each pair, next to none is lost.
        assert!(lost < 100, "{lost} were lost");
    });
    assert_eq!(green_core::stats().sources, before);
}

/// Sends numbers to an echo, one after the other: how many came back, and how many did not.
fn ping(echo: SocketAddr, rounds: u32) -> (u32, u32) {
    let (socket, _) = bound();
    socket.connect(echo).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let (mut answered, mut lost) = (0, 0);
    for round in 0..rounds {
        socket.send(&round.to_le_bytes()).unwrap();
        let mut buf = [0; 8];
        loop {
            match socket.recv(&mut buf) {
                // One that was given up may come late.
                Ok(n) if buf[..n] != round.to_le_bytes() => {}
                Ok(_) => {
                    answered += 1;
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    lost += 1;
                    break;
                }
            }
        }
    }
    (answered, lost)
}
