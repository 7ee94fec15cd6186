//! Clients that misbehave: resets, half-closes, slow readers and writers, single bytes; and handlers
//! that panic. The server goes on and serves everybody else.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use green_core::sleep;
use green_examples::echo;
use green_net::TcpStream;
use green_tests::{Held, Process, Random, alone, serve_if_asked};

const CLIENTS: u64 = 400;
const ROUNDS: u64 = 5;

/// As `echo`, but panics if the first byte is an exclamation mark.
fn echo_or_panic(stream: &TcpStream, bytes: &mut u64) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first)? == 1 {
        assert_ne!(first, *b"!", "this client wants a panic");
    }
    echo::echo(stream, bytes)
}

#[test]
fn server_process() {
    serve_if_asked(echo_or_panic);
}

#[test]
fn misbehaving_clients_do_not_disturb_the_others() {
    let _alone = alone();
    let held = Held::now();
    let (server, address) = Process::start_server(&[]);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            green_core::spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..ROUNDS {
                    misbehave(address, &mut random);
                }
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }
    check_echo(address, &mut Random::new(1));
    server.stop_server();
    held.check();
}

#[test]
fn a_panic_in_a_handler_closes_its_connection_only() {
    let _alone = alone();
    let (server, address) = Process::start_server(&[]);
    let mut bystander = connect(address);
    bystander.write_all(b"x").unwrap();
    bystander.read_exact(&mut [0]).unwrap();
    for _ in 0..20 {
        let mut stream = connect(address);
        stream.write_all(b"!").unwrap();
        // The byte was not read: the peer may be told by a reset.
        let read = stream.read(&mut [0]);
        assert!(matches!(read, Ok(0) | Err(_)), "the connection is closed");
    }
    bystander.write_all(b"y").unwrap();
    let mut answer = [0];
    bystander.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"y");
    drop(bystander);
    check_echo(address, &mut Random::new(2));
    let served = server.stop_server();
    assert!(served.starts_with("served 22 connections"), "{served}");
}

fn misbehave(address: SocketAddr, random: &mut Random) {
    match random.below(6) {
        0 => reset(address, random),
        1 => half_close(address, random),
        2 => read_slowly(address, random),
        3 => write_slowly(address, random),
        4 => drop(connect(address)),
        _ => check_echo(address, random),
    }
}

/// Bytes that make no handler panic.
fn message(random: &mut Random, len: usize) -> Vec<u8> {
    let mut message = random.bytes(len);
    if let Some(first) = message.first_mut() {
        *first = b'.';
    }
    message
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Resets the connection while something is on its way.
fn reset(address: SocketAddr, random: &mut Random) {
    let mut stream = connect(address);
    let len = random.below(5_000) as usize;
    stream.write_all(&message(random, len)).unwrap();
    if random.below(2) == 0 {
        sleep(Duration::from_millis(random.below(5)));
    }
    let linger = socket2::SockRef::from(&stream);
    linger.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Closes its side first and reads all of the answer then.
fn half_close(address: SocketAddr, random: &mut Random) {
    let mut stream = connect(address);
    let len = random.below(5_000) as usize;
    let message = message(random, len);
    stream.write_all(&message).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer == message, "half-closed: other bytes");
}

/// Lets the answer wait, and takes it in small pieces.
fn read_slowly(address: SocketAddr, random: &mut Random) {
    let mut stream = connect(address);
    let message = message(random, 2_000);
    stream.write_all(&message).unwrap();
    let mut answer = Vec::new();
    while answer.len() < message.len() {
        sleep(Duration::from_millis(random.below(4)));
        let mut piece = [0; 300];
        let read = stream.read(&mut piece).unwrap();
        assert_ne!(read, 0, "the server hung up");
        answer.extend_from_slice(&piece[..read]);
    }
    assert!(answer == message, "read slowly: other bytes");
}

/// Writes single bytes, each in a packet.
fn write_slowly(address: SocketAddr, random: &mut Random) {
    let mut stream = connect(address);
    stream.set_nodelay(true).unwrap();
    for byte in message(random, 20) {
        stream.write_all(&[byte]).unwrap();
        if random.below(2) == 0 {
            sleep(Duration::from_millis(1));
        }
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [byte]);
    }
}

/// Behaves.
fn check_echo(address: SocketAddr, random: &mut Random) {
    let mut stream = connect(address);
    for _ in 0..3 {
        let message = message(random, 100);
        stream.write_all(&message).unwrap();
        let mut answer = [0; 100];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer[..] == message, "other bytes");
    }
}
