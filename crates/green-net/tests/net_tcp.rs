//! What our TCP promises beyond std's: many green threads, kills, edges, shared timeouts.

#![expect(clippy::disallowed_methods, reason = "OS threads play the peers")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{ErrorKind, Read, Write};
use std::net as std_net;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::queue::Queue;
use green_net::os::linux::net::TcpStreamExt;
use green_net::{ListenOptions, TcpListener, TcpStream, ToSocketAddrs};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::{SendFlags, send};

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
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
fn many_acceptors_serve_each_connection_once() {
    green_core::run(|| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let served: Arc<Vec<AtomicUsize>> =
            Arc::new((0..256).map(|_| AtomicUsize::new(0)).collect());
        let acceptors: Vec<_> = (0..64)
            .map(|_| {
                let (listener, served) = (Arc::clone(&listener), Arc::clone(&served));
                green_core::spawn(move || {
                    for _ in 0..4 {
                        let (mut stream, _) = listener.accept().unwrap();
                        let mut number = [0; 4];
                        stream.read_exact(&mut number).unwrap();
                        served[u32::from_le_bytes(number) as usize].fetch_add(1, Ordering::Relaxed);
                        stream.write_all(&number).unwrap();
                    }
                })
            })
            .collect();
        let clients: Vec<_> = (0..256_u32)
            .map(|number| {
                green_core::spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    stream.write_all(&number.to_le_bytes()).unwrap();
                    let mut back = [0; 4];
                    stream.read_exact(&mut back).unwrap();
                    assert_eq!(u32::from_le_bytes(back), number);
                })
            })
            .collect();
        for greenlet in clients.into_iter().chain(acceptors) {
            greenlet.into_result().unwrap();
        }
        assert!(
            served
                .iter()
                .all(|times| times.load(Ordering::Relaxed) == 1)
        );
    });
}

#[test]
fn data_and_fin_in_one_edge_leave_no_reader_parked() {
    green_core::run(|| {
        for _ in 0..200 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let before = green_core::stats().sources;
            let reader = green_core::spawn(move || {
                let mut client = client;
                let (mut all, mut buf) = (Vec::new(), [0; 64]);
                loop {
                    match client.read(&mut buf).unwrap() {
                        0 => return all,
                        n => all.extend_from_slice(&buf[..n]),
                    }
                }
            });
            eventually("the reader parks", watched_since(before, 1));
            server.write_all(b"the end").unwrap();
            drop(server);
            assert_eq!(reader.get_timeout(LONG).unwrap(), b"the end");
        }
    });
}

#[test]
fn urgent_data_leaves_no_reader_parked() {
    green_core::run(|| {
        for _ in 0..50 {
            let (mut client, server) = pair();
            let before = green_core::stats().sources;
            let reader = green_core::spawn(move || {
                let mut server = server;
                let (mut all, mut buf) = (Vec::new(), [0; 64]);
                while all.len() < 4 {
                    let n = server.read(&mut buf).unwrap();
                    assert_ne!(n, 0);
                    all.extend_from_slice(&buf[..n]);
                }
                all
            });
            eventually("the reader parks", watched_since(before, 1));
            client.write_all(b"ab").unwrap();
            send(&client, b"!", SendFlags::OOB).unwrap();
            client.write_all(b"cd").unwrap();
            assert_eq!(reader.get_timeout(LONG).unwrap(), b"abcd");
        }
    });
}

#[test]
fn two_readers_of_one_socket_are_served() {
    green_core::run(|| {
        let (client, mut server) = pair();
        let client = Arc::new(client);
        let got = Arc::new(Queue::unbounded());
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (client, got) = (Arc::clone(&client), Arc::clone(&got));
                green_core::spawn(move || {
                    let mut buf = [0; 1];
                    let n = (&*client).read(&mut buf).unwrap();
                    got.put(buf[..n].to_vec()).unwrap();
                })
            })
            .collect();
        // Both bytes in one edge: the reader that is woken has to pass the turn on.
        server.write_all(b"xy").unwrap();
        let mut all = [
            got.get_timeout(LONG).unwrap(),
            got.get_timeout(LONG).unwrap(),
        ];
        all.sort();
        assert_eq!(all, [b"x".to_vec(), b"y".to_vec()]);
        green_core::joinall(&readers);
    });
}

