//! One socket in the hands of many green threads.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::{killall, spawn};
use green_net::{TcpListener, TcpStream};
use green_tests::{Held, alone};

#[test]
fn many_readers_and_writers_on_one_socket() {
    const USERS: u8 = 16;
    const WRITES: usize = 200;
    const LEN: usize = 333;

    let _alone = alone();
    let held = Held::now();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    drop(listener);

    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for stream in [Arc::new(near), Arc::new(far)] {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let still_writing = Arc::new(AtomicUsize::new(USERS.into()));
        for user in 0..USERS {
            let theirs = Arc::clone(&stream);
            let still_writing = Arc::clone(&still_writing);
            writers.push(spawn(move || {
                // Bytes of several writers may mix; none is lost or doubled.
                for _ in 0..WRITES {
                    (&*theirs).write_all(&[user; LEN]).unwrap();
                }
                if still_writing.fetch_sub(1, Ordering::AcqRel) == 1 {
                    theirs.shutdown(Shutdown::Write).unwrap();
                }
            }));
            let theirs = Arc::clone(&stream);
            readers.push(spawn(move || {
                let mut seen = vec![0; USERS.into()];
                let mut buffer = [0; 500];
                loop {
                    let read = (&*theirs).read(&mut buffer).unwrap();
                    if read == 0 {
                        return seen;
                    }
                    for &byte in &buffer[..read] {
                        seen[usize::from(byte)] += 1;
                    }
                }
            }));
        }
    }
    for writer in writers {
        writer.into_result().unwrap();
    }
    let mut total = vec![0; USERS.into()];
    for reader in readers {
        for (total, seen) in total.iter_mut().zip(reader.into_result().unwrap()) {
            *total += seen;
        }
    }
    assert_eq!(total, vec![2 * WRITES * LEN; USERS.into()]);
    held.check();
}

#[test]
fn many_acceptors_on_one_listener() {
    const ACCEPTORS: usize = 64;
    const CLIENTS: usize = 1_000;

    let _alone = alone();
    let held = Held::now();
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let served: Arc<[AtomicUsize]> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
    let acceptors: Vec<_> = (0..ACCEPTORS)
        .map(|_| {
            let listener = Arc::clone(&listener);
            let served = Arc::clone(&served);
            spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let mut number = [0; 4];
                    stream.read_exact(&mut number).unwrap();
                    let index = u32::from_le_bytes(number) as usize;
                    served[index].fetch_add(1, Ordering::Relaxed);
                    stream.write_all(&number).unwrap();
                }
            })
        })
        .collect();
    drop(listener);
    let clients: Vec<_> = (0..CLIENTS as u32)
        .map(|number| {
            spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream.write_all(&number.to_le_bytes()).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, number.to_le_bytes());
            })
        })
        .collect();
    for client in clients {
        client.into_result().unwrap();
    }
    killall(&acceptors);
    for served in served.iter() {
        assert_eq!(served.load(Ordering::Relaxed), 1);
    }
    assert!(
        TcpStream::connect(address).is_err(),
        "the listener is closed"
    );
    drop(acceptors);
    held.check();
}
