//! `TcpListener` and `TcpStream` against std's: each test, named for the one of std's that it mirrors, runs on
//! std's types, and on ours from OS threads and from green threads on one hub and on two.

#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are two of the ways to run"
)]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[macro_use]
mod support;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

/// A connected pair: what connected, what was accepted.
macro_rules! pair {
    () => {{
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (client, server)
    }};
}

parity! {
    use net;

    fn bind_error() {
        assert_eq!(TcpListener::bind("1.1.1.1:9999").unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let none = TcpListener::bind(&[][..]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        assert_eq!(none.to_string(), "could not resolve to any addresses");
    }

    fn connect_error() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = TcpStream::connect(free).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.raw_os_error().is_some());
        let none = TcpStream::connect(&[][..]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        assert_eq!(none.to_string(), "could not resolve to any addresses");
        assert_eq!(TcpStream::connect("0.0.0.0:1").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let unusable = TcpStream::connect("255.255.255.255:80").unwrap_err();
        assert!(unusable.raw_os_error().is_some(), "{unusable:?}");
    }

    fn connect_tries_each_address() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[free, good][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    fn address_errors() {
        for (text, message) in [
            ("localhost", "invalid socket address"),
            ("localhost:99999", "invalid port value"),
            ("localhost:", "invalid port value"),
            ("", "invalid socket address"),
        ] {
            let error = text.to_socket_addrs().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
            assert_eq!(error.to_string(), message, "{text:?}");
        }
        assert!("nul\0:80".to_socket_addrs().is_err());
    }

    fn to_socket_addrs() {
        let v4: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        let only = |mut addrs: std::vec::IntoIter<SocketAddr>| {
            assert_eq!(addrs.len(), 1);
            addrs.next().unwrap()
        };
        assert_eq!(only("127.0.0.1:80".to_socket_addrs().unwrap()), v4);
        assert_eq!(only(String::from("[::1]:80").to_socket_addrs().unwrap()), v6);
        assert_eq!(only(("127.0.0.1", 80).to_socket_addrs().unwrap()), v4);
        assert_eq!(only((String::from("::1"), 80).to_socket_addrs().unwrap()), v6);
        assert_eq!((Ipv4Addr::LOCALHOST, 80).to_socket_addrs().unwrap().next(), Some(v4));
        assert_eq!((Ipv6Addr::LOCALHOST, 80).to_socket_addrs().unwrap().next(), Some(v6));
        assert_eq!((IpAddr::V4(Ipv4Addr::LOCALHOST), 80).to_socket_addrs().unwrap().next(), Some(v4));
        assert_eq!(v4.to_socket_addrs().unwrap().next(), Some(v4));
        assert_eq!(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80).to_socket_addrs().unwrap().next(), Some(v4));
        assert_eq!(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0).to_socket_addrs().unwrap().next(), Some(v6));
        assert_eq!((&[v4, v6][..]).to_socket_addrs().unwrap().collect::<Vec<_>>(), [v4, v6]);
        assert!(("localhost", 80).to_socket_addrs().unwrap().all(|addr| addr.port() == 80));
    }

    fn listen_localhost() {
        let listener = TcpListener::bind(("localhost", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let client = spawn(move || TcpStream::connect(("localhost", addr.port())).unwrap().write(&[144]).unwrap());
        let mut stream = listener.accept().unwrap().0;
        let mut buf = [0];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!((buf, client.join()), ([144], 1));
    }

    fn connect_loopback() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let client = spawn(move || TcpStream::connect(("127.0.0.1", addr.port())).unwrap().write_all(&[66]).unwrap());
        let mut buf = [0];
        listener.accept().unwrap().0.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [66]);
        client.join();
    }

    fn connect_loopback_v6() {
        // A machine may be without.
        let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"6").unwrap();
        let (mut server, peer) = listener.accept().unwrap();
        assert!(peer.is_ipv6());
        assert_eq!(server.read(&mut [0; 4]).unwrap(), 1);
    }

    fn smoke_test() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&[99]).unwrap();
            stream.flush().unwrap();
            stream.local_addr().unwrap()
        });
        let (mut stream, peer) = listener.accept().unwrap();
        let mut buf = [0];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!((buf, peer), ([99], client.join()));
    }

    fn read_eof() {
        let (client, mut server) = pair!();
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }

    fn write_close() {
        let (client, mut server) = pair!();
        drop(client);
        loop {
            match server.write(&[0; 100]) {
                Ok(n) => assert_eq!(n, 100),
                Err(error) => {
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted), "{kind:?}");
                    break;
                }
            }
        }
    }

    fn multiple_connect_serial() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let client = spawn(move || {
            for _ in 0..10 {
                TcpStream::connect(addr).unwrap().write_all(&[99]).unwrap();
            }
        });
        for stream in listener.incoming().take(10) {
            let mut buf = [0];
            stream.unwrap().read_exact(&mut buf).unwrap();
            assert_eq!(buf, [99]);
        }
        client.join();
    }

    fn multiple_connect_interleaved_greedy_schedule() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || {
            let readers: Vec<_> = listener.incoming().take(10).map(|stream| {
                let mut stream = stream.unwrap();
                spawn(move || {
                    let mut buf = [0];
                    stream.read_exact(&mut buf).unwrap();
                    buf[0]
                })
            }).collect();
            readers.into_iter().map(|reader| reader.join()).collect::<Vec<u8>>()
        });
        let mut streams: Vec<_> = (0..10).map(|_| TcpStream::connect(addr).unwrap()).collect();
        for (stream, i) in streams.iter_mut().zip(0..10).rev() {
            stream.write_all(&[i]).unwrap();
        }
        let mut seen = server.join();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<u8>>());
    }

    fn multiple_connect_interleaved_lazy_schedule() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || {
            let readers: Vec<_> = listener.incoming().take(10).map(|stream| {
                let mut stream = stream.unwrap();
                spawn(move || {
                    let mut buf = [0];
                    stream.read_exact(&mut buf).unwrap();
                    buf[0]
                })
            }).collect();
            readers.into_iter().map(|reader| reader.join()).collect::<Vec<u8>>()
        });
        // Each connects the next before it writes, from a thread of its own.
        fn connect(left: usize, addr: SocketAddr) {
            if left > 0 {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    connect(left - 1, addr);
                    stream.write_all(&[99]).unwrap();
                }).join();
            }
        }
        connect(10, addr);
        assert_eq!(server.join(), [99; 10]);
    }

    fn no_lookup_host_duplicates() {
        let addrs: Vec<_> = ("localhost", 0).to_socket_addrs().unwrap().collect();
        for (i, addr) in addrs.iter().enumerate() {
            assert!(!addrs[..i].contains(addr), "{addrs:?}");
        }
    }

    fn socket_and_peer_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(addr.port() != 0);
        let client = TcpStream::connect(addr).unwrap();
        assert_eq!(client.peer_addr().unwrap(), addr);
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(server.local_addr().unwrap(), addr);
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
    }

    fn partial_read() {
        let (mut client, mut server) = pair!();
        let echo = spawn(move || {
            server.write_all(&[10]).unwrap();
            let mut buf = [0];
            server.read_exact(&mut buf).unwrap();
            buf
        });
        let mut buf = [0; 10];
        assert_eq!(client.read(&mut buf).unwrap(), 1);
        client.write_all(&[3]).unwrap();
        assert_eq!(echo.join(), [3]);
    }

    fn read_vectored() {
        let (mut client, mut server) = pair!();
        client.write_all(&[10, 11, 12]).unwrap();
        let (mut a, mut b, mut c, mut d) = ([], [0], [0, 0], [0; 4]);
        let mut bufs = [&mut a[..], &mut b, &mut c, &mut d].map(IoSliceMut::new);
        assert_eq!(server.read_vectored(&mut bufs).unwrap(), 3);
        assert_eq!((b, c, d), ([10], [11, 12], [0; 4]));
        // More buffers than a system call takes, and none at all.
        client.write_all(&[1]).unwrap();
        let mut many = vec![[0; 1]; 3000];
        let mut bufs: Vec<_> = many.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
        assert_eq!((&server).read_vectored(&mut bufs).unwrap(), 1);
        assert_eq!(server.read_vectored(&mut []).unwrap(), 0);
    }

    fn write_vectored() {
        let (mut client, mut server) = pair!();
        let bufs = [&[][..], &[10], &[11, 12], &[]].map(IoSlice::new);
        assert_eq!(client.write_vectored(&bufs).unwrap(), 3);
        let mut buf = [0; 4];
        assert_eq!(server.read(&mut buf).unwrap(), 3);
        assert_eq!(buf, [10, 11, 12, 0]);
        let many: Vec<_> = (0..3000).map(|_| IoSlice::new(&[7])).collect();
        assert_eq!((&client).write_vectored(&many).unwrap(), 1024);
        assert_eq!(client.write_vectored(&[]).unwrap(), 0);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.write_vectored(&[IoSlice::new(&[])]).unwrap(), 0);
    }

    fn empty_buffers() {
        let (mut client, _server) = pair!();
        assert_eq!(client.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(client.write(&[]).unwrap(), 0);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.write(&[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    fn double_bind() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    fn tcp_clone_smoke() {
        let (client, mut server) = pair!();
        let echo = spawn(move || {
            let mut buf = [0];
            assert_eq!(server.read(&mut buf).unwrap(), 1);
            assert_eq!(buf, [1]);
            server.write_all(&[2]).unwrap();
        });
        let mut writer = client.try_clone().unwrap();
        let writer = spawn(move || writer.write_all(&[1]).unwrap());
        let mut buf = [0];
        assert_eq!((&client).read(&mut buf).unwrap(), 1);
        assert_eq!(buf, [2]);
        writer.join();
        echo.join();
    }

    fn tcp_clone_two_read() {
        let (client, mut server) = pair!();
        let received = Arc::new(Queue::unbounded());
        let readers = [client.try_clone().unwrap(), client].map(|mut stream| {
            let received = Arc::clone(&received);
            spawn(move || {
                let mut buf = [0];
                while stream.read(&mut buf).unwrap() == 1 {
                    received.put(buf[0]).unwrap();
                }
            })
        });
        for i in 0..20 {
            server.write_all(&[i]).unwrap();
            assert_eq!(received.get().unwrap(), i);
        }
        drop(server);
        for reader in readers {
            reader.join();
        }
    }

    fn tcp_clone_two_write() {
        let (client, mut server) = pair!();
        let writers = [(client.try_clone().unwrap(), 1), (client, 2)].map(|(mut stream, byte)| {
            spawn(move || for _ in 0..1000 { stream.write_all(&[byte]).unwrap() })
        });
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 2000);
        assert_eq!(all.iter().filter(|&&byte| byte == 1).count(), 1000);
        for writer in writers {
            writer.join();
        }
    }

    fn large_transfer() {
        let (mut client, mut server) = pair!();
        let writer = spawn(move || {
            let data: Vec<u8> = (0..4_000_000_u32).map(|i| i as u8).collect();
            client.write_all(&data).unwrap();
        });
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        writer.join();
        assert_eq!(all.len(), 4_000_000);
        assert!(all.iter().zip(0_u32..).all(|(&byte, i)| byte == i as u8));
    }

    fn shutdown_smoke() {
        let (mut client, mut server) = pair!();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.write(&[1]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        server.write_all(&[1]).unwrap();
        assert_eq!(client.read(&mut [0, 0]).unwrap(), 1);
    }

    fn close_readwrite_smoke() {
        let (mut client, _server) = pair!();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(client.write(&[0]).is_err());
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(client.read(&mut [1, 2]).unwrap(), 0);
        let mut clone = client.try_clone().unwrap();
        assert!(clone.write(&[0]).is_err());
        assert_eq!(clone.read(&mut [1, 2]).unwrap(), 0);
    }

    fn shutdown_after_close() {
        let (client, _server) = pair!();
        client.shutdown(Shutdown::Both).unwrap();
        let unconnected = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = OwnedFd::from(unconnected);
        let stream = TcpStream::from(fd);
        assert_eq!(stream.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    }

    fn close_read_wakes_up() {
        let (client, _server) = pair!();
        let mut clone = client.try_clone().unwrap();
        let reader = spawn(move || clone.read(&mut [0]).unwrap());
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join(), 0);
    }

    fn clone_while_reading() {
        let (mut client, server) = pair!();
        let started = Arc::new(Event::new());
        let reader = {
            let (mut server, started) = (server.try_clone().unwrap(), Arc::clone(&started));
            spawn(move || {
                started.set();
                server.read(&mut [0, 0]).unwrap()
            })
        };
        started.wait();
        let clone = server.try_clone().unwrap();
        drop((server, clone));
        client.write_all(&[1]).unwrap();
        assert_eq!(reader.join(), 1);
    }

    fn clone_accept_smoke() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clone = listener.try_clone().unwrap();
        let addr = listener.local_addr().unwrap();
        let clients = [0, 1].map(|_| spawn(move || drop(TcpStream::connect(addr).unwrap())));
        listener.accept().unwrap();
        clone.accept().unwrap();
        clients.into_iter().for_each(|client| client.join());
    }

    fn clone_accept_concurrent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptors = [listener.try_clone().unwrap(), listener].map(|listener| {
            spawn(move || drop(listener.accept().unwrap()))
        });
        let clients = [0, 1].map(|_| spawn(move || drop(TcpStream::connect(addr).unwrap())));
        clients.into_iter().for_each(|client| client.join());
        acceptors.into_iter().for_each(|acceptor| acceptor.join());
    }

    fn debug() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let fd = listener.as_raw_fd();
        assert_eq!(format!("{listener:?}"), format!("TcpListener {{ addr: {addr}, fd: {fd} }}"));
        let stream = TcpStream::connect(addr).unwrap();
        let (local, fd) = (stream.local_addr().unwrap(), stream.as_raw_fd());
        assert_eq!(format!("{stream:?}"), format!("TcpStream {{ addr: {local}, peer: {addr}, fd: {fd} }}"));
        assert!(format!("{:?}", listener.incoming()).starts_with("Incoming { listener: TcpListener { addr: "));
        // Without a peer, without an address.
        let unconnected = TcpStream::from(OwnedFd::from(listener));
        let fd = unconnected.as_raw_fd();
        assert_eq!(format!("{unconnected:?}"), format!("TcpStream {{ addr: {addr}, fd: {fd} }}"));
        let nothing = TcpStream::from(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        let fd = nothing.as_raw_fd();
        assert_eq!(format!("{nothing:?}"), format!("TcpStream {{ fd: {fd} }}"));
    }

    fn timeouts() {
        let (stream, _server) = pair!();
        let limit = Duration::from_millis(15408);
        assert_eq!(stream.read_timeout().unwrap(), None);
        assert_eq!(stream.write_timeout().unwrap(), None);
        stream.set_read_timeout(Some(limit)).unwrap();
        assert_eq!(stream.read_timeout().unwrap(), Some(limit));
        stream.set_write_timeout(Some(limit)).unwrap();
        assert_eq!(stream.write_timeout().unwrap(), Some(limit));
        let clone = stream.try_clone().unwrap();
        stream.set_read_timeout(None).unwrap();
        assert_eq!((stream.read_timeout().unwrap(), clone.read_timeout().unwrap()), (None, None));
        stream.set_write_timeout(None).unwrap();
        assert_eq!(stream.write_timeout().unwrap(), None);
        stream.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
        assert!(stream.read_timeout().unwrap().is_some());
        stream.set_read_timeout(Some(Duration::MAX)).unwrap();
        assert_eq!(stream.read_timeout().unwrap(), None);
    }

    fn test_read_timeout() {
        let (mut stream, _server) = pair!();
        let limit = Duration::from_millis(40);
        stream.set_read_timeout(Some(limit)).unwrap();
        let start = Instant::now();
        assert_eq!(stream.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit);
        let start = Instant::now();
        assert_eq!(stream.peek(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit);
    }

    fn test_read_with_timeout() {
        let (mut stream, mut server) = pair!();
        let limit = Duration::from_millis(40);
        stream.set_read_timeout(Some(limit)).unwrap();
        server.write_all(b"hello world").unwrap();
        let mut buf = [0; 11];
        assert_eq!(stream.read(&mut buf).unwrap(), 11);
        assert_eq!(&buf, b"hello world");
        let start = Instant::now();
        assert_eq!(stream.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit);
        drop(server);
        assert_eq!(stream.read(&mut buf).unwrap(), 0);
    }

    fn test_write_timeout() {
        let (mut stream, _server) = pair!();
        let limit = Duration::from_millis(40);
        stream.set_write_timeout(Some(limit)).unwrap();
        let start = Instant::now();
        let error = loop {
            match stream.write(&[0; 8192]) {
                Ok(n) => assert!(n > 0 && start.elapsed() < LONG),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit);
    }

    fn test_timeout_zero_duration() {
        let (stream, _server) = pair!();
        for result in [stream.set_write_timeout(Some(Duration::ZERO)), stream.set_read_timeout(Some(Duration::ZERO))] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "cannot set a 0 duration timeout");
        }
    }

    fn nodelay() {
        let (stream, _server) = pair!();
        assert!(!stream.nodelay().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.set_nodelay(false).unwrap();
        assert!(!stream.nodelay().unwrap());
    }

    fn ttl() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_ttl(100).unwrap();
        assert_eq!(listener.ttl().unwrap(), 100);
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_ttl(101).unwrap();
        assert_eq!(stream.ttl().unwrap(), 101);
        assert!(stream.set_ttl(256).is_err());
    }

    fn take_error() {
        let (client, server) = pair!();
        assert!(client.take_error().unwrap().is_none());
        assert!(server.take_error().unwrap().is_none());
        assert!(TcpListener::bind("127.0.0.1:0").unwrap().take_error().unwrap().is_none());
    }

    fn set_nonblocking() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let clone = listener.try_clone().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(clone.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        clone.set_nonblocking(false).unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let mut clone = stream.try_clone().unwrap();
        stream.set_nonblocking(true).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error().is_some()), (ErrorKind::WouldBlock, true));
        assert_eq!(stream.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(clone.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let full = loop {
            if let Err(error) = stream.write(&[0; 8192]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        clone.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let start = Instant::now();
        stream.read(&mut [0]).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    fn nonblocking_survives_raw_fd() {
        let (stream, _server) = pair!();
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from(OwnedFd::from(stream));
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from(OwnedFd::from(listener));
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn peek() {
        let (mut client, mut server) = pair!();
        client.write_all(&[1, 3, 3, 7]).unwrap();
        let mut buf = [0; 4];
        for _ in 0..3 {
            assert_eq!(server.peek(&mut buf).unwrap(), 4);
            assert_eq!(buf, [1, 3, 3, 7]);
        }
        assert_eq!(server.peek(&mut buf[..2]).unwrap(), 2);
        assert_eq!(server.read(&mut buf).unwrap(), 4);
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(client);
        server.set_nonblocking(false).unwrap();
        assert_eq!(server.peek(&mut buf).unwrap(), 0);
    }

    fn connect_timeout_valid() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect_timeout(&addr, LONG).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(&[1]).unwrap();
        assert_eq!(stream.read(&mut [0, 0]).unwrap(), 1);
        drop(TcpStream::connect_timeout(&addr, Duration::MAX).unwrap());
    }

    fn connect_timeout_error() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = TcpStream::connect_timeout(&free, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    fn connect_timeout_zero() {
        let addr = "127.0.0.1:1".parse().unwrap();
        let error = TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn connect_timeout_expires() {
        // A backlog of zero holds one connection; the kernel drops further attempts.
        let fd = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        fd.bind(&any.into()).unwrap();
        fd.listen(0).unwrap();
        let addr = fd.local_addr().unwrap().as_socket().unwrap();
        let mut filling = Vec::new();
        let limit = Duration::from_millis(100);
        for _ in 0..8 {
            let start = Instant::now();
            match TcpStream::connect_timeout(&addr, limit) {
                Ok(stream) => filling.push(stream),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    assert_eq!(error.to_string(), "connection timed out");
                    assert!(start.elapsed() >= limit);
                    return;
                }
            }
        }
        panic!("the backlog never filled");
    }

    fn raw_fds() {
        let (client, server) = pair!();
        let raw = client.as_raw_fd();
        assert_eq!(client.as_fd().as_raw_fd(), raw);
        let owned: OwnedFd = client.into();
        assert_eq!(owned.as_raw_fd(), raw);
        let mut client = TcpStream::from(owned);
        client.write_all(b"x").unwrap();
        let mut server = server;
        assert_eq!(server.read(&mut [0; 2]).unwrap(), 1);
        drop(client);
    }

    fn traits() {
        fn check<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe + Unpin + 'static>() {}
        fn io_traits<T: Read + Write + AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd> + std::fmt::Debug>() {}
        fn fds<T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd> + std::fmt::Debug>() {}
        fn fused<T: std::iter::FusedIterator + std::fmt::Debug>() {}
        fn by_reference<T>() where for<'a> &'a T: Read + Write {}
        check::<TcpStream>();
        check::<TcpListener>();
        io_traits::<TcpStream>();
        fds::<TcpListener>();
        fused::<Incoming<'_>>();
        by_reference::<TcpStream>();
    }
}

/// What is unstable in std.
mod unstable {
    use super::*;

    ours! {
        use net;

        fn linger() {
            let (client, _server) = pair!();
            assert_eq!(client.linger().unwrap(), None);
            client.set_linger(Some(Duration::from_secs(1))).unwrap();
            assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(1)));
            client.set_linger(None).unwrap();
            assert_eq!(client.linger().unwrap(), None);
        }

        fn into_incoming() {
            fn fused(_: &impl std::iter::FusedIterator) {}
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let client = spawn(move || for _ in 0..2 {
                TcpStream::connect(addr).unwrap().write_all(&[7]).unwrap();
            });
            let incoming: IntoIncoming = listener.into_incoming();
            fused(&incoming);
            for stream in incoming.take(2) {
                assert_eq!(stream.unwrap().read(&mut [0; 4]).unwrap(), 1);
            }
            client.join();
            assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    }
}
