//! `green-echo` and signals, and what it says when it cannot start.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use green_examples::echo;
use green_tests::{Process, alone, eventually, serve_if_asked};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn server_process() {
    serve_if_asked(echo::echo);
}

/// A connection that has been served once.
fn connect(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    exchange(&mut stream);
    stream
}

fn exchange(stream: &mut TcpStream) {
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn sigterm_drains() {
    let _alone = alone();
    for signal in [Signal::TERM, Signal::INT] {
        let (mut server, address) = Process::start_server(&[]);
        let mut stream = connect(address);
        server.signal(signal);
        eventually("it accepts no more", || {
            TcpStream::connect(address).is_err()
        });
        exchange(&mut stream);
        drop(stream);
        let status = server.wait(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", server.errors());
        assert!(
            server
                .line_with("served ")
                .contains("connections, 10 bytes")
        );
    }
}

#[test]
fn connections_that_do_not_end_are_killed() {
    let _alone = alone();
    let (mut server, address) = Process::start_server(&["--drain", "100ms"]);
    let mut stream = connect(address);
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it was closed properly");
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!(server.wait(LIMIT).code(), Some(0), "{}", server.errors());
    assert_eq!(server.line_with("served "), "served 1 connections, 5 bytes");
}

#[test]
fn a_second_signal_ends_at_once() {
    let _alone = alone();
    let (mut server, address) = Process::start_server(&["--drain", "1h"]);
    let _stream = connect(address);
    server.signal(Signal::TERM);
    eventually("it accepts no more", || {
        TcpStream::connect(address).is_err()
    });
    server.signal(Signal::INT);
    assert_eq!(server.wait(LIMIT).code(), Some(130));
}

#[test]
fn sigquit_dumps_and_goes_on() {
    let _alone = alone();
    let (server, address) = Process::start_server(&[]);
    let mut stream = connect(address);
    server.signal(Signal::QUIT);
    eventually("the dump is there", || {
        // The main one, the acceptor, and the connection.
        let errors = server.errors();
        errors.contains("3 green threads") && errors.matches("spawned at").count() == 3
    });
    assert!(server.errors().contains("waits for read of fd"));
    exchange(&mut stream);
    drop(stream);
    server.stop_server();
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let _alone = alone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (arguments, code, words) in [
        (vec!["--listen", &*taken], 1, vec![&*taken, "in use"]),
        (vec!["--listen", "nonsense"], 1, vec!["nonsense"]),
        (vec!["--listen", "127.0.0.1:99999"], 1, vec!["99999"]),
        (vec!["--colour"], 2, vec!["--colour"]),
        (vec!["--hubs", "0"], 2, vec!["--hubs", "at least 1"]),
        (
            vec!["--idle-timeout", "5"],
            2,
            vec!["--idle-timeout", "unit"],
        ),
    ] {
        let mut server = Process::start("server_process", &arguments);
        assert_eq!(server.wait(LIMIT).code(), Some(code), "{arguments:?}");
        eventually("it says why", || server.errors().ends_with('\n'));
        let errors = server.errors();
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{arguments:?}: {errors}");
        }
    }
}
