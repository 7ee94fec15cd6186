//! `UdpSocket` against std's: each test, named for the one of std's that it mirrors where there is one, runs on
//! std's type, and on ours from OS threads and from green threads on one hub and on two.

#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are two of the ways to run"
)]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[macro_use]
mod support;

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use rustix::io::Errno;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

/// A free port on each kind of loopback that this machine has.
fn hosts() -> Vec<&'static str> {
    let mut hosts = vec!["127.0.0.1:0"];
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        hosts.push("[::1]:0");
    }
    hosts
}

/// Two sockets on one host, each with its address.
macro_rules! two {
    ($host:expr) => {{
        let [one, two] = [$host; 2].map(|host| UdpSocket::bind(host).unwrap());
        let addrs = (one.local_addr().unwrap(), two.local_addr().unwrap());
        (one, addrs.0, two, addrs.1)
    }};
}

/// Two sockets that are connected to each other.
macro_rules! pair {
    ($host:expr) => {{
        let (one, one_addr, two, two_addr) = two!($host);
        one.connect(two_addr).unwrap();
        two.connect(one_addr).unwrap();
        (one, two)
    }};
}

/// A socket whose port takes datagrams from nobody but itself: others are refused.
macro_rules! refusing {
    ($host:expr) => {{
        let socket = UdpSocket::bind($host).unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        socket
    }};
}

