//! Deadlines by the ten thousand, set and cleared at every operation.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use green_core::{joinall, sleep, spawn, stats};
use green_net::{TcpListener, TcpStream};
use green_tests::{Held, alone, eventually, sockets};

/// Long enough for the slowest machine: it never passes.
const LONG: Duration = Duration::from_secs(60);

/// Short enough to be waited for by everybody at once.
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn read_timeouts_of_ten_thousand_sockets() {
    const SOCKETS: usize = 10_000;
    const ROUNDS: usize = 10;

    let _alone = alone();
    let held = Held::now();
    let pairs = sockets(SOCKETS) / 2;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connector = spawn(move || {
        (0..pairs)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect::<Vec<_>>()
    });
    let accepted: Vec<_> = (0..pairs).map(|_| listener.accept().unwrap().0).collect();
    drop(listener);
    let connected = connector.into_result().unwrap();

    let users = connected.into_iter().chain(accepted);
    let users: Vec<_> = users
        .enumerate()
        .map(|(user, mut stream)| {
            spawn(move || {
                let is_first = user < pairs;
                stream.set_read_timeout(Some(LONG)).unwrap();
                let mut byte = [0];
                for round in 0..ROUNDS {
                    if is_first {
                        stream.write_all(&[round as u8]).unwrap();
                        stream.read_exact(&mut byte).unwrap();
                        assert_eq!(usize::from(byte[0]), round);
                    } else {
                        stream.read_exact(&mut byte).unwrap();
                        stream.write_all(&byte).unwrap();
                    }
                }
                // Now for one that passes.
                stream.set_read_timeout(Some(SHORT)).unwrap();
                let begun = Instant::now();
                let error = stream.read(&mut byte).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(begun.elapsed() >= SHORT);
                stream
            })
        })
        .collect();
    let streams: Vec<_> = users.into_iter().map(|user| user.into_result()).collect();
    assert!(streams.iter().all(Result::is_ok));
    drop(streams);
    eventually("no timer is left", || stats().timers == 0);
    held.check();
}

#[test]
fn a_crowd_of_sleepers_wakes() {
    const SLEEPERS: u64 = 20_000;
    const SPREAD: u64 = 500;

    let _alone = alone();
    // Their stacks are there from now on.
    let crowd: Vec<_> = (0..SLEEPERS).map(|_| spawn(|| sleep(LONG))).collect();
    eventually("all sleep", || stats().timers == SLEEPERS);
    green_core::killall(&crowd);
    drop(crowd);

    let sleepers: Vec<_> = (0..SLEEPERS)
        .map(|n| {
            spawn(move || {
                let span = Duration::from_millis(n * 7_919 % SPREAD);
                let begun = Instant::now();
                sleep(span);
                begun.elapsed().checked_sub(span)
            })
        })
        .collect();
    joinall(&sleepers);
    let late = sleepers
        .into_iter()
        .map(|sleeper| sleeper.into_result().unwrap());
    assert!(late.into_iter().all(|late| late.is_some()), "none is early");
    eventually("no timer is left", || stats().timers == 0);
}
