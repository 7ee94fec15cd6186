//! What our Unix sockets promise beyond std's: many green threads, kills, what the kernel does not signal.

#![expect(clippy::disallowed_methods, reason = "OS threads play the peers")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "support/temp_dir.rs"]
mod temp_dir;

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as std_net;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use green_core::event::Event;
use green_core::{Config, Failure, Greenlet, run, spawn, stats, timeout};
use green_net::os::linux::net::SocketAddrExt;
use green_net::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketType, bind, listen, sendmsg, socket,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use temp_dir::TempDir;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(20);

/// An abstract address that no other process has.
fn abstract_addr(name: &str) -> SocketAddr {
    let name = format!("green-net-{name}-{}", std::process::id());
    SocketAddr::from_abstract_name(name).unwrap()
}

/// A listener at an abstract address that has room for two connections, and has them already.
fn full_listener(addr: &SocketAddr) -> (UnixListener, [UnixStream; 2]) {
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let name = SocketAddrUnix::new_abstract_name(addr.as_abstract_name().unwrap()).unwrap();
    bind(&fd, &name).unwrap();
    listen(&fd, 1).unwrap();
    let first = [0, 1].map(|_| UnixStream::connect_addr(addr).unwrap());
    (UnixListener::from(fd), first)
}

/// A receiver at an abstract address whose queue is full.
fn full_receiver(addr: &SocketAddr) -> UnixDatagram {
    let receiver = UnixDatagram::bind_addr(addr).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to_addr(b"filler", addr).is_ok() {}
    receiver
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// How many descriptors this process has.
fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// How many descriptors this process has, and how many of them are watched, once the hubs have theirs.
fn with_hubs() -> (usize, usize) {
    run(|| ());
    (open_fds(), stats().sources)
}

/// Lets this process have as many descriptors as it may.
fn raise_limit_of_fds() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
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
    move || stats().sources >= before + count
}

/// Green threads that have begun to do the same, which then waits.
fn begun<T: Send + 'static>(
    count: usize,
    f: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Vec<Greenlet<T>> {
    let (f, started) = (Arc::new(f), Arc::new(AtomicUsize::new(0)));
    let begin = |i| {
        let (f, started) = (Arc::clone(&f), Arc::clone(&started));
        spawn(move || {
            started.fetch_add(1, Ordering::Relaxed);
            f(i)
        })
    };
    let greenlets = (0..count).map(begin).collect();
    eventually("all have begun", || {
        started.load(Ordering::Relaxed) == count
    });
    greenlets
}

#[test]
fn connects_wait_for_room_without_holding_their_hub() {
    const CLIENTS: usize = 200;
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let addr = abstract_addr("room");
        let (listener, first) = full_listener(&addr);
        let before = open_fds();
        let clients = begun(CLIENTS, {
            let addr = addr.clone();
            move |i| {
                let mut stream = UnixStream::connect_addr(&addr).unwrap();
                assert!(!is_nonblocking(&stream));
                stream.write_all(&i.to_le_bytes()).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }
        });
        // This runs on the hub that all of them wait on.
        assert!(!clients.iter().any(Greenlet::ready));
        for _ in &first {
            listener.accept().unwrap();
        }
        let mut served = vec![0; CLIENTS];
        for _ in 0..CLIENTS {
            let mut number = [0; 8];
            listener
                .accept()
                .unwrap()
                .0
                .read_exact(&mut number)
                .unwrap();
            served[usize::from_le_bytes(number)] += 1;
        }
        assert!(served.iter().all(|&times| times == 1));
        for client in clients {
            client.get_timeout(LONG).unwrap();
        }
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn connects_from_everywhere_wait_for_room() {
    let addr = abstract_addr("everywhere");
    let (listener, first) = full_listener(&addr);
    let connect = {
        let addr = addr.clone();
        move || UnixStream::connect_addr(&addr).unwrap()
    };
    let os_threads = [(); 4].map(|()| thread::spawn(connect.clone()));
    let greenlets = [(); 4].map(|()| spawn(connect.clone()));
    for _ in 0..first.len() + os_threads.len() + greenlets.len() {
        listener.accept().unwrap();
    }
    for os_thread in os_threads {
        os_thread.join().unwrap();
    }
    for greenlet in greenlets {
        greenlet.into_result().unwrap();
    }
}

#[test]
fn killed_connects_close_their_sockets_and_take_no_room() {
    run(|| {
        let addr = abstract_addr("killed");
        let (listener, first) = full_listener(&addr);
        let (fds, sources) = (open_fds(), stats().sources);
        let connect = {
            let addr = addr.clone();
            move |_| drop(UnixStream::connect_addr(&addr).unwrap())
        };
        let clients = begun(50, connect);
        assert!(open_fds() > fds);
        green_core::killall(&clients);
        for client in clients {
            assert!(matches!(client.into_result(), Err(Failure::Killed)));
        }
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || UnixStream::connect_addr(&addr).map(drop).unwrap()).is_err());
        assert_eq!((open_fds(), stats().sources), (fds, sources));
        for _ in &first {
            listener.accept().unwrap();
        }
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        UnixStream::connect_addr(&addr).unwrap();
    });
}

