//! `UnixDatagram` against std's: each test, named for the one of std's that it mirrors where there is one, runs on
//! std's type, and on ours from OS threads and from green threads on one hub and on two.

#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are two of the ways to run"
)]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[macro_use]
mod support;
#[path = "support/temp_dir.rs"]
mod temp_dir;

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use rustix::io::Errno;
use temp_dir::TempDir;

/// An abstract address that no other process has.
fn abstract_addr(name: &str) -> std_net::SocketAddr {
    let name = format!("green-parity-{name}-{}", std::process::id());
    std_net::SocketAddr::from_abstract_name(name).unwrap()
}

parity! {
    use os::unix::net;

    fn test_unix_datagram() {
        let dir = TempDir::new();
        let (from, to) = (dir.join("sock1"), dir.join("sock2"));
        let sender = UnixDatagram::bind(&from).unwrap();
        let receiver = UnixDatagram::bind(&to).unwrap();
        assert_eq!(sender.send_to(b"hello world", &to).unwrap(), 11);
        let mut buf = [0; 11];
        let (n, addr) = receiver.recv_from(&mut buf).unwrap();
        assert_eq!((n, &buf, addr.as_pathname()), (11, b"hello world", Some(&*from)));
    }

    fn test_unnamed_unix_datagram() {
        let dir = TempDir::new();
        let path = dir.join("sock1");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"hello world", &path).unwrap();
        let mut buf = [0; 11];
        let (n, addr) = receiver.recv_from(&mut buf).unwrap();
        assert_eq!((n, &buf), (11, b"hello world"));
        assert!(addr.is_unnamed());
        assert_eq!(addr.as_abstract_name(), None);
    }

    fn test_unix_datagram_connect_to_recv_addr() {
        let dir = TempDir::new();
        let one = UnixDatagram::bind(dir.join("sock1")).unwrap();
        let other = UnixDatagram::bind(dir.join("sock2")).unwrap();
        other.send_to_addr(b"hello world", &one.local_addr().unwrap()).unwrap();
        let (_, addr) = one.recv_from(&mut [0; 11]).unwrap();
        one.connect_addr(&addr).unwrap();
        one.send(b"hello back").unwrap();
        let mut buf = [0; 10];
        assert_eq!(other.recv(&mut buf).unwrap(), 10);
        assert_eq!(&buf, b"hello back");
    }

    fn test_connect_unix_datagram() {
        let dir = TempDir::new();
        let (first, second) = (dir.join("sock1"), dir.join("sock2"));
        let one = UnixDatagram::bind(&first).unwrap();
        let other = UnixDatagram::bind(&second).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        assert_eq!(sender.send(b"").unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(sender.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        sender.connect(&first).unwrap();
        assert_eq!(sender.peer_addr().unwrap().as_pathname(), Some(&*first));
        sender.send(b"hello there").unwrap();
        let mut buf = [0; 11];
        let (n, addr) = one.recv_from(&mut buf).unwrap();
        assert_eq!((n, &buf), (11, b"hello there"));
        assert!(addr.is_unnamed());
        // It can be changed.
        sender.connect(&second).unwrap();
        sender.send(b"hello there").unwrap();
        assert_eq!(other.recv_from(&mut buf).unwrap().0, 11);
    }

    fn test_unix_datagram_recv() {
        let dir = TempDir::new();
        let path = dir.join("sock1");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        sender.send(b"hello world").unwrap();
        let mut buf = [0; 11];
        assert_eq!(receiver.recv(&mut buf).unwrap(), 11);
        assert_eq!(&buf, b"hello world");
    }

    fn datagram_pair() {
        let (one, other) = UnixDatagram::pair().unwrap();
        let thread = spawn(move || {
            let mut buf = [0; 5];
            one.recv(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            one.send(b"world!").unwrap();
        });
        other.send(b"hello").unwrap();
        let mut buf = [0; 6];
        other.recv(&mut buf).unwrap();
        assert_eq!(&buf, b"world!");
        drop(other);
        thread.join();
    }

    fn test_unix_datagram_timeout_zero_duration() {
        let dir = TempDir::new();
        let socket = UnixDatagram::bind(dir.join("sock")).unwrap();
        assert_eq!(socket.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(socket.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    fn test_abstract_datagram_bind_send_to_addr() {
        let (from, to) = (abstract_addr("ns1"), abstract_addr("ns2"));
        let sender = UnixDatagram::bind_addr(&from).unwrap();
        assert_eq!(sender.local_addr().unwrap().as_abstract_name(), from.as_abstract_name());
        let receiver = UnixDatagram::bind_addr(&to).unwrap();
        sender.send_to_addr(b"hello world", &to).unwrap();
        let mut buf = [0; 11];
        let (n, addr) = receiver.recv_from(&mut buf).unwrap();
        assert_eq!((n, &buf), (11, b"hello world"));
        assert_eq!(addr.as_abstract_name(), from.as_abstract_name());
    }

    fn test_abstract_datagram_connect_addr() {
        let sender = UnixDatagram::unbound().unwrap();
        for name in ["ns3", "ns4"] {
            let addr = abstract_addr(name);
            let receiver = UnixDatagram::bind_addr(&addr).unwrap();
            sender.connect_addr(&addr).unwrap();
            sender.send(b"hello world").unwrap();
            let mut buf = [0; 11];
            let (n, from) = receiver.recv_from(&mut buf).unwrap();
            assert_eq!((n, &buf), (11, b"hello world"));
            assert!(from.is_unnamed());
        }
    }

    fn an_empty_abstract_name_is_a_name() {
        let empty = SocketAddr::from_abstract_name("").unwrap();
        let sender = UnixDatagram::bind_addr(&empty).unwrap();
        let to = abstract_addr("to");
        let receiver = UnixDatagram::bind_addr(&to).unwrap();
        sender.send_to_addr(b"x", &to).unwrap();
        let (_, from) = receiver.recv_from(&mut [0]).unwrap();
        assert_eq!(from.as_abstract_name(), Some(&b""[..]));
        assert!(!from.is_unnamed());
    }

    fn the_longest_path() {
        let dir = TempDir::new();
        let name = dir.join("");
        let path = dir.join("x".repeat(107 - name.as_os_str().len()));
        let sender = UnixDatagram::bind(&path).unwrap();
        let to = abstract_addr("of-longest");
        let receiver = UnixDatagram::bind_addr(&to).unwrap();
        sender.send_to_addr(b"x", &to).unwrap();
        let (_, from) = receiver.recv_from(&mut [0]).unwrap();
        assert_eq!(from.as_pathname(), Some(&*path));
        receiver.send_to(b"y", &path).unwrap();
        assert_eq!(sender.recv(&mut [0]).unwrap(), 1);
    }

    fn send_waits_for_room() {
        let to = abstract_addr("full");
        let receiver = UnixDatagram::bind_addr(&to).unwrap();
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect_addr(&to).unwrap();
        let unconnected = UnixDatagram::unbound().unwrap();
        // Many more than the queue of a socket holds.
        const EACH: u32 = 3_000;
        let senders = [
            spawn(move || for n in 0..EACH {
                connected.send(&n.to_le_bytes()).unwrap();
            }),
            spawn(move || for n in EACH..2 * EACH {
                unconnected.send_to_addr(&n.to_le_bytes(), &to).unwrap();
            }),
        ];
        let mut seen = vec![0_u8; 2 * EACH as usize];
        for _ in 0..2 * EACH {
            let mut buf = [0; 4];
            assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
            seen[u32::from_le_bytes(buf) as usize] += 1;
        }
        assert!(seen.iter().all(|&times| times == 1));
        for sender in senders {
            sender.join();
        }
    }

    fn send_timeout() {
        let to = abstract_addr("slow");
        let _receiver = UnixDatagram::bind_addr(&to).unwrap();
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect_addr(&to).unwrap();
        let unconnected = UnixDatagram::unbound().unwrap();
        let limit = Duration::from_millis(50);
        for socket in [&connected, &unconnected] {
            socket.set_write_timeout(Some(limit)).unwrap();
        }
        let begin = Instant::now();
        let error = loop {
            if let Err(error) = connected.send(&[0; 100]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= limit);
        let begin = Instant::now();
        let error = unconnected.send_to_addr(b"", &to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= limit);
        // Who waits for nothing is told at once.
        connected.set_nonblocking(true).unwrap();
        assert_eq!(connected.send(b"").unwrap_err().raw_os_error(), Some(Errno::AGAIN.raw_os_error()));
        unconnected.set_nonblocking(true).unwrap();
        assert_eq!(unconnected.send_to_addr(b"", &to).unwrap_err().raw_os_error(), Some(Errno::AGAIN.raw_os_error()));
    }

    fn datagram_read_timeout() {
        let (socket, _other) = UnixDatagram::pair().unwrap();
        let limit = Duration::from_millis(50);
        socket.set_read_timeout(Some(limit)).unwrap();
        let clone = socket.try_clone().unwrap();
        for receive in [
            socket.recv(&mut [0]).map(drop),
            socket.recv_from(&mut [0]).map(drop),
            clone.recv(&mut [0]).map(drop),
        ] {
            assert_eq!(receive.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        let begin = Instant::now();
        clone.recv(&mut [0]).unwrap_err();
        assert!(begin.elapsed() >= limit);
    }

    fn empty_and_truncated_datagrams() {
        let (one, other) = UnixDatagram::pair().unwrap();
        assert_eq!(one.send(b"").unwrap(), 0);
        assert_eq!(other.recv(&mut [0; 4]).unwrap(), 0);
        one.send(b"hello").unwrap();
        one.send(b"world").unwrap();
        one.send(b"!").unwrap();
        let mut buf = [0; 2];
        let (n, from) = other.recv_from(&mut buf).unwrap();
        assert_eq!((n, &buf), (2, b"he"));
        assert!(from.is_unnamed());
        assert_eq!(other.recv(&mut []).unwrap(), 0);
        assert_eq!(other.recv(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], b'!');
        let large = vec![7; 100_000];
        let mut back = vec![0; 100_001];
        one.send(&large).unwrap();
        assert_eq!(other.recv(&mut back).unwrap(), large.len());
        assert!(back[..large.len()] == large);
    }

    fn peer_of_datagrams_gone() {
        let (one, other) = UnixDatagram::pair().unwrap();
        drop(other);
        assert_eq!(one.send(b"x").unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    fn datagrams_end_by_shutdown() {
        let (one, other) = UnixDatagram::pair().unwrap();
        let started = Arc::new(Event::new());
        let receiver = spawn({
            let (started, other) = (Arc::clone(&started), other.try_clone().unwrap());
            move || {
                started.set();
                other.recv(&mut [0]).unwrap()
            }
        });
        started.wait();
        other.shutdown(Shutdown::Read).unwrap();
        assert_eq!(receiver.join(), 0);
        for _ in 0..2 {
            assert_eq!(other.recv(&mut [0]).unwrap(), 0);
            assert!(other.recv_from(&mut [0]).unwrap().1.is_unnamed());
        }
        assert_eq!(one.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        other.shutdown(Shutdown::Write).unwrap();
        assert_eq!(other.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