#[test]
fn a_reader_and_a_writer_of_one_socket_do_not_disturb_each_other() {
    green_core::run(|| {
        const BYTES: usize = 2_000_000;
        let (client, server) = pair();
        let ends = [client, server].map(|stream| {
            let stream = Arc::new(stream);
            let writer = Arc::clone(&stream);
            [
                green_core::spawn(move || (&*writer).write_all(&vec![1; BYTES]).unwrap()),
                green_core::spawn(move || (&*stream).read_exact(&mut vec![0; BYTES]).unwrap()),
            ]
        });
        for greenlet in ends.into_iter().flatten() {
            greenlet.get_timeout(LONG).unwrap();
        }
    });
}

#[test]
fn dropping_deregisters() {
    let before = green_core::stats().sources;
    green_core::run(|| {
        let (client, server) = pair();
        client
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        assert_eq!(
            (&client).read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(green_core::stats().sources > 0, "the read registered");
        let fd = OwnedFd::from(client);
        drop((fd, server));
    });
    assert_eq!(green_core::stats().sources, before);
}

#[test]
fn clones_share_timeouts_and_nonblocking_mode() {
    green_core::run(|| {
        let (stream, _server) = pair();
        let mut clone = stream.try_clone().unwrap();
        let limit = Duration::from_millis(20);
        stream.set_read_timeout(Some(limit)).unwrap();
        let start = Instant::now();
        let error = clone.read(&mut [0]).unwrap_err();
        assert_eq!(
            (error.kind(), start.elapsed() >= limit),
            (ErrorKind::WouldBlock, true)
        );
        clone.set_nonblocking(true).unwrap();
        assert!(is_nonblocking(&stream));
        assert_eq!(
            (&stream).read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn a_kill_of_a_parked_reader_leaves_the_socket_usable() {
    green_core::run(|| {
        let (client, mut server) = pair();
        let client = Arc::new(client);
        let before = green_core::stats().sources;
        let reader = {
            let client = Arc::clone(&client);
            green_core::spawn(move || (&*client).read(&mut [0; 8]).map(|_| ()).unwrap())
        };
        eventually("the reader parks", watched_since(before, 1));
        reader.kill();
        assert!(matches!(
            reader.into_result(),
            Err(green_core::Failure::Killed)
        ));
        server.write_all(b"after").unwrap();
        let mut buf = [0; 8];
        assert_eq!((&*client).read(&mut buf).unwrap(), 5);
        (&*client).write_all(b"back").unwrap();
        assert_eq!(server.read(&mut buf).unwrap(), 4);
    });
}

#[test]
fn a_kill_of_a_parked_acceptor_loses_no_connection() {
    green_core::run(|| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let before = green_core::stats().sources;
        let acceptor = {
            let listener = Arc::clone(&listener);
            green_core::spawn(move || drop(listener.accept().unwrap()))
        };
        eventually("the acceptor parks", watched_since(before, 1));
        acceptor.kill();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_killed_connect_closes_its_socket() {
    green_core::run(|| {
        // A full backlog: the connect stays pending.
        let options = ListenOptions::default().backlog(0);
        let listener = TcpListener::bind_with("127.0.0.1:0", options).unwrap();
        let addr = listener.local_addr().unwrap();
        let limit = Duration::from_millis(100);
        let mut filling = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&addr, limit) {
            filling.push(stream);
        }
        let before = green_core::stats().sources;
        let pending = green_core::spawn(move || TcpStream::connect(addr).map(drop).unwrap());
        eventually("the connect parks", watched_since(before, 1));
        pending.kill();
        assert_eq!(green_core::stats().sources, before);
    });
}

#[test]
fn streams_are_in_blocking_mode_wherever_they_go() {
    green_core::run(|| {
        let (client, server) = pair();
        assert!(!is_nonblocking(&client));
        assert!(!is_nonblocking(&server));
        client
            .set_read_timeout(Some(Duration::from_secs(7)))
            .unwrap();
        let mut client = std_net::TcpStream::from(client);
        assert!(!is_nonblocking(&client));
        assert_eq!(client.read_timeout().unwrap(), Some(Duration::from_secs(7)));
        let mut server = server;
        server.write_all(b"hi").unwrap();
        assert_eq!(client.read(&mut [0; 4]).unwrap(), 2);
        // And back: the timeout came along.
        client
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let mut client = TcpStream::from(client);
        assert_eq!(
            client.read(&mut [0; 4]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn a_listener_is_given_away_in_the_users_mode() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(is_nonblocking(&listener));
    let given = std_net::TcpListener::from(listener);
    assert!(!is_nonblocking(&given));
    let listener = TcpListener::from(given);
    assert!(is_nonblocking(&listener));
    listener.set_nonblocking(true).unwrap();
    let given = std_net::TcpListener::from(listener);
    assert!(is_nonblocking(&given));
}

#[test]
fn a_clone_of_a_listener_that_was_given_away_still_parks() {
    green_core::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let clone = listener.try_clone().unwrap();
        let given = std_net::TcpListener::from(listener);
        assert!(!is_nonblocking(&given));
        let before = green_core::stats().sources;
        let acceptor = green_core::spawn(move || drop(clone.accept().unwrap()));
        eventually("the acceptor parks", watched_since(before, 1));
        drop(TcpStream::connect(addr).unwrap());
        acceptor.get_timeout(LONG).unwrap();
    });
}

#[test]
fn connects_from_os_threads_and_from_green_threads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let os_thread = std::thread::spawn(move || TcpStream::connect(addr).unwrap());
    let accepted = listener.accept().unwrap().1;
    assert_eq!(os_thread.join().unwrap().local_addr().unwrap(), accepted);
    let green = green_core::spawn(move || TcpStream::connect(addr).unwrap());
    let accepted = listener.accept().unwrap().1;
    assert_eq!(green.into_result().unwrap().local_addr().unwrap(), accepted);
}

#[test]
fn a_timeout_scope_ends_a_read() {
    green_core::run(|| {
        let (mut client, _server) = pair();
        let limit = Duration::from_millis(10);
        let result = green_core::timeout(limit, || client.read(&mut [0]).map(|_| ()).unwrap());
        assert!(result.is_err());
        client.write_all(b"usable").unwrap();
    });
}

#[test]
fn resolver_errors() {
    green_core::run(|| {
        let error = "no-such-host.invalid:80".to_socket_addrs().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("failed to lookup address information"),
            "{error}"
        );
        assert!(TcpStream::connect("no-such-host.invalid:80").is_err());
        assert_eq!(
            "localhost".to_socket_addrs().unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn resolving_leaves_the_hub_to_others() {
    green_core::run(|| {
        let done = Arc::new(Event::new());
        let other = {
            let done = Arc::clone(&done);
            green_core::spawn(move || done.set())
        };
        assert!("localhost:80".to_socket_addrs().unwrap().next().is_some());
        other.join();
        assert!(done.is_set());
    });
}

#[test]
fn an_empty_read_does_not_wait() {
    green_core::run(|| {
        let (mut client, _server) = pair();
        // Registered or not: std's `recv` of nothing may wait for data, so this is not in the parity tests.
        for _ in 0..2 {
            assert_eq!(client.read(&mut []).unwrap(), 0);
            assert_eq!(client.peek(&mut []).unwrap(), 0);
            client
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            assert_eq!(
                client.read(&mut [0]).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            client.set_read_timeout(None).unwrap();
        }
    });
}

#[test]
fn options() {
    let options = ListenOptions::default().reuse_port(true).backlog(1);
    let one = TcpListener::bind_with("127.0.0.1:0", options).unwrap();
    let two = TcpListener::bind_with(one.local_addr().unwrap(), options).unwrap();
    assert_eq!(one.local_addr().unwrap(), two.local_addr().unwrap());
    if let Ok(v6) = TcpListener::bind_with("[::]:0", ListenOptions::default().only_v6(Some(true))) {
        #[expect(deprecated, reason = "std's name for it")]
        let only_v6 = v6.only_v6().unwrap();
        assert!(only_v6);
    }
    let (client, _server) = pair();
    assert_eq!(client.linger().unwrap(), None);
    client
        .set_linger(Some(Duration::from_millis(1900)))
        .unwrap();
    assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(1)));
    client.set_linger(None).unwrap();
    assert_eq!(client.linger().unwrap(), None);
    client.set_quickack(false).unwrap();
    assert!(!client.quickack().unwrap());
}

#[test]
fn a_connection_reset_reaches_a_parked_reader() {
    green_core::run(|| {
        let (mut client, server) = pair();
        let before = green_core::stats().sources;
        let reader = green_core::spawn(move || client.read(&mut [0]).unwrap_err().kind());
        eventually("the reader parks", watched_since(before, 1));
        server.set_linger(Some(Duration::ZERO)).unwrap();
        drop(server);
        assert_eq!(
            reader.get_timeout(LONG).unwrap(),
            ErrorKind::ConnectionReset
        );
    });
}