#[test]
fn a_timeout_scope_of_an_os_thread_ends_a_connect() {
    let addr = abstract_addr("scope");
    let (_listener, _first) = full_listener(&addr);
    let limit = Duration::from_millis(10);
    let begin = Instant::now();
    assert!(timeout(limit, || UnixStream::connect_addr(&addr).map(drop).unwrap()).is_err());
    assert!(begin.elapsed() >= limit);
}

#[test]
fn sends_to_a_full_receiver_wait_without_holding_their_hub() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let addr = abstract_addr("full");
        let receiver = full_receiver(&addr);
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect_addr(&addr).unwrap();
        let unconnected = UnixDatagram::unbound().unwrap();
        let senders = begun(2, move |i| match i {
            0 => connected.send(b"connected").unwrap(),
            _ => unconnected.send_to_addr(b"unconnected", &addr).unwrap(),
        });
        assert!(!senders.iter().any(Greenlet::ready));
        let mut lens = Vec::new();
        while lens.len() < 2 {
            match receiver.recv(&mut [0; 64]).unwrap() {
                6 => {}
                len => lens.push(len),
            }
        }
        lens.sort_unstable();
        assert_eq!(lens, [9, 11]);
        for sender in senders {
            sender.get_timeout(LONG).unwrap();
        }
    });
}

// A send that fails makes its socket writable anew: what waited for that would spin.
#[test]
fn waiting_for_room_is_idle() {
    Config::new().hubs(1).apply().unwrap();
    run(|| {
        let (streams, datagrams) = (abstract_addr("streams"), abstract_addr("datagrams"));
        let (_listener, _first) = full_listener(&streams);
        let _receiver = full_receiver(&datagrams);
        let waiters = begun(6, move |i| {
            let socket = UnixDatagram::unbound().unwrap();
            match i % 3 {
                0 => drop(UnixStream::connect_addr(&streams).map(|_| ())),
                1 => drop(socket.send_to_addr(b"never", &datagrams)),
                _ => {
                    socket.connect_addr(&datagrams).unwrap();
                    drop(socket.send(b"never"));
                }
            }
        });
        let (wall, cpu) = (Instant::now(), cpu_time());
        green_core::sleep(Duration::from_millis(400));
        let (wall, cpu) = (wall.elapsed(), cpu_time() - cpu);
        assert!(cpu < wall / 8, "{cpu:?} of {wall:?}");
        assert!(!waiters.iter().any(Greenlet::ready));
        green_core::killall(&waiters);
    });
}

/// What this process has used of the processors.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.try_into().unwrap()
}