parity! {
    use net;

    fn bind_error() {
        assert_eq!(UdpSocket::bind("1.1.1.1:9999").unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let none = UdpSocket::bind(&[][..]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        assert_eq!(none.to_string(), "could not resolve to any addresses");
        assert_eq!(UdpSocket::bind("127.0.0.1").unwrap_err().kind(), ErrorKind::InvalidInput);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = UdpSocket::bind(taken.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    fn bind_tries_each_address() {
        let bad: SocketAddr = "1.1.1.1:9999".parse().unwrap();
        let good: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = UdpSocket::bind(&[bad, good][..]).unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), good.ip());
        let error = UdpSocket::bind(&[good, bad][1..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert!(UdpSocket::bind(("localhost", 0)).is_ok());
    }

    fn connect_tries_each_address() {
        let (one, _, _two, good) = two!("127.0.0.1:0");
        // The first is of the other family.
        let bad: SocketAddr = "[::1]:9".parse().unwrap();
        one.connect(&[bad, good][..]).unwrap();
        assert_eq!(one.peer_addr().unwrap(), good);
        let error = one.connect(bad).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::AFNOSUPPORT.raw_os_error()));
        let none = one.connect(&[][..]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        assert_eq!(none.to_string(), "could not resolve to any addresses");
        // A refused connect leaves the socket connected as it was.
        assert_eq!(one.peer_addr().unwrap(), good);
    }

    fn send_to_errors() {
        let (one, _, two, to) = two!("127.0.0.1:0");
        let none = one.send_to(b"x", &[][..]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        assert_eq!(none.to_string(), "no addresses to send data to");
        // Only the first address counts.
        let bad: SocketAddr = "[::1]:9".parse().unwrap();
        assert!(one.send_to(b"x", &[bad, to][..]).is_err());
        assert_eq!(one.send_to(b"y", &[to, bad][..]).unwrap(), 1);
        let mut buf = [0; 2];
        assert_eq!(two.recv(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], b'y');
        let long = one.send_to(&vec![0; 70_000], to).unwrap_err();
        assert_eq!(long.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()));
        let nowhere = one.send(b"x").unwrap_err();
        assert_eq!(nowhere.raw_os_error(), Some(Errno::DESTADDRREQ.raw_os_error()));
        let broadcast = one.send_to(b"x", "255.255.255.255:9").unwrap_err();
        assert!(broadcast.raw_os_error().is_some());
    }

    fn socket_smoke_test_ip4() {
        for host in hosts() {
            let (server, server_addr, client, client_addr) = two!(host);
            let started = Arc::new(Event::new());
            let sender = {
                let started = Arc::clone(&started);
                spawn(move || {
                    started.wait();
                    client.send_to(&[99], server_addr).unwrap()
                })
            };
            started.set();
            let mut buf = [0];
            assert_eq!(server.recv_from(&mut buf).unwrap(), (1, client_addr));
            assert_eq!((buf, sender.join()), ([99], 1));
        }
    }

    fn socket_name() {
        for host in hosts() {
            let socket = UdpSocket::bind(host).unwrap();
            let addr = socket.local_addr().unwrap();
            assert_ne!(addr.port(), 0);
            assert_eq!(addr.ip(), host.parse::<SocketAddr>().unwrap().ip());
        }
    }

    fn socket_peer() {
        for host in hosts() {
            let (one, _, _two, addr) = two!(host);
            assert_eq!(one.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
            one.connect(addr).unwrap();
            assert_eq!(one.peer_addr().unwrap(), addr);
        }
    }

    fn udp_clone_smoke() {
        for host in hosts() {
            let (one, one_addr, two, two_addr) = two!(host);
            let echo = spawn(move || {
                let mut buf = [0, 0];
                assert_eq!(two.recv_from(&mut buf).unwrap(), (1, one_addr));
                assert_eq!(buf[0], 1);
                two.send_to(&[2], one_addr).unwrap();
            });
            let clone = one.try_clone().unwrap();
            assert_eq!(clone.local_addr().unwrap(), one_addr);
            let sender = spawn(move || clone.send_to(&[1], two_addr).unwrap());
            let mut buf = [0, 0];
            assert_eq!(one.recv_from(&mut buf).unwrap(), (1, two_addr));
            assert_eq!(buf[0], 2);
            sender.join();
            echo.join();
        }
    }

    fn udp_clone_two_read() {
        const END: u8 = 255;
        for host in hosts() {
            let (one, addr, two, _) = two!(host);
            let received = Arc::new(Queue::unbounded());
            let readers = [one.try_clone().unwrap(), one].map(|socket| {
                let received = Arc::clone(&received);
                spawn(move || {
                    let mut buf = [0, 0];
                    loop {
                        assert_eq!(socket.recv_from(&mut buf).unwrap().0, 1);
                        if buf[0] == END {
                            return;
                        }
                        received.put(buf[0]).unwrap();
                    }
                })
            });
            for i in 0..20 {
                two.send_to(&[i], addr).unwrap();
                assert_eq!(received.get().unwrap(), i);
            }
            // Each reader takes one and ends.
            for _ in &readers {
                two.send_to(&[END], addr).unwrap();
            }
            readers.into_iter().for_each(|reader| reader.join());
        }
    }

    fn udp_clone_two_write() {
        for host in hosts() {
            let (one, one_addr, two, addr) = two!(host);
            let writers = [(one.try_clone().unwrap(), 1), (one, 2)].map(|(socket, byte)| {
                spawn(move || for _ in 0..50 { socket.send_to(&[byte], addr).unwrap(); })
            });
            let mut seen = [0, 0];
            for _ in 0..100 {
                let mut buf = [0, 0];
                assert_eq!(two.recv_from(&mut buf).unwrap(), (1, one_addr));
                seen[usize::from(buf[0]) - 1] += 1;
            }
            assert_eq!(seen, [50, 50]);
            writers.into_iter().for_each(|writer| writer.join());
        }
    }

    fn debug() {
        let (one, addr, _two, peer) = two!("127.0.0.1:0");
        let fd = one.as_raw_fd();
        let expected = format!("UdpSocket {{ addr: {addr}, fd: {fd} }}");
        assert_eq!(format!("{one:?}"), expected);
        one.connect(peer).unwrap();
        assert_eq!(format!("{one:?}"), expected);
        let nothing = UdpSocket::from(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        let fd = nothing.as_raw_fd();
        assert_eq!(format!("{nothing:?}"), format!("UdpSocket {{ fd: {fd} }}"));
    }

    fn timeouts() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let limit = Duration::from_millis(15408);
        assert_eq!(socket.read_timeout().unwrap(), None);
        assert_eq!(socket.write_timeout().unwrap(), None);
        socket.set_read_timeout(Some(limit)).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), Some(limit));
        socket.set_write_timeout(Some(limit)).unwrap();
        assert_eq!(socket.write_timeout().unwrap(), Some(limit));
        let clone = socket.try_clone().unwrap();
        socket.set_read_timeout(None).unwrap();
        assert_eq!((socket.read_timeout().unwrap(), clone.read_timeout().unwrap()), (None, None));
        socket.set_write_timeout(None).unwrap();
        assert_eq!(socket.write_timeout().unwrap(), None);
        socket.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
        assert!(socket.read_timeout().unwrap().is_some());
        socket.set_read_timeout(Some(Duration::MAX)).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), None);
    }

    fn test_read_timeout() {
        let (one, two) = pair!("127.0.0.1:0");
        let limit = Duration::from_millis(40);
        one.set_read_timeout(Some(limit)).unwrap();
        let clone = one.try_clone().unwrap();
        let mut buf = [0; 10];
        for attempt in 0..5 {
            let start = Instant::now();
            let result = match attempt {
                0 => one.recv_from(&mut buf).map(drop),
                1 => one.peek_from(&mut buf).map(drop),
                2 => one.recv(&mut buf).map(drop),
                3 => one.peek(&mut buf).map(drop),
                _ => clone.recv(&mut buf).map(drop),
            };
            assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(start.elapsed() >= limit);
        }
        drop(two);
    }

    fn test_read_with_timeout() {
        for host in hosts() {
            let (one, one_addr, two, two_addr) = two!(host);
            let limit = Duration::from_millis(40);
            one.set_read_timeout(Some(limit)).unwrap();
            two.send_to(b"hello world", one_addr).unwrap();
            let mut buf = [0; 11];
            assert_eq!(one.recv_from(&mut buf).unwrap(), (11, two_addr));
            assert_eq!(&buf, b"hello world");
            let start = Instant::now();
            assert_eq!(one.recv_from(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(start.elapsed() >= limit);
        }
    }

    fn test_write_timeout() {
        // UDP over loopback takes all there is; a UNIX socket under the same type does not.
        let (one, two) = UnixDatagram::pair().unwrap();
        let one = UdpSocket::from(OwnedFd::from(one));
        let limit = Duration::from_millis(40);
        one.set_write_timeout(Some(limit)).unwrap();
        let mut sent = 0;
        let (error, waited) = loop {
            let start = Instant::now();
            match one.send(&[0; 1000]) {
                Ok(n) => assert_eq!(n, 1000),
                Err(error) => break (error, start.elapsed()),
            }
            sent += 1;
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(waited >= limit);
        // Without a limit it waits for room.
        one.set_write_timeout(None).unwrap();
        let sender = spawn(move || one.send(&[1; 7]).unwrap());
        for _ in 0..sent {
            assert_eq!(two.recv(&mut [0; 1001]).unwrap(), 1000);
        }
        assert_eq!(sender.join(), 7);
        assert_eq!(two.recv(&mut [0; 1001]).unwrap(), 7);
    }

    fn test_timeout_zero_duration() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for result in [socket.set_write_timeout(Some(Duration::ZERO)), socket.set_read_timeout(Some(Duration::ZERO))] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "cannot set a 0 duration timeout");
        }
    }

    fn connect_send_recv() {
        for host in hosts() {
            let socket = UdpSocket::bind(host).unwrap();
            socket.connect(socket.local_addr().unwrap()).unwrap();
            assert_eq!(socket.send(b"hello world").unwrap(), 11);
            let mut buf = [0; 11];
            assert_eq!(socket.recv(&mut buf).unwrap(), 11);
            assert_eq!(&buf, b"hello world");
        }
    }

    fn connect_send_peek_recv() {
        for host in hosts() {
            let socket = UdpSocket::bind(host).unwrap();
            socket.connect(socket.local_addr().unwrap()).unwrap();
            assert_eq!(socket.send(b"hello world").unwrap(), 11);
            for _ in 0..3 {
                let mut buf = [0; 11];
                assert_eq!(socket.peek(&mut buf).unwrap(), 11);
                assert_eq!(&buf, b"hello world");
            }
            let mut buf = [0; 11];
            assert_eq!(socket.recv(&mut buf).unwrap(), 11);
            assert_eq!(&buf, b"hello world");
        }
    }

    fn peek_from() {
        for host in hosts() {
            let (one, one_addr, two, two_addr) = two!(host);
            one.send_to(b"hello world", two_addr).unwrap();
            let mut buf = [0; 11];
            for _ in 0..2 {
                assert_eq!(two.peek_from(&mut buf).unwrap(), (11, one_addr));
                assert_eq!(&buf, b"hello world");
            }
            let mut short = [0; 4];
            assert_eq!(two.peek_from(&mut short).unwrap(), (4, one_addr));
            assert_eq!(two.recv_from(&mut buf).unwrap(), (11, one_addr));
            assert_eq!(&buf, b"hello world");
        }
    }

    fn connected_sockets_hear_only_their_peer() {
        for host in hosts() {
            let (one, one_addr, two, _) = two!(host);
            let (stranger, _, peer, peer_addr) = two!(host);
            one.connect(peer_addr).unwrap();
            stranger.send_to(b"no", one_addr).unwrap();
            two.send_to(b"no", one_addr).unwrap();
            peer.send_to(b"yes", one_addr).unwrap();
            let mut buf = [0; 4];
            assert_eq!(one.recv_from(&mut buf).unwrap(), (3, peer_addr));
            // Sending to others than the peer is allowed.
            let two_addr = two.local_addr().unwrap();
            assert_eq!(one.send_to(b"x", two_addr).unwrap(), 1);
            assert_eq!(two.recv_from(&mut buf).unwrap(), (1, one_addr));
        }
    }

    fn empty_datagrams() {
        for host in hosts() {
            let (one, two) = pair!(host);
            let from = one.local_addr().unwrap();
            assert_eq!(one.send(&[]).unwrap(), 0);
            assert_eq!(one.send_to(&[], two.local_addr().unwrap()).unwrap(), 0);
            assert_eq!(one.send(b"end").unwrap(), 3);
            let mut buf = [7; 4];
            assert_eq!(two.recv(&mut buf).unwrap(), 0);
            assert_eq!(two.recv_from(&mut buf).unwrap(), (0, from));
            assert_eq!(buf, [7; 4]);
            assert_eq!(two.recv(&mut buf).unwrap(), 3);
        }
    }

    fn truncated_datagrams() {
        for host in hosts() {
            let (one, two) = pair!(host);
            let from = one.local_addr().unwrap();
            for datagram in [b"first", b"secnd", b"third"] {
                one.send(datagram).unwrap();
            }
            let mut buf = [0; 3];
            assert_eq!(two.recv(&mut buf).unwrap(), 3);
            assert_eq!(&buf, b"fir");
            assert_eq!(two.recv_from(&mut buf).unwrap(), (3, from));
            assert_eq!(&buf, b"sec");
            assert_eq!(two.peek(&mut buf).unwrap(), 3);
            assert_eq!(&buf, b"thi");
        }
    }

    fn empty_buffers() {
        for host in hosts() {
            let (one, two) = pair!(host);
            let from = one.local_addr().unwrap();
            for datagram in [b"first", b"secnd", b"third"] {
                one.send(datagram).unwrap();
            }
            assert_eq!(two.peek(&mut []).unwrap(), 0);
            assert_eq!(two.recv(&mut []).unwrap(), 0);
            assert_eq!(two.peek_from(&mut []).unwrap(), (0, from));
            assert_eq!(two.recv_from(&mut []).unwrap(), (0, from));
            let mut buf = [0; 5];
            assert_eq!(two.recv(&mut buf).unwrap(), 5);
            assert_eq!(&buf, b"third");
            // An empty buffer waits like any other.
            two.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let start = Instant::now();
            assert_eq!(two.recv(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(start.elapsed() >= Duration::from_millis(20));
        }
    }

    fn large_datagrams() {
        for host in hosts() {
            let (one, two) = pair!(host);
            let data: Vec<u8> = (0..60_000_u32).map(|i| i as u8).collect();
            assert_eq!(one.send(&data).unwrap(), data.len());
            let mut buf = vec![0; 65_536];
            assert_eq!(two.recv(&mut buf).unwrap(), data.len());
            assert_eq!(buf[..data.len()], data);
        }
    }

    fn connection_refused() {
        for host in hosts() {
            let refusing = refusing!(host);
            let socket = UdpSocket::bind(host).unwrap();
            socket.connect(refusing.local_addr().unwrap()).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            let receiver = {
                let clone = socket.try_clone().unwrap();
                spawn(move || clone.recv(&mut [0]).unwrap_err().kind())
            };
            socket.send(&[1]).unwrap();
            assert_eq!(receiver.join(), ErrorKind::ConnectionRefused);
            let start = Instant::now();
            let error = loop {
                match socket.send(&[1]) {
                    Ok(_) => assert!(start.elapsed() < LONG),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
    }

    fn a_refusal_is_told_once() {
        for host in hosts() {
            let peer = refusing!(host);
            let socket = UdpSocket::bind(host).unwrap();
            socket.connect(peer.local_addr().unwrap()).unwrap();
            let limit = Duration::from_millis(30);
            for _ in 0..3 {
                socket.set_read_timeout(Some(LONG)).unwrap();
                socket.send(&[1]).unwrap();
                assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
                socket.set_read_timeout(Some(limit)).unwrap();
                let start = Instant::now();
                assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
                assert!(start.elapsed() >= limit);
            }
            // From now on the peer answers.
            peer.connect(socket.local_addr().unwrap()).unwrap();
            socket.set_read_timeout(None).unwrap();
            let echo = spawn(move || {
                let mut buf = [0, 0];
                assert_eq!(peer.recv(&mut buf).unwrap(), 1);
                peer.send(&buf).unwrap()
            });
            socket.send(&[2]).unwrap();
            let mut buf = [0; 4];
            assert_eq!(socket.recv(&mut buf).unwrap(), 2);
            assert_eq!((buf, echo.join()), ([2, 0, 0, 0], 2));
        }
    }

    fn a_refusal_ends_peeks_and_receives_with_an_address() {
        for host in hosts() {
            let refusing = refusing!(host);
            let socket = UdpSocket::bind(host).unwrap();
            socket.connect(refusing.local_addr().unwrap()).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            for call in 0..3 {
                socket.send(&[1]).unwrap();
                let result = match call {
                    0 => socket.recv_from(&mut [0]).map(drop),
                    1 => socket.peek_from(&mut [0]).map(drop),
                    _ => socket.peek(&mut [0]).map(drop),
                };
                assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            }
        }
    }

    fn options() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        assert!(socket.multicast_loop_v4().unwrap());
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 1);
        socket.set_multicast_ttl_v4(72).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 72);
        assert!(socket.set_multicast_ttl_v4(256).is_err());
        socket.set_multicast_ttl_v4(u32::MAX).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 1);
        // What is IPv6's is not IPv4's.
        assert!(socket.multicast_loop_v6().unwrap_err().raw_os_error().is_some());
        assert!(socket.set_multicast_loop_v6(true).unwrap_err().raw_os_error().is_some());
        if let Ok(socket) = UdpSocket::bind("[::1]:0") {
            assert!(socket.multicast_loop_v6().unwrap());
            socket.set_multicast_loop_v6(false).unwrap();
            assert!(!socket.multicast_loop_v6().unwrap());
            socket.set_ttl(33).unwrap();
            assert_eq!(socket.ttl().unwrap(), 33);
        }
    }

    fn multicast_groups() {
        let here = Ipv4Addr::LOCALHOST;
        let group = Ipv4Addr::new(224, 0, 0, 199);
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.join_multicast_v4(&group, &here).unwrap();
        assert_eq!(socket.join_multicast_v4(&group, &here).unwrap_err().kind(), ErrorKind::AddrInUse);
        socket.leave_multicast_v4(&group, &here).unwrap();
        assert_eq!(socket.leave_multicast_v4(&group, &here).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let error = socket.join_multicast_v4(&Ipv4Addr::LOCALHOST, &here).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // A machine may be without; the first interface is the loopback.
        let Ok(socket) = UdpSocket::bind("[::1]:0") else { return };
        let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x199);
        socket.join_multicast_v6(&group, 1).unwrap();
        assert_eq!(socket.join_multicast_v6(&group, 1).unwrap_err().kind(), ErrorKind::AddrInUse);
        socket.leave_multicast_v6(&group, 1).unwrap();
        assert_eq!(socket.leave_multicast_v6(&group, 1).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let error = socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn multicast_datagrams() {
        let here = Ipv4Addr::LOCALHOST;
        let group = Ipv4Addr::new(224, 0, 0, 199);
        let receiver = UdpSocket::bind("0.0.0.0:0").unwrap();
        receiver.join_multicast_v4(&group, &here).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&sender).set_multicast_if_v4(&here).unwrap();
        sender.send_to(b"all", (group, receiver.local_addr().unwrap().port())).unwrap();
        let mut buf = [0; 4];
        receiver.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(receiver.recv_from(&mut buf).unwrap(), (3, sender.local_addr().unwrap()));
    }

    fn ttl() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_ttl(100).unwrap();
        assert_eq!(socket.ttl().unwrap(), 100);
        assert!(socket.set_ttl(0).is_err());
        assert!(socket.set_ttl(256).is_err());
        assert_eq!(socket.try_clone().unwrap().ttl().unwrap(), 100);
    }

    fn take_error() {
        let refusing = refusing!("127.0.0.1:0");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(socket.take_error().unwrap().is_none());
        socket.connect(refusing.local_addr().unwrap()).unwrap();
        socket.send(&[1]).unwrap();
        let start = Instant::now();
        let error = loop {
            match socket.take_error().unwrap() {
                Some(error) => break error,
                None => assert!(start.elapsed() < LONG),
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(socket.take_error().unwrap().is_none());
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn set_nonblocking() {
        for host in hosts() {
            let (one, one_addr, two, _) = two!(host);
            one.set_nonblocking(true).unwrap();
            let clone = one.try_clone().unwrap();
            let error = one.recv_from(&mut [0]).unwrap_err();
            assert_eq!((error.kind(), error.raw_os_error().is_some()), (ErrorKind::WouldBlock, true));
            assert_eq!(one.peek_from(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(one.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(clone.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            clone.set_nonblocking(false).unwrap();
            one.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let start = Instant::now();
            assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(start.elapsed() >= Duration::from_millis(20));
            one.set_read_timeout(None).unwrap();
            two.send_to(&[1], one_addr).unwrap();
            assert_eq!(one.recv(&mut [0]).unwrap(), 1);
        }
        let (one, _two) = UnixDatagram::pair().unwrap();
        let one = UdpSocket::from(OwnedFd::from(one));
        one.set_nonblocking(true).unwrap();
        let full = loop {
            if let Err(error) = one.send(&[0; 1000]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }

    fn nonblocking_and_timeouts_survive_raw_fd() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let limit = Duration::from_millis(20);
        socket.set_read_timeout(Some(limit)).unwrap();
        let socket = UdpSocket::from(OwnedFd::from(socket));
        let start = Instant::now();
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit);
        socket.set_read_timeout(None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = UdpSocket::from(OwnedFd::from(socket));
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn raw_fds() {
        let (one, two) = pair!("127.0.0.1:0");
        let raw = one.as_raw_fd();
        assert_eq!(one.as_fd().as_raw_fd(), raw);
        let owned: OwnedFd = one.into();
        assert_eq!(owned.as_raw_fd(), raw);
        assert!(rustix::io::fcntl_getfd(&owned).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        let one = UdpSocket::from(owned);
        one.send(b"x").unwrap();
        assert_eq!(two.recv(&mut [0; 2]).unwrap(), 1);
    }

    fn traits() {
        fn check<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe + Unpin + 'static>() {}
        fn fds<T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd> + std::fmt::Debug>() {}
        check::<UdpSocket>();
        fds::<UdpSocket>();
    }
}
