//! Thousands of clients at once, each byte checked, against `green-echo` as a process of its own.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_examples::echo;
use green_net::TcpStream;
use green_tests::{Held, Process, Random, alone, serve_if_asked, sockets};

const CLIENTS: usize = 8_000;
const ROUNDS: usize = 3;

#[test]
fn server_process() {
    serve_if_asked(echo::echo);
}

#[test]
fn thousands_of_clients_at_once() {
    let _alone = alone();
    let clients = sockets(CLIENTS);
    let held = Held::now();
    let (server, address) = Process::start_server(&["--backlog", "4096"]);

    let connecting = Arc::new(Semaphore::new(512));
    let connected = Queue::unbounded();
    let all_connected = Arc::new(Event::new());
    let handles: Vec<_> = (0..clients)
        .map(|number| {
            let connecting = Arc::clone(&connecting);
            let connected = connected.clone();
            let all_connected = Arc::clone(&all_connected);
            green_core::spawn(move || {
                let permit = connecting.acquire();
                let mut stream = TcpStream::connect(address).unwrap();
                drop(permit);
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                connected.put(()).unwrap();
                all_connected.wait();

                let mut random = Random::new(number as u64);
                let mut sent = 0;
                for _ in 0..ROUNDS {
                    let len = 1 + random.below(600) as usize;
                    let message = random.bytes(len);
                    stream.write_all(&message).unwrap();
                    let mut answer = vec![0; len];
                    stream.read_exact(&mut answer).unwrap();
                    assert!(answer == message, "client {number} got other bytes");
                    sent += len;
                }
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing else comes");
                sent
            })
        })
        .collect();
    for _ in 0..clients {
        let one_more = connected.get_timeout(Duration::from_secs(20));
        assert!(one_more.is_ok(), "all clients connect");
    }
    all_connected.set();
    let bytes: usize = handles
        .into_iter()
        .map(|client| client.into_result().unwrap())
        .sum();

    let served = server.stop_server();
    assert_eq!(
        served,
        format!("served {clients} connections, {bytes} bytes")
    );
    held.check();
}

#[test]
fn large_messages_both_ways_at_once() {
    let _alone = alone();
    const LEN: usize = 4 << 20;
    let (server, address) = Process::start_server(&[]);
    let clients: Vec<_> = (0..8)
        .map(|number| {
            green_core::spawn(move || {
                let stream = Arc::new(TcpStream::connect(address).unwrap());
                let message: Arc<[u8]> = Random::new(number).bytes(LEN).into();
                let writer = {
                    let stream = Arc::clone(&stream);
                    let message = Arc::clone(&message);
                    green_core::spawn(move || {
                        (&*stream).write_all(&message).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                    })
                };
                let mut answer = Vec::new();
                (&*stream).read_to_end(&mut answer).unwrap();
                writer.into_result().unwrap();
                assert!(answer == *message, "client {number} got other bytes");
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }
    let served = server.stop_server();
    assert_eq!(served, format!("served 8 connections, {} bytes", 8 * LEN));
}

#[test]
fn the_limit_on_connections_keeps_the_others_waiting() {
    let _alone = alone();
    let (server, address) = Process::start_server(&["--max-connections", "2"]);
    let clients: Vec<_> = (0..20)
        .map(|number| {
            green_core::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&[number]).unwrap();
                let mut answer = [0];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [number]);
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }

    let take_place = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    };
    let (first, second) = (take_place(), take_place());
    let mut third = TcpStream::connect(address).unwrap();
    third.write_all(b"3").unwrap();
    third
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(third.read(&mut [0]).is_err(), "there are two already");
    drop(first);
    third
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = [0];
    third.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"3");
    drop((second, third));
    server.stop_server();
}

#[test]
fn an_idle_connection_is_closed() {
    let _alone = alone();
    let (server, address) = Process::start_server(&["--idle-timeout", "50ms"]);
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    server.stop_server();
}