#[test]
fn a_send_is_woken_when_its_receiver_has_room() {
    run(|| {
        let addr = abstract_addr("woken");
        let receiver = full_receiver(&addr);
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&addr).unwrap();
        let before = stats().sources;
        // By the poller, not by trying again.
        let sends = spawn(move || sender.send(b"connected").unwrap());
        eventually("the sender parks", watched_since(before, 1));
        assert_eq!(receiver.recv(&mut [0; 64]).unwrap(), 6);
        assert_eq!(sends.get_timeout(LONG).unwrap(), 9);
    });
}

#[test]
fn killed_sends_send_nothing() {
    run(|| {
        let addr = abstract_addr("unsent");
        let receiver = full_receiver(&addr);
        let senders = begun(20, {
            let addr = addr.clone();
            move |i| {
                let sender = UnixDatagram::unbound().unwrap();
                match i % 2 {
                    0 => sender.send_to_addr(b"never", &addr),
                    _ => {
                        sender.connect_addr(&addr).unwrap();
                        sender.send(b"never")
                    }
                }
            }
        });
        green_core::killall(&senders);
        let limit = Duration::from_millis(5);
        let sender = UnixDatagram::unbound().unwrap();
        let late = timeout(limit, || sender.send_to_addr(b"never", &addr).unwrap());
        assert!(late.is_err());
        receiver.set_nonblocking(true).unwrap();
        let mut buf = [0; 64];
        while let Ok(n) = receiver.recv(&mut buf) {
            assert_eq!(&buf[..n], b"filler");
        }
    });
}

#[test]
fn a_thousand_streams_echo() {
    const STREAMS: usize = 1_000;
    raise_limit_of_fds();
    let (fds, sources) = with_hubs();
    let dir = TempDir::new();
    let path = dir.join("echo");
    let listener = UnixListener::bind(&path).unwrap();
    run(move || {
        let server = spawn(move || {
            let serve = |stream: std::io::Result<UnixStream>| {
                let mut stream = stream.unwrap();
                spawn(move || {
                    let mut buf = [0; 256];
                    while let n @ 1.. = stream.read(&mut buf).unwrap() {
                        stream.write_all(&buf[..n]).unwrap();
                    }
                })
            };
            let served: Vec<_> = listener.incoming().take(STREAMS).map(serve).collect();
            green_core::joinall(&served).len()
        });
        let all_connected = Arc::new((AtomicUsize::new(0), Event::new()));
        let clients: Vec<_> = (0..STREAMS)
            .map(|i| {
                let (path, all_connected) = (path.clone(), Arc::clone(&all_connected));
                spawn(move || {
                    let mut stream = UnixStream::connect(path).unwrap();
                    if all_connected.0.fetch_add(1, Ordering::Relaxed) + 1 == STREAMS {
                        all_connected.1.set();
                    }
                    assert!(all_connected.1.wait_timeout(LONG));
                    for round in 0..5 {
                        let sent = [i as u8 ^ round; 200];
                        stream.write_all(&sent).unwrap();
                        let mut got = [0; 200];
                        stream.read_exact(&mut got).unwrap();
                        assert_eq!(sent, got);
                    }
                })
            })
            .collect();
        for client in clients {
            client.get_timeout(LONG).unwrap();
        }
        assert_eq!(server.get_timeout(LONG).unwrap(), STREAMS);
    });
    eventually("all are closed", || open_fds() == fds);
    assert_eq!(stats().sources, sources);
}

