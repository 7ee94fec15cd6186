//! A runtime with nothing to do does nothing.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::time::Duration;

use green_core::{Config, joinall, sleep, spawn, stats};
use green_net::{TcpListener, TcpStream};
use green_tests::{alone, eventually};

#[test]
fn hubs_sleep_when_connections_are_idle_and_a_crowd_has_left() {
    const CONNECTIONS: usize = 100;
    const CROWD: usize = 1_000;

    let _alone = alone();
    Config::new().hubs(2).apply().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(move || {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    stream.write_all(&buffer[..read]).unwrap();
                }
            });
        }
    });
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            // Set, and cleared by every read.
            stream
                .set_read_timeout(Some(Duration::from_millis(3_100)))
                .unwrap();
            stream.write_all(b"idle").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            stream
        })
        .collect();
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| spawn(|| sleep(Duration::from_millis(20))))
        .collect();
    assert_eq!(joinall(&crowd).len(), CROWD);
    drop(crowd);

    let kept = (64 * stats().hubs) as u64;
    eventually("what the crowd has left is given back", || {
        stats().idle_carriers <= kept
    });
    // A hub may take a last look, and see the read timeouts pass that were cleared.
    let mut before = stats();
    let mut quiet = 0;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_secs(1));
        let now = stats();
        let is_same = (before.polls, before.switches) == (now.polls, now.switches);
        quiet = if is_same { quiet + 1 } else { 0 };
        before = now;
        if quiet == 3 {
            break;
        }
    }
    assert_eq!(quiet, 3, "a hub is busy: {before:?}");
    server.kill();
    drop(clients);
}
