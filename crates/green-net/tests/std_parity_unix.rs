//! `UnixListener` and `UnixStream` against std's: each test, named for the one of std's that it
//! mirrors where there is one, runs on std's types, and on ours from OS threads and from green threads on one hub
//! and on two.

#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are two of the ways to run"
)]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[macro_use]
mod support;
#[path = "support/temp_dir.rs"]
mod temp_dir;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use temp_dir::TempDir;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

/// An abstract address that no other process has.
fn abstract_addr(name: &str) -> std_net::SocketAddr {
    let name = format!("green-parity-{name}-{}", std::process::id());
    std_net::SocketAddr::from_abstract_name(name).unwrap()
}

/// A descriptor that listens at an abstract address and has room for two connections.
fn small_listener(addr: &std_net::SocketAddr) -> OwnedFd {
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let addr = SocketAddrUnix::new_abstract_name(addr.as_abstract_name().unwrap()).unwrap();
    bind(&fd, &addr).unwrap();
    listen(&fd, 1).unwrap();
    fd
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

parity! {
    use os::unix::net;

    fn basic() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            assert!(from.is_unnamed());
            let mut buf = [0; 5];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            stream.write_all(b"world!").unwrap();
        });
        let mut stream = UnixStream::connect(&path).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert!(stream.local_addr().unwrap().is_unnamed());
        stream.write_all(b"hello").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"world!");
        server.join();
    }

    fn vectored() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let parts = [IoSlice::new(b"hello"), IoSlice::new(b" "), IoSlice::new(b"world!")];
        assert_eq!(one.write_vectored(&parts).unwrap(), 12);
        let (mut first, mut second) = ([0; 6], [0; 7]);
        let n = other.read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)]).unwrap();
        assert_eq!((n, &first, &second), (12, b"hello ", b"world!\0"));
    }

    fn pair() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let thread = spawn(move || {
            let mut buf = [0; 5];
            one.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            one.write_all(b"world!").unwrap();
        });
        other.write_all(b"hello").unwrap();
        let mut all = Vec::new();
        other.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"world!");
        thread.join();
    }

    fn try_clone() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"hello").unwrap();
            stream.write_all(b"world").unwrap();
        });
        let mut stream = UnixStream::connect(&path).unwrap();
        let mut clone = stream.try_clone().unwrap();
        let mut buf = [0; 5];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello");
        clone.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"world");
        server.join();
    }

    fn iter() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.incoming().size_hint(), (usize::MAX, None));
        let server = spawn(move || {
            for stream in listener.incoming().take(2) {
                assert_eq!(stream.unwrap().read(&mut [0]).unwrap(), 1);
            }
            let third = (&listener).into_iter().next().unwrap();
            third.unwrap().read(&mut [0]).unwrap()
        });
        for _ in 0..3 {
            UnixStream::connect(&path).unwrap().write_all(&[0]).unwrap();
        }
        assert_eq!(server.join(), 1);
    }

    fn long_path() {
        let dir = TempDir::new();
        let path = dir.join("x".repeat(108));
        let errors = [
            UnixStream::connect(&path).unwrap_err(),
            UnixListener::bind(&path).unwrap_err(),
            UnixDatagram::bind(&path).unwrap_err(),
            UnixDatagram::unbound().unwrap().connect(&path).unwrap_err(),
            UnixDatagram::unbound().unwrap().send_to(b"", &path).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "path must be shorter than SUN_LEN");
        }
    }

    fn timeouts() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let stream = UnixStream::connect(&path).unwrap();
        let datagram = UnixDatagram::unbound().unwrap();
        let limit = Some(Duration::new(15_410, 0));
        macro_rules! check {
            ($socket:ident) => {
                assert_eq!($socket.read_timeout().unwrap(), None);
                $socket.set_read_timeout(limit).unwrap();
                assert_eq!($socket.read_timeout().unwrap(), limit);
                assert_eq!($socket.write_timeout().unwrap(), None);
                $socket.set_write_timeout(limit).unwrap();
                assert_eq!($socket.write_timeout().unwrap(), limit);
                let clone = $socket.try_clone().unwrap();
                clone.set_read_timeout(None).unwrap();
                assert_eq!($socket.read_timeout().unwrap(), None);
                $socket.set_write_timeout(None).unwrap();
                assert_eq!(clone.write_timeout().unwrap(), None);
            };
        }
        check!(stream);
        check!(datagram);
    }

    fn test_read_timeout() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        let limit = Duration::from_millis(100);
        stream.set_read_timeout(Some(limit)).unwrap();
        let begin = Instant::now();
        assert_eq!(stream.read_exact(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= limit);
        // A clone shares it, and sees it change.
        let mut clone = stream.try_clone().unwrap();
        assert_eq!(clone.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(clone.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn test_read_with_timeout() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut other = listener.accept().unwrap().0;
        other.write_all(b"hello world").unwrap();
        let mut buf = [0; 11];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello world");
        assert_eq!(stream.read_exact(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn write_timeout() {
        let (mut one, _other) = UnixStream::pair().unwrap();
        let limit = Duration::from_millis(50);
        one.set_write_timeout(Some(limit)).unwrap();
        let begin = Instant::now();
        let error = one.write_all(&vec![0; 10_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= limit);
    }

    fn test_unix_stream_timeout_zero_duration() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let stream = UnixStream::connect(&path).unwrap();
        assert_eq!(stream.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    fn abstract_socket_addr_debug() {
        let name = b"\0every\x01kind\x1f of\x7f\x80\xff\t\n\r byte";
        let addr = SocketAddr::from_abstract_name(name).unwrap();
        assert_eq!(format!("{addr:?}"), r#""\0every\x01kind\x1f of\x7f\x80\xff\t\n\r byte" (abstract)"#);
    }

    fn abstract_namespace_not_allowed_connect() {
        for path in ["\0asdf", "as\0df"] {
            assert_eq!(UnixStream::connect(path).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(UnixListener::bind(path).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(UnixDatagram::bind(path).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    fn test_abstract_stream_connect() {
        let addr = abstract_addr("stream");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), addr.as_abstract_name());
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut buf = [0; 5];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            stream.write_all(b"world").unwrap();
        });
        let mut stream = UnixStream::connect_addr(&addr).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_abstract_name(), addr.as_abstract_name());
        stream.write_all(b"hello").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"world");
        server.join();
    }

    fn test_abstract_stream_iter() {
        let addr = abstract_addr("hidden");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let server = spawn(move || {
            for stream in listener.incoming().take(2) {
                stream.unwrap().read_exact(&mut [0]).unwrap();
            }
        });
        for _ in 0..2 {
            UnixStream::connect_addr(&addr).unwrap().write_all(&[0]).unwrap();
        }
        server.join();
    }

    fn test_abstract_name_too_long() {
        let error = SocketAddr::from_abstract_name("x".repeat(108)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let longest = SocketAddr::from_abstract_name("x".repeat(107)).unwrap();
        let listener = UnixListener::bind_addr(&longest).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), longest.as_abstract_name());
        UnixStream::connect_addr(&longest).unwrap();
        let socket = UnixDatagram::bind_addr(&abstract_addr("short")).unwrap();
        assert_eq!(socket.send_to_addr(b"", &longest).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    fn test_abstract_no_pathname_and_not_unnamed() {
        let addr = SocketAddr::from_abstract_name(b"local").unwrap();
        assert_eq!(addr.as_pathname(), None);
        assert_eq!(addr.as_abstract_name(), Some(&b"local"[..]));
        assert!(!addr.is_unnamed());
    }

    fn unnamed_addresses_are_chosen_by_the_kernel() {
        let unnamed = SocketAddr::from_pathname("").unwrap();
        assert!(unnamed.is_unnamed());
        let listener = UnixListener::bind_addr(&unnamed).unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(addr.as_abstract_name().map(<[u8]>::len), Some(5));
        UnixStream::connect_addr(&addr).unwrap();
        let sender = UnixDatagram::bind("").unwrap();
        let receiver = UnixDatagram::bind_addr(&unnamed).unwrap();
        sender.send_to_addr(b"x", &receiver.local_addr().unwrap()).unwrap();
        let (_, from) = receiver.recv_from(&mut [0]).unwrap();
        assert_eq!(from.as_abstract_name(), sender.local_addr().unwrap().as_abstract_name());
    }

    fn connect_error() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let socket = UnixDatagram::unbound().unwrap();
        assert_eq!(socket.connect(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(socket.send_to(b"", &path).unwrap_err().kind(), ErrorKind::NotFound);
        drop(UnixListener::bind(&path).unwrap());
        // The file stays.
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(refused.raw_os_error().is_some());
        assert_eq!(socket.connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(UnixStream::connect_addr(&abstract_addr("nobody")).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    fn double_bind() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let _listener = UnixListener::bind(&path).unwrap();
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(UnixDatagram::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        let addr = abstract_addr("double");
        let _socket = UnixDatagram::bind_addr(&addr).unwrap();
        assert_eq!(UnixDatagram::bind_addr(&addr).unwrap_err().kind(), ErrorKind::AddrInUse);
    }

    fn connect_waits_for_room() {
        let addr = abstract_addr("room");
        let listener = UnixListener::from(small_listener(&addr));
        let clients: Vec<_> = (0..10_u8).map(|number| {
            let addr = addr.clone();
            spawn(move || UnixStream::connect_addr(&addr).unwrap().write_all(&[number]).unwrap())
        }).collect();
        let mut numbers: Vec<u8> = listener.incoming().take(10).map(|stream| {
            let mut number = [0];
            stream.unwrap().read_exact(&mut number).unwrap();
            number[0]
        }).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..10));
        for client in clients {
            client.join();
        }
    }

    fn connect_is_refused_while_it_waits_for_room() {
        let addr = abstract_addr("gone");
        let listener = UnixListener::from(small_listener(&addr));
        let _full = [UnixStream::connect_addr(&addr).unwrap(), UnixStream::connect_addr(&addr).unwrap()];
        let started = Arc::new(Event::new());
        let client = spawn({
            let started = Arc::clone(&started);
            move || {
                started.set();
                UnixStream::connect_addr(&addr).unwrap_err().kind()
            }
        });
        started.wait();
        drop(listener);
        assert_eq!(client.join(), ErrorKind::ConnectionRefused);
    }

    fn read_eof() {
        let (one, mut other) = UnixStream::pair().unwrap();
        drop(one);
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
    }

    fn write_close() {
        let (mut one, other) = UnixStream::pair().unwrap();
        drop(other);
        assert_eq!(one.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(one.write_vectored(&[IoSlice::new(&[0])]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(one.write(&[]).map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
        assert_eq!(one.write_vectored(&[]).unwrap(), 0);
        one.flush().unwrap();
    }

    fn reset_by_peer() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.write_all(b"unread").unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 1);
        drop(other);
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(one.read(&mut [0]).unwrap(), 0);
        one.shutdown(Shutdown::Both).unwrap();
    }

    fn large_transfer() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let data: Vec<u8> = (0..2_000_000_u32).map(|n| n as u8).collect();
        let writer = spawn({
            let data = data.clone();
            move || one.write_all(&data).unwrap()
        });
        let mut all = Vec::new();
        other.read_to_end(&mut all).unwrap();
        assert!(all == data);
        writer.join();
    }

    fn shutdown_smoke() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.write(&[1]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
        other.write_all(&[1]).unwrap();
        assert_eq!(one.read(&mut [0]).unwrap(), 1);
        one.shutdown(Shutdown::Read).unwrap();
        assert_eq!(one.read(&mut [0]).unwrap(), 0);
        one.shutdown(Shutdown::Both).unwrap();
    }

    fn close_read_wakes_up() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let mut clone = stream.try_clone().unwrap();
        let started = Arc::new(Event::new());
        let reader = spawn({
            let started = Arc::clone(&started);
            move || {
                started.set();
                clone.read(&mut [0]).unwrap()
            }
        });
        started.wait();
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join(), 0);
    }

    fn clone_while_reading() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let started = Arc::new(Event::new());
        let reader = spawn({
            let (started, mut other) = (Arc::clone(&started), other.try_clone().unwrap());
            move || {
                started.set();
                other.read(&mut [0]).unwrap()
            }
        });
        started.wait();
        let mut clone = other.try_clone().unwrap();
        one.write_all(b"x").unwrap();
        assert_eq!(reader.join(), 1);
        one.write_all(b"y").unwrap();
        assert_eq!(clone.read(&mut [0]).unwrap(), 1);
    }

    fn clone_two_read() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let mut clone = other.try_clone().unwrap();
        let got = Arc::new(Queue::unbounded());
        let reader = spawn({
            let got = Arc::clone(&got);
            move || {
                let mut buf = [0];
                assert_eq!(clone.read(&mut buf).unwrap(), 1);
                got.put(buf[0]).unwrap();
            }
        });
        one.write_all(b"a").unwrap();
        one.write_all(b"b").unwrap();
        let mut buf = [0];
        assert_eq!(other.read(&mut buf).unwrap(), 1);
        reader.join();
        let mut both = [buf[0], got.get_timeout(LONG).unwrap()];
        both.sort_unstable();
        assert_eq!(&both, b"ab");
    }

    fn clone_accept_concurrent() {
        let addr = abstract_addr("accept");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let clone = listener.try_clone().unwrap();
        let acceptors = [listener, clone].map(|listener| spawn(move || drop(listener.accept().unwrap())));
        for _ in 0..2 {
            UnixStream::connect_addr(&addr).unwrap();
        }
        for acceptor in acceptors {
            acceptor.join();
        }
    }

    fn set_nonblocking() {
        let addr = abstract_addr("modes");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let clone = listener.try_clone().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(clone.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut client = UnixStream::connect_addr(&addr).unwrap();
        let (mut server, _) = clone.accept().unwrap();
        assert!(!is_nonblocking(&server));
        clone.set_nonblocking(false).unwrap();
        let mut other = server.try_clone().unwrap();
        server.set_nonblocking(true).unwrap();
        assert!(is_nonblocking(&server));
        assert_eq!(other.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let full = loop {
            if let Err(error) = other.write(&[0; 1 << 12]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        client.write_all(b"x").unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 1);
        other.set_nonblocking(false).unwrap();
        client.write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 1);
        let (socket, _peer) = UnixDatagram::pair().unwrap();
        socket.try_clone().unwrap().set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(socket.recv_from(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn modes_survive_raw_fd() {
        let (one, _other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        one.set_read_timeout(Some(Duration::from_secs(7))).unwrap();
        let mut one = UnixStream::from(OwnedFd::from(one));
        assert_eq!(one.read_timeout().unwrap(), Some(Duration::from_secs(7)));
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.set_nonblocking(false).unwrap();
        one.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut one = UnixStream::from(OwnedFd::from(one));
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let listener = UnixListener::bind_addr(&abstract_addr("given")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let fd = OwnedFd::from(listener);
        assert!(is_nonblocking(&fd));
        let listener = UnixListener::from(fd);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();
        assert!(!is_nonblocking(OwnedFd::from(listener)));
    }

    fn raw_fds() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let raw = one.as_raw_fd();
        assert_eq!(one.as_fd().as_raw_fd(), raw);
        assert_eq!(one.into_raw_fd(), raw);
        // SAFETY: it was just given up.
        #[expect(unsafe_code, reason = "this is what is tested")]
        let mut one = unsafe { UnixStream::from_raw_fd(raw) };
        one.write_all(b"x").unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 1);
        let addr = abstract_addr("fds");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let client = UnixStream::connect_addr(&addr).unwrap();
        let accepted = listener.accept().unwrap().0;
        let (datagram, unbound) = (UnixDatagram::pair().unwrap().0, UnixDatagram::unbound().unwrap());
        for fd in [one.as_fd(), listener.as_fd(), client.as_fd(), accepted.as_fd(), datagram.as_fd(), unbound.as_fd()] {
            assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
        }
    }

    fn debug() {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let fd = |raw: i32| format!("fd: FileDesc(OwnedFd {{ fd: {raw} }})");
        let listener = UnixListener::bind(&path).unwrap();
        let expected = format!("UnixListener {{ {}, local: {path:?} (pathname) }}", fd(listener.as_raw_fd()));
        assert_eq!(format!("{listener:?}"), expected);
        assert_eq!(format!("{:?}", listener.incoming()), format!("Incoming {{ listener: {expected} }}"));
        let stream = UnixStream::connect(&path).unwrap();
        assert_eq!(
            format!("{stream:?}"),
            format!("UnixStream {{ {}, local: (unnamed), peer: {path:?} (pathname) }}", fd(stream.as_raw_fd()))
        );
        let socket = UnixDatagram::unbound().unwrap();
        assert_eq!(
            format!("{socket:?}"),
            format!("UnixDatagram {{ {}, local: (unnamed) }}", fd(socket.as_raw_fd()))
        );
    }

    fn take_error() {
        let (stream, _other) = UnixStream::pair().unwrap();
        assert!(stream.take_error().unwrap().is_none());
        assert!(UnixDatagram::unbound().unwrap().take_error().unwrap().is_none());
        assert!(UnixListener::bind("").unwrap().take_error().unwrap().is_none());
    }

    fn sockets_of_another_family() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let listener = UnixListener::from(OwnedFd::from(tcp));
        assert_eq!(listener.local_addr().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::InvalidInput);
        let stream = UnixStream::from(OwnedFd::from(client));
        assert_eq!(stream.peer_addr().unwrap_err().kind(), ErrorKind::InvalidInput);
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
        let socket = UnixDatagram::from(OwnedFd::from(udp));
        let error = socket.recv_from(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "file descriptor did not correspond to a Unix socket");
    }

    fn empty_buffers() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        assert_eq!(one.write(&[]).unwrap(), 0);
        one.write_all(b"x").unwrap();
        assert_eq!(other.read(&mut []).unwrap(), 0);
        assert_eq!(other.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(other.read(&mut [0; 4]).unwrap(), 1);
    }

    fn traits() {
        fn check<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe + Unpin + 'static>() {}
        fn fds<T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd> + std::fmt::Debug>() {}
        fn io_traits<T: Read + Write>() where for<'a> &'a T: Read + Write {}
        fn listens<T>() where for<'a> &'a T: IntoIterator<IntoIter = Incoming<'a>> {}
        check::<UnixStream>();
        check::<UnixListener>();
        check::<UnixDatagram>();
        check::<Incoming<'static>>();
        fds::<UnixStream>();
        fds::<UnixListener>();
        fds::<UnixDatagram>();
        io_traits::<UnixStream>();
        listens::<UnixListener>();
    }
}

/// What is unstable in std.
mod unstable {
    use super::*;

    ours! {
        use os::unix::net;

        fn test_unix_stream_peek() {
            let dir = TempDir::new();
            let path = dir.join("sock");
            let listener = UnixListener::bind(&path).unwrap();
            let done = Arc::new(Event::new());
            let server = spawn({
                let done = Arc::clone(&done);
                move || {
                    let mut stream = listener.accept().unwrap().0;
                    stream.write_all(&[1, 3, 3, 7]).unwrap();
                    assert!(done.wait_timeout(LONG));
                }
            });
            let mut stream = UnixStream::connect(&path).unwrap();
            let mut buf = [0; 10];
            for _ in 0..2 {
                assert_eq!(stream.peek(&mut buf).unwrap(), 4);
            }
            assert_eq!(stream.read(&mut buf).unwrap(), 4);
            stream.set_nonblocking(true).unwrap();
            assert_eq!(stream.peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
            done.set();
            server.join();
        }

        fn test_unix_datagram_peek() {
            let dir = TempDir::new();
            let path = dir.join("sock");
            let receiver = UnixDatagram::bind(&path).unwrap();
            let sender = UnixDatagram::unbound().unwrap();
            sender.connect(&path).unwrap();
            sender.send(b"hello world").unwrap();
            for _ in 0..2 {
                let mut buf = [0; 11];
                assert_eq!(receiver.peek(&mut buf).unwrap(), 11);
                assert_eq!(&buf, b"hello world");
            }
            let mut buf = [0; 11];
            assert_eq!(receiver.recv(&mut buf).unwrap(), 11);
            assert_eq!(&buf, b"hello world");
        }

        fn test_unix_datagram_peek_from() {
            let (from, to) = (abstract_addr("from"), abstract_addr("to"));
            let receiver = UnixDatagram::bind_addr(&to).unwrap();
            let sender = UnixDatagram::bind_addr(&from).unwrap();
            sender.send_to_addr(b"hello world", &to).unwrap();
            for _ in 0..2 {
                let mut buf = [0; 11];
                let (n, addr) = receiver.peek_from(&mut buf).unwrap();
                assert_eq!((n, &buf), (11, b"hello world"));
                assert_eq!(addr.as_abstract_name(), from.as_abstract_name());
            }
            assert_eq!(receiver.recv(&mut [0; 11]).unwrap(), 11);
        }

        fn test_socket_pair() {
            let (one, other) = UnixStream::pair().unwrap();
            let creds: [UCred; 2] = [one.peer_cred().unwrap(), other.peer_cred().unwrap()];
            assert_eq!(creds[0], creds[1]);
            assert_eq!(creds[0].uid, rustix::process::geteuid().as_raw());
            assert_eq!(creds[0].gid, rustix::process::getegid().as_raw());
        }

        fn test_socket_pair_pids() {
            let (one, other) = UnixStream::pair().unwrap();
            let pid = i32::try_from(std::process::id()).ok();
            assert_eq!(one.peer_cred().unwrap().pid, pid);
            assert_eq!(other.peer_cred().unwrap().pid, pid);
        }
    }
}