#[test]
fn what_is_sent_along_with_descriptors_leaves_no_reader_parked() {
    run(|| {
        for _ in 0..50 {
            let (writer, mut reader) = UnixStream::pair().unwrap();
            let before = stats().sources;
            let reader = spawn(move || {
                let (mut all, mut buf) = (Vec::new(), [0; 64]);
                while all.len() < 6 {
                    let n = reader.read(&mut buf).unwrap();
                    assert_ne!(n, 0);
                    all.extend_from_slice(&buf[..n]);
                }
                all
            });
            eventually("the reader parks", watched_since(before, 1));
            // A read ends at each descriptor: it moves less than was asked, and there is more.
            for part in [b"ab", b"cd", b"ef"] {
                let fds = [writer.as_fd()];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
                let sent = sendmsg(
                    &writer,
                    &[IoSlice::new(part)],
                    &mut control,
                    SendFlags::empty(),
                );
                assert_eq!(sent.unwrap(), 2);
            }
            assert_eq!(reader.get_timeout(LONG).unwrap(), b"abcdef");
        }
    });
}

#[test]
fn data_and_the_end_in_one_edge_leave_no_reader_parked() {
    run(|| {
        for _ in 0..200 {
            let (mut writer, mut reader) = UnixStream::pair().unwrap();
            let before = stats().sources;
            let reader = spawn(move || {
                let mut all = String::new();
                reader.read_to_string(&mut all).unwrap();
                all
            });
            eventually("the reader parks", watched_since(before, 1));
            writer.write_all(b"the end").unwrap();
            drop(writer);
            assert_eq!(reader.get_timeout(LONG).unwrap(), "the end");
        }
    });
}

#[test]
fn kills_and_scopes_end_every_wait_and_consume_nothing() {
    run(|| {
        let sources = stats().sources;
        let addr = abstract_addr("waits");
        let listener = Arc::new(UnixListener::bind_addr(&addr).unwrap());
        let (one, other) = UnixStream::pair().unwrap();
        let (one, other) = (Arc::new(one), Arc::new(other));
        one.set_write_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let full = [7; 4_096];
        let mut written = 0;
        while let Ok(n) = (&*one).write(&full) {
            written += n;
        }
        one.set_write_timeout(None).unwrap();
        let (socket, peer) = UnixDatagram::pair().unwrap();
        let socket = Arc::new(socket);
        let waits: [Arc<dyn Fn() + Send + Sync>; 4] = [
            Arc::new({
                let listener = Arc::clone(&listener);
                move || drop(listener.accept().unwrap())
            }),
            Arc::new({
                let one = Arc::clone(&one);
                move || drop((&*one).read(&mut [0; 8]).map(|_| ()))
            }),
            Arc::new({
                let one = Arc::clone(&one);
                move || drop((&*one).write(&[9; 8]).map(|_| ()))
            }),
            Arc::new({
                let socket = Arc::clone(&socket);
                move || drop(socket.recv_from(&mut [0; 8]).map(|_| ()))
            }),
        ];
        for wait in waits {
            let limit = Duration::from_millis(5);
            assert!(timeout(limit, || wait()).is_err());
            let killed = begun(3, move |_| wait());
            green_core::killall(&killed);
            for killed in killed {
                assert!(matches!(killed.into_result(), Err(Failure::Killed)));
            }
        }
        let client = UnixStream::connect_addr(&addr).unwrap();
        listener.accept().unwrap();
        (&*other).write_all(b"here").unwrap();
        assert_eq!((&*one).read(&mut [0; 8]).unwrap(), 4);
        one.shutdown(green_net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        (&*other).read_to_end(&mut all).unwrap();
        assert!(all.len() == written && all.iter().all(|&byte| byte == 7));
        peer.send(b"here").unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 4);
        drop((client, listener, one, other, socket, peer));
        assert_eq!(stats().sources, sources);
    });
}

#[test]
fn many_acceptors_serve_each_connection_once() {
    run(|| {
        let addr = abstract_addr("acceptors");
        let listener = Arc::new(UnixListener::bind_addr(&addr).unwrap());
        let acceptors = begun(64, move |_| {
            let (mut stream, from) = listener.accept().unwrap();
            assert!(from.is_unnamed());
            let mut number = [0; 8];
            stream.read_exact(&mut number).unwrap();
            usize::from_le_bytes(number)
        });
        for i in 0..64_usize {
            let mut stream = UnixStream::connect_addr(&addr).unwrap();
            stream.write_all(&i.to_le_bytes()).unwrap();
        }
        let mut numbers: Vec<_> = acceptors
            .into_iter()
            .map(|acceptor| acceptor.get_timeout(LONG).unwrap())
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..64));
    });
}

