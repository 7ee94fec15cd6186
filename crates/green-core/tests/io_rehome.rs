//! A descriptor that only green threads of another hub wait for moves to that hub's poller.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use green_core::io::Io;
use green_core::{Builder, Config, Greenlet};

/// The epoll instances of this process that watch `fd`: of each, its descriptor.
fn watched_by(fd: i32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fdinfo").expect("it is there") {
        let entry = entry.expect("the kernel lists it");
        // A descriptor may be gone by now.
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        let watches = info.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("tfd:") && words.next() == Some(&fd.to_string())
        });
        if watches {
            found.push(entry.file_name().into_string().expect("a number"));
        }
    }
    found
}

fn on<T: Send + 'static>(hub: usize, f: impl FnOnce() -> T + Send + 'static) -> Greenlet<T> {
    Builder::new()
        .hub(hub)
        .spawn(f)
        .expect("there are two hubs")
}

#[test]
fn a_source_follows_those_who_wait_for_it() {
    // The configuration may be frozen already, where tests share a process.
    Config::new().hubs(2).apply().ok();
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let fd = a.as_fd().as_raw_fd();
    let a = Arc::new(Io::new(a));
    let b = Arc::new(b);
    // A byte is sent when the reader waits for it, `count` times.
    let exchange = |hub, count| {
        let (theirs, sender) = (Arc::clone(&a), Arc::clone(&b));
        on(hub, move || {
            for n in 0..count {
                let writer = Arc::clone(&sender);
                green_core::spawn_local(move || (&*writer).write_all(&[n]).unwrap());
                let mut byte = [0];
                let read = theirs
                    .read_with(|| None, |mut a| a.read(&mut byte))
                    .unwrap();
                assert_eq!((read, byte), (1, [n]));
            }
        })
        .into_result()
        .unwrap();
    };
    assert!(watched_by(fd).is_empty(), "nobody has waited");
    exchange(0, 3);
    let first = watched_by(fd);
    assert_eq!(first.len(), 1);
    exchange(1, 7);
    assert_eq!(watched_by(fd), first, "a few waits are not enough");
    exchange(0, 1);
    exchange(1, 7);
    assert_eq!(watched_by(fd), first, "somebody at home waited in between");
    exchange(1, 1);
    let second = watched_by(fd);
    assert_eq!(second.len(), 1);
    assert_ne!(second, first, "it has moved");
    exchange(1, 20);
    assert_eq!(watched_by(fd), second);
    exchange(0, 8);
    assert_eq!(watched_by(fd), first, "and back");
    drop(a);
    assert!(watched_by(fd).is_empty());
}

#[test]
fn many_sources_move_while_they_are_used() {
    Config::new().hubs(2).apply().ok();
    let pairs: Vec<_> = (0..50)
        .map(|_| {
            let (a, b) = UnixStream::pair().unwrap();
            a.set_nonblocking(true).unwrap();
            b.set_nonblocking(true).unwrap();
            (Arc::new(Io::new(a)), Arc::new(Io::new(b)))
        })
        .collect();
    // Each pair is played by one green thread on each hub, which then change sides.
    for round in 0..6 {
        let players: Vec<_> = pairs
            .iter()
            .flat_map(|(a, b)| [(a, round % 2), (b, (round + 1) % 2)])
            .enumerate()
            .map(|(index, (io, hub))| {
                let io = Arc::clone(io);
                on(hub, move || {
                    for n in 0..25_u8 {
                        let mut byte = [n];
                        // The even ones begin.
                        if index % 2 == 0 {
                            io.write_with(|| None, |mut io| io.write(&byte)).unwrap();
                        }
                        io.read_with(|| None, |mut io| io.read(&mut byte)).unwrap();
                        assert_eq!(byte, [n]);
                        if index % 2 == 1 {
                            io.write_with(|| None, |mut io| io.write(&byte)).unwrap();
                        }
                    }
                })
            })
            .collect();
        for player in players {
            player.into_result().unwrap();
        }
    }
}