#[test]
fn sockets_are_in_the_users_mode_wherever_they_go() {
    let (one, _other) = UnixStream::pair().unwrap();
    one.set_read_timeout(Some(Duration::from_secs(7))).unwrap();
    let one = std_net::UnixStream::from(one);
    assert!(!is_nonblocking(&one));
    assert_eq!(one.read_timeout().unwrap(), Some(Duration::from_secs(7)));
    one.set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let mut one = UnixStream::from(one);
    let error = one.read(&mut [0]).unwrap_err();
    assert_eq!(
        (error.kind(), error.raw_os_error()),
        (ErrorKind::WouldBlock, None)
    );
    let (socket, _peer) = UnixDatagram::pair().unwrap();
    assert!(!is_nonblocking(std_net::UnixDatagram::from(socket)));
    let listener = UnixListener::bind_addr(&abstract_addr("given")).unwrap();
    assert!(is_nonblocking(&listener));
    let given = std_net::UnixListener::from(listener);
    assert!(!is_nonblocking(&given));
    let listener = UnixListener::from(given);
    assert!(is_nonblocking(&listener));
}

#[test]
fn a_clone_of_a_listener_that_was_given_away_still_parks() {
    run(|| {
        let addr = abstract_addr("clone");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let clone = listener.try_clone().unwrap();
        let given = OwnedFd::from(listener);
        assert!(!is_nonblocking(&given));
        let before = stats().sources;
        let acceptor = spawn(move || drop(clone.accept().unwrap()));
        eventually("the acceptor parks", watched_since(before, 1));
        UnixStream::connect_addr(&addr).unwrap();
        acceptor.get_timeout(LONG).unwrap();
    });
}

#[test]
fn an_empty_read_does_not_wait() {
    run(|| {
        let (mut one, _other) = UnixStream::pair().unwrap();
        assert_eq!(one.read(&mut []).unwrap(), 0);
        assert_eq!(one.peek(&mut []).unwrap(), 0);
    });
}

#[test]
fn a_path_without_room_for_its_nul() {
    let dir = TempDir::new();
    let directory = dir.join("");
    let path = dir.join("x".repeat(108 - directory.as_os_str().len()));
    let [datagrams, streams] = [SocketType::DGRAM, SocketType::STREAM].map(|kind| {
        let fd = socket(AddressFamily::UNIX, kind, None).unwrap();
        bind(&fd, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        drop(fs::remove_file(&path));
        fd
    });
    let datagrams = UnixDatagram::from(datagrams);
    assert_eq!(
        datagrams.local_addr().unwrap().as_pathname(),
        Some(&*path),
        "std can tell it"
    );
    let to = abstract_addr("short");
    let receiver = UnixDatagram::bind_addr(&to).unwrap();
    datagrams.send_to_addr(b"x", &to).unwrap();
    let (n, from) = receiver.recv_from(&mut [0; 4]).unwrap();
    assert_eq!((n, from.is_unnamed()), (1, true), "the difference from std");
    let listener_addr = abstract_addr("listens");
    let listener = UnixListener::bind_addr(&listener_addr).unwrap();
    let name = listener_addr.as_abstract_name().unwrap();
    let name = SocketAddrUnix::new_abstract_name(name).unwrap();
    rustix::net::connect(&streams, &name).unwrap();
    let (stream, from) = listener.accept().unwrap();
    assert_eq!(from.as_pathname(), Some(&*path));
    assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
}

#[test]
fn a_socket_without_a_peer_tells_of_no_process() {
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let cred = UnixStream::from(fd).peer_cred().unwrap();
    assert_eq!(cred.pid, Some(0));
    assert_eq!(cred.uid, u32::MAX);
}

/// Datagrams, kills and timeouts race; what was sent arrives once, what was not never.
#[test]
fn datagram_hammer() {
    const SENDERS: usize = 24;
    const EACH: usize = 200;
    let (fds, sources) = with_hubs();
    run(|| {
        let addr = abstract_addr("hammer");
        let receiver = Arc::new(UnixDatagram::bind_addr(&addr).unwrap());
        let done = Arc::new(AtomicBool::new(false));
        // Numbers that arrived; receivers are killed and timed out, too.
        let arrived: Arc<Vec<AtomicUsize>> = Arc::new(
            (0..SENDERS * EACH * 2)
                .map(|_| AtomicUsize::new(0))
                .collect(),
        );
        let receive = {
            let (receiver, arrived, done) = (
                Arc::clone(&receiver),
                Arc::clone(&arrived),
                Arc::clone(&done),
            );
            move |round: usize| {
                while !done.load(Ordering::Relaxed) {
                    let mut buf = [0; 8];
                    let limit = Duration::from_micros(50 + round as u64 * 100);
                    // The datagram is counted with no wait in between.
                    let received = timeout(limit, || receiver.recv(&mut buf).map(drop));
                    if let Ok(Ok(())) = received {
                        arrived[usize::from_le_bytes(buf)].fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        };
        let receive = Arc::new(receive);
        let receivers: Vec<_> = (0..6)
            .map(|round| {
                let receive = Arc::clone(&receive);
                spawn(move || receive(round))
            })
            .collect();
        // Numbers that were sent.
        let sent: Arc<Vec<AtomicUsize>> = Arc::new(
            (0..SENDERS * EACH * 2)
                .map(|_| AtomicUsize::new(0))
                .collect(),
        );
        let send = {
            let sent = Arc::clone(&sent);
            move |i: usize| {
                let socket = UnixDatagram::unbound().unwrap();
                if i.is_multiple_of(2) {
                    socket.connect_addr(&addr).unwrap();
                }
                for number in i * EACH..(i + 1) * EACH {
                    let datagram = number.to_le_bytes();
                    let result = timeout(Duration::from_micros(number as u64 % 500), || {
                        if i.is_multiple_of(2) {
                            socket.send(&datagram)
                        } else {
                            socket.send_to_addr(&datagram, &addr)
                        }
                    });
                    if let Ok(Ok(8)) = result {
                        sent[number].fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        };
        let send = Arc::new(send);
        let senders: Vec<_> = (0..SENDERS)
            .map(|i| {
                let send = Arc::clone(&send);
                spawn(move || send(i))
            })
            .collect();
        let os_threads = [SENDERS, SENDERS + 1].map(|i| {
            let send = Arc::clone(&send);
            thread::spawn(move || send(i))
        });
        for victim in senders.iter().step_by(3) {
            green_core::sleep(Duration::from_millis(1));
            victim.kill_nowait();
        }
        for sender in senders {
            drop(sender.get_timeout(LONG));
            assert!(sender.ready());
        }
        green_core::blocking(move || os_threads.map(|os_thread| os_thread.join().unwrap()));
        eventually("all arrive", || {
            sent.iter().zip(arrived.iter()).all(|(sent, arrived)| {
                sent.load(Ordering::Relaxed) <= arrived.load(Ordering::Relaxed)
            })
        });
        done.store(true, Ordering::Relaxed);
        green_core::killall(&receivers);
        for (sent, arrived) in sent.iter().zip(arrived.iter()) {
            assert_eq!(
                sent.load(Ordering::Relaxed),
                arrived.load(Ordering::Relaxed)
            );
        }
        assert!(sent.iter().any(|sent| sent.load(Ordering::Relaxed) == 1));
    });
    eventually("all are closed", || open_fds() == fds);
    assert_eq!(stats().sources, sources);
}
